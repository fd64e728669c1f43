//! Polls: at once, after a wait, from a stale cursor.

use super::common::client::{Client, envelope};
use super::common::http;
use super::common::json;
use super::common::server::TestServer;
use super::common::status;
use super::common::tcp::Tcp;
use super::{encode, ids_of, poll, publish, publish_message, server};
use simd_json::json;
use simd_json::prelude::*;
use std::time::{Duration, Instant};

/// The head of `sessionId=s1` as a cursor, encoded for a query.
#[track_caller]
fn head(server: &TestServer) -> String {
    let answer = poll(server, "user-1", "sessionId=s1");
    assert!(ids_of(&answer).is_empty() && json::boolean(&answer, "recovered"), "{}", answer.encode());
    encode(json::string(&answer, "cursor"))
}

/// A poll that is sent and not answered yet.
#[track_caller]
fn begin(server: &TestServer, query: &str) -> Tcp {
    let mut tcp = Tcp::connect(server.address);
    let headers = [("Authorization", "Bearer user-1")];
    tcp.send(http::encode(server.address, "GET", &format!("/ws-api/poll?{query}"), &headers, b""));
    tcp
}

#[test]
fn what_is_there_comes_at_once_in_the_order_of_positions() {
    let server = server();
    let cursor = head(&server);
    for (id, priority) in [("a", "low"), ("b", "high"), ("c", "normal")] {
        publish(&server, "s1", id, priority);
    }
    let answer = poll(&server, "user-1", &format!("sessionId=s1&cursor={cursor}"));
    assert_eq!(ids_of(&answer), ["a", "b", "c"]);
    assert!(json::boolean(&answer, "recovered"));
    let again = poll(&server, "user-1", &format!("sessionId=s1&cursor={cursor}"));
    assert_eq!(ids_of(&again), ["a", "b", "c"], "a poll forgets nothing");
}

#[test]
fn a_poll_waits_and_is_woken() {
    let server = server();
    let cursor = head(&server);
    let mut tcp = begin(&server, &format!("sessionId=s1&cursor={cursor}"));
    status::expect(server.address, "connections.poll", 1);
    assert!(http::try_read_response(&mut tcp, Duration::from_millis(100)).is_err());
    publish(&server, "other", "not-for-it", "high");
    publish(&server, "s1", "a", "normal");
    let answer = http::read_response(&mut tcp);
    assert_eq!((answer.status, ids_of(&answer.json())), (200, vec!["a".to_owned()]));
    status::expect(server.address, "connections.poll", 0);
    // The connection is kept.
    tcp.send(http::encode(server.address, "GET", "/healthz", &[], b""));
    assert_eq!(http::read_response(&mut tcp).body, b"ok\n");
    tcp.abort();
    status::expect_empty(server.address);
}

#[test]
fn a_message_to_the_user_wakes_it_too() {
    let server = server();
    let cursor = head(&server);
    let mut tcp = begin(&server, &format!("sessionId=s1&cursor={cursor}"));
    status::expect(server.address, "connections.poll", 1);
    let body = r#"{"id":"hello","type":"custom","to":{"userId":"user-1"},"payload":1}"#;
    let headers = [("Authorization", "Bearer service:x"), ("Content-Type", "application/json")];
    assert_eq!(http::request(server.address, "POST", "/ws-api/send", &headers, body.as_bytes()).status, 202);
    assert_eq!(ids_of(&http::read_response(&mut tcp).json()), ["hello"]);
}

/// Half of the time after which sessions without members are forgotten, if that is less than 25 s.
#[test]
fn a_poll_that_nothing_comes_for_ends_with_the_same_cursor() {
    let server = TestServer::spawn_process(&[("WEBSOCKET_MESSAGE_EXPIRY_TIME", "1000")]);
    let mut cursor = head(&server);
    for _ in 0..3 {
        let start = Instant::now();
        let answer = poll(&server, "user-1", &format!("sessionId=s1&cursor={cursor}"));
        assert!(start.elapsed() >= Duration::from_millis(450), "after {:?}", start.elapsed());
        assert!(ids_of(&answer).is_empty() && json::boolean(&answer, "recovered"), "{}", answer.encode());
        let next = encode(json::string(&answer, "cursor"));
        assert_eq!(std::mem::replace(&mut cursor, next.clone()), next);
    }
}

#[test]
fn a_poll_whose_client_goes_is_forgotten() {
    let server = server();
    let cursor = head(&server);
    let tcp = begin(&server, &format!("sessionId=s1&cursor={cursor}"));
    status::expect(server.address, "connections.poll", 1);
    drop(tcp);
    status::expect(server.address, "connections.poll", 0);
    publish(&server, "s1", "a", "normal");
    status::expect_empty(server.address);
}

#[test]
fn a_stale_cursor_gives_the_head() {
    let server = TestServer::spawn_process(&[("HASHI_HISTORY_MESSAGES", "2")]);
    let old = head(&server);
    for id in ["a", "b", "c"] {
        publish(&server, "s1", id, "normal");
    }
    for stale in [old.as_str(), "s1%3Aother%3A1", "s1%3Aother%3A-1"] {
        let answer = poll(&server, "user-1", &format!("sessionId=s1&cursor={stale}"));
        assert!(ids_of(&answer).is_empty() && !json::boolean(&answer, "recovered"), "{}", answer.encode());
        assert!(json::string(&answer, "cursor").contains(":3,~:"), "{}", answer.encode());
    }
}

/// The poll is told at once, and goes on in the sessions that take the place of those that are gone.
#[test]
fn a_session_that_is_forgotten_wakes_its_polls() {
    let server = TestServer::spawn_process(&[("HASHI_SESSIONS", "4")]);
    let cursor = head(&server);
    let mut tcp = begin(&server, &format!("sessionId=s1&cursor={cursor}"));
    status::expect(server.address, "connections.poll", 1);
    for name in ["a", "b", "c", "d"] {
        publish(&server, name, name, "normal");
    }
    let answer = http::read_response(&mut tcp).json();
    assert!(ids_of(&answer).is_empty() && !json::boolean(&answer, "recovered"), "{}", answer.encode());
    let next = json::string(&answer, "cursor");
    assert!(next.starts_with("s1:") && next.contains(",~:") && encode(next) != cursor, "{next}");
    publish(&server, "s1", "e", "normal");
    let answer = poll(&server, "user-1", &format!("sessionId=s1&cursor={}", encode(next)));
    assert_eq!((ids_of(&answer), json::boolean(&answer, "recovered")), (vec!["e".to_owned()], true));
}

/// A message that was past its time before it was polled is told as lost once; all others are there.
#[test]
fn what_has_expired_is_told() {
    let server = server();
    let cursor = head(&server);
    publish(&server, "s1", "a", "normal");
    publish_message(
        &server,
        &json!({"id": "late", "type": "custom", "sessionId": "s1", "expiresIn": 1, "payload": {}}),
    );
    publish(&server, "s1", "b", "normal");
    status::expect(server.address, "counters.expired", 1);
    let answer = poll(&server, "user-1", &format!("sessionId=s1&cursor={cursor}"));
    assert_eq!((ids_of(&answer), json::boolean(&answer, "recovered")), (vec!["a".to_owned(), "b".to_owned()], false));
    let next = encode(json::string(&answer, "cursor"));
    publish(&server, "s1", "c", "normal");
    let answer = poll(&server, "user-1", &format!("sessionId=s1&cursor={next}"));
    assert_eq!((ids_of(&answer), json::boolean(&answer, "recovered")), (vec!["c".to_owned()], true));
}

/// Where there is no room for all sessions, the one that gives way to the reader's own is told as lost.
#[test]
fn a_session_that_gives_way_is_told() {
    let server = TestServer::spawn_process(&[("HASHI_SESSIONS", "2")]);
    let mut member = Client::connect(server.address, "member", "s1");
    member.send(&envelope("l1", "hashi:leave", json!({"sessionId": "s1"})));
    let left = member.receive_type("hashi:leave");
    let epoch = json::string(&left, "payload.epoch");
    let answer = poll(&server, "user-1", &format!("sessionId=s1&cursor=s1%3A{epoch}%3A0"));
    assert!(!json::boolean(&answer, "recovered"), "{}", answer.encode());
    assert!(json::string(&answer, "cursor").starts_with("~:"), "{}", answer.encode());
}

#[test]
fn a_session_that_the_cursor_does_not_name_starts_at_its_head() {
    let server = server();
    publish(&server, "s1", "before", "normal");
    let personal = poll(&server, "user-1", "");
    let cursor = encode(json::string(&personal, "cursor"));
    let mut tcp = begin(&server, &format!("sessionId=s1&cursor={cursor}"));
    status::expect(server.address, "connections.poll", 1);
    publish(&server, "s1", "after", "normal");
    assert_eq!(ids_of(&http::read_response(&mut tcp).json()), ["after"]);
}

/// A poll that was in several sessions as a WebSocket goes on in all of them.
#[test]
fn the_sessions_of_the_cursor_are_read_too() {
    let server = server();
    let both = ["s1", "s2"].map(|name| {
        let answer = poll(&server, "user-1", &format!("sessionId={name}"));
        json::string(&answer, "cursor").split(',').next().expect("a place").to_owned()
    });
    publish(&server, "s2", "b", "normal");
    publish(&server, "s1", "a", "normal");
    let answer = poll(&server, "user-1", &format!("sessionId=s1&cursor={}", encode(&both.join(","))));
    assert_eq!(ids_of(&answer), ["a", "b"]);
    assert_eq!(json::string(&answer, "cursor").split(',').count(), 3);
}

#[test]
fn waiting_polls_count_as_connections() {
    let server = TestServer::spawn_process(&[("WEBSOCKET_MAX_CONNECTIONS", "1")]);
    let cursor = head(&server);
    let query = format!("sessionId=s1&cursor={cursor}");
    let mut first = begin(&server, &query);
    status::expect(server.address, "connections.poll", 1);
    let refused = http::read_response(&mut begin(&server, &query));
    refused.expect_problem(503);
    assert!(refused.header("retry-after").is_some());
    publish(&server, "s1", "a", "normal");
    assert_eq!(ids_of(&http::read_response(&mut first).json()), ["a"]);
}

/// A request behind a waiting poll is answered after it.
#[test]
fn requests_behind_a_poll_wait() {
    let server = server();
    let cursor = head(&server);
    let mut tcp = begin(&server, &format!("sessionId=s1&cursor={cursor}"));
    tcp.send(http::encode(server.address, "GET", "/healthz", &[], b""));
    status::expect(server.address, "connections.poll", 1);
    publish(&server, "s1", "a", "normal");
    assert_eq!(ids_of(&http::read_response(&mut tcp).json()), ["a"]);
    assert_eq!(http::read_response(&mut tcp).body, b"ok\n");
}

/// What a connection published with `echo: false` is hidden from the poll that goes on for it.
#[test]
fn what_is_hidden_from_its_connection_is_hidden() {
    let server = server();
    let cursor = head(&server);
    let mut client = super::common::client::Client::connect(server.address, "user-1", "s1");
    let id = client.connection_id().to_owned();
    client.ws.text(r#"{"id":"own","type":"custom","echo":false,"payload":1}"#);
    client.round_trip("both");
    let query = |more: &str| format!("sessionId=s1&cursor={cursor}{more}");
    assert_eq!(ids_of(&poll(&server, "user-1", &query(""))), ["own", "both"]);
    assert_eq!(ids_of(&poll(&server, "user-1", &query(&format!("&connectionId={id}")))), ["both"]);
}
