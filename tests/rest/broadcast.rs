//! `POST /ws-api/broadcast`.

use super::common::client::Client;
use super::common::json;
use super::{BROADCAST, accepted, assert_uuid, post, server};
use simd_json::json;
use simd_json::prelude::*;

#[test]
fn a_broadcast_needs_no_id() {
    let server = server();
    let mut members: Vec<_> = (1..=3).map(|n| Client::connect(server.address, &format!("user-{n}"), "s1")).collect();
    let body = r#"{"sessionId":"s1","type":"notification","payload":{"text":"hello"}}"#;
    let answer = accepted(&post(&server, "user-1", BROADCAST, body));
    let id = json::string(&answer, "id");
    assert_uuid(id);
    assert_eq!(answer, json!({"id": id, "seq": 1, "matched": 3, "queued": 3}));
    for member in &mut members {
        let came = member.receive();
        assert!(json::is(&came, "id", id) && json::is(&came, "type", "notification"), "{}", came.encode());
        assert!(json::is(&came, "priority", "normal") && json::is(&came, "from", "user-1"), "{}", came.encode());
        assert_eq!(came["payload"], json!({"text": "hello"}));
    }
    let second = accepted(&post(&server, "user-1", BROADCAST, body));
    assert_ne!(json::string(&second, "id"), id);
}

#[test]
fn the_other_members_are_kept() {
    let server = server();
    let mut member = Client::connect(server.address, "user-2", "s1");
    let body = r#"{"sessionId":"s1","type":"custom","id":"b1","priority":"high","key":"k","replyTo":"r",
        "meta":{"trace":"t"},"timestamp":"2001-01-01T00:00:00Z","payload":[ 1 , 2 ]}"#;
    let answer = accepted(&post(&server, "user-1", BROADCAST, body));
    assert!(json::is(&answer, "id", "b1"), "{}", answer.encode());
    let came = member.receive();
    for (name, value) in [("id", "b1"), ("priority", "high"), ("key", "k"), ("replyTo", "r"), ("sessionId", "s1")] {
        assert!(json::is(&came, name, value), "{name}: {}", came.encode());
    }
    assert_eq!(came["meta"], json!({"trace": "t"}));
}

#[test]
fn a_broadcast_is_for_a_session() {
    let server = server();
    let mut member = Client::connect(server.address, "user-1", "s1");
    for (body, code, field) in [
        (r#"{"type":"custom","payload":{}}"#, "no_session", None),
        (r#"{"type":"custom","sessionId":"s1","to":{"userId":"user-1"},"payload":{}}"#, "bad_message", Some("to")),
        (r#"{"sessionId":"s1","payload":{}}"#, "bad_message", Some("type")),
        (r#"{"sessionId":"s1","type":"custom"}"#, "bad_message", Some("payload")),
        (r#"{"sessionId":"@user-1","type":"custom","payload":{}}"#, "bad_message", Some("sessionId")),
        (r#"{"sessionId":7,"type":"custom","payload":{}}"#, "bad_message", Some("sessionId")),
        (r#"{"sessionId":"s1","type":"custom","id":"","payload":{}}"#, "bad_message", Some("id")),
    ] {
        let problem = post(&server, "user-1", BROADCAST, body).expect_problem(400);
        assert!(json::is(&problem, "code", code), "{body}: {}", problem.encode());
        if let Some(field) = field {
            assert!(json::is(&problem, "field", field), "{body}: {}", problem.encode());
        }
    }
    member.expect_nothing();
}
