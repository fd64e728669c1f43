//! The subprotocol and the features of a connection.

use super::common::WS_PATH;
use super::common::client::Client;
use super::common::http;
use super::common::websocket::upgrade_request;
use super::server;
use simd_json::json;
use simd_json::prelude::*;

#[test]
fn the_first_known_subprotocol_is_echoed() {
    let server = server();
    let cases: [(&[&str], Option<&str>); 9] = [
        (&[], None),
        (&["hashi.v1"], Some("hashi.v1")),
        (&["chat, hashi.v1"], Some("hashi.v1")),
        (&["hashi.v1, chat"], Some("hashi.v1")),
        (&["chat", "hashi.v1"], Some("hashi.v1")),
        (&["hashi.v1.msgpack, hashi.v2, hashi.v1"], Some("hashi.v1")),
        (&["chat"], None),
        (&["hashi.v1.msgpack"], None),
        (&["hashi", "HASHI.V1", "hashi.v10"], None),
    ];
    for (offers, expected) in cases {
        let headers: Vec<_> = offers.iter().map(|offer| ("Sec-WebSocket-Protocol", *offer)).collect();
        let answer = http::exchange(server.address, upgrade_request(server.address, WS_PATH, &headers));
        assert_eq!(answer.status, 101, "{offers:?}");
        assert_eq!(answer.all("sec-websocket-protocol"), Vec::from_iter(expected), "{offers:?}");
    }
}

#[test]
fn only_features_that_exist_are_accepted() {
    let server = server();
    for (asked, accepted) in [
        (json!([]), json!([])),
        (json!(["heartbeat"]), json!(["heartbeat"])),
        (json!(["heartbeat", "heartbeat"]), json!(["heartbeat"])),
        (json!(["nonsense", "Heartbeat", ""]), json!([])),
        (json!(["resume"]), json!(["resume"])),
        (json!(["ack", "resume", "batch", "heartbeat", "presence"]), json!(["heartbeat", "resume", "batch", "ack"])),
        (json!(null), json!([])),
    ] {
        let shown = asked.encode();
        let client = Client::connect_with(server.address, json!({"token": "user-1", "features": asked}));
        assert_eq!(client.welcome["payload"]["features"], accepted, "{shown}");
        client.ws.close();
    }
}
