//! A client's end of a WebSocket: the opening handshake, frames, and bytes that wait to be sent.

use super::common::frame::{self, CLOSE, Frame, PING, PONG, TEXT};
use super::dice::Dice;
use super::http::take_head;
use super::network::{LinkId, Network};
use super::socket::Event;

const HEADERS: &str = "Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

pub struct WebSocket {
    pub link: LinkId,
    is_upgraded: bool,
    /// The server's close frame has come.
    is_closed: bool,
    /// Bytes received that are no whole frame yet.
    inbox: Vec<u8>,
    /// Bytes that the network has not taken yet.
    outbox: Vec<u8>,
}

impl WebSocket {
    /// Asks for the upgrade, with a ticket if it has one.
    pub fn open(link: LinkId, ticket: Option<&str>) -> Self {
        let query = ticket.map_or(String::new(), |code| format!("?ticket={code}"));
        let request = format!("GET /ws{query} HTTP/1.1\r\n{HEADERS}");
        Self { link, is_upgraded: false, is_closed: false, inbox: Vec::new(), outbox: request.into() }
    }

    /// Sends a text, sometimes in fragments with a ping between them.
    pub fn send_text(&mut self, text: &str, dice: &mut Dice) {
        let mask = [dice.below(256) as u8, dice.below(256) as u8, 7, 9];
        if text.len() < 2 || !dice.chance(5) {
            self.send_frame(&Frame::text(text).with_mask(mask));
            return;
        }
        let (first, rest) = text.as_bytes().split_at(1 + dice.below(text.len() - 1));
        self.send_frame(&Frame::new(TEXT, first).with_mask(mask).not_final());
        self.send_frame(&Frame::new(PING, b"between"));
        self.send_frame(&Frame::new(frame::CONTINUATION, rest).with_mask(mask));
    }

    pub fn send_close(&mut self) {
        self.send_frame(&Frame::close(1000, ""));
    }

    fn send_frame(&mut self, frame: &Frame) {
        self.outbox.extend(frame.encode());
    }

    /// Hands the network what it takes.
    pub fn flush(&mut self, network: &mut Network) {
        let sent = network.send(self.link, &self.outbox);
        self.outbox.drain(..sent);
    }

    pub const fn is_flushed(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Reads at most `bytes_max` bytes; what they bring. Pings are answered.
    pub fn receive(&mut self, network: &mut Network, bytes_max: usize) -> Vec<Event> {
        let received = network.receive(self.link, bytes_max);
        self.inbox.extend(received.bytes);
        let mut events = Vec::new();
        while let Some(event) = self.next_event() {
            events.extend(event);
        }
        if received.is_over {
            events.push(Event::Over);
        }
        events
    }

    /// `None` when more bytes are needed; `None` inside for a frame that the client need not hear of.
    fn next_event(&mut self) -> Option<Option<Event>> {
        if !self.is_upgraded {
            return self.take_upgrade().map(Some);
        }
        let (frame, used) = frame::decode(&self.inbox)?;
        self.inbox.drain(..used);
        assert!(frame.fin, "the server does not fragment");
        assert!(!self.is_closed, "the server sent {frame:?} after its close frame");
        Some(match frame.opcode {
            TEXT => Some(Event::Text(String::from_utf8(frame.payload).expect("the server sends UTF-8"))),
            PING => {
                self.send_frame(&Frame::new(PONG, frame.payload));
                None
            }
            PONG => None,
            CLOSE => {
                self.is_closed = true;
                Some(Event::Closed(frame.close_code().0))
            }
            other => panic!("the server sent opcode {other:#x}"),
        })
    }

    fn take_upgrade(&mut self) -> Option<Event> {
        let head = take_head(&mut self.inbox)?;
        self.is_upgraded = head.status == 101;
        if !self.is_upgraded {
            self.inbox.clear();
            return Some(Event::Refused(head.status));
        }
        Some(Event::Upgraded)
    }
}
