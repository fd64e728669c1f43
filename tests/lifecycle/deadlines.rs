//! Deadlines of connections: heartbeats, and the time to authenticate.

use super::common::client::{Client, envelope};
use super::common::frame::{Frame, PING, PONG};
use super::common::json;
use super::common::server::{Env, TestServer};
use super::common::status;
use super::common::tcp::Arrival;
use super::common::websocket::Event;
use simd_json::json;
use simd_json::prelude::*;
use std::thread;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(300);
const TIMEOUT: Duration = Duration::from_millis(200);
const HEARTBEATS: Env = &[("WEBSOCKET_HEARTBEAT_INTERVAL", "300"), ("WEBSOCKET_HEARTBEAT_TIMEOUT", "200")];

/// Long enough for a client that is missed to be missed several times.
const LONG: Duration = Duration::from_millis(2_000);

/// What a busy machine may take longer.
const LATE: Duration = Duration::from_millis(1_500);

#[test]
fn a_client_that_does_not_answer_is_closed_in_time() {
    let server = TestServer::spawn_process(HEARTBEATS);
    let start = Instant::now();
    let mut silent = Client::connect(server.address, "silent", "s1");
    assert_eq!(silent.ws.read_frame().opcode, PING);
    let pinged = start.elapsed();
    assert!(pinged >= INTERVAL && pinged <= INTERVAL + LATE, "the ping came after {pinged:?}");
    match silent.ws.next_by(start + LONG + LATE, false) {
        Event::Closed { code: Some(4008), .. } => {}
        event => panic!("expected close 4008, not {event:?}"),
    }
    let closed = start.elapsed();
    assert!(closed >= INTERVAL + TIMEOUT && closed <= INTERVAL + TIMEOUT + LATE, "closed after {closed:?}");
    status::expect(server.address, "memberships", 0);
}

/// The one that answers lives, beside one in the same session that does not.
#[test]
fn a_client_that_answers_lives() {
    let server = TestServer::spawn_process(HEARTBEATS);
    let _silent = Client::connect(server.address, "silent", "s1");
    let mut client = Client::connect(server.address, "answers", "s1");
    let end = Instant::now() + LONG;
    let mut pings = 0;
    while let Ok(frame) = client.ws.read_frame_by(end) {
        assert_eq!(frame.opcode, PING, "{frame:?}");
        pings += 1;
        client.ws.send(&Frame::new(PONG, frame.payload));
    }
    assert!((3..=8).contains(&pings), "{pings} pings in {LONG:?}");
    client.round_trip("alive");
    status::expect(server.address, "connections.authenticated", 1);
}

/// A client that talks but ignores every ping lives, too.
#[test]
fn a_client_that_talks_lives() {
    let server = TestServer::spawn_process(HEARTBEATS);
    let mut client = Client::connect(server.address, "talks", "s1");
    let end = Instant::now() + LONG;
    for number in 0.. {
        let id = format!("talk-{number}");
        client.send(&envelope(&id, "custom", json!({})));
        expect_own(&mut client, &id);
        if Instant::now() >= end {
            break;
        }
        // The pace of the client: well within interval and timeout.
        thread::sleep(TIMEOUT / 2);
    }
}

/// Waits for the own message without answering pings.
#[track_caller]
fn expect_own(client: &mut Client, id: &str) {
    match client.ws.next_by(Instant::now() + LATE, false) {
        Event::Text(text) => assert!(json::is(&json::parse(&text), "id", id), "{text}"),
        event => panic!("expected {id}, not {event:?}"),
    }
}

/// With the feature, heartbeat messages come besides pings; answering them is a sign of life, and is not answered.
#[test]
fn heartbeat_messages_come_to_those_who_ask() {
    let server = TestServer::spawn_process(HEARTBEATS);
    let mut client = Client::connect_with(server.address, json!({"token": "user-1", "features": ["heartbeat"]}));
    let mut plain = Client::connect(server.address, "user-2", "s1");
    let end = Instant::now() + LONG;
    let mut heartbeats = 0;
    while let Event::Text(text) = client.ws.next_by(end, false) {
        let heartbeat = json::parse(&text);
        assert!(json::is(&heartbeat, "type", "heartbeat"), "{text}");
        assert!(heartbeat.get("replyTo").is_none(), "an answer was answered: {text}");
        heartbeats += 1;
        let id = json::string(&heartbeat, "id");
        client.send(&json!({"id": "h", "type": "heartbeat", "replyTo": id, "payload": {}}));
    }
    assert!((3..=8).contains(&heartbeats), "{heartbeats} heartbeats in {LONG:?}");
    client.expect_nothing();
    // Not asked for, so none came; this one was silent and is gone.
    assert!(matches!(plain.ws.next_by(Instant::now() + LATE, false), Event::Closed { code: Some(4008), .. }));
}

const DEADLINE: Duration = Duration::from_millis(400);
const SHORT_DEADLINE: Env = &[("HASHI_AUTH_DEADLINE_MS", "400")];

#[test]
fn a_client_that_does_not_authenticate_is_closed_in_time() {
    let server = TestServer::spawn_process(SHORT_DEADLINE);
    let start = Instant::now();
    let mut silent = Client::anonymous(server.address);
    silent.ws.expect_close_within(4004, DEADLINE + LATE);
    let elapsed = start.elapsed();
    assert!(elapsed >= DEADLINE, "closed after {elapsed:?}");
}

/// Nothing but an authentication counts: not pings, nor other messages, nor one that is malformed.
#[test]
fn talking_does_not_put_the_deadline_off() {
    let server = TestServer::spawn_process(SHORT_DEADLINE);
    let start = Instant::now();
    let mut talking = Client::anonymous(server.address);
    let end = start + DEADLINE + LATE;
    let code = loop {
        assert!(Instant::now() < end, "still open after {:?}", start.elapsed());
        // Ok because the server may have closed; the next read tells.
        let _ = talking.ws.tcp.try_send(Frame::new(PING, "").encode());
        let _ = talking.ws.tcp.try_send(Frame::text(r#"{"id":"h","type":"heartbeat"}"#).encode());
        match talking.ws.next_by(Instant::now() + DEADLINE / 4, true) {
            Event::Text(text) => assert!(text.contains("authentication_required"), "{text}"),
            Event::Nothing => {}
            Event::Closed { code, .. } => break code,
            event => panic!("{event:?}"),
        }
        // The pace of the client: fewer than 20 errors before the deadline.
        thread::sleep(DEADLINE / 8);
    };
    assert_eq!(code, Some(4004));
    assert!(start.elapsed() >= DEADLINE, "closed after {:?}", start.elapsed());
}

#[test]
fn an_authenticated_client_has_no_deadline() {
    let server = TestServer::spawn_process(SHORT_DEADLINE);
    let mut client = Client::connect(server.address, "user-1", "s1");
    assert_eq!(client.ws.tcp.fill(Instant::now() + 3 * DEADLINE), Arrival::Nothing);
    client.round_trip("alive");
}
