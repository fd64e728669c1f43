//! The server's side of the simulated network: what [`MioNet`](hashi::reactor::MioNet) and the machine's clock are outside.

use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice};
use std::rc::Rc;
use std::time::Duration;

use hashi::delivery::Moment;
use hashi::reactor::{Clock, Net, Ready};
use hashi::tables::connections::Address;

use super::network::{Broken, LinkId, Network};

pub type Shared = Rc<RefCell<Network>>;

/// Loopback, as IPv6 writes it.
const LOOPBACK: Address = Address { ip: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1], port: 1 };

pub struct SimNet(pub Shared);

impl Net for SimNet {
    type Socket = LinkId;

    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let timeout = timeout.expect("the simulation never lets the loop wait without end");
        self.0.borrow_mut().poll(timeout, ready);
        Ok(())
    }

    fn accept(&mut self) -> io::Result<(LinkId, Address)> {
        match self.0.borrow_mut().accept() {
            Some(Some(id)) => Ok((id, LOOPBACK)),
            Some(None) => Err(ErrorKind::ConnectionAborted.into()),
            None => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn attach(&mut self, slot: u32, id: LinkId) -> io::Result<()> {
        self.0.borrow_mut().attach(slot, id);
        Ok(())
    }

    fn refuse(&mut self, id: LinkId, answer: &[u8]) {
        let mut network = self.0.borrow_mut();
        let _ = network.write(id, answer);
        network.finish_down(id);
        network.close(id);
    }

    fn refuse_without_descriptor(&mut self, _: &[u8]) {
        unreachable!("the simulation has descriptors enough");
    }

    fn read(&mut self, slot: u32, buffer: &mut [u8]) -> io::Result<usize> {
        let mut network = self.0.borrow_mut();
        let id = network.link_of(slot);
        outcome(network.read(id, buffer))
    }

    fn write(&mut self, slot: u32, bytes: &[u8]) -> io::Result<usize> {
        let mut network = self.0.borrow_mut();
        let id = network.link_of(slot);
        outcome(network.write(id, bytes))
    }

    fn write_vectored(&mut self, slot: u32, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        self.write(slot, &bytes)
    }

    fn shutdown_write(&mut self, slot: u32) {
        let mut network = self.0.borrow_mut();
        let id = network.link_of(slot);
        network.finish_down(id);
    }

    fn close(&mut self, slot: u32) {
        let mut network = self.0.borrow_mut();
        let id = network.link_of(slot);
        network.close(id);
    }
}

fn outcome(result: Result<Option<usize>, Broken>) -> io::Result<usize> {
    match result {
        Ok(Some(count)) => Ok(count),
        Ok(None) => Err(ErrorKind::WouldBlock.into()),
        Err(Broken) => Err(ErrorKind::ConnectionReset.into()),
    }
}

/// The simulated time. Looking at it takes some.
pub struct SimClock(pub Shared);

impl Clock for SimClock {
    fn now(&mut self) -> Moment {
        let network = self.0.borrow();
        Moment { ns: network.now_ns(), unix_ms: network.unix_ms() }
    }

    fn now_ns(&mut self) -> u64 {
        self.0.borrow_mut().spend()
    }
}
