//! A client of an event stream: a raw socket, and events parsed as the HTML standard says.

use super::common::http;
use super::common::json;
use super::common::tcp::{Arrival, Tcp};
use super::common::wait::PATIENCE;
use simd_json::OwnedValue;
use std::net::SocketAddr;
use std::time::Instant;

/// One event, or one comment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub name: String,
    pub data: String,
    /// The stream's last id once this event is dispatched.
    pub id: Option<String>,
    pub is_comment: bool,
}

impl Event {
    #[track_caller]
    pub fn json(&self) -> OwnedValue {
        json::parse(&self.data)
    }
}

/// An open stream.
pub struct Stream {
    pub tcp: Tcp,
    /// The head of the answer.
    pub head: String,
    /// The id of the last event that was dispatched.
    pub last_id: Option<String>,
}

impl Stream {
    /// Opens a stream as `user` and reads the head of the answer.
    #[track_caller]
    pub fn open(address: SocketAddr, user: &str, query: &str, headers: &[(&str, &str)]) -> Self {
        Self::over(Tcp::connect(address), address, user, query, headers)
    }

    #[track_caller]
    pub fn over(mut tcp: Tcp, address: SocketAddr, user: &str, query: &str, headers: &[(&str, &str)]) -> Self {
        let token = format!("Bearer {user}");
        let headers = [&[("Authorization", token.as_str())], headers].concat();
        tcp.send(http::encode(address, "GET", &format!("/ws-api/events?{query}"), &headers, b""));
        Self::begin(tcp)
    }

    /// Reads the head of an answer that must be a stream.
    #[track_caller]
    pub fn begin(mut tcp: Tcp) -> Self {
        let deadline = Instant::now() + PATIENCE;
        let end = loop {
            if let Some(at) = tcp.pending().windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            assert_eq!(tcp.fill(deadline), Arrival::Bytes, "{}", String::from_utf8_lossy(tcp.pending()));
        };
        let head = String::from_utf8(tcp.pending()[..end].to_vec()).expect("a head is text");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(tcp.pending()));
        tcp.consume(end);
        Self { tcp, head, last_id: None }
    }

    /// The next event that is whole, if one is there.
    pub fn take(&mut self) -> Option<Event> {
        let end = self.tcp.pending().windows(2).position(|window| window == b"\n\n")?;
        let text = String::from_utf8(self.tcp.pending()[..end].to_vec()).expect("a stream is UTF-8");
        self.tcp.consume(end + 2);
        let mut event = Event::default();
        let mut data = Vec::new();
        for line in text.split('\n') {
            match line.split_once(": ").unwrap_or((line, "")) {
                ("data", value) => data.push(value),
                ("id", value) => self.last_id = Some(value.to_owned()),
                ("event", value) => event.name = value.to_owned(),
                (":", _) => event.is_comment = true,
                other => panic!("an unknown line {other:?} in {text:?}"),
            }
        }
        event.data = data.join("\n");
        event.id.clone_from(&self.last_id);
        Some(event)
    }

    /// The next event that is no comment, or `None` at the end of the stream.
    #[track_caller]
    pub fn next_or_end(&mut self) -> Option<Event> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.take() {
                Some(event) if event.is_comment => {}
                Some(event) => return Some(event),
                None => match self.tcp.fill(deadline) {
                    Arrival::Bytes => {}
                    Arrival::Nothing => panic!("no event came"),
                    Arrival::End | Arrival::Reset => return None,
                },
            }
        }
    }

    #[track_caller]
    pub fn next(&mut self) -> Event {
        self.next_or_end().expect("the stream goes on")
    }

    /// The next message.
    #[track_caller]
    pub fn receive(&mut self) -> OwnedValue {
        let event = self.next();
        assert_eq!(event.name, "", "a message, not {event:?}");
        event.json()
    }

    /// The next message, which must be the welcome.
    #[track_caller]
    pub fn welcome(&mut self) -> OwnedValue {
        let welcome = self.receive();
        assert!(json::is(&welcome, "type", "authentication"), "the welcome comes first");
        assert!(json::boolean(&welcome, "payload.success"));
        welcome
    }

    #[track_caller]
    pub fn expect_close(&mut self, code: u64) {
        let event = self.next();
        assert_eq!(event.name, "close", "{event:?}");
        assert_eq!(json::number(&event.json(), "code"), code);
        self.tcp.expect_end(PATIENCE);
    }
}
