//! Debounce: progress and selections at once, then at most once in a window, always ending with the latest.

use super::common::client::{Client, envelope};
use super::common::flood::{counter, message, publish_all, with};
use super::common::http;
use super::common::json;
use super::common::server::{Env, TestServer};
use super::server;
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;
use std::time::{Duration, Instant};

const SESSION: &str = "s1";

/// A window that ends while a test waits.
const WINDOW: Duration = Duration::from_millis(300);
const SHORT: Env = &[("HASHI_DEBOUNCE_MS", "300")];

/// A window that does not.
const LONG: Env = &[("HASHI_DEBOUNCE_MS", "60000")];

fn progress(id: &str, operation: &str) -> OwnedValue {
    let payload = json!({"operationId": operation, "progress": 0.5});
    with(with(message(id, "normal"), "type", "operation_progress"), "payload", payload)
}

fn of_type(id: &str, kind: &str, operation: &str) -> OwnedValue {
    with(progress(id, operation), "type", kind)
}

#[track_caller]
fn expect(client: &mut Client, expected: &[(&str, u64)]) {
    for (id, seq) in expected {
        let came = client.receive();
        assert_eq!((json::string(&came, "id"), json::number(&came, "seq")), (*id, *seq), "{}", came.encode());
    }
}

#[test]
fn the_first_goes_out_at_once_and_the_latest_when_the_window_ends() {
    let server = TestServer::spawn_process(SHORT);
    let mut reader = Client::connect(server.address, "reader", SESSION);
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    let start = Instant::now();
    let updates: Vec<_> = (1..=20).map(|number| progress(&format!("p-{number}"), "op")).collect();
    publish_all(&mut publisher, &updates);
    expect(&mut reader, &[("p-1", 1), ("p-20", 2)]);
    assert!(start.elapsed() >= WINDOW, "the latest came after {:?}", start.elapsed());
    assert_eq!(counter(&server, "debounced"), 18);
    // The release has opened the next window.
    publish_all(&mut publisher, &[progress("p-21", "op")]);
    expect(&mut reader, &[("p-21", 3)]);
    assert!(start.elapsed() >= 2 * WINDOW, "the next one came after {:?}", start.elapsed());
    reader.expect_nothing();
}

/// A stream of updates comes at the pace of the windows, however fast it is sent.
#[test]
fn a_stream_is_thinned_out() {
    let server = TestServer::spawn_process(&[("HASHI_DEBOUNCE_MS", "100")]);
    let mut reader = Client::connect(server.address, "reader", SESSION);
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    let start = Instant::now();
    let mut sent = 0;
    while start.elapsed() < Duration::from_secs(1) {
        sent += 1;
        publish_all(&mut publisher, &[progress(&format!("p-{sent}"), "op")]);
    }
    let last = format!("p-{sent}");
    let mut came = 1;
    while !json::is(&reader.receive(), "id", &last) {
        came += 1;
    }
    let windows = start.elapsed().as_millis() as usize / 100;
    assert!(came <= windows + 2, "{came} of {sent} messages in {windows} windows");
    reader.expect_nothing();
}

#[test]
fn the_receipt_comes_at_once() {
    let server = TestServer::spawn_process(LONG);
    let _reader = Client::connect(server.address, "reader", SESSION);
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    assert_eq!(publisher.publish(progress("p-1", "op")), json!({"id": "p-1", "seq": 1, "matched": 1, "queued": 1}));
    for id in ["p-2", "p-3"] {
        let receipt = json!({"id": id, "seq": null, "matched": 1, "queued": 0});
        assert_eq!(publisher.publish(progress(id, "op")), receipt);
    }
}

#[test]
fn over_rest_too() {
    let server = TestServer::spawn_process(LONG);
    let headers = [("Authorization", "Bearer service:jobs"), ("Content-Type", "application/json")];
    let body = r#"{"sessionId":"s1","operationId":"op","operationType":"t","status":"progress","progress":0.5}"#;
    let seqs = [0, 1].map(|_| {
        let answer = http::request(server.address, "POST", "/ws-api/notify/operation", &headers, body.as_bytes());
        assert_eq!(answer.status, 202);
        answer.json()["seq"].as_u64()
    });
    assert_eq!(seqs, [Some(1), None]);
}

/// An operation that has ended does not go on: what is held comes first.
#[test]
fn another_type_with_the_same_key_releases_what_is_held() {
    let server = TestServer::spawn_process(LONG);
    let mut reader = Client::connect(server.address, "reader", SESSION);
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    publish_all(
        &mut publisher,
        &[
            progress("a-1", "a"),
            progress("a-2", "a"),
            progress("b-1", "b"),
            progress("b-2", "b"),
            of_type("a-3", "operation_completed", "a"),
        ],
    );
    expect(&mut reader, &[("a-1", 1), ("b-1", 2), ("a-2", 3), ("a-3", 4)]);
    reader.expect_nothing();
    publish_all(&mut publisher, &[with(message("b-3", "normal"), "key", "b")]);
    expect(&mut reader, &[("b-2", 5), ("b-3", 6)]);
}

/// A held message is published when it is released: what came meanwhile is before it.
#[test]
fn time_and_position_are_those_of_the_release() {
    let server = TestServer::spawn_process(SHORT);
    let mut reader = Client::connect(server.address, "reader", SESSION);
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    publish_all(&mut publisher, &[progress("p-1", "op"), progress("p-2", "op"), message("m", "normal")]);
    let came = [reader.receive(), reader.receive(), reader.receive()];
    assert_eq!(came.each_ref().map(|message| json::string(message, "id")), ["p-1", "m", "p-2"]);
    assert_eq!(came.each_ref().map(|message| json::number(message, "seq")), [1, 2, 3]);
    assert!(json::string(&came[1], "timestamp") < json::string(&came[2], "timestamp"));
    assert_eq!(came[2]["payload"], json!({"operationId": "op", "progress": 0.5}));
    assert!(json::is(&came[2], "from", "publisher") && json::is(&came[2], "key", "op"));
}

#[test]
fn each_session_and_key_has_its_own_window() {
    let server = TestServer::spawn_process(LONG);
    let mut reader = Client::connect(server.address, "reader", SESSION);
    reader.join("s2");
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    let elsewhere = with(progress("c", "op"), "sessionId", "s2");
    publish_all(&mut publisher, &[progress("a", "op"), progress("b", "other"), elsewhere]);
    expect(&mut reader, &[("a", 1), ("b", 2), ("c", 1)]);
}

/// Two users' selections do not replace each other; two of one user do, unless they have keys of their own.
#[test]
fn a_selection_without_a_key_is_keyed_by_its_user() {
    let server = TestServer::spawn_process(LONG);
    let mut reader = Client::connect(server.address, "reader", SESSION);
    let mut ann = Client::connect(server.address, "ann", SESSION);
    let mut bob = Client::connect(server.address, "bob", SESSION);
    let selection = |id: &str| with(message(id, "normal"), "type", "selection_update");
    publish_all(&mut ann, &[selection("ann-1"), selection("ann-2")]);
    publish_all(&mut bob, &[selection("bob-1"), with(selection("bob-own"), "key", "own"), selection("bob-2")]);
    let came = [reader.receive(), reader.receive(), reader.receive()];
    assert_eq!(came.each_ref().map(|message| json::string(message, "id")), ["ann-1", "bob-1", "bob-own"]);
    assert_eq!(came.each_ref().map(|message| json::string(message, "key")), ["ann", "bob", "own"]);
    reader.expect_nothing();
}

#[test]
fn other_types_and_messages_without_a_key_are_not_held() {
    let server = TestServer::spawn_process(LONG);
    let mut client = Client::connect(server.address, "user-1", SESSION);
    for kind in ["operation_started", "operation_failed", "structure_change", "custom"] {
        for id in ["a", "b"] {
            client.send(&with(envelope(id, kind, json!({"operationId": "op"})), "key", "k"));
            assert!(json::is(&client.receive(), "id", id), "{kind}");
        }
    }
    for id in ["a", "b"] {
        client.send(&envelope(id, "operation_progress", json!({"progress": 1})));
        assert!(json::is(&client.receive(), "id", id));
    }
}

#[test]
fn zero_is_off() {
    let server = TestServer::spawn_process(&[("HASHI_DEBOUNCE_MS", "0")]);
    let mut reader = Client::connect(server.address, "reader", SESSION);
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    publish_all(&mut publisher, &[progress("p-1", "op"), progress("p-2", "op"), progress("p-3", "op")]);
    expect(&mut reader, &[("p-1", 1), ("p-2", 2), ("p-3", 3)]);
}

/// The sender may be gone by then, and does not get what it did not want back.
#[test]
fn what_is_held_does_not_need_its_sender() {
    let server = TestServer::spawn_process(SHORT);
    let mut reader = Client::connect(server.address, "reader", SESSION);
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    publish_all(&mut publisher, &[progress("p-1", "op"), progress("p-2", "op")]);
    let resume = json!({"connectionId": publisher.connection_id()});
    let mut heir = Client::connect_with(server.address, json!({"token": "publisher", "resume": resume}));
    publisher.ws.expect_close(4509);
    expect(&mut reader, &[("p-1", 1)]);
    let latest = reader.receive();
    assert!(json::is(&latest, "id", "p-2") && json::is(&latest, "from", "publisher"), "{}", latest.encode());
    heir.expect_nothing();
}

/// The end of the server does not wait for windows, and loses nothing that is held.
#[test]
fn what_is_held_goes_out_when_the_server_ends() {
    let config = hashi::Config { port: 0, debounce_ms: 60_000, drain_ms: 2_000, ..hashi::Config::default() };
    let server = TestServer::start(config);
    let mut reader = Client::connect(server.address, "reader", SESSION);
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    publish_all(&mut publisher, &[progress("p-1", "op"), progress("p-2", "op")]);
    expect(&mut reader, &[("p-1", 1)]);
    server.handle().shutdown();
    assert!(json::is(&reader.receive_where(|message| message.get("seq").is_some()), "id", "p-2"));
}

/// By default there is a short window.
#[test]
fn it_is_on_by_default() {
    let server = server();
    let mut reader = Client::connect(server.address, "reader", SESSION);
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    publish_all(&mut publisher, &[progress("p-1", "op"), progress("p-2", "op"), progress("p-3", "op")]);
    expect(&mut reader, &[("p-1", 1), ("p-3", 2)]);
}
