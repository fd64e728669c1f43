//! What happens to a message of an application type: every member of its session gets it.

use super::common::client::{Client, envelope};
use super::common::json;
use super::common::websocket::Event;
use super::{assert_time, members_of, now, server};
use simd_json::json;
use simd_json::prelude::*;

/// The next message as it came.
#[track_caller]
fn receive_text(client: &mut Client) -> String {
    match client.ws.next() {
        Event::Text(text) => text,
        event => panic!("expected a message, not {event:?}"),
    }
}

#[test]
fn all_members_get_the_same_bytes_and_others_nothing() {
    let server = server();
    let mut outsider = Client::connect(server.address, "user-0", "s2");
    let mut members: Vec<_> =
        (1..=4).map(|index| Client::connect(server.address, &format!("user-{index}"), "s1")).collect();
    for priority in ["high", "normal", "low"] {
        members[0].send(&json!({"id": "m1", "type": "custom", "priority": priority, "payload": {"any": "JSON"}}));
        let texts: Vec<_> = members.iter_mut().map(receive_text).collect();
        assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
        assert!(json::is(&json::parse(&texts[0]), "priority", priority), "{}", texts[0]);
    }
    members[1].send(&json!({"id": "m2", "type": "custom", "sessionId": "s2", "payload": {}}));
    assert!(json::is(&outsider.receive(), "from", "user-2"), "in development mode anybody may publish anywhere");
    outsider.expect_nothing();
    for member in &mut members {
        member.expect_nothing();
    }
}

#[test]
fn a_relayed_message_has_these_members() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    let before = now();
    client.ws.text(
        r#"{"id":"m1","type":"custom","timestamp":"2001-02-03T04:05:06.789+01:00","seq":999,"from":"somebody",
            "payload":{"any":"JSON"},"unknown":{"a":[1]},"userId":"x","reliable":false,"ack":false,"echo":true}"#,
    );
    let came = client.receive();
    assert_eq!(members_of(&came), ["from", "id", "payload", "priority", "seq", "sessionId", "timestamp", "type"]);
    assert!(json::is(&came, "id", "m1") && json::is(&came, "type", "custom"), "{}", came.encode());
    assert!(json::is(&came, "priority", "normal") && json::is(&came, "sessionId", "s1"), "{}", came.encode());
    assert!(json::is(&came, "from", "user-1"), "the sender is known, not said: {}", came.encode());
    assert_eq!(json::number(&came, "seq"), 1);
    assert_time(json::string(&came, "timestamp"), &before);
    client.ws.close();
}

#[test]
fn messages_keep_their_order() {
    let server = server();
    let mut receiver = Client::connect(server.address, "user-1", "s1");
    let mut sender = Client::connect_with(server.address, json!({"token": "user-2", "sessionId": "s1", "echo": false}));
    for index in 0..40 {
        sender.send(&envelope(&format!("m{index}"), "custom", json!({})));
    }
    for index in 0..40 {
        let came = receiver.receive();
        assert_eq!(json::string(&came, "id"), format!("m{index}"));
    }
    receiver.expect_nothing();
}

#[test]
fn every_connection_of_a_user_is_a_member_of_its_own() {
    let server = server();
    let mut first = Client::connect(server.address, "user-1", "s1");
    let mut second = Client::connect(server.address, "user-1", "s1");
    let mut elsewhere = Client::connect(server.address, "user-1", "s2");
    assert_ne!(first.connection_id(), second.connection_id());
    let published = first.publish(envelope("m1", "custom", json!({})));
    assert_eq!(json::number(&published, "matched"), 2);
    assert!(json::is(&second.receive(), "id", "m1"));
    elsewhere.expect_nothing();
    first.ws.close();
    let published = second.publish(envelope("m2", "custom", json!({})));
    assert_eq!(json::number(&published, "matched"), 1);
    elsewhere.ws.close();
    second.ws.close();
}

#[test]
fn session_names_are_any_text() {
    let server = server();
    for name in ["a", "with space", "é€😀", "a/b?c=d#e", "\"quoted\\\"", "x@y", "%41", "null", "__proto__"] {
        let mut client = Client::connect(server.address, "user-1", name);
        assert!(json::is(&client.welcome, "payload.sessionId", name));
        client.send(&json!({"id": "m1", "type": "custom", "sessionId": name, "payload": {}}));
        let came = client.receive();
        assert!(json::is(&came, "sessionId", name), "{}", came.encode());
        client.ws.close();
    }
}

#[test]
fn user_ids_are_any_text() {
    let server = server();
    for user in ["a", "with space", "é€😀", "\"quoted\\\"", "@user", "service:x"] {
        let mut client = Client::connect(server.address, user, "s1");
        client.send(&envelope("m1", "custom", json!({})));
        let came = client.receive();
        assert!(json::is(&came, "from", user), "{}", came.encode());
        client.ws.close();
    }
}
