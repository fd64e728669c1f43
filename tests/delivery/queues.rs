//! The limits of a queue by number and by bytes, and that nothing of it stays.

use super::common::json;
use super::common::server::{Env, TestServer};
use super::common::status;
use super::received::{Received, numbered};
use super::stalled::{SESSION, Stalled, counter, entries, message, sized};
use super::{ROOMY, TEN, start};
use simd_json::OwnedValue;
use simd_json::prelude::*;

const QUEUE: [&str; 4] = ["queues.messages", "queues.entries", "queues.blocks", "queues.bytes"];

#[track_caller]
fn expect_empty_queues(server: &TestServer) {
    for path in QUEUE {
        status::expect(server.address, path, 0);
    }
}

fn flood(stalled: &mut Stalled, count: usize, bytes: usize) -> Vec<String> {
    let ids = numbered("low", 1..=count);
    stalled.publish(&ids.iter().map(|id| sized(id, "low", bytes)).collect::<Vec<_>>());
    ids
}

/// What may wait is exactly the limit: one less is kept whole, one more loses one.
#[test]
fn the_number_of_messages_is_limited() {
    for (limit, text) in [(10, "10"), (37, "37")] {
        let server = start(&[("WEBSOCKET_MESSAGE_QUEUE_SIZE", text), ("HASHI_SLOW_MS", "60000")]);
        let mut stalled = Stalled::new(&server, "low");
        for number in stalled.queued + 1..=limit {
            stalled.publish(&[message(&format!("fits-{number}"), "low")]);
            assert_eq!((entries(&server), counter(&server, "dropped")), (number, 0));
        }
        stalled.publish(&[message("over", "low")]);
        assert_eq!((entries(&server), counter(&server, "dropped")), (limit, 1));
        let received = Received::all_until(&mut stalled.slow, "over");
        assert_eq!(received.expect_declared_holes(SESSION), 1);
    }
}

const BYTES: usize = 64 << 10;
const BY_BYTES: Env = &[
    ("HASHI_QUEUE_BYTES", "65536"),
    ("WEBSOCKET_MESSAGE_QUEUE_SIZE", "100000"),
    ("HASHI_MAX_MESSAGE_BYTES", "16384"),
    ("HASHI_SLOW_MS", "60000"),
];

/// The newest messages stay, as many as fit and no fewer.
#[test]
fn the_bytes_are_limited() {
    let server = start(BY_BYTES);
    let mut stalled = Stalled::new(&server, "low");
    let ids = flood(&mut stalled, 100, 3_000);
    let received = Received::all_until(&mut stalled.slow, &ids[99]);
    let kept = received.ids_of("low");
    assert_eq!(kept, ids[100 - kept.len()..], "the newest stay");
    let sizes = received.published().filter(|message| json::string(message, "id").starts_with("low"));
    let bytes: Vec<usize> = sizes.map(frame_bytes).collect();
    let (sum, one) = (bytes.iter().sum::<usize>(), bytes[0]);
    assert!(sum <= BYTES && sum + one > BYTES - 64, "{sum} bytes of {BYTES} in messages of {one}");
    assert_eq!(received.expect_declared_holes(SESSION), counter(&server, "dropped"));
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
