//! The graceful end as clients and load balancers see it.

use super::common::client::Client;
use super::common::http::{self, Response};
use super::common::json;
use super::common::process::Process;
use super::common::tcp::Tcp;
use super::common::wait::PATIENCE;
use super::common::websocket::{Event, WebSocket};
use super::common::{WS_PATH, status};
use libc::{SIGINT, SIGTERM};
use simd_json::json;
use simd_json::prelude::*;
use std::time::{Duration, Instant};

const DRAIN_MS: u64 = 3_000;
const DRAIN: &[(&str, &str)] = &[("HASHI_DRAIN_MS", "3000")];

/// What the machine may take longer than the window.
const LATE: Duration = Duration::from_millis(1_000);

/// So many that their last one goes late in the window: each picks its moment by chance.
const CLIENTS: usize = 20;

#[test]
fn sigterm_ends_gracefully() {
    ends_gracefully(SIGTERM);
}

#[test]
fn sigint_ends_gracefully() {
    ends_gracefully(SIGINT);
}

fn ends_gracefully(signal: libc::c_int) {
    let mut server = Process::start(DRAIN);
    let mut clients: Vec<Client> =
        (0..CLIENTS).map(|number| Client::connect(server.address, &format!("user-{number}"), "s1")).collect();
    expect_open(&server);
    let start = Instant::now();
    server.signal(signal);
    let announced: Vec<u64> = clients.iter_mut().map(expect_announcement).collect();
    expect_draining(&server);
    let spread = announced.iter().max().zip(announced.iter().min()).map(|(max, min)| max - min);
    assert!(spread > Some(DRAIN_MS / 10), "clients come back over the window, not at once: {announced:?}");
    for (client, in_ms) in clients.iter_mut().zip(announced) {
        expect_close(client, start + Duration::from_millis(in_ms));
    }
    drop(clients);
    let status = server.expect_exit(Duration::from_millis(DRAIN_MS) + LATE);
    assert_eq!(status.code(), Some(0), "{:?}", server.log());
    assert!(start.elapsed() <= Duration::from_millis(DRAIN_MS) + LATE, "it took {:?}", start.elapsed());
}

#[track_caller]
fn get(server: &Process, target: &str) -> Response {
    http::request(server.address, "GET", target, &[], b"")
}

#[track_caller]
fn expect_open(server: &Process) {
    assert_eq!((get(server, "/readyz").status, get(server, "/healthz").status), (200, 200));
    assert!(json::boolean(&status::read(server.address), "accepting"));
}

/// New work goes elsewhere, while plain HTTP is served.
#[track_caller]
fn expect_draining(server: &Process) {
    assert_eq!(get(server, "/readyz").status, 503);
    assert_eq!(get(server, "/healthz").status, 200);
    let now = status::read(server.address);
    assert!(json::is(&now, "status", "draining") && !json::boolean(&now, "accepting"), "{}", now.encode());
    let upgrade = WebSocket::try_upgrade(Tcp::connect(server.address), server.address, WS_PATH, &[]);
    let refused = upgrade.err().expect("no new connection while draining");
    let problem = refused.expect_problem(503);
    assert!(json::is(&problem, "code", "draining"), "{}", problem.encode());
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    let headers = [("Authorization", "Bearer user-1"), ("Content-Type", "application/json")];
    let body = br#"{"sessionId":"elsewhere","type":"custom","payload":{}}"#;
    assert_eq!(http::request(server.address, "POST", "/ws-api/broadcast", &headers, body).status, 202);
}

/// The delay that the client is told.
#[track_caller]
fn expect_announcement(client: &mut Client) -> u64 {
    let drain = client.receive();
    assert!(json::is(&drain, "type", "hashi:drain"), "{}", drain.encode());
    assert!(json::is(&drain, "priority", "high"), "{}", drain.encode());
    let in_ms = json::number(&drain, "payload.reconnectInMs");
    assert!(in_ms <= DRAIN_MS, "{}", drain.encode());
    in_ms
}

/// Closed with 4000, not much before the moment that was announced.
#[track_caller]
fn expect_close(client: &mut Client, announced: Instant) {
    const EARLY: Duration = Duration::from_millis(100);
    match client.ws.next_within(Duration::from_millis(DRAIN_MS) + LATE) {
        Event::Closed { code: Some(4000), .. } => {}
        event => panic!("expected close 4000, not {event:?}"),
    }
    assert!(Instant::now() + EARLY >= announced, "closed {:?} early", announced - Instant::now());
    // Ok because the server may be gone already.
    let _ = client.ws.tcp.try_send(super::common::frame::Frame::close(4000, "").encode());
}

/// More than are told in one tick.
#[test]
fn everybody_of_many_is_told() {
    const MANY: usize = 300;
    let mut server = Process::start(&[("HASHI_DRAIN_MS", "1000"), ("WEBSOCKET_MAX_CONNECTIONS", "300")]);
    let mut clients: Vec<Client> =
        (0..MANY).map(|number| Client::connect(server.address, "user-1", &format!("s{number}"))).collect();
    server.signal(SIGTERM);
    for client in &mut clients {
        expect_announcement(client);
    }
    for client in &mut clients {
        assert!(matches!(client.ws.next(), Event::Closed { code: Some(4000), .. }));
    }
    drop(clients);
    assert_eq!(server.expect_exit(PATIENCE).code(), Some(0));
}

/// A request that waits for confirmations is told what is known, and not cut off. So is one that comes later.
#[test]
fn who_waits_for_confirmations_is_answered() {
    let mut server = Process::start(DRAIN);
    let payload = json!({"token": "receiver", "sessionId": "s1", "features": ["ack"]});
    let mut receiver = Client::connect_with(server.address, payload);
    let mut tcp = Tcp::connect(server.address);
    let headers = [("Authorization", "Bearer sender"), ("Content-Type", "application/json")];
    let body = br#"{"sessionId":"s1","type":"custom","payload":{}}"#;
    let target = "/ws-api/broadcast?wait=delivered&timeoutMs=25000";
    tcp.send(http::encode(server.address, "POST", target, &headers, body));
    receiver.receive();
    server.signal(SIGTERM);
    let later = http::request(server.address, "POST", target, &headers, body);
    for answer in [http::read_response(&mut tcp), later] {
        assert!(answer.status == 202 || answer.json()["matched"] == 0, "{answer:?}");
        assert_eq!(answer.json()["confirmed"], 0);
    }
    receiver.ws.tcp.abort();
    assert_eq!(server.expect_exit(Duration::from_millis(DRAIN_MS) + LATE).code(), Some(0));
}

/// Until its own moment comes, a client can still work.
#[test]
fn messages_still_flow_while_draining() {
    let mut server = Process::start(DRAIN);
    let mut clients: Vec<Client> = (0..CLIENTS)
        .map(|number| Client::connect(server.address, &format!("user-{number}"), &format!("s{number}")))
        .collect();
    server.signal(SIGTERM);
    let announced: Vec<u64> = clients.iter_mut().map(expect_announcement).collect();
    let last = (0..CLIENTS).max_by_key(|number| announced[*number]).expect("clients");
    clients[last].round_trip("late");
    expect_close(&mut clients[last], Instant::now());
    drop(clients);
    assert_eq!(server.expect_exit(Duration::from_millis(DRAIN_MS) + LATE).code(), Some(0));
}
