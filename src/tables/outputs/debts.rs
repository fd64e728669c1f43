//! What rows are owed: gaps, each told before what leaves after the loss, and positions.

use super::{BLOCKED, OWES, OWES_POSITION, Outputs, TRACKED};
use crate::config::limits::OWED_APART_MAX;
use crate::message::Priority;
use crate::tables::owed::{Owed, merge};
use crate::tables::{MessageId, Messages, SessionId};

impl Outputs {
    /// Rows that are owed gaps.
    pub fn owing(&self) -> usize {
        self.owed.len()
    }

    /// Rows that are owed positions or were told some.
    pub fn tracked(&self) -> usize {
        self.positions.len()
    }

    /// Notes a loss; losses of one session that are not told yet become one range.
    pub fn owe(&mut self, slot: u32, loss: Owed) {
        let list = self.owed.entry(slot).or_default();
        let may_widen = list.len() >= OWED_APART_MAX;
        let merged = list.iter_mut().any(|owed| merge(owed, loss, may_widen));
        if !merged {
            list.push(loss);
        }
        self.rows[slot as usize].flags |= OWES;
    }

    /// Takes what is owed, to be told now.
    pub fn take_owed(&mut self, slot: u32) -> Vec<Owed> {
        let row = &mut self.rows[slot as usize];
        if row.flags & OWES == 0 {
            return Vec::new();
        }
        row.flags &= !OWES;
        self.owed.remove(&slot).unwrap_or_default()
    }

    /// Puts a gap before all messages of its session that the row holds, and behind the answer that says that the row is in
    /// it. One of messages without a session goes before those of any. O(high ring).
    pub fn push_gap(&mut self, slot: u32, session: Option<SessionId>, id: MessageId, messages: &Messages) {
        let ring = &mut self.rows[slot as usize].rings[0];
        let waiting: Vec<u32> = std::iter::from_fn(|| self.pool.pop(ring)).collect();
        let is_late = |value: &u32| {
            let place = messages.description(MessageId(*value)).place;
            place.is_some_and(|place| session.is_none_or(|session| place.session == session))
        };
        let (before, behind) = waiting.split_at(waiting.iter().position(is_late).unwrap_or(waiting.len()));
        for &value in before {
            self.pool.push(ring, value);
        }
        self.push(slot, Priority::High, id, messages.frame(id).len() as u32);
        let ring = &mut self.rows[slot as usize].rings[0];
        for &value in behind {
            self.pool.push(ring, value);
        }
    }

    /// The client asked for its positions.
    pub fn track(&mut self, slot: u32) {
        self.rows[slot as usize].flags |= TRACKED;
    }

    /// The row is to be told where it stands in a session, if its client asked for that.
    pub fn owe_position(&mut self, slot: u32, session: SessionId) {
        let row = &mut self.rows[slot as usize];
        if row.flags & TRACKED == 0 {
            return;
        }
        let owed_before = row.flags & OWES_POSITION != 0;
        row.flags |= OWES_POSITION;
        self.positions.owe(slot, session, 0);
        // The first visit tells it, or arms the timer for it.
        if !owed_before {
            self.list(slot, Priority::High);
        }
    }

    /// The row was told a position below the one that would settle its debt: it is told again later.
    pub fn owe_position_still(&mut self, slot: u32, session: SessionId, settled_by: u64) {
        self.rows[slot as usize].flags |= OWES_POSITION;
        self.positions.owe(slot, session, settled_by);
    }

    /// When positions that are owed may be told; never while the row is blocked.
    pub fn position_due_ms(&self, slot: u32) -> Option<u64> {
        let owes = self.rows[slot as usize].flags & (OWES_POSITION | BLOCKED) == OWES_POSITION;
        owes.then(|| self.positions.due_ms(slot)).flatten()
    }

    /// Puts a row whose positions have become due on a dirty list.
    pub fn mark_position(&mut self, slot: u32) {
        if self.rows[slot as usize].flags & OWES_POSITION != 0 {
            self.list(slot, Priority::High);
        }
    }

    /// Takes the sessions whose positions are owed, to be told now, and the position that settles each debt; zero for the
    /// session's present one.
    pub fn take_positions(&mut self, slot: u32, now_ms: u64) -> Vec<(SessionId, u64)> {
        let flags = &mut self.rows[slot as usize].flags;
        if *flags & OWES_POSITION == 0 {
            return Vec::new();
        }
        *flags &= !OWES_POSITION;
        self.positions.take(slot, now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, store};
    use super::*;
    use crate::tables::owed::Reason;

    #[test]
    fn a_gap_goes_before_what_is_of_its_session_and_behind_the_answer_to_the_join() {
        let mut bench = Bench::new();
        bench.push(Priority::High, b"welcome ");
        bench.push_of_session(Priority::High, b"first ");
        bench.push(Priority::High, b"joined-another ");
        for (gap, session) in [(&b"gap "[..], Some(0)), (b"gap-of-another ", Some(1)), (b"direct ", None)] {
            let id = store(&mut bench.messages, Priority::High, gap);
            let session = session.map(|slot| SessionId { slot, generation: 0 });
            bench.outputs.push_gap(0, session, id, &bench.messages);
        }
        assert_eq!(bench.write(100), b"welcome gap direct first joined-another gap-of-another ");
    }

    #[test]
    fn losses_that_are_not_told_yet_become_one() {
        let mut bench = Bench::new();
        let direct = |count| Owed::Direct { count, reason: Reason::QueueOverflow };
        bench.outputs.owe(0, direct(1));
        bench.outputs.owe(0, direct(2));
        assert_eq!(bench.outputs.take_owed(0), [direct(3)]);
        assert!(bench.outputs.take_owed(0).is_empty());
    }

    #[test]
    fn what_has_expired_is_told_position_by_position_while_it_is_little() {
        let mut bench = Bench::new();
        let session = SessionId { slot: 0, generation: 0 };
        let loss = |from, to, reason| Owed::Session { session, from, to, reason };
        for seq in [1, 9] {
            bench.outputs.owe(0, loss(seq, seq, Reason::HistoryEvicted));
        }
        for seq in [3, 5, 4] {
            bench.outputs.owe(0, loss(seq, seq, Reason::Expired));
        }
        let told = [(1, 9, Reason::HistoryEvicted), (3, 4, Reason::Expired), (5, 5, Reason::Expired)];
        assert_eq!(bench.outputs.take_owed(0), told.map(|(from, to, reason)| loss(from, to, reason)));
        for seq in (1..=1000).step_by(2) {
            bench.outputs.owe(0, loss(seq, seq, Reason::Expired));
        }
        assert_eq!(bench.outputs.take_owed(0).len(), OWED_APART_MAX);
    }
}
