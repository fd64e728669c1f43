//! Messages to one connection have no position and are in no history: over the limits the oldest go, `low` before
//! `normal`, and their loss is declared by number.

use super::common::json;
use super::received::{Received, numbered};
use super::stalled::{SESSION, Stalled, counter, gaps_told, message, with};
use super::{FORGETFUL, TEN, start};
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;

fn direct(stalled: &Stalled, priority: &str, ids: &[String]) -> Vec<OwnedValue> {
    let to = json!({"connectionId": stalled.slow.connection_id()});
    ids.iter().map(|id| with(message(id, priority), "to", to.clone())).collect()
}

fn direct_losses(received: &Received) -> Vec<u64> {
    let direct = received.gaps().into_iter().filter(|gap| gap.get("direct").is_some());
    let losses = direct.map(|gap| {
        assert!(json::is(gap, "reason", "queue_overflow") && gap.get("sessionId").is_none(), "{}", gap.encode());
        json::number(gap, "direct")
    });
    losses.collect()
}

#[test]
fn lost_direct_messages_are_declared_by_number() {
    let server = start(TEN);
    let mut stalled = Stalled::new(&server, "low");
    let ids = numbered("direct", 1..=25);
    let messages = direct(&stalled, "low", &ids);
    stalled.publish(&messages);
    assert_eq!(counter(&server, "dropped"), 15, "the messages of the session wait in history and take no room");
    stalled.publish(&[message("end", "low")]);
    let received = Received::all_until(&mut stalled.slow, "end");
    assert_eq!(received.ids_of("direct"), ids[15..]);
    assert_eq!(received.ids_of("filler"), numbered("filler", 1..=stalled.sent));
    assert_eq!(direct_losses(&received), [15]);
    assert_eq!((received.gaps().len(), gaps_told(&server, "history_evicted")), (1, 0));
}

#[test]
fn low_goes_before_normal_and_high_stays() {
    let server = start(TEN);
    let mut stalled = Stalled::new(&server, "low");
    let of = |priority: &str, count| direct(&stalled, priority, &numbered(priority, 1..=count));
    let messages = [of("normal", 6), of("low", 8), of("high", 3)].concat();
    stalled.publish(&messages);
    assert_eq!(counter(&server, "dropped"), 7);
    let more = direct(&stalled, "high", &numbered("more", 1..=3));
    stalled.publish(&more);
    assert_eq!(counter(&server, "dropped"), 10);
    stalled.publish(&[message("end", "low")]);
    let received = Received::all_until(&mut stalled.slow, "end");
    let front = [numbered("high", 1..=3), numbered("more", 1..=3), vec!["gap".to_owned()]].concat();
    assert_eq!(received.story()[..7], front, "before all that is not high");
    assert_eq!(received.ids_of("low"), [""; 0]);
    assert_eq!(received.ids_of("normal"), numbered("normal", 3..=6));
    assert_eq!(direct_losses(&received), [10]);
}

/// Those of a session and direct ones: both losses are told before anything that was behind them.
#[test]
fn both_kinds_of_loss_are_told_together() {
    let server = start(FORGETFUL);
    let mut stalled = Stalled::new(&server, "low");
    let direct = direct(&stalled, "low", &numbered("direct", 1..=15));
    let session = numbered("session", 1..=15).iter().map(|id| message(id, "low")).collect::<Vec<_>>();
    stalled.publish(&direct.into_iter().zip(session).flat_map(|(a, b)| [a, b]).collect::<Vec<_>>());
    let received = Received::all_until(&mut stalled.slow, "session-15");
    assert_eq!(received.story()[..2], ["gap", "gap"]);
    assert_eq!(direct_losses(&received), [5]);
    assert_eq!(received.ids_of("direct"), numbered("direct", 6..=15));
    assert_eq!(received.ids_of("session"), numbered("session", 6..=15));
    // Direct messages take no position.
    assert_eq!(received.expect_declared_holes(SESSION), stalled.queued + 5);
}
