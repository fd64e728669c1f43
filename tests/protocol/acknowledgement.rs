//! `ack`: a sender that wants to know that its message was published.

use super::common::client::{Client, envelope};
use super::common::json;
use super::common::status;
use super::{members_of, server};
use simd_json::json;
use simd_json::prelude::*;

#[test]
fn an_ack_says_where_the_message_is_and_how_many_it_is_for() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    let _others: Vec<_> = (2..=4).map(|n| Client::connect(server.address, &format!("user-{n}"), "s1")).collect();
    for (seq, echo, matched) in [(1, true, 4), (2, false, 3), (3, true, 4)] {
        let id = format!("m{seq}");
        client.send(&json!({"id": id.as_str(), "type": "custom", "ack": true, "echo": echo, "payload": {}}));
        let came = client.settle();
        assert_eq!(came.len(), 1 + usize::from(echo), "{came:?}");
        let ack = came.iter().find(|message| json::is(message, "type", "ack")).expect("an ack");
        assert!(json::is(ack, "priority", "high"), "{}", ack.encode());
        assert_eq!(members_of(&ack["payload"]), ["results"]);
        let results = ack["payload"]["results"].as_array().expect("an array");
        assert_eq!(results.len(), 1, "{}", ack.encode());
        assert_eq!(members_of(&results[0]), ["id", "matched", "queued", "seq"]);
        assert_eq!(results[0], json!({"id": id.as_str(), "seq": seq, "matched": matched, "queued": matched}));
        let message = came.iter().find(|message| json::is(message, "type", "custom"));
        let asks = message.is_some_and(|message| json::find(message, "ack").is_some());
        assert!(!asks, "nobody is asked to confirm: {came:?}");
    }
}

#[test]
fn nobody_in_the_session() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    let published = client.publish(json!({"id": "m1", "type": "custom", "sessionId": "empty", "payload": {}}));
    assert_eq!(published, json!({"id": "m1", "seq": 1, "matched": 0, "queued": 0}));
    let published = client.publish(json!({"id": "m2", "type": "custom", "echo": false, "payload": {}}));
    assert_eq!(published, json!({"id": "m2", "seq": 1, "matched": 0, "queued": 0}));
    client.expect_nothing();
    client.ws.close();
}

#[test]
fn without_ack_there_is_none() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    client.ws.text(r#"{"id":"m1","type":"custom","payload":{}}"#);
    client.ws.text(r#"{"id":"m2","type":"custom","ack":false,"payload":{}}"#);
    let kinds: Vec<_> = client.settle().iter().map(|message| json::string(message, "type").to_owned()).collect();
    assert_eq!(kinds, ["custom", "custom"]);
    client.ws.close();
}

#[test]
fn a_message_that_is_refused_gets_an_error_and_no_ack() {
    let server = server();
    let mut client = Client::connect_with(server.address, json!({"token": "user-1"}));
    let error = client.expect_error(r#"{"id":"m1","type":"custom","ack":true,"payload":{}}"#, "no_session");
    assert!(json::is(&error, "replyTo", "m1"), "{}", error.encode());
    client.expect_error(r#"{"id":"m2","type":"hashi:gap","ack":true,"payload":{}}"#, "reserved_type");
    client.expect_nothing();
    client.ws.close();
}

#[test]
fn ids_of_any_text_come_back() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    for id in ["x", "with space", "é€😀", "\"quoted\\\"", "a\nb", "\u{0}", "00000000-0000-0000-0000-000000000000"]
    {
        let published = client.publish(envelope(id, "custom", json!({})));
        assert!(json::is(&published, "id", id), "{}", published.encode());
    }
    client.ws.close();
}

/// A client that was asked to confirm nothing has nothing to confirm: its ids are counted and ignored.
#[test]
fn an_ack_of_a_client_is_ignored() {
    let server = server();
    let mut other = Client::connect(server.address, "user-2", "s1");
    let mut client = Client::connect(server.address, "user-1", "s1");
    client.round_trip("m1");
    other.receive();
    for payload in [json!({"ids": ["m1"]}), json!({"ids": ["unknown", "m1", "m1"]}), json!({"ids": []})] {
        client.send(&envelope("a1", "ack", payload));
    }
    client.expect_nothing();
    other.expect_nothing();
    status::expect(server.address, "counters.ignoredAcks", 4);
    client.round_trip("the connection stays");
    client.ws.close();
    other.ws.close();
}
