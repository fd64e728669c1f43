//! `high` before all that is queued, normal and low by weight, and the order of publication within each.

use super::common::json;
use super::received::{Received, numbered};
use super::stalled::{Stalled, entries, message, publish_all, sized};
use super::{ROOMY, start};
use simd_json::OwnedValue;
use simd_json::prelude::*;

/// What may go before `high`: one batch, what the kernel holds unsent, and room for its own bookkeeping.
const AHEAD_BYTES_MAX: usize = 256 << 10;

const LOW_BYTES: usize = 2_048;
const LOW_MESSAGES: usize = 500;
const HIGH_MESSAGES: usize = 5;

#[test]
fn high_leaves_before_all_that_is_queued() {
    let server = start(ROOMY);
    let mut stalled = Stalled::new(&server, "low");
    let low = numbered("low", 1..=LOW_MESSAGES);
    let high = numbered("high", 1..=HIGH_MESSAGES);
    let (first, second) = low.split_at(LOW_MESSAGES / 2);
    stalled.publish(&low_flood(first));
    stalled.publish(&high.iter().map(|id| message(id, "high")).collect::<Vec<_>>());
    stalled.publish(&low_flood(second));
    // Taken after the high messages were queued: at least so many low ones waited behind them.
    let behind = entries(&server) - HIGH_MESSAGES;
    let ahead_max = stalled.sent + LOW_MESSAGES - behind;
    assert!(ahead_max <= stalled.taken() && behind > LOW_MESSAGES, "nothing leaves to a client that does not read");

    let received = Received::all_until(&mut stalled.slow, &low[LOW_MESSAGES - 1]);
    let ids = received.ids();
    let ahead = ids.iter().position(|id| id.starts_with("high")).expect("high messages");
    assert!(ahead <= ahead_max, "{ahead} messages came before high, only {ahead_max} had left");
    let ahead_bytes: usize = received.0[..ahead].iter().map(|message| message.encode().len()).sum();
    assert!(ahead_bytes <= AHEAD_BYTES_MAX, "{ahead_bytes} bytes came before high");
    assert_eq!(ids[ahead..ahead + HIGH_MESSAGES], high);
    assert_eq!(received.ids_of("low"), low);
    assert_eq!(received.ids_of("filler"), numbered("filler", 1..=stalled.sent));
}

fn low_flood(ids: &[String]) -> Vec<OwnedValue> {
    ids.iter().map(|id| sized(id, "low", LOW_BYTES)).collect()
}

/// Sizes that differ, so that a share by count would be far from one by bytes.
const NORMAL_SIZE: usize = 400;
const LOW_SIZE: usize = 1_600;
const NORMAL_COUNT: usize = 800;
const LOW_COUNT: usize = 60;

const WEIGHT: i64 = 8;

#[test]
fn normal_and_low_share_the_line_by_bytes() {
    let server = start(ROOMY);
    let mut stalled = Stalled::new(&server, "high");
    let normal = numbered("normal", 1..=NORMAL_COUNT);
    let low = numbered("low", 1..=LOW_COUNT);
    // Low ones are there first and must nevertheless wait for their turn.
    stalled.publish(&low.iter().map(|id| sized(id, "low", LOW_SIZE)).collect::<Vec<_>>());
    stalled.publish(&normal.iter().map(|id| sized(id, "normal", NORMAL_SIZE)).collect::<Vec<_>>());
    stalled.publish(&[message("end", "low")]);

    let received = Received::all_until(&mut stalled.slow, "end");
    assert_eq!(received.ids_of("normal"), normal);
    assert_eq!(received.ids_of("low"), low);
    expect_shares(&received);
}

/// While both wait, the bytes of normal are at every moment eight times those of low, but for one message of each.
#[track_caller]
fn expect_shares(received: &Received) {
    let (mut normal_bytes, mut low_bytes, mut normals, mut lows) = (0_i64, 0_i64, 0, 0);
    for message in received.published() {
        let bytes = message.encode().len() as i64;
        match json::string(message, "priority") {
            "normal" => (normal_bytes, normals) = (normal_bytes + bytes, normals + 1),
            "low" => (low_bytes, lows) = (low_bytes + bytes, lows + 1),
            _ => {}
        }
        if normals == NORMAL_COUNT || lows == LOW_COUNT {
            break;
        }
        let off = (normal_bytes - WEIGHT * low_bytes).abs();
        // Frame heads count for the server and not here: a few bytes for each message.
        let tolerance = WEIGHT * (LOW_SIZE as i64 + 300) + 4 * (normals as i64 + WEIGHT * lows as i64);
        assert!(off <= tolerance, "{normal_bytes} bytes of normal and {low_bytes} of low: {off} from 8 to 1");
    }
    assert!(low_bytes >= 20 * LOW_SIZE as i64, "low had no share worth checking: {low_bytes} bytes");
}

/// All three priorities mixed by several publishers: each publisher's messages of one priority keep their order, and
/// none is lost while the queue has room.
#[test]
fn order_within_a_priority_is_kept() {
    const EACH: usize = 200;
    let server = start(ROOMY);
    let mut stalled = Stalled::new(&server, "normal");
    for number in 1..=EACH {
        let batch = ["low", "high", "normal"].map(|priority| sized(&format!("{priority}-{number}"), priority, 300));
        publish_all(&mut stalled.publisher, &batch);
    }
    stalled.publish(&[message("end", "low")]);
    let received = Received::all_until(&mut stalled.slow, "end");
    for priority in ["low", "high", "normal"] {
        assert_eq!(received.ids_of(&format!("{priority}-")), numbered(priority, 1..=EACH));
        expect_growing_positions(&received, priority);
    }
    assert_eq!(received.gaps().len(), 0);
}

#[track_caller]
fn expect_growing_positions(received: &Received, priority: &str) {
    let of_priority = received.published().filter(|message| json::is(message, "priority", priority));
    let seqs: Vec<u64> = of_priority.map(|message| json::number(message, "seq")).collect();
    assert!(seqs.is_sorted_by(|a, b| a < b), "positions of {priority}: {seqs:?}");
}
