//! The checks of correctness under load: order per publisher, nothing twice, nothing lost without a word.
//!
//! A **lane** is one pair of receiver and publisher. Numbers are per publisher, from 0, without holes; a publisher has one
//! priority (see `wording`), so that order holds for it without exception. The **account** of a run must balance: every
//! message that was due at a receiver was delivered, or conflated (replaced by a newer one of its type and key), or
//! dropped and declared by a `hashi:gap`.
//!
//! A gap names a range of positions of which at least one is lost. Where a publisher has its session alone, the positions are
//! its numbers, and the check is exact: see `gaps`. Weakness: where several publishers share a session, nobody knows whose
//! the positions are. There a gap is leave to miss as many messages as there are positions, so a wide range can cover a
//! later loss at the same receiver.

use std::ops::Range;

use crate::envelope::Gap;
use crate::gaps::Gaps;
use crate::report::Report;
use crate::wording::Keying;

/// What was found wrong, and the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Findings {
    /// Messages times receivers that were connected for them.
    pub due: u64,
    /// Arrived, not counting those that arrived twice.
    pub delivered: u64,
    /// Passed over, and a newer message of the same type and key was sent by then.
    pub conflated: u64,
    /// Arrived after a later message of the same publisher.
    pub out_of_order: u64,
    /// Arrived twice (or more than [`WINDOW`] behind, which cannot be told from it).
    pub duplicates: u64,
    /// Arrived where it was not addressed to, or was never sent.
    pub misdelivered: u64,
    /// Lost, without a gap before the next message or the end.
    pub lost_silently: u64,
    /// Lost, and excused by a gap.
    pub lost_declared: u64,
    /// Gaps received.
    pub gaps: u64,
    /// Gaps that named nothing that was lost, as far as can be told.
    pub unfounded_gaps: u64,
}

/// How far behind the newest number a late message is still told from a duplicate.
pub const WINDOW: u64 = 64;

/// What a publisher has sent so far: the numbers below `count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    pub count: u64,
    pub keying: Keying,
}

impl Sent {
    /// Messages without keys.
    pub fn plain(count: u64) -> Self {
        Self { count, keying: Keying::None }
    }

    /// Whether a newer message was sent that may have replaced this one.
    fn has_replaced(&self, number: u64) -> bool {
        self.keying.successor(number).is_some_and(|newer| newer < self.count)
    }
}

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

/// The state of all lanes and receivers. O(1) per message that arrives in turn.
#[derive(Debug)]
pub struct Check {
    lanes: Vec<Lane>,
    /// Per lane: the first number that is due and not yet in `findings.due`.
    starts: Vec<u64>,
    receivers: Vec<Receiver>,
    gaps: Gaps,
    findings: Findings,
}

impl Check {
    pub fn new(receivers: usize, lanes: usize) -> Self {
        Self {
            lanes: vec![Lane::default(); lanes],
            starts: vec![0; lanes],
            receivers: vec![Receiver::default(); receivers],
            gaps: Gaps::default(),
            findings: Findings::default(),
        }
    }

    /// A message arrived at `receiver` on `lane`, whose publisher has `sent` so much.
    pub fn arrived(&mut self, receiver: usize, lane: usize, number: u64, sent: Sent) {
        let state = &mut self.lanes[lane];
        if number >= sent.count {
            self.findings.misdelivered += 1;
        } else if number >= state.next {
            let passed_over = state.next..number;
            let skipped = number - state.next;
            state.next = number + 1;
            state.seen = if skipped < WINDOW - 1 { state.seen << (skipped + 1) | 1 } else { 1 };
            self.findings.delivered += 1;
            if skipped > 0 {
                self.passed_over(receiver, lane, passed_over, sent);
            }
        } else {
            self.arrived_late(receiver, lane, number, sent);
        }
    }

    #[cold]
    fn arrived_late(&mut self, receiver: usize, lane: usize, number: u64, sent: Sent) {
        let state = &mut self.lanes[lane];
        let behind = state.next - 1 - number;
        if behind >= WINDOW || state.seen >> behind & 1 == 1 {
            self.findings.duplicates += 1;
            return;
        }
        state.seen |= 1 << behind;
        self.findings.out_of_order += 1;
        self.findings.delivered += 1;
        // It was counted as conflated or lost when it was passed over.
        let counted = match sent.has_replaced(number) {
            true => &mut self.findings.conflated,
            false => &mut self.receivers[receiver].missing,
        };
        *counted = counted.saturating_sub(1);
    }

    #[cold]
    fn passed_over(&mut self, receiver: usize, lane: usize, numbers: Range<u64>, sent: Sent) {
        let count = numbers.end - numbers.start;
        let excused = self.gaps.pass_over(lane, numbers.clone(), |number| !sent.has_replaced(number));
        self.receivers[receiver].declared += excused;
        let conflated = match sent.keying {
            Keying::None => 0,
            _ => numbers.filter(|&number| sent.has_replaced(number)).count() as u64,
        };
        self.findings.conflated += conflated;
        self.missed(receiver, count - conflated);
    }

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

    /// The server declared a loss to `receiver`, of nobody knows which publisher.
    pub fn declared(&mut self, receiver: usize, gap: Gap) {
        self.findings.gaps += 1;
        let state = &mut self.receivers[receiver];
        state.declared = state.declared.saturating_add(gap.count());
    }

    /// The server declared a loss to `receiver`, which only `lane` ends at, of a publisher that has its session alone.
    pub fn declared_on(&mut self, receiver: usize, lane: usize, gap: Gap) {
        match gap {
            Gap::Positions { from, to } => {
                self.findings.gaps += 1;
                self.gaps.declare(lane, from..=to);
            }
            Gap::Direct(_) | Gap::Unknown => self.declared(receiver, gap),
        }
    }

    /// The receiver of `lane` is connected again: everything from `number` on is due.
    pub fn join_lane(&mut self, lane: usize, number: u64) {
        self.lanes[lane] = Lane { next: number, seen: u64::MAX };
        self.starts[lane] = number;
    }

    /// The receiver of `lane` has gone: nothing is due beyond what it has seen.
    pub fn leave_lane(&mut self, lane: usize) {
        let next = self.lanes[lane].next;
        self.gaps.leave(lane, next);
        self.findings.due += next - self.starts[lane];
        self.starts[lane] = next;
    }

    /// The lowest number above all that `lane` has seen.
    pub fn next_on(&self, lane: usize) -> u64 {
        self.lanes[lane].next
    }

    /// The run is over: `receiver`, on `lane`, should have seen all that was sent.
    pub fn finish_lane(&mut self, receiver: usize, lane: usize, sent: Sent) {
        let next = self.lanes[lane].next;
        if next < sent.count {
            self.lanes[lane].next = sent.count;
            self.passed_over(receiver, lane, next..sent.count, sent);
        }
        self.gaps.close(lane, u64::MAX);
        self.leave_lane(lane);
    }

    /// What was found; the account is whole once every lane was finished or left.
    pub fn findings(&self) -> Findings {
        let missing: u64 = self.receivers.iter().map(|receiver| receiver.missing).sum();
        // A message may turn up after it was counted as silently lost.
        let lost_declared = missing.saturating_sub(self.findings.lost_silently);
        Findings { lost_declared, unfounded_gaps: self.gaps.unfounded(), ..self.findings }
    }
}

impl Findings {
    /// Adds the account and the checks.
    pub fn report(&self, report: &mut Report) {
        report.int("sent_to_receivers", self.due);
        report.int("delivered", self.delivered);
        report.int("conflated", self.conflated);
        report.int("lost_declared", self.lost_declared);
        report.int("lost_silently", self.lost_silently);
        report.int("out_of_order", self.out_of_order);
        report.int("duplicates", self.duplicates);
        report.int("misdelivered", self.misdelivered);
        report.int("gaps", self.gaps);
        self.checks().into_iter().for_each(|(name, failure)| report.check(name, failure));
    }

    /// Each check: what must hold and, if it does not, what was found.
    fn checks(&self) -> [(&'static str, Option<String>); 6] {
        let check = |name, count: u64, what| (name, (count > 0).then(|| format!("{count} {what}")));
        [
            check("order is kept", self.out_of_order, "messages arrived out of order"),
            check("nothing arrives twice", self.duplicates, "messages arrived twice"),
            check("nothing arrives elsewhere", self.misdelivered, "messages arrived at the wrong connection"),
            check("nothing is lost in silence", self.lost_silently, "messages were lost without a gap"),
            ("the account balances", self.imbalance()),
            check("a gap names a loss", self.unfounded_gaps, "gaps named nothing that was lost"),
        ]
    }

    fn imbalance(&self) -> Option<String> {
        let Self { due, delivered, conflated, lost_declared, .. } = self;
        (*due != delivered + conflated + lost_declared).then(|| {
            format!("{due} sent to receivers are not {delivered} delivered + {conflated} conflated + {lost_declared} declared as lost")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than any test sends.
    const MANY: Sent = Sent { count: 1_000_000, keying: Keying::None };

    /// What one lane finds besides what was due and delivered.
    fn one_lane(numbers: &[u64], sent: u64) -> Findings {
        let found = account(numbers, Sent::plain(sent));
        assert_eq!(found.due, sent);
        assert!(found.imbalance().is_none() == (found.lost_silently == 0) || found.out_of_order > 0);
        Findings { due: 0, delivered: 0, ..found }
    }

    fn account(numbers: &[u64], sent: Sent) -> Findings {
        let mut check = Check::new(1, 1);
        for &number in numbers {
            check.arrived(0, 0, number, sent);
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
            check.arrived(0, 0, 0, MANY);
            check.arrived(0, 0, skipped + 1, MANY);
            check.arrived(0, 0, 0, MANY);
            assert_eq!(check.findings().duplicates, 1, "{skipped}");
            check.arrived(0, 0, 2, MANY);
            let late = if skipped + 1 - 2 < WINDOW { (1, 1) } else { (2, 0) };
            assert_eq!((check.findings().duplicates, check.findings().out_of_order), late, "{skipped}");
        }
    }

    #[test]
    fn a_gap_before_the_next_message_excuses_the_loss() {
        let mut check = Check::new(1, 1);
        check.arrived(0, 0, 0, MANY);
        check.declared(0, Gap::Direct(3));
        check.arrived(0, 0, 3, MANY);
        let expected = Findings { delivered: 2, gaps: 1, lost_declared: 2, ..Default::default() };
        assert_eq!(check.findings(), expected);
        check.finish_lane(0, 0, Sent::plain(6));
        // One more was covered by the gap, the other was not.
        assert_eq!(check.findings(), Findings { due: 6, lost_declared: 3, lost_silently: 1, ..expected });
    }

    #[test]
    fn a_gap_after_the_next_message_comes_too_late() {
        let mut check = Check::new(1, 1);
        check.arrived(0, 0, 1, MANY);
        check.declared(0, Gap::Direct(1));
        assert_eq!(check.findings().lost_silently, 1);
    }

    #[test]
    fn a_gap_of_known_positions_excuses_only_what_it_names() {
        for (from, to, lost_silently, unfounded_gaps) in [(2, 3, 0, 0), (1, 9, 0, 0), (3, 9, 1, 0), (5, 9, 2, 1)] {
            let mut check = Check::new(1, 1);
            check.arrived(0, 0, 0, MANY);
            check.declared_on(0, 0, Gap::Positions { from, to });
            (3..9).for_each(|number| check.arrived(0, 0, number, MANY));
            check.finish_lane(0, 0, Sent::plain(9));
            let (lost_declared, delivered) = (2 - lost_silently, 7);
            let expected = Findings {
                due: 9,
                delivered,
                lost_declared,
                lost_silently,
                unfounded_gaps,
                gaps: 1,
                ..Default::default()
            };
            assert_eq!(check.findings(), expected, "{from} to {to}");
        }
    }

    #[test]
    fn a_wide_gap_excuses_no_later_loss() {
        let mut check = Check::new(1, 1);
        check.declared_on(0, 0, Gap::Positions { from: 1, to: 3 });
        [2, 3, 5].into_iter().for_each(|number| check.arrived(0, 0, number, MANY));
        let found = check.findings();
        assert_eq!((found.lost_declared, found.lost_silently), (2, 1));
    }

    #[test]
    fn what_is_conflated_may_be_what_a_gap_names() {
        let mut check = Check::new(1, 1);
        let cycle = Sent { count: 6, keying: Keying::Cycle(2) };
        check.declared_on(0, 0, Gap::Positions { from: 1, to: 2 });
        (2..6).for_each(|number| check.arrived(0, 0, number, cycle));
        check.finish_lane(0, 0, cycle);
        let found = check.findings();
        assert_eq!((found.conflated, found.lost_declared, found.unfounded_gaps), (2, 0, 0));
    }

    #[test]
    fn receivers_do_not_share_their_gaps() {
        let mut check = Check::new(2, 2);
        check.declared(0, Gap::Positions { from: 1, to: 10 });
        check.arrived(1, 1, 4, MANY);
        assert_eq!(check.findings().lost_silently, 4);
    }

    #[test]
    fn what_was_never_sent_is_not_delivered() {
        let found = account(&[0, 2], Sent::plain(2));
        assert_eq!((found.delivered, found.misdelivered, found.lost_silently), (1, 1, 1));
    }

    #[test]
    fn only_what_a_newer_message_replaced_is_conflated() {
        let cycle = Sent { count: 6, keying: Keying::Cycle(2) };
        let found = account(&[0, 4, 5], cycle);
        assert_eq!((found.due, found.delivered, found.conflated, found.lost_silently), (6, 3, 3, 0));
        assert!(found.checks().iter().all(|(_, failure)| failure.is_none()));
        // The newest of a key has nothing that could replace it.
        let found = account(&[0, 1, 2, 3, 4], cycle);
        assert_eq!((found.conflated, found.lost_silently), (0, 1));
        let found = account(&[0, 3], Sent { count: 5, keying: Keying::Operation(5) });
        assert_eq!((found.delivered, found.conflated, found.lost_silently), (2, 2, 1));
    }

    #[test]
    fn an_account_that_does_not_balance_fails() {
        let found = account(&[0, 2], Sent::plain(3));
        let failure = "3 sent to receivers are not 2 delivered + 0 conflated + 0 declared as lost";
        assert_eq!(found.checks()[4].1.as_deref(), Some(failure));
    }

    #[test]
    fn a_receiver_that_comes_and_goes_is_due_what_it_was_there_for() {
        let mut check = Check::new(1, 1);
        check.arrived(0, 0, 0, MANY);
        check.leave_lane(0);
        check.join_lane(0, 10);
        check.arrived(0, 0, 10, MANY);
        check.arrived(0, 0, 12, MANY);
        check.finish_lane(0, 0, Sent::plain(13));
        let found = check.findings();
        assert_eq!((found.due, found.delivered, found.lost_silently), (4, 3, 1));
        check.join_lane(0, 20);
        check.arrived(0, 0, 19, MANY);
        assert_eq!(check.findings().duplicates, 1);
    }
}
