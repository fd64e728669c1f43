//! Messages to one connection have no position: their loss is declared by number.

use super::common::json;
use super::received::{Received, numbered};
use super::stalled::{SESSION, Stalled, counter, message, with};
use super::{TEN, start};
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;

fn direct(stalled: &Stalled, ids: &[String]) -> Vec<OwnedValue> {
    let to = json!({"connectionId": stalled.slow.connection_id()});
    ids.iter().map(|id| with(message(id, "low"), "to", to.clone())).collect()
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
    let messages = direct(&stalled, &ids);
    stalled.publish(&messages);
    let received = Received::all_until(&mut stalled.slow, "direct-25");
    assert_eq!(received.ids_of("direct"), ids[15..]);
    assert_eq!(direct_losses(&received), [15]);
    assert_eq!(received.gaps().len(), 2, "one for the session of the fillers, one for the direct messages");
    assert_eq!(counter(&server, "dropped"), stalled.queued + 15);
}

/// Those of a session and direct ones in one queue: both losses are told before anything that was behind them.
#[test]
fn both_kinds_of_loss_are_told_together() {
    let server = start(TEN);
    let mut stalled = Stalled::new(&server, "low");
    let direct = direct(&stalled, &numbered("direct", 1..=10));
    let session = numbered("session", 1..=10).iter().map(|id| message(id, "low")).collect::<Vec<_>>();
    stalled.publish(&direct.into_iter().zip(session).flat_map(|(a, b)| [a, b]).collect::<Vec<_>>());
    let received = Received::all_until(&mut stalled.slow, "session-10");
    assert_eq!(received.story()[..2], ["gap", "gap"]);
    assert_eq!(direct_losses(&received), [5]);
    assert_eq!(received.ids_of("direct"), numbered("direct", 6..=10));
    assert_eq!(received.ids_of("session"), numbered("session", 6..=10));
    // Direct messages take no position.
    assert_eq!(received.expect_declared_holes(SESSION), stalled.queued + 5);
}
