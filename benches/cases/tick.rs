//! Whole ticks of the reactor over sockets in memory: from a client's bytes to the bytes of the answer, system calls left
//! out.

use std::cell::{RefCell, RefMut};
use std::io::{self, ErrorKind, IoSlice};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hashi::Config;
use hashi::auth::Development;
use hashi::config::limits::DRAIN_WRITES_PER_TICK;
use hashi::delivery::Moment;
use hashi::handlers::{Handlers, Registry, channel};
use hashi::reactor::{Clock, Net, Parts, Reactor, Ready};
use hashi::tables::connections::Address;

use super::decode::plain_envelope;
use super::frame::text_frame;
use super::http::HANDSHAKE;
use super::{Case, Operation};

pub const CASES: [Case; 5] = [
    Case { name: "tick/echo-1", operations: 1, prepare: || echo(1, 1) },
    Case { name: "tick/echo-32-of-one-row", operations: 32, prepare: || echo(1, 32) },
    Case { name: "tick/echo-1-of-100-rows", operations: 100, prepare: || echo(100, 1) },
    Case { name: "tick/fan-out-1-to-1000", operations: ROWS, prepare: fan_out },
    Case { name: "tick/connect-authenticate-close", operations: 1, prepare: connect },
];

/// rows of a fan-out.
const ROWS: u32 = 1000;
/// A tick writes to so many rows.
const FAN_OUT_TICKS: u32 = ROWS.div_ceil(DRAIN_WRITES_PER_TICK as u32);
const MESSAGE_BYTES: usize = 256;

/// The sockets of all rows.
#[derive(Default)]
struct Sockets {
    /// Connections that wait to be accepted.
    waiting: u32,
    /// Rows to tell of.
    news: Vec<u32>,
    rows: Vec<Socket>,
    written_bytes: usize,
    closed: u32,
    /// The row that was attached last.
    newest: u32,
}

#[derive(Default)]
struct Socket {
    sent: Vec<u8>,
    has_ended: bool,
}

#[derive(Clone, Default)]
struct MemoryNet(Rc<RefCell<Sockets>>);

impl MemoryNet {
    fn sockets(&self) -> RefMut<'_, Sockets> {
        self.0.borrow_mut()
    }

    fn send(&self, slot: u32, bytes: &[u8]) {
        let mut sockets = self.sockets();
        sockets.rows[slot as usize].sent.extend_from_slice(bytes);
        sockets.news.push(slot);
    }

    fn end(&self, slot: u32) {
        let mut sockets = self.sockets();
        sockets.rows[slot as usize].has_ended = true;
        sockets.news.push(slot);
    }
}

impl Net for MemoryNet {
    type Socket = ();

    fn poll(&mut self, _timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let sockets = &mut *self.sockets();
        if sockets.waiting > 0 {
            ready.push(Ready::Accept);
        }
        for slot in sockets.news.drain(..) {
            let hung_up = sockets.rows[slot as usize].has_ended;
            ready.push(Ready::Socket { slot, readable: true, writable: false, hung_up });
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<((), Address)> {
        let mut sockets = self.sockets();
        sockets.waiting = sockets.waiting.checked_sub(1).ok_or(ErrorKind::WouldBlock)?;
        Ok(((), Address { ip: core::net::Ipv6Addr::LOCALHOST.octets(), port: 50_000 }))
    }

    fn attach(&mut self, slot: u32, (): ()) -> io::Result<()> {
        let sockets = &mut *self.sockets();
        sockets.newest = slot;
        if sockets.rows.len() == slot as usize {
            sockets.rows.push(Socket::default());
        }
        sockets.rows[slot as usize].has_ended = false;
        Ok(())
    }

    fn refuse(&mut self, (): (), _answer: &[u8]) {
        unreachable!("the server has room");
    }

    fn refuse_without_descriptor(&mut self, _answer: &[u8]) {
        unreachable!("no descriptors are used");
    }

    fn read(&mut self, slot: u32, buffer: &mut [u8]) -> io::Result<usize> {
        let socket = &mut self.sockets().rows[slot as usize];
        if socket.sent.is_empty() && !socket.has_ended {
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = socket.sent.len();
        buffer[..count].copy_from_slice(&socket.sent);
        socket.sent.clear();
        Ok(count)
    }

    fn write(&mut self, _slot: u32, bytes: &[u8]) -> io::Result<usize> {
        self.sockets().written_bytes += bytes.len();
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, _slot: u32, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let count = slices.iter().map(|slice| slice.len()).sum();
        self.sockets().written_bytes += count;
        Ok(count)
    }

    fn shutdown_write(&mut self, _slot: u32) {}

    fn close(&mut self, _slot: u32) {
        self.sockets().closed += 1;
    }
}

/// Every tick takes 10 microseconds.
struct SteadyClock(u64);

impl Clock for SteadyClock {
    fn now(&mut self) -> Moment {
        self.0 += 10_000;
        Moment { ns: self.0, unix_ms: 1_777_638_896_789 + self.0 / 1_000_000 }
    }

    fn now_ns(&mut self) -> u64 {
        self.0
    }
}

/// A server and its clients' ends.
struct Server {
    net: MemoryNet,
    reactor: Reactor<MemoryNet, SteadyClock>,
}

impl Server {
    /// Development mode, room for all rows, no worker threads.
    fn start() -> Self {
        let config = Config { workers: 0, max_connections: ROWS, ..Config::default() };
        let (handle, inbox) = channel(Arc::new(|| Ok(())));
        let net = MemoryNet::default();
        let reactor = Reactor::new(Parts {
            net: net.clone(),
            clock: SteadyClock(0),
            handlers: Handlers::new(Registry::default(), handle, &config),
            config,
            policy: Box::new(Development),
            inbox,
            seed: [7; 32],
        });
        Self { net, reactor }
    }

    fn tick(&mut self) {
        self.reactor.tick(Some(Duration::ZERO)).expect("a poll in memory does not fail");
    }

    /// Opens an authenticated connection in `session`; its row.
    fn connect(&mut self, session: &str) -> u32 {
        self.net.sockets().waiting = 1;
        self.tick();
        let slot = self.net.sockets().newest;
        self.exchange(slot, HANDSHAKE);
        let payload = format!(r#"{{"token":"user-{slot}","sessionId":"{session}"}}"#);
        let envelope = format!(r#"{{"id":"auth","type":"authentication","payload":{payload}}}"#);
        self.exchange(slot, &text_frame(envelope.as_bytes()));
        slot
    }

    /// Sends bytes that are answered within the tick.
    fn exchange(&mut self, slot: u32, bytes: &[u8]) {
        let written = self.net.sockets().written_bytes;
        self.net.send(slot, bytes);
        self.tick();
        assert!(self.net.sockets().written_bytes > written, "an answer was written");
    }

    fn close(&mut self, slot: u32) {
        let closed = self.net.sockets().closed;
        self.net.end(slot);
        self.tick();
        assert_eq!(self.net.sockets().closed, closed + 1, "the row was freed");
    }
}

/// Every row sends messages to a session of its own and gets them back, all in one tick.
fn echo(rows: u32, messages: usize) -> Operation {
    let mut server = Server::start();
    let connect = |row| {
        let session = format!("session-{row}");
        (server.connect(&session), text_frame(&envelope_to(&session)).repeat(messages))
    };
    let sent: Vec<(u32, Vec<u8>)> = (0..rows).map(connect).collect();
    let expected_bytes = rows as usize * messages * MESSAGE_BYTES;
    Box::new(move || {
        let written = server.net.sockets().written_bytes;
        for (slot, frames) in &sent {
            server.net.send(*slot, frames);
        }
        server.tick();
        assert!(server.net.sockets().written_bytes - written > expected_bytes, "every message came back");
    })
}

fn envelope_to(session: &str) -> Vec<u8> {
    let mut text = format!(r#"{{"id":"m1","type":"custom","sessionId":"{session}","payload":{{"pad":""#);
    text.extend(std::iter::repeat_n('x', MESSAGE_BYTES - 3 - text.len()));
    text.push_str("\"}}");
    text.into_bytes()
}

/// One member sends a message to the session of all.
fn fan_out() -> Operation {
    let mut server = Server::start();
    let slots: Vec<u32> = (0..ROWS).map(|_| server.connect("session-123")).collect();
    let frame = text_frame(&plain_envelope(MESSAGE_BYTES));
    let expected_bytes = ROWS as usize * MESSAGE_BYTES;
    Box::new(move || {
        let written = server.net.sockets().written_bytes;
        server.net.send(slots[0], &frame);
        for _ in 0..FAN_OUT_TICKS {
            server.tick();
        }
        assert!(server.net.sockets().written_bytes - written > expected_bytes, "every member has the message");
    })
}

fn connect() -> Operation {
    let mut server = Server::start();
    Box::new(move || {
        let slot = server.connect("session-123");
        server.close(slot);
    })
}
