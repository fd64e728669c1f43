//! Types of messages: the eight that the protocol names, any other, and the reserved ones.

use super::common::client::{Client, envelope};
use super::common::json;
use super::server;
use hashi::MessageType;
use simd_json::json;

const APPLICATION_TYPES: [&str; 8] = [
    MessageType::OPERATION_STARTED,
    MessageType::OPERATION_PROGRESS,
    MessageType::OPERATION_COMPLETED,
    MessageType::OPERATION_FAILED,
    MessageType::STRUCTURE_CHANGE,
    MessageType::SELECTION_UPDATE,
    MessageType::NOTIFICATION,
    MessageType::CUSTOM,
];

#[test]
fn the_names_are_those_of_the_protocol() {
    let expected = [
        "operation_started",
        "operation_progress",
        "operation_completed",
        "operation_failed",
        "structure_change",
        "selection_update",
        "notification",
        "custom",
    ];
    assert_eq!(APPLICATION_TYPES, expected);
}

#[test]
fn application_types_and_any_other_are_relayed() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    let mut other = Client::connect(server.address, "user-2", "s1");
    let long = "x".repeat(64);
    let others = [
        "x",
        "chat.message",
        "cursor/moved",
        "a:b-c_D.9",
        "hashi",
        "hashi.x",
        "Hashi:join",
        "xhashi:join",
        "Error",
        "errors",
        "ACK",
        "acknowledge",
        "heartbeats",
        "authentication2",
        "-",
        ".",
        ":",
        "/",
        "_",
        "0",
        &long,
    ];
    for kind in APPLICATION_TYPES.into_iter().chain(others) {
        client.send(&envelope("m1", kind, json!({"any": "JSON"})));
        for receiver in [&mut client, &mut other] {
            let came = receiver.receive();
            assert!(json::is(&came, "type", kind), "{kind}: {came:?}");
            assert_eq!(came["payload"], json!({"any": "JSON"}), "{kind}");
        }
    }
    client.ws.close();
    other.ws.close();
}

#[test]
fn reserved_types_are_refused() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    for kind in ["error", "hashi:gap", "hashi:position", "hashi:drain", "hashi:presence", "hashi:"] {
        let text = format!(r#"{{"id":"m1","type":"{kind}","payload":{{}}}}"#);
        let error = client.expect_error(&text, "reserved_type");
        assert!(json::is(&error, "replyTo", "m1"), "{kind}: {error:?}");
        assert!(!json::boolean(&error, "payload.temporary"), "{kind}: {error:?}");
    }
    client.expect_nothing();
    client.ws.close();
}
