//! Gaps whose positions are known as numbers of one lane, and what has become of each.
//!
//! A publisher that has its session alone gives each message the next position, from 1: position p is its number p - 1. So
//! a gap excuses what it names and nothing else, and must name something that never arrives. A gap comes before whatever
//! leaves after the loss, so it is open until its lane has passed all that it covers.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

/// A gap that is open.
#[derive(Debug)]
struct Open {
    numbers: Range<u64>,
    /// Whether its lane has passed over something that it covers.
    is_founded: bool,
}

/// The open gaps of all lanes; few at a time, most lanes have none.
#[derive(Debug, Default)]
pub struct Gaps {
    by_lane: BTreeMap<usize, Vec<Open>>,
    unfounded: u64,
}

impl Gaps {
    /// A gap of these positions was declared on a lane.
    pub fn declare(&mut self, lane: usize, positions: RangeInclusive<u64>) {
        let numbers = positions.start().saturating_sub(1)..*positions.end();
        self.by_lane.entry(lane).or_default().push(Open { numbers, is_founded: false });
    }

    /// A lane passes over `numbers`, on to what follows them. Returns how many of those that `is_missing` are excused.
    pub fn pass_over(&mut self, lane: usize, numbers: Range<u64>, is_missing: impl Fn(u64) -> bool) -> u64 {
        let Some(gaps) = self.by_lane.get_mut(&lane) else {
            return 0;
        };
        for gap in gaps.iter_mut() {
            gap.is_founded |= gap.numbers.start < numbers.end && numbers.start < gap.numbers.end;
        }
        let is_covered = |number: &u64| gaps.iter().any(|gap| gap.numbers.contains(number));
        let end = numbers.end;
        let excused = numbers.filter(is_covered).filter(|&number| is_missing(number)).count();
        self.close(lane, end);
        excused as u64
    }

    /// A lane has passed all numbers below `next`: closes the gaps that cover nothing else.
    pub fn close(&mut self, lane: usize, next: u64) {
        if let Some(gaps) = self.by_lane.get_mut(&lane) {
            self.unfounded += gaps.iter().filter(|gap| gap.numbers.end <= next && !gap.is_founded).count() as u64;
            gaps.retain(|gap| gap.numbers.end > next);
        }
    }

    /// The receiver of a lane has gone after `next`: what its open gaps say of the rest will never be known.
    pub fn leave(&mut self, lane: usize, next: u64) {
        self.close(lane, next);
        self.by_lane.remove(&lane);
    }

    /// Gaps so far that named only what arrived, or was never sent.
    pub fn unfounded(&self) -> u64 {
        self.unfounded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANE: usize = 3;

    fn declared(positions: &[RangeInclusive<u64>]) -> Gaps {
        let mut gaps = Gaps::default();
        positions.iter().for_each(|range| gaps.declare(LANE, range.clone()));
        gaps
    }

    #[test]
    fn a_gap_excuses_what_it_names_and_nothing_else() {
        let mut gaps = declared(&[3..=4, 4..=5, 9..=9]);
        // Numbers 2 to 4 are covered, and 8.
        assert_eq!(gaps.pass_over(LANE + 1, 0..10, |_| true), 0);
        assert_eq!(gaps.pass_over(LANE, 1..4, |_| true), 2);
        assert_eq!(gaps.pass_over(LANE, 4..6, |_| true), 1);
        assert_eq!(gaps.pass_over(LANE, 7..10, |number| number != 8), 0);
        assert_eq!((gaps.unfounded(), gaps.by_lane[&LANE].len()), (0, 0));
    }

    #[test]
    fn a_gap_that_names_only_what_arrived_or_was_never_sent_is_unfounded() {
        let mut gaps = declared(&[3..=4, 3..=9, 20..=30]);
        gaps.close(LANE, 4);
        assert_eq!(gaps.unfounded(), 1);
        assert_eq!(gaps.pass_over(LANE, 8..10, |_| true), 1);
        gaps.close(LANE, u64::MAX);
        assert_eq!(gaps.unfounded(), 2);
    }

    #[test]
    fn who_leaves_may_have_lost_what_was_to_come() {
        let mut gaps = declared(&[1..=2, 2..=4]);
        gaps.leave(LANE, 3);
        assert_eq!(gaps.unfounded(), 1);
        gaps.close(LANE, u64::MAX);
        assert_eq!(gaps.unfounded(), 1);
    }
}
