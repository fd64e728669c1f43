//! Retries: copies of reliable messages that their receivers do not confirm are queued again, and those of an ended
//! connection on the one that goes on for it.
//!
//! A retry has the bytes of its message and no place in its session: it moves no cursor and no position, and may come later
//! than its neighbours.

use std::ops::RangeInclusive;

use rustc_hash::{FxHashMap, FxHashSet};

use super::overflow::QueueLimits;
use super::{Delivery, Resumed};
use crate::config::limits::{BYTES_PER_WORK, RETRY_BYTES_PER_TICK, RETRY_PAUSE_MS, WORK_PER_COPY, WORK_PER_TICK};
use crate::message::Priority;
use crate::tables::connections::key_of;
use crate::tables::in_flight::{CopyKey, Due, Expiry, GivenUp, Obsolete};
use crate::tables::messages::Description;
use crate::tables::outcomes::Verdict;
use crate::tables::owed::Owed;
use crate::tables::{MessageId, SessionId, Tables};

/// Positions that history no longer holds for a row that is behind, by session and priority.
pub(super) type Evicted = FxHashMap<(SessionId, Priority), RangeInclusive<u64>>;

/// What becomes of a copy whose receiver has come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    /// It ends.
    Settled(Verdict),
    /// History feeds it to the new connection.
    Replayed,
    /// It is queued for the new connection.
    Again,
}

/// How long a copy that cannot be queued waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// As if it had just been written: its receiver takes nothing, or there is no memory for it.
    Anew,
    /// Until its queue may have room.
    Pause,
    /// Until the next tick, which may copy bytes again.
    Tick,
}

impl Delivery {
    /// Queues copies again that were not confirmed in time, and gives up those that were sent often enough or expired.
    pub fn retry_due(&mut self, budget: usize) {
        let tables = &mut self.tables;
        let Expiry { due, given_up } = tables.in_flight.expire(self.now.ms(), budget, &mut tables.messages);
        self.withdraw(&given_up, true);
        self.work += due.len() * WORK_PER_COPY;
        let work_left = WORK_PER_TICK.saturating_sub(self.work);
        let mut bytes = (work_left * BYTES_PER_WORK).clamp(1, RETRY_BYTES_PER_TICK); // one message goes in any case
        for copy in self.by_age(due) {
            self.retry(&copy, &mut bytes);
        }
    }

    /// In the order of publication: what history lost before it was sent comes by its retry first.
    fn by_age(&self, mut due: Vec<Due>) -> Vec<Due> {
        let age = |copy: &Due| {
            let Description { published_ns, place, .. } = *self.tables.messages.description(copy.message);
            (published_ns, place.map(|place| place.seq))
        };
        due.sort_by_key(age);
        due
    }

    /// Takes retries of what has ended out of the queues in which they wait. Where a message `is_lost`, who was not sent it
    /// before is told.
    pub fn withdraw(&mut self, given_up: &GivenUp, is_lost: bool) {
        self.work += given_up.copies * WORK_PER_COPY;
        for &Obsolete { retry, slot, description, is_written } in &given_up.obsolete {
            let Tables { outputs, messages, connections, .. } = &mut self.tables;
            self.work += outputs.ring_len(slot, description.priority);
            let was_queued = outputs.remove(slot, description.priority, retry, messages);
            let is_told = was_queued && is_lost && !is_written && connections.state(slot).is_open();
            if is_told && self.is_for(slot, &description) {
                self.tables.outputs.owe(slot, Owed::expired(description.place));
                self.tables.outputs.mark(slot);
            }
        }
    }

    fn retry(&mut self, copy: &Due, bytes: &mut usize) {
        if !self.is_for(copy.slot, self.tables.messages.description(copy.message)) {
            return self.settle(copy.key, Verdict::GivenUp);
        }
        match self.check_retry(copy).and_then(|()| self.queue_again(copy, bytes)) {
            Ok(()) => self.tables.in_flight.totals.retries += 1,
            Err(wait) => self.wait(copy.key, wait),
        }
    }

    /// Who takes nothing is not sent again what it has not read yet.
    fn check_retry(&self, copy: &Due) -> Result<(), Wait> {
        let outputs = &self.tables.outputs;
        let has_room = !outputs.is_behind(copy.slot) && self.has_room_to_retry(copy);
        if outputs.is_blocked(copy.slot) && (copy.is_written || !has_room) {
            Err(Wait::Anew)
        } else if has_room {
            Ok(())
        } else {
            Err(Wait::Pause)
        }
    }

    fn wait(&mut self, key: CopyKey, wait: Wait) {
        let (now_ms, in_flight) = (self.now.ms(), &mut self.tables.in_flight);
        match wait {
            Wait::Anew => in_flight.postpone(key, now_ms),
            Wait::Pause => in_flight.postpone_to(key, now_ms + RETRY_PAUSE_MS),
            Wait::Tick => in_flight.postpone_to(key, now_ms),
        }
    }

    /// Retries fill no more than their part of a queue; one alone may be larger.
    fn has_room_to_retry(&self, copy: &Due) -> bool {
        let Tables { outputs, messages, .. } = &self.tables;
        let QueueLimits { messages: most, bytes } = self.retry_limits;
        let queued = outputs.len(copy.slot);
        let is_small = || outputs.queued_bytes(copy.slot) + messages.frame(copy.message).len() as u64 <= bytes;
        queued == 0 || (queued <= most && is_small())
    }

    fn settle(&mut self, key: CopyKey, verdict: Verdict) {
        self.tables.in_flight.settle(key, verdict, &mut self.tables.messages);
    }

    /// Whether the row is still in the message's session.
    fn is_for(&self, slot: u32, description: &Description) -> bool {
        let sessions = &self.tables.sessions;
        description
            .place
            .is_none_or(|place| sessions.is_alive(place.session) && sessions.is_member(slot, place.session))
    }

    /// Queues a copy, whose bytes are taken from `bytes` if it is the first retry of its message. For who does not confirm it
    /// ends with that.
    fn queue_again(&mut self, copy: &Due, bytes: &mut usize) -> Result<(), Wait> {
        let retry = self.tables.in_flight.retry_of(copy.key).map_or_else(|| self.make_retry(copy, bytes), Ok)?;
        let priority = self.tables.messages.description(retry).priority;
        self.tables.messages.retain(retry, 1);
        self.push_stored(copy.slot, priority, retry);
        if self.tables.connections.confirming(copy.slot).is_none() {
            self.settle(copy.key, Verdict::Unconfirmable);
        }
        Ok(())
    }

    fn make_retry(&mut self, copy: &Due, bytes: &mut usize) -> Result<MessageId, Wait> {
        if *bytes == 0 {
            return Err(Wait::Tick);
        }
        let elsewhere = self.bytes_elsewhere();
        let tables = &mut self.tables;
        let Description { priority, label, .. } = *tables.messages.description(copy.message);
        let description = Description { label, ..Description::plain(priority, 0) };
        let retry = tables.messages.store_again(copy.message, description, elsewhere).map_err(|_| Wait::Anew)?;
        tables.in_flight.set_retry(copy.key, retry, &mut tables.messages);
        let copied = tables.messages.frame(retry).len();
        *bytes = bytes.saturating_sub(copied);
        self.work += copied / BYTES_PER_WORK;
        Ok(retry)
    }

    fn receiver_of(&self, slot: u32) -> u64 {
        key_of(self.tables.connections.profile(slot).connection_id)
    }

    /// The row is told of these losses: its positions will pass messages that it has perhaps not got. However many there are,
    /// its copies are walked once.
    pub(super) fn doubt_positions(&mut self, slot: u32, told: &[Owed]) {
        let mut ranges: FxHashMap<SessionId, Vec<RangeInclusive<u64>>> = FxHashMap::default();
        for loss in told {
            if let &Owed::Session { session, from, to, .. } = loss {
                ranges.entry(session).or_default().push(from..=to);
            }
        }
        if ranges.is_empty() || self.tables.in_flight.is_empty() {
            return;
        }
        let (receiver, tables) = (self.receiver_of(slot), &mut self.tables);
        self.fed += tables.in_flight.doubt(receiver, &tables.messages, |description| {
            let lost = description.place.map(|place| (ranges.get(&place.session), place.seq));
            lost.is_some_and(|(ranges, seq)| ranges.into_iter().flatten().any(|range| range.contains(&seq)))
        });
    }

    /// What the row waited for is no longer in history.
    pub(super) fn retry_evicted(&mut self, slot: u32, evicted: &Evicted) {
        if evicted.is_empty() || self.tables.in_flight.is_empty() {
            return;
        }
        let (receiver, tables) = (self.receiver_of(slot), &mut self.tables);
        let messages = &tables.messages;
        self.fed += tables.in_flight.miss(receiver, self.now.ms(), |id| {
            let &Description { place, priority, .. } = messages.description(id);
            let lost = place.map(|place| (evicted.get(&(place.session, priority)), place.seq));
            lost.is_some_and(|(range, seq)| range.is_some_and(|range| range.contains(&seq)))
        });
    }

    /// These have left the row's queue unwritten.
    pub(super) fn retry_dropped(&mut self, slot: u32, dropped: &FxHashSet<MessageId>) {
        if !dropped.is_empty() {
            let receiver = self.receiver_of(slot);
            self.fed += self.tables.in_flight.miss(receiver, self.now.ms(), |id| dropped.contains(&id));
        }
    }

    /// The row has left a session, and what was queued of it is gone: copies that it will not write end now.
    pub fn abandon_session(&mut self, slot: u32, session: SessionId) {
        if self.tables.in_flight.is_empty() {
            return;
        }
        let (receiver, tables) = (self.receiver_of(slot), &mut self.tables);
        let unwritten: FxHashSet<MessageId> = tables.outputs.unwritten(slot).collect();
        self.work += tables.in_flight.len_of(receiver) + unwritten.len();
        let given_up = tables.in_flight.abandon(receiver, &mut tables.messages, |id, description| {
            description.place.is_some_and(|place| place.session == session) && !unwritten.contains(&id)
        });
        self.withdraw(&given_up, false);
    }

    /// The row goes on for the connection of this key: what that has not confirmed is now its own. It is judged once the
    /// row's positions are known.
    pub fn adopt_in_flight(&mut self, slot: u32, key: u64) -> Vec<CopyKey> {
        let receiver = self.tables.connections.receiver(slot).expect("ok because only a user's row takes one over");
        self.tables.in_flight.adopt(key, &receiver)
    }

    /// Goes on with what the row has taken over, now that it is known from where its client resumes. What has ended since
    /// is passed over. What its queue has no room for comes by retries, and none overtakes another.
    pub fn continue_in_flight(&mut self, slot: u32, copies: &[CopyKey], resumed: &[(SessionId, Resumed)]) {
        self.work += copies.len() * WORK_PER_COPY;
        let confirms = self.tables.connections.profile(slot).features.ack;
        let (mut so_far, mut bytes) = (Ok(()), RETRY_BYTES_PER_TICK);
        for &key in copies {
            let Some(copy) = self.tables.in_flight.find(key) else {
                continue;
            };
            match self.judge(&copy, resumed) {
                Judgement::Settled(verdict) => self.settle(copy.key, verdict),
                Judgement::Replayed if !confirms => self.settle(copy.key, Verdict::Unconfirmable),
                Judgement::Replayed => self.tables.in_flight.begin_again(copy.key, false),
                Judgement::Again => so_far = self.send_again(&copy, so_far, &mut bytes),
            }
        }
    }

    /// Not an attempt of its own: it takes the place of the copy that was lost with the old connection. It waits with those
    /// that wait so far.
    fn send_again(&mut self, copy: &Due, so_far: Result<(), Wait>, bytes: &mut usize) -> Result<(), Wait> {
        self.tables.in_flight.begin_again(copy.key, true);
        let has_room = if self.has_room_to_retry(copy) { Ok(()) } else { Err(Wait::Pause) };
        let queued = so_far.and(has_room).and_then(|()| self.queue_again(copy, bytes));
        queued.inspect_err(|&wait| self.wait(copy.key, wait))
    }

    fn judge(&self, copy: &Due, resumed: &[(SessionId, Resumed)]) -> Judgement {
        let description = self.tables.messages.description(copy.message);
        if !self.is_for(copy.slot, description) {
            return Judgement::Settled(Verdict::GivenUp);
        }
        let Some(place) = description.place else {
            return Judgement::Again;
        };
        let resumed = resumed.iter().find(|(session, _)| *session == place.session).map(|(_, resumed)| resumed);
        let position = resumed.and_then(Resumed::position);
        let is_past = position.is_some_and(|position| place.seq <= position);
        if is_past && copy.is_written && !copy.is_doubtful {
            return Judgement::Settled(Verdict::Confirmed);
        }
        let is_fed = !is_past && resumed.is_some_and(|resumed| resumed.loss.is_none());
        if is_fed { Judgement::Replayed } else { Judgement::Again }
    }
}

#[cfg(test)]
mod tests {
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

        fn publish_bytes(&mut self, id: &str, payload: &[u8]) {
            let guarantee = Guarantee::Retried;
            let publication = Publication { id, guarantee, ..Publication::plain(Priority::Normal, payload) };
            self.delivery.publish(self.session, None, &publication).unwrap();
        }

        fn clear(&mut self, slot: u32) {
            let Tables { outputs, messages, .. } = &mut self.delivery.tables;
            outputs.clear(slot, messages);
        }

        fn publish_high(&mut self, id: &str) {
            let guarantee = Guarantee::Retried;
            let publication = Publication { id, guarantee, ..Publication::plain(Priority::High, b"1") };
            self.delivery.publish(self.session, None, &publication).unwrap();
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
            bench.publish_high(id);
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
            bench.publish_high(id);
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
            bench.publish_bytes(&format!("m{number}"), &payload);
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
        bench.publish_high("high");
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
}
