//! Tickets: for clients that cannot send a token, as EventSource cannot.

use super::common::client::Client;
use super::common::http::{self, Response};
use super::common::json;
use super::common::policy::Strict;
use super::common::server::TestServer;
use super::common::tcp::Tcp;
use super::common::websocket::{Event, WebSocket, upgrade_request};
use super::stream::Stream;
use super::{publish, server};
use simd_json::prelude::*;

#[track_caller]
fn ask(server: &TestServer, user: &str, body: &str) -> Response {
    let token = format!("Bearer {user}");
    let headers = [("Authorization", token.as_str()), ("Content-Type", "application/json")];
    http::request(server.address, "POST", "/ws-api/ticket", &headers, body.as_bytes())
}

/// A ticket for the session `s1`.
#[track_caller]
pub fn ticket(server: &TestServer, user: &str) -> String {
    let response = ask(server, user, r#"{"sessionId":"s1"}"#);
    assert_eq!(response.status, 201);
    let ticket = response.json();
    assert_eq!(json::number(&ticket, "expiresInMs"), 60_000);
    json::string(&ticket, "ticket").to_owned()
}

/// Without `Authorization`.
#[track_caller]
fn get(server: &TestServer, target: &str) -> Response {
    http::request(server.address, "GET", target, &[], b"")
}

/// A stream without `Authorization`.
#[track_caller]
pub fn open(server: &TestServer, query: &str) -> Stream {
    let mut tcp = Tcp::connect(server.address);
    tcp.send(http::encode(server.address, "GET", &format!("/ws-api/events?{query}"), &[], b""));
    Stream::begin(tcp)
}

#[test]
fn a_ticket_opens_a_stream_and_opens_it_again() {
    let server = server();
    let ticket = ticket(&server, "user-1");
    for query in [format!("ticket={ticket}"), format!("sessionId=s1&ticket={ticket}")] {
        let welcome = open(&server, &query).welcome();
        assert!(json::is(&welcome, "payload.userId", "user-1") && json::is(&welcome, "payload.sessionId", "s1"));
    }
    let answer = get(&server, &format!("/ws-api/poll?ticket={ticket}"));
    assert_eq!(answer.status, 200);
    assert!(json::string(&answer.json(), "cursor").starts_with("s1:"));
}

#[test]
fn a_ticket_is_for_its_session_only() {
    let server = server();
    let ticket = ticket(&server, "user-1");
    for route in ["events", "poll"] {
        let problem = get(&server, &format!("/ws-api/{route}?sessionId=s2&ticket={ticket}")).expect_problem(403);
        assert!(json::is(&problem, "code", "session_forbidden"));
    }
    publish(&server, "s2", "secret", "normal");
    let answer = get(&server, &format!("/ws-api/poll?ticket={ticket}&cursor=s2%3Ae%3A0")).json();
    assert!(!json::boolean(&answer, "recovered") && !json::string(&answer, "cursor").contains("s2"));
}

#[test]
fn what_is_no_ticket_is_refused() {
    let server = server();
    for bad in ["x", "00000000000000000000000000000000", ""] {
        for target in ["/ws-api/events", "/ws-api/poll"] {
            let problem = get(&server, &format!("{target}?sessionId=s1&ticket={bad}")).expect_problem(401);
            assert!(json::is(&problem, "code", "invalid_token") && json::is(&problem, "field", "ticket"));
        }
        let upgrade = upgrade_request(server.address, &format!("/ws?ticket={bad}"), &[]);
        http::exchange(server.address, upgrade).expect_problem(401);
    }
}

#[test]
fn an_upgrade_with_a_ticket_needs_no_token() {
    let server = server();
    let ticket = ticket(&server, "user-1");
    for _ in 0..2 {
        let mut ws = WebSocket::open(server.address, &format!("/ws?ticket={ticket}"));
        ws.text(r#"{"id":"a","type":"authentication","payload":{}}"#);
        let mut client = Client { ws, welcome: simd_json::OwnedValue::null() };
        let welcome = client.receive();
        assert!(json::is(&welcome, "payload.userId", "user-1") && json::is(&welcome, "payload.sessionId", "s1"));
        client.round_trip("works");
    }
    let mut ws = WebSocket::open(server.address, &format!("/ws?ticket={ticket}"));
    ws.text(r#"{"id":"a","type":"authentication","payload":{"sessionId":"s2"}}"#);
    assert!(matches!(ws.next(), Event::Text(text) if text.contains("session_forbidden")));
    ws.expect_close(4503);
}

#[test]
fn a_ticket_is_made_only_for_a_session_that_its_user_may_join() {
    let server = Strict::default().serve();
    let problem = ask(&server, "user-1", r#"{"sessionId":"private"}"#).expect_problem(403);
    assert!(json::is(&problem, "code", "session_forbidden"));
    ask(&server, "bad", r#"{"sessionId":"s1"}"#).expect_problem(401);
    for body in ["{}", r#"{"sessionId":7}"#, r#"{"sessionId":"@x"}"#, "[]"] {
        let problem = ask(&server, "user-1", body).expect_problem(400);
        assert!(json::is(&problem, "field", "sessionId"), "{body}: {}", problem.encode());
    }
    let problem = ask(&server, "user-1", "{").expect_problem(400);
    assert!(json::find(&problem, "offset").is_some());
}

#[test]
fn whoever_asks_for_many_tickets_takes_none_from_others() {
    let server = TestServer::spawn_process(&[("WEBSOCKET_MAX_CONNECTIONS", "2")]);
    let other = ticket(&server, "user-2");
    let stream = open(&server, &format!("ticket={other}"));
    let many: Vec<String> = (0..20).map(|_| ticket(&server, "user-1")).collect();
    let third = ticket(&server, "user-3");
    drop(stream);
    for ticket in [&other, &many[19], &third] {
        let answer = get(&server, &format!("/ws-api/poll?ticket={ticket}"));
        assert_eq!(answer.status, 200);
    }
}

/// Neither tickets nor tokens stand in the log.
#[test]
fn tickets_are_not_logged() {
    let server = TestServer::spawn_process(&[("RUST_LOG", "hashi=trace")]);
    let ticket = ticket(&server, "user-1");
    open(&server, &format!("ticket={ticket}")).welcome();
    server.wait_for_log("closed connection");
    assert!(server.log().iter().all(|line| !line.contains(&ticket)), "{:?}", server.log());
}
