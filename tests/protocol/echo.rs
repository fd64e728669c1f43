//! `echo`: whether a message comes back to the connection that sent it.

use super::common::client::Client;
use super::common::json;
use super::server;
use simd_json::json;
use simd_json::prelude::*;

/// The echo of an authentication and of a message, and whether the message comes back.
const CASES: [(Option<bool>, Option<bool>, bool); 9] = [
    (None, None, true),
    (None, Some(true), true),
    (None, Some(false), false),
    (Some(true), None, true),
    (Some(true), Some(true), true),
    (Some(true), Some(false), false),
    (Some(false), None, false),
    (Some(false), Some(true), true),
    (Some(false), Some(false), false),
];

#[test]
fn a_message_s_echo_counts_before_the_authentication_s() {
    let server = server();
    let mut other = Client::connect(server.address, "user-2", "s1");
    for (case, (authenticated, message, comes_back)) in CASES.into_iter().enumerate() {
        let mut sender = connect(&server, authenticated);
        let mut text = format!(r#"{{"id":"m{case}","type":"custom","payload":{{}}"#);
        text += &message.map_or_else(String::new, |echo| format!(r#","echo":{echo}"#));
        sender.ws.text(&(text + "}"));
        let came: Vec<_> = sender.settle();
        assert_eq!(came.len(), usize::from(comes_back), "case {case}: {came:?}");
        let seen = other.receive();
        assert!(json::is(&seen, "id", &format!("m{case}")), "the others always get it: {}", seen.encode());
        assert_eq!(json::number(&seen, "seq"), case as u64 + 1, "who is left out makes no hole");
        assert!(json::find(&seen, "echo").is_none(), "{}", seen.encode());
        sender.ws.close();
    }
    other.ws.close();
}

#[track_caller]
fn connect(server: &super::common::server::TestServer, echo: Option<bool>) -> Client {
    let mut payload = json!({"token": "user-1", "sessionId": "s1"});
    if let Some(echo) = echo {
        payload.insert("echo", echo).expect("ok because it is an object");
    }
    Client::connect_with(server.address, payload)
}

#[test]
fn only_the_sending_connection_is_left_out() {
    let server = server();
    let mut sender = Client::connect(server.address, "user-1", "s1");
    let mut twin = Client::connect(server.address, "user-1", "s1");
    let message = json!({"id": "m1", "type": "custom", "echo": false, "payload": {}});
    let published = sender.publish(message);
    assert_eq!((json::number(&published, "matched"), json::number(&published, "queued")), (1, 1));
    assert!(json::is(&twin.receive(), "id", "m1"));
    sender.expect_nothing();
    sender.ws.close();
    twin.ws.close();
}

#[test]
fn a_message_to_the_own_user_leaves_out_the_sending_connection() {
    let server = server();
    let mut sender = Client::connect(server.address, "user-1", "s1");
    let mut twin = Client::connect(server.address, "user-1", "s2");
    let to = json!({"userId": "user-1"});
    let published =
        sender.publish(json!({"id": "m1", "type": "custom", "to": to.clone(), "echo": false, "payload": {}}));
    assert_eq!(json::number(&published, "matched"), 1);
    assert!(json::is(&twin.receive(), "id", "m1"));
    sender.expect_nothing();
    let published = sender.publish(json!({"id": "m2", "type": "custom", "to": to, "payload": {}}));
    assert_eq!(json::number(&published, "matched"), 2);
    sender.ws.close();
    twin.ws.close();
}

#[test]
fn who_is_no_member_is_not_counted_as_left_out() {
    let server = server();
    let mut member = Client::connect(server.address, "user-2", "s2");
    let mut sender = Client::connect(server.address, "user-1", "s1");
    let published =
        sender.publish(json!({"id": "m1", "type": "custom", "sessionId": "s2", "echo": false, "payload": {}}));
    assert_eq!((json::number(&published, "matched"), json::number(&published, "queued")), (1, 1));
    assert!(json::is(&member.receive(), "id", "m1"));
    sender.ws.close();
    member.ws.close();
}
