//! The REST routes of docs/PROTOCOL.md as a client sees them: answers, problems, CORS, bodies, and what reaches WebSocket
//! connections. Wrong requests of every kind are BAD_INPUT.md's, in `bad_http.rs`.

mod common;

#[path = "rest/bodies.rs"]
mod bodies;
#[path = "rest/broadcast.rs"]
mod broadcast;
#[path = "rest/cors.rs"]
mod cors;
#[path = "rest/delivery.rs"]
mod delivery;
#[path = "rest/keep_alive.rs"]
mod keep_alive;
#[path = "rest/members.rs"]
mod members;
#[path = "rest/metrics.rs"]
mod metrics;
#[path = "rest/operations.rs"]
mod operations;
#[path = "rest/own_connection.rs"]
mod own_connection;
#[path = "rest/pages.rs"]
mod pages;
#[path = "rest/problems.rs"]
mod problems;
#[path = "rest/send.rs"]
mod send;

use common::http::{self, Response};
use common::json;
use common::server::TestServer;
use simd_json::OwnedValue;
use simd_json::prelude::*;

const SEND: &str = "/ws-api/send";
const BROADCAST: &str = "/ws-api/broadcast";
const NOTIFY: &str = "/ws-api/notify/operation";

/// A server with the default settings.
#[track_caller]
fn server() -> TestServer {
    TestServer::spawn_process(&[])
}

/// Posts `body` as `user`, with more headers.
#[track_caller]
fn post_with(server: &TestServer, user: &str, target: &str, body: &str, more: &[(&str, &str)]) -> Response {
    let token = format!("Bearer {user}");
    let headers = [&[("Authorization", token.as_str()), ("Content-Type", "application/json")], more].concat();
    http::request(server.address, "POST", target, &headers, body.as_bytes())
}

#[track_caller]
fn post(server: &TestServer, user: &str, target: &str, body: &str) -> Response {
    post_with(server, user, target, body, &[])
}

#[track_caller]
fn get(server: &TestServer, user: &str, target: &str) -> Response {
    let token = format!("Bearer {user}");
    http::request(server.address, "GET", target, &[("Authorization", &token)], b"")
}

/// Checks the answer to a message that was published, and returns its body.
#[track_caller]
fn accepted(response: &Response) -> OwnedValue {
    let shown = String::from_utf8_lossy(&response.body);
    assert_eq!(response.status, 202, "{shown}");
    assert_eq!(response.header("content-type"), Some("application/json"), "{shown}");
    let body = response.json();
    assert_eq!(members_of(&body), ["id", "matched", "queued", "seq"]);
    body
}

/// The names of an object's members, in alphabetical order.
#[track_caller]
fn members_of(value: &OwnedValue) -> Vec<&str> {
    let object = value.as_object().unwrap_or_else(|| panic!("an object, not {}", value.encode()));
    let mut names: Vec<_> = object.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// Checks that the member at `path` is a time in UTC with milliseconds.
#[track_caller]
fn assert_time(value: &OwnedValue, path: &str) {
    let shape: String = json::string(value, path).chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{path} of {}", value.encode());
}

/// Checks that `id` is a UUID of version 7.
#[track_caller]
fn assert_uuid(id: &str) {
    let shape: String = id.chars().map(|c| if c.is_ascii_hexdigit() { '0' } else { c }).collect();
    assert_eq!(shape, "00000000-0000-0000-0000-000000000000", "{id}");
    assert_eq!(id.as_bytes()[14], b'7', "{id}");
}
