//! Outcomes: how the receivers of a message have confirmed it, for senders that want to know.
//!
//! In: how many receivers a message has, and what becomes of each. Out: the sums, once nothing changes any more and
//! somebody is to be told. A row lives until then; messages expire, so that does not take long.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;
use slab::Slab;

use super::fingerprints::Label;
use super::{ConnId, Counts, OutcomeId, SessionId};

/// What the table allows.
#[derive(Clone, Copy, Debug)]
pub struct OutcomeLimits {
    /// Outcomes over all senders.
    pub rows: usize,
    /// Outcomes of one sender.
    pub rows_per_sender: usize,
}

/// What became of one receiver's copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has confirmed it.
    Confirmed,
    /// Its time or its attempts ran out, it gave way at a limit, or a newer message of its key came.
    GivenUp,
    /// The receiver does not confirm.
    Unconfirmable,
}

/// Who is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watcher {
    /// A client: the personal session of its user, and the public id of its connection. It may go on with another one.
    Client(SessionId, u128),
    /// An HTTP request that waits.
    Request(ConnId),
}

/// An outcome that does not change any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The message's id.
    pub id: Box<str>,
    /// The position it took.
    pub seq: Option<u64>,
    /// The sums.
    pub counts: Counts,
    /// What this message is remembered by, so that its sender may ask again.
    pub memory: Option<u128>,
    /// Who is to be told.
    pub watchers: Vec<Watcher>,
}

struct Row {
    outcome: Outcome,
    sender: Label,
    /// Whether the row may end: who is to be told is known, and be it nobody.
    is_watched: bool,
    is_finished: bool,
}

/// The table.
pub struct Outcomes {
    rows: Slab<Row>,
    generations: Vec<u32>,
    /// Rows whose watchers are to be told now, in the order in which they were settled.
    finished: VecDeque<u32>,
    /// How many rows each sender has; none has zero. Labels are hashes already.
    by_sender: FxHashMap<Label, usize>,
    limits: OutcomeLimits,
}

impl Outcomes {
    /// An empty table.
    pub fn new(limits: OutcomeLimits) -> Self {
        Self {
            rows: Slab::new(),
            generations: Vec::new(),
            finished: VecDeque::new(),
            by_sender: FxHashMap::default(),
            limits,
        }
    }

    /// Outcomes that are not told yet.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether there is no room for one more.
    pub fn is_full(&self) -> bool {
        self.rows.len() >= self.limits.rows
    }

    /// Whether a sender has as many as it may.
    pub fn is_full_for(&self, sender: Label) -> bool {
        self.by_sender.get(&sender).is_some_and(|&rows| rows >= self.limits.rows_per_sender)
    }

    /// Whether somebody is to be told now.
    pub fn has_finished(&self) -> bool {
        !self.finished.is_empty()
    }

    /// Begins to count for a sender. There must be room.
    #[must_use]
    pub fn open(&mut self, sender: Label, id: &str, seq: Option<u64>, counts: Counts) -> OutcomeId {
        assert!(!self.is_full() && !self.is_full_for(sender), "an outcome beyond the limit");
        *self.by_sender.entry(sender).or_default() += 1;
        let outcome = Outcome { id: id.into(), seq, counts, memory: None, watchers: Vec::new() };
        let slot = self.rows.insert(Row { outcome, sender, is_watched: false, is_finished: false });
        if self.generations.len() <= slot {
            self.generations.resize(slot + 1, 0);
        }
        OutcomeId { slot: slot as u32, generation: self.generations[slot] }
    }

    /// The sums so far, if the outcome is still here.
    pub fn counts(&self, id: OutcomeId) -> Option<Counts> {
        self.row(id).map(|row| row.outcome.counts)
    }

    /// How many are to be told.
    pub fn watchers(&self, id: OutcomeId) -> usize {
        self.row(id).map_or(0, |row| row.outcome.watchers.len())
    }

    /// The message may be asked for again by `memory`.
    pub fn remember(&mut self, id: OutcomeId, memory: u128) {
        if let Some(row) = self.row_mut(id) {
            row.outcome.memory = Some(memory);
        }
    }

    /// Counts what became of one copy.
    pub fn count(&mut self, id: OutcomeId, verdict: Verdict) {
        let Some(row) = self.row_mut(id) else {
            return;
        };
        let counts = &mut row.outcome.counts;
        *match verdict {
            Verdict::Confirmed => &mut counts.confirmed,
            Verdict::GivenUp => &mut counts.expired,
            Verdict::Unconfirmable => &mut counts.unconfirmable,
        } += 1;
        self.finish(id);
    }

    /// Tells `watcher` in the end. Returns whether there is still something to be told.
    pub fn watch(&mut self, id: OutcomeId, watcher: Watcher) -> bool {
        let Some(row) = self.row_mut(id) else {
            return false;
        };
        row.is_watched = true;
        if !row.outcome.watchers.contains(&watcher) {
            row.outcome.watchers.push(watcher);
        }
        self.finish(id);
        true
    }

    /// `watcher` does not want to know any more.
    pub fn leave(&mut self, id: OutcomeId, watcher: Watcher) {
        if let Some(row) = self.row_mut(id) {
            row.outcome.watchers.retain(|other| *other != watcher);
        }
    }

    /// Nobody more wants to know.
    pub fn abandon(&mut self, id: OutcomeId) {
        if let Some(row) = self.row_mut(id) {
            row.is_watched = true;
            self.finish(id);
        }
    }

    /// Takes an outcome whose watchers are to be told.
    pub fn next_finished(&mut self) -> Option<Outcome> {
        let slot = self.finished.pop_front()? as usize;
        self.generations[slot] = self.generations[slot].wrapping_add(1);
        let Row { outcome, sender, .. } = self.rows.remove(slot);
        let rows = self.by_sender.get_mut(&sender).expect("ok because the row was counted");
        *rows -= 1;
        if *rows == 0 {
            self.by_sender.remove(&sender);
        }
        Some(outcome)
    }

    fn finish(&mut self, id: OutcomeId) {
        let row = &mut self.rows[id.slot as usize];
        if row.is_watched && row.outcome.counts.are_settled() && !row.is_finished {
            row.is_finished = true;
            self.finished.push_back(id.slot);
        }
    }

    fn is_alive(&self, id: OutcomeId) -> bool {
        self.generations.get(id.slot as usize) == Some(&id.generation)
    }

    fn row(&self, id: OutcomeId) -> Option<&Row> {
        self.rows.get(id.slot as usize).filter(|_| self.is_alive(id))
    }

    fn row_mut(&mut self, id: OutcomeId) -> Option<&mut Row> {
        if self.is_alive(id) { self.rows.get_mut(id.slot as usize) } else { None }
    }

    /// Checks the sums and the list of those that are finished.
    pub fn invariants(&self) {
        assert!(self.rows.len() <= self.limits.rows);
        let mut by_sender = FxHashMap::default();
        for (_, row) in &self.rows {
            *by_sender.entry(row.sender).or_default() += 1;
        }
        assert_eq!(self.by_sender, by_sender);
        let finished = self.rows.iter().filter(|(_, row)| row.is_finished).count();
        assert_eq!(finished, self.finished.len());
        for (_, row) in &self.rows {
            let counts = row.outcome.counts;
            assert!(counts.confirmed + counts.expired + counts.unconfirmable <= counts.matched);
            assert_eq!(row.is_finished, row.is_watched && counts.are_settled());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: Counts = Counts { matched: 3, confirmed: 0, expired: 0, unconfirmable: 1 };

    const LIMITS: OutcomeLimits = OutcomeLimits { rows: 2, rows_per_sender: 2 };

    fn watcher(connection_id: u128) -> Watcher {
        Watcher::Client(SessionId { slot: 1, generation: 0 }, connection_id)
    }

    #[test]
    fn an_outcome_ends_once_all_is_settled_and_somebody_is_to_be_told() {
        let mut table = Outcomes::new(LIMITS);
        let id = table.open(1, "m", Some(7), TWO);
        table.count(id, Verdict::Confirmed);
        assert!(table.watch(id, watcher(1)) && table.watch(id, watcher(1)) && table.watch(id, watcher(2)));
        assert_eq!(table.watchers(id), 2);
        table.leave(id, watcher(2));
        assert!(table.watchers(id) == 1 && !table.has_finished());
        table.count(id, Verdict::GivenUp);
        table.invariants();
        let outcome = table.next_finished().unwrap();
        assert_eq!(outcome.counts, Counts { matched: 3, confirmed: 1, expired: 1, unconfirmable: 1 });
        assert_eq!((&*outcome.id, outcome.watchers), ("m", vec![watcher(1)]));
        assert!(table.is_empty() && !table.watch(id, watcher(1)) && table.counts(id).is_none());
    }

    #[test]
    fn a_settled_one_waits_for_who_is_to_be_told() {
        let mut table = Outcomes::new(LIMITS);
        let settled = Counts { matched: 1, unconfirmable: 1, ..Counts::default() };
        let [first, second] = ["a", "b"].map(|id| table.open(1, id, None, settled));
        assert!(table.is_full() && !table.has_finished());
        table.abandon(first);
        assert!(table.next_finished().unwrap().watchers.is_empty());
        table.watch(second, Watcher::Request(ConnId { slot: 3, generation: 1 }));
        assert_eq!(table.next_finished().unwrap().watchers.len(), 1);
        table.invariants();
    }

    #[test]
    fn one_sender_leaves_room_for_others() {
        let mut table = Outcomes::new(OutcomeLimits { rows: 3, rows_per_sender: 2 });
        let [first, _] = ["a", "b"].map(|id| table.open(1, id, None, Counts::default()));
        assert!(table.is_full_for(1) && !table.is_full_for(2) && !table.is_full());
        let _ = table.open(2, "c", None, Counts::default());
        assert!(table.is_full());
        table.abandon(first);
        assert!(table.next_finished().is_some());
        assert!(!table.is_full_for(1) && !table.is_full());
        table.invariants();
    }
}
