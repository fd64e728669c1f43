//! The limits of a queue by number and by bytes, and that nothing of it stays.

use super::common::json;
use super::common::server::{Env, TestServer};
use super::common::status;
use super::received::{Received, numbered};
use super::stalled::{SESSION, Stalled, counter, entries, message, sized};
use super::{FORGETFUL, ROOMY, TEN, start};
use simd_json::OwnedValue;
use simd_json::prelude::*;

/// Nothing waits for anybody, and no message is stored but what history keeps.
#[track_caller]
fn expect_empty_queues(server: &TestServer) {
    for path in ["queues.entries", "queues.blocks", "history.rowsBehind"] {
        status::expect(server.address, path, 0);
    }
    let status = status::read(server.address);
    assert_eq!(json::number(&status, "queues.messages"), json::number(&status, "history.messages"));
}

fn flood(stalled: &mut Stalled, count: usize, bytes: usize) -> Vec<String> {
    let ids = numbered("low", 1..=count);
    stalled.publish(&ids.iter().map(|id| sized(id, "low", bytes)).collect::<Vec<_>>());
    ids
}

/// What may wait is exactly the limit: with one more, the row falls behind.
#[test]
fn the_number_of_messages_is_limited() {
    for (limit, text) in [(10, "10"), (37, "37")] {
        let server = start(&[("WEBSOCKET_MESSAGE_QUEUE_SIZE", text), ("HASHI_SLOW_MS", "60000")]);
        let mut stalled = Stalled::new(&server, "low");
        for number in stalled.queued + 1..=limit {
            stalled.publish(&[message(&format!("fits-{number}"), "low")]);
            assert_eq!((entries(&server), counter(&server, "catchUps")), (number, 0));
        }
        stalled.publish(&[message("over", "low")]);
        assert_eq!((entries(&server), counter(&server, "catchUps")), (0, 1));
        let received = Received::all_until(&mut stalled.slow, "over");
        assert_eq!(received.expect_declared_holes(SESSION), 0, "history has all of it");
        assert_eq!(received.published().count(), limit + stalled.taken() + 1);
    }
}

const BYTES: usize = 64 << 10;
const BY_BYTES: Env = &[
    ("HASHI_QUEUE_BYTES", "65536"),
    ("WEBSOCKET_MESSAGE_QUEUE_SIZE", "100000"),
    ("HASHI_MAX_MESSAGE_BYTES", "16384"),
    ("HASHI_SLOW_MS", "60000"),
];

/// As many messages wait as fit, and no fewer: with the next one, the row falls behind.
#[test]
fn the_bytes_are_limited() {
    let server = start(BY_BYTES);
    let mut stalled = Stalled::new(&server, "low");
    let ids = numbered("low", 1..=40);
    let over = ids.iter().position(|id| {
        stalled.publish(&[sized(id, "low", 3_000)]);
        counter(&server, "catchUps") > 0
    });
    let over = over.expect("the row falls behind");
    assert_eq!(entries(&server), 0);
    let received = Received::all_until(&mut stalled.slow, &ids[over]);
    assert_eq!(received.expect_declared_holes(SESSION), 0, "history has all of it");
    let bytes: Vec<usize> = received.published().skip(stalled.taken()).map(frame_bytes).collect();
    let (sum, last) = (bytes.iter().sum::<usize>(), bytes[bytes.len() - 1]);
    assert!(sum > BYTES - 64 && sum - last <= BYTES, "{sum} bytes of {BYTES}, the last message has {last}");
}

/// While the row is behind, its queue takes nothing, however long the flood is.
#[test]
fn the_queue_of_a_row_that_is_behind_does_not_grow() {
    let server = start(FORGETFUL);
    let mut stalled = Stalled::new(&server, "low");
    for round in 1..=20 {
        flood(&mut stalled, 50, 2_048);
        let status = status::read(server.address);
        assert_eq!((json::number(&status, "queues.entries"), json::number(&status, "history.messages")), (0, 10));
        // What history keeps, and the message of which a part is written.
        assert!(json::number(&status, "queues.messages") <= 11, "in round {round}: {}", status.encode());
    }
    let received = Received::all_until(&mut stalled.slow, "low-50");
    assert_eq!(received.expect_declared_holes(SESSION), stalled.queued + 20 * 50 - 10);
}

fn frame_bytes(message: &OwnedValue) -> usize {
    message.encode().len() + 4
}

#[test]
fn nothing_stays_when_the_client_reads_again() {
    let server = start(ROOMY);
    let mut stalled = Stalled::new(&server, "low");
    let ids = flood(&mut stalled, 300, 2_048);
    assert!(entries(&server) >= 300);
    let received = Received::all_until(&mut stalled.slow, &ids[299]);
    assert_eq!(received.ids_of("low"), ids);
    expect_empty_queues(&server);
}

#[test]
fn nothing_stays_after_an_overflow() {
    let server = start(TEN);
    let mut stalled = Stalled::new(&server, "low");
    let ids = flood(&mut stalled, 300, 2_048);
    Received::all_until(&mut stalled.slow, &ids[299]);
    expect_empty_queues(&server);
}

/// History ends with the time of its messages.
#[test]
fn nothing_is_stored_when_the_time_of_the_messages_is_over() {
    let server = start(&[("WEBSOCKET_MESSAGE_EXPIRY_TIME", "200"), ("WEBSOCKET_MESSAGE_QUEUE_SIZE", "10")]);
    let mut stalled = Stalled::new(&server, "low");
    flood(&mut stalled, 100, 2_048);
    status::expect(server.address, "history.messages", 0);
    stalled.publish(&[message("end", "low")]);
    let received = Received::all_until(&mut stalled.slow, "end");
    assert_eq!(received.expect_declared_holes(SESSION), stalled.queued + 100, "age is a loss like any other");
    for path in ["history.messages", "queues.messages", "queues.bytes"] {
        status::expect(server.address, path, 0);
    }
}

/// A client that leaves in order, one that resets, and one whose socket just ends: their queues go with them.
#[test]
fn nothing_stays_when_the_client_leaves() {
    for leave in [in_order, by_reset, by_end] {
        let server = start(ROOMY);
        let mut stalled = Stalled::new(&server, "low");
        flood(&mut stalled, 300, 2_048);
        let Stalled { slow, publisher, .. } = stalled;
        leave(slow);
        expect_empty_queues(&server);
        publisher.ws.close();
        status::expect_empty(server.address);
    }
}

/// The close frame is answered before all that is queued, or behind it; then the connection ends.
fn in_order(slow: super::common::client::Client) {
    slow.ws.close();
}

fn by_reset(slow: super::common::client::Client) {
    slow.ws.tcp.abort();
}

fn by_end(slow: super::common::client::Client) {
    drop(slow);
}
