//! `bare-echo`: the physical limit to compare a server with. One thread and one poll; a readiness is one read, unmasking,
//! and one write of all frames echoed. Payloads are not looked at, but for the first: a client that begins with an
//! `authentication` message gets a canned success, so that the scenario `echo` runs against it too.

use std::io::{self, ErrorKind, Write};
use std::mem;
use std::net::{Ipv4Addr, SocketAddr};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};
use slab::Slab;
use socket2::{Domain, Socket, Type};
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::envelope::contains;
use crate::frame::{self, Frame, ReadBuffer, Sender};
use crate::handshake;
use crate::limits::{HEAD_BYTES_MAX, READ_CHUNK_BYTES};

const LISTENER: Token = Token(usize::MAX);
const BACKLOG: i32 = 4096;
const EVENTS: usize = 1024;
const WELCOME: &[u8] = br#"{"id":"welcome","type":"authentication","payload":{"success":true}}"#;

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Upgrade,
    /// The first frame may be an authentication.
    First,
    Echo,
}

struct Row {
    socket: TcpStream,
    stage: Stage,
    /// The start of an incomplete frame or head.
    tail: Vec<u8>,
    /// What the socket did not take yet.
    unwritten: Vec<u8>,
}

/// The peer's fault: its connection is closed.
struct Bad;

/// The server. Its port is known before it runs.
pub struct BareEcho {
    poll: Poll,
    listener: TcpListener,
    rows: Slab<Row>,
    buffer: ReadBuffer,
    /// The frames of one readiness, gathered.
    out: Vec<u8>,
}

impl BareEcho {
    /// Listens on a port of the loopback address; 0 takes a free one.
    pub fn bind(port: u16) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        let mut listener = TcpListener::from_std(socket.into());
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self { poll, listener, rows: Slab::new(), buffer: ReadBuffer::new(), out: Vec::new() })
    }

    pub fn port(&self) -> io::Result<u16> {
        Ok(self.listener.local_addr()?.port())
    }

    /// Serves until the process is ended.
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                if event.token() == LISTENER {
                    self.accept()?;
                } else {
                    self.serve(event.token().0, event.is_read_closed());
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((socket, _)) => self.add(socket)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // The peer has gone before it was accepted.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn add(&mut self, mut socket: TcpStream) -> io::Result<()> {
        socket.set_nodelay(true)?;
        let entry = self.rows.vacant_entry();
        register(self.poll.registry(), &mut socket, Token(entry.key()))?;
        entry.insert(Row { socket, stage: Stage::Upgrade, tail: Vec::new(), unwritten: Vec::new() });
        Ok(())
    }

    fn serve(&mut self, key: usize, closing: bool) {
        let Some(row) = self.rows.get_mut(key) else {
            return;
        };
        if row.turn(&mut self.buffer, &mut self.out, closing).is_err() {
            self.rows.remove(key);
        }
    }
}

fn register(registry: &Registry, socket: &mut TcpStream, token: Token) -> io::Result<()> {
    registry.register(socket, token, Interest::READABLE | Interest::WRITABLE)
}

impl Row {
    /// Writes what was left, then reads and echoes until the socket is drained. While a peer does not take its echoes,
    /// nothing more is read from it.
    fn turn(&mut self, buffer: &mut ReadBuffer, out: &mut Vec<u8>, closing: bool) -> Result<(), Bad> {
        let mut unwritten = mem::take(&mut self.unwritten);
        if !unwritten.is_empty() {
            self.write(&mut unwritten)?;
        }
        while self.unwritten.is_empty() {
            let read = match buffer.fill(&mut self.tail, &mut self.socket) {
                Ok(0) => return Err(Bad),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Err(Bad),
            };
            let used = self.echo(buffer.filled(), out)?;
            self.tail.extend_from_slice(&buffer.filled()[used..]);
            self.write(out)?;
            if read < READ_CHUNK_BYTES && !closing {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Appends the answers to the whole frames (or the head) in `bytes`; returns how many bytes they are.
    fn echo(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<usize, Bad> {
        let mut used = 0;
        if self.stage == Stage::Upgrade {
            match handshake::head_length(bytes) {
                Some(length) => used = length,
                None if bytes.len() > HEAD_BYTES_MAX => return Err(Bad),
                None => return Ok(0),
            }
            out.extend_from_slice(handshake::response(&bytes[..used]).ok_or(Bad)?.as_bytes());
            self.stage = Stage::First;
        }
        while let Some(frame) = frame::parse_frame(&bytes[used..], Sender::Client).map_err(|_| Bad)? {
            self.answer(&frame, &bytes[used..][frame.payload.clone()], out);
            used += frame.payload.end;
        }
        Ok(used)
    }

    fn answer(&mut self, frame: &Frame, payload: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        let opcode = match frame.opcode {
            OpCode::Control(Control::Ping) => OpCode::Control(Control::Pong),
            OpCode::Control(Control::Pong) => return,
            opcode => opcode,
        };
        frame::push_header(out, opcode, None, payload.len());
        let body = out.len();
        out.extend_from_slice(payload);
        frame::apply_mask(&mut out[body..], frame.key.unwrap_or_default());
        if self.stage == Stage::First && opcode == OpCode::Data(Data::Text) {
            self.stage = Stage::Echo;
            if contains(&out[body..], br#""type":"authentication""#) {
                out.truncate(start);
                frame::push_frame(out, opcode, None, WELCOME);
            }
        }
    }

    /// Writes `out` and empties it; what the socket does not take is kept.
    fn write(&mut self, out: &mut Vec<u8>) -> Result<(), Bad> {
        let mut written = 0;
        while written < out.len() {
            match self.socket.write(&out[written..]) {
                Ok(count) if count > 0 => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.unwritten.extend_from_slice(&out[written..]);
                    break;
                }
                Ok(_) | Err(_) => return Err(Bad),
            }
        }
        out.clear();
        Ok(())
    }
}
