//! What tests of stages stand on: a loop over sockets that do not exist, and a clock that stands still.

use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use super::{Clock, Net, Parts, Reactor, Ready};
use crate::auth::Development;
use crate::config::Config;
use crate::delivery::{Moment, Publication};
use crate::handlers::{Handlers, Registry, channel};
use crate::message::Priority;
use crate::tables::connections::{Address, NEVER, Profile};
use crate::tables::{SessionId, State};

/// Clients of which only the last one reads.
pub(super) struct Sockets {
    pub(super) reader: u32,
    /// The calls of write to it.
    pub(super) written: usize,
}

impl Net for Sockets {
    type Socket = ();

    fn write(&mut self, slot: u32, bytes: &[u8]) -> io::Result<usize> {
        if slot != self.reader {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.written += 1;
        Ok(bytes.len())
    }

    fn poll(&mut self, _: Option<Duration>, _: &mut Vec<Ready>) -> io::Result<()> {
        Ok(())
    }

    fn accept(&mut self) -> io::Result<((), Address)> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn attach(&mut self, _: u32, (): ()) -> io::Result<()> {
        Ok(())
    }

    fn refuse(&mut self, (): (), _: &[u8]) {}

    fn refuse_without_descriptor(&mut self, _: &[u8]) {}

    fn read(&mut self, _: u32, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn write_vectored(&mut self, _: u32, _: &[IoSlice<'_>]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn shutdown_write(&mut self, _: u32) {}

    fn close(&mut self, _: u32) {}
}

pub(super) struct Stopped;

impl Clock for Stopped {
    fn now(&mut self) -> Moment {
        Moment::default()
    }

    fn now_ns(&mut self) -> u64 {
        0
    }
}

/// A session whose members do not read, but for the one that joined last.
pub(super) struct Bench {
    pub(super) reactor: Reactor<Sockets, Stopped>,
    session: SessionId,
}

impl Bench {
    pub(super) fn new(stalled: u32) -> Self {
        let config = Config { workers: 0, ..Config::default() };
        let (handle, inbox) = channel(Arc::new(|| Ok(())));
        let mut reactor = Reactor::new(Parts {
            net: Sockets { reader: stalled, written: 0 },
            clock: Stopped,
            handlers: Handlers::new(Registry::default(), handle, &config),
            config,
            policy: Box::new(Development),
            inbox,
            seed: [7; 32],
        });
        let tables = &mut reactor.core.delivery.tables;
        let session = tables.sessions.open("s", 0);
        for number in 0..=stalled {
            let profile = Profile::new(u128::from(number) + 1, Address { ip: [0; 16], port: 1 }, 0, 0);
            let slot = tables.connections.insert(profile, NEVER).slot();
            tables.connections.set_state(slot, State::Open);
            tables.outputs.open(slot);
            tables.sessions.join(slot, session);
        }
        let mut bench = Self { reactor, session };
        bench.publish("first");
        while bench.reactor.core.delivery.tables.outputs.is_dirty() {
            bench.reactor.drain();
        }
        bench
    }

    pub(super) fn publish(&mut self, key: &str) {
        let publication = Publication { key: Some(key), ..Publication::plain(Priority::Normal, b"1") };
        self.reactor.core.delivery.publish(self.session, None, &publication).unwrap();
    }
}
