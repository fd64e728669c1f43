//! A client that sends first and reads later: its own answers make it wait, and do not close it.

use super::common::client::{Client, envelope};
use super::common::frame::Frame;
use super::common::json;
use super::common::server::TestServer;
use super::{TEN, start};
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;
use std::time::Duration;

/// More answers than the kernel takes from a server whose client does not read.
const MESSAGES: usize = 3_000;

/// The server takes no more for now: it pauses, and does so for as long as nobody reads.
const BLOCKED: Duration = Duration::from_millis(200);

#[test]
fn acks_wait_for_the_one_who_asked_for_them() {
    pipeline(&start(&[]), |id| json!({"id": id, "type": "custom", "ack": true, "payload": 1}));
}

#[test]
fn heartbeats_do() {
    pipeline(&start(&[]), |id| envelope(id, "heartbeat", json!({})));
}

#[test]
fn joins_do_in_a_short_queue() {
    pipeline(&start(TEN), |id| envelope(id, "hashi:join", json!({"sessionId": "s"})));
}

/// Sends all that the server takes before it reads anything. Every message is answered, in order.
#[track_caller]
fn pipeline(server: &TestServer, message: impl Fn(&str) -> OwnedValue) {
    let mut client = Client::anonymous_narrow(server.address, 4_096);
    client.welcome = client.authenticate(json!({"token": "user", "sessionId": "s", "echo": false}));
    let ids: Vec<String> = (0..MESSAGES).map(|number| format!("m{number}")).collect();
    let bytes: Vec<u8> = ids.iter().flat_map(|id| Frame::text(message(id).encode()).encode()).collect();
    let mut sent = client.ws.tcp.send_until_blocked(&bytes, BLOCKED);
    for id in &ids {
        let answer = client.receive();
        assert!(json::is(&answer, "replyTo", id), "{id}: {}", answer.encode());
        if sent < bytes.len() {
            sent += client.ws.tcp.send_until_blocked(&bytes[sent..], Duration::from_millis(1));
        }
    }
    client.expect_nothing();
}
