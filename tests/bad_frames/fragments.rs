//! Row 17: messages in too many pieces, or that never end.

use super::common::frame::{CONTINUATION, Frame};
use super::common::row;
use super::common::server::TestServer;
use super::common::websocket::{Event, WebSocket};
use super::{Door, expect_failure};
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

/// The default of `HASHI_MAX_FRAGMENTS`.
const MAX_FRAGMENTS: usize = 1_024;
const MAX_EMPTY_IN_A_ROW: usize = 64;

/// A first fragment and more of them, as bytes, `count` in all; the message is not finished.
fn fragments(count: usize, payload: &str) -> Vec<u8> {
    let first = Frame::text(payload).not_final().encode();
    let more = Frame::new(CONTINUATION, payload).not_final().encode();
    [first, more.repeat(count - 1)].concat()
}

#[test]
fn row_17_too_many_fragments() {
    row::run(&[], |server| {
        expect_failure(server, "one fragment too many", &fragments(MAX_FRAGMENTS + 1, "x"), 1008);
        expect_failure(server, "many too many", &fragments(8 * MAX_FRAGMENTS, "x"), 1008);
        let mut ws = Door::Echo.open(server);
        ws.send_bytes(fragments(MAX_FRAGMENTS - 1, "x"));
        ws.send(&Frame::new(CONTINUATION, "x"));
        ws.expect_text(&"x".repeat(MAX_FRAGMENTS));
        ws.close();
    });
}

#[test]
fn row_17_empty_fragments() {
    row::run(&[], |server| {
        expect_failure(server, "64 empty fragments", &fragments(MAX_EMPTY_IN_A_ROW, ""), 1008);
        expect_failure(server, "many empty fragments", &fragments(500, ""), 1008);
        let behind = [Frame::text("x").not_final().encode(), fragments(100, "").split_off(6)].concat();
        expect_failure(server, "empty fragments behind another", &behind, 1008);
        fewer_empty_fragments_pass(server);
    });
}

/// Another fragment ends the row, so that many can pass in all.
fn fewer_empty_fragments_pass(server: &TestServer) {
    let mut ws = Door::Echo.open(server);
    ws.send(&Frame::text("x").not_final());
    for _ in 0..3 {
        for _ in 0..MAX_EMPTY_IN_A_ROW - 1 {
            ws.send(&Frame::new(CONTINUATION, "").not_final());
        }
        ws.send(&Frame::new(CONTINUATION, "x").not_final());
    }
    ws.send(&Frame::new(CONTINUATION, ""));
    ws.expect_text("xxxx");
    ws.close();
}

/// When a message that is not finished is given up: 30 s, and what timers and a busy machine add.
const MESSAGE_DEADLINE: Range<Duration> = Duration::from_secs(29)..Duration::from_secs(33);
const WAIT: Duration = Duration::from_secs(36);
const DRIP: Duration = Duration::from_millis(500);

#[test]
fn row_17_message_that_is_never_finished() {
    row::run_beside_others(&[], |server| {
        thread::scope(|scope| {
            for door in [Door::Authenticated, Door::Echo] {
                scope.spawn(move || rest_that_never_comes(door.open(server)));
                scope.spawn(move || fragments_that_drip(door.open(server)));
            }
        });
    });
}

fn rest_that_never_comes(mut ws: WebSocket) {
    let start = Instant::now();
    ws.send(&Frame::text("{").not_final());
    ws.expect_close_within(1008, WAIT);
    assert_in_time(start);
}

/// Progress does not extend the deadline.
fn fragments_that_drip(mut ws: WebSocket) {
    let start = Instant::now();
    ws.send(&Frame::text("{").not_final());
    while start.elapsed() < WAIT {
        match ws.next_within(DRIP) {
            Event::Nothing => ws.send(&Frame::new(CONTINUATION, " ").not_final()),
            Event::Closed { code: Some(1008), .. } => return assert_in_time(start),
            event => panic!("expected close 1008, not {event:?}"),
        }
    }
    panic!("the message is still open after {WAIT:?}");
}

#[track_caller]
fn assert_in_time(start: Instant) {
    let elapsed = start.elapsed();
    assert!(MESSAGE_DEADLINE.contains(&elapsed), "closed after {elapsed:?}");
}
