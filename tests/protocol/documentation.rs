//! The example of the original documentation, byte for byte, at its address: port 3000, path /ws.

use super::common::client::Client;
use super::common::json;
use super::common::server::TestServer;
use super::common::websocket::WebSocket;
use super::{assert_time, now};
use simd_json::OwnedValue;
use simd_json::prelude::*;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// The port of the original documentation. No other test uses it.
const PORT: u16 = 3000;

const EXAMPLE: &str = r#"{"id":"test1","type":"authentication","timestamp":"2023-05-01T12:34:56.789Z","priority":"high","payload":{"token":"user-123","sessionId":"session-123"}}"#;

/// The messages of the other types, in the same form.
const OTHERS: [&str; 8] = [
    r#"{"id":"test3","type":"operation_started","timestamp":"2023-05-01T12:34:56.789Z","priority":"normal","sessionId":"session-123","payload":{"operationId":"op-1","operationType":"analysis","status":"started","progress":0}}"#,
    r#"{"id":"test4","type":"operation_progress","timestamp":"2023-05-01T12:34:56.789Z","priority":"low","sessionId":"session-123","payload":{"operationId":"op-1","operationType":"analysis","status":"progress","progress":0.5}}"#,
    r#"{"id":"test5","type":"operation_completed","timestamp":"2023-05-01T12:34:56.789Z","priority":"high","payload":{"operationId":"op-1","operationType":"analysis","status":"completed","progress":1}}"#,
    r#"{"id":"test6","type":"operation_failed","timestamp":"2023-05-01T12:34:56.789Z","priority":"high","payload":{"operationId":"op-2","operationType":"analysis","status":"failed","error":{"code":"E1","message":"no"}}}"#,
    r#"{"id":"test7","type":"structure_change","timestamp":"2023-05-01T12:34:56.789Z","priority":"normal","payload":{"nodes":[]}}"#,
    r#"{"id":"test8","type":"selection_update","timestamp":"2023-05-01T12:34:56.789Z","priority":"low","payload":{"selected":["a"]}}"#,
    r#"{"id":"test9","type":"notification","timestamp":"2023-05-01T12:34:56.789Z","priority":"normal","payload":{"text":"hello"}}"#,
    r#"{"id":"test10","type":"custom","timestamp":"2023-05-01T12:34:56.789Z","priority":"normal","payload":{"any":"JSON"}}"#,
];

const HEARTBEAT: &str =
    r#"{"id":"test2","type":"heartbeat","timestamp":"2023-05-01T12:34:56.789Z","priority":"low","payload":{}}"#;

/// The address of the documentation, which must be free on this machine.
#[track_caller]
fn address() -> SocketAddr {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    if let Err(error) = TcpListener::bind(address) {
        panic!("this test needs port {PORT} for itself, but {address} cannot be bound: {error}. Stop what uses it.");
    }
    address
}

#[test]
fn the_original_example_works_unchanged() {
    let address = address();
    let server = TestServer::spawn_process(&[("WEBSOCKET_PORT", "3000")]);
    assert_eq!(server.address, address);
    let mut client = Client { ws: WebSocket::open(address, "/ws"), welcome: OwnedValue::null() };
    client.ws.text(EXAMPLE);
    let answer = client.receive();
    assert!(json::is(&answer, "type", "authentication"), "{}", answer.encode());
    assert!(json::is(&answer, "replyTo", "test1"), "{}", answer.encode());
    assert!(json::boolean(&answer, "payload.success"), "{}", answer.encode());
    assert!(json::is(&answer, "payload.userId", "user-123"), "{}", answer.encode());
    assert!(json::is(&answer, "payload.sessionId", "session-123"), "{}", answer.encode());
    expect_heartbeat(&mut client);
    for text in OTHERS {
        let sent = json::parse(text);
        client.ws.text(text);
        let came = client.receive();
        for member in ["id", "type", "priority", "payload"] {
            assert_eq!(came[member], sent[member], "{text}: {}", came.encode());
        }
        assert!(json::is(&came, "sessionId", "session-123"), "{}", came.encode());
    }
    client.ws.close();
}

#[track_caller]
fn expect_heartbeat(client: &mut Client) {
    let before = now();
    client.ws.text(HEARTBEAT);
    let answer = client.receive();
    assert!(json::is(&answer, "type", "heartbeat"), "{}", answer.encode());
    assert!(json::is(&answer, "replyTo", "test2"), "{}", answer.encode());
    assert_time(json::string(&answer, "payload.serverTime"), &before);
}
