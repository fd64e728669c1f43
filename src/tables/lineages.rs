//! Who goes on for whom: the connections that a row has taken over, one after the other, and the row that any of them leads
//! to. A client may name the last connection that it knows of, even if another one went on for that and its welcome was lost.
//!
//! Rows are connections' slots, or places in the table of those that have ended. A row that has taken nothing over has no
//! entry.

use rustc_hash::FxHashMap;

use crate::config::limits::LINEAGE_MAX;

/// A connection that has ended, as the one that goes on for it knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its [key](super::connections::key_of).
    pub key: u64,
    /// When it ended, or was last named by its client, in the loop's milliseconds.
    pub ended_ms: u64,
}

/// The table.
#[derive(Debug, Default)]
pub struct Lineages {
    /// By row: those that it goes on for, the one that its client named first.
    rows: FxHashMap<u32, Vec<Ended>>,
    /// By the key of one of them: the row. The keys are our own random bits, so a fast hasher is safe.
    heirs: FxHashMap<u64, u32>,
}

impl Lineages {
    /// The row goes on for these.
    pub fn insert(&mut self, row: u32, lineage: Vec<Ended>) {
        assert!(lineage.len() <= LINEAGE_MAX, "a lineage without end");
        if lineage.is_empty() {
            return;
        }
        for ended in &lineage {
            self.heirs.insert(ended.key, row);
        }
        self.rows.insert(row, lineage);
    }

    /// Those that the row goes on for.
    pub fn of(&self, row: u32) -> &[Ended] {
        self.rows.get(&row).map_or(&[], Vec::as_slice)
    }

    /// The row that goes on for a connection.
    pub fn heir(&self, key: u64) -> Option<u32> {
        self.heirs.get(&key).copied()
    }

    /// The row ends; those that it went on for.
    pub fn remove(&mut self, row: u32) -> Vec<Ended> {
        let lineage = self.rows.remove(&row).unwrap_or_default();
        for ended in &lineage {
            // Another row may have taken it over since.
            if self.heirs.get(&ended.key) == Some(&row) {
                self.heirs.remove(&ended.key);
            }
        }
        lineage
    }

    /// Rows that go on for others.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Checks that every heir goes on for the connection.
    pub fn invariants(&self) {
        let goes_on = |(key, row): (&u64, &u32)| self.of(*row).iter().any(|ended| ended.key == *key);
        assert!(self.heirs.iter().all(goes_on));
        assert!(self.rows.values().all(|lineage| !lineage.is_empty()));
    }
}

/// The lineage of a connection that goes on for one with the lineage `old`, whose client named `named`. That one comes first and
/// lives on; others that ended `life_ms` ago are forgotten, as nothing is kept any more that is hidden from them, and so are
/// the last of too many.
pub fn inherited(old: &[Ended], named: u64, now_ms: u64, life_ms: u64) -> Vec<Ended> {
    let others = old.iter().filter(|ended| ended.key != named && ended.ended_ms + life_ms > now_ms);
    [Ended { key: named, ended_ms: now_ms }].into_iter().chain(others.copied()).take(LINEAGE_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE_MS: u64 = 100;

    /// Connections 1, 2, 3 and so on, each of which goes on for the one before it; the lineage that the last leaves.
    fn chain(len: u64, named: impl Fn(u64) -> u64) -> Vec<Ended> {
        let mut old = vec![Ended { key: 1, ended_ms: 1 }];
        for connection in 2..=len {
            let lineage = inherited(&old, named(connection), connection, LIFE_MS);
            old = [Ended { key: connection, ended_ms: connection }].into_iter().chain(lineage).collect();
        }
        old
    }

    fn keys(lineage: &[Ended]) -> Vec<u64> {
        lineage.iter().map(|ended| ended.key).collect()
    }

    #[test]
    fn a_lineage_has_an_end() {
        let lineage = inherited(&chain(40, |connection| connection - 1), 40, 41, LIFE_MS);
        assert_eq!(keys(&lineage), (1..=40).rev().take(LINEAGE_MAX).collect::<Vec<_>>());
        let later = inherited(&lineage, 40, 39 + LIFE_MS, LIFE_MS);
        assert_eq!(keys(&later), [40, 39], "those of long ago are forgotten");
    }

    #[test]
    fn the_one_that_clients_name_lives_on() {
        let lineage = inherited(&chain(40, |_| 1), 1, 1_000, LIFE_MS);
        assert_eq!(keys(&lineage), [1]);
    }

    #[test]
    fn a_connection_leads_to_its_last_heir() {
        let mut lineages = Lineages::default();
        let lineage = inherited(&[], 7, 0, LIFE_MS);
        lineages.insert(1, lineage.clone());
        lineages.insert(2, lineage.clone());
        assert_eq!((lineages.heir(7), lineages.heir(8)), (Some(2), None));
        lineages.remove(1);
        lineages.invariants();
        assert_eq!(lineages.heir(7), Some(2));
        assert_eq!(lineages.remove(2), lineage);
        assert!(lineages.is_empty() && lineages.heir(7).is_none());
    }
}
