//! Rows that are behind: what leaves their rings for cursors, and where they stand in a session.

use super::{BEHIND, OWES_POSITION, Outputs, TRACKED};
use crate::message::Priority;
use crate::tables::cursors::Cursor;
use crate::tables::{MessageId, Messages, SessionId, Sessions};

impl Outputs {
    /// The row's messages of sessions leave its normal and low rings; history will feed it.
    pub fn fall_behind(&mut self, slot: u32, messages: &mut Messages) {
        let mut cursors = Vec::new();
        for priority in [Priority::Normal, Priority::Low] {
            self.retain(slot, priority, messages, |messages, id| match messages.description(id).place {
                Some(place) => {
                    cursors.push(Cursor::new(place.session, priority, place.seq - 1));
                    false
                }
                None => true,
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

    /// The row is to be told where it stands in a session, if its client asked for that.
    pub fn owe_position(&mut self, slot: u32, session: SessionId) {
        let row = &mut self.rows[slot as usize];
        if row.flags & TRACKED != 0 {
            row.flags |= OWES_POSITION;
            self.positions.owe(slot, session, 0);
            self.list(slot, Priority::High);
        }
    }

    /// The row was told a position below the one that would settle its debt: it is told again later.
    pub fn owe_position_still(&mut self, slot: u32, session: SessionId, settled_by: u64) {
        self.rows[slot as usize].flags |= OWES_POSITION;
        self.positions.owe(slot, session, settled_by);
    }

    /// When positions that are owed may be told.
    pub fn position_due_ms(&self, slot: u32) -> Option<u64> {
        let owes = self.rows[slot as usize].flags & OWES_POSITION != 0;
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

    /// Where the row stands in a session whose newest position is `head`: before the lowest message that it still waits
    /// for. O(queue); asked once a second at most.
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
