//! Ten thousand connections that come and go leave no memory behind.

use super::common::client::envelope;
use super::common::frame::Frame;
use super::common::json;
use super::common::proc;
use super::common::server::{Env, TestServer};
use super::common::status;
use super::common::tcp::Tcp;
use super::common::websocket::{Event, WebSocket, upgrade_request};
use super::common::{WS_PATH, http};
use simd_json::json;
use simd_json::prelude::*;

const WAVE: usize = 250;

/// Before the first measurement: pools and the allocator have then what they keep.
const WARM_UP_WAVES: usize = 8;

/// 10,000 connections.
const WAVES: usize = 40;

/// What the allocator may keep more than after the warm-up: 50 bytes for each connection that came and went.
const TOLERANCE_BYTES: u64 = 512 << 10;

/// Sessions without members go soon.
const SHORT: Env = &[("WEBSOCKET_MAX_CONNECTIONS", "300"), ("WEBSOCKET_MESSAGE_EXPIRY_TIME", "200")];

#[test]
fn memory_returns_after_ten_thousand_connections() {
    let server = TestServer::spawn_process(SHORT);
    let pid = server.loop_id();
    for wave in 0..WARM_UP_WAVES {
        run_wave(&server, wave);
    }
    expect_empty_tables(&server);
    let before = proc::resident_bytes(pid);
    for wave in WARM_UP_WAVES..WARM_UP_WAVES + WAVES {
        run_wave(&server, wave);
    }
    expect_empty_tables(&server);
    let after = proc::resident_bytes(pid);
    let status = status::read(server.address);
    let total = ((WARM_UP_WAVES + WAVES) * WAVE) as u64;
    assert_eq!(json::number(&status, "counters.authenticated"), total, "all of them were real");
    let grown = after.saturating_sub(before);
    assert!(grown <= TOLERANCE_BYTES, "{grown} bytes more than the {before} after the warm-up");
}

/// All are open at the same time. Each has a user, a session and a message of its own.
#[track_caller]
fn run_wave(server: &TestServer, wave: usize) {
    let mut open: Vec<WebSocket> = (0..WAVE).map(|number| begin(server, wave, number)).collect();
    for ws in &mut open {
        assert_eq!(http::read_response(&mut ws.tcp).status, 101);
        expect_type(ws, "authentication");
        expect_type(ws, "custom");
    }
    for (number, mut ws) in open.into_iter().enumerate() {
        match number % 3 {
            0 => ws.tcp.abort(),
            1 => drop(ws),
            _ => ws.send(&Frame::close(1000, "")),
        }
    }
    // So that the next wave finds room, and that no more is alive at a time in one run than in another.
    status::expect(server.address, "connections.websocket", 0);
    status::expect(server.address, "sessions", 0);
}

/// Sends the handshake, the authentication and a message to the own session at once.
#[track_caller]
fn begin(server: &TestServer, wave: usize, number: usize) -> WebSocket {
    let (user, session) = (format!("user-{wave}-{number}"), format!("session-{wave}-{number}"));
    let authentication = envelope("a", "authentication", json!({"token": user, "sessionId": session}));
    let message = envelope("m", "custom", json!({"text": "x".repeat(500)}));
    let frames = [authentication, message].map(|message| Frame::text(message.encode()).encode()).concat();
    let mut tcp = Tcp::connect(server.address);
    tcp.send([upgrade_request(server.address, WS_PATH, &[]), frames].concat());
    WebSocket::over(tcp)
}

#[track_caller]
fn expect_type(ws: &mut WebSocket, kind: &str) {
    match ws.next() {
        Event::Text(text) => assert!(json::is(&json::parse(&text), "type", kind), "{text}"),
        event => panic!("{kind}, not {event:?}"),
    }
}

/// No row, no session, no membership, nothing queued.
#[track_caller]
fn expect_empty_tables(server: &TestServer) {
    status::expect_empty(server.address);
    status::expect(server.address, "memberships", 0);
    status::expect(server.address, "sessions", 0);
    status::expect(server.address, "queues.inputBytes", 0);
}
