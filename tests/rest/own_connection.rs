//! `Hashi-Connection`: the user's own connection that a request speaks for.

use super::common::WS_PATH;
use super::common::client::Client;
use super::common::json;
use super::common::server::TestServer;
use super::common::status;
use super::common::websocket::WebSocket;
use super::{BROADCAST, NOTIFY, SEND, accepted, post_with, server};
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;

const OPERATION: &str = r#"{"sessionId":"s1","operationId":"o","operationType":"t","status":"started"}"#;

fn message(id: &str, more: &str) -> String {
    format!(r#"{{"id":"{id}","type":"custom","sessionId":"s1",{more}"payload":{{}}}}"#)
}

/// Posts as `user-1`, for this connection.
#[track_caller]
fn post_for(server: &TestServer, connection: &str, target: &str, body: &str) -> OwnedValue {
    accepted(&post_with(server, "user-1", target, body, &[("Hashi-Connection", connection)]))
}

#[test]
fn echo_leaves_out_the_named_connection() {
    let server = server();
    let mut named = Client::connect(server.address, "user-1", "s1");
    let mut twin = Client::connect(server.address, "user-1", "s1");
    let mut other = Client::connect(server.address, "user-2", "s1");
    let id = named.connection_id().to_owned();
    for target in [SEND, BROADCAST] {
        let (without, with) = (message(target, r#""echo":false,"#), message(&format!("{target}+"), r#""echo":true,"#));
        let answer = post_for(&server, &id, target, &without);
        assert_eq!((json::number(&answer, "matched"), json::number(&answer, "queued")), (2, 2), "{target}");
        twin.receive();
        other.receive();
        named.expect_nothing();
        let answer = post_for(&server, &id.to_ascii_uppercase(), target, &with);
        assert_eq!(json::number(&answer, "matched"), 3, "{target}");
        for client in [&mut named, &mut twin, &mut other] {
            assert!(json::is(&client.receive(), "id", &format!("{target}+")), "{target}");
        }
    }
}

#[test]
fn the_connection_s_own_echo_is_the_default() {
    let server = server();
    let payload = json!({"token": "user-1", "sessionId": "s1", "echo": false});
    let mut named = Client::connect_with(server.address, payload);
    let id = named.connection_id().to_owned();
    for (target, body) in [(SEND, message("m1", "")), (BROADCAST, message("m2", "")), (NOTIFY, OPERATION.to_owned())] {
        assert_eq!(json::number(&post_for(&server, &id, target, &body), "matched"), 0, "{target}");
        named.expect_nothing();
    }
    assert_eq!(json::number(&post_for(&server, &id, SEND, &message("m3", r#""echo":true,"#)), "matched"), 1);
    assert!(json::is(&named.receive(), "id", "m3"));
}

#[test]
fn without_it_nobody_is_left_out() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    let answer = accepted(&post_with(&server, "user-1", SEND, &message("m1", r#""echo":false,"#), &[]));
    assert_eq!(json::number(&answer, "matched"), 1);
    assert!(json::is(&client.receive(), "id", "m1"));
}

#[test]
fn it_is_this_connection_that_must_share_a_session() {
    let server = server();
    let here = Client::connect(server.address, "user-1", "s1");
    let there = Client::connect(server.address, "user-1", "s2");
    let mut other = Client::connect(server.address, "user-2", "s2");
    let body = r#"{"id":"m1","type":"custom","to":{"userId":"user-2"},"payload":{}}"#;
    let refused = post_with(&server, "user-1", SEND, body, &[("Hashi-Connection", here.connection_id())]);
    let problem = refused.expect_problem(403);
    assert!(json::is(&problem, "code", "forbidden"), "{}", problem.encode());
    other.expect_nothing();
    post_for(&server, there.connection_id(), SEND, body);
    assert!(json::is(&other.receive(), "id", "m1"));
}

#[test]
fn only_an_open_connection_of_one_s_own_may_be_named() {
    let server = server();
    let mut own = Client::connect(server.address, "user-1", "s1");
    let foreign = Client::connect(server.address, "user-2", "s1");
    let closed = Client::connect(server.address, "user-1", "s2");
    let gone = closed.connection_id().to_owned();
    closed.ws.close();
    let _joining = WebSocket::open(server.address, WS_PATH);
    status::expect(server.address, "connections.websocket", 3);
    let half = &own.connection_id()[..16].to_owned();
    for name in [
        foreign.connection_id(),
        &gone,
        half,
        "00000000000000000000000000000000",
        "nonsense",
        "",
        "user-1",
        "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
    ] {
        for (target, body) in
            [(SEND, message("m1", "")), (BROADCAST, message("m2", "")), (NOTIFY, OPERATION.to_owned())]
        {
            let refused = post_with(&server, "user-1", target, &body, &[("Hashi-Connection", name)]);
            let problem = refused.expect_problem(400);
            assert!(json::is(&problem, "code", "bad_message"), "{target} {name:?}: {}", problem.encode());
            assert!(json::is(&problem, "field", "Hashi-Connection"), "{target} {name:?}: {}", problem.encode());
        }
    }
    own.expect_nothing();
}
