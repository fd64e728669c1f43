//! Section 4: the opening handshake.

use super::common::ECHO_PATH;
use super::common::frame::Frame;
use super::common::http::{self, Response};
use super::common::server::TestServer;
use super::common::tcp::Tcp;
use super::common::websocket::{EXAMPLE_KEY, WebSocket, upgrade_request};
use super::server;
use tungstenite::handshake::derive_accept_key;

/// The headers of a valid upgrade, to be changed one at a time.
const UPGRADE: [(&str, &str); 4] = [
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", EXAMPLE_KEY),
    ("Sec-WebSocket-Version", "13"),
];

/// The answer to an upgrade whose header `name` has another value, or is left out.
#[track_caller]
fn answer_with(server: &TestServer, name: &str, value: Option<&str>) -> Response {
    let mut headers: Vec<_> = UPGRADE.into_iter().filter(|(key, _)| *key != name).collect();
    headers.extend(value.map(|value| (name, value)));
    http::request(server.address, "GET", ECHO_PATH, &headers, b"")
}

/// Upgrades with more headers and returns the answer.
#[track_caller]
fn accepted(server: &TestServer, headers: &[(&str, &str)]) -> Response {
    match WebSocket::try_upgrade(Tcp::connect(server.address), server.address, ECHO_PATH, headers) {
        Ok((mut ws, response)) => {
            ws.text("works");
            ws.expect_text("works");
            response
        }
        Err(refused) => panic!("101 with {headers:?}, but: {refused:?}"),
    }
}

/// A request whose text a test writes itself, `HOST` standing for the address.
#[track_caller]
fn exchange(server: &TestServer, request: &str) -> Response {
    http::exchange(server.address, request.replace("HOST", &server.address.to_string()))
}

// 1.3, 4.2.2 (5.4): the example of the RFC.
#[test]
fn accept_value_of_the_example() {
    let response = accepted(&server(), &[]);
    assert_eq!(response.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

// 4.2.2 (5.4): base64 of the SHA-1 of the key and the GUID, for any key.
#[test]
fn accept_value_follows_from_the_key() {
    let server = server();
    for key in
        ["AAAAAAAAAAAAAAAAAAAAAA==", "/////////////////////w==", "x3JJHMbDL1EzLkh9GBhXDw==", "AQIDBAUGBwgJCgsMDQ4PEA=="]
    {
        let response = answer_with(&server, "Sec-WebSocket-Key", Some(key));
        assert_eq!(response.status, 101, "{key}");
        assert_eq!(response.header("sec-websocket-accept"), Some(derive_accept_key(key.as_bytes()).as_str()), "{key}");
    }
}

// 4.2.2 (5.1 to 5.3): 101 with Upgrade and Connection, both compared without case by clients (4.1).
#[test]
fn answer_names_the_upgrade() {
    let response = accepted(&server(), &[]);
    assert_eq!(response.status, 101);
    let upgrade = response.header("upgrade").unwrap_or_default();
    assert!(upgrade.eq_ignore_ascii_case("websocket"), "{upgrade:?}");
    let connection = response.header("connection").unwrap_or_default();
    assert!(connection.eq_ignore_ascii_case("upgrade"), "{connection:?}");
    assert_eq!(response.all("sec-websocket-accept").len(), 1);
}

// 4.2.1: "The method of the request MUST be GET".
#[test]
fn method_other_than_get_is_refused() {
    let server = server();
    for method in ["POST", "PUT", "DELETE"] {
        let response = http::request(server.address, method, ECHO_PATH, &UPGRADE, b"");
        assert!((400..500).contains(&response.status), "{method}: {}", response.status);
    }
}

// 4.2.1 (1): HTTP/1.1 or higher.
#[test]
fn http_1_0_is_refused() {
    let server = server();
    let request = upgrade_request(server.address, ECHO_PATH, &[]);
    let request = String::from_utf8(request).expect("ASCII").replace("HTTP/1.1", "HTTP/1.0");
    let response = http::exchange(server.address, request);
    assert_eq!(response.status, 400);
}

// 4.2.1 (1), 4.1 (1): the resource is the target; another one has no WebSocket.
#[test]
fn unknown_resource_is_refused() {
    let server = server();
    let response = http::request(server.address, "GET", "/no-such-resource", &UPGRADE, b"");
    assert_eq!(response.status, 404);
}

// 4.1 (1), section 3: the target may have a query.
#[test]
fn resource_with_a_query_is_accepted() {
    let server = server();
    let mut ws = WebSocket::open(server.address, &format!("{ECHO_PATH}?a=b&c=%20d"));
    ws.text("query");
    ws.expect_text("query");
}

// 4.2.1 (2): a Host header field.
#[test]
fn missing_host_is_refused() {
    let server = server();
    let request = String::from_utf8(upgrade_request(server.address, ECHO_PATH, &[])).expect("ASCII");
    let without = request.replace(&format!("Host: {}\r\n", server.address), "");
    assert_eq!(http::exchange(server.address, without).status, 400);
}

// 4.2.1 (3): an Upgrade header field with "websocket".
#[test]
fn missing_or_other_upgrade_is_refused() {
    let server = server();
    for value in [None, Some("h2c"), Some("web socket"), Some("websockets"), Some("")] {
        assert_eq!(answer_with(&server, "Upgrade", value).status, 426, "{value:?}");
    }
}

// 4.2.1 (3): "treated as an ASCII case-insensitive value".
#[test]
fn upgrade_is_compared_without_case() {
    let server = server();
    for value in ["WebSocket", "WEBSOCKET", "wEbSoCkEt"] {
        assert_eq!(answer_with(&server, "Upgrade", Some(value)).status, 101, "{value}");
    }
}

// 4.2.1 (4): a Connection header field with the token "Upgrade".
#[test]
fn missing_or_other_connection_is_refused() {
    let server = server();
    for value in [None, Some("keep-alive"), Some("upgraded"), Some("up grade"), Some("")] {
        assert_eq!(answer_with(&server, "Connection", value).status, 426, "{value:?}");
    }
}

// 4.2.1 (4): a token in a list, without case, in one field or in several (RFC 9110, 5.3).
#[test]
fn connection_is_a_list_of_tokens() {
    let server = server();
    for value in ["upgrade", "UPGRADE", "keep-alive, Upgrade", "Upgrade,keep-alive", "foo ,\tUpgrade , bar"] {
        assert_eq!(answer_with(&server, "Connection", Some(value)).status, 101, "{value}");
    }
    accepted(&server, &[("Connection", "keep-alive")]);
}

// 4.2.1 (5): a key that decodes to 16 bytes.
#[test]
fn missing_key_is_refused() {
    assert_eq!(answer_with(&server(), "Sec-WebSocket-Key", None).status, 400);
}

// 4.2.1 (5): a key that decodes to 16 bytes.
#[test]
fn malformed_key_is_refused() {
    let server = server();
    let keys = [
        "",
        "AAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAA*==",
        "AAAAAAAAAAAAAAAAAAAAAA=A",
    ];
    for key in keys {
        assert_eq!(answer_with(&server, "Sec-WebSocket-Key", Some(key)).status, 400, "{key:?}");
    }
}

// 11.3.1: "The |Sec-WebSocket-Key| header field MUST NOT appear more than once".
#[test]
fn second_key_is_refused() {
    let server = server();
    let request = upgrade_request(server.address, ECHO_PATH, &[("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")]);
    assert_eq!(http::exchange(server.address, request).status, 400);
}

// 4.2.1 (6), 4.2.2 (4), 4.4: another version is answered by 426 and the version that is understood.
#[test]
fn other_version_is_refused_with_the_right_one() {
    let server = server();
    for version in [None, Some("0"), Some("8"), Some("12"), Some("14"), Some("130"), Some("thirteen")] {
        let response = answer_with(&server, "Sec-WebSocket-Version", version);
        assert_eq!(response.status, 426, "{version:?}");
        assert_eq!(response.header("sec-websocket-version"), Some("13"), "{version:?}");
    }
}

// 4.2.1 (7): Origin is not sent by clients that are no browsers; here a loopback origin is also accepted.
#[test]
fn origin_is_optional() {
    let server = server();
    accepted(&server, &[]);
    accepted(&server, &[("Origin", &format!("http://{}", server.address))]);
}

// 4.2.1 (8), 4.2.2 (5.5): no subprotocol in the answer when the client offers none, or none that is known.
#[test]
fn subprotocol_that_was_not_offered_is_not_in_the_answer() {
    let server = server();
    for offer in [&[][..], &[("Sec-WebSocket-Protocol", "chat, superchat")]] {
        let response = accepted(&server, offer);
        assert_eq!(response.header("sec-websocket-protocol"), None, "{offer:?}");
    }
}

// 4.2.1 (9), 4.2.2 (5.6), 9.1: an extension that the server does not know is not in the answer.
#[test]
fn unknown_extensions_are_ignored() {
    let server = server();
    for offer in ["x-unknown", "foo, bar; baz=2", "x-one; a; b=\"quoted\", x-two"] {
        let response = accepted(&server, &[("Sec-WebSocket-Extensions", offer)]);
        assert_eq!(response.header("sec-websocket-extensions"), None, "{offer}");
    }
}

// 4.2.1 (10): other header fields, cookies for example; "Unknown header fields are ignored".
#[test]
fn unknown_header_fields_are_ignored() {
    accepted(&server(), &[("Cookie", "a=b; c=d"), ("X-Unknown", "anything at all"), ("User-Agent", "test/1.0")]);
}

// 4.2.1, RFC 9110, 5.1 and 5.5: field names without case, optional white space around values.
#[test]
fn header_syntax_is_that_of_http() {
    let response = exchange(
        &server(),
        &format!(
            "GET {ECHO_PATH} HTTP/1.1\r\nhOST:HOST\r\nUPGRADE:websocket\r\nconnection: \t Upgrade \t \r\n\
             SEC-WEBSOCKET-KEY:   {EXAMPLE_KEY}  \r\nsec-websocket-version:13\r\n\r\n"
        ),
    );
    assert_eq!(response.status, 101);
}

// 4.2.1: the handshake is a stream of bytes, however TCP cuts it.
#[test]
fn handshake_may_arrive_byte_by_byte() {
    let server = server();
    let mut tcp = Tcp::connect(server.address);
    for byte in upgrade_request(server.address, ECHO_PATH, &[]) {
        tcp.send([byte]);
    }
    assert_eq!(http::read_response(&mut tcp).status, 101);
    let mut ws = WebSocket::over(tcp);
    ws.text("drop by drop");
    ws.expect_text("drop by drop");
}

// 4.2.2: the connection is open with the answer; bytes right behind the request are the first frames.
#[test]
fn frames_may_follow_the_request_at_once() {
    let server = server();
    let mut tcp = Tcp::connect(server.address);
    let request = upgrade_request(server.address, ECHO_PATH, &[]);
    tcp.send([request, Frame::text("early").encode(), Frame::text("bird").encode()].concat());
    assert_eq!(http::read_response(&mut tcp).status, 101);
    let mut ws = WebSocket::over(tcp);
    ws.expect_text("early");
    ws.expect_text("bird");
}
