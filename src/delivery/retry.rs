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
mod tests;
