//! `heartbeat` messages. What happens to a client that does not answer pings is tested with BAD_INPUT.md, row 23.

use super::common::client::{Client, envelope};
use super::common::frame::{PING, PONG};
use super::common::json;
use super::common::server::{Env, TestServer};
use super::common::wait::PATIENCE;
use super::{assert_time, members_of, now, server};
use simd_json::json;
use simd_json::prelude::*;
use std::time::Instant;

#[test]
fn a_heartbeat_is_answered_with_the_server_s_time() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    for text in [
        r#"{"id":"h1","type":"heartbeat"}"#,
        r#"{"id":"h1","type":"heartbeat","payload":{}}"#,
        r#"{"id":"h1","type":"heartbeat","payload":null,"priority":"low"}"#,
        r#"{"id":"h1","type":"heartbeat","payload":{"serverTime":"x"},"timestamp":"2001-01-01T00:00:00Z","ack":true}"#,
    ] {
        let before = now();
        client.ws.text(text);
        let answer = client.receive();
        assert!(json::is(&answer, "type", "heartbeat"), "{}", answer.encode());
        assert!(json::is(&answer, "replyTo", "h1"), "{}", answer.encode());
        assert!(json::is(&answer, "priority", "high"), "{}", answer.encode());
        assert!(!json::is(&answer, "id", "h1"), "an id of its own: {}", answer.encode());
        assert_eq!(members_of(&answer["payload"]), ["serverTime"]);
        assert_time(json::string(&answer, "payload.serverTime"), &before);
    }
    client.expect_nothing();
    client.ws.close();
}

#[test]
fn an_answer_is_never_answered() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    for reply_to in ["h1", "unknown"] {
        client.send(&json!({"id": "h2", "type": "heartbeat", "replyTo": reply_to, "payload": {}}));
    }
    client.expect_nothing();
    client.ws.close();
}

#[test]
fn a_heartbeat_reaches_nobody_else() {
    let server = server();
    let mut other = Client::connect(server.address, "user-2", "s1");
    let mut client = Client::connect(server.address, "user-1", "s1");
    client.send(&json!({"id": "h1", "type": "heartbeat", "sessionId": "s1", "payload": {}}));
    client.receive_type("heartbeat");
    client.send(&json!({"id": "h2", "type": "heartbeat", "to": {"userId": "user-2"}, "payload": {}}));
    client.receive_type("heartbeat");
    other.expect_nothing();
    client.ws.close();
    other.ws.close();
}

/// Pings come often; a client that answers stays.
const OFTEN: Env = &[("WEBSOCKET_HEARTBEAT_INTERVAL", "100"), ("WEBSOCKET_HEARTBEAT_TIMEOUT", "1000")];

/// So many probes are waited for.
const PROBES: usize = 4;

#[test]
fn the_feature_asks_for_heartbeat_messages() {
    let server = TestServer::spawn_process(OFTEN);
    let mut client = Client::connect_with(server.address, json!({"token": "user-1", "features": ["heartbeat"]}));
    for _ in 0..PROBES {
        let probe = client.receive();
        assert!(json::is(&probe, "type", "heartbeat"), "{}", probe.encode());
        assert!(json::is(&probe, "priority", "high"), "{}", probe.encode());
        assert!(json::find(&probe, "replyTo").is_none(), "{}", probe.encode());
        assert_eq!(probe["payload"], json!({}));
        let answer = json!({"id": "mine", "type": "heartbeat", "replyTo": probe["id"].clone(), "payload": {}});
        client.send(&answer);
    }
    // The answers were not answered: what else came are probes.
    let came = client.settle();
    assert!(came.iter().all(|message| json::find(message, "replyTo").is_none()), "{came:?}");
    client.ws.close();
}

#[test]
fn without_the_feature_there_are_only_pings() {
    let server = TestServer::spawn_process(OFTEN);
    let mut client = Client::connect(server.address, "user-1", "s1");
    let deadline = Instant::now() + PATIENCE;
    for _ in 0..PROBES {
        let frame = client.ws.read_frame_by(deadline).expect("a ping");
        assert_eq!(frame.opcode, PING, "only pings, not {frame:?}");
        client.ws.send(&super::common::frame::Frame::new(PONG, &frame.payload));
    }
    client.send(&envelope("h1", "heartbeat", json!({})));
    assert!(json::is(&client.receive(), "replyTo", "h1"));
    client.ws.close();
}
