//! CORS: which pages may ask, and what they are told.

use super::common::http::{self, Response};
use super::common::policy::Strict;
use super::common::server::TestServer;
use super::{BROADCAST, NOTIFY, SEND, server};

const MESSAGE: &str = r#"{"id":"m1","type":"custom","sessionId":"s1","payload":{}}"#;

const ROUTES: [&str; 8] =
    [SEND, BROADCAST, NOTIFY, "/ws-api/status", "/ws-api/connections/session/s1", "/healthz", "/readyz", "/metrics"];

/// What a browser sends before a request with a token and JSON.
#[track_caller]
fn preflight(server: &TestServer, target: &str, origin: &str) -> Response {
    let headers = [
        ("Origin", origin),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization,content-type,hashi-connection"),
    ];
    http::request(server.address, "OPTIONS", target, &headers, b"")
}

/// The words of a list, in lower case.
fn list(response: &Response, header: &str) -> Vec<String> {
    let value = response.header(header).unwrap_or_default();
    value.split(',').map(|word| word.trim().to_ascii_lowercase()).collect()
}

#[track_caller]
fn assert_allowed(response: &Response, origin: &str) {
    let shown = format!("{origin}: {:?}", response.headers);
    assert_eq!(response.all("access-control-allow-origin"), [origin], "{shown}");
    assert!(list(response, "access-control-expose-headers").contains(&"retry-after".to_owned()), "{shown}");
    assert!(list(response, "vary").contains(&"origin".to_owned()), "{shown}");
}

#[test]
fn a_preflight_is_answered_for_every_route() {
    let server = server();
    let origin = "http://localhost:5173";
    for target in ROUTES {
        let response = preflight(&server, target, origin);
        assert_eq!((response.status, response.body.len()), (204, 0), "{target}");
        assert_allowed(&response, origin);
        let methods = list(&response, "access-control-allow-methods");
        for method in ["get", "post"] {
            assert!(methods.contains(&method.to_owned()), "{target}: {methods:?}");
        }
        let headers = list(&response, "access-control-allow-headers");
        let expected = ["authorization", "content-type", "idempotency-key", "last-event-id", "hashi-connection"];
        assert_eq!(headers, expected, "{target}");
    }
}

#[track_caller]
fn send(server: &TestServer, origin: &str) -> Response {
    let headers = [("Authorization", "Bearer user-1"), ("Content-Type", "application/json"), ("Origin", origin)];
    http::request(server.address, "POST", SEND, &headers, MESSAGE.as_bytes())
}

#[test]
fn allowed_origins() {
    let server = TestServer::spawn_process(&[("HASHI_ALLOWED_ORIGINS", "https://app.example,https://b.example:8443")]);
    let same = format!("http://{}", server.address);
    for origin in [
        "https://app.example",
        "https://b.example:8443",
        "http://localhost:5173",
        "https://localhost",
        "http://127.0.0.1:80",
        "http://[::1]:8080",
        &same,
    ] {
        let response = send(&server, origin);
        assert_eq!(response.status, 202, "{origin}");
        assert_allowed(&response, origin);
        assert_eq!(preflight(&server, SEND, origin).status, 204, "{origin}");
    }
}

#[test]
fn foreign_origins() {
    let server = TestServer::spawn_process(&[("HASHI_ALLOWED_ORIGINS", "https://app.example")]);
    for origin in [
        "https://evil.example",
        "http://app.example",
        "https://app.example:444",
        "https://app.example.evil.example",
        "https://localhost.evil.example",
        "null",
        "*",
    ] {
        for response in [send(&server, origin), preflight(&server, SEND, origin)] {
            response.expect_problem(403);
            assert!(response.header("access-control-allow-origin").is_none(), "{origin}: {:?}", response.headers);
        }
        for target in ROUTES.into_iter().filter(|target| ![SEND, BROADCAST, NOTIFY].contains(target)) {
            let headers = [("Authorization", "Bearer user-1"), ("Origin", origin)];
            http::request(server.address, "GET", target, &headers, b"").expect_problem(403);
        }
    }
}

/// Loopback origins are development mode's; with a policy of one's own they are as foreign as any.
#[test]
fn loopback_origins_outside_development() {
    let server = Strict::default().serve();
    for origin in ["http://localhost:5173", "http://127.0.0.1:9999", "http://[::1]:8080"] {
        send(&server, origin).expect_problem(403);
        preflight(&server, SEND, origin).expect_problem(403);
    }
    let same = format!("http://{}", server.address);
    let response = send(&server, &same);
    assert_eq!(response.status, 202);
    assert_allowed(&response, &same);
}

type Headers<'a> = &'a [(&'a str, &'a str)];

/// A page can read why its request failed.
#[test]
fn errors_can_be_read_too() {
    let server = server();
    let origin = "http://localhost:5173";
    let json = ("Content-Type", "application/json");
    let token = ("Authorization", "Bearer user-1");
    let from = ("Origin", origin);
    let large = format!(r#"{{"id":"{}"}}"#, "x".repeat(70_000));
    let cases: [(&str, &str, Headers, &str, u16); 7] = [
        ("POST", SEND, &[token, json, from], "{", 400),
        ("POST", SEND, &[json, from], MESSAGE, 401),
        ("POST", SEND, &[token, json, from], r#"{"id":"m","type":"t","to":{"userId":"u"},"payload":1}"#, 403),
        ("GET", "/unknown", &[from], "", 404),
        ("GET", SEND, &[token, from], "", 405),
        ("POST", SEND, &[token, json, from], &large, 413),
        ("POST", SEND, &[token, ("Content-Type", "text/plain"), from], MESSAGE, 415),
    ];
    for (method, target, headers, body, status) in cases {
        let response = http::request(server.address, method, target, headers, body.as_bytes());
        response.expect_problem(status);
        assert_allowed(&response, origin);
    }
}

#[test]
fn who_is_no_page_is_told_nothing() {
    let server = server();
    let headers = [("Authorization", "Bearer user-1"), ("Content-Type", "application/json")];
    let response = http::request(server.address, "POST", SEND, &headers, MESSAGE.as_bytes());
    assert_eq!(response.status, 202);
    assert!(response.header("access-control-allow-origin").is_none(), "{:?}", response.headers);
}
