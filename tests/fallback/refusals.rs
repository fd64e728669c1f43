//! What is refused, and how.

use super::common::http;
use super::common::json;
use super::common::policy::Strict;
use super::common::tcp::Tcp;
use super::common::wait::PATIENCE;
use super::{get, server};
use simd_json::prelude::*;

#[test]
fn a_token_is_required_and_checked() {
    let server = Strict::default().serve();
    for route in ["events", "poll"] {
        let target = format!("/ws-api/{route}?sessionId=private");
        let none = http::request(server.address, "GET", &target, &[], b"");
        assert!(json::is(&none.expect_problem(401), "code", "authentication_required"));
        assert!(none.header("www-authenticate").is_some());
        get(&server, "bad", &target).expect_problem(401);
        let problem = get(&server, "user-1", &target).expect_problem(403);
        assert!(json::is(&problem, "code", "session_forbidden"));
    }
}

#[test]
fn a_member_of_the_query_that_is_wrong_is_named() {
    let server = server();
    let cases = [
        ("sessionId=", "sessionId"),
        ("sessionId=%40user-2", "sessionId"),
        ("sessionId=a&sessionId=b", "sessionId"),
        ("sessionId=%zz", "sessionId"),
        ("sessionId=%ff", "sessionId"),
        ("connectionId=7", "connectionId"),
        ("cursor=s1", "cursor"),
        ("cursor=s1:e:1:2", "cursor"),
        ("features=a&features=b", "features"),
    ];
    for route in ["events", "poll"] {
        for (query, field) in cases {
            let problem = get(&server, "user-1", &format!("/ws-api/{route}?{query}")).expect_problem(400);
            assert!(json::is(&problem, "field", field), "{query}: {}", problem.encode());
        }
        let headers = [("Authorization", "Bearer user-1"), ("Last-Event-ID", "what")];
        let answer = http::request(server.address, "GET", &format!("/ws-api/{route}"), &headers, b"");
        assert!(json::is(&answer.expect_problem(400), "field", "Last-Event-ID"));
    }
}

#[test]
fn methods_are_those_of_the_route() {
    let server = server();
    let token = [("Authorization", "Bearer user-1")];
    for (route, method, allow) in [
        ("events", "POST", "GET, HEAD, OPTIONS"),
        ("poll", "DELETE", "GET, HEAD, OPTIONS"),
        ("ticket", "GET", "POST, OPTIONS"),
    ] {
        let target = format!("/ws-api/{route}");
        let wrong = http::request(server.address, method, &target, &token, b"");
        wrong.expect_problem(405);
        assert_eq!(wrong.header("allow"), Some(allow));
        let options = http::request(server.address, "OPTIONS", &target, &[], b"");
        assert_eq!((options.status, options.header("allow")), (204, Some(allow)));
    }
}

/// HEAD tells what GET would say, and neither waits nor opens a stream.
#[test]
fn head_is_answered_at_once() {
    let server = server();
    for (target, kind) in [("/ws-api/events", "text/event-stream"), ("/ws-api/poll", "application/json")] {
        let mut tcp = Tcp::connect(server.address);
        let headers = [("Authorization", "Bearer user-1"), ("Connection", "close")];
        tcp.send(http::encode(server.address, "HEAD", target, &headers, b""));
        tcp.expect_end(PATIENCE);
        let text = String::from_utf8_lossy(tcp.pending()).into_owned();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\n"), "{text}");
        assert!(text.contains(&format!("Content-Type: {kind}\r\n")), "{text}");
    }
}

#[test]
fn pages_of_allowed_origins_may_read_and_others_may_not() {
    let server = server();
    let own = [("Authorization", "Bearer user-1"), ("Origin", "http://localhost:5173")];
    for target in ["/ws-api/poll", "/ws-api/poll?sessionId="] {
        let answer = http::request(server.address, "GET", target, &own, b"");
        assert_eq!(answer.header("access-control-allow-origin"), Some("http://localhost:5173"), "{target}");
    }
    let mut tcp = Tcp::connect(server.address);
    tcp.send(http::encode(server.address, "GET", "/ws-api/events", &own, b""));
    let stream = super::stream::Stream::begin(tcp);
    assert!(stream.head.contains("Access-Control-Allow-Origin: http://localhost:5173\r\n"), "{}", stream.head);
    let foreign = [("Authorization", "Bearer user-1"), ("Origin", "http://example.com")];
    http::request(server.address, "GET", "/ws-api/events", &foreign, b"").expect_problem(403);
    let preflight = http::request(server.address, "OPTIONS", "/ws-api/events", &own[1..], b"");
    assert!(preflight.header("access-control-allow-headers").is_some_and(|names| names.contains("Last-Event-ID")));
}
