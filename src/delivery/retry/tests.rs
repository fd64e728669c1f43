//! Retries, take-overs and leaves, as a few rows see them.

use super::*;
use crate::config::Config;
use crate::config::limits::{IN_FLIGHT_PER_RECEIVER_MAX, TIMERS_PER_TICK, WHEEL_TICK_MS};
use crate::config::memory::MESSAGE_ROW_BYTES;
use crate::delivery::bench::Bench;
use crate::delivery::overflow::Verdict;
use crate::delivery::{Loss, Publication};
use crate::message::Guarantee;
use crate::message::system::Features;
use crate::tables::State;
use crate::tables::in_flight::WriteTimes;
use crate::tables::owed::Reason;

impl Bench {
    /// Publishes, and writes the copy of `slot`.
    fn publish_and_write(&mut self, slot: u32, id: &str) {
        self.publish(id, None);
        self.write_last(slot);
    }

    fn publish_with(&mut self, id: &str, priority: Priority, payload: &[u8]) {
        let guarantee = Guarantee::Retried;
        let publication = Publication { id, guarantee, ..Publication::plain(priority, payload) };
        self.delivery.publish(self.session, None, &publication).unwrap();
    }

    fn clear(&mut self, slot: u32) {
        let Tables { outputs, messages, .. } = &mut self.delivery.tables;
        outputs.clear(slot, messages);
    }

    /// The row ends, and one with these features goes on for it without any position.
    fn go_on(&mut self, old: u32, features: Features) -> u32 {
        let key = self.delivery.receiver_of(old);
        self.delivery.tables.in_flight.park(key);
        self.clear(old);
        let new = self.connect(2);
        self.delivery.tables.connections.profile_mut(new).features = features;
        let copies = self.delivery.adopt_in_flight(new, key);
        let before = self.delivery.work;
        self.delivery.continue_in_flight(new, &copies, &[]);
        assert!(self.delivery.work - before >= copies.len() * WORK_PER_COPY);
        new
    }

    /// The row writes seven messages each quarter of a second until it has all of `ids`; their order.
    fn read_all(&mut self, slot: u32, ids: &[String], read: impl Fn(&mut Self, &str)) -> Vec<String> {
        let limits = QueueLimits { messages: 50, bytes: 1 << 20 };
        let mut got = Vec::new();
        for _ in 0..200 {
            let verdict = self.delivery.enforce_queue_limits(slot, limits);
            assert_eq!(verdict, Verdict::Within, "{} have come", got.len());
            for _ in 0..7 {
                got.extend(self.read_first(slot, ids).inspect(|id| read(self, id)));
            }
            self.delivery.now.ns += 250_000_000;
            self.delivery.retry_due(TIMERS_PER_TICK);
            self.delivery.tables.in_flight.invariants(&self.delivery.tables.messages);
        }
        got
    }

    /// The row writes the first message of its high ring; which of `ids` that is.
    fn read_first(&mut self, slot: u32, ids: &[String]) -> Option<String> {
        let (receiver, now_ms, tables) =
            (self.delivery.receiver_of(slot), self.delivery.now.ms(), &mut self.delivery.tables);
        let message = tables.outputs.ring(slot, Priority::High).next()?;
        let label = tables.messages.description(message).label;
        let times = WriteTimes { now_ms, expires_ms: 60_000 };
        let confirming = tables.connections.confirming(slot);
        let given_up = &mut GivenUp::default();
        let _ = tables.in_flight.note_written(message, receiver, confirming, times, given_up, &mut tables.messages);
        tables.outputs.remove(slot, Priority::High, message, &mut tables.messages);
        ids.iter().find(|id| self.delivery.fingerprints.label(id.as_str()) == label).cloned()
    }

    /// The row ends, and another one goes on for it; how many copies are queued for that.
    fn take_over(&mut self, old: u32, resumed: Resumed) -> usize {
        let key = self.delivery.receiver_of(old);
        self.delivery.tables.in_flight.park(key);
        let new = self.connect(2);
        let copies = self.delivery.adopt_in_flight(new, key);
        self.delivery.continue_in_flight(new, &copies, &[(self.session, resumed)]);
        self.delivery.tables.in_flight.invariants(&self.delivery.tables.messages);
        self.delivery.tables.outputs.len(new)
    }
}

/// A session may be forgotten in the millisecond before its last message expires.
#[test]
fn a_message_expires_whose_session_is_gone() {
    let mut bench = Bench::new();
    let life_ms = Config::default().message_expiry_ms;
    let slot = bench.connect(1);
    bench.delivery.now.ns = 5_900_000;
    let plain = Publication { guarantee: Guarantee::Retried, ..Publication::plain(Priority::Normal, b"1") };
    let publication = Publication { expires_in_ms: Some(life_ms), ..plain };
    bench.delivery.publish(bench.session, None, &publication).unwrap();
    let receiver = bench.delivery.receiver_of(slot);
    let tables = &mut bench.delivery.tables;
    tables.in_flight.park(receiver);
    tables.outputs.clear(slot, &mut tables.messages);
    tables.sessions.leave_all(slot, 5);
    bench.delivery.now.ns = (life_ms + 5) * 1_000_000;
    bench.delivery.age(life_ms, 10);
    assert!(!bench.delivery.tables.sessions.is_alive(bench.session));
    bench.delivery.now.ns += 1_000_000;
    bench.delivery.expire_messages();
    assert_eq!(bench.delivery.totals.expired, 1);
}

#[test]
fn a_position_past_a_gap_confirms_nothing_that_lies_in_it() {
    let mut bench = Bench::new();
    let old = bench.connect(1);
    for id in ["m1", "m2", "m3"] {
        bench.publish_and_write(old, id);
    }
    let (session, reason) = (bench.session, Reason::HistoryEvicted);
    bench.delivery.tables.outputs.owe(old, Owed::Session { session, from: 2, to: 2, reason });
    bench.delivery.pay_gaps(old);
    let queued = bench.take_over(old, Resumed { seq: 2, loss: None });
    let totals = bench.delivery.tables.in_flight.totals;
    assert_eq!((totals.confirmed, queued), (1, 1), "m1 is confirmed, m2 sent again, m3 replayed");
    assert_eq!(bench.delivery.tables.in_flight.len(), 2);
}

#[test]
fn however_much_is_lost_the_copies_are_walked_once() {
    let mut bench = Bench::new();
    let slot = bench.connect(1);
    for id in ["m1", "m2", "m3"] {
        bench.publish_and_write(slot, id);
    }
    let others = (0..5).map(|number| bench.delivery.tables.sessions.open(&format!("s{number}"), 0));
    let sessions: Vec<SessionId> = others.collect::<Vec<_>>().into_iter().chain([bench.session]).collect();
    for &session in &sessions {
        let loss = Owed::Session { session, from: 1, to: 9, reason: Reason::HistoryEvicted };
        bench.delivery.tables.outputs.owe(slot, loss);
    }
    bench.delivery.pay_gaps(slot);
    assert_eq!(bench.delivery.fed, 3);
    let evicted = sessions.iter().map(|&session| ((session, Priority::Normal), 1..=9)).collect();
    bench.delivery.retry_evicted(slot, &evicted);
    assert_eq!(bench.delivery.fed, 6);
}

/// It writes seven at a time, and its socket never takes all.
#[test]
fn a_slow_client_that_goes_on_gets_everything_in_its_order_and_is_not_too_slow() {
    let mut bench = Bench::new();
    let old = bench.connect(1);
    let ids: Vec<String> = (0..200).map(|number| format!("m{number}")).collect();
    for id in &ids {
        bench.publish_with(id, Priority::High, b"1");
    }
    let new = bench.go_on(old, Features { ack: true, ..Features::default() });
    bench.delivery.tables.outputs.block(new);
    assert_eq!(
        bench.read_all(new, &ids, |bench, id| assert_eq!(bench.delivery.confirm(new, &[id.to_owned()]), 0)),
        ids
    );
    assert_eq!((bench.delivery.tables.in_flight.len(), bench.delivery.tables.in_flight.totals.confirmed), (0, 200));
}

#[test]
fn a_client_that_does_not_confirm_gets_what_it_takes_over_as_its_queue_has_room() {
    let mut bench = Bench::new();
    let old = bench.connect(1);
    let ids: Vec<String> = (0..200).map(|number| format!("m{number}")).collect();
    for id in &ids {
        bench.publish_with(id, Priority::High, b"1");
    }
    let new = bench.go_on(old, Features::default());
    assert_eq!(bench.read_all(new, &ids, |_, _| ()), ids);
    let in_flight = &bench.delivery.tables.in_flight;
    assert_eq!((in_flight.len(), in_flight.totals.unconfirmable), (0, 200));
}

#[test]
fn retries_copy_so_many_bytes_in_one_tick_and_pay_for_them() {
    let mut bench = Bench::new();
    let slot = bench.connect(1);
    let payload = vec![b'1'; RETRY_BYTES_PER_TICK / 4];
    for number in 0..10 {
        bench.publish_with(&format!("m{number}"), Priority::Normal, &payload);
        bench.write_last(slot);
        bench.clear(slot);
    }
    bench.delivery.now.ns = 3_000_000_000;
    for queued in [4, 8, 9] {
        bench.delivery.work = if queued == 9 { WORK_PER_TICK } else { 0 };
        let before = bench.delivery.work;
        bench.delivery.retry_due(TIMERS_PER_TICK);
        assert_eq!(bench.delivery.tables.outputs.len(slot), queued);
        let copied = if queued == 9 { payload.len() } else { RETRY_BYTES_PER_TICK };
        assert!(bench.delivery.work - before >= copied / BYTES_PER_WORK);
        bench.delivery.now.ns += WHEEL_TICK_MS * 1_000_000;
    }
    let Tables { outputs, messages, in_flight, .. } = &bench.delivery.tables;
    let labels = outputs.ring(slot, Priority::Normal).map(|id| messages.description(id).label);
    let expected = (0..9).map(|number| bench.delivery.fingerprints.label(&format!("m{number}")));
    assert_eq!((labels.collect::<Vec<_>>(), in_flight.totals.retries), (expected.collect(), 9));
}

#[test]
fn without_memory_a_copy_is_due_again_as_late_as_if_it_were_written() {
    let mut bench = Bench::new();
    let slot = bench.connect(1);
    bench.publish_and_write(slot, "m1");
    bench.clear(slot);
    let messages = &mut bench.delivery.tables.messages;
    let filler = vec![0; messages.bytes_max() - messages.used_bytes() - MESSAGE_ROW_BYTES as usize];
    messages.store(&filler, Description::plain(Priority::Low, 0), 0).unwrap();
    bench.delivery.now.ns = 3_000_000_000;
    bench.delivery.retry_due(TIMERS_PER_TICK);
    let Tables { outputs, in_flight, .. } = &bench.delivery.tables;
    assert_eq!((outputs.len(slot), in_flight.next_due_ms()), (0, Some(5_000)));
}

#[test]
fn a_retry_of_what_gives_way_leaves_its_queue_and_who_was_sent_nothing_is_told() {
    for is_written in [true, false] {
        let mut bench = Bench::new();
        let old = bench.connect(1);
        bench.publish("m", None);
        if is_written {
            bench.write_last(old);
        }
        let new = bench.go_on(old, Features { ack: true, ..Features::default() });
        if is_written {
            bench.write_last(new);
            bench.clear(new);
            bench.delivery.now.ns = 3_000_000_000;
            bench.delivery.retry_due(TIMERS_PER_TICK);
        }
        bench.delivery.tables.sessions.leave(old, bench.session, 0);
        bench.delivery.tables.connections.set_state(new, State::Open);
        assert_eq!(bench.delivery.tables.outputs.len(new), 1);
        for _ in 0..IN_FLIGHT_PER_RECEIVER_MAX {
            bench.publish("newer", None);
        }
        assert_eq!(bench.delivery.tables.outputs.len(new), IN_FLIGHT_PER_RECEIVER_MAX, "the retry is gone");
        bench.delivery.pay_gaps(new);
        assert_eq!(bench.delivery.totals.gaps.iter().sum::<u64>(), u64::from(!is_written));
    }
}

#[test]
fn who_leaves_gives_up_what_it_will_not_write_and_may_confirm_the_rest() {
    let mut bench = Bench::new();
    let slot = bench.connect(1);
    bench.publish_and_write(slot, "retried");
    bench.clear(slot);
    bench.delivery.now.ns = 3_000_000_000;
    bench.delivery.retry_due(TIMERS_PER_TICK);
    bench.publish_and_write(slot, "written");
    bench.publish("queued", None);
    bench.publish_with("high", Priority::High, b"1");
    let tables = &mut bench.delivery.tables;
    tables.sessions.leave(slot, bench.session, 3_000);
    tables.outputs.forget_session(slot, bench.session, &mut tables.messages);
    bench.delivery.abandon_session(slot, bench.session);
    let Tables { outputs, messages, in_flight, .. } = &bench.delivery.tables;
    in_flight.invariants(messages);
    assert_eq!((in_flight.totals.given_up, in_flight.len()), (2, 2), "queued and retried");
    assert_eq!(outputs.len(slot), 1, "high is still written");
    assert_eq!(bench.delivery.confirm(slot, &["written".to_owned()]), 0);
}

#[test]
fn what_has_ended_since_it_was_taken_over_is_passed_over() {
    let mut bench = Bench::new();
    let old = bench.connect(1);
    bench.publish_and_write(old, "m1");
    let key = bench.delivery.receiver_of(old);
    bench.delivery.tables.in_flight.park(key);
    let new = bench.connect(2);
    let copies = bench.delivery.adopt_in_flight(new, key);
    assert_eq!(bench.delivery.confirm(new, &["m1".to_owned()]), 0);
    bench.delivery.continue_in_flight(new, &copies, &[]);
    let in_flight = &bench.delivery.tables.in_flight;
    assert_eq!((in_flight.totals.confirmed, in_flight.len(), bench.delivery.tables.outputs.len(new)), (1, 0, 0));
}

#[test]
fn where_history_cannot_replay_what_lies_behind_the_position_is_sent_again() {
    let mut bench = Bench::new();
    let old = bench.connect(1);
    for id in ["m1", "m2", "m3"] {
        bench.publish_and_write(old, id);
    }
    let loss = Some(Loss { range: Some((2, 3)), reason: Reason::HistoryEvicted });
    let queued = bench.take_over(old, Resumed { seq: 3, loss });
    assert_eq!((bench.delivery.tables.in_flight.totals.confirmed, queued), (1, 2));
}
