//! The table against what is expected of it, step by step and against a plain map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::config::limits::WHEEL_TICK_MS;
use crate::message::Priority;
use crate::tables::messages::Place;
use crate::tables::{Counts, SessionId};

const LIFE_MS: u64 = 100_000;

struct Bench {
    table: InFlight,
    messages: Messages,
    now_ms: u64,
}

impl Bench {
    fn new(retries: u32) -> Self {
        let (copies_per_receiver, copies_per_user) = (3, 5);
        let bytes = 1 << 20;
        let limits =
            InFlightLimits { copies: 100, copies_per_receiver, copies_per_user, bytes, retries, timeout_ms: 1000 };
        let outcomes = OutcomeLimits { rows: 10, rows_per_sender: 10 };
        Self { table: InFlight::new(limits, outcomes), messages: Messages::new(1 << 20), now_ms: 0 }
    }

    fn store(&mut self, label: Label, topic: Option<u128>) -> MessageId {
        let place = Some(Place { session: SessionId { slot: 0, generation: 0 }, seq: label });
        let topic = topic.map(Topic);
        let description = Description { label, place, topic, ..Description::plain(Priority::Normal, 0) };
        self.messages.store(b"frame", description, 0).unwrap()
    }

    /// Holds a new message, whose label is all that is known of it, for rows that are also their keys.
    fn hold(&mut self, label: Label, topic: Option<u128>, receivers: &[u32]) -> (MessageId, OutcomeId) {
        let id = self.store(label, topic);
        let counts = Counts { matched: receivers.len() as u32, ..Counts::default() };
        let outcome = self.table.outcomes.open(1, "m", None, counts);
        let receivers: Vec<_> = receivers.iter().copied().map(receiver).collect();
        if let Some(topic) = topic {
            let _ = self.table.replace(Topic(topic), &mut self.messages);
        }
        let end_ms = self.now_ms + LIFE_MS;
        self.table.hold(id, receivers, Some(outcome), end_ms, &mut self.messages);
        self.messages.release(id);
        (id, outcome)
    }

    /// Returns whether a message was freed.
    fn write(&mut self, id: MessageId, receiver: u32) -> bool {
        let times = WriteTimes { now_ms: self.now_ms, expires_ms: self.now_ms + LIFE_MS };
        let confirming = Some(self::receiver(receiver));
        let given_up = &mut GivenUp::default();
        self.table.note_written(id, u64::from(receiver), confirming, times, given_up, &mut self.messages)
    }

    /// Moves time on; the labels of what is due by then.
    fn expire_at(&mut self, now_ms: u64) -> Vec<Due> {
        self.now_ms = now_ms;
        let Expiry { due, .. } = self.table.expire(now_ms, 100, &mut self.messages);
        self.table.invariants(&self.messages);
        due
    }

    fn counts(&self, outcome: OutcomeId) -> Counts {
        self.table.outcomes.counts(outcome).unwrap()
    }
}

/// A row that is also its key. Ten of them are one user's.
fn receiver(slot: u32) -> Receiver {
    Receiver { key: u64::from(slot), user: SessionId { slot: slot / 10, generation: 0 }, slot }
}

#[test]
fn a_copy_is_due_after_its_time_doubling_until_its_attempts_are_used_up() {
    let mut bench = Bench::new(3);
    let (id, outcome) = bench.hold(7, None, &[1]);
    assert!(bench.expire_at(50_000).is_empty(), "while it is queued no time runs");
    for wait_ms in [1000, 2000, 4000] {
        bench.write(id, 1);
        let start_ms = bench.now_ms;
        assert!(bench.expire_at(start_ms + wait_ms - 1).is_empty());
        let due = bench.expire_at(start_ms + wait_ms + 2 * WHEEL_TICK_MS);
        assert_eq!(due.iter().map(|due| due.message).collect::<Vec<_>>(), [id]);
    }
    bench.write(id, 1);
    assert!(bench.expire_at(bench.now_ms + 8000 - 1).is_empty() && !bench.table.is_empty());
    assert!(bench.expire_at(bench.now_ms + 1 + 2 * WHEEL_TICK_MS).is_empty() && bench.table.is_empty());
    assert_eq!(bench.counts(outcome).expired, 1);
    assert_eq!(bench.table.totals.given_up, 1);
    assert!(bench.messages.is_empty());
}

#[test]
fn only_what_a_receiver_was_sent_is_confirmed_and_only_by_itself() {
    let mut bench = Bench::new(3);
    let (id, outcome) = bench.hold(7, None, &[1, 2]);
    bench.write(id, 1);
    assert_eq!(bench.table.confirm(2, 7, &mut bench.messages), 0, "not written yet");
    assert_eq!(bench.table.confirm(3, 7, &mut bench.messages), 0, "another's");
    assert_eq!(bench.table.confirm(1, 8, &mut bench.messages), 0, "another id");
    assert_eq!(bench.table.confirm(1, 7, &mut bench.messages), 1);
    assert_eq!(bench.table.confirm(1, 7, &mut bench.messages), 0, "once");
    bench.table.invariants(&bench.messages);
    assert_eq!(bench.counts(outcome), Counts { matched: 2, confirmed: 1, ..Counts::default() });
}

#[test]
fn a_newer_message_of_the_topic_and_the_end_of_its_time_end_it_for_all() {
    let mut bench = Bench::new(3);
    let (first, outcome) = bench.hold(1, Some(9), &[1, 2]);
    bench.write(first, 1);
    let (_, newer) = bench.hold(2, Some(9), &[1]);
    assert_eq!((bench.counts(outcome).expired, bench.counts(newer).expired), (2, 0));
    assert!(bench.expire_at(LIFE_MS + 2 * WHEEL_TICK_MS).is_empty());
    assert_eq!(bench.counts(newer).expired, 1);
    assert!(bench.table.is_empty() && bench.messages.is_empty());
}

#[test]
fn a_message_to_many_ends_copy_by_copy_and_none_of_them_is_sent_again() {
    let mut bench = Bench::new(3);
    bench.table.limits.copies_per_user = 10;
    let (id, outcome) = bench.hold(1, None, &(0..50).collect::<Vec<_>>());
    let (other, _) = bench.hold(2, None, &[90]);
    for receiver in 0..50 {
        bench.write(id, receiver);
    }
    bench.write(other, 90);
    bench.now_ms = 1000 + 2 * WHEEL_TICK_MS; // all are due
    bench.table.expire_now(id);
    bench.table.expire_now(id);
    for expired in [20, 40] {
        let Expiry { due, .. } = bench.table.expire(bench.now_ms, 20, &mut bench.messages);
        assert_eq!((due.len(), bench.counts(outcome).expired), (0, expired));
        assert_eq!(bench.table.next_due_ms(), Some(0), "there is more to do");
        bench.table.invariants(&bench.messages);
    }
    assert_eq!(bench.table.confirm(49, 1, &mut bench.messages), 1, "until it has ended it may be confirmed");
    let Expiry { due, .. } = bench.table.expire(bench.now_ms, 20, &mut bench.messages);
    assert_eq!((due[0].message, due.len(), bench.counts(outcome).expired), (other, 1, 49));
    bench.table.invariants(&bench.messages);
}

#[test]
fn retries_of_what_is_given_up_come_out_with_the_rows_that_may_have_them() {
    let mut bench = Bench::new(3);
    let (id, _) = bench.hold(1, Some(9), &[1, 2, 3]);
    bench.write(id, 1);
    bench.table.park(3);
    let key = bench.expire_at(1000 + 2 * WHEEL_TICK_MS)[0].key;
    let retry = bench.store(1, None);
    bench.table.set_retry(key, retry, &mut bench.messages);
    let GivenUp { obsolete, copies } = bench.table.replace(Topic(9), &mut bench.messages);
    assert_eq!(copies, 3);
    let told: Vec<_> = obsolete.iter().map(|copy| (copy.retry, copy.slot, copy.is_written)).collect();
    assert_eq!(told, [(retry, 1, true), (retry, 2, false)]);
    assert!(bench.table.is_empty() && bench.messages.is_empty());
}

#[test]
fn at_its_limit_a_receiver_s_oldest_gives_way() {
    let mut bench = Bench::new(3);
    let outcomes: Vec<_> = (1..=4).map(|label| bench.hold(label, None, &[1]).1).collect();
    bench.table.invariants(&bench.messages);
    let expired: Vec<u32> = outcomes.iter().map(|&outcome| bench.counts(outcome).expired).collect();
    assert_eq!((expired, bench.table.len()), (vec![1, 0, 0, 0], 3));
    assert!(bench.table.has_room(97) && !bench.table.has_room(98));
}

/// Connections that never confirm, living or parked, take the room of their own user and of nobody else.
#[test]
fn at_its_limit_a_user_s_oldest_gives_way() {
    let mut bench = Bench::new(3);
    let outcomes: Vec<_> = (1..=6).map(|slot| bench.hold(u64::from(slot), None, &[slot, 10]).1).collect();
    bench.table.park(1);
    bench.table.invariants(&bench.messages);
    let expired: Vec<u32> = outcomes.iter().map(|&outcome| bench.counts(outcome).expired).collect();
    assert_eq!(expired, [2, 1, 1, 0, 0, 0], "three of 10 alone, and the first of the six of one user");
    assert_eq!((bench.table.totals.displaced, bench.table.len()), (4, 8));
}

#[test]
fn what_is_fed_to_a_full_table_is_written_and_counted() {
    let mut bench = Bench::new(3);
    bench.table.limits.copies = 1;
    let (held, _) = bench.hold(1, None, &[1]);
    let fed = bench.store(2, None);
    assert!(!bench.write(fed, 1) && !bench.write(held, 1));
    assert_eq!((bench.table.totals.unheld, bench.table.len()), (1, 1));
    bench.messages.release(fed);
}

/// Its id may be another message's from then on.
#[test]
fn a_message_that_is_freed_by_a_written_one_is_told_of() {
    let mut bench = Bench::new(3);
    for label in 1..=3 {
        bench.hold(label, None, &[1]);
    }
    let fed = bench.store(4, None);
    assert!(bench.write(fed, 1), "the oldest had no other reference");
    assert!(!bench.write(fed, 1), "it is held by now");
    bench.messages.release(fed);
    bench.table.invariants(&bench.messages);
}

#[test]
fn what_waits_for_a_receiver_rests_until_another_connection_takes_it_over() {
    let mut bench = Bench::new(3);
    let (id, outcome) = bench.hold(7, None, &[1]);
    let (queued, _) = bench.hold(8, None, &[1]);
    bench.write(id, 1);
    bench.table.doubt(1, &bench.messages, |description| description.label == 8);
    bench.table.park(1);
    assert!(bench.expire_at(50_000).is_empty());
    let keys = bench.table.adopt(1, &Receiver { slot: 20, ..receiver(2) });
    let due: Vec<_> = keys.into_iter().filter_map(|key| bench.table.find(key)).collect();
    let told: Vec<_> = due.iter().map(|due| (due.message, due.slot, due.is_written, due.is_doubtful)).collect();
    assert_eq!(told, [(id, 20, true, false), (queued, 20, false, true)]);
    bench.table.begin_again(due[0].key, true);
    assert_eq!(bench.table.confirm(1, 7, &mut bench.messages), 0);
    assert_eq!(bench.table.confirm(2, 7, &mut bench.messages), 1, "the client may have it from the old connection");
    assert_eq!(bench.counts(outcome).confirmed, 1);
    bench.table.invariants(&bench.messages);
}

/// What ends a copy may come between an operation and the next one with its key.
#[test]
fn the_key_of_a_copy_that_has_ended_does_nothing() {
    let mut bench = Bench::new(3);
    let (id, outcome) = bench.hold(7, None, &[1]);
    bench.write(id, 1);
    bench.table.park(1);
    let key = bench.table.adopt(1, &Receiver { slot: 20, ..receiver(2) })[0];
    assert_eq!(bench.table.confirm(2, 7, &mut bench.messages), 1);
    bench.hold(8, None, &[2]); // in the same place
    bench.table.begin_again(key, true);
    bench.table.postpone(key, 0);
    bench.table.postpone_to(key, 0);
    bench.table.settle(key, Verdict::GivenUp, &mut bench.messages);
    assert_eq!((bench.table.find(key), bench.table.retry_of(key)), (None, None));
    assert_eq!((bench.counts(outcome).confirmed, bench.table.len()), (1, 1));
    assert!(bench.expire_at(50_000).is_empty(), "the other copy has no timer");
}

#[test]
fn what_a_receiver_misses_while_its_row_ends_waits_too() {
    let mut bench = Bench::new(3);
    let (id, _) = bench.hold(7, None, &[1]);
    bench.table.park(1);
    bench.table.miss(1, bench.now_ms, |missed| missed == id);
    bench.table.invariants(&bench.messages);
    assert!(bench.expire_at(LIFE_MS / 2).is_empty());
    assert_eq!(bench.table.adopt(1, &receiver(2)).len(), 1);
}

#[test]
fn a_copy_that_nobody_waited_for_is_held_once_it_is_written_and_counts_for_no_outcome() {
    let mut bench = Bench::new(3);
    let (id, outcome) = bench.hold(7, None, &[1]);
    bench.write(id, 2);
    assert_eq!((bench.table.len(), bench.table.confirm(2, 7, &mut bench.messages)), (2, 1));
    assert_eq!(bench.counts(outcome).confirmed, 0);
    let times = WriteTimes { now_ms: 0, expires_ms: LIFE_MS };
    let given_up = &mut GivenUp::default();
    assert!(!bench.table.note_written(id, 3, None, times, given_up, &mut bench.messages));
    assert_eq!(bench.table.len(), 1, "a receiver that does not confirm");
}

#[test]
fn a_retry_is_another_message_and_both_are_let_go_together() {
    let mut bench = Bench::new(3);
    let (id, _) = bench.hold(7, None, &[1]);
    bench.write(id, 1);
    let due = bench.expire_at(2000)[0];
    let description = Description { label: 7, ..Description::plain(Priority::Normal, 0) };
    let retry = bench.messages.store(b"frame", description, 0).unwrap();
    bench.table.set_retry(due.key, retry, &mut bench.messages);
    bench.table.miss(1, bench.now_ms, |id| id == retry);
    assert_eq!(bench.expire_at(4000).len(), 1, "a retry that left the queue unwritten is due again");
    bench.write(retry, 1);
    assert_eq!(bench.table.confirm(1, 7, &mut bench.messages), 1);
    assert!(bench.messages.is_empty());
}

#[derive(Clone, Debug)]
enum Step {
    Hold(Vec<u32>),
    Write(u32, usize),
    Confirm(u32, Label),
    Take(u32, u32),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        prop::collection::btree_set(0_u32..4, 0..4).prop_map(|set| Step::Hold(set.into_iter().collect())),
        (0_u32..4, 0_usize..6).prop_map(|(receiver, back)| Step::Write(receiver, back)),
        (0_u32..4, 1_u64..30).prop_map(|(receiver, label)| Step::Confirm(receiver, label)),
        (0_u32..4, 0_u32..4).prop_map(|(old, new)| Step::Take(old, new)),
        (0_u64..40_000).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn holds_what_a_plain_map_says(steps in prop::collection::vec(step(), 0..80)) {
        let mut bench = Bench::new(u32::MAX);
        (bench.table.limits.copies_per_receiver, bench.table.limits.copies_per_user) = (usize::MAX, usize::MAX);
        // By receiver and label: whether it was written, and when it ends.
        let mut model: BTreeMap<(u32, Label), (bool, u64)> = BTreeMap::new();
        let mut ids: Vec<MessageId> = Vec::new();
        for step in steps {
            match step {
                Step::Hold(receivers) => {
                    let label = ids.len() as u64 + 1;
                    let id = bench.store(label, None);
                    let end_ms = bench.now_ms + LIFE_MS;
                    let keyed = receivers.iter().copied().map(receiver);
                    bench.table.hold(id, keyed, None, end_ms, &mut bench.messages);
                    model.extend(receivers.iter().map(|&slot| ((slot, label), (false, end_ms))));
                    ids.push(id); // the test keeps its reference
                }
                Step::Write(receiver, back) if back < ids.len() => {
                    let label = (ids.len() - back) as u64;
                    if let Some((is_written, _)) = model.get_mut(&(receiver, label)) {
                        *is_written = true;
                        bench.write(ids[label as usize - 1], receiver);
                    }
                }
                Step::Write(..) => {}
                Step::Confirm(receiver, label) => {
                    let known = model.get(&(receiver, label)).is_some_and(|(is_written, _)| *is_written);
                    let confirmed = bench.table.confirm(u64::from(receiver), label, &mut bench.messages);
                    prop_assert_eq!(confirmed, usize::from(known));
                    model.retain(|key, _| !known || *key != (receiver, label));
                }
                Step::Take(old, new) if old != new && !model.keys().any(|(receiver, _)| *receiver == new) => {
                    bench.table.park(u64::from(old));
                    bench.table.adopt(u64::from(old), &self::receiver(new));
                    let moved = |(receiver, label)| (if receiver == old { new } else { receiver }, label);
                    model = model.into_iter().map(|(key, value)| (moved(key), value)).collect();
                }
                Step::Take(..) => {}
                Step::Wait(ms) => {
                    let now_ms = bench.now_ms + ms;
                    bench.expire_at(now_ms);
                    model.retain(|_, (_, end_ms)| end_ms.div_ceil(WHEEL_TICK_MS) > now_ms / WHEEL_TICK_MS);
                }
            }
            bench.table.invariants(&bench.messages);
            prop_assert_eq!(bench.table.len(), model.len());
        }
    }
}
