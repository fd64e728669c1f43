//! What of an envelope is kept, what is made, what is left out, and what is not offered yet.

use super::common::client::{Client, envelope};
use super::common::json;
use super::{members_of, server};
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;

/// Sends a message with these members and returns it as it comes back.
#[track_caller]
fn relayed(client: &mut Client, members: &str) -> OwnedValue {
    client.ws.text(&format!(r#"{{"id":"m1","type":"custom",{members},"payload":{{}}}}"#));
    let came = client.receive();
    assert!(json::is(&came, "id", "m1"), "{members}: {}", came.encode());
    came
}

#[test]
fn key_reply_to_and_meta_are_kept() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    let x = "x".repeat(128);
    for (member, value) in [
        ("key", json!("k")),
        ("key", json!("é \"quoted\" \\ \n")),
        ("key", json!(x.as_str())),
        ("replyTo", json!("another message")),
        ("replyTo", json!("\u{0}😀")),
        ("replyTo", json!(x.as_str())),
        ("meta", json!({})),
        ("meta", json!({"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})),
        ("meta", json!({"a": 1, "b": -1.5, "c": true, "d": null, "e": "é\"\n", "": ""})),
        ("meta", json!({"a": "x".repeat(1016)})),
    ] {
        let came = relayed(&mut client, &format!(r#""{member}":{}"#, value.encode()));
        assert_eq!(came[member], value, "{member}");
        let mut expected = vec!["from", "id", "payload", "priority", "seq", "sessionId", "timestamp", "type", member];
        expected.sort_unstable();
        assert_eq!(members_of(&came), expected);
    }
    client.ws.close();
}

#[test]
fn meta_is_passed_on_as_it_is() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    for meta in [r#"{ "a" : 1.10 , "b":"\u00e9" }"#, r#"{"n":12345678901234567890123}"#] {
        client.ws.text(&format!(r#"{{"id":"m1","type":"custom","meta":{meta},"payload":{{}}}}"#));
        match client.ws.next() {
            super::common::websocket::Event::Text(text) => assert!(text.contains(meta), "{meta} in {text}"),
            event => panic!("the message, not {event:?}"),
        }
    }
    client.ws.close();
}

#[test]
fn unknown_members_are_not_passed_on() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    let came = relayed(
        &mut client,
        r#""userId":"x","Id":"m2","payloads":[[{"a":1}]],"epoch":"e","recovered":true,"connectionId":"c","\u006b":1"#,
    );
    assert_eq!(members_of(&came), ["from", "id", "payload", "priority", "seq", "sessionId", "timestamp", "type"]);
    client.ws.close();
}

#[test]
fn members_that_mean_nothing_here_may_be_there() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    for members in [
        r#""reliable":false"#,
        r#""ack":false"#,
        r#""echo":true"#,
        r#""seq":-1"#,
        r#""seq":"x""#,
        r#""from":{"a":1}"#,
        r#""timestamp":"2016-12-31T23:59:60Z""#,
        r#""timestamp":"2026-05-01t12:34:56.123456789-00:30""#,
    ] {
        relayed(&mut client, members);
    }
    client.ws.close();
}

/// The same member in another order, or the same envelope with white space, is the same envelope.
#[test]
fn the_form_of_an_envelope_does_not_matter() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    for text in [
        r#"{"payload":{},"priority":"low","type":"custom","id":"m1"}"#,
        "\n\t{ \"id\" :\"m1\"\r\n, \"type\":\"custom\",\"priority\" : \"low\",\"payload\":{} }\n",
        r#"{"\u0069\u0064":"\u006d1","ty\u0070e":"cust\u006fm","priority":"\u006cow","payload":{}}"#,
    ] {
        client.ws.text(text);
        let came = client.receive();
        assert!(json::is(&came, "id", "m1") && json::is(&came, "type", "custom"), "{text}: {}", came.encode());
        assert!(json::is(&came, "priority", "low"), "{text}: {}", came.encode());
    }
    client.ws.close();
}

#[test]
fn an_operation_s_id_is_its_key() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    let operation = json!({"operationId": "op-1", "operationType": "t", "status": "progress", "progress": 0.5});
    for kind in ["operation_started", "operation_progress", "operation_completed", "operation_failed", "operation_x"] {
        client.send(&envelope("m1", kind, operation.clone()));
        let came = client.receive();
        assert!(json::is(&came, "key", "op-1"), "{kind}: {}", came.encode());
        assert_eq!(came["payload"], operation);
    }
    client.send(&json!({"id": "m1", "type": "operation_progress", "key": "own", "payload": operation.clone()}));
    assert!(json::is(&client.receive(), "key", "own"));
    client.send(&envelope("m1", "custom", operation));
    assert!(json::find(&client.receive(), "key").is_none(), "only operations have it");
    client.ws.close();
}

#[test]
fn an_operation_without_an_id_has_no_key() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    for payload in [
        json!({}),
        json!({"operationId": 7}),
        json!({"operationId": ""}),
        json!({"details": {"operationId": "inner"}}),
        json!(["operationId", "op-1"]),
        json!("operationId"),
        json!(null),
    ] {
        let shown = payload.encode();
        client.send(&envelope("m1", "operation_progress", payload));
        let came = client.receive();
        assert!(json::find(&came, "key").is_none(), "{shown}: {}", came.encode());
    }
    client.ws.close();
}

/// Members whose meaning is not built yet are refused by name: nobody may believe that they work.
#[test]
fn what_is_not_offered_yet_is_refused() {
    let server = server();
    let mut other = Client::connect(server.address, "user-2", "s1");
    let mut client = Client::connect(server.address, "user-1", "s1");
    for (member, value) in [("version", "1"), ("base", "1"), ("encoding", r#""base64""#)] {
        let text = format!(r#"{{"id":"m1","type":"custom","{member}":{value},"payload":{{}}}}"#);
        let error = client.expect_error(&text, "bad_message");
        assert!(json::is(&error, "payload.field", member), "{text}: {}", error.encode());
        assert!(json::is(&error, "replyTo", "m1"), "{text}: {}", error.encode());
    }
    client.expect_nothing();
    other.expect_nothing();
}
