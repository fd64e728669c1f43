//! Row 10: too many connections of a user or an address, a server out of memory budget, a server that drains.

use super::common::WS_PATH;
use super::common::client::Client;
use super::common::frame::{Length, head};
use super::common::http::{self, Response};
use super::common::json;
use super::common::policy::Strict;
use super::common::row;
use super::common::server::TestServer;
use super::common::status;
use super::common::tcp::Tcp;
use super::common::wait::{self, PATIENCE};
use super::common::websocket::{Event, WebSocket, upgrade_request};
use hashi::Config;
use simd_json::json;
use simd_json::prelude::*;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};

/// Checks a refusal that says when to come back, and returns that in seconds.
#[track_caller]
fn expect_refusal(refused: &Response, status: u16, code: &str) -> u32 {
    let problem = refused.expect_problem(status);
    assert!(json::is(&problem, "code", code), "{}", problem.encode());
    assert!(json::boolean(&problem, "temporary"), "{}", problem.encode());
    assert!(json::number(&problem, "retryAfterMs") > 0, "{}", problem.encode());
    let retry_after = refused.header("retry-after").and_then(|value| value.parse().ok());
    retry_after.expect("Retry-After is a number of seconds")
}

#[track_caller]
fn upgrade(server: &TestServer) -> Response {
    http::exchange(server.address, upgrade_request(server.address, WS_PATH, &[]))
}

/// Waits until `attempt` is let in.
#[track_caller]
fn expect_free<T>(attempt: impl FnMut() -> Result<T, String>) -> T {
    wait::until(PATIENCE, attempt).unwrap_or_else(|refused| panic!("the place is free again, but: {refused}"))
}

#[test]
fn row_10_too_many_connections_of_a_user() {
    let start = || Strict { per_user: 2, ..Strict::default() }.serve();
    row::run_alone_on(start, |server| {
        let first = Client::connect(server.address, "ann", "s1");
        let mut second = Client::connect(server.address, "ann", "s2");
        let mut third = Client::anonymous(server.address);
        let answer = third.authenticate(json!({"token": "ann", "sessionId": "s1"}));
        let shown = answer.encode();
        assert!(!json::boolean(&answer, "payload.success"), "{shown}");
        assert!(json::is(&answer, "payload.code", "rate_limited"), "{shown}");
        assert!(json::boolean(&answer, "payload.temporary"), "{shown}");
        assert_eq!(third.ws.expect_close(4029), "rate_limited");
        Client::connect(server.address, "another user", "s1").ws.close();
        // A live connection refreshes its token without being counted again.
        let again = second.authenticate(json!({"token": "ann"}));
        assert!(json::boolean(&again, "payload.success"), "{}", again.encode());
        first.ws.close();
        let free = expect_free(|| {
            let mut client = Client::anonymous(server.address);
            let answer = client.authenticate(json!({"token": "ann"}));
            if json::boolean(&answer, "payload.success") { Ok(client) } else { Err(answer.encode()) }
        });
        free.ws.close();
        second.ws.close();
    });
}

#[test]
fn row_10_too_many_connections_of_an_address() {
    // The control client and two more.
    let start = || Strict { per_address: 3, ..Strict::default() }.serve();
    row::run_alone_on(start, |server| {
        let first = Client::connect(server.address, "ann", "s1");
        let second = WebSocket::open(server.address, WS_PATH);
        let waits: HashSet<u32> = (0..30).map(|_| expect_refusal(&upgrade(server), 429, "rate_limited")).collect();
        assert!(waits.len() > 1, "Retry-After is jittered, not always {waits:?}");
        let elsewhere = Tcp::connect_from(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), server.address);
        let elsewhere = WebSocket::upgrade(elsewhere, server.address, WS_PATH, &[]);
        Client::over(elsewhere, "ben", "s1").ws.close();
        let health = http::request(server.address, "GET", "/healthz", &[], b"");
        assert_eq!(health.status, 200, "plain HTTP is not counted");
        first.ws.close();
        let free = expect_free(|| {
            let upgraded =
                WebSocket::try_upgrade(Tcp::connect(server.address), server.address, WS_PATH, &[]).map(|(ws, _)| ws);
            upgraded.map_err(|refused| format!("{refused:?}"))
        });
        free.close();
        second.close();
    });
}

/// The whole budget, and what one connection holds of it: so little that nobody is closed for it.
const MEMORY: [(&str, &str); 1] = [("HASHI_MEMORY_BYTES", "65536")];
const HELD_BYTES: usize = 7_000;

/// Connections that together hold the whole budget with messages that are not complete.
#[track_caller]
fn fill_memory(server: &TestServer) -> Vec<WebSocket> {
    let mut holders: Vec<_> = (0..12).map(|_| WebSocket::open(server.address, WS_PATH)).collect();
    for ws in &mut holders {
        let start = head(0x81, Length::Sixteen(8_000), Some([0; 4]));
        ws.send_bytes([start, vec![b'x'; HELD_BYTES]].concat());
    }
    let held = || match json::number(&status::read(server.address), "queues.inputBytes") {
        bytes if bytes >= 65_536 => Ok(()),
        bytes => Err(bytes),
    };
    wait::until(PATIENCE, held).unwrap_or_else(|bytes| panic!("only {bytes} bytes of input are held"));
    holders
}

#[test]
fn row_10_out_of_memory_budget() {
    row::run(&MEMORY, |server| {
        let mut client = Client::connect(server.address, "ann", "s1");
        let holders = fill_memory(server);
        let waits: HashSet<u32> = (0..30).map(|_| expect_refusal(&upgrade(server), 503, "overloaded")).collect();
        assert!(waits.len() > 1, "Retry-After is jittered, not always {waits:?}");
        expect_refusal(&large_body(server), 503, "overloaded");
        for target in ["/healthz", "/readyz", "/metrics", "/ws-api/status"] {
            assert_eq!(http::request(server.address, "GET", target, &[], b"").status, 200, "{target}");
        }
        client.round_trip("small messages still pass");
        drop(holders);
        let free =
            expect_free(|| match WebSocket::try_upgrade(Tcp::connect(server.address), server.address, WS_PATH, &[]) {
                Ok((ws, _)) => Ok(ws),
                Err(refused) => Err(format!("{refused:?}")),
            });
        free.close();
        client.ws.close();
    });
}

/// The answer to a body of which a large part has come and the rest does not.
#[track_caller]
fn large_body(server: &TestServer) -> Response {
    let address = server.address;
    let head = format!(
        "POST /ws-api/send HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer ann\r\n\
         Content-Type: application/json\r\nContent-Length: 40000\r\n\r\n"
    );
    http::exchange(address, [head.into_bytes(), vec![b' '; 30_000]].concat())
}

#[test]
fn row_10_draining() {
    let config = Config { port: 0, drain_ms: 1_500, ..Config::default() };
    let server = TestServer::start(config);
    let mut client = Client::connect(server.address, "ann", "s1");
    let mut silent = WebSocket::open(server.address, WS_PATH);
    server.handle().shutdown();
    let drain = client.receive_type("hashi:drain");
    assert!(json::number(&drain, "payload.reconnectInMs") <= 1_500, "{}", drain.encode());
    // The client does not answer the close yet, so the server is still there.
    expect_refusal(&upgrade(&server), 503, "draining");
    expect_refusal(&http::request(server.address, "GET", "/readyz", &[], b""), 503, "draining");
    assert_eq!(http::request(server.address, "GET", "/healthz", &[], b"").status, 200, "it lives");
    let status = status::read(server.address);
    assert!(json::is(&status, "status", "draining"), "{}", status.encode());
    assert!(!json::boolean(&status, "accepting"), "{}", status.encode());
    let headers = [("Authorization", "Bearer ann"), ("Content-Type", "application/json")];
    let body = br#"{"id":"m1","type":"custom","sessionId":"s2","payload":{}}"#;
    let sent = http::request(server.address, "POST", "/ws-api/send", &headers, body);
    assert_eq!(sent.status, 202, "plain HTTP is served to the end: {}", String::from_utf8_lossy(&sent.body));
    assert_eq!(silent.expect_close(4000), "draining");
    silent.send(&super::common::frame::Frame::close(4000, ""));
    expect_goodbye(&mut client);
}

/// Close 4000 comes in its own time.
#[track_caller]
fn expect_goodbye(client: &mut Client) {
    match client.ws.next() {
        Event::Closed { code: Some(4000), reason } => assert_eq!(reason, "draining"),
        event => panic!("expected close 4000, not {event:?}"),
    }
    client.ws.send(&super::common::frame::Frame::close(4000, ""));
    client.ws.tcp.expect_end(PATIENCE);
}
