//! A raw WebSocket client: frames as a test wants them, right or wrong.

use super::frame::{self, BINARY, CLOSE, CONTINUATION, Frame, MASK, PING, PONG, TEXT};
use super::http::{self, Response};
use super::tcp::{Arrival, Tcp};
use super::wait::PATIENCE;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The nonce of the example in RFC 6455, section 1.3.
pub const EXAMPLE_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// What came next on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Text(String),
    Binary(Vec<u8>),
    /// The server's close frame.
    Closed {
        code: Option<u16>,
        reason: String,
    },
    /// The connection ended without a close frame.
    Ended,
    /// The deadline passed.
    Nothing,
}

/// A connection after its upgrade.
pub struct WebSocket {
    pub tcp: Tcp,
    /// The opcode and the bytes of a message of which more fragments follow.
    partial: Option<(u8, Vec<u8>)>,
}

impl WebSocket {
    /// Connects and upgrades.
    #[track_caller]
    pub fn open(address: SocketAddr, path: &str) -> Self {
        Self::upgrade(Tcp::connect(address), address, path, &[])
    }

    /// Upgrades on `tcp`, with more headers.
    #[track_caller]
    pub fn upgrade(tcp: Tcp, address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Self {
        Self::try_upgrade(tcp, address, path, headers)
            .unwrap_or_else(|refused| panic!("101 for {path}, but: {refused:?}"))
            .0
    }

    /// Upgrades on `tcp`; an answer other than 101 is the error.
    #[track_caller]
    pub fn try_upgrade(
        mut tcp: Tcp,
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(Self, Response), Response> {
        tcp.send(upgrade_request(address, path, headers));
        let response = http::read_response(&mut tcp);
        if response.status == 101 { Ok((Self::over(tcp), response)) } else { Err(response) }
    }

    /// Takes a connection on which the upgrade has been answered.
    pub fn over(tcp: Tcp) -> Self {
        Self { tcp, partial: None }
    }

    #[track_caller]
    pub fn send_bytes(&mut self, bytes: impl AsRef<[u8]>) {
        self.tcp.send(bytes);
    }

    #[track_caller]
    pub fn send_frame(&mut self, fin: bool, rsv: u8, opcode: u8, masked: bool, payload: impl AsRef<[u8]>) {
        let mask = masked.then_some(MASK);
        self.send(&Frame { fin, rsv, opcode, mask, payload: payload.as_ref().to_vec() });
    }

    #[track_caller]
    pub fn send(&mut self, frame: &Frame) {
        self.tcp.send(frame.encode());
    }

    #[track_caller]
    pub fn text(&mut self, text: &str) {
        self.send(&Frame::text(text));
    }

    #[track_caller]
    pub fn binary(&mut self, bytes: &[u8]) {
        self.send(&Frame::new(BINARY, bytes));
    }

    #[track_caller]
    pub fn ping(&mut self, payload: &[u8]) {
        self.send(&Frame::new(PING, payload));
    }

    /// The next frame, whatever it is.
    #[track_caller]
    pub fn read_frame(&mut self) -> Frame {
        self.read_frame_by(Instant::now() + PATIENCE).unwrap_or_else(|none| panic!("a frame, but: {none:?}"))
    }

    /// The next frame until `deadline`; how the wait ended if there is none.
    #[track_caller]
    pub fn read_frame_by(&mut self, deadline: Instant) -> Result<Frame, Arrival> {
        loop {
            if let Some((frame, length)) = frame::decode(self.tcp.pending()) {
                self.tcp.consume(length);
                return Ok(frame);
            }
            match self.tcp.fill(deadline) {
                Arrival::Bytes => {}
                Arrival::Nothing if Instant::now() < deadline => {}
                ended => return Err(ended),
            }
        }
    }

    /// The next message or end, with pings answered and fragments joined.
    #[track_caller]
    pub fn next(&mut self) -> Event {
        self.next_within(PATIENCE)
    }

    #[track_caller]
    pub fn next_within(&mut self, within: Duration) -> Event {
        self.next_by(Instant::now() + within, true)
    }

    /// The next message or end until `deadline`. `answer` says whether pings get their pong.
    #[track_caller]
    pub fn next_by(&mut self, deadline: Instant, answer: bool) -> Event {
        loop {
            let frame = match self.read_frame_by(deadline) {
                Ok(frame) => frame,
                Err(Arrival::Nothing) => return Event::Nothing,
                Err(_) => return Event::Ended,
            };
            match frame.opcode {
                PING if answer => self.answer_ping(&frame.payload),
                PING | PONG => {}
                CLOSE => {
                    let (code, reason) = frame.close_code();
                    return Event::Closed { code, reason };
                }
                _ => {
                    if let Some(message) = self.join(frame) {
                        return message;
                    }
                }
            }
        }
    }

    fn answer_ping(&mut self, payload: &[u8]) {
        // Ok because a connection that ends now is seen by the next read.
        let _ = self.tcp.try_send(Frame::new(PONG, payload).encode());
    }

    #[track_caller]
    fn join(&mut self, frame: Frame) -> Option<Event> {
        let (opcode, mut bytes) = match (self.partial.take(), frame.opcode) {
            (Some(partial), CONTINUATION) => partial,
            (None, TEXT | BINARY) => (frame.opcode, Vec::new()),
            (partial, opcode) => panic!("opcode {opcode:#x} with {partial:?} begun (RFC 6455, 5.4)"),
        };
        bytes.extend(frame.payload);
        if !frame.fin {
            self.partial = Some((opcode, bytes));
            return None;
        }
        if opcode == BINARY {
            return Some(Event::Binary(bytes));
        }
        Some(Event::Text(String::from_utf8(bytes).expect("a server sends valid UTF-8 (RFC 6455, 5.6)")))
    }

    #[track_caller]
    pub fn expect_text(&mut self, expected: &str) {
        let event = self.next();
        assert!(event == Event::Text(expected.to_owned()), "expected the text {expected:?}, not {event:?}");
    }

    #[track_caller]
    pub fn expect_binary(&mut self, expected: &[u8]) {
        match self.next() {
            Event::Binary(bytes) => assert!(bytes == expected, "{} other bytes came back", bytes.len()),
            event => panic!("expected {} binary bytes, not {event:?}", expected.len()),
        }
    }

    /// Expects the next frame to be a pong with this payload.
    #[track_caller]
    pub fn expect_pong(&mut self, payload: &[u8]) {
        let frame = self.read_frame();
        assert_eq!((frame.opcode, frame.payload.as_slice()), (PONG, payload), "a pong with the ping's payload");
    }

    /// Expects the server to close with `code` before any further message, and returns the reason.
    #[track_caller]
    pub fn expect_close(&mut self, code: u16) -> String {
        self.expect_close_within(code, PATIENCE)
    }

    #[track_caller]
    pub fn expect_close_within(&mut self, code: u16, within: Duration) -> String {
        match self.next_within(within) {
            Event::Closed { code: came, reason } if came == Some(code) => reason,
            event => panic!("expected close {code}, not {event:?}"),
        }
    }

    /// Expects the server to fail the connection with `code`: its close frame, and after our answer the end of TCP.
    #[track_caller]
    pub fn expect_failure(&mut self, code: u16) {
        self.expect_close(code);
        // Ok because the server may hang up without our answer (RFC 6455, 7.1.7).
        let _ = self.tcp.try_send(Frame::close(code, "").encode());
        self.tcp.expect_end(PATIENCE);
    }

    /// Closes in order: sends 1000, expects it back and then the end of TCP.
    #[track_caller]
    pub fn close(mut self) {
        self.send(&Frame::close(1000, ""));
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.next_by(deadline, false) {
                Event::Text(_) | Event::Binary(_) => {}
                Event::Closed { code, .. } => break assert_eq!(code, Some(1000), "the code comes back"),
                event => panic!("expected close 1000, not {event:?}"),
            }
        }
        self.tcp.expect_end(PATIENCE);
    }
}

/// A valid upgrade request for `path`, with more headers.
pub fn upgrade_request(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let upgrade = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", EXAMPLE_KEY),
        ("Sec-WebSocket-Version", "13"),
    ];
    http::encode(address, "GET", path, &[&upgrade, headers].concat(), b"")
}
