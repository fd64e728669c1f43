//! Rows 29 and 30, and what row 10 says of forbidden sessions: what a policy does not allow.

use super::assert_reply_to;
use super::common::client::{Client, envelope};
use super::common::http::{self, Response};
use super::common::json;
use super::common::policy::{FORBIDDEN_TYPE, OWNER, READER, Strict};
use super::common::row;
use super::common::server::TestServer;
use simd_json::json;
use simd_json::prelude::*;

fn run(body: impl Fn(&TestServer)) {
    row::run_alone_on(|| Strict::default().serve(), body);
}

#[test]
fn row_29_forbidden_session_at_authentication() {
    run(|server| {
        for session in ["private", "private-1", "private/é"] {
            let mut client = Client::anonymous(server.address);
            let answer = client.authenticate(json!({"token": "user-1", "sessionId": session}));
            let shown = answer.encode();
            assert!(!json::boolean(&answer, "payload.success"), "{shown}");
            assert!(json::is(&answer, "payload.code", "session_forbidden"), "{shown}");
            assert!(!json::boolean(&answer, "payload.temporary"), "{shown}");
            assert_eq!(client.ws.expect_close(4503), "session_forbidden", "{session}");
            Client::connect(server.address, OWNER, session).ws.close();
        }
        forbidden_by_the_envelope(server);
    });
}

/// The envelope's session counts where the payload has none, for permission too.
#[track_caller]
fn forbidden_by_the_envelope(server: &TestServer) {
    let mut client = Client::anonymous(server.address);
    client.send(&json!({"id": "a", "type": "authentication", "sessionId": "private", "payload": {"token": "user-1"}}));
    let answer = client.receive();
    assert!(json::is(&answer, "payload.code", "session_forbidden"), "{}", answer.encode());
    client.ws.expect_close(4503);
}

#[test]
fn row_29_bad_token_of_a_policy() {
    run(|server| {
        let mut client = Client::anonymous(server.address);
        let answer = client.authenticate(json!({"token": "bad one", "sessionId": "open"}));
        assert!(json::is(&answer, "payload.code", "invalid_token"), "{}", answer.encode());
        client.ws.expect_close(4501);
        get_members(server, "bad one", "open").expect_problem(401);
        let mut live = Client::connect(server.address, "user-1", "open");
        let again = envelope("again", "authentication", json!({"token": "bad one"})).encode();
        live.ws.text(&again);
        let refused = live.receive();
        assert!(json::is(&refused, "replyTo", "again"), "{}", refused.encode());
        assert!(json::is(&refused, "payload.code", "invalid_token"), "{}", refused.encode());
    });
}

#[test]
fn row_29_forbidden_session_at_join() {
    run(|server| {
        let mut owner = Client::connect(server.address, OWNER, "private");
        let mut client = Client::connect(server.address, "user-1", "open");
        let text = envelope("join", "hashi:join", json!({"sessionId": "private"})).encode();
        let error = client.expect_error(&text, "session_forbidden");
        assert_reply_to(&error, Some("join"), &text);
        owner.send(&envelope("secret", "custom", json!({})));
        owner.receive_where(|message| json::is(message, "id", "secret"));
        client.expect_nothing();
        client.round_trip("the connection stays");
        client.ws.close();
        owner.ws.close();
    });
}

/// Names that no session has, at every place a name can stand.
#[test]
fn row_29_bad_session_ids() {
    let long = "s".repeat(256);
    let wide = "€".repeat(86);
    let names = ["", "@user-1", "@", "a\u{0}b", "a\nb", "\u{7f}", "a\u{85}b", &long, &wide];
    row::run(&[], |server| {
        for name in names {
            for (kind, payload, field) in [
                ("custom", json!({}), "sessionId"),
                ("authentication", json!({"token": "user-1"}), "sessionId"),
                ("heartbeat", json!({}), "sessionId"),
            ] {
                let message = json!({"id": "m1", "type": kind, "sessionId": name, "payload": payload});
                refuse_name(server, &message.encode(), field);
            }
            for kind in ["authentication", "hashi:join", "hashi:leave"] {
                let payload = json!({"token": "user-1", "sessionId": name});
                refuse_name(server, &envelope("m1", kind, payload).encode(), "payload.sessionId");
            }
        }
    });
}

#[track_caller]
fn refuse_name(server: &TestServer, text: &str, field: &str) {
    let mut client = Client::connect(server.address, "user-1", "open");
    let error = client.expect_error(text, "bad_message");
    assert!(json::is(&error, "payload.field", field), "{text}: {}", error.encode());
    assert_reply_to(&error, Some("m1"), text);
    client.round_trip("the connection stays");
    client.ws.close();
    if text.contains("authentication") {
        refuse_name_first(server, text);
    }
}

/// The same as the first message: the connection stays and may try again.
#[track_caller]
fn refuse_name_first(server: &TestServer, text: &str) {
    let mut client = Client::anonymous(server.address);
    client.expect_error(text, "bad_message");
    let welcome = client.authenticate(json!({"token": "user-1"}));
    assert!(json::boolean(&welcome, "payload.success"), "{}", welcome.encode());
    client.ws.close();
}

/// What `user-1`, a member of `open`, and `reader` may not publish.
#[test]
fn row_30_forbidden_publishing() {
    run(|server| {
        let mut owner = Client::connect(server.address, OWNER, "private");
        owner.join("open");
        let session = |name: &str| json!({"id": "m1", "type": "custom", "sessionId": name, "payload": {}});
        let cases = [
            ("user-1", session("private")),
            ("user-1", session("private-that-does-not-exist")),
            ("user-1", envelope("m1", FORBIDDEN_TYPE, json!({}))),
            ("user-1", json!({"id": "m1", "type": FORBIDDEN_TYPE, "to": {"userId": OWNER}, "payload": {}})),
            (READER, envelope("m1", "custom", json!({}))),
            (READER, session("open")),
            (READER, json!({"id": "m1", "type": "custom", "ack": true, "payload": {}})),
            (READER, json!({"id": "m1", "type": "custom", "to": {"userId": OWNER}, "payload": {}})),
        ];
        for (user, message) in &cases {
            let mut client = Client::connect(server.address, user, "open");
            let text = message.encode();
            let error = client.expect_error(&text, "forbidden");
            assert_reply_to(&error, Some("m1"), &text);
            client.expect_nothing();
            client.ws.close();
        }
        owner.expect_nothing();
        owner.ws.close();
    });
}

#[test]
fn row_30_forbidden_publishing_over_rest() {
    let operation = r#"{"sessionId":"private","operationId":"o","operationType":"t","status":"started"}"#;
    let message = r#"{"id":"m1","type":"custom","sessionId":"private","payload":{}}"#;
    let kind = r#"{"id":"m1","type":"forbidden","sessionId":"open","payload":{}}"#;
    run(|server| {
        let mut owner = Client::connect(server.address, OWNER, "private");
        for (target, body) in [
            ("/ws-api/send", message),
            ("/ws-api/send", kind),
            ("/ws-api/broadcast", message),
            ("/ws-api/broadcast", kind),
            ("/ws-api/notify/operation", operation),
        ] {
            let problem = post(server, "user-1", target, body).expect_problem(403);
            assert!(json::is(&problem, "code", "forbidden"), "{target} {body}: {}", problem.encode());
        }
        owner.expect_nothing();
        let sent = post(server, OWNER, "/ws-api/send", message);
        assert_eq!(sent.status, 202, "{}", String::from_utf8_lossy(&sent.body));
        assert!(json::is(&owner.receive(), "id", "m1"));
        owner.ws.close();
    });
}

/// A member of no common session is not told whether there is somebody.
#[test]
fn row_30_forbidden_addressees() {
    run(|server| {
        let mut owner = Client::connect(server.address, OWNER, "private");
        let mut client = Client::connect(server.address, "user-1", "open");
        let id = owner.connection_id().to_owned();
        let mut answers = Vec::new();
        for to in [
            json!({"userId": OWNER}),
            json!({"userId": "nobody"}),
            json!({"connectionId": id}),
            json!({"connectionId": "00000000000000000000000000000000"}),
        ] {
            let text = json!({"id": "m1", "type": "custom", "to": to, "ack": true, "payload": {}}).encode();
            let error = client.expect_error(&text, "forbidden");
            answers.push(error["payload"].encode());
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "one answer for all: {answers:?}");
        owner.expect_nothing();
        client.ws.close();
        owner.ws.close();
    });
}

#[track_caller]
fn get_members(server: &TestServer, user: &str, session: &str) -> Response {
    let token = format!("Bearer {user}");
    let target = format!("/ws-api/connections/session/{session}");
    http::request(server.address, "GET", &target, &[("Authorization", &token)], b"")
}

#[track_caller]
fn post(server: &TestServer, user: &str, target: &str, body: &str) -> Response {
    let token = format!("Bearer {user}");
    let headers = [("Authorization", token.as_str()), ("Content-Type", "application/json")];
    http::request(server.address, "POST", target, &headers, body.as_bytes())
}

#[test]
fn row_10_forbidden_session_over_rest() {
    run(|server| {
        let owner = Client::connect(server.address, OWNER, "private");
        for session in ["private", "private-that-does-not-exist", "%70rivate"] {
            let problem = get_members(server, "user-1", session).expect_problem(403);
            assert!(json::is(&problem, "code", "session_forbidden"), "{session}: {}", problem.encode());
            assert!(!problem.encode().contains(owner.connection_id()), "{}", problem.encode());
        }
        let allowed = get_members(server, OWNER, "private");
        assert_eq!((allowed.status, json::number(&allowed.json(), "count")), (200, 1));
        let problem = get_members(server, "bad", "open").expect_problem(401);
        assert!(json::is(&problem, "code", "invalid_token"), "{}", problem.encode());
        owner.ws.close();
    });
}
