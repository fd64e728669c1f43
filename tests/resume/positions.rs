//! `hashi:position`: where a client stands when its own counting would stop.

use super::common::client::{Client, envelope};
use super::common::flood::{message, numbered, publish_all, sized, with};
use super::common::json;
use super::common::server::TestServer;
use super::common::websocket::Event;
use super::memory::{Memory, USER};
use super::{SESSION, all_until, publish, server};
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;
use std::time::{Duration, Instant};

#[track_caller]
fn connect(server: &TestServer, user: &str, features: &[&str]) -> Client {
    let features = features.to_vec();
    Client::connect_with(server.address, json!({"token": user, "sessionId": SESSION, "features": features}))
}

#[track_caller]
fn expect_position(client: &mut Client, seq: u64) {
    let told = client.receive();
    assert!(json::is(&told, "type", "hashi:position"), "a position, not {}", told.encode());
    assert_eq!(told["payload"], json!({"sessionId": SESSION, "seq": seq}));
    assert!(json::is(&told, "priority", "high"), "{}", told.encode());
}

/// A client's own messages that do not come back: it must not wait for them.
#[test]
fn an_excluded_message_is_told_as_a_position() {
    let server = server();
    let mut client = connect(&server, "reader", &["resume"]);
    client.send(&message("own", "normal"));
    expect_position(&mut client, 1);
}

/// Whoever did not ask for it is not told, and neither is one that needs no telling.
#[test]
fn only_who_asked_and_needs_it_is_told() {
    let server = server();
    let mut plain = connect(&server, "plain", &[]);
    plain.send(&message("own", "normal"));
    plain.expect_nothing();
    let mut member = connect(&server, "member", &["resume"]);
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    publish(&mut publisher, "m", 5);
    assert_eq!(all_until(&mut member, "m-5").len(), 5, "messages in their order and nothing else");
}

/// At most once a second, however much there is to tell, and the last position of all.
#[test]
fn positions_come_once_a_second() {
    const SECOND: Duration = Duration::from_millis(1_000);
    let server = server();
    let mut client = connect(&server, "reader", &["resume"]);
    let start = Instant::now();
    client.send(&message("own", "normal"));
    expect_position(&mut client, 1);
    for number in 2..=20 {
        client.send(&message(&format!("own-{number}"), "normal"));
    }
    assert!(start.elapsed() < SECOND, "the machine is too busy to say anything about a second");
    expect_position(&mut client, 20);
    let waited = start.elapsed();
    assert!(waited >= SECOND, "two positions within {waited:?}");
    client.expect_nothing();
}

/// A `high` message that overtakes: the client is told where it stands, which is before what it still waits for.
#[test]
fn a_position_is_before_what_is_still_queued() {
    let server =
        TestServer::spawn_process(&[("WEBSOCKET_MESSAGE_QUEUE_SIZE", "100000"), ("HASHI_QUEUE_BYTES", "16MiB")]);
    let mut memory = Memory::default();
    let mut client = memory.connect(&server);
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    let low: Vec<_> = (1..=400).map(|number| sized(&format!("low-{number}"), "low", 2_048)).collect();
    publish_all(&mut publisher, &low);
    publish_all(&mut publisher, &[message("high", "high")]);
    let mut told = 0;
    while told < 401 {
        let message = client.receive();
        if json::is(&message, "type", "hashi:position") {
            told = json::number(&message, "payload.seq");
            assert!(told <= memory.seq, "told {told}, and only all up to {} has come", memory.seq);
        }
        memory.take(&message);
    }
    let overtook = memory.ids.iter().position(|id| id == "high").expect("the high message");
    assert!(overtook < 400, "nothing was overtaken");
    assert_eq!((memory.ids.len(), memory.repeated, memory.gaps.len()), (401, 0, 0));
}

/// An answer overtakes what is queued: a member that joins again, or refreshes its token, is told where it stands, and takes
/// nothing that still comes for old.
#[test]
fn an_answer_to_a_member_is_before_what_is_still_queued() {
    let server =
        TestServer::spawn_process(&[("WEBSOCKET_MESSAGE_QUEUE_SIZE", "100000"), ("HASHI_QUEUE_BYTES", "16MiB")]);
    let join = envelope("again", "hashi:join", json!({"sessionId": SESSION}));
    let refresh = envelope("again", "authentication", json!({"token": USER}));
    for question in [join, refresh] {
        let mut memory = Memory::default();
        let mut client = memory.connect(&server);
        let mut publisher = Client::connect(server.address, "publisher", SESSION);
        let flood: Vec<_> = numbered("m", 1..=400).iter().map(|id| sized(id, "normal", 2_048)).collect();
        publish_all(&mut publisher, &flood);
        client.send(&question);
        let mut was_overtaking = false;
        while memory.ids.len() < 400 {
            let message = client.receive();
            let handled_to = memory.seq;
            memory.take(&message);
            if json::is(&message, "replyTo", "again") {
                assert!(memory.seq <= handled_to, "told {}, and only all up to {handled_to} has come", memory.seq);
                was_overtaking = memory.ids.len() < 400;
            }
        }
        assert!(was_overtaking, "the answer overtook nothing");
        assert_eq!((memory.repeated, memory.gaps.len()), (0, 0));
    }
}

/// What is owed is told before the server closes, within the second, too.
#[test]
fn a_position_is_told_before_a_close() {
    let server = server();
    let mut old = connect(&server, "reader", &["resume"]);
    old.send(&message("own-1", "normal"));
    expect_position(&mut old, 1);
    old.send(&message("own-2", "normal"));
    let resume = json!({"connectionId": old.connection_id()});
    Client::connect_with(server.address, json!({"token": "reader", "resume": resume}));
    expect_position(&mut old, 2);
    old.ws.expect_close(4509);
}

/// The same at the end of the server.
#[test]
fn a_position_is_told_before_the_server_goes() {
    let config = hashi::Config { port: 0, drain_ms: 300, ..hashi::Config::default() };
    let server = TestServer::start(config);
    let mut client = connect(&server, "reader", &["resume"]);
    client.send(&message("own-1", "normal"));
    expect_position(&mut client, 1);
    client.send(&message("own-2", "normal"));
    server.handle().shutdown();
    assert!(json::is(&client.receive(), "type", "hashi:drain"));
    expect_position(&mut client, 2);
    client.ws.expect_close(4000);
}

/// In every session by itself.
#[test]
fn each_session_has_its_own_position() {
    let server = server();
    let mut client = connect(&server, "reader", &["resume"]);
    client.join("second");
    let in_second = |id| with(message(id, "normal"), "sessionId", "second");
    for message in [message("a", "normal"), in_second("b"), in_second("c")] {
        client.send(&message);
    }
    let mut told: Vec<(String, u64)> = Vec::new();
    let deadline = Instant::now() + super::common::wait::PATIENCE;
    while !told.contains(&("second".to_owned(), 2)) {
        match client.ws.next_by(deadline, true) {
            Event::Text(text) => told.push(session_and_seq(&json::parse(text))),
            event => panic!("positions, not {event:?} after {told:?}"),
        }
    }
    assert!(told.contains(&(SESSION.to_owned(), 1)), "{told:?}");
}

#[track_caller]
fn session_and_seq(message: &OwnedValue) -> (String, u64) {
    assert!(json::is(message, "type", "hashi:position"), "{}", message.encode());
    (json::string(message, "payload.sessionId").to_owned(), json::number(message, "payload.seq"))
}
