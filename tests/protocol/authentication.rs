//! `authentication` and the welcome.

use super::common::client::{Client, envelope};
use super::common::json;
use super::common::server::TestServer;
use super::common::status;
use super::{assert_epoch, assert_time, members_of, now, position_in, server};
use simd_json::json;
use simd_json::prelude::*;
use std::collections::HashSet;

const WELCOME_MEMBERS: [&str; 12] = [
    "connectionId",
    "features",
    "heartbeatInterval",
    "maxMessageBytes",
    "positions",
    "protocol",
    "reconnect",
    "server",
    "serverTime",
    "sessionId",
    "success",
    "userId",
];

#[test]
fn the_welcome_says_what_a_client_needs() {
    let server = server();
    let before = now();
    let client = Client::connect(server.address, "user-1", "s1");
    let welcome = &client.welcome;
    assert!(json::is(welcome, "replyTo", "a1"));
    assert!(json::is(welcome, "priority", "high"));
    assert_time(json::string(welcome, "timestamp"), &before);
    assert_eq!(json::string(welcome, "id").len(), 36, "a UUID");
    let payload = json::find(welcome, "payload").expect("a payload");
    assert_eq!(members_of(payload), WELCOME_MEMBERS);
    assert_eq!(json::number(payload, "protocol"), 1);
    assert!(!json::string(payload, "server").is_empty());
    assert!(json::is(payload, "userId", "user-1"));
    assert!(json::is(payload, "sessionId", "s1"));
    assert_eq!(payload["features"], json!([]));
    assert_eq!(json::number(payload, "heartbeatInterval"), 30_000);
    assert_eq!(json::number(payload, "maxMessageBytes"), 65_536);
    assert_time(json::string(payload, "serverTime"), &before);
    assert_eq!(members_of(&payload["reconnect"]), ["maxMs", "minMs"]);
    let (shortest, longest) = (json::number(payload, "reconnect.minMs"), json::number(payload, "reconnect.maxMs"));
    assert!(0 < shortest && shortest < longest);
    client.ws.close();
}

#[test]
fn the_welcome_has_the_position_of_each_session() {
    let server = server();
    let client = Client::connect(server.address, "user-1", "s1");
    let positions = client.welcome["payload"]["positions"].as_array().expect("an array");
    assert_eq!(positions.len(), 2, "the session and the personal one");
    for session in ["s1", "@user-1"] {
        let position = position_in(&client.welcome, session);
        assert_eq!(members_of(position), ["epoch", "seq", "sessionId"], "nothing was to be recovered");
        assert_epoch(json::string(position, "epoch"));
        assert_eq!(json::number(position, "seq"), 0);
    }
    client.ws.close();
}

#[test]
fn a_session_is_optional() {
    let server = server();
    for payload in [json!({"token": "user-1"}), json!({"token": "user-1", "sessionId": null})] {
        let client = Client::connect_with(server.address, payload);
        let mut expected = WELCOME_MEMBERS.to_vec();
        expected.retain(|name| *name != "sessionId");
        assert_eq!(members_of(&client.welcome["payload"]), expected);
        assert_eq!(client.welcome["payload"]["positions"].as_array().map(Vec::len), Some(1));
        position_in(&client.welcome, "@user-1");
        client.ws.close();
    }
}

#[test]
fn the_envelope_s_session_counts_where_the_payload_has_none() {
    let server = server();
    for (payload, expected) in
        [(json!({"token": "user-1"}), "outer"), (json!({"token": "user-1", "sessionId": "inner"}), "inner")]
    {
        let mut client = Client::anonymous(server.address);
        client.send(&json!({"id": "a", "type": "authentication", "sessionId": "outer", "payload": payload}));
        let welcome = client.receive();
        assert!(json::is(&welcome, "payload.sessionId", expected), "{}", welcome.encode());
        let position = position_in(&welcome, expected);
        assert_eq!(json::number(position, "seq"), 0);
        assert_eq!(welcome["payload"]["positions"].as_array().map(Vec::len), Some(2));
        client.ws.close();
    }
}

#[test]
fn unknown_members_are_ignored() {
    let server = server();
    let payload = json!({"token": "user-1", "sessionId": "s1", "device": {"kind": "phone"}, "features": []});
    let mut client = Client::connect_with(server.address, payload);
    client.round_trip("works");
    client.ws.close();
}

#[test]
fn the_welcome_follows_the_configuration() {
    let env = [
        ("WEBSOCKET_HEARTBEAT_INTERVAL", "12345"),
        ("HASHI_MAX_MESSAGE_BYTES", "1000"),
        ("HASHI_MAX_SERVICE_MESSAGE_BYTES", "2000"),
    ];
    let server = TestServer::spawn_process(&env);
    for (token, bytes) in [("user-1", 1000), ("service:worker", 2000)] {
        let client = Client::connect(server.address, token, "s1");
        assert_eq!(json::number(&client.welcome, "payload.heartbeatInterval"), 12_345);
        assert_eq!(json::number(&client.welcome, "payload.maxMessageBytes"), bytes, "{token}");
        assert!(json::is(&client.welcome, "payload.userId", token));
        client.ws.close();
    }
}

#[test]
fn connection_ids_are_random() {
    let server = server();
    let mut ids = HashSet::new();
    for _ in 0..50 {
        let client = Client::connect(server.address, "user-1", "s1");
        let id = client.connection_id().to_owned();
        assert_eq!(id.len(), 32, "{id}");
        assert!(id.bytes().all(|digit| digit.is_ascii_hexdigit()), "{id}");
        ids.insert(id);
        client.ws.close();
    }
    assert_eq!(ids.len(), 50, "an id never comes back");
    let starts: HashSet<&str> = ids.iter().map(|id| &id[..8]).collect();
    assert!(starts.len() > 45, "ids have nothing in common: {ids:?}");
}

#[test]
fn again_on_a_live_connection() {
    let server = server();
    let mut other = Client::connect(server.address, "user-2", "s1");
    let mut client = Client::connect(server.address, "user-1", "s1");
    client.join("s2");
    client.round_trip("one");
    for payload in [
        json!({"token": "user-1"}),
        json!({"token": "user-1", "sessionId": "s1"}),
        json!({"token": "user-1", "sessionId": "s2"}),
    ] {
        let welcome = client.authenticate(payload);
        assert!(json::boolean(&welcome, "payload.success"), "{}", welcome.encode());
        assert!(json::is(&welcome, "payload.connectionId", client.connection_id()));
        assert!(json::is(&welcome, "payload.userId", "user-1"));
        assert_eq!(json::number(position_in(&welcome, "s1"), "seq"), 1);
        assert_eq!(json::number(position_in(&welcome, "s2"), "seq"), 0);
    }
    // Nothing was joined twice, and nobody else notices.
    other.send(&envelope("two", "custom", json!({})));
    assert!(json::is(&client.receive(), "id", "two"));
    client.expect_nothing();
    let ids: Vec<_> = other.settle().iter().map(|message| json::string(message, "id").to_owned()).collect();
    assert_eq!(ids, ["one", "two"]);
    status::expect(server.address, "memberships", 5);
    client.ws.close();
    other.ws.close();
}

#[test]
fn a_session_that_is_not_joined_is_refused_on_a_live_connection() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    let text = envelope("again", "authentication", json!({"token": "user-1", "sessionId": "s2"})).encode();
    client.expect_error(&text, "bad_message");
    let by_envelope = json!({"id": "b", "type": "authentication", "sessionId": "s2", "payload": {"token": "user-1"}});
    client.expect_error(&by_envelope.encode(), "bad_message");
    client.round_trip("it stays in its own");
    client.ws.close();
}
