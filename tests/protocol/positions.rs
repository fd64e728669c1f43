//! `seq` and `epoch`: the position of a message in its session.

use super::common::client::{Client, envelope};
use super::common::json;
use super::common::server::TestServer;
use super::common::status;
use super::{position_in, server};
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;
use std::collections::BTreeMap;

#[track_caller]
fn seqs(messages: &[OwnedValue]) -> Vec<u64> {
    messages.iter().map(|message| json::number(message, "seq")).collect()
}

#[test]
fn positions_are_contiguous_from_one() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    let mut other = Client::connect(server.address, "user-2", "s1");
    for index in 0..30 {
        let sender = if index % 3 == 0 { &mut other } else { &mut client };
        sender.send(&envelope(&format!("m{index}"), "custom", json!({})));
        let came = [client.receive(), other.receive()];
        assert_eq!(seqs(&came), [index + 1, index + 1]);
    }
    let mut late = Client::connect(server.address, "user-3", "s1");
    assert_eq!(json::number(position_in(&late.welcome, "s1"), "seq"), 30, "the head, when it joined");
    client.send(&envelope("last", "custom", json!({})));
    assert_eq!(json::number(&late.receive(), "seq"), 31);
}

#[test]
fn every_member_sees_the_same_positions() {
    let server = server();
    let mut members: Vec<_> =
        (0..4).map(|index| Client::connect(server.address, &format!("user-{index}"), "s1")).collect();
    for round in 0..5 {
        for (index, member) in members.iter_mut().enumerate() {
            member.send(&envelope(&format!("m{round}-{index}"), "custom", json!({})));
        }
    }
    let mut seen = Vec::new();
    for member in &mut members {
        let messages: Vec<_> = (0..20).map(|_| member.receive()).collect();
        assert_eq!(seqs(&messages), (1..=20).collect::<Vec<_>>());
        let order: Vec<_> = messages.iter().map(|message| json::string(message, "id").to_owned()).collect();
        seen.push(order);
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "one order for all: {seen:?}");
}

#[test]
fn each_session_counts_by_itself() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    client.join("s2");
    let mut expected = BTreeMap::new();
    for session in ["s1", "s2", "s2", "s1", "s2", "s1", "s1"] {
        client.send(&json!({"id": "m", "type": "custom", "sessionId": session, "payload": {}}));
        let came = client.receive();
        let seq = expected.entry(session).or_insert(0);
        *seq += 1;
        assert_eq!((json::string(&came, "sessionId"), json::number(&came, "seq")), (session, *seq));
    }
    client.ws.close();
}

#[test]
fn what_nobody_receives_takes_a_position_too() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    for seq in 1..=3 {
        let id = format!("m{seq}");
        let published = client.publish(json!({"id": id, "type": "custom", "sessionId": "empty", "payload": {}}));
        assert_eq!(json::number(&published, "seq"), seq);
    }
    let joined = client.join("empty");
    assert_eq!(json::number(&joined, "payload.seq"), 3);
    client.ws.close();
}

#[test]
fn what_is_refused_takes_none() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    client.round_trip("one");
    client.expect_error(r#"{"id":"m","type":"custom","priority":"urgent","payload":{}}"#, "bad_message");
    client.expect_error(r#"{"id":"m","type":"error","payload":{}}"#, "reserved_type");
    client.expect_error(r#"{"id":"m","type":"custom","to":{"userId":"user-2"},"payload":{}}"#, "forbidden");
    client.send(&envelope("two", "custom", json!({})));
    assert_eq!(json::number(&client.receive(), "seq"), 2);
    client.ws.close();
}

#[track_caller]
fn epoch_of(server: &TestServer, session: &str) -> String {
    let client = Client::connect(server.address, "user-1", session);
    let epoch = json::string(position_in(&client.welcome, session), "epoch").to_owned();
    client.ws.close();
    epoch
}

#[test]
fn an_epoch_is_one_life_of_a_session() {
    let server = TestServer::spawn_process(&[("WEBSOCKET_MESSAGE_EXPIRY_TIME", "150")]);
    let first = epoch_of(&server, "s1");
    assert_ne!(first, epoch_of(&server, "s2"), "sessions do not share epochs");
    let member = Client::connect(server.address, "user-2", "s1");
    assert_eq!(epoch_of(&server, "s1"), json::string(position_in(&member.welcome, "s1"), "epoch"));
    member.ws.close();
    status::expect(server.address, "sessions", 0);
    assert_ne!(first, epoch_of(&server, "s1"), "a session that was made again has a new epoch");
    assert_ne!(first, epoch_of(&super::server(), "s1"), "another server has other epochs");
}

#[test]
fn a_session_outlives_its_last_member_for_a_while() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    client.round_trip("one");
    let epoch = json::string(position_in(&client.welcome, "s1"), "epoch").to_owned();
    client.ws.close();
    status::expect(server.address, "connections.websocket", 0);
    let back = Client::connect(server.address, "user-2", "s1");
    let position = position_in(&back.welcome, "s1");
    assert_eq!((json::string(position, "epoch"), json::number(position, "seq")), (epoch.as_str(), 1));
    back.ws.close();
}
