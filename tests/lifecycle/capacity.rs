//! `WEBSOCKET_MAX_CONNECTIONS`: what is refused, what still works, and what the log says.

use super::common::client::Client;
use super::common::http::{self, Response};
use super::common::server::{Env, TestServer};
use super::common::status;
use super::common::tcp::Tcp;
use super::common::wait::{self, PATIENCE};
use super::common::websocket::WebSocket;
use super::common::{ECHO_PATH, WS_PATH};
use std::time::{Duration, Instant};

const MAX: usize = 10;
const FULL_AT_TEN: Env = &[("WEBSOCKET_MAX_CONNECTIONS", "10")];
const NAME: &str = "WEBSOCKET_MAX_CONNECTIONS";

/// Sockets that stay free for short HTTP exchanges on a full server.
const HTTP_SOCKETS: usize = 64;

fn fill(server: &TestServer, count: usize) -> Vec<Client> {
    (0..count).map(|number| Client::connect(server.address, &format!("user-{number}"), "s1")).collect()
}

fn try_open(server: &TestServer, path: &str) -> Result<WebSocket, Response> {
    WebSocket::try_upgrade(Tcp::connect(server.address), server.address, path, &[]).map(|(ws, _)| ws)
}

#[track_caller]
fn expect_refusal(response: &Response) {
    response.expect_problem(503);
    let seconds: u32 = response.header("retry-after").and_then(|text| text.parse().ok()).expect("Retry-After");
    assert!((1..=60).contains(&seconds), "Retry-After: {seconds}");
}

fn warnings(server: &TestServer) -> Vec<String> {
    server.log().into_iter().filter(|line| line.contains("WARN") && line.contains(NAME)).collect()
}

#[test]
fn one_too_many_is_refused_until_another_leaves() {
    let server = TestServer::spawn_process(FULL_AT_TEN);
    let mut clients = fill(&server, MAX);
    for path in [WS_PATH, ECHO_PATH, WS_PATH] {
        expect_refusal(&try_open(&server, path).err().expect("the server is full"));
    }
    for client in &mut clients {
        client.round_trip("undisturbed");
    }
    clients.pop().expect("a client").ws.close();
    status::expect(server.address, "connections.websocket", MAX as u64 - 1);
    Client::connect(server.address, "next", "s1").round_trip("welcome");
}

#[test]
fn short_http_still_works_on_a_full_server() {
    let server = TestServer::spawn_process(FULL_AT_TEN);
    let mut clients = fill(&server, MAX);
    let request = http::encode(server.address, "GET", "/healthz", &[], b"");
    // All of them stay open: that they are answered shows that there is a row for each.
    let mut sockets: Vec<Tcp> = (0..HTTP_SOCKETS).map(|_| Tcp::connect(server.address)).collect();
    for _ in 0..2 {
        for socket in &mut sockets {
            socket.send(&request);
            assert_eq!(http::read_response(socket).status, 200);
        }
    }
    let one_more = http::exchange(server.address, &request);
    expect_refusal(&one_more);
    drop(sockets);
    status_when_free(&server);
    clients.iter_mut().for_each(|client| client.round_trip("undisturbed"));
}

/// The sockets are given back, and with them the status.
#[track_caller]
fn status_when_free(server: &TestServer) {
    let request = http::encode(server.address, "GET", "/ws-api/status", &[], b"");
    let look = || match http::exchange(server.address, &request).status {
        200 => Ok(()),
        status => Err(status),
    };
    wait::until(PATIENCE, look).expect("the sockets for HTTP are free again");
}

#[test]
fn the_log_warns_at_eighty_percent_and_at_the_first_refusal() {
    let server = TestServer::spawn_process(FULL_AT_TEN);
    let mut clients = fill(&server, 7);
    assert_eq!(warnings(&server), [""; 0], "seven of ten are no reason to warn");
    clients.push(Client::connect(server.address, "user-8", "s1"));
    let nearly = server.wait_for_log(NAME);
    assert!(nearly.contains("WARN") && nearly.contains("10"), "{nearly}");
    clients.extend(fill(&server, 2));
    assert_eq!(warnings(&server).len(), 1, "no second warning before a refusal");
    for _ in 0..20 {
        expect_refusal(&try_open(&server, WS_PATH).err().expect("the server is full"));
    }
    wait::until(PATIENCE, || if warnings(&server).len() > 1 { Ok(()) } else { Err(()) }).expect("a second warning");
    assert_eq!(warnings(&server).len(), 2, "one for all refusals: {:?}", warnings(&server));
}

/// On a full server the oldest connection that has not authenticated after a second gives way, and only such a one.
#[test]
fn who_does_not_authenticate_gives_way() {
    let server = TestServer::spawn_process(FULL_AT_TEN);
    let mut clients = fill(&server, MAX - 2);
    let start = Instant::now();
    let mut oldest = WebSocket::open(server.address, WS_PATH);
    let mut younger = WebSocket::open(server.address, WS_PATH);
    let opened = wait::until(PATIENCE, || try_open(&server, WS_PATH));
    let waited = start.elapsed();
    let newest = opened.expect("room is made");
    assert!(waited >= Duration::from_secs(1), "one gave way after {waited:?}");
    oldest.tcp.expect_end(PATIENCE);
    younger.ping(b"still there");
    younger.expect_pong(b"still there");
    Client::over(newest, "late", "s1").round_trip("in");
    clients.iter_mut().for_each(|client| client.round_trip("undisturbed"));
}
