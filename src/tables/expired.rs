//! Positions of one session whose messages are past their expiry: what a client that comes back is told of.
//!
//! A few ranges; when there would be more, the two lowest become one that covers both. A range says that at least one of
//! its positions has expired, so a wider one is still true.

use crate::config::limits::EXPIRED_RANGES_MAX;

/// Positions from `from` to `to`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// The lowest position.
    pub from: u64,
    /// The highest position.
    pub to: u64,
    /// The [key](super::connections::key_of) of the connection that none of them was for, zero for none.
    pub hidden_from: u64,
}

/// The ranges, by position. They do not overlap.
#[derive(Debug, Default)]
pub(super) struct ExpiredRanges(Vec<Expired>);

impl ExpiredRanges {
    /// What the list takes when it is longest, grown to twice that.
    pub(super) const BYTES_MAX: usize = 2 * (EXPIRED_RANGES_MAX + 1) * size_of::<Expired>();

    /// The message of a position has expired.
    pub(super) fn add(&mut self, seq: u64, hidden_from: u64) {
        let at = self.0.partition_point(|range| range.from <= seq);
        self.0.insert(at, Expired { from: seq, to: seq, hidden_from });
        self.join(at);
        if let Some(before) = at.checked_sub(1) {
            self.join(before);
        }
        if self.0.len() > EXPIRED_RANGES_MAX {
            self.merge(0);
        }
    }

    /// Those with a position after `seq`.
    pub(super) fn after(&self, seq: u64) -> impl Iterator<Item = Expired> + '_ {
        self.0.iter().copied().filter(move |range| range.to > seq)
    }

    /// Nobody asks for positions up to `seq` any more.
    pub(super) fn forget_to(&mut self, seq: u64) {
        self.0.retain(|range| range.to > seq);
    }

    /// Makes one of a range and the next one if they overlap, or touch and are alike.
    fn join(&mut self, at: usize) {
        if let Some(&[low, high]) = self.0.get(at..at + 2)
            && (high.from <= low.to || (high.from == low.to + 1 && high.hidden_from == low.hidden_from))
        {
            self.merge(at);
        }
    }

    fn merge(&mut self, at: usize) {
        let high = self.0.remove(at + 1);
        let low = &mut self.0[at];
        low.to = low.to.max(high.to);
        if low.hidden_from != high.hidden_from {
            low.hidden_from = 0;
        }
    }

    /// Checks order and number.
    pub(super) fn invariants(&self) {
        assert!(self.0.len() <= EXPIRED_RANGES_MAX);
        assert!(self.0.iter().all(|range| range.from <= range.to));
        assert!(self.0.iter().zip(self.0.iter().skip(1)).all(|(low, high)| low.to < high.from));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn ranges(seqs: impl IntoIterator<Item = u64>) -> ExpiredRanges {
        let mut ranges = ExpiredRanges::default();
        for seq in seqs {
            ranges.add(seq, 0);
            ranges.invariants();
        }
        ranges
    }

    fn shown(ranges: &ExpiredRanges, after: u64) -> Vec<(u64, u64)> {
        ranges.after(after).map(|range| (range.from, range.to)).collect()
    }

    #[test]
    fn neighbours_become_one_range_in_whatever_order_they_come() {
        assert_eq!(shown(&ranges([5, 7, 6, 3]), 0), [(3, 3), (5, 7)]);
        assert_eq!(shown(&ranges([5, 7, 6, 3]), 3), [(5, 7)]);
        assert_eq!(shown(&ranges([5, 7, 6, 3]), 7), []);
    }

    #[test]
    fn what_was_not_for_somebody_stays_apart() {
        let mut ranges = ranges([5]);
        ranges.add(6, 77);
        ranges.add(7, 77);
        let all: Vec<_> = ranges.after(0).map(|range| (range.from, range.to, range.hidden_from)).collect();
        assert_eq!(all, [(5, 5, 0), (6, 7, 77)]);
    }

    #[test]
    fn too_many_become_wider_and_old_ones_are_forgotten() {
        let mut ranges = ranges((0..EXPIRED_RANGES_MAX as u64 + 2).map(|number| 10 * number));
        assert_eq!(ranges.after(0).count(), EXPIRED_RANGES_MAX);
        assert_eq!(shown(&ranges, 0)[..2], [(0, 20), (30, 30)]);
        ranges.forget_to(30);
        assert_eq!(shown(&ranges, 0)[0], (40, 40));
    }

    proptest! {
        #[test]
        fn every_expired_position_is_in_a_range(seqs in proptest::collection::vec((1_u64..200, 0_u64..3), 0..100)) {
            let mut ranges = ExpiredRanges::default();
            let mut model = BTreeSet::new();
            for (seq, hidden_from) in seqs {
                if model.insert(seq) {
                    ranges.add(seq, hidden_from);
                    ranges.invariants();
                }
            }
            let holds = |seq: &u64| ranges.after(0).any(|range| (range.from..=range.to).contains(seq));
            prop_assert!(model.iter().all(holds));
            for range in ranges.after(0) {
                prop_assert!(model.contains(&range.from) && model.contains(&range.to));
            }
        }
    }
}
