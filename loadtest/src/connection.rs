//! One client connection: a row of the reactor's table. It holds a socket, where the connection stands, and bytes only
//! while a frame is half read or half written, so that an idle row is small.

use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::error::ConnectionError;
use crate::frame::{READ_CHUNK, ReadBuffer};
use crate::scenarios::Identity;

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
    /// Whether it is in the reactor's list of rows to flush.
    pub dirty: bool,
}

impl Connection {
    pub fn closed() -> Self {
        Self {
            socket: None,
            phase: Phase::Closed,
            identity: Identity { session: 0, echo: true },
            since: 0,
            key: String::new(),
            tail: Vec::new(),
            out: Vec::new(),
            written: 0,
            dirty: false,
        }
    }

    /// Begins to connect.
    pub fn open(&mut self, address: SocketAddr, registry: &Registry, token: Token) -> Result<(), ConnectionError> {
        assert_eq!(self.phase, Phase::Closed, "a row has one socket");
        let mut socket = TcpStream::connect(address).map_err(ConnectionError::Connect)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut socket, token, interest).map_err(ConnectionError::Connect)?;
        self.socket = Some(socket);
        self.phase = Phase::Connecting;
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
        let Some(socket) = &mut self.socket else {
            return Ok(ReadOutcome::Nothing);
        };
        loop {
            return match buffer.fill(&mut self.tail, socket) {
                Ok(0) => Ok(ReadOutcome::End),
                Ok(read) => Ok(ReadOutcome::Bytes { drained: read < READ_CHUNK }),
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
    /// writable again.
    pub fn flush(&mut self) -> Result<bool, ConnectionError> {
        let Some(socket) = &mut self.socket else {
            return Ok(true);
        };
        while self.written < self.out.len() {
            match socket.write(&self.out[self.written..]) {
                Ok(0) => return Err(ConnectionError::Ended),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(ConnectionError::Io(error)),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(true)
    }

    /// Drops the socket (which takes it out of the poll) and every byte.
    pub fn close(&mut self) {
        let dirty = self.dirty;
        *self = Self { dirty, ..Self::closed() };
    }
}
