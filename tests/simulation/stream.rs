//! A client's end of a stream of events.

use serde_json::Value;

use super::event_stream::{Dispatched, Parser};
use super::http::take_head;
use super::network::{LinkId, Network};
use super::socket::Event;

pub struct Stream {
    pub link: LinkId,
    /// The server has answered.
    is_answered: bool,
    /// It has refused, or told that it closes.
    is_closed: bool,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    parser: Parser,
    /// The last event id, once there is one.
    pub last_id: String,
}

impl Stream {
    pub fn open(link: LinkId, request: Vec<u8>) -> Self {
        Self {
            link,
            is_answered: false,
            is_closed: false,
            inbox: Vec::new(),
            outbox: request,
            parser: Parser::default(),
            last_id: String::new(),
        }
    }

    /// Hands the network what it takes.
    pub fn flush(&mut self, network: &mut Network) {
        let sent = network.send(self.link, &self.outbox);
        self.outbox.drain(..sent);
    }

    pub const fn is_flushed(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Reads at most `bytes_max` bytes; what they bring.
    pub fn receive(&mut self, network: &mut Network, bytes_max: usize) -> Vec<Event> {
        let received = network.receive(self.link, bytes_max);
        self.inbox.extend(received.bytes);
        let mut events = Vec::new();
        if !self.is_answered {
            events.extend(self.take_answer());
        }
        if self.is_answered && !self.is_closed {
            let bytes = std::mem::take(&mut self.inbox);
            for event in self.parser.take(&bytes) {
                self.take_event(event, &mut events);
            }
        }
        if received.is_over {
            events.push(Event::Over);
        }
        events
    }

    fn take_answer(&mut self) -> Option<Event> {
        let head = take_head(&mut self.inbox)?;
        self.is_answered = true;
        self.is_closed = head.status != 200;
        if self.is_closed {
            return Some(Event::Refused(head.status));
        }
        assert_eq!(head.header("Content-Type"), Some("text/event-stream"));
        Some(Event::Upgraded)
    }

    fn take_event(&mut self, event: Dispatched, events: &mut Vec<Event>) {
        let Dispatched { name, data, last_id } = event;
        assert!(!self.is_closed, "an event after the stream's end: {data}");
        let is_moved = last_id != self.last_id;
        match &*name {
            "" => events.push(Event::Text(data)),
            "close" => {
                assert!(!is_moved, "the event that ends the stream has an id");
                self.is_closed = true;
                let payload: Value = serde_json::from_str(&data).expect("the server sends JSON");
                let code = payload["code"].as_u64().and_then(|code| u16::try_from(code).ok());
                events.push(Event::Closed(code));
            }
            other => panic!("an event of the type {other}"),
        }
        if is_moved {
            self.last_id.clone_from(&last_id);
            events.push(Event::Cursor(last_id));
        }
    }
}
