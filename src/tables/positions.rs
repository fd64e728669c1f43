//! Positions that are owed to rows whose clients asked for them: where they stand after something did not arrive that
//! they might wait for. A side table; a row that is owed nothing and was told nothing has no entry.

use rustc_hash::FxHashMap;

use super::SessionId;
use crate::config::limits::POSITION_INTERVAL_MS;

#[derive(Debug, Default)]
struct Debt {
    /// Each with the position that it takes to settle the debt; zero until the first one is told.
    sessions: Vec<(SessionId, u64)>,
    /// When the next positions may be told.
    due_ms: u64,
}

/// The table.
#[derive(Debug, Default)]
pub struct Positions {
    /// By connection slot.
    rows: FxHashMap<u32, Debt>,
}

impl Positions {
    /// Rows that are owed positions or were told some.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row is to be told where it stands in a session, until that is at `settled_by` or beyond; zero for where the session
    /// is when the row is first told.
    pub(super) fn owe(&mut self, slot: u32, session: SessionId, settled_by: u64) {
        let sessions = &mut self.rows.entry(slot).or_default().sessions;
        match sessions.iter_mut().find(|(other, _)| *other == session) {
            Some((_, other)) => *other = settled_by,
            None => sessions.push((session, settled_by)),
        }
    }

    /// When what is owed may be told; `None` if nothing is.
    pub fn due_ms(&self, slot: u32) -> Option<u64> {
        self.rows.get(&slot).filter(|debt| !debt.sessions.is_empty()).map(|debt| debt.due_ms)
    }

    /// Takes what is owed, to be told now.
    pub(super) fn take(&mut self, slot: u32, now_ms: u64) -> Vec<(SessionId, u64)> {
        let Some(debt) = self.rows.get_mut(&slot) else {
            return Vec::new();
        };
        debt.due_ms = now_ms + POSITION_INTERVAL_MS;
        std::mem::take(&mut debt.sessions)
    }

    /// Forgets the row.
    pub(super) fn forget(&mut self, slot: u32) {
        self.rows.remove(&slot);
    }

    /// Checks that a row is owed one position for each session at most.
    pub(super) fn invariants(&self) {
        for Debt { sessions, .. } in self.rows.values() {
            for (at, (session, _)) in sessions.iter().enumerate() {
                assert!(!sessions[..at].iter().any(|(other, _)| other == session), "two positions in one session");
            }
        }
    }

    /// Whether anything is owed to the row.
    pub(super) fn is_owed(&self, slot: u32) -> bool {
        self.rows.get(&slot).is_some_and(|debt| !debt.sessions.is_empty())
    }
}
