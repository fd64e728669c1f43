//! The message protocol of docs/PROTOCOL.md as a client sees it: each system message, relay, addressing, and what of a
//! message is kept.

mod common;

#[path = "protocol/acknowledgement.rs"]
mod acknowledgement;
#[path = "protocol/addressing.rs"]
mod addressing;
#[path = "protocol/authentication.rs"]
mod authentication;
#[path = "protocol/debounce.rs"]
mod debounce;
#[path = "protocol/documentation.rs"]
mod documentation;
#[path = "protocol/echo.rs"]
mod echo;
#[path = "protocol/envelopes.rs"]
mod envelopes;
#[path = "protocol/errors.rs"]
mod errors;
#[path = "protocol/heartbeats.rs"]
mod heartbeats;
#[path = "protocol/membership.rs"]
mod membership;
#[path = "protocol/negotiation.rs"]
mod negotiation;
#[path = "protocol/payloads.rs"]
mod payloads;
#[path = "protocol/positions.rs"]
mod positions;
#[path = "protocol/relay.rs"]
mod relay;
#[path = "protocol/types.rs"]
mod types;

use common::json;
use common::server::TestServer;
use simd_json::OwnedValue;
use simd_json::prelude::*;

/// A server with the default settings.
#[track_caller]
fn server() -> TestServer {
    TestServer::spawn_process(&[])
}

/// The names of an object's members, in alphabetical order.
#[track_caller]
fn members_of(value: &OwnedValue) -> Vec<&str> {
    let object = value.as_object().unwrap_or_else(|| panic!("an object, not {}", value.encode()));
    let mut names: Vec<_> = object.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// The time now, as the server writes it: UTC, milliseconds.
fn now() -> String {
    // Cut, not rounded: the server's clock never seems to be behind this one.
    let ms = jiff::Timestamp::now().as_millisecond();
    let now = jiff::Timestamp::from_millisecond(ms).expect("ok because it is now");
    format!("{now:.3}")
}

/// Checks that `text` is a time in UTC with milliseconds, not before `earliest` and not in the future.
#[track_caller]
fn assert_time(text: &str, earliest: &str) {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{text:?}");
    let latest = now();
    assert!(earliest <= text && text <= latest.as_str(), "{text} is not from {earliest} to {latest}");
}

/// Checks the form of an epoch.
#[track_caller]
fn assert_epoch(epoch: &str) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    assert!((1..=32).contains(&epoch.len()) && epoch.bytes().all(plain), "{epoch:?}");
}

/// The entry of a session in a welcome's positions.
#[track_caller]
fn position_in<'a>(welcome: &'a OwnedValue, session: &str) -> &'a OwnedValue {
    let positions = json::find(welcome, "payload.positions").and_then(|list| list.as_array());
    let found = positions.and_then(|list| list.iter().find(|entry| json::is(entry, "sessionId", session)));
    found.unwrap_or_else(|| panic!("no position of {session} in {}", welcome.encode()))
}
