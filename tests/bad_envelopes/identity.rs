//! Row 28: who does not say who they are, or say it wrongly.

use super::common::WS_PATH;
use super::common::client::{Client, envelope};
use super::common::json;
use super::common::row;
use super::common::server::TestServer;
use super::common::steps::assert_error;
use super::common::wait::PATIENCE;
use super::common::websocket::{Event, WebSocket};
use super::{SESSION, Scene, assert_reply_to, is_code};
use simd_json::json;
use simd_json::prelude::*;
use std::time::{Duration, Instant};

const KINDS: [&str; 12] = [
    "custom",
    "notification",
    "operation_started",
    "heartbeat",
    "ack",
    "error",
    "hashi:join",
    "hashi:leave",
    "hashi:drain",
    "hashi:unknown",
    "Authentication",
    "authentications",
];

#[test]
fn row_28_anything_before_authentication() {
    row::run(&[], |server| {
        let scene = Scene::open(server);
        let mut anonymous = Client::anonymous(server.address);
        for kind in KINDS {
            let text =
                format!(r#"{{"id":"m1","type":"{kind}","sessionId":"scene","payload":{{"sessionId":"scene"}}}}"#);
            let error = anonymous.expect_error(&text, "authentication_required");
            assert_reply_to(&error, Some("m1"), kind);
        }
        // The connection stays and may still say who it is.
        let welcome = anonymous.authenticate(json!({"token": "user-1", "sessionId": "other"}));
        assert!(json::boolean(&welcome, "payload.success"), "{}", welcome.encode());
        anonymous.round_trip("works");
        anonymous.ws.close();
        scene.end();
    });
}

const DEADLINE: Duration = Duration::from_millis(300);

/// What a connection does instead of authenticating.
type Idle = (&'static str, fn(&mut Client));

const IDLES: [Idle; 5] = [
    ("nothing", |_| {}),
    ("a ping", |client| client.ws.ping(b"here")),
    ("a message", |client| client.send(&envelope("m1", "custom", json!({})))),
    ("a heartbeat", |client| client.send(&envelope("m1", "heartbeat", json!({})))),
    ("a malformed authentication", |client| client.send(&envelope("m1", "authentication", json!({})))),
];

#[test]
fn row_28_no_authentication_in_time() {
    row::run_beside_others(&[("HASHI_AUTH_DEADLINE_MS", "300")], |server| {
        for (case, act) in IDLES {
            let mut client = Client::anonymous(server.address);
            let opened = Instant::now();
            act(&mut client);
            let reason = expect_timeout(&mut client, case);
            let waited = opened.elapsed();
            assert!(is_code(&reason), "{case}: {reason:?}");
            assert!(waited >= DEADLINE - Duration::from_millis(50), "{case}: closed after {waited:?} already");
            assert!(waited < DEADLINE * 4, "{case}: closed only after {waited:?}");
        }
        let mut client = Client::connect(server.address, "user-1", SESSION);
        let deadline = Instant::now() + 2 * DEADLINE;
        while Instant::now() < deadline {
            client.round_trip("authenticated in time");
        }
        client.ws.close();
    });
}

/// Waits for close 4004; errors and pongs may come before it.
#[track_caller]
fn expect_timeout(client: &mut Client, case: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match client.ws.next_by(deadline, true) {
            Event::Text(text) if json::is(&json::parse(&text), "type", "error") => {}
            Event::Closed { code: Some(4004), reason } => return reason,
            event => panic!("{case}: expected close 4004, not {event:?}"),
        }
    }
}

#[test]
fn row_28_bad_token() {
    let long = "u".repeat(255);
    row::run(&[], |server| {
        for token in ["", "a\nb", "a\u{0}b", "a\u{7f}b", "a\u{85}b", &long] {
            let mut client = Client::anonymous(server.address);
            let answer = client.authenticate(json!({"token": token, "sessionId": SESSION}));
            let shown = answer.encode();
            assert!(!json::boolean(&answer, "payload.success"), "{shown}");
            assert!(json::is(&answer, "payload.code", "invalid_token"), "{shown}");
            assert!(!json::boolean(&answer, "payload.temporary"), "{shown}");
            assert!(!json::string(&answer, "payload.message").is_empty(), "{shown}");
            assert!(!shown.contains("a\\nb"), "a token is never repeated: {shown}");
            assert_eq!(client.ws.expect_close(4501), "invalid_token", "{token:?}");
        }
        let mut client = Client::connect(server.address, &"u".repeat(254), SESSION);
        client.round_trip("the longest user id");
        client.ws.close();
    });
}

#[test]
fn row_28_another_user_on_a_live_connection() {
    row::run(&[], |server| {
        let scene = Scene::open(server);
        let mut member = scene.member();
        for payload in [
            json!({"token": "user-2"}),
            json!({"token": "watcher", "sessionId": SESSION}),
            json!({"token": "service:user-1"}),
            json!({"token": "user-1", "sessionId": "another"}),
        ] {
            let text = envelope("again", "authentication", payload).encode();
            let error = member.expect_error(&text, "bad_message");
            assert!(json::string(&error, "payload.field").starts_with("payload."), "{text}: {}", error.encode());
            assert_reply_to(&error, Some("again"), &text);
        }
        member.send(&json!({"id": "who", "type": "custom", "to": {"userId": "user-1"}, "payload": {}}));
        let own = member.receive();
        assert!(json::is(&own, "from", "user-1"), "it is still who it was: {}", own.encode());
        member.ws.close();
        scene.end();
    });
}

/// More than any budget of a tick.
const FLOOD_MESSAGES: usize = 4_000;

#[test]
fn row_28_unauthenticated_flood() {
    row::run(&[], |server| {
        let scene = Scene::open(server);
        for text in [
            r#"{"id":"m1","type":"custom","sessionId":"scene","payload":{}}"#,
            r#"{"id":"m1","type":"heartbeat","payload":{}}"#,
            r#"{"id":"m1","type":"authentication","payload":{}}"#,
            "nonsense",
        ] {
            let mut ws = WebSocket::open(server.address, WS_PATH);
            let flood = super::common::frame::Frame::text(text).encode().repeat(FLOOD_MESSAGES);
            // Ok because the server may hang up before all of it is sent.
            let _ = ws.tcp.try_send(flood);
            let answers = count_until_too_many(&mut ws, text);
            assert!((20..=40).contains(&answers), "{answers} answers to a flood of {text}");
        }
        scene.end();
    });
}

/// Counts the errors before close 4529.
#[track_caller]
fn count_until_too_many(ws: &mut WebSocket, sent: &str) -> usize {
    let mut answers = 0;
    loop {
        match ws.next() {
            Event::Text(text) => {
                let answer = json::parse(&text);
                assert_error(&answer, json::string(&answer, "payload.code"), sent);
                answers += 1;
            }
            Event::Closed { code: Some(4529), .. } => return answers,
            event => panic!("{sent}: expected close 4529 after {answers} answers, not {event:?}"),
        }
        assert!(answers <= FLOOD_MESSAGES, "answers without an end");
    }
}

#[test]
fn row_28_many_connections_that_do_not_authenticate() {
    row::run(&[], |server| {
        for _ in 0..3 {
            let idle: Vec<_> = (0..90).map(|_| WebSocket::open(server.address, WS_PATH)).collect();
            authenticate_beside(server);
            drop(idle);
        }
    });
}

#[track_caller]
fn authenticate_beside(server: &TestServer) {
    let mut client = Client::connect(server.address, "user-1", SESSION);
    client.round_trip("beside them");
    client.ws.close();
}
