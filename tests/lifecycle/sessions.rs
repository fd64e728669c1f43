//! `HASHI_SESSIONS`: when all sessions have members, nothing new is opened through any door.

use super::common::client::Client;
use super::common::http;
use super::common::json;
use super::common::server::{Env, TestServer};
use super::common::status;
use simd_json::json;
use simd_json::prelude::*;

/// Two users with their personal sessions and one session each.
const FOUR: Env = &[("HASHI_SESSIONS", "4")];

fn full_server() -> (TestServer, Vec<Client>) {
    let server = TestServer::spawn_process(FOUR);
    let clients = vec![Client::connect(server.address, "a", "sa"), Client::connect(server.address, "b", "sb")];
    status::expect(server.address, "sessions", 4);
    (server, clients)
}

#[track_caller]
fn broadcast(server: &TestServer, session: &str) -> http::Response {
    let headers = [("Authorization", "Bearer a"), ("Content-Type", "application/json")];
    let body = json!({"sessionId": session, "type": "custom", "payload": {}}).encode();
    http::request(server.address, "POST", "/ws-api/broadcast", &headers, body.as_bytes())
}

#[test]
fn authentication_is_refused_for_now() {
    let (server, mut clients) = full_server();
    // A new user needs a personal session, even for a session that is there.
    for session in ["sc", "sa"] {
        let mut refused = Client::anonymous(server.address);
        let answer = refused.authenticate(json!({"token": "c", "sessionId": session}));
        assert!(!json::boolean(&answer, "payload.success"), "{}", answer.encode());
        assert!(json::is(&answer, "payload.code", "overloaded"), "{}", answer.encode());
        assert!(json::boolean(&answer, "payload.temporary"), "{}", answer.encode());
        refused.ws.expect_close(1013);
    }
    // One that needs nothing new is welcome.
    Client::connect(server.address, "a", "sb").round_trip("in");
    clients.iter_mut().for_each(|client| client.round_trip("undisturbed"));
    status::expect(server.address, "sessions", 4);
    status::expect(server.address, "memberships", 4);
}

#[test]
fn rest_answers_503() {
    let (server, mut clients) = full_server();
    let refused = broadcast(&server, "sc");
    let problem = refused.expect_problem(503);
    assert!(json::is(&problem, "code", "overloaded"), "{}", problem.encode());
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    assert_eq!(broadcast(&server, "sa").status, 202);
    clients[0].receive_type("custom");
}

#[test]
fn joining_and_publishing_are_answered() {
    let (server, mut clients) = full_server();
    let a = &mut clients[0];
    a.expect_error(r#"{"id":"j","type":"hashi:join","payload":{"sessionId":"sc"}}"#, "overloaded");
    a.expect_error(r#"{"id":"p","type":"custom","sessionId":"sc","payload":{}}"#, "overloaded");
    a.round_trip("still-there");
    assert_eq!(json::number(&status::read(server.address), "sessions"), 4);
}

/// A session without members makes room at once, the oldest of them first; nobody has to wait for its age.
#[test]
fn the_oldest_without_members_makes_room() {
    let (server, mut clients) = full_server();
    clients.pop().expect("b").ws.close();
    status::expect(server.address, "memberships", 2);
    status::expect(server.address, "sessions", 4);
    let mut c = Client::connect(server.address, "c", "sc");
    c.round_trip("in");
    status::expect(server.address, "sessions", 4);
    let mut refused = Client::anonymous(server.address);
    let answer = refused.authenticate(json!({"token": "d", "sessionId": "sd"}));
    assert!(json::is(&answer, "payload.code", "overloaded"), "{}", answer.encode());
    clients[0].round_trip("undisturbed");
}
