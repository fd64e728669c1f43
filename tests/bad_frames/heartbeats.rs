//! Row 23: clients that no longer answer.

use super::common::frame::PING;
use super::common::row;
use super::common::server::{Env, TestServer};
use super::common::websocket::{Event, WebSocket};
use super::{Door, common::frame::Frame};
use std::thread;
use std::time::{Duration, Instant};

const SHORT: Env = &[("WEBSOCKET_HEARTBEAT_INTERVAL", "300"), ("WEBSOCKET_HEARTBEAT_TIMEOUT", "300")];

/// A client is missed at the earliest when the timeout has passed, at the latest soon after interval and timeout.
const EARLIEST: Duration = Duration::from_millis(300);
const LATEST: Duration = Duration::from_millis(2_000);

/// Long enough for several heartbeats to be missed.
const LONG: Duration = Duration::from_millis(2_500);
const PAUSE: Duration = Duration::from_millis(100);

const DOORS: [Door; 2] = [Door::Authenticated, Door::Echo];

#[test]
fn row_23_missed_heartbeats() {
    row::run(SHORT, |server| {
        thread::scope(|scope| {
            for door in DOORS {
                scope.spawn(move || no_answer_is_closed(door, server));
                scope.spawn(move || pongs_keep_a_connection(door, server));
                scope.spawn(move || data_keeps_a_connection(door, server));
            }
        });
    });
}

/// No pong and no data: 4008.
fn no_answer_is_closed(door: Door, server: &TestServer) {
    let mut ws = door.open(server);
    let start = Instant::now();
    let ping = ws.read_frame();
    assert_eq!(ping.opcode, PING, "{door:?}: the server asks before it gives up");
    match ws.next_by(start + LATEST, false) {
        Event::Closed { code: Some(4008), .. } => {}
        event => panic!("{door:?}: expected close 4008, not {event:?}"),
    }
    assert!(start.elapsed() >= EARLIEST, "{door:?}: closed after {:?} already", start.elapsed());
}

fn pongs_keep_a_connection(door: Door, server: &TestServer) {
    let mut ws = door.open(server);
    assert_eq!(ws.next_within(LONG), Event::Nothing, "{door:?}");
    ws.close();
}

/// Data without any pong is a sign of life too.
fn data_keeps_a_connection(door: Door, server: &TestServer) {
    let mut ws = door.open(server);
    let end = Instant::now() + LONG;
    while Instant::now() < end {
        ws.send(&Frame::text(r#"{"id":"h1","type":"heartbeat"}"#));
        expect_answer(&mut ws, door);
        assert_eq!(ws.next_by(Instant::now() + PAUSE, false), Event::Nothing, "{door:?}");
    }
    ws.close();
}

#[track_caller]
fn expect_answer(ws: &mut WebSocket, door: Door) {
    let event = ws.next_by(Instant::now() + LATEST, false);
    assert!(matches!(event, Event::Text(_)), "{door:?}: expected an answer, not {event:?}");
}
