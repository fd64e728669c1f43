//! A ticket opens no more than its session and the user's own messages, whatever its connection asks for.

use super::common::client::{Client, envelope};
use super::common::json;
use super::common::server::TestServer;
use super::common::steps::assert_error;
use super::common::websocket::WebSocket;
use super::server;
use super::tickets::{open, ticket};
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;

/// A WebSocket of `user` that was opened with a ticket for the session `s1`, and what it resumes.
#[track_caller]
fn bound(server: &TestServer, user: &str, resume: OwnedValue) -> Client {
    let ws = WebSocket::open(server.address, &format!("/ws?ticket={}", ticket(server, user)));
    let mut client = Client { ws, welcome: OwnedValue::null() };
    client.welcome = client.authenticate(json!({ "resume": resume }));
    assert!(json::boolean(&client.welcome, "payload.success"), "{}", client.welcome.encode());
    client
}

#[track_caller]
fn sessions_of(welcome: &OwnedValue) -> Vec<&str> {
    let positions = json::find(welcome, "payload.positions").and_then(|list| list.as_array()).expect("positions");
    positions.iter().map(|entry| json::string(entry, "sessionId")).collect()
}

#[track_caller]
fn refuse(client: &mut Client, message: OwnedValue, code: &str) {
    client.send(&message);
    assert_error(&client.receive(), code, &message.encode());
}

#[test]
fn it_joins_no_other_session() {
    let server = server();
    let mut client = bound(&server, "user-1", json!({}));
    refuse(&mut client, envelope("j", "hashi:join", json!({"sessionId": "s2"})), "session_forbidden");
    client.leave("s1");
    client.join("s1");
    client.round_trip("works");
}

#[test]
fn it_publishes_to_no_other_session() {
    let server = server();
    let mut client = bound(&server, "user-1", json!({}));
    let elsewhere = json!({"id": "m", "type": "custom", "sessionId": "s2", "payload": {}});
    refuse(&mut client, elsewhere, "session_forbidden");
    client.publish(json!({"id": "m", "type": "custom", "sessionId": "s1", "payload": {}}));
    client.publish(json!({"id": "n", "type": "custom", "payload": {}}));
    client.publish(json!({"id": "o", "type": "custom", "to": {"userId": "user-1"}, "payload": {}}));
}

#[test]
fn it_has_no_rights_of_a_service() {
    let server = server();
    let other = Client::connect(server.address, "user-2", "s2");
    let mut client = bound(&server, "service:x", json!({}));
    for to in [json!({"userId": "user-2"}), json!({"connectionId": other.connection_id()})] {
        refuse(&mut client, json!({"id": "m", "type": "custom", "to": to, "payload": {}}), "forbidden");
    }
}

#[test]
fn it_takes_over_nothing_but_its_session() {
    let server = server();
    let mut first = Client::connect(server.address, "user-1", "s0");
    first.join("s1");
    first.join("s2");
    let mut second = bound(&server, "user-1", json!({"connectionId": first.connection_id()}));
    assert_eq!(sessions_of(&second.welcome), ["s1", "@user-1"]);
    first.ws.expect_close(4509);
    // The same by a stream, which goes on for a connection that was bound, too.
    let query = format!("ticket={}&connectionId={}", ticket(&server, "user-1"), second.connection_id());
    let mut stream = open(&server, &query);
    assert_eq!(sessions_of(&stream.welcome()), ["s1", "@user-1"]);
    second.ws.expect_close(4509);
}

#[test]
fn a_stream_takes_over_nothing_but_its_session() {
    let server = server();
    let mut old = Client::connect(server.address, "user-1", "s2");
    old.join("s1");
    let query = format!("ticket={}&connectionId={}", ticket(&server, "user-1"), old.connection_id());
    assert_eq!(sessions_of(&open(&server, &query).welcome()), ["s1", "@user-1"]);
}

#[test]
fn sessions_that_it_does_not_take_over_need_no_room() {
    let server = TestServer::spawn_process(&[("HASHI_SESSIONS_PER_CONNECTION", "2")]);
    let mut old = Client::connect(server.address, "user-1", "a");
    old.join("b");
    let client = bound(&server, "user-1", json!({"connectionId": old.connection_id()}));
    assert_eq!(sessions_of(&client.welcome), ["s1", "@user-1"]);
}

#[test]
fn a_token_takes_the_place_of_the_ticket() {
    let server = server();
    let mut client = bound(&server, "user-1", json!({}));
    client.authenticate(json!({"token": "user-1"}));
    client.join("s2");
    let ws = WebSocket::open(server.address, &format!("/ws?ticket={}", ticket(&server, "user-1")));
    Client::over(ws, "user-1", "s2").join("s3");
}
