//! Overflow: the lowest priority goes, oldest first, and each hole is declared before the message behind it.

use super::common::client::Client;
use super::received::{Received, gap_range, numbered};
use super::stalled::{SESSION, Stalled, counter, entries, message, publish_all, sized, with};
use super::{TEN, start};
use simd_json::OwnedValue;
use std::ops::RangeInclusive;

const LIMIT: usize = 10;

fn batch(prefix: &str, priority: &str, numbers: RangeInclusive<usize>) -> Vec<OwnedValue> {
    numbered(prefix, numbers).iter().map(|id| message(id, priority)).collect()
}

#[test]
fn the_lowest_priority_goes_first_and_its_oldest() {
    let server = start(TEN);
    let mut stalled = Stalled::new(&server, "low");
    let batches = [batch("n", "normal", 1..=3), batch("l", "low", 1..=12), batch("h", "high", 1..=2)].concat();
    stalled.publish(&batches);
    // 2 high and 3 normal leave room for 5 low ones.
    assert_eq!((entries(&server), counter(&server, "dropped")), (LIMIT, stalled.queued + 7));

    let received = Received::all_until(&mut stalled.slow, "l-12");
    let story = received.story();
    assert_eq!(story[..3], ["gap", "h-1", "h-2"], "the loss is told before what leaves after it");
    assert_eq!(received.ids_of("filler"), numbered("filler", 1..=stalled.taken()));
    assert_eq!(received.ids_of("n-"), numbered("n", 1..=3));
    assert_eq!(received.ids_of("l-"), numbered("l", 8..=12));
    let [gap] = received.gaps()[..] else { panic!("one gap, not {:?}", received.gaps()) };
    let oldest_filler = stalled.taken() as u64 + 1;
    let seventh_low = (stalled.sent + 3 + 7) as u64;
    assert_eq!(gap_range(gap, SESSION), Some(oldest_filler..=seventh_low));
}

/// When no low message is left, normal ones go; `high` stays.
#[test]
fn normal_goes_when_there_is_no_low_left() {
    let server = start(TEN);
    let mut stalled = Stalled::new(&server, "low");
    stalled.publish(&[batch("n", "normal", 1..=9), batch("l", "low", 1..=4), batch("h", "high", 1..=4)].concat());
    assert_eq!((entries(&server), counter(&server, "dropped")), (LIMIT, stalled.queued + 4 + 3));
    let received = Received::all_until(&mut stalled.slow, "n-9");
    let kept = [vec!["gap".to_owned()], numbered("h", 1..=4), numbered("n", 4..=9)].concat();
    assert_eq!(received.story(), kept);
}

/// A loss in one session says nothing about another one: each has its own declaration.
#[test]
fn each_session_has_its_own_gap() {
    let server = start(TEN);
    let mut stalled = Stalled::new_in(&server, "low", &["second-session"]);
    let other = |message| with(message, "sessionId", "second-session");
    let mixed: Vec<OwnedValue> =
        batch("a", "low", 1..=15).into_iter().zip(batch("b", "low", 1..=15)).flat_map(|(a, b)| [a, other(b)]).collect();
    stalled.publish(&mixed);
    let received = Received::all_until(&mut stalled.slow, "b-15");
    assert_eq!(received.ids_of("a-"), numbered("a", 11..=15));
    assert_eq!(received.ids_of("b-"), numbered("b", 11..=15));
    assert_eq!(received.gaps().len(), 2);
    assert_eq!(received.expect_declared_holes(SESSION), stalled.queued + 10);
    assert_eq!(received.expect_declared_holes("second-session"), 10);
    assert_eq!(counter(&server, "dropped"), stalled.queued + 20);
}

/// A client that stops and goes on again and again while a flood runs: every hole is declared, and the numbers agree.
#[test]
fn every_hole_of_a_long_flood_is_declared() {
    const ROUNDS: usize = 12;
    const IN_A_ROUND: usize = 120;
    const FEW: usize = 5;
    let server = start(TEN);
    let mut slow = Client::connect_narrow(server.address, 4_096, "slow", SESSION);
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    let mut all = Received(Vec::new());
    for round in 1..=ROUNDS {
        let ids = numbered(&format!("round-{round}"), 1..=IN_A_ROUND);
        let flood: Vec<_> = ids.iter().map(|id| sized(id, "low", 4_096)).collect();
        publish_all(&mut publisher, &flood);
        // Every other round, the client reads only a little before the flood goes on.
        if round % 2 == 1 {
            all.0.extend((0..FEW).map(|_| slow.receive()));
            continue;
        }
        // The newest message always stays.
        all.0.extend(Received::until(&mut slow, &ids[IN_A_ROUND - 1]).0);
    }
    slow.expect_nothing();
    let missing = all.expect_declared_holes(SESSION);
    assert!(missing > 0, "nothing was lost: the flood was too small");
    assert_eq!(all.published().count() + missing, ROUNDS * IN_A_ROUND);
    assert_eq!(counter(&server, "dropped"), missing);
    assert!(all.gaps().len() >= ROUNDS / 2, "only {} gaps: the flood was too small", all.gaps().len());
}
