//! One client connection: a row of the reactor's table. It holds a socket, where the connection stands, and bytes only
//! while a frame is half read or half written, so that an idle row is small.

use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::error::ConnectionError;
use crate::frame::ReadBuffer;
use crate::limits::{READ_CHUNK_BYTES, SLOW_RECEIVE_BYTES};
use crate::scenarios::{Identity, Role};

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No socket.
    Closed,
    /// Waiting for TCP.
    Connecting,
    /// Waiting for the answer to the upgrade.
    Upgrading,
    /// Waiting for the welcome.
    Authenticating,
    Ready,
    /// A close frame was sent; waiting for the server's.
    Closing,
}

impl Phase {
    /// Whether it is on the way to `Ready`.
    pub fn is_opening(self) -> bool {
        matches!(self, Self::Connecting | Self::Upgrading | Self::Authenticating)
    }

    /// What the phase waits for, if it may not last.
    pub fn awaits(self) -> Option<&'static str> {
        match self {
            Self::Closed | Self::Ready => None,
            Self::Connecting => Some("connection"),
            Self::Upgrading => Some("answer to the upgrade"),
            Self::Authenticating => Some("answer to the authentication"),
            Self::Closing => Some("answer to the close"),
        }
    }
}

/// What a read found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOutcome {
    /// Bytes are in the buffer; `drained` says that the socket holds no more.
    Bytes {
        drained: bool,
    },
    Nothing,
    End,
}

/// The row of one connection.
#[derive(Debug)]
pub struct Connection {
    socket: Option<TcpStream>,
    pub phase: Phase,
    pub identity: Identity,
    /// When it entered a phase that may not last.
    pub since: u64,
    /// The key of its upgrade; empty outside of it.
    pub key: String,
    /// The start of an incomplete frame or head.
    tail: Vec<u8>,
    /// Bytes to write; those before `written` are gone. Empty when all is written.
    pub out: Vec<u8>,
    written: usize,
    /// Whether the socket takes no more for now.
    blocked: bool,
    /// Whether it is in the reactor's list of rows to flush.
    pub dirty: bool,
    /// Whether nothing is read from it.
    pub paused: bool,
}

impl Connection {
    pub fn closed() -> Self {
        Self {
            socket: None,
            phase: Phase::Closed,
            identity: Identity::user(0),
            since: 0,
            key: String::new(),
            tail: Vec::new(),
            out: Vec::new(),
            written: 0,
            blocked: false,
            dirty: false,
            paused: false,
        }
    }

    /// Begins to connect.
    pub fn open(
        &mut self,
        identity: Identity,
        address: SocketAddr,
        registry: &Registry,
        token: Token,
    ) -> Result<(), ConnectionError> {
        assert_eq!(self.phase, Phase::Closed, "a row has one socket");
        (self.phase, self.identity) = (Phase::Connecting, identity);
        let connect = || {
            let mut socket = connect(address, identity.role)?;
            registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
            Ok(socket)
        };
        self.socket = Some(connect().map_err(ConnectionError::Connect)?);
        Ok(())
    }

    /// After an event while connecting: whether TCP is connected now.
    pub fn is_connected(&self) -> Result<bool, ConnectionError> {
        let Some(socket) = &self.socket else {
            return Ok(false);
        };
        let connected = || -> io::Result<bool> {
            if let Some(error) = socket.take_error()? {
                return Err(error);
            }
            match socket.peer_addr() {
                Ok(_) => socket.set_nodelay(true).map(|()| true),
                Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
                Err(error) => Err(error),
            }
        };
        connected().map_err(ConnectionError::Connect)
    }

    /// Reads once into the shared buffer, behind the row's own tail.
    pub fn read(&mut self, buffer: &mut ReadBuffer) -> Result<ReadOutcome, ConnectionError> {
        let Some(socket) = self.socket.as_mut().filter(|_| !self.paused) else {
            return Ok(ReadOutcome::Nothing);
        };
        loop {
            return match buffer.fill(&mut self.tail, socket) {
                Ok(0) => Ok(ReadOutcome::End),
                Ok(read) => Ok(ReadOutcome::Bytes { drained: read < READ_CHUNK_BYTES }),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(ReadOutcome::Nothing),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => Err(ConnectionError::Io(error)),
            };
        }
    }

    /// Keeps the bytes that are not a whole frame yet.
    pub fn keep(&mut self, tail: &[u8]) {
        if self.socket.is_some() {
            self.tail.extend_from_slice(tail);
        }
    }

    /// Writes what is waiting, as far as the socket takes it; whether all is written. The rest goes when the socket is
    /// writable again, of which the caller tells by `unblock`.
    pub fn flush(&mut self) -> Result<bool, ConnectionError> {
        let Some(socket) = self.socket.as_mut().filter(|_| !self.blocked) else {
            return Ok(self.out.is_empty());
        };
        while self.written < self.out.len() {
            match socket.write(&self.out[self.written..]) {
                Ok(0) => return Err(ConnectionError::Ended),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.block();
                    return Ok(false);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(ConnectionError::Io(error)),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(true)
    }

    /// The socket takes no more. What is written is dropped once it is the larger part, so that a row that always has
    /// more to write does not grow.
    fn block(&mut self) {
        self.blocked = true;
        if self.written > self.out.len() / 2 {
            self.out.drain(..self.written);
            self.written = 0;
        }
    }

    /// The socket takes bytes again.
    pub fn unblock(&mut self) {
        self.blocked = false;
    }

    /// Closes it at once: the server's side sees a reset, and the port is free again.
    pub fn cut(&mut self) {
        if let Some(socket) = &self.socket {
            // Without it, the connection ends like any other, which does no harm.
            SockRef::from(socket).set_linger(Some(Duration::ZERO)).ok();
        }
        self.close();
    }

    /// Drops the socket (which takes it out of the poll) and every byte.
    pub fn close(&mut self) {
        let dirty = self.dirty;
        *self = Self { dirty, ..Self::closed() };
    }
}

/// A socket that is connecting.
fn connect(address: SocketAddr, role: Role) -> io::Result<TcpStream> {
    if role != Role::Slow {
        return TcpStream::connect(address);
    }
    // The buffer's size must be known before the handshake, in which the window's scale is fixed.
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_recv_buffer_size(SLOW_RECEIVE_BYTES)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}
