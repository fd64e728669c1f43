//! Rows 9 and 11: upgrade requests.

use super::common::http::{self, Response};
use super::common::row;
use super::common::server::TestServer;
use super::common::tcp::Tcp;
use super::common::websocket::{EXAMPLE_KEY, WebSocket};
use super::common::{ECHO_PATH, WS_PATH};

const UPGRADE: (&str, &str) = ("Upgrade", "websocket");
const CONNECTION: (&str, &str) = ("Connection", "Upgrade");
const KEY: (&str, &str) = ("Sec-WebSocket-Key", EXAMPLE_KEY);
const VERSION: (&str, &str) = ("Sec-WebSocket-Version", "13");

fn get(server: &TestServer, path: &str, headers: &[(&str, &str)]) -> Response {
    http::request(server.address, "GET", path, headers, b"")
}

#[test]
fn row_09_no_upgrade() {
    row::run(&[], |server| {
        for path in [WS_PATH, ECHO_PATH] {
            for headers in [
                &[UPGRADE, KEY, VERSION][..],
                &[UPGRADE, ("Connection", "keep-alive"), KEY, VERSION],
                &[CONNECTION, KEY, VERSION],
                &[("Upgrade", "h2c"), CONNECTION, KEY, VERSION],
                &[],
            ] {
                let response = get(server, path, headers);
                response.expect_problem(426);
                let upgrade = response.header("upgrade").unwrap_or_default();
                assert!(upgrade.eq_ignore_ascii_case("websocket"), "426 names the protocol (RFC 9110, 15.5.22)");
            }
        }
    });
}

#[test]
fn row_09_wrong_version() {
    row::run(&[], |server| {
        for version in ["", "0", "8", "12", "14", "13.0", "+13", "013x", "x"] {
            let response = get(server, WS_PATH, &[UPGRADE, CONNECTION, KEY, ("Sec-WebSocket-Version", version)]);
            response.expect_problem(426);
            assert_eq!(response.header("sec-websocket-version"), Some("13"), "{version:?}");
        }
        let response = get(server, WS_PATH, &[UPGRADE, CONNECTION, KEY]);
        response.expect_problem(426);
        assert_eq!(response.header("sec-websocket-version"), Some("13"), "no version");
    });
}

#[test]
fn row_09_wrong_key() {
    row::run(&[], |server| {
        let keys = [
            ("empty", ""),
            ("23 characters", "dGhlIHNhbXBsZSBub25jZQ="),
            ("25 characters", "dGhlIHNhbXBsZSBub25jZQ==="),
            ("no padding", "dGhlIHNhbXBsZSBub25jZQ"),
            ("18 bytes", "AAAAAAAAAAAAAAAAAAAAAAAA"),
            ("17 bytes", "AAAAAAAAAAAAAAAAAAAAAAA="),
            ("15 bytes", "AAAAAAAAAAAAAAAAAAAA"),
            ("no base64", "!!!!!!!!!!!!!!!!!!!!!!=="),
            ("base64 for URLs", "__________________-_-w=="),
            ("padding inside", "dGhlIHNhb=BsZSBub25jZQ=="),
            ("a space inside", "dGhlIHNhb BsZSBub25jZQ=="),
            ("long", &"A".repeat(1_000)),
        ];
        for (case, key) in keys {
            eprintln!("{case}");
            get(server, WS_PATH, &[UPGRADE, CONNECTION, ("Sec-WebSocket-Key", key), VERSION]).expect_problem(400);
        }
        get(server, WS_PATH, &[UPGRADE, CONNECTION, VERSION]).expect_problem(400);
        get(server, WS_PATH, &[UPGRADE, CONNECTION, KEY, KEY, VERSION]).expect_problem(400);
    });
}

#[test]
fn row_09_post_upgrade() {
    row::run(&[], |server| {
        for body in [&b""[..], b"{}"] {
            let headers = [UPGRADE, CONNECTION, KEY, VERSION];
            http::request(server.address, "POST", WS_PATH, &headers, body).expect_problem(400);
        }
    });
}

/// Upgrades with more headers, checks that the connection works, and returns the answer.
#[track_caller]
fn accepted(server: &TestServer, headers: &[(&str, &str)]) -> Response {
    let upgraded = WebSocket::try_upgrade(Tcp::connect(server.address), server.address, ECHO_PATH, headers);
    let (mut ws, response) = upgraded.unwrap_or_else(|refused| panic!("101 with {headers:?}, but: {refused:?}"));
    ws.text("plain");
    ws.expect_text("plain");
    ws.close();
    response
}

#[test]
fn row_11_malformed_extensions() {
    row::run(&[], |server| {
        let long = "x-".repeat(1_500);
        let many = ["permessage-deflate; no-such-parameter"; 50].join(", ");
        for offer in [
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=99999999999999999999",
            "permessage-deflate; server_max_window_bits=-8",
            "permessage-deflate; server_max_window_bits=08",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; client_max_window_bits=0",
            "permessage-deflate; client_max_window_bits=10; client_max_window_bits=11",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; unknown_parameter",
            "permessage-deflate; =10",
            "permessage-deflate; \"unterminated",
            "permessage-deflate permessage-deflate",
            ";;;,,,===",
            "=",
            ",",
            "",
            &long,
            &many,
        ] {
            let response = accepted(server, &[("Sec-WebSocket-Extensions", offer)]);
            assert_eq!(response.header("sec-websocket-extensions"), None, "{offer}");
        }
    });
}

#[test]
fn row_11_many_subprotocols() {
    row::run(&[], |server| {
        let unknown: Vec<String> = (0..200).map(|number| format!("unknown.v{number}")).collect();
        let unknown = unknown.join(", ");
        let known_last = format!("{unknown}, hashi.v1");
        let protocol = "Sec-WebSocket-Protocol";
        for offers in [
            &[(protocol, "hashi.v1")][..],
            &[(protocol, "hashi.v1, hashi.v1, hashi.v1")],
            &[(protocol, &known_last)],
            &[(protocol, "unknown"), (protocol, "hashi.v1"), (protocol, "other")],
            &[(protocol, "hashi.v0,hashi.v1,hashi.v2")],
        ] {
            assert_eq!(subprotocols(server, offers), ["hashi.v1"], "{offers:?}");
        }
        for offers in [
            &[(protocol, unknown.as_str())][..],
            &[(protocol, "HASHI.V1")],
            &[(protocol, "hashi.v1.no-such-format")],
            &[(protocol, "hashi.v10")],
            &[(protocol, "hashi")],
        ] {
            assert!(subprotocols(server, offers).is_empty(), "{offers:?}");
        }
    });
}

/// The subprotocols that the answer of `/ws` to these offers names.
#[track_caller]
fn subprotocols(server: &TestServer, offers: &[(&str, &str)]) -> Vec<String> {
    let upgraded = WebSocket::try_upgrade(Tcp::connect(server.address), server.address, WS_PATH, offers);
    let (ws, response) = upgraded.unwrap_or_else(|refused| panic!("101 with {offers:?}, but: {refused:?}"));
    ws.close();
    response.all("sec-websocket-protocol").into_iter().map(str::to_owned).collect()
}
