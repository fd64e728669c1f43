//! Cursors: how far rows that are behind were fed from history. A side table; a row that is live has none.

use rustc_hash::FxHashMap;

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
}

impl Cursors {
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

    /// The rows to which a message of this place and priority is still to be fed.
    pub fn awaiting(&self, place: Place, priority: Priority) -> Vec<u32> {
        let is_its = |cursor: &Cursor| (cursor.session, cursor.priority) == (place.session, priority);
        let waits = |cursor: &Cursor| is_its(cursor) && cursor.seq < place.seq && place.seq <= cursor.end;
        self.rows.iter().filter(|(_, cursors)| cursors.iter().any(waits)).map(|(slot, _)| *slot).collect()
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
            None => list.push(cursor),
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
        let is_behind = !cursors.is_empty();
        if is_behind {
            self.rows.insert(slot, cursors);
        } else {
            self.rows.remove(&slot);
        }
        is_behind
    }
}
