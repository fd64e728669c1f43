//! Rows that are behind: what leaves their rings for cursors, and where they stand in a session.

use super::{BEHIND, Outputs};
use crate::message::Priority;
use crate::tables::cursors::Cursor;
use crate::tables::{MessageId, Messages, SessionId, Sessions};

impl Outputs {
    /// The row's messages of sessions leave its normal and low rings, and its high one if they came from history; history
    /// will feed it.
    pub fn fall_behind(&mut self, slot: u32, messages: &mut Messages) {
        let is_high = |cursor: &&Cursor| cursor.priority == Priority::High;
        let replayed: Vec<_> = self.cursors.of(slot).iter().filter(is_high).map(|cursor| cursor.session).collect();
        let mut cursors = Vec::new();
        for priority in Priority::ALL {
            let is_fed = |session| priority != Priority::High || replayed.contains(&session);
            self.retain(slot, priority, messages, |messages, id| match messages.description(id).place {
                Some(place) if is_fed(place.session) => {
                    cursors.push(Cursor::new(place.session, priority, place.seq - 1));
                    false
                }
                _ => true,
            });
        }
        self.add_cursors(slot, cursors);
    }

    /// Everything of a session after `seq` will be fed to the row from history, and not what is queued of it.
    pub fn resume_after(&mut self, slot: u32, session: SessionId, seq: u64, messages: &mut Messages) {
        for priority in Priority::ALL {
            self.retain(slot, priority, messages, |messages, id| {
                messages.description(id).place.is_none_or(|place| place.session != session)
            });
        }
        self.add_cursors(slot, Priority::ALL.map(|priority| Cursor::new(session, priority, seq)));
        self.mark(slot);
    }

    /// Whether a ring of the row holds anything of a session.
    pub fn holds(&self, slot: u32, session: SessionId, priority: Priority, messages: &Messages) -> bool {
        self.ring(slot, priority).any(|id| messages.description(id).place.is_some_and(|place| place.session == session))
    }

    fn add_cursors(&mut self, slot: u32, cursors: impl IntoIterator<Item = Cursor>) {
        for cursor in cursors {
            self.cursors.add(slot, cursor);
            self.rows[slot as usize].flags |= BEHIND;
        }
    }

    /// Puts `cursors` in the place of the row's own. Without any, the row is live.
    pub fn set_cursors(&mut self, slot: u32, cursors: Vec<Cursor>) {
        let is_behind = self.cursors.replace(slot, cursors);
        let flags = &mut self.rows[slot as usize].flags;
        *flags = if is_behind { *flags | BEHIND } else { *flags & !BEHIND };
    }

    /// The row has left a session: what is queued of it goes, and nothing more is fed. What is `high` leaves before the
    /// answer to the leave.
    pub fn forget_session(&mut self, slot: u32, session: SessionId, messages: &mut Messages) {
        for priority in [Priority::Normal, Priority::Low] {
            self.retain(slot, priority, messages, |messages, id| {
                messages.description(id).place.is_none_or(|place| place.session != session)
            });
        }
        if self.is_behind(slot) {
            let others = self.cursors.of(slot).iter().filter(|cursor| cursor.session != session).copied().collect();
            self.set_cursors(slot, others);
        }
    }

    /// The row leaves its sessions, and what was published before still goes out.
    pub fn end_feeding(&mut self, slot: u32, sessions: &Sessions) {
        self.cursors.end(slot, |session| sessions.head(session));
    }

    /// Where the row stands in a session whose newest position is `head`: before the lowest message that it still waits
    /// for. O(queue): a client that asks is charged for it, else it is told once a second at most.
    pub fn position(&self, slot: u32, session: SessionId, head: u64, messages: &Messages) -> u64 {
        self.position_behind(slot, [0; 3], session, head, messages)
    }

    /// As [`Outputs::position`], once the first `taken` entries of each ring have left.
    pub fn position_behind(
        &self,
        slot: u32,
        taken: [usize; 3],
        session: SessionId,
        head: u64,
        messages: &Messages,
    ) -> u64 {
        let row = &self.rows[slot as usize];
        let partial = (row.partial != MessageId::NONE).then_some(MessageId(row.partial));
        let ring = |priority: Priority| self.ring(slot, priority).skip(taken[priority.index()]);
        let queued = Priority::ALL.into_iter().flat_map(ring).chain(partial);
        let places = queued.filter_map(|id| messages.description(id).place);
        let before = places.filter(|place| place.session == session).map(|place| place.seq - 1);
        let fed = self.cursors.of(slot).iter().filter(|cursor| cursor.session == session).map(|cursor| cursor.seq);
        before.chain(fed).fold(head, u64::min)
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::*;
    use crate::tables::messages::{Description, Place};

    #[test]
    fn what_is_queued_of_a_session_goes_when_the_row_leaves_it() {
        let session = SessionId { slot: 1, generation: 0 };
        let mut bench = Bench::new();
        for (seq, priority) in (1..).zip(Priority::ALL) {
            let place = Some(Place { session, seq });
            let description = Description { place, ..Description::plain(priority, 0) };
            let message = bench.messages.store(b"of it ", description, 0).unwrap();
            bench.outputs.push(0, priority, message, 6);
        }
        bench.push(Priority::Low, b"of another");
        bench.outputs.forget_session(0, session, &mut bench.messages);
        bench.outputs.invariants(&bench.messages);
        bench.push(Priority::High, b"left ");
        assert_eq!(bench.write(100), b"of it left of another");
    }
}
