//! Messages that are not lost in silence: retries to receivers, the outcome for senders, and messages that come again
//! (DESIGN.md, sections 4.1, 4.3, 4.4 and 4.7; BAD_INPUT.md, rows 31 and 33).

mod common;

#[path = "confirmation/acks.rs"]
mod acks;
#[path = "confirmation/expiry.rs"]
mod expiry;
#[path = "confirmation/outcomes.rs"]
mod outcomes;
#[path = "confirmation/repeats.rs"]
mod repeats;
#[path = "confirmation/retries.rs"]
mod retries;
#[path = "confirmation/take_over.rs"]
mod take_over;
#[path = "confirmation/waits.rs"]
mod waits;

use common::client::{Client, envelope};
use common::http::{self, Response};
use common::json;
use common::server::{Env, TestServer};
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;
use std::net::SocketAddr;

/// Retries soon: after 200 ms, 600 ms and 1,400 ms; it is over after 3 s.
const HASTY: Env = &[("HASHI_ACK_TIMEOUT_MS", "200")];

/// No retry before a test is over.
const PATIENT: Env = &[("HASHI_ACK_TIMEOUT_MS", "60000"), ("WEBSOCKET_MESSAGE_EXPIRY_TIME", "600000")];

fn start(env: Env) -> TestServer {
    TestServer::spawn_process(env)
}

/// A client that confirms when it is told to.
#[track_caller]
fn confirming(address: SocketAddr, user: &str) -> Client {
    Client::connect_with(
        address,
        json!({"token": user, "sessionId": "s", "features": ["ack", "resume"], "echo": false}),
    )
}

/// A client that does not.
#[track_caller]
fn plain(address: SocketAddr, user: &str) -> Client {
    Client::connect_with(address, json!({"token": user, "sessionId": "s", "echo": false}))
}

fn reliable(id: &str) -> OwnedValue {
    json!({"id": id, "type": "custom", "reliable": true, "payload": {"id": id}})
}

fn delivered(id: &str) -> OwnedValue {
    json!({"id": id, "type": "custom", "ack": "delivered", "payload": {"id": id}})
}

#[track_caller]
fn confirm(client: &mut Client, ids: &[&str]) {
    client.send(&envelope("confirm", "ack", json!({"ids": ids})));
}

/// The next result of a message, of either kind.
#[track_caller]
fn result(client: &mut Client, id: &str) -> OwnedValue {
    let ack = client.receive_where(|message| json::is(message, "type", "ack") && json::is(message, "replyTo", id));
    ack["payload"]["results"][0].clone()
}

/// The results of messages that were settled together.
#[track_caller]
fn results(client: &mut Client) -> OwnedValue {
    let ack = client.receive_type("ack");
    assert!(ack.get("replyTo").is_none(), "{}", ack.encode());
    ack["payload"]["results"].clone()
}

fn counts(id: &str, matched: u64, confirmed: u64, expired: u64, unconfirmable: u64) -> OwnedValue {
    json!({"id": id, "matched": matched, "confirmed": confirmed, "expired": expired, "unconfirmable": unconfirmable})
}

#[track_caller]
fn post(server: &TestServer, target: &str, headers: &[(&str, &str)], body: &OwnedValue) -> Response {
    let own = [("Authorization", "Bearer sender"), ("Content-Type", "application/json")];
    http::request(server.address, "POST", target, &[&own, headers].concat(), body.encode().as_bytes())
}
