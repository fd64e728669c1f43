//! A stream whose client does not read: it falls behind and is fed from history, or is closed.

use super::common::client::{Client, envelope};
use super::common::frame::Frame;
use super::common::json;
use super::common::server::{Env, TestServer};
use super::common::status;
use super::common::tcp::Tcp;
use super::common::wait::{self, PATIENCE};
use super::reader::Reader;
use super::stream::Stream;
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;

const NARROW_BYTES: usize = 4_096;
/// More than any kernel takes from a socket with a limit of 64 KiB on what is not sent.
const MESSAGES: usize = 800;
const PAYLOAD_BYTES: usize = 8 * 1_024;

const DEEP: Env = &[
    ("WEBSOCKET_MESSAGE_QUEUE_SIZE", "10"),
    ("HASHI_HISTORY_MESSAGES", "10000"),
    ("HASHI_HISTORY_BYTES", "64MiB"),
    ("HASHI_SLOW_MS", "60000"),
];

#[track_caller]
fn stalled(server: &TestServer) -> (Stream, Reader) {
    let tcp = Tcp::connect_narrow(server.address, NARROW_BYTES);
    let mut stream = Stream::over(tcp, server.address, "slow", "sessionId=s1&features=resume", &[]);
    let mut reader = Reader::default();
    reader.take(&stream.welcome());
    (stream, reader)
}

fn message(id: usize, priority: &str) -> OwnedValue {
    let payload = "x".repeat(PAYLOAD_BYTES);
    json!({"id": format!("m{id}"), "type": "custom", "priority": priority, "echo": false, "payload": payload})
}

#[track_caller]
fn publish_all(publisher: &mut Client, messages: impl Iterator<Item = OwnedValue>) {
    for message in messages {
        publisher.ws.send_bytes(Frame::text(message.encode()).encode());
    }
    publisher.send(&envelope("all", "heartbeat", json!({})));
    publisher.receive_where(|message| json::is(message, "replyTo", "all"));
}

#[track_caller]
fn counter(server: &TestServer, name: &str) -> u64 {
    json::number(&status::read(server.address), &format!("counters.{name}"))
}

#[test]
fn it_is_fed_from_history_and_loses_nothing() {
    let server = TestServer::spawn_process(DEEP);
    let (mut stream, mut reader) = stalled(&server);
    let mut publisher = Client::connect(server.address, "publisher", "s1");
    publish_all(&mut publisher, (1..=MESSAGES).map(|id| message(id, "normal")));
    assert!(counter(&server, "catchUps") > 0, "it did not fall behind");
    while reader.handled.len() < MESSAGES {
        let event = stream.next();
        reader.take(&event.json());
    }
    let expected: Vec<String> = (1..=MESSAGES).map(|id| format!("m{id}")).collect();
    assert_eq!(reader.handled, expected);
    let last = stream.last_id.clone().expect("an id");
    assert!(last.contains(&format!(":{MESSAGES},~:")), "{last}");
}

/// The cursor never passes what has not arrived, wherever the client stops reading.
#[test]
fn its_cursor_never_claims_too_much() {
    let server = TestServer::spawn_process(DEEP);
    let (mut stream, mut reader) = stalled(&server);
    let mut publisher = Client::connect(server.address, "publisher", "s1");
    publish_all(&mut publisher, (1..=MESSAGES).map(|id| message(id, ["low", "high", "normal"][id % 3])));
    for _ in 0..MESSAGES / 3 {
        let Some(event) = stream.next_or_end() else { break };
        if event.name.is_empty() && !json::is(&event.json(), "type", "hashi:position") {
            reader.take(&event.json());
        }
        let id = event.id.expect("an id");
        let claimed: u64 = id.split(',').next().and_then(|place| place.rsplit(':').next()).unwrap().parse().unwrap();
        assert!(claimed <= reader.places["s1"].seq, "{id} with {:?}", reader.places["s1"]);
    }
}

#[test]
fn one_that_takes_nothing_is_closed_with_4013() {
    let server = TestServer::spawn_process(&[("HASHI_SLOW_MS", "500"), ("HASHI_HISTORY_BYTES", "64MiB")]);
    let (mut stream, _) = stalled(&server);
    let mut publisher = Client::connect(server.address, "publisher", "s1");
    publish_all(&mut publisher, (1..=MESSAGES).map(|id| message(id, "normal")));
    let gone = || if json::number(&status::read(server.address), "connections.sse") == 0 { Ok(()) } else { Err(()) };
    wait::until(PATIENCE, gone).expect("it is closed");
    let mut come = 0;
    loop {
        let event = stream.next();
        if event.name == "close" {
            assert_eq!(json::number(&event.json(), "code"), 4013);
            assert!(json::is(&event.json(), "reason", "overloaded"));
            break;
        }
        come += 1;
        assert!(json::is(&event.json(), "id", &format!("m{come}")), "{}", event.json().encode());
    }
    let last_id = stream.last_id.clone().expect("an id has come");
    assert!(come > 0 && last_id.contains(&format!(":{come},~:")), "{come} have come: {last_id}");
    stream.tcp.expect_end(PATIENCE);
    publisher.round_trip("still-there");
}

/// A message to this connection alone that expires in its queue.
#[test]
fn it_is_told_of_what_expires_for_it() {
    let server = TestServer::spawn_process(&[("HASHI_SLOW_MS", "60000"), ("HASHI_HISTORY_BYTES", "64MiB")]);
    let tcp = Tcp::connect_narrow(server.address, NARROW_BYTES);
    let mut stream = Stream::over(tcp, server.address, "slow", "sessionId=s1", &[]);
    let id = json::string(&stream.welcome(), "payload.connectionId").to_owned();
    let mut publisher = Client::connect(server.address, "publisher", "s1");
    publish_all(&mut publisher, (1..=MESSAGES).map(|id| message(id, "normal")));
    let to = json!({"connectionId": id});
    let direct = json!({"id": "late", "type": "custom", "to": to, "expiresIn": 100, "payload": {}});
    publish_all(&mut publisher, [direct].into_iter());
    status::expect(server.address, "counters.expired", 1);
    let gap = loop {
        let message = stream.receive();
        if !json::is(&message, "type", "custom") {
            break message;
        }
        assert!(!json::is(&message, "id", "late"));
    };
    assert_eq!(gap["payload"], json!({"direct": 1, "reason": "expired"}), "{}", gap.encode());
}
