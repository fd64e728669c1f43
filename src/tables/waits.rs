//! Requests that wait for an outcome: what their answers will need.
//!
//! A row has one such request at most, and takes no other meanwhile. When it is answered is for [`Outcomes`] and the row's
//! deadline to say.

use rustc_hash::FxHashMap;

use super::OutcomeId;
use super::outcomes::Outcomes;

/// Whose answer comes later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// Whether its connection takes another request.
    pub keep_alive: bool,
    /// The page that asks, which may read the answer.
    pub origin: Option<Box<str>>,
}

/// A request that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// For this outcome.
    pub outcome: OutcomeId,
    /// How long at most, in milliseconds.
    pub timeout_ms: u64,
    /// The message's id.
    pub id: Box<str>,
    /// The position it took.
    pub seq: Option<u64>,
    /// Who asks.
    pub asker: Asker,
}

/// The table. A row has one wait at most, so it needs no limit of its own.
#[derive(Debug, Default)]
pub struct Waits {
    /// By connection slot.
    rows: FxHashMap<u32, Wait>,
}

impl Waits {
    /// Requests that wait.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether a request of the row waits.
    pub fn contains(&self, slot: u32) -> bool {
        self.rows.contains_key(&slot)
    }

    /// A row waits.
    pub fn insert(&mut self, slot: u32, wait: Wait) {
        let before = self.rows.insert(slot, wait);
        assert!(before.is_none(), "a row has one request that waits");
    }

    /// A row waits no longer.
    pub fn remove(&mut self, slot: u32) -> Option<Wait> {
        self.rows.remove(&slot)
    }

    /// Checks that what is waited for can still come.
    pub fn invariants(&self, outcomes: &Outcomes) {
        assert!(self.rows.values().all(|wait| outcomes.counts(wait.outcome).is_some()));
    }
}
