//! The checks of correctness under load: order per publisher, nothing twice, nothing lost without a word.
//!
//! A **lane** is one pair of receiver and publisher. Numbers are per publisher, from 0, without holes.

/// What was found wrong, and what the server declared as lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Findings {
    /// Arrived after a later message of the same publisher.
    pub out_of_order: u64,
    /// Arrived twice (or more than [`WINDOW`] behind, which cannot be told from it).
    pub duplicates: u64,
    /// Arrived where it was not addressed to.
    pub misdelivered: u64,
    /// Lost, without a gap before the next message or the end.
    pub lost_silently: u64,
    /// Lost, and excused by a gap.
    pub lost_declared: u64,
    /// Gaps received.
    pub gaps: u64,
}

/// How far behind the newest number a late message is still told from a duplicate.
pub const WINDOW: u64 = 64;

/// What one lane has seen.
#[derive(Debug, Clone, Copy, Default)]
struct Lane {
    /// The lowest number above all that were seen.
    next: u64,
    /// Bit i: number `next - 1 - i` was seen.
    seen: u64,
}

/// What a receiver misses, and what was declared to it.
#[derive(Debug, Clone, Copy, Default)]
struct Receiver {
    missing: u64,
    declared: u64,
}

/// The state of all lanes and receivers. O(1) per message.
#[derive(Debug)]
pub struct Check {
    lanes: Vec<Lane>,
    receivers: Vec<Receiver>,
    findings: Findings,
}

impl Check {
    pub fn new(receivers: usize, lanes: usize) -> Self {
        Self {
            lanes: vec![Lane::default(); lanes],
            receivers: vec![Receiver::default(); receivers],
            findings: Findings::default(),
        }
    }

    /// A message arrived at `receiver` on `lane`.
    pub fn arrived(&mut self, receiver: usize, lane: usize, number: u64) {
        let state = &mut self.lanes[lane];
        if number >= state.next {
            let skipped = number - state.next;
            state.next = number + 1;
            state.seen = if skipped < WINDOW - 1 { state.seen << (skipped + 1) | 1 } else { 1 };
            if skipped > 0 {
                self.missed(receiver, skipped);
            }
        } else {
            self.arrived_late(receiver, lane, number);
        }
    }

    #[cold]
    fn arrived_late(&mut self, receiver: usize, lane: usize, number: u64) {
        let state = &mut self.lanes[lane];
        let behind = state.next - 1 - number;
        if behind >= WINDOW || state.seen >> behind & 1 == 1 {
            self.findings.duplicates += 1;
            return;
        }
        state.seen |= 1 << behind;
        self.findings.out_of_order += 1;
        // It was counted as lost when it was passed over.
        self.receivers[receiver].missing -= 1;
    }

    #[cold]
    fn missed(&mut self, receiver: usize, count: u64) {
        let state = &mut self.receivers[receiver];
        state.missing += count;
        let silent = state.missing.saturating_sub(state.declared);
        self.findings.lost_silently += silent;
        // Counted once; from here on it is as if it had been declared.
        state.declared += silent;
    }

    /// A message arrived that was not addressed to its receiver, or by a publisher that does not exist.
    pub fn misdelivered(&mut self) {
        self.findings.misdelivered += 1;
    }

    /// The server declared to `receiver` that up to `count` messages are lost (0: it did not say how many).
    pub fn declared(&mut self, receiver: usize, count: u64) {
        self.findings.gaps += 1;
        let state = &mut self.receivers[receiver];
        state.declared = state.declared.saturating_add(count);
    }

    /// The run is over: `receiver`, on `lane`, should have seen all numbers below `sent`.
    pub fn finish_lane(&mut self, receiver: usize, lane: usize, sent: u64) {
        let missing = sent.saturating_sub(self.lanes[lane].next);
        self.lanes[lane].next = self.lanes[lane].next.max(sent);
        if missing > 0 {
            self.missed(receiver, missing);
        }
    }

    /// What was found so far.
    pub fn findings(&self) -> Findings {
        let missing: u64 = self.receivers.iter().map(|receiver| receiver.missing).sum();
        // A message may turn up after it was counted as silently lost.
        let lost_declared = missing.saturating_sub(self.findings.lost_silently);
        Findings { lost_declared, ..self.findings }
    }
}

impl Findings {
    /// Each check: what must hold and, if it does not, what was found.
    pub fn checks(&self) -> [(&'static str, Option<String>); 4] {
        let check = |name, count: u64, what| (name, (count > 0).then(|| format!("{count} {what}")));
        [
            check("order is kept", self.out_of_order, "messages arrived out of order"),
            check("nothing arrives twice", self.duplicates, "messages arrived twice"),
            check("nothing arrives elsewhere", self.misdelivered, "messages arrived at the wrong connection"),
            check("nothing is lost in silence", self.lost_silently, "messages were lost without a gap"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_lane(numbers: &[u64], sent: u64) -> Findings {
        let mut check = Check::new(1, 1);
        for &number in numbers {
            check.arrived(0, 0, number);
        }
        check.finish_lane(0, 0, sent);
        check.findings()
    }

    #[test]
    fn a_clean_run_has_no_findings() {
        let numbers: Vec<u64> = (0..1000).collect();
        assert_eq!(one_lane(&numbers, 1000), Findings::default());
        assert!(one_lane(&numbers, 1000).checks().iter().all(|(_, failure)| failure.is_none()));
        assert_eq!(one_lane(&[], 0), Findings::default());
    }

    #[test]
    fn a_duplicate_is_found() {
        assert_eq!(one_lane(&[0, 1, 1, 2], 3), Findings { duplicates: 1, ..Default::default() });
        assert_eq!(one_lane(&[0, 0], 1), Findings { duplicates: 1, ..Default::default() });
        let mut far: Vec<u64> = (0..200).collect();
        far.push(0);
        assert_eq!(one_lane(&far, 200), Findings { duplicates: 1, ..Default::default() });
    }

    #[test]
    fn a_loss_in_the_middle_and_at_the_end_is_found() {
        assert_eq!(one_lane(&[0, 1, 3], 4), Findings { lost_silently: 1, ..Default::default() });
        assert_eq!(one_lane(&[0, 1], 4), Findings { lost_silently: 2, ..Default::default() });
        assert_eq!(one_lane(&[5], 6), Findings { lost_silently: 5, ..Default::default() });
        assert_eq!(one_lane(&[100], 101), Findings { lost_silently: 100, ..Default::default() });
    }

    #[test]
    fn a_swap_is_out_of_order_and_not_a_duplicate() {
        let found = one_lane(&[0, 2, 1, 3], 4);
        assert_eq!((found.out_of_order, found.duplicates, found.lost_declared), (1, 0, 0));
        // The hole was there, undeclared, when the next message came.
        assert_eq!(found.lost_silently, 1);
        assert_eq!(one_lane(&[0, 2, 1, 1], 3).duplicates, 1);
    }

    #[test]
    fn the_window_ends_where_it_says() {
        for skipped in [WINDOW - 2, WINDOW - 1, WINDOW] {
            let mut check = Check::new(1, 1);
            check.arrived(0, 0, 0);
            check.arrived(0, 0, skipped + 1);
            check.arrived(0, 0, 0);
            assert_eq!(check.findings().duplicates, 1, "{skipped}");
            check.arrived(0, 0, 2);
            let late = if skipped + 1 - 2 < WINDOW { (1, 1) } else { (2, 0) };
            assert_eq!((check.findings().duplicates, check.findings().out_of_order), late, "{skipped}");
        }
    }

    #[test]
    fn a_gap_before_the_next_message_excuses_the_loss() {
        let mut check = Check::new(1, 1);
        check.arrived(0, 0, 0);
        check.declared(0, 3);
        check.arrived(0, 0, 3);
        let expected = Findings { gaps: 1, lost_declared: 2, ..Default::default() };
        assert_eq!(check.findings(), expected);
        check.finish_lane(0, 0, 6);
        // One more was covered by the gap, the other was not.
        assert_eq!(check.findings(), Findings { lost_declared: 3, lost_silently: 1, ..expected });
    }

    #[test]
    fn a_gap_after_the_next_message_comes_too_late() {
        let mut check = Check::new(1, 1);
        check.arrived(0, 0, 1);
        check.declared(0, 1);
        assert_eq!(check.findings().lost_silently, 1);
    }

    #[test]
    fn receivers_do_not_share_their_gaps() {
        let mut check = Check::new(2, 2);
        check.declared(0, 10);
        check.arrived(1, 1, 4);
        assert_eq!(check.findings().lost_silently, 4);
    }
}
