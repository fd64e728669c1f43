//! A session without members keeps its epoch and position for `WEBSOCKET_MESSAGE_EXPIRY_TIME`, and no longer.

use super::common::client::Client;
use super::common::http;
use super::common::json;
use super::common::server::{Env, TestServer};
use super::common::status;
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;
use std::time::{Duration, Instant};

const EXPIRY: Duration = Duration::from_millis(800);
const SHORT: Env = &[("WEBSOCKET_MESSAGE_EXPIRY_TIME", "800")];

/// What a busy machine may take longer.
const LATE: Duration = Duration::from_millis(1_500);

/// Epoch and position of a session as the welcome of `client` tells them.
#[track_caller]
fn position(client: &Client, session: &str) -> (String, u64) {
    let positions = client.welcome["payload"]["positions"].as_array().expect("positions");
    let of_session = |position: &&OwnedValue| json::is(position, "sessionId", session);
    let found = positions.iter().find(of_session).unwrap_or_else(|| panic!("{session} in {positions:?}"));
    (json::string(found, "epoch").to_owned(), json::number(found, "seq"))
}

#[track_caller]
fn publish(client: &mut Client, times: u64) {
    for number in 0..times {
        client.publish(json!({"id": format!("m{number}"), "type": "custom", "payload": {}}));
    }
}

#[track_caller]
fn leave(server: &TestServer, client: Client) -> Instant {
    client.ws.close();
    status::expect(server.address, "memberships", 0);
    Instant::now()
}

#[test]
fn who_comes_back_in_time_finds_the_session_as_it_was() {
    let server = TestServer::spawn_process(&[("WEBSOCKET_MESSAGE_EXPIRY_TIME", "60000")]);
    let mut client = Client::connect(server.address, "user-1", "s1");
    let (epoch, seq) = position(&client, "s1");
    assert_eq!(seq, 0);
    publish(&mut client, 3);
    leave(&server, client);
    let mut again = Client::connect(server.address, "user-2", "s1");
    assert_eq!(position(&again, "s1"), (epoch.clone(), 3));
    let next = again.publish(json!({"id": "next", "type": "custom", "payload": {}}));
    assert_eq!(json::number(&next, "seq"), 4);
    let personal = position(&Client::connect(server.address, "user-1", "s2"), "@user-1");
    assert_eq!(personal.1, 0);
}

#[test]
fn who_comes_too_late_finds_a_new_epoch() {
    let server = TestServer::spawn_process(SHORT);
    let mut client = Client::connect(server.address, "user-1", "s1");
    let (epoch, _) = position(&client, "s1");
    let personal_epoch = position(&client, "@user-1").0;
    publish(&mut client, 3);
    let before = Instant::now();
    let left = leave(&server, client);
    status::expect_within(server.address, "sessions", 0, EXPIRY + LATE);
    assert!(before.elapsed() >= EXPIRY, "gone after {:?}", before.elapsed());
    assert!(left.elapsed() <= EXPIRY + LATE, "gone after {:?}", left.elapsed());
    let again = Client::connect(server.address, "user-1", "s1");
    let (new_epoch, seq) = position(&again, "s1");
    assert_eq!(seq, 0);
    assert_ne!(new_epoch, epoch);
    assert_ne!(position(&again, "@user-1").0, personal_epoch, "the personal session ages, too");
}

/// One member that stays keeps the session, however long nothing is said.
#[test]
fn a_session_with_a_member_does_not_age() {
    let server = TestServer::spawn_process(SHORT);
    let mut stays = Client::connect(server.address, "stays", "s1");
    let (epoch, _) = position(&stays, "s1");
    publish(&mut stays, 2);
    let leaves = Client::connect(server.address, "leaves", "s1");
    leaves.ws.close();
    // The other one's personal session is the only one that ages: when it is gone, this one's time would be over, too.
    status::expect(server.address, "sessions", 2);
    assert_eq!(position(&Client::connect(server.address, "late", "s1"), "s1"), (epoch, 2));
}

/// Messages to a session that nobody is in count from the last one.
#[test]
fn a_message_begins_the_time_anew() {
    let server = TestServer::spawn_process(SHORT);
    let start = Instant::now();
    let mut last = start;
    // Longer than one lifetime, with pauses that are shorter.
    let mut seq = 0;
    while start.elapsed() < 2 * EXPIRY {
        last = Instant::now();
        seq += 1;
        assert_eq!(broadcast(&server), seq, "after {:?}", start.elapsed());
        // The pace of the publisher.
        std::thread::sleep(EXPIRY / 8);
    }
    status::expect_within(server.address, "sessions", 0, EXPIRY + LATE);
    assert!(last.elapsed() >= EXPIRY, "gone {:?} after the last message", last.elapsed());
    assert_eq!(broadcast(&server), 1, "a new life counts from 1");
}

/// Publishes to a session without members over REST, and returns the position.
#[track_caller]
fn broadcast(server: &TestServer) -> u64 {
    let headers = [("Authorization", "Bearer user-1"), ("Content-Type", "application/json")];
    let body = br#"{"sessionId":"nobody","type":"custom","payload":{}}"#;
    let response = http::request(server.address, "POST", "/ws-api/broadcast", &headers, body);
    assert_eq!(response.status, 202, "{}", String::from_utf8_lossy(&response.body));
    json::number(&response.json(), "seq")
}

/// No epoch is ever used twice, however often a session comes and goes.
#[test]
fn epochs_are_never_used_again() {
    let server = TestServer::spawn_process(&[("WEBSOCKET_MESSAGE_EXPIRY_TIME", "100")]);
    let mut epochs = std::collections::BTreeSet::new();
    for life in 0..8 {
        let client = Client::connect(server.address, "user-1", "s1");
        let (epoch, seq) = position(&client, "s1");
        assert_eq!(seq, 0);
        assert!((1..=32).contains(&epoch.len()), "{epoch:?}");
        assert!(epoch.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'), "{epoch:?}");
        assert!(epochs.insert(epoch), "the epoch of life {life} was used before");
        leave(&server, client);
        status::expect(server.address, "sessions", 0);
    }
}
