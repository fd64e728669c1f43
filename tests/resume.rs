//! Clients that come back: what they missed follows, each message once, or they are told that it is lost (DESIGN.md 4.4).

mod common;

#[path = "resume/authentication.rs"]
mod authentication;
#[path = "resume/claims.rs"]
mod claims;
#[path = "resume/cuts.rs"]
mod cuts;
#[path = "resume/expiry.rs"]
mod expiry;
#[path = "resume/join.rs"]
mod join;
#[path = "resume/memory.rs"]
mod memory;
#[path = "resume/positions.rs"]
mod positions;
#[path = "resume/silent.rs"]
mod silent;
#[path = "resume/slow.rs"]
mod slow;
#[path = "resume/take_over.rs"]
mod take_over;

use common::client::Client;
use common::flood::{message, numbered, publish_all};
use common::json;
use common::server::TestServer;
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;

const SESSION: &str = "s";

/// A server with the default settings.
#[track_caller]
fn server() -> TestServer {
    TestServer::spawn_process(&[])
}

/// The entry of a session in a welcome's positions.
#[track_caller]
fn entry<'a>(welcome: &'a OwnedValue, session: &str) -> &'a OwnedValue {
    let positions = json::find(welcome, "payload.positions").and_then(|list| list.as_array());
    let found = positions.and_then(|list| list.iter().find(|entry| json::is(entry, "sessionId", session)));
    found.unwrap_or_else(|| panic!("no position of {session} in {}", welcome.encode()))
}

/// Publishes `prefix-1` and so on as normal messages of the publisher's default session.
#[track_caller]
fn publish(publisher: &mut Client, prefix: &str, count: usize) {
    let messages: Vec<_> = numbered(prefix, 1..=count).iter().map(|id| message(id, "normal")).collect();
    publish_all(publisher, &messages);
}

/// A position to come back with.
fn position(session: &str, epoch: &str, seq: impl Into<OwnedValue>) -> OwnedValue {
    json!({"sessionId": session, "epoch": epoch, "seq": seq.into()})
}

/// Authenticates with a position, in the session `s`.
#[track_caller]
fn come_back(server: &TestServer, user: &str, positions: &[OwnedValue]) -> Client {
    let resume = json!({"positions": positions.to_vec()});
    Client::connect_with(server.address, json!({"token": user, "sessionId": SESSION, "resume": resume}))
}

#[track_caller]
fn epoch_of(client: &Client, session: &str) -> String {
    json::string(entry(&client.welcome, session), "epoch").to_owned()
}

/// The ids of all messages up to this one; nothing may come behind it.
#[track_caller]
fn all_until(client: &mut Client, last: &str) -> Vec<String> {
    let mut ids = Vec::new();
    while ids.last().is_none_or(|id| id != last) {
        ids.push(json::string(&client.receive(), "id").to_owned());
    }
    client.expect_nothing();
    ids
}

/// Checks that the next message tells of such a loss.
#[track_caller]
fn expect_gap(client: &mut Client, session: &str, range: Option<(u64, u64)>, reason: &str) {
    let gap = client.receive();
    assert!(json::is(&gap, "type", "hashi:gap"), "a gap, not {}", gap.encode());
    let (from, to) = range.map_or((json!(null), json!(null)), |(from, to)| (json!(from), json!(to)));
    assert_eq!(gap["payload"], json!({"sessionId": session, "from": from, "to": to, "reason": reason}));
}
