//! Going on for another connection of the same user, which is open or has ended.

use super::common::client::Client;
use super::common::flood::{counter, message, publish_all};
use super::common::http;
use super::common::json;
use super::common::policy::Strict;
use super::common::server::TestServer;
use super::common::status;
use super::common::tcp::Tcp;
use super::common::wait::PATIENCE;
use super::common::websocket::Event;
use super::{SESSION, all_until, entry, epoch_of, position, publish, server};
use hashi::{Config, Identity, Policy, Principal, ProtocolError, Server};
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Authenticates as `user` and takes `connection_id` over. No session is named.
#[track_caller]
pub fn take_over(server: &TestServer, user: &str, connection_id: &str, positions: &[OwnedValue]) -> Client {
    let resume = json!({"connectionId": connection_id, "positions": positions.to_vec()});
    Client::connect_with(server.address, json!({"token": user, "resume": resume}))
}

#[track_caller]
fn sessions_of(client: &Client) -> Vec<&str> {
    let positions = json::find(&client.welcome, "payload.positions").and_then(|list| list.as_array());
    positions.expect("positions").iter().map(|entry| json::string(entry, "sessionId")).collect()
}

#[test]
fn an_open_connection_is_closed_and_its_sessions_go_on() {
    let server = server();
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    let mut old = Client::connect(server.address, "reader", SESSION);
    old.join("second");
    let positions = [position(SESSION, &epoch_of(&old, SESSION), 1)];
    publish(&mut publisher, "m", 3);
    let mut new = take_over(&server, "reader", old.connection_id(), &positions);
    assert_eq!(sessions_of(&new), [SESSION, "second", "@reader"]);
    assert!(json::boolean(entry(&new.welcome, SESSION), "recovered"));
    assert!(json::find(entry(&new.welcome, "second"), "recovered").is_none(), "no position was named");
    assert_eq!(all_until(&mut new, "m-3"), ["m-2", "m-3"]);
    // What was on its way to the old connection may arrive before its end.
    assert_eq!(end_of(&mut old), (Some(4509), "taken_over".to_owned()));
    publish(&mut publisher, "live", 1);
    assert_eq!(all_until(&mut new, "live-1"), ["live-1"]);
    assert_eq!(counter(&server, "takeovers"), 1);
}

/// The server's close frame, behind what was on its way.
#[track_caller]
fn end_of(client: &mut Client) -> (Option<u16>, String) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match client.ws.next_by(deadline, true) {
            Event::Text(_) => {}
            Event::Closed { code, reason } => return (code, reason),
            event => panic!("a close, not {event:?}"),
        }
    }
}

/// Whoever names a connection that was taken over goes on for its heir, open or ended: the welcome of that may have been lost.
#[test]
fn an_old_connection_leads_to_its_heir() {
    for end in [by_reset, in_order] {
        let server = server();
        let mut old = Client::connect(server.address, "reader", SESSION);
        old.join("second");
        let id = old.connection_id().to_owned();
        end(old);
        status::expect(server.address, "connections.websocket", 0);
        status::expect(server.address, "history.departed", 1);
        let first = take_over(&server, "reader", &id, &[]);
        assert_eq!(sessions_of(&first), [SESSION, "second", "@reader"]);
        let mut second = take_over(&server, "reader", &id, &[]);
        assert_eq!(sessions_of(&second), [SESSION, "second", "@reader"]);
        second.join("third");
        end(second);
        status::expect(server.address, "history.departed", 1);
        let other = take_over(&server, "another", &id, &[]);
        assert_eq!(sessions_of(&other), ["@another"]);
        let third = take_over(&server, "reader", &id, &[]);
        assert_eq!(sessions_of(&third), [SESSION, "second", "third", "@reader"]);
    }
}

/// The same while the old connection, which its client does not read any more, is still closing.
#[test]
fn a_closing_connection_leads_to_its_heir() {
    let server = server();
    let mut old = Client::connect(server.address, "reader", SESSION);
    old.join("second");
    take_over(&server, "reader", old.connection_id(), &[]);
    let again = take_over(&server, "reader", old.connection_id(), &[]);
    assert_eq!(sessions_of(&again), [SESSION, "second", "@reader"]);
}

fn by_reset(client: Client) {
    client.ws.tcp.abort();
}

fn in_order(client: Client) {
    client.ws.close();
}

/// The session that the authentication names is joined with those of the old connection, which stay in their order.
#[test]
fn the_session_of_the_authentication_comes_last() {
    let server = server();
    let old = Client::connect(server.address, "reader", SESSION);
    let resume = json!({"connectionId": old.connection_id()});
    let payload = json!({"token": "reader", "sessionId": "third", "resume": resume});
    let mut new = Client::connect_with(server.address, payload);
    assert_eq!(sessions_of(&new), [SESSION, "third", "@reader"]);
    let mut member = Client::connect(server.address, "member", SESSION);
    new.round_trip("default");
    assert_eq!(all_until(&mut member, "default"), ["default"], "the oldest one is the default");
}

#[test]
fn a_connection_of_another_user_is_left_alone() {
    let server = server();
    let mut victim = Client::connect(server.address, "victim", SESSION);
    let thief = take_over(&server, "thief", victim.connection_id(), &[]);
    assert_eq!(sessions_of(&thief), ["@thief"]);
    victim.round_trip("still-here");
    let id = victim.connection_id().to_owned();
    victim.ws.tcp.abort();
    status::expect(server.address, "connections.websocket", 1);
    assert_eq!(sessions_of(&take_over(&server, "thief", &id, &[])), ["@thief"]);
    assert_eq!(
        sessions_of(&take_over(&server, "victim", &id, &[])),
        [SESSION, "@victim"],
        "it still waits for its own"
    );
    assert_eq!(counter(&server, "takeovers"), 1);
}

#[test]
fn an_ended_connection_is_forgotten_in_time() {
    let server = TestServer::spawn_process(&[("WEBSOCKET_MESSAGE_EXPIRY_TIME", "150")]);
    let old = Client::connect(server.address, "reader", SESSION);
    let id = old.connection_id().to_owned();
    old.ws.tcp.abort();
    status::expect(server.address, "connections.websocket", 0);
    status::expect(server.address, "history.departed", 0);
    assert_eq!(sessions_of(&take_over(&server, "reader", &id, &[])), ["@reader"]);
}

/// What the client published with `echo: false` does not come back to it over its next connections, and does to others.
#[test]
fn what_was_not_for_the_old_connection_is_not_for_the_new_one() {
    let server = server();
    let mut first = Client::connect(server.address, "reader", SESSION);
    let epoch = epoch_of(&first, SESSION);
    let from_the_start = [position(SESSION, &epoch, 0)];
    publish_all(&mut first, &[message("own-1", "normal"), message("own-2", "high")]);
    let mut second = take_over(&server, "reader", first.connection_id(), &from_the_start);
    second.expect_nothing();
    publish_all(&mut second, &[message("own-3", "low")]);
    let mut third = take_over(&server, "reader", second.connection_id(), &from_the_start);
    third.expect_nothing();
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    publish(&mut publisher, "m", 1);
    assert_eq!(all_until(&mut third, "m-1"), ["m-1"]);
    // By its user and positions alone, a connection is another one.
    let mut other = super::come_back(&server, "reader", &from_the_start);
    assert_eq!(all_until(&mut other, "own-3"), ["own-2", "own-1", "m-1", "own-3"]);
}

/// Only sessions that the user may still join are joined again.
#[test]
fn each_session_is_authorised_again() {
    let (server, is_closed) = server_with_a_door();
    let mut old = Client::connect(server.address, "reader", SESSION);
    old.join("door");
    let id = old.connection_id().to_owned();
    old.ws.tcp.abort();
    status::expect(server.address, "connections.websocket", 0);
    is_closed.store(true, Ordering::SeqCst);
    assert_eq!(sessions_of(&take_over(&server, "reader", &id, &[])), [SESSION, "@reader"]);
}

/// A connection that could not go on takes nothing from the one that it was for: that waits, or stays open.
#[test]
fn a_failed_authentication_takes_nothing_over() {
    let full_connection = ("HASHI_SESSIONS_PER_CONNECTION", "1", "forbidden");
    let full_server = ("HASHI_SESSIONS", "2", "overloaded");
    for (name, value, code) in [full_connection, full_server] {
        let server = TestServer::spawn_process(&[(name, value)]);
        let mut old = Client::connect(server.address, "reader", SESSION);
        fail_to_take_over(&server, old.connection_id(), code);
        old.round_trip("still-open");
        assert_eq!(counter(&server, "takeovers"), 0);
    }
    let server = TestServer::spawn_process(&[("HASHI_SESSIONS_PER_CONNECTION", "1")]);
    let old = Client::connect(server.address, "reader", SESSION);
    let id = old.connection_id().to_owned();
    old.ws.tcp.abort();
    status::expect(server.address, "history.departed", 1);
    fail_to_take_over(&server, &id, "forbidden");
    assert_eq!(sessions_of(&take_over(&server, "reader", &id, &[])), [SESSION, "@reader"]);
}

/// Names one session too many.
#[track_caller]
fn fail_to_take_over(server: &TestServer, connection_id: &str, code: &str) {
    let resume = json!({"connectionId": connection_id});
    let mut client = Client::anonymous(server.address);
    let answer = client.authenticate(json!({"token": "reader", "sessionId": "another", "resume": resume}));
    assert!(json::is(&answer, "payload.code", code), "{}", answer.encode());
    assert!(matches!(client.ws.next(), Event::Closed { .. }));
}

/// At the limit of connections of one user, the old one makes room for the one that goes on for it.
#[test]
fn a_connection_that_is_taken_over_needs_no_room() {
    let server = Strict { per_user: 1, ..Strict::default() }.serve();
    let first = Client::connect(server.address, "reader", SESSION);
    let other = Client::connect(server.address, "other", SESSION);
    let resume = json!({"connectionId": other.connection_id()});
    let answer = Client::anonymous(server.address).authenticate(json!({"token": "reader", "resume": resume}));
    assert!(json::is(&answer, "payload.code", "rate_limited"), "{}", answer.encode());
    let mut second = take_over(&server, "reader", first.connection_id(), &[]);
    assert_eq!(sessions_of(&second), [SESSION, "@reader"]);
    let target = format!("/ws-api/events?connectionId={}", second.connection_id());
    let mut stream = Tcp::connect(server.address);
    stream.send(http::encode(server.address, "GET", &target, &[("Authorization", "Bearer reader")], b""));
    assert_eq!(end_of(&mut second), (Some(4509), "taken_over".to_owned()));
}

struct Door {
    is_closed: Arc<AtomicBool>,
}

impl Policy for Door {
    fn authenticate(&self, token: &str) -> Result<Identity, ProtocolError> {
        Strict::default().authenticate(token)
    }

    fn may_join(&self, _: Principal<'_>, session_id: &str) -> bool {
        session_id != "door" || !self.is_closed.load(Ordering::SeqCst)
    }

    fn may_publish(&self, _: Principal<'_>, _: Option<&str>, _: &str) -> bool {
        true
    }
}

fn server_with_a_door() -> (TestServer, Arc<AtomicBool>) {
    let is_closed = Arc::new(AtomicBool::new(false));
    let policy = Door { is_closed: Arc::clone(&is_closed) };
    let config = Config { port: 0, ..Config::default() };
    (TestServer::serve(Server::builder(config).policy(policy).bind().expect("the server binds")), is_closed)
}
