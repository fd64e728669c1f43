//! Many messages at once, and what the server counts of them.

use super::client::{Client, envelope};
use super::frame::Frame;
use super::json;
use super::server::TestServer;
use super::status;
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;

/// `prefix-1` to `prefix-count`, from `first` on.
pub fn numbered(prefix: &str, numbers: std::ops::RangeInclusive<usize>) -> Vec<String> {
    numbers.map(|number| format!("{prefix}-{number}")).collect()
}

/// Sends `messages` in one write and waits until they are routed.
#[track_caller]
pub fn publish_all(publisher: &mut Client, messages: &[OwnedValue]) {
    let frames: Vec<u8> = messages.iter().flat_map(|message| Frame::text(message.encode()).encode()).collect();
    publisher.ws.send_bytes(frames);
    // The answer comes after everything before it has been routed.
    publisher.send(&envelope("all-routed", "heartbeat", json!({})));
    publisher.receive_where(|message| json::is(message, "replyTo", "all-routed"));
}

/// A message that does not come back to its sender.
pub fn message(id: &str, priority: &str) -> OwnedValue {
    json!({"id": id, "type": "custom", "priority": priority, "echo": false, "payload": {}})
}

/// The same with a payload of this size.
pub fn sized(id: &str, priority: &str, bytes: usize) -> OwnedValue {
    let mut sized = message(id, priority);
    sized.insert("payload", "x".repeat(bytes)).expect("ok because a message is an object");
    sized
}

/// The same message with one more member.
pub fn with(mut message: OwnedValue, member: &str, value: impl Into<OwnedValue>) -> OwnedValue {
    message.insert(member.to_owned(), value.into()).expect("ok because a message is an object");
    message
}

/// Rows that history feeds.
#[track_caller]
pub fn rows_behind(server: &TestServer) -> usize {
    json::number(&status::read(server.address), "history.rowsBehind") as usize
}

/// Losses told, by reason.
#[track_caller]
pub fn gaps_told(server: &TestServer, reason: &str) -> usize {
    json::number(&status::read(server.address), &format!("gaps.{reason}")) as usize
}

/// A counter of the status.
#[track_caller]
pub fn counter(server: &TestServer, name: &str) -> usize {
    json::number(&status::read(server.address), &format!("counters.{name}")) as usize
}
