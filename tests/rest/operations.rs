//! `POST /ws-api/notify/operation`.

use super::common::client::Client;
use super::common::json;
use super::common::websocket::Event;
use super::{NOTIFY, accepted, assert_time, assert_uuid, members_of, post, server};
use simd_json::json;
use simd_json::prelude::*;

#[test]
fn each_status_becomes_its_type() {
    let server = server();
    let mut member = Client::connect(server.address, "user-2", "s1");
    for (seq, status) in (1..).zip(["started", "progress", "completed", "failed"]) {
        let body =
            format!(r#"{{"sessionId":"s1","operationId":"op-1","operationType":"analysis","status":"{status}"}}"#);
        let answer = accepted(&post(&server, "user-1", NOTIFY, &body));
        let id = json::string(&answer, "id");
        assert_uuid(id);
        assert_eq!(answer, json!({"id": id, "seq": seq, "matched": 1, "queued": 1}));
        let came = member.receive();
        assert!(json::is(&came, "type", &format!("operation_{status}")), "{}", came.encode());
        for (name, value) in [("id", id), ("key", "op-1"), ("from", "user-1"), ("sessionId", "s1")] {
            assert!(json::is(&came, name, value), "{name}: {}", came.encode());
        }
        for (name, value) in [("operationId", "op-1"), ("operationType", "analysis"), ("status", status)] {
            assert!(json::is(&came["payload"], name, value), "{name}: {}", came.encode());
        }
        assert_time(&came, "payload.updatedAt");
    }
}

#[test]
fn all_fields_of_an_operation_are_passed_on() {
    let server = server();
    let mut member = Client::connect(server.address, "user-2", "s1");
    let payload = json!({
        "operationId": "op-1",
        "operationType": "analysis",
        "status": "failed",
        "progress": 0.25,
        "stage": "second",
        "details": {"any": ["JSON", {"deep": null}]},
        "error": {"code": "E1", "message": "no room"},
        "startedAt": "2026-05-01T12:34:56.789Z",
        "updatedAt": "2026-05-01T12:35:56Z",
        "etaMs": 1500
    });
    let mut body = payload.clone();
    for (name, value) in [("sessionId", "s1"), ("id", "n1"), ("priority", "high"), ("unknown", "dropped")] {
        body.insert(name, value).expect("ok because it is an object");
    }
    let answer = accepted(&post(&server, "user-1", NOTIFY, &body.encode()));
    assert!(json::is(&answer, "id", "n1"), "{}", answer.encode());
    let came = member.receive();
    assert!(json::is(&came, "id", "n1") && json::is(&came, "priority", "high"), "{}", came.encode());
    assert_eq!(came["payload"], payload);
}

#[test]
fn what_a_status_implies() {
    let server = server();
    let mut member = Client::connect(server.address, "user-2", "s1");
    for (status, progress) in [("started", 0), ("completed", 1)] {
        let body = format!(r#"{{"sessionId":"s1","operationId":"o","operationType":"t","status":"{status}"}}"#);
        accepted(&post(&server, "user-1", NOTIFY, &body));
        let came = member.receive();
        assert_eq!(json::number(&came, "payload.progress"), progress, "{}", came.encode());
        assert!(json::is(&came, "priority", "normal"), "{}", came.encode());
        assert_eq!(members_of(&came["payload"]).contains(&"startedAt"), status == "started", "{}", came.encode());
    }
}

#[test]
fn wrong_fields_are_named() {
    let server = server();
    let mut member = Client::connect(server.address, "user-2", "s1");
    let base = r#""sessionId":"s1","operationId":"o","operationType":"t","status":"progress""#;
    for (more, field) in [
        (r#""progress":1.5"#, "progress"),
        (r#""progress":-0.1"#, "progress"),
        (r#""progress":"half""#, "progress"),
        (r#""stage":7"#, "stage"),
        (r#""error":"no""#, "error"),
        (r#""error":{"code":"E1"}"#, "error"),
        (r#""startedAt":"yesterday""#, "startedAt"),
        (r#""updatedAt":0"#, "updatedAt"),
        (r#""etaMs":-1"#, "etaMs"),
        (r#""id":"""#, "id"),
        (r#""id":7"#, "id"),
        (r#""priority":"urgent""#, "priority"),
    ] {
        let problem = post(&server, "user-1", NOTIFY, &format!("{{{base},{more}}}")).expect_problem(400);
        assert!(json::is(&problem, "code", "bad_message"), "{more}: {}", problem.encode());
        assert!(json::is(&problem, "field", field), "{more}: {}", problem.encode());
    }
    let long = "o".repeat(129);
    for (from, to, field) in [
        (r#""operationId":"o""#, format!(r#""operationId":"{long}""#), "operationId"),
        (r#""operationId":"o""#, r#""operationId":"""#.to_owned(), "operationId"),
        (r#""operationType":"t""#, r#""operationType":7"#.to_owned(), "operationType"),
        (r#""status":"progress""#, r#""status":"Progress""#.to_owned(), "status"),
        (r#""sessionId":"s1""#, r#""sessionId":"@user-2""#.to_owned(), "sessionId"),
    ] {
        let problem = post(&server, "user-1", NOTIFY, &format!("{{{}}}", base.replace(from, &to))).expect_problem(400);
        assert!(json::is(&problem, "field", field), "{to}: {}", problem.encode());
    }
    member.expect_nothing();
}

#[test]
fn details_nested_too_deep() {
    let server = server();
    let body = |depth: usize| {
        let details = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let base = r#""sessionId":"s1","operationId":"o","operationType":"t","status":"progress""#;
        format!(r#"{{{base},"details":{details}}}"#)
    };
    // The payload is one level, so its details may have one less than it.
    accepted(&post(&server, "user-1", NOTIFY, &body(31)));
    for depth in [32, 100, 1_000, 30_000] {
        let response = post(&server, "user-1", NOTIFY, &body(depth));
        let problem = response.expect_problem(400);
        assert!(json::is(&problem, "code", "too_deep"), "{depth}: {}", problem.encode());
    }
}

#[test]
fn large_numbers_are_not_rounded() {
    let server = server();
    let mut member = Client::connect(server.address, "user-2", "s1");
    let base = r#""sessionId":"s1","operationId":"o","operationType":"t","status":"progress""#;
    for number in ["9007199254740993", "18446744073709551616", "123456789012345678901234567890"] {
        accepted(&post(&server, "user-1", NOTIFY, &format!(r#"{{{base},"details":{{"bytes":{number}}}}}"#)));
        match member.ws.next() {
            Event::Text(text) => assert!(text.contains(number), "{number} in {text}"),
            event => panic!("the message, not {event:?}"),
        }
    }
}

#[test]
fn what_is_wrong_or_not_offered_yet_is_refused() {
    let server = server();
    let mut member = Client::connect(server.address, "user-2", "s1");
    let base = r#""sessionId":"s1","operationId":"o","operationType":"t","status":"started""#;
    for (field, value) in [("reliable", "1"), ("ack", r#""yes""#), ("version", "1"), ("expiresIn", "0")] {
        let body = format!(r#"{{{base},"{field}":{value}}}"#);
        let problem = post(&server, "user-1", NOTIFY, &body).expect_problem(400);
        assert!(json::is(&problem, "field", field), "{body}: {}", problem.encode());
    }
    member.expect_nothing();
}
