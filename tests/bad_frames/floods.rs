//! Row 22: too many pings.

use super::common::frame::{Frame, PING, PONG};
use super::common::row;
use super::common::server::TestServer;
use super::common::wait::PATIENCE;
use super::common::websocket::{Event, WebSocket};
use super::{DOORS, Door};
use std::time::{Duration, Instant};

/// What a connection may send at once, and what it may send on end.
const BURST: usize = 20;
const PINGS_PER_SECOND: f64 = 10.0;

fn payload(number: usize) -> Vec<u8> {
    format!("ping number {number}").into_bytes()
}

fn pings(count: usize) -> Vec<u8> {
    (0..count).flat_map(|number| Frame::new(PING, payload(number)).encode()).collect()
}

#[test]
fn row_22_ping_flood() {
    row::run(&[], |server| {
        for door in DOORS {
            for count in [100, 10_000] {
                flood(door, server, count);
            }
        }
    });
}

/// Every ping before the limit has its pong, in order; then the connection is closed.
fn flood(door: Door, server: &TestServer, count: usize) {
    let mut ws = door.open(server);
    let start = Instant::now();
    // Ok because the server may hang up before the last ping.
    let _ = ws.tcp.try_send(pings(count));
    let mut answered = 0;
    let frame = loop {
        let frame = ws.read_frame();
        if frame.opcode != PONG {
            break frame;
        }
        assert_eq!(frame.payload, payload(answered), "{door:?}: pong {answered}");
        answered += 1;
    };
    assert_eq!(frame.close_code().0, Some(1008), "{door:?}");
    let refilled = (start.elapsed().as_secs_f64() * PINGS_PER_SECOND).ceil() as usize;
    assert!((BURST..=BURST + 1 + refilled).contains(&answered), "{door:?}: {answered} pings were answered");
    ws.tcp.expect_end(PATIENCE);
}

#[test]
fn row_22_pings_within_the_limit() {
    row::run(&[], |server| {
        for door in DOORS {
            let mut ws = door.open(server);
            ws.send_bytes(pings(BURST));
            for number in 0..BURST {
                ws.expect_pong(&payload(number));
            }
            for number in 0..5 {
                // Twice the time in which the server allows another ping: that is the rate, not a wait for an answer.
                expect_silence(&mut ws, Duration::from_millis(200));
                ws.ping(&payload(number));
                ws.expect_pong(&payload(number));
            }
            ws.close();
        }
    });
}

#[track_caller]
fn expect_silence(ws: &mut WebSocket, length: Duration) {
    assert_eq!(ws.next_within(length), Event::Nothing);
}
