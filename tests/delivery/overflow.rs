//! Overflow: a row over its limits falls behind and history feeds it. What history loses before, and nothing else, is
//! declared, before anything that leaves after the loss.

use super::common::client::Client;
use super::common::json;
use super::common::server::Env;
use super::common::status;
use super::received::{Received, gap_range, numbered};
use super::stalled::{SESSION, Stalled, counter, entries, gaps_told, message, publish_all, rows_behind, sized, with};
use super::{FORGETFUL, TEN, start};
use simd_json::OwnedValue;
use simd_json::json;
use std::ops::RangeInclusive;

const LIMIT: usize = 10;

fn batch(prefix: &str, priority: &str, numbers: RangeInclusive<usize>) -> Vec<OwnedValue> {
    numbered(prefix, numbers).iter().map(|id| message(id, priority)).collect()
}

#[test]
fn a_row_over_its_limits_falls_behind_and_loses_nothing() {
    let server = start(TEN);
    let mut stalled = Stalled::new(&server, "low");
    stalled.publish(&[batch("n", "normal", 1..=3), batch("l", "low", 1..=12), batch("h", "high", 1..=2)].concat());
    assert_eq!((entries(&server), rows_behind(&server)), (2, 1), "only high stays in the queue");
    assert_eq!((counter(&server, "catchUps"), counter(&server, "dropped")), (1, 0));

    let received = Received::all_until(&mut stalled.slow, "l-12");
    assert_eq!(received.story()[..2], ["h-1", "h-2"]);
    assert_eq!(received.ids_of("filler"), numbered("filler", 1..=stalled.sent));
    assert_eq!(received.ids_of("n-"), numbered("n", 1..=3));
    assert_eq!(received.ids_of("l-"), numbered("l", 1..=12));
    assert_eq!(received.gaps().len(), 0);
    let from_history = stalled.queued + 3 + 12;
    assert_eq!((rows_behind(&server), counter(&server, "replayed")), (0, from_history));
}

/// Once it is at the head, a row is live again: the next messages do not come from history.
#[test]
fn a_row_that_has_caught_up_is_live_again() {
    let server = start(TEN);
    let mut stalled = Stalled::new(&server, "low");
    stalled.publish(&batch("l", "low", 1..=12));
    Received::all_until(&mut stalled.slow, "l-12");
    let replayed = counter(&server, "replayed");
    stalled.publish(&batch("live", "low", 1..=5));
    assert_eq!(Received::all_until(&mut stalled.slow, "live-5").ids(), numbered("live", 1..=5));
    assert_eq!(counter(&server, "replayed"), replayed);
}

/// Messages that cannot be fed from history, and those that must not wait for it.
#[test]
fn high_and_messages_without_a_sequence_go_past_what_is_fed() {
    let server = start(TEN);
    let mut stalled = Stalled::new(&server, "low");
    stalled.publish(&batch("l", "low", 1..=12));
    assert_eq!((entries(&server), rows_behind(&server)), (0, 1));
    let to = json!({"connectionId": stalled.slow.connection_id()});
    stalled.publish(&[with(message("direct", "normal"), "to", to), message("h", "high"), message("l-13", "low")]);
    assert_eq!(entries(&server), 2);
    let received = Received::all_until(&mut stalled.slow, "l-13");
    assert_eq!(received.story()[..2], ["h", "direct"]);
    assert_eq!(received.ids_of("l-"), numbered("l", 1..=13));
}

/// One loss in history, one statement: what was queued when the row fell behind and what came later, as one range. `high`
/// was in the row's queue and is not lost, although history has lost it, too.
#[test]
fn what_history_evicts_before_the_row_is_fed_is_one_gap() {
    let server = start(FORGETFUL);
    let mut stalled = Stalled::new(&server, "low");
    stalled.publish(&batch("h", "high", 1..=2));
    stalled.publish(&batch("n", "normal", 1..=9));
    stalled.publish(&batch("l", "low", 1..=24));
    let received = Received::all_until(&mut stalled.slow, "l-24");
    let kept = numbered("l", 15..=24);
    assert_eq!(received.story(), [vec!["gap".to_owned()], numbered("h", 1..=2), kept].concat());
    assert_eq!(received.ids_of("filler"), numbered("filler", 1..=stalled.taken()));
    let [gap] = received.gaps()[..] else { panic!("one gap, not {:?}", received.gaps()) };
    let oldest_filler = stalled.taken() as u64 + 1;
    let newest_lost = (stalled.sent + 2 + 9 + 14) as u64;
    assert_eq!(gap_range(gap, SESSION), Some(oldest_filler..=newest_lost));
    assert_eq!((gaps_told(&server, "history_evicted"), counter(&server, "dropped")), (1, 0));
}

/// The limit of a history in bytes.
#[test]
fn what_history_evicts_for_its_bytes_is_declared_too() {
    const SMALL: Env = &[
        ("WEBSOCKET_MESSAGE_QUEUE_SIZE", "10"),
        ("HASHI_HISTORY_BYTES", "65536"),
        ("HASHI_QUEUE_BYTES", "65536"),
        ("HASHI_MAX_MESSAGE_BYTES", "16384"),
        ("HASHI_SLOW_MS", "60000"),
    ];
    let server = start(SMALL);
    let mut stalled = Stalled::new(&server, "low");
    let ids = numbered("l", 1..=60);
    stalled.publish(&ids.iter().map(|id| sized(id, "low", 3_000)).collect::<Vec<_>>());
    let received = Received::all_until(&mut stalled.slow, "l-60");
    let kept = received.ids_of("l-");
    assert_eq!(kept, ids[60 - kept.len()..], "the newest stay");
    assert!((15..=21).contains(&kept.len()), "{} messages of 3000 bytes in 64 KiB", kept.len());
    assert_eq!(received.expect_declared_holes(SESSION), stalled.queued + 60 - kept.len());
    assert_eq!(received.gaps().len(), 1);
}

/// A loss in one session says nothing about another one: each has its own declaration.
#[test]
fn each_session_has_its_own_gap() {
    let server = start(FORGETFUL);
    let mut stalled = Stalled::new_in(&server, "low", &["second-session"]);
    let other = |message| with(message, "sessionId", "second-session");
    let mixed: Vec<OwnedValue> =
        batch("a", "low", 1..=15).into_iter().zip(batch("b", "low", 1..=15)).flat_map(|(a, b)| [a, other(b)]).collect();
    stalled.publish(&mixed);
    let received = Received::until_each(&mut stalled.slow, &["a-15", "b-15"]);
    stalled.slow.expect_nothing();
    assert_eq!(received.ids_of("a-"), numbered("a", 6..=15));
    assert_eq!(received.ids_of("b-"), numbered("b", 6..=15));
    assert_eq!(received.gaps().len(), 2);
    assert_eq!(received.expect_declared_holes(SESSION), stalled.queued + 5);
    assert_eq!(received.expect_declared_holes("second-session"), 5);
}

/// A client that stops and goes on again and again while a flood runs: every hole is declared, and the numbers agree.
#[test]
fn every_hole_of_a_long_flood_is_declared() {
    const ROUNDS: usize = 12;
    const IN_A_ROUND: usize = 120;
    const FEW: usize = 5;
    let server = start(FORGETFUL);
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
        // The newest ones always stay.
        let mut received = Received::until(&mut slow, &ids[IN_A_ROUND - 1]);
        assert!(received.ids().ends_with(&ids[IN_A_ROUND - LIMIT..].iter().map(String::as_str).collect::<Vec<_>>()));
        all.0.append(&mut received.0);
    }
    slow.expect_nothing();
    let missing = all.expect_declared_holes(SESSION);
    assert!(missing > 0, "nothing was lost: the flood was too small");
    assert_eq!(all.published().count() + missing, ROUNDS * IN_A_ROUND);
    assert_eq!(gaps_told(&server, "history_evicted"), all.gaps().len());
    assert!(all.gaps().len() >= ROUNDS / 2, "only {} gaps: the flood was too small", all.gaps().len());
    assert_eq!(counter(&server, "dropped"), 0);
}

/// A session that its last member leaves while it was behind in it: nothing more of it comes, and nothing stays.
#[test]
fn leaving_ends_the_feeding() {
    let server = start(TEN);
    let mut stalled = Stalled::new_in(&server, "low", &["second-session"]);
    let other = |message| with(message, "sessionId", "second-session");
    stalled.publish(&batch("b", "low", 1..=12).into_iter().map(other).collect::<Vec<_>>());
    assert_eq!(rows_behind(&server), 1);
    let answer = stalled.slow.leave("second-session");
    assert_eq!(json::number(&answer, "payload.seq"), 12);
    stalled.publish(&[message("end", "low")]);
    let received = Received::all_until(&mut stalled.slow, "end");
    assert_eq!((received.ids_of("b-").len(), received.gaps().len()), (0, 0));
    status::expect(server.address, "history.rowsBehind", 0);
}
