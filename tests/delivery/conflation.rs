//! Conflation: when a queue is full, what a newer message of the same session, type and key replaces goes first.

use super::common::json;
use super::received::{Received, numbered};
use super::stalled::{SESSION, Stalled, counter, entries, message, with};
use super::{TEN, start};
use simd_json::OwnedValue;
use simd_json::prelude::*;

const LIMIT: usize = 10;

fn keyed(id: &str, key: &str) -> OwnedValue {
    with(message(id, "normal"), "key", key)
}

#[test]
fn the_newest_of_a_key_survives_in_its_own_place() {
    let server = start(TEN);
    let mut stalled = Stalled::new(&server, "normal");
    stalled.publish(&[
        keyed("a1", "a"),
        message("x", "normal"),
        keyed("a2", "a"),
        message("y", "normal"),
        keyed("b1", "b"),
        keyed("a3", "a"),
        keyed("b2", "b"),
        message("z", "normal"),
        keyed("a4", "a"),
        keyed("a5", "a"),
        keyed("a6", "a"),
        keyed("a7", "a"),
    ]);
    assert_eq!(counter(&server, "conflated"), 7);
    assert_eq!(counter(&server, "catchUps"), 0, "conflation made room enough");
    let received = Received::all_until(&mut stalled.slow, "a7");
    assert_eq!(received.story(), ["x", "y", "b2", "z", "a7"]);
    assert_eq!(received.ids_of("filler"), numbered("filler", 1..=stalled.sent), "fillers have no key");
}

/// The same key with another type or in another session is another thing.
#[test]
fn a_key_is_of_one_session_and_type() {
    let server = start(TEN);
    let mut stalled = Stalled::new_in(&server, "normal", &["second-session"]);
    let different = [
        keyed("custom", "k"),
        with(keyed("other-type", "k"), "type", "other"),
        with(keyed("other-session", "k"), "sessionId", "second-session"),
        keyed("other-key", "K"),
    ];
    let same = numbered("old", 1..=8);
    stalled.publish(&[different.to_vec(), same.iter().map(|id| keyed(id, "old")).collect()].concat());
    assert_eq!((counter(&server, "conflated"), counter(&server, "catchUps")), (7, 0));
    let received = Received::all_until(&mut stalled.slow, "old-8");
    assert_eq!(received.story(), ["custom", "other-type", "other-session", "other-key", "old-8"]);
}

#[test]
fn nothing_is_conflated_while_the_queue_has_room() {
    let server = start(TEN);
    let mut stalled = Stalled::new(&server, "normal");
    let ids = numbered("update", 1..=LIMIT - stalled.queued);
    stalled.publish(&ids.iter().map(|id| keyed(id, "same")).collect::<Vec<_>>());
    assert_eq!((entries(&server), counter(&server, "conflated")), (LIMIT, 0));
    let received = Received::all_until(&mut stalled.slow, ids.last().expect("some"));
    assert_eq!(received.ids_of("update"), ids);
}

/// A long run of updates to three things: whatever the batches in which the server took them, the newest of each arrives,
/// in order, and what is missing was counted and is no loss.
#[test]
fn a_long_run_of_updates_keeps_the_newest_of_each() {
    const UPDATES: usize = 3_000;
    let server = start(TEN);
    let mut stalled = Stalled::new(&server, "normal");
    let updates: Vec<_> =
        (1..=UPDATES).map(|number| keyed(&format!("update-{number}"), &format!("key-{}", number % 3))).collect();
    stalled.publish(&updates);
    let received = Received::all_until(&mut stalled.slow, &format!("update-{UPDATES}"));
    let seqs: Vec<u64> = received.published().map(|message| json::number(message, "seq")).collect();
    assert!(seqs.is_sorted_by(|a, b| a < b), "{seqs:?}");
    let kept = received.ids_of("update");
    assert!(kept.len() <= LIMIT, "{kept:?}");
    assert!(kept.ends_with(&["update-2998", "update-2999", "update-3000"]), "{kept:?}");
    assert_eq!(received.ids_of("filler").len(), stalled.sent);
    assert_eq!(counter(&server, "conflated"), UPDATES - kept.len());
    assert_eq!((counter(&server, "catchUps"), received.gaps().len()), (0, 0));
}

/// What a newer message has replaced in history never reaches a row that is behind, and is no loss: the others of a history
/// that is far smaller than the run of updates stay.
#[test]
fn a_row_that_is_behind_gets_the_newest_of_a_key_from_history() {
    const UPDATES: usize = 1_000;
    let server = start(&[("WEBSOCKET_MESSAGE_QUEUE_SIZE", "10"), ("HASHI_HISTORY_MESSAGES", "40")]);
    let mut stalled = Stalled::new(&server, "normal");
    stalled.publish(&numbered("plain", 1..=12).iter().map(|id| message(id, "normal")).collect::<Vec<_>>());
    assert_eq!(counter(&server, "catchUps"), 1);
    stalled.publish(&numbered("update", 1..=UPDATES).iter().map(|id| keyed(id, "same")).collect::<Vec<_>>());
    stalled.publish(&[message("end", "normal")]);
    let received = Received::all_until(&mut stalled.slow, "end");
    let expected = [numbered("plain", 1..=12), vec![format!("update-{UPDATES}"), "end".to_owned()]].concat();
    assert_eq!(received.story(), expected);
    assert_eq!((counter(&server, "conflated"), counter(&server, "historyEvicted")), (0, 0));
}

/// Updates of an operation have its id as their key without saying so.
#[test]
fn updates_of_an_operation_replace_each_other() {
    let undebounced = [("WEBSOCKET_MESSAGE_QUEUE_SIZE", "10"), ("HASHI_SLOW_MS", "60000"), ("HASHI_DEBOUNCE_MS", "0")];
    let server = start(&undebounced);
    let mut stalled = Stalled::new(&server, "normal");
    let progress = |number: usize| {
        let payload = simd_json::json!({"operationId": "op-1", "progress": 0.5});
        let progress = with(message(&format!("progress-{number}"), "normal"), "type", "operation_progress");
        with(progress, "payload", payload)
    };
    stalled.publish(&(1..=20).map(progress).collect::<Vec<_>>());
    let received = Received::all_until(&mut stalled.slow, "progress-20");
    assert_eq!(received.story(), ["progress-20"]);
    assert_eq!(counter(&server, "conflated"), 19);
    assert!(received.published().all(|message| json::is(message, "sessionId", SESSION)));
}
