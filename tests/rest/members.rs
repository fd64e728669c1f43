//! `GET /ws-api/connections/session/:sessionId`.

use super::common::client::Client;
use super::common::http;
use super::common::json;
use super::common::status;
use super::{assert_time, get, members_of, server};
use simd_json::json;
use simd_json::prelude::*;

const ROUTE: &str = "/ws-api/connections/session/";

#[test]
fn every_connection_of_the_session_is_listed() {
    let server = server();
    let members = [
        Client::connect(server.address, "user-1", "s1"),
        Client::connect(server.address, "user-1", "s1"),
        Client::connect(server.address, "user-2", "s1"),
    ];
    let _outsider = Client::connect(server.address, "user-3", "s2");
    let response = get(&server, "user-9", &format!("{ROUTE}s1"));
    assert_eq!((response.status, response.header("content-type")), (200, Some("application/json")));
    let body = response.json();
    assert_eq!(members_of(&body), ["connections", "count", "sessionId"]);
    assert!(json::is(&body, "sessionId", "s1"));
    assert_eq!(json::number(&body, "count"), 3);
    let listed = body["connections"].as_array().expect("an array");
    assert_eq!(listed.len(), 3);
    for client in &members {
        let id = client.connection_id();
        let entry = listed.iter().find(|entry| json::is(entry, "connectionId", id));
        let entry = entry.unwrap_or_else(|| panic!("{id} is not in {}", body.encode()));
        let expected = ["connectedAt", "connectionId", "lastActivityAt", "queued", "transport", "userId"];
        assert_eq!(members_of(entry), expected);
        assert_eq!(entry["userId"], client.welcome["payload"]["userId"]);
        assert!(json::is(entry, "transport", "websocket"));
        assert_eq!(json::number(entry, "queued"), 0);
        assert_time(entry, "connectedAt");
        assert_time(entry, "lastActivityAt");
        assert!(json::string(entry, "connectedAt") <= json::string(entry, "lastActivityAt"), "{}", entry.encode());
    }
}

#[test]
fn who_leaves_is_listed_no_more() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    client.join("s2");
    let other = Client::connect(server.address, "user-2", "s2");
    let count = |session: &str| json::number(&get(&server, "user-1", &format!("{ROUTE}{session}")).json(), "count");
    assert_eq!((count("s1"), count("s2")), (1, 2));
    client.leave("s1");
    assert_eq!((count("s1"), count("s2")), (0, 2));
    other.ws.close();
    status::expect(server.address, "connections.websocket", 1);
    assert_eq!(count("s2"), 1);
}

#[test]
fn an_unknown_session_is_empty_and_is_not_made() {
    let server = server();
    for session in ["unknown", "another%20one"] {
        let response = get(&server, "user-1", &format!("{ROUTE}{session}"));
        let name = session.replace("%20", " ");
        assert_eq!(response.status, 200);
        assert_eq!(response.json(), json!({"sessionId": name, "count": 0, "connections": []}));
    }
    assert_eq!(json::number(&status::read(server.address), "sessions"), 0);
}

/// Every byte of a name but the plainest, as `encodeURIComponent` writes it, in either case.
fn percent_encode(name: &str, upper: bool) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ if upper => format!("%{byte:02X}"),
        _ => format!("%{byte:02x}"),
    };
    name.bytes().map(encode).collect()
}

#[test]
fn session_names_are_percent_decoded() {
    let server = server();
    let long = "é".repeat(127);
    for name in ["with space", "é€😀", "a/b", "a/../b", "a?b=c#d", "100%", "%41", "a+b", "x@y", "..", &long] {
        let client = Client::connect(server.address, "user-1", name);
        for upper in [true, false] {
            let response = get(&server, "user-1", &format!("{ROUTE}{}", percent_encode(name, upper)));
            assert_eq!(response.status, 200, "{name}");
            let body = response.json();
            assert!(json::is(&body, "sessionId", name), "{}", body.encode());
            assert_eq!(json::number(&body, "count"), 1, "{name}");
        }
        client.ws.close();
    }
    let client = Client::connect(server.address, "user-1", "a+b");
    assert_eq!(json::number(&get(&server, "user-1", &format!("{ROUTE}a+b")).json(), "count"), 1, "a plus is a plus");
    client.ws.close();
}

#[test]
fn names_that_no_session_has() {
    let server = server();
    let long = "s".repeat(256);
    for name in ["%40user-1", "@user-1", "a%00b", "a%0ab", "%7f", &long] {
        let problem = get(&server, "user-1", &format!("{ROUTE}{name}")).expect_problem(400);
        assert!(json::is(&problem, "code", "bad_message"), "{name}: {}", problem.encode());
        assert!(json::is(&problem, "field", "sessionId"), "{name}: {}", problem.encode());
    }
    for name in ["", "%", "%4", "%zz", "%ff%fe"] {
        let response = get(&server, "user-1", &format!("{ROUTE}{name}"));
        assert!(matches!(response.status, 400 | 404), "{name:?}: {}", response.status);
        response.expect_problem(response.status);
    }
}

#[test]
fn without_a_token_nobody_is_listed() {
    let server = server();
    let client = Client::connect(server.address, "user-1", "s1");
    let response = http::request(server.address, "GET", &format!("{ROUTE}s1"), &[], b"");
    let problem = response.expect_problem(401);
    assert!(json::is(&problem, "code", "authentication_required"), "{}", problem.encode());
    assert!(!problem.encode().contains(client.connection_id()));
}
