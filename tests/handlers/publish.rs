//! `Handle`: making messages, sending them, and the receipts.

use super::common::client::Client;
use super::common::json;
use super::common::wait::PATIENCE;
use super::{builder, serve};
use hashi::{ErrorCode, Handle, MessageOptions, MessageType, NewMessage, Priority, ProtocolError};
use serde::Serialize;
use simd_json::prelude::*;
use std::time::Duration;

#[derive(Serialize)]
struct Progress {
    #[serde(rename = "operationId")]
    operation_id: &'static str,
    progress: f64,
}

fn message(handle: &Handle, kind: &str) -> NewMessage {
    handle.create_message(kind, &"payload", MessageOptions::default()).expect("a message")
}

#[track_caller]
fn expect_code<T: std::fmt::Debug>(result: Result<T, ProtocolError>, code: ErrorCode) {
    assert_eq!(result.expect_err("an error").code, code);
}

#[test]
fn a_message_has_what_its_options_say() {
    let server = serve(builder());
    let handle = server.handle();
    let mut client = Client::connect(server.address, "user-1", "s1");
    let options = MessageOptions {
        id: Some("my-id".to_owned()),
        session_id: Some("s1".to_owned()),
        priority: Priority::Low,
        key: Some("my-key".to_owned()),
        reply_to: Some("question".to_owned()),
        expires_in: Some(Duration::from_secs(60)),
        ..MessageOptions::default()
    };
    let message = handle.create_message(MessageType::NOTIFICATION, &("text", 1), options).expect("a message");
    let published = handle.broadcast(message).wait(PATIENCE).expect("published");
    assert_eq!((published.seq, published.matched, published.queued), (Some(1), 1, 1));
    let came = client.receive();
    for (path, value) in [
        ("id", "my-id"),
        ("type", "notification"),
        ("sessionId", "s1"),
        ("priority", "low"),
        ("key", "my-key"),
        ("replyTo", "question"),
    ] {
        assert!(json::is(&came, path, value), "{path} of {}", came.encode());
    }
    assert_eq!(came["payload"].encode(), r#"["text",1]"#);
    assert_eq!(json::number(&came, "seq"), 1);
    assert!(!json::string(&came, "timestamp").is_empty());
}

#[test]
fn what_no_option_says_has_a_default() {
    let server = serve(builder());
    let handle = server.handle();
    let mut client = Client::connect(server.address, "user-1", "s1");
    let progress = Progress { operation_id: "op-7", progress: 0.25 };
    let options = MessageOptions { session_id: Some("s1".to_owned()), ..MessageOptions::default() };
    let message = handle.create_message(MessageType::OPERATION_PROGRESS, &progress, options).expect("a message");
    handle.broadcast(message).wait(PATIENCE).expect("published");
    let came = client.receive();
    assert!(
        json::is(&came, "type", "operation_progress") && json::is(&came, "priority", "normal"),
        "{}",
        came.encode()
    );
    assert!(json::is(&came, "key", "op-7"), "an operation's id is its key: {}", came.encode());
    assert_eq!(json::string(&came, "id").len(), 36, "a UUID: {}", came.encode());
    assert_eq!(came["payload"].encode(), r#"{"operationId":"op-7","progress":0.25}"#);
}

#[test]
fn the_type_constants_carry_the_names_of_the_protocol() {
    let names = [
        (MessageType::OPERATION_STARTED, "operation_started"),
        (MessageType::OPERATION_PROGRESS, "operation_progress"),
        (MessageType::OPERATION_COMPLETED, "operation_completed"),
        (MessageType::OPERATION_FAILED, "operation_failed"),
        (MessageType::STRUCTURE_CHANGE, "structure_change"),
        (MessageType::SELECTION_UPDATE, "selection_update"),
        (MessageType::NOTIFICATION, "notification"),
        (MessageType::CUSTOM, "custom"),
    ];
    for (constant, name) in names {
        assert_eq!(constant, name);
    }
}

#[test]
fn each_recipient_is_reached_and_nobody_else() {
    let server = serve(builder());
    let handle = server.handle();
    let mut first = Client::connect(server.address, "user-1", "s1");
    let mut second = Client::connect(server.address, "user-1", "s2");
    let mut other = Client::connect(server.address, "user-2", "s1");

    let to_session = handle.broadcast_to_session("s1", message(handle, "a")).wait(PATIENCE).expect("published");
    assert_eq!((to_session.seq, to_session.matched, to_session.queued), (Some(1), 2, 2));
    let to_user = handle.send_to_user("user-1", message(handle, "b")).wait(PATIENCE).expect("published");
    assert_eq!((to_user.seq, to_user.matched, to_user.queued), (Some(1), 2, 2));
    let id = other.connection_id().to_owned();
    let to_one = handle.send_to_connection(&id, message(handle, "c")).wait(PATIENCE).expect("sent");
    assert_eq!((to_one.seq, to_one.matched, to_one.queued), (None, 1, 1));

    for (client, kinds) in [(&mut first, vec!["a", "b"]), (&mut second, vec!["b"]), (&mut other, vec!["a", "c"])] {
        let came: Vec<_> = client.settle();
        let came: Vec<&str> = came.iter().map(|message| json::string(message, "type")).collect();
        assert_eq!(came, kinds);
    }
}

/// Nobody there is no error: the message took its position, and nobody was matched.
#[test]
fn sessions_and_users_without_connections_are_published_to() {
    let server = serve(builder());
    let handle = server.handle();
    for seq in 1..=3 {
        for published in [
            handle.broadcast_to_session("empty", message(handle, "a")).wait(PATIENCE).expect("published"),
            handle.send_to_user("nobody", message(handle, "a")).wait(PATIENCE).expect("published"),
        ] {
            assert_eq!((published.seq, published.matched, published.queued), (Some(seq), 0, 0));
        }
    }
}

#[test]
fn recipients_that_cannot_be_are_refused() {
    let server = serve(builder());
    let handle = server.handle();
    let gone = Client::connect(server.address, "user-1", "s1");
    let gone_id = gone.connection_id().to_owned();
    gone.ws.close();
    super::common::status::expect(server.address, "memberships", 0);
    for id in ["", "no-such-id", "00000000000000000000000000000000", &gone_id] {
        expect_code(handle.send_to_connection(id, message(handle, "a")).wait(PATIENCE), ErrorCode::NotFound);
    }
    for session in ["", "@user-1", "a\nb", &"x".repeat(256)] {
        expect_code(handle.broadcast_to_session(session, message(handle, "a")).wait(PATIENCE), ErrorCode::BadMessage);
    }
    expect_code(handle.send_to_user("", message(handle, "a")).wait(PATIENCE), ErrorCode::BadMessage);
    expect_code(handle.broadcast(message(handle, "a")).wait(PATIENCE), ErrorCode::NoSession);
}

#[test]
fn messages_that_the_protocol_forbids_are_not_made() {
    let server = serve(builder());
    let handle = server.handle();
    let plain = MessageOptions::default;
    for kind in ["authentication", "heartbeat", "ack", "error", "hashi:join", "hashi:anything"] {
        expect_code(handle.create_message(kind, &(), plain()), ErrorCode::ReservedType);
    }
    for kind in ["", "a b", "é", &"x".repeat(65)] {
        expect_code(handle.create_message(kind, &(), plain()), ErrorCode::BadMessage);
    }
    let long = |bytes: usize| Some("x".repeat(bytes));
    for options in [
        MessageOptions { id: long(0), ..plain() },
        MessageOptions { id: long(129), ..plain() },
        MessageOptions { key: long(129), ..plain() },
        MessageOptions { reply_to: long(129), ..plain() },
        MessageOptions { expires_in: Some(Duration::from_micros(999)), ..plain() },
    ] {
        expect_code(handle.create_message("a", &(), options), ErrorCode::BadMessage);
    }
    let deep = |levels| (0..levels).fold(serde_json::json!(1), |value, _| serde_json::json!([value]));
    assert!(handle.create_message("a", &deep(32), plain()).is_ok());
    expect_code(handle.create_message("a", &deep(33), plain()), ErrorCode::TooDeep);
}

/// The time that a message has is limited like a client's.
#[test]
fn a_message_may_expire() {
    let server = serve(builder());
    let handle = server.handle();
    let expiring = |time: Duration| {
        let options = MessageOptions { expires_in: Some(time), ..MessageOptions::default() };
        handle.broadcast_to_session("s1", handle.create_message("a", &(), options).expect("one")).wait(PATIENCE)
    };
    expect_code(expiring(Duration::from_secs(61)), ErrorCode::BadMessage);
    assert_eq!(expiring(Duration::from_millis(1)).expect("published").seq, Some(1));
    super::common::status::expect(server.address, "counters.expired", 1);
}

/// The limit of a service holds for the embedder, too.
#[test]
fn a_message_that_is_too_large_is_refused() {
    let server = serve(builder());
    let handle = server.handle();
    let mut client = Client::connect(server.address, "user-1", "s1");
    let sized = |bytes: usize| handle.create_message("a", &"x".repeat(bytes), MessageOptions::default()).expect("one");
    let largest = handle.broadcast_to_session("s1", sized((1 << 20) - 1_000)).wait(PATIENCE).expect("published");
    assert_eq!(largest.queued, 1);
    assert_eq!(json::string(&client.receive(), "payload").len(), (1 << 20) - 1_000);
    expect_code(handle.broadcast_to_session("s1", sized(2 << 20)).wait(PATIENCE), ErrorCode::TooLarge);
    client.expect_nothing();
}
