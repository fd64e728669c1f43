//! The feature `batch`: what one drain holds for a client comes as one JSON array, in the same order.

use super::common::WS_PATH;
use super::common::client::Client;
use super::common::json;
use super::common::server::TestServer;
use super::common::tcp::Tcp;
use super::common::wait::PATIENCE;
use super::common::websocket::{Event, WebSocket};
use super::received::numbered;
use super::stalled::{SESSION, counter, entries, message, publish_all, sized, stable_entries};
use super::{ROOMY, TEN, start};
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;
use std::time::Instant;

const MESSAGES_MAX: usize = 64;
const BYTES_MAX: usize = 64 << 10;

/// A client that takes arrays, and what came.
struct Reader {
    ws: WebSocket,
    /// By frame: how many messages, and how many bytes.
    frames: Vec<(usize, usize)>,
    messages: Vec<OwnedValue>,
}

impl Reader {
    #[track_caller]
    fn connect(server: &TestServer, features: &[&str]) -> Self {
        let tcp = Tcp::connect_narrow(server.address, 4_096);
        let ws = WebSocket::upgrade(tcp, server.address, WS_PATH, &[]);
        let mut reader = Self { ws, frames: Vec::new(), messages: Vec::new() };
        let payload = json!({"token": "reader", "sessionId": SESSION, "features": features.to_vec()});
        reader.ws.text(&json!({"id": "a1", "type": "authentication", "payload": payload}).encode());
        reader.read_frame();
        reader
    }

    #[track_caller]
    fn read_frame(&mut self) {
        let text = match self.ws.next_by(Instant::now() + PATIENCE, true) {
            Event::Text(text) => text,
            event => panic!("a message or an array, not {event:?}"),
        };
        let before = self.messages.len();
        match json::parse(&text) {
            OwnedValue::Array(array) => self.messages.extend(*array),
            message => self.messages.push(message),
        }
        self.frames.push((self.messages.len() - before, text.len()));
    }

    #[track_caller]
    fn read_until(&mut self, id: &str) {
        while !self.messages.iter().any(|message| json::is(message, "id", id)) {
            self.read_frame();
        }
    }

    fn ids(&self) -> Vec<&str> {
        let is_published = |message: &&OwnedValue| message.get("seq").is_some();
        self.messages.iter().filter(is_published).map(|message| json::string(message, "id")).collect()
    }

    /// Frames with several messages.
    fn arrays(&self) -> Vec<(usize, usize)> {
        self.frames.iter().copied().filter(|(messages, _)| *messages > 1).collect()
    }
}

#[track_caller]
fn flood(server: &TestServer, ids: &[String], bytes: usize) {
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    publish_all(&mut publisher, &ids.iter().map(|id| sized(id, "normal", bytes)).collect::<Vec<_>>());
    publisher.ws.close();
}

#[test]
fn what_waits_comes_as_arrays_within_their_limits() {
    for bytes in [10, 1_000, 5_000] {
        let server = start(ROOMY);
        let mut reader = Reader::connect(&server, &["batch"]);
        let ids = numbered("m", 1..=600);
        flood(&server, &ids, bytes);
        reader.read_until("m-600");
        assert_eq!(reader.ids(), ids, "each once and in order");
        let arrays = reader.arrays();
        assert!(arrays.len() > 2, "hardly an array among {:?}", reader.frames);
        assert!(arrays.iter().all(|(count, length)| *count <= MESSAGES_MAX && *length <= BYTES_MAX), "{arrays:?}");
        assert_eq!(counter(&server, "arrays"), arrays.len());
    }
}

/// One that is alone is not wrapped, and neither is what a client gets that has not asked for arrays.
#[test]
fn one_message_goes_bare() {
    let server = start(ROOMY);
    let mut reader = Reader::connect(&server, &["batch"]);
    for number in 1..=5 {
        let id = format!("m-{number}");
        flood(&server, std::slice::from_ref(&id), 10);
        reader.read_until(&id);
    }
    assert_eq!(reader.arrays(), []);
    let mut plain = Reader::connect(&server, &["resume"]);
    let ids = numbered("n", 1..=300);
    flood(&server, &ids, 1_000);
    plain.read_until("n-300");
    assert_eq!((plain.ids(), plain.arrays()), (ids.iter().map(String::as_str).collect(), vec![]));
}

/// A client that stops in the middle of an array and goes on: the rest of the frame comes first, and nothing is lost or twice,
/// although the row is behind by then.
#[test]
fn an_array_that_is_cut_short_is_finished() {
    let server = start(TEN);
    let mut reader = Reader::connect(&server, &["batch"]);
    let ids = numbered("m", 1..=200);
    flood(&server, &ids, 2_000);
    stable_entries(&server);
    reader.read_until("m-200");
    assert_eq!(reader.ids(), ids);
    assert_eq!(counter(&server, "catchUps"), 1, "the reader was fast after all");
    assert_eq!(entries(&server), 0);
}

/// `high` comes first within an array, too.
#[test]
fn the_order_is_that_of_the_queue() {
    let server = start(ROOMY);
    let mut reader = Reader::connect(&server, &["batch"]);
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    let mixed = ["low", "normal", "high", "low", "normal", "high"].iter().enumerate();
    let messages: Vec<_> = mixed.map(|(at, priority)| message(&format!("{priority}-{at}"), priority)).collect();
    publish_all(&mut publisher, &messages);
    reader.read_until("low-3");
    assert_eq!(reader.ids(), ["high-2", "high-5", "normal-1", "normal-4", "low-0", "low-3"]);
}

/// A close frame is none of the messages.
#[test]
fn the_close_comes_behind_the_last_array() {
    let server = start(ROOMY);
    let mut reader = Reader::connect(&server, &["batch"]);
    flood(&server, &numbered("m", 1..=20), 100);
    reader.read_until("m-20");
    for _ in 0..21 {
        reader.ws.text("not an envelope");
    }
    let deadline = Instant::now() + PATIENCE;
    let code = loop {
        match reader.ws.next_by(deadline, true) {
            Event::Text(_) => {}
            Event::Closed { code, .. } => break code,
            event => panic!("a close, not {event:?}"),
        }
    };
    assert_eq!(code, Some(4529));
}
