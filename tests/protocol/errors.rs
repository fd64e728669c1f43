//! `error` messages: their envelope and their object.

use super::common::client::{Client, envelope};
use super::common::json;
use super::{assert_time, members_of, now, server};
use simd_json::json;
use simd_json::prelude::*;

#[test]
fn an_error_has_these_members() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    let before = now();
    let error = client.expect_error(r#"{"id":"m1","type":"custom","priority":"urgent","payload":{}}"#, "bad_message");
    assert_eq!(members_of(&error), ["id", "payload", "priority", "replyTo", "timestamp", "type"]);
    assert_eq!(members_of(&error["payload"]), ["code", "field", "message", "temporary"]);
    assert!(json::is(&error, "replyTo", "m1"), "{}", error.encode());
    assert!(!json::boolean(&error, "payload.temporary"), "{}", error.encode());
    assert_time(json::string(&error, "timestamp"), &before);
    assert_eq!(json::string(&error, "id").len(), 36, "a UUID");
    client.ws.close();
}

#[test]
fn without_a_readable_id_there_is_no_reply_to() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    for text in ["nonsense", "[]", r#"{"type":"custom","payload":{}}"#] {
        let error = client.expect_error(text, "bad_message");
        assert_eq!(members_of(&error), ["id", "payload", "priority", "timestamp", "type"], "{text}");
    }
    client.ws.close();
}

#[test]
fn every_error_has_an_id_of_its_own() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    let text = envelope("m1", "error", json!({})).encode();
    let mut ids: Vec<_> = (0..10)
        .map(|_| client.expect_error(&text, "reserved_type"))
        .map(|error| json::string(&error, "id").to_owned())
        .collect();
    assert!(ids.iter().all(|id| id.as_bytes()[14] == b'7'), "UUIDs of version 7: {ids:?}");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 10, "{ids:?}");
    client.ws.close();
}

#[test]
fn an_error_goes_to_the_sender_alone() {
    let server = server();
    let mut twin = Client::connect(server.address, "user-1", "s1");
    let mut other = Client::connect(server.address, "user-2", "s1");
    let mut client = Client::connect(server.address, "user-1", "s1");
    client.expect_error(r#"{"id":"m1","type":"hashi:x","payload":{}}"#, "reserved_type");
    client.expect_nothing();
    twin.expect_nothing();
    other.expect_nothing();
}
