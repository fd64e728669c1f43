//! What the loop asks of the operating system. `MioNet` is the real one; a simulation has its own.

use std::io::{self, IoSlice};
use std::time::Duration;

use crate::delivery::Moment;
use crate::tables::connections::Address;

/// What a socket, or the listener, is ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// New connections wait.
    Accept,
    /// Another thread woke the loop.
    Wake,
    /// A row's socket. Readiness is edge-triggered: it is told once.
    Socket {
        /// The row.
        slot: u32,
        /// Bytes, or the end of them, may be read.
        readable: bool,
        /// Bytes may be written.
        writable: bool,
        /// The peer sends no more: reading until the end is needed to see it.
        hung_up: bool,
    },
}

/// Sockets by row, and the wait for them.
pub trait Net {
    /// A socket that has no row yet.
    type Socket;

    /// Waits until something is ready or `timeout` has passed; appends what is ready.
    ///
    /// # Errors
    /// Only what the loop cannot survive.
    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()>;

    /// Takes a new connection, if one waits.
    ///
    /// # Errors
    /// `WouldBlock` when none waits; others as the system gives them.
    fn accept(&mut self) -> io::Result<(Self::Socket, Address)>;

    /// Gives a socket its row and begins to watch it.
    ///
    /// # Errors
    /// When the system cannot watch it.
    fn attach(&mut self, slot: u32, socket: Self::Socket) -> io::Result<()>;

    /// Answers a connection that gets no row, as far as that works without waiting, and closes it.
    fn refuse(&mut self, socket: Self::Socket, answer: &[u8]);

    /// Refuses one waiting connection although the process has no file descriptor left.
    fn refuse_without_descriptor(&mut self, answer: &[u8]);

    /// Reads into `buffer`. Zero is the end.
    ///
    /// # Errors
    /// As the system gives them.
    fn read(&mut self, slot: u32, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes some of `bytes`.
    ///
    /// # Errors
    /// As the system gives them.
    fn write(&mut self, slot: u32, bytes: &[u8]) -> io::Result<usize>;

    /// Writes some of `slices`.
    ///
    /// # Errors
    /// As the system gives them.
    fn write_vectored(&mut self, slot: u32, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Tells the peer that nothing more comes.
    fn shutdown_write(&mut self, slot: u32);

    /// Closes the row's socket.
    fn close(&mut self, slot: u32);
}

/// Where the time comes from.
pub trait Clock {
    /// The time now.
    fn now(&mut self) -> Moment;

    /// Monotonic nanoseconds now, the same as in [`Clock::now`].
    fn now_ns(&mut self) -> u64;
}
