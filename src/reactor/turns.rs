//! Whose turn it is to be read.
//!
//! A row that has something new comes before rows whose last turn left something over: one message waits for the rest of
//! a tick, and not until every busy row has had a turn. Among themselves both kinds are served first come, first served.

use std::collections::VecDeque;

/// What a row comes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Something new.
    Fresh,
    /// What its last turn left over.
    Carried,
}

/// Rows to read, each once.
#[derive(Default)]
pub(super) struct Turns {
    fresh: VecDeque<u32>,
    carried: VecDeque<u32>,
}

impl Turns {
    pub(super) fn push(&mut self, slot: u32, turn: Turn) {
        self.list(turn).push_back(slot);
    }

    pub(super) fn pop(&mut self, turn: Turn) -> Option<u32> {
        self.list(turn).pop_front()
    }

    pub(super) fn len(&self, turn: Turn) -> usize {
        match turn {
            Turn::Fresh => self.fresh.len(),
            Turn::Carried => self.carried.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.carried.is_empty()
    }

    fn list(&mut self, turn: Turn) -> &mut VecDeque<u32> {
        match turn {
            Turn::Fresh => &mut self.fresh,
            Turn::Carried => &mut self.carried,
        }
    }
}
