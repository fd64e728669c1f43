//! Rows 10 and 42: who may connect. Forbidden sessions and limits per user are tested with the rules that set them.

use super::common::client::Client;
use super::common::http::{self, Response};
use super::common::json;
use super::common::row;
use super::common::server::TestServer;
use super::common::status;
use super::common::tcp::Tcp;
use super::common::wait::{self, PATIENCE};
use super::common::websocket::{EXAMPLE_KEY, WebSocket, upgrade_request};
use super::common::{ECHO_PATH, WS_PATH};
use super::{MESSAGE, USER};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// The answer to an upgrade with more headers.
#[track_caller]
fn upgrade(server: &TestServer, path: &str, headers: &[(&str, &str)]) -> Response {
    http::exchange(server.address, upgrade_request(server.address, path, headers))
}

const FOREIGN_ORIGINS: [&str; 10] = [
    "https://evil.example",
    "http://evil.example:3001",
    "null",
    "file://",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example",
    "http://evil.example/localhost",
    "http://localhost@evil.example",
    "http://192.168.0.1",
    "nonsense",
];

#[test]
fn row_10_foreign_origin() {
    row::run(&[], |server| {
        for origin in FOREIGN_ORIGINS {
            for path in [WS_PATH, ECHO_PATH] {
                upgrade(server, path, &[("Origin", origin)]).expect_problem(403);
            }
        }
        let same = format!("http://{}", server.address);
        for origin in [same.as_str(), "http://localhost:5173", "http://127.0.0.1:9999", "http://[::1]:8080"] {
            assert_eq!(upgrade(server, WS_PATH, &[("Origin", origin)]).status, 101, "{origin}");
        }
        assert_eq!(upgrade(server, WS_PATH, &[]).status, 101, "no origin");
    });
}

#[test]
fn row_10_allowed_origins() {
    row::run(&[("HASHI_ALLOWED_ORIGINS", "https://app.example,https://other.example:8443")], |server| {
        for origin in ["https://app.example", "https://other.example:8443"] {
            assert_eq!(upgrade(server, WS_PATH, &[("Origin", origin)]).status, 101, "{origin}");
        }
        for origin in [
            "http://app.example",
            "https://app.example:444",
            "https://app.example.evil.example",
            "https://x.app.example",
            "https://other.example",
        ] {
            upgrade(server, WS_PATH, &[("Origin", origin)]).expect_problem(403);
        }
    });
}

#[test]
fn row_10_no_or_bad_token_on_rest() {
    let long = format!("Bearer {}", "u".repeat(255));
    let credentials = [
        ("none", None),
        ("an empty value", Some("")),
        ("no token", Some("Bearer")),
        ("an empty token", Some("Bearer ")),
        ("another scheme", Some("Basic dXNlci0xOg==")),
        ("a token of 255 bytes", Some(long.as_str())),
    ];
    row::run(&[], |server| {
        for (method, target, body) in [
            ("POST", "/ws-api/send", MESSAGE),
            ("POST", "/ws-api/broadcast", MESSAGE),
            ("POST", "/ws-api/notify/operation", MESSAGE),
            ("GET", "/ws-api/connections/session/s1", ""),
        ] {
            for (case, value) in credentials {
                eprintln!("{method} {target} with {case}");
                let mut headers = vec![("Content-Type", "application/json")];
                headers.extend(value.map(|value| ("Authorization", value)));
                let response = http::request(server.address, method, target, &headers, body.as_bytes());
                response.expect_problem(401);
                let challenge = response.header("www-authenticate").unwrap_or_default();
                assert!(challenge.starts_with("Bearer"), "WWW-Authenticate is {challenge:?}");
            }
        }
    });
}

/// One place for the control client and one more.
const TWO_CONNECTIONS: [(&str, &str); 1] = [("WEBSOCKET_MAX_CONNECTIONS", "2")];

#[test]
fn row_10_full_server() {
    row::run(&TWO_CONNECTIONS, |server| {
        let mut last = Client::connect(server.address, "user-1", "s1");
        let refusals: HashSet<u32> = (0..30).map(|_| expect_full(server)).collect();
        assert!(refusals.len() > 1, "Retry-After is jittered, not always {refusals:?}");
        for target in ["/ws-api/status", "/healthz", "/readyz", "/metrics"] {
            assert_eq!(http::request(server.address, "GET", target, &[], b"").status, 200, "{target} on a full server");
        }
        let sent = http::request(server.address, "POST", "/ws-api/send", &USER, MESSAGE.as_bytes());
        assert_eq!(sent.status, 202, "REST on a full server");
        last.round_trip("still-here");
        last.ws.close();
        let free = || match upgrade_on(server) {
            Ok(ws) => Ok(ws),
            Err(refused) => Err(refused.status),
        };
        let ws = wait::until(PATIENCE, free).expect("the place is free again");
        ws.close();
    });
}

/// Expects that an upgrade is refused because the server is full, and returns its `Retry-After`.
#[track_caller]
fn expect_full(server: &TestServer) -> u32 {
    let refused = upgrade(server, WS_PATH, &[]);
    let problem = refused.expect_problem(503);
    assert_eq!(json::string(&problem, "code"), "overloaded");
    assert!(json::boolean(&problem, "temporary"));
    let retry_after = refused.header("retry-after").and_then(|value| value.parse().ok());
    retry_after.expect("Retry-After is a number of seconds")
}

fn upgrade_on(server: &TestServer) -> Result<WebSocket, Response> {
    WebSocket::try_upgrade(Tcp::connect(server.address), server.address, WS_PATH, &[]).map(|(ws, _)| ws)
}

#[test]
fn row_10_full_server_drops_who_does_not_authenticate() {
    row::run(&TWO_CONNECTIONS, |server| {
        let opened = Instant::now();
        let mut silent = WebSocket::open(server.address, WS_PATH);
        expect_full(server);
        let ws = wait::until(PATIENCE, || upgrade_on(server).map_err(|refused| refused.status));
        let waited = opened.elapsed();
        let mut client = Client::over(ws.expect("the silent connection gives way"), "user-1", "s1");
        assert!(waited >= Duration::from_millis(950), "it gave way after {waited:?} already");
        assert!(waited < Duration::from_secs(3), "it gave way only after {waited:?}");
        silent.tcp.expect_end(PATIENCE);
        status::expect(server.address, "connections.websocket", 2);
        // The next one may not take the place of a client that has authenticated, however old it is.
        let deadline = Instant::now() + Duration::from_millis(1_500);
        while Instant::now() < deadline {
            expect_full(server);
            client.round_trip("still-here");
        }
        client.ws.close();
    });
}

const FOREIGN_HOSTS: [&str; 8] = [
    "evil.example",
    "evil.example:PORT",
    "localhost.evil.example:PORT",
    "127.0.0.1.evil.example:PORT",
    "192.168.0.1:PORT",
    "8.8.8.8",
    "[2001:db8::1]:PORT",
    "xlocalhost:PORT",
];

/// A request with a `Host` of its own.
fn with_host(server: &TestServer, host: &str, line: &str, more: &str) -> Response {
    let host = host.replace("PORT", &server.address.port().to_string());
    http::exchange(server.address, format!("{line} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n"))
}

#[test]
fn row_42_dns_rebinding() {
    let upgrade = format!(
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {EXAMPLE_KEY}\r\nSec-WebSocket-Version: 13\r\n"
    );
    let token = "Authorization: Bearer user-1\r\n";
    row::run(&[], |server| {
        for host in FOREIGN_HOSTS {
            eprintln!("{host}");
            with_host(server, host, "GET /ws", &upgrade).expect_problem(403);
            with_host(server, host, "GET /ws-api/status", "").expect_problem(403);
            with_host(server, host, "GET /ws-api/connections/session/s1", token).expect_problem(403);
        }
        for host in ["localhost", "localhost:PORT", "LocalHost:PORT", "127.0.0.1", "127.0.0.1:PORT", "[::1]:PORT"] {
            assert_eq!(with_host(server, host, "GET /ws", &upgrade).status, 101, "{host}");
            assert_eq!(with_host(server, host, "GET /ws-api/status", "").status, 200, "{host}");
        }
        // The authority of an absolute target counts, not the header (RFC 9112, 3.2.2).
        let absolute = with_host(server, "localhost", "GET http://evil.example/ws-api/status", "");
        assert!(matches!(absolute.status, 400 | 403), "an absolute target elsewhere: {}", absolute.status);
    });
}

#[test]
fn row_42_foreign_origin() {
    row::run(&[], |server| {
        for origin in FOREIGN_ORIGINS {
            upgrade(server, WS_PATH, &[("Origin", origin)]).expect_problem(403);
            let headers = [&USER[..], &[("Origin", origin)]].concat();
            let sent = http::request(server.address, "POST", "/ws-api/send", &headers, MESSAGE.as_bytes());
            sent.expect_problem(403);
            assert_eq!(sent.header("access-control-allow-origin"), None, "{origin}");
        }
    });
}
