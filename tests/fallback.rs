//! The receiving half of the fallback for clients without WebSocket: `GET /ws-api/events`, `GET /ws-api/poll`,
//! `POST /ws-api/ticket` (docs/PROTOCOL.md, Fallback).

mod common;

#[path = "fallback/cuts.rs"]
mod cuts;
#[path = "fallback/ends.rs"]
mod ends;
#[path = "fallback/polls.rs"]
mod polls;
#[path = "fallback/reader.rs"]
mod reader;
#[path = "fallback/refusals.rs"]
mod refusals;
#[path = "fallback/slow.rs"]
mod slow;
#[path = "fallback/stream.rs"]
mod stream;
#[path = "fallback/streams.rs"]
mod streams;
#[path = "fallback/switching.rs"]
mod switching;
#[path = "fallback/ticket_bounds.rs"]
mod ticket_bounds;
#[path = "fallback/tickets.rs"]
mod tickets;

use common::http::{self, Response};
use common::json;
use common::server::TestServer;
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;

/// A server with the default settings.
#[track_caller]
fn server() -> TestServer {
    TestServer::spawn_process(&[])
}

/// Publishes a numbered message to `session` and returns its position.
#[track_caller]
fn publish(server: &TestServer, session: &str, id: &str, priority: &str) -> u64 {
    let message = json!({"id": id, "type": "custom", "sessionId": session, "priority": priority, "payload": {"n": id}});
    publish_message(server, &message)
}

/// Publishes a message over REST; its position.
#[track_caller]
fn publish_message(server: &TestServer, message: &OwnedValue) -> u64 {
    let headers = [("Authorization", "Bearer publisher"), ("Content-Type", "application/json")];
    let response = http::request(server.address, "POST", "/ws-api/send", &headers, message.encode().as_bytes());
    assert_eq!(response.status, 202, "{}", String::from_utf8_lossy(&response.body));
    json::number(&response.json(), "seq")
}

/// Asks for `target` as `user`.
#[track_caller]
fn get(server: &TestServer, user: &str, target: &str) -> Response {
    http::request(server.address, "GET", target, &[("Authorization", &format!("Bearer {user}"))], b"")
}

/// A poll's answer as `user`.
#[track_caller]
fn poll(server: &TestServer, user: &str, query: &str) -> OwnedValue {
    let response = get(server, user, &format!("/ws-api/poll?{query}"));
    assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
    response.json()
}

/// The ids of a poll's messages.
#[track_caller]
fn ids_of(answer: &OwnedValue) -> Vec<String> {
    let messages = json::find(answer, "messages").and_then(|list| list.as_array()).expect("messages");
    messages.iter().map(|message| json::string(message, "id").to_owned()).collect()
}

/// A value for a query, as `encodeURIComponent` writes it.
fn encode(value: &str) -> String {
    percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string()
}
