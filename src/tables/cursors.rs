//! Cursors: how far rows that are behind were fed from history. A side table; a row that is live has none.

use rustc_hash::{FxHashMap, FxHashSet};

use super::SessionId;
use super::messages::Place;
use crate::message::Priority;

/// Where one row stands in one session, for one priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The session.
    pub session: SessionId,
    /// Only messages of this priority are fed by it.
    pub priority: Priority,
    /// Everything of the priority up to this position was queued, is lost, or was never for the row.
    pub seq: u64,
    /// Nothing after this position is for the row: the session's head when the row left it, and no limit before.
    pub end: u64,
}

impl Cursor {
    /// Of a row that is in the session.
    pub const fn new(session: SessionId, priority: Priority, seq: u64) -> Self {
        Self { session, priority, seq, end: u64::MAX }
    }
}

/// The table.
#[derive(Debug, Default)]
pub struct Cursors {
    /// By connection slot; never empty lists.
    rows: FxHashMap<u32, Vec<Cursor>>,
    /// Slots by session in which they have a cursor; no empty sets.
    by_session: FxHashMap<SessionId, FxHashSet<u32>>,
}

impl Cursors {
    /// What the index takes for a row that is the only one behind in a session: places in two tables of which less than half may
    /// be in use.
    pub(super) const BYTES_PER_SESSION: usize =
        (size_of::<(SessionId, FxHashSet<u32>)>() + 1 + size_of::<u32>() + 1) * 16 / 7;

    /// Rows that are behind.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no row is behind.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row's cursors.
    pub fn of(&self, slot: u32) -> &[Cursor] {
        self.rows.get(&slot).map_or(&[], Vec::as_slice)
    }

    /// Whether messages of this session and priority reach the row by a cursor.
    pub fn feeds(&self, slot: u32, session: SessionId, priority: Priority) -> bool {
        self.of(slot).iter().any(|cursor| (cursor.session, cursor.priority) == (session, priority))
    }

    /// Rows that are behind in a session.
    pub fn behind_in(&self, session: SessionId) -> usize {
        self.by_session.get(&session).map_or(0, FxHashSet::len)
    }

    /// The rows to which a message of this place and priority is still to be fed. O(rows that are behind in its session).
    pub fn awaiting(&self, place: Place, priority: Priority) -> Vec<u32> {
        let is_its = |cursor: &Cursor| (cursor.session, cursor.priority) == (place.session, priority);
        let waits = |cursor: &Cursor| is_its(cursor) && cursor.seq < place.seq && place.seq <= cursor.end;
        let rows = self.by_session.get(&place.session).into_iter().flatten().copied();
        rows.filter(|&slot| self.of(slot).iter().any(waits)).collect()
    }

    /// The highest priority that is fed to the row.
    pub fn first_priority(&self, slot: u32) -> Option<Priority> {
        self.of(slot).iter().map(|cursor| cursor.priority).min_by_key(|priority| priority.index())
    }

    /// Adds a cursor, or moves the one that is there back.
    pub(super) fn add(&mut self, slot: u32, cursor: Cursor) {
        let list = self.rows.entry(slot).or_default();
        let same = |other: &&mut Cursor| (other.session, other.priority) == (cursor.session, cursor.priority);
        match list.iter_mut().find(same) {
            Some(other) => other.seq = other.seq.min(cursor.seq),
            None => {
                list.push(cursor);
                self.by_session.entry(cursor.session).or_default().insert(slot);
            }
        }
    }

    /// The row has left its sessions: nothing after the `head` of each is for it.
    pub(super) fn end(&mut self, slot: u32, head: impl Fn(SessionId) -> u64) {
        for cursor in self.rows.get_mut(&slot).into_iter().flatten() {
            cursor.end = head(cursor.session);
        }
    }

    /// Puts `cursors` in the place of the row's own; whether any are left.
    pub(super) fn replace(&mut self, slot: u32, cursors: Vec<Cursor>) -> bool {
        let before = self.rows.remove(&slot).unwrap_or_default();
        for cursor in before.iter().filter(|cursor| !is_in(cursor.session, &cursors)) {
            self.unlist(slot, cursor.session);
        }
        for cursor in cursors.iter().filter(|cursor| !is_in(cursor.session, &before)) {
            self.by_session.entry(cursor.session).or_default().insert(slot);
        }
        let is_behind = !cursors.is_empty();
        if is_behind {
            self.rows.insert(slot, cursors);
        }
        is_behind
    }

    fn unlist(&mut self, slot: u32, session: SessionId) {
        if let Some(slots) = self.by_session.get_mut(&session) {
            slots.remove(&slot);
            if slots.is_empty() {
                self.by_session.remove(&session);
            }
        }
    }

    /// Checks that rows and sessions know each other, and that a row is fed each priority of a session by one cursor.
    pub fn invariants(&self) {
        assert!(self.rows.values().all(|cursors| !cursors.is_empty()));
        for cursors in self.rows.values() {
            let what = |cursor: &Cursor| (cursor.session, cursor.priority);
            assert!(
                cursors.iter().enumerate().all(|(at, cursor)| !cursors[..at].iter().any(|c| what(c) == what(cursor)))
            );
        }
        assert!(self.by_session.values().all(|slots| !slots.is_empty()));
        for (&slot, cursors) in &self.rows {
            assert!(cursors.iter().all(|cursor| self.by_session[&cursor.session].contains(&slot)));
        }
        for (&session, slots) in &self.by_session {
            assert!(slots.iter().all(|&slot| is_in(session, self.of(slot))));
        }
    }
}

fn is_in(session: SessionId, cursors: &[Cursor]) -> bool {
    cursors.iter().any(|cursor| cursor.session == session)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn session(slot: u32) -> SessionId {
        SessionId { slot, generation: 0 }
    }

    #[test]
    fn a_message_is_awaited_by_rows_whose_cursor_is_before_it_and_ends_behind_it() {
        let mut cursors = Cursors::default();
        for (slot, seq) in [(1, 4), (2, 5), (3, 4)] {
            cursors.add(slot, Cursor::new(session(0), Priority::Low, seq));
        }
        cursors.end(3, |_| 4);
        cursors.add(4, Cursor::new(session(0), Priority::Normal, 0));
        cursors.add(5, Cursor::new(session(1), Priority::Low, 0));
        let awaiting = |seq| {
            let mut rows = cursors.awaiting(Place { session: session(0), seq }, Priority::Low);
            rows.sort_unstable();
            rows
        };
        assert_eq!((awaiting(4), awaiting(5), awaiting(6)), (vec![], vec![1], vec![1, 2]));
        assert_eq!((cursors.behind_in(session(0)), cursors.behind_in(session(2))), (4, 0));
    }

    proptest! {
        #[test]
        fn rows_and_sessions_know_each_other(
            steps in prop::collection::vec((0_u32..3, prop::collection::btree_set((0_u32..4, 0_usize..3), 0..5), any::<bool>()), 0..40)
        ) {
            let mut cursors = Cursors::default();
            for (slot, named, is_added) in steps {
                let named = named.into_iter().map(|(at, priority)| Cursor::new(session(at), Priority::ALL[priority], 1));
                if is_added {
                    named.for_each(|cursor| cursors.add(slot, cursor));
                } else {
                    cursors.replace(slot, named.collect());
                }
                cursors.invariants();
            }
        }
    }
}
