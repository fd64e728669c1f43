//! Messages in flight: copies of reliable messages whose receivers have not confirmed them yet.
//!
//! In: who is to get a message, when a copy was written, what was confirmed. Out: copies that are due to be sent again. A
//! receiver is known by the key of its connection, so that what it has not confirmed waits under this key when its row
//! ends, for a connection that goes on with it. Its timers rest meanwhile.
//!
//! A copy's timer runs from when it was written until it is confirmed or sent again; a message has one for its end. What
//! became of each copy is summed up in [`Outcomes`].
//!
//! Not done here: what belongs to what, which is `index.rs`, and queueing, which `delivery::retry` does.

mod index;

pub use index::{CopyKey, Receiver};

use rustc_hash::FxHashMap;

use self::index::{Copy, Index};
use super::chains::{Chain, Links};
use super::fingerprints::Label;
use super::messages::{Description, Topic};
use super::outcomes::{OutcomeLimits, Outcomes, Verdict};
use super::{MessageId, Messages, OutcomeId, Wheel};

/// What the table allows.
#[derive(Clone, Copy, Debug)]
pub struct InFlightLimits {
    /// Copies over all receivers.
    pub copies: usize,
    /// Copies of one receiver. Beyond it the oldest is given up.
    pub copies_per_receiver: usize,
    /// Copies of all receivers of one user. Beyond it the oldest is given up.
    pub copies_per_user: usize,
    /// What the messages of which there are copies take of the memory, their retries included.
    pub bytes: usize,
    /// How often a copy is sent again.
    pub retries: u32,
    /// How long a written copy may stay unconfirmed before the first retry, in milliseconds; twice as long before each
    /// further one.
    pub timeout_ms: u64,
}

/// A copy that is due to be sent again, or to be judged after its receiver has come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The copy.
    pub key: CopyKey,
    /// The receiver's row.
    pub slot: u32,
    /// The message.
    pub message: MessageId,
    /// Whether the receiver's last connection has written it.
    pub is_written: bool,
    /// Whether a position past it says nothing.
    pub is_doubtful: bool,
}

/// Copies that were given up.
#[derive(Debug, Default)]
pub struct GivenUp {
    /// How many.
    pub copies: usize,
    /// Their retries, which are not to be sent any more.
    pub obsolete: Vec<Obsolete>,
}

/// A retry that a row perhaps still has in its queue, of a message that is given up.
#[derive(Clone, Copy, Debug)]
pub struct Obsolete {
    /// The retry. It lives as long as a queue holds it.
    pub retry: MessageId,
    /// The receiver's row.
    pub slot: u32,
    /// The message.
    pub description: Description,
    /// Whether the receiver's last connection has written any copy.
    pub is_written: bool,
}

/// What time has brought.
#[derive(Debug, Default)]
pub struct Expiry {
    /// What is to be sent again.
    pub due: Vec<Due>,
    /// What has ended.
    pub given_up: GivenUp,
}

/// Sums since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct InFlightTotals {
    /// Copies that were confirmed.
    pub confirmed: u64,
    /// Copies given up.
    pub given_up: u64,
    /// Those of them that gave way to newer ones, at the limit of their receiver or its user.
    pub displaced: u64,
    /// Copies that were written and not held, because the table was full.
    pub unheld: u64,
    /// Copies of reliable messages for receivers that do not confirm.
    pub unconfirmable: u64,
    /// Copies sent again.
    pub retries: u64,
}

/// The table.
pub struct InFlight {
    /// How the receivers have confirmed what senders ask about.
    pub outcomes: Outcomes,
    /// Sums.
    pub totals: InFlightTotals,
    limits: InFlightLimits,
    index: Index,
    /// By copy: when it is due.
    timers: Wheel,
    /// By message: when it expires.
    ends: Wheel,
    /// Messages that have expired and still have copies, which end one by one.
    ending: Chain,
    ending_links: Links,
}

impl InFlight {
    /// An empty table.
    pub fn new(limits: InFlightLimits, outcomes: OutcomeLimits) -> Self {
        Self {
            outcomes: Outcomes::new(outcomes),
            totals: InFlightTotals::default(),
            limits,
            index: Index::default(),
            timers: Wheel::default(),
            ends: Wheel::default(),
            ending: Chain::default(),
            ending_links: Links::default(),
        }
    }

    /// Copies in flight.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether nothing is in flight.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether so many more copies of a message fit.
    pub fn has_room(&self, copies: usize) -> bool {
        self.len() + copies <= self.limits.copies && self.index.bytes() < self.limits.bytes
    }

    /// Holds a message for its receivers. There must be room. Returns what gave way to it.
    pub fn hold(
        &mut self,
        id: MessageId,
        receivers: impl IntoIterator<Item = Receiver>,
        outcome: Option<OutcomeId>,
        expires_ms: u64,
        messages: &mut Messages,
    ) -> GivenUp {
        let mut given_up = GivenUp::default();
        for receiver in receivers {
            let message = self.track(id, outcome, expires_ms, messages);
            self.index.insert(message, &receiver, true);
            self.give_way(&receiver, &mut given_up, messages);
        }
        given_up
    }

    /// A copy was completely written to the row of `receiver`. One that nobody has held yet, because it was fed from history, is
    /// held from now on for who is `confirming`. What gives way to it is added to `given_up`. Returns whether a message was
    /// freed by that.
    #[must_use]
    pub fn note_written(
        &mut self,
        id: MessageId,
        receiver: u64,
        confirming: Option<Receiver>,
        times: WriteTimes,
        given_up: &mut GivenUp,
        messages: &mut Messages,
    ) -> bool {
        let description = *messages.description(id);
        if let Some(copy) = self.index.find(receiver, description.label, id) {
            self.begin_to_wait(copy, times.now_ms);
            return false;
        }
        let is_waited_for = description.place.is_some() && times.expires_ms > times.now_ms;
        let Some(receiver) = confirming.filter(|_| is_waited_for) else {
            return false;
        };
        if !self.has_room(1) {
            self.totals.unheld += 1;
            return false;
        }
        let message = self.track(id, None, times.expires_ms, messages);
        let copy = self.index.insert(message, &receiver, false);
        self.begin_to_wait(copy, times.now_ms);
        self.give_way(&receiver, given_up, messages)
    }

    fn begin_to_wait(&mut self, copy: u32, now_ms: u64) {
        let row = self.index.copy_mut(copy);
        (row.is_written, row.is_known) = (true, true);
        row.writes += 1;
        if self.index.row_of(copy).is_some() {
            self.arm(copy, now_ms);
        }
    }

    /// A receiver has handled the messages of a label. Returns how many copies that confirms; those that are not written
    /// cannot have been handled.
    pub fn confirm(&mut self, receiver: u64, label: Label, messages: &mut Messages) -> usize {
        let copies = self.index.labelled(receiver, label);
        let known: Vec<u32> = copies.filter(|&copy| self.index.copy(copy).is_known).collect();
        for &copy in &known {
            self.end(copy, Verdict::Confirmed, messages);
        }
        known.len()
    }

    /// A newer message of the topic was published: the older one is not sent again.
    pub fn replace(&mut self, topic: Topic, messages: &mut Messages) -> GivenUp {
        let mut given_up = GivenUp::default();
        if let Some(message) = self.index.find_topic(topic) {
            self.give_up(message, usize::MAX, &mut given_up, messages);
        }
        given_up
    }

    /// The message is past its own expiry, before its end may have come here: [`InFlight::expire`] gives it up for all
    /// receivers.
    pub fn expire_now(&mut self, id: MessageId) {
        if let Some(message) = self.index.find_message(id).filter(|&message| self.ends.due_ms(message).is_some()) {
            self.ends.disarm(message);
            self.ending_links.append(&mut self.ending, message);
        }
    }

    /// Whether copies of the message are in flight. It is kept then.
    pub fn holds(&self, id: MessageId) -> bool {
        self.index.find_message(id).is_some()
    }

    /// The receiver will not get what it has not got of these positions, or its own position passes them. Returns how many
    /// copies it has.
    pub fn doubt(&mut self, receiver: u64, messages: &Messages, is_lost: impl Fn(&Description) -> bool) -> usize {
        let copies = self.copies_of(receiver);
        for &copy in &copies {
            let is_lost = is_lost(messages.description(self.index.message_of(copy).id));
            self.index.copy_mut(copy).is_doubtful |= is_lost;
        }
        copies.len()
    }

    /// Copies that left the receiver's queue although they were not written are due like those that were; not those of a
    /// receiver that is gone, which wait. Returns how many copies it has.
    pub fn miss(&mut self, receiver: u64, now_ms: u64, is_lost: impl Fn(MessageId) -> bool) -> usize {
        if self.index.row(receiver).is_none() {
            return 0;
        }
        let copies = self.copies_of(receiver);
        for &copy in &copies {
            let tracked = self.index.message_of(copy);
            let is_missed = is_lost(tracked.id) || tracked.retry.is_some_and(&is_lost);
            if is_missed && self.timers.due_ms(copy).is_none() {
                self.arm(copy, now_ms);
            }
        }
        copies.len()
    }

    /// The receiver will not write what `is_gone`: copies of it that had yet to be written are given up. Those that are written
    /// may be confirmed until they are due.
    pub fn abandon(
        &mut self,
        receiver: u64,
        messages: &mut Messages,
        is_gone: impl Fn(MessageId, &Description) -> bool,
    ) -> GivenUp {
        let mut given_up = GivenUp::default();
        for copy in self.copies_of(receiver) {
            let id = self.index.message_of(copy).id;
            if self.timers.due_ms(copy).is_none() && is_gone(id, messages.description(id)) {
                self.give_up_copy(copy, &mut given_up, messages);
            }
        }
        given_up
    }

    /// Copies of one receiver.
    pub fn len_of(&self, receiver: u64) -> usize {
        self.index.received(receiver).count()
    }

    /// The receiver's row ends: what it has not confirmed waits.
    pub fn park(&mut self, receiver: u64) {
        for copy in self.copies_of(receiver) {
            self.timers.disarm(copy);
        }
        self.index.park(receiver);
    }

    /// What waits for `old` is `new`'s; in the order of publication.
    pub fn adopt(&mut self, old: u64, new: &Receiver) -> Vec<CopyKey> {
        let copies = self.copies_of(old);
        for &copy in &copies {
            self.index.give(copy, new);
        }
        copies.into_iter().map(|copy| self.index.key(copy)).collect()
    }

    /// What is known of a copy, if it has not ended and its receiver has a row.
    pub fn find(&self, key: CopyKey) -> Option<Due> {
        self.due(self.index.resolve(key)?)
    }

    /// Moves time on. Messages that have expired are given up, and so are copies that were sent again often enough; the
    /// others that are due come out, and have no timer until they are written again. At most `budget` copies end or come
    /// out; what is left is due at once. Of a message that has expired nothing comes out.
    pub fn expire(&mut self, now_ms: u64, budget: usize, messages: &mut Messages) -> Expiry {
        let Expiry { mut due, mut given_up } = Expiry::default();
        let (mut ended, mut fired) = (Vec::new(), Vec::new());
        self.ends.expire(now_ms, budget, &mut ended);
        for message in ended {
            self.ending_links.append(&mut self.ending, message);
        }
        while let Some(message) = self.ending.first().filter(|_| given_up.copies < budget) {
            self.give_up(message, budget - given_up.copies, &mut given_up, messages);
        }
        self.timers.expire(now_ms, budget - given_up.copies, &mut fired);
        for copy in fired {
            if self.index.copy(copy).writes > self.limits.retries {
                self.end(copy, Verdict::GivenUp, messages);
                given_up.copies += 1;
            } else {
                due.extend(self.due(copy));
            }
        }
        Expiry { due, given_up }
    }

    /// When something is due next.
    pub fn next_due_ms(&self) -> Option<u64> {
        if !self.ending.is_empty() {
            return Some(0);
        }
        self.timers.next_due_ms().into_iter().chain(self.ends.next_due_ms()).min()
    }

    /// The copy was not queued, because its receiver takes nothing: it is due again as late as if it had just been written.
    pub fn postpone(&mut self, key: CopyKey, now_ms: u64) {
        if let Some(copy) = self.index.resolve(key) {
            self.arm(copy, now_ms);
        }
    }

    /// The copy was not queued, because there is no room just now.
    pub fn postpone_to(&mut self, key: CopyKey, due_ms: u64) {
        if let Some(copy) = self.index.resolve(key) {
            self.timers.arm(copy, due_ms);
        }
    }

    /// The receiver's new connection has yet to write the copy. `is_doubtful` says that its position is past it already.
    pub fn begin_again(&mut self, key: CopyKey, is_doubtful: bool) {
        if let Some(copy) = self.copy_mut(key) {
            copy.is_written = false;
            copy.writes = copy.writes.saturating_sub(1);
            copy.is_doubtful |= is_doubtful;
        }
    }

    /// The message to queue for a retry, if one was made.
    pub fn retry_of(&self, key: CopyKey) -> Option<MessageId> {
        self.index.message_of(self.index.resolve(key)?).retry
    }

    /// `retry` has the bytes of the copy's message. One of its references is now this table's. The copy must be there.
    pub fn set_retry(&mut self, key: CopyKey, retry: MessageId, messages: &mut Messages) {
        let copy = self.index.resolve(key).expect("ok because its message was just read to make the retry");
        self.index.set_retry(copy, retry, messages);
    }

    /// The copy ends.
    pub fn settle(&mut self, key: CopyKey, verdict: Verdict, messages: &mut Messages) {
        if let Some(copy) = self.index.resolve(key) {
            self.end(copy, verdict, messages);
        }
    }

    /// Adds to the sums.
    pub const fn note(&mut self, verdict: Verdict, copies: u64) {
        *match verdict {
            Verdict::Confirmed => &mut self.totals.confirmed,
            Verdict::GivenUp => &mut self.totals.given_up,
            Verdict::Unconfirmable => &mut self.totals.unconfirmable,
        } += copies;
    }

    /// Returns whether a message was freed.
    fn end(&mut self, copy: u32, verdict: Verdict, messages: &mut Messages) -> bool {
        self.timers.disarm(copy);
        let removed = self.index.remove(copy, messages);
        if let Some(message) = removed.untracked {
            self.forget_end(message);
        }
        self.note(verdict, 1);
        if let Some(outcome) = removed.outcome {
            self.outcomes.count(outcome, verdict);
        }
        removed.is_freed
    }

    /// A message either has a timer for its end or is ending.
    fn forget_end(&mut self, message: u32) {
        if self.ends.due_ms(message).is_some() {
            self.ends.disarm(message);
        } else {
            self.ending_links.remove(&mut self.ending, message);
        }
    }

    /// Gives copies of a message up, at most `budget` of them.
    fn give_up(&mut self, message: u32, budget: usize, given_up: &mut GivenUp, messages: &mut Messages) {
        let copies: Vec<u32> = self.index.copies_of(message).take(budget).collect();
        for copy in copies {
            self.give_up_copy(copy, given_up, messages);
        }
    }

    /// Returns whether a message was freed.
    fn give_up_copy(&mut self, copy: u32, given_up: &mut GivenUp, messages: &mut Messages) -> bool {
        let tracked = self.index.message_of(copy);
        let (description, retry) = (*messages.description(tracked.id), tracked.retry);
        if let Some((Due { slot, is_written, .. }, retry)) = self.due(copy).zip(retry) {
            given_up.obsolete.push(Obsolete { retry, slot, description, is_written });
        }
        given_up.copies += 1;
        self.end(copy, Verdict::GivenUp, messages)
    }

    fn arm(&mut self, copy: u32, now_ms: u64) {
        let retries = self.index.copy(copy).writes.saturating_sub(1);
        let wait_ms = self.limits.timeout_ms.saturating_mul(1 << retries.min(30));
        self.timers.arm(copy, now_ms.saturating_add(wait_ms));
    }

    fn due(&self, copy: u32) -> Option<Due> {
        let slot = self.index.row_of(copy)?;
        let &Copy { is_written, is_doubtful, .. } = self.index.copy(copy);
        let message = self.index.message_of(copy).id;
        Some(Due { key: self.index.key(copy), slot, message, is_written, is_doubtful })
    }

    fn copy_mut(&mut self, key: CopyKey) -> Option<&mut Copy> {
        self.index.resolve(key).map(|copy| self.index.copy_mut(copy))
    }

    fn copies_of(&self, receiver: u64) -> Vec<u32> {
        self.index.received(receiver).collect()
    }

    /// A message, tracked from now on if it is not yet.
    fn track(&mut self, id: MessageId, outcome: Option<OutcomeId>, expires_ms: u64, messages: &mut Messages) -> u32 {
        if let Some(message) = self.index.find_message(id) {
            return message;
        }
        let message = self.index.track(id, outcome, messages);
        self.ends.arm(message, expires_ms);
        message
    }

    /// Over the limit of the receiver, or of its user, the oldest copy is given up. Returns whether a message was freed.
    fn give_way(&mut self, receiver: &Receiver, given_up: &mut GivenUp, messages: &mut Messages) -> bool {
        let InFlightLimits { copies_per_receiver, copies_per_user, .. } = self.limits;
        let Some(oldest) = self.index.oldest_beyond(receiver, copies_per_receiver, copies_per_user) else {
            return false;
        };
        self.totals.displaced += 1;
        self.give_up_copy(oldest, given_up, messages)
    }

    /// Adds the references that the table holds.
    pub fn count_references(&self, references: &mut FxHashMap<MessageId, u32>) {
        self.index.count_references(references);
    }

    /// Checks the relations, the timers and the outcomes.
    pub fn invariants(&self, messages: &Messages) {
        assert!(self.len() <= self.limits.copies);
        assert_eq!(self.ends.armed() + self.ending.len(), self.index.tracked_len());
        assert!(self.ending_links.iter(self.ending).all(|message| self.ends.due_ms(message).is_none()));
        self.index.invariants(messages);
        for copy in self.index.all().filter(|&copy| self.index.row_of(copy).is_none()) {
            assert!(self.timers.due_ms(copy).is_none(), "a timer of a receiver that is gone");
        }
        self.timers.invariants();
        self.ends.invariants();
        self.outcomes.invariants();
    }
}

/// When a copy was written, and when its message expires, in the loop's milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct WriteTimes {
    /// Now.
    pub now_ms: u64,
    /// The end of the message.
    pub expires_ms: u64,
}

#[cfg(test)]
mod tests;
