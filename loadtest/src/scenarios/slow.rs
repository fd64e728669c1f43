//! `slow`: one publisher and many receivers by schedule, of whom a share stops reading for the measured time. Reports what
//! the others notice.
//!
//! Connection 0 publishes, the others are receivers of one session; those that turn slow are spread evenly among them.
//! What the server drops for them it must declare, or it closes them; both are counted and are no failures. They read
//! again when the measured time is over, so that the account of those that are still connected can balance.

use super::flights::Flights;
use super::schedule::{Paced, Turn};
use super::stages::{Stage, Stages};
use super::{Command, Identity, OpenLoop, Plan, Role, Scenario};
use crate::check::{Check, Sent};
use crate::envelope::{Gap, Stamp};
use crate::error::ConnectionError;
use crate::limits::SCHEDULED_IN_A_ROW;
use crate::measure::Sample;
use crate::meter::Meter;
use crate::report::Report;
use crate::wording::{Keying, Wording};

/// The connection that publishes.
const PUBLISHER: usize = 0;
/// The close code of a consumer that is too slow.
const SLOW_CONSUMER: u16 = 4013;

/// The state of a run.
#[derive(Debug)]
pub struct Slow {
    receivers: usize,
    slow: usize,
    wording: Wording,
    load: OpenLoop,
    /// Its meter is of what the healthy receivers get.
    stages: Stages,
    paced: Paced,
    /// What the healthy receivers wait for; a slow one holds nothing up.
    flights: Flights,
    check: Check,
    /// Per receiver: whether it is gone.
    gone: Vec<bool>,
    healthy_gaps: u64,
    closed: u64,
    cut_off: u64,
}

impl Slow {
    /// Of so many `receivers` so many are `slow`, not all.
    pub fn new(receivers: usize, slow: usize, keying: Keying, load: OpenLoop, plan: Plan) -> Self {
        Self {
            receivers,
            slow,
            wording: Wording { keying, ..Wording::PLAIN },
            load,
            stages: Stages::new(receivers + 1, plan),
            paced: Paced::default(),
            flights: Flights::new(receivers - slow, 1, receivers),
            check: Check::new(receivers, receivers),
            gone: vec![false; receivers],
            healthy_gaps: 0,
            closed: 0,
            cut_off: 0,
        }
    }

    fn is_slow(&self, receiver: usize) -> bool {
        (receiver + 1) * self.slow / self.receivers > receiver * self.slow / self.receivers
    }

    fn slow_ones(&self) -> impl Iterator<Item = usize> {
        (0..self.receivers).filter(|&receiver| self.is_slow(receiver) && !self.gone[receiver])
    }

    fn identity(&self, conn: usize) -> Identity {
        let user = Identity::user(0);
        match receiver_of(conn) {
            None => Identity { echo: false, ..user },
            Some(receiver) if self.is_slow(receiver) => Identity { role: Role::Slow, ..user },
            Some(_) => user,
        }
    }

    fn sent(&self) -> Sent {
        Sent { count: self.flights.sent(0), keying: self.wording.keying }
    }

    fn publish_scheduled(&mut self, now: u64, out: &mut Vec<Command>) {
        for _ in 0..SCHEDULED_IN_A_ROW {
            let Some(Turn { sent_at, lateness_ns }) = self.paced.take(self.flights.under_way(), now) else {
                return;
            };
            self.stages.meter().sent_by_schedule(lateness_ns);
            let stamp = Stamp { publisher: 0, number: self.flights.launch(0), sent_at };
            out.push(Command::Publish { conn: PUBLISHER, stamp, wording: self.wording });
        }
    }

    fn begin_stage(&mut self, stage: Stage, now: u64, out: &mut Vec<Command>) {
        match stage {
            Stage::Measured => {
                out.extend(self.slow_ones().map(|receiver| Command::Pause { conn: connection_of(receiver) }));
            }
            Stage::Draining => {
                out.extend(self.slow_ones().map(|receiver| Command::Resume { conn: connection_of(receiver) }));
                self.note_drained(now);
            }
            _ => {}
        }
    }

    fn note_drained(&mut self, now: u64) {
        let sent = self.flights.sent(0);
        if self.flights.under_way() == 0 && self.slow_ones().all(|receiver| self.check.next_on(receiver) == sent) {
            self.stages.drained(now);
        }
    }

    /// A receiver has, or has passed, everything below `end`.
    fn passed(&mut self, receiver: usize, end: u64, now: u64) {
        if !self.is_slow(receiver) {
            let completed = self.flights.pass(receiver, 0, end);
            self.stages.meter().completed(completed as u64);
        }
        if !self.stages.is_publishing() && end >= self.flights.sent(0) {
            self.note_drained(now);
        }
    }
}

fn connection_of(receiver: usize) -> usize {
    receiver + 1
}

fn receiver_of(conn: usize) -> Option<usize> {
    conn.checked_sub(1)
}

impl Scenario for Slow {
    fn connections(&self) -> usize {
        self.receivers + 1
    }

    fn on_start(&mut self, _now: u64, out: &mut Vec<Command>) {
        out.extend((0..self.connections()).map(|conn| Command::Open { conn, identity: self.identity(conn) }));
    }

    fn on_ready(&mut self, _conn: usize, now: u64, out: &mut Vec<Command>) {
        if self.stages.opened() {
            self.paced = Paced::endless(now, self.load);
            let stage = self.stages.begin(now, out);
            self.begin_stage(stage, now, out);
        }
    }

    fn on_message(&mut self, conn: usize, stamp: Stamp, now: u64, _out: &mut Vec<Command>) {
        let Some(receiver) = receiver_of(conn).filter(|_| stamp.publisher == 0) else {
            return self.check.misdelivered();
        };
        self.stages.progressed(now);
        if !self.is_slow(receiver) {
            self.stages.meter().delivered(stamp.sent_at, now);
        }
        self.check.arrived(receiver, receiver, stamp.number, self.sent());
        self.passed(receiver, stamp.number.saturating_add(1), now);
    }

    fn on_gap(&mut self, conn: usize, gap: Gap, now: u64, _out: &mut Vec<Command>) {
        let Some(receiver) = receiver_of(conn) else {
            return self.check.misdelivered();
        };
        self.check.declared_on(receiver, receiver, gap);
        if !self.is_slow(receiver) {
            self.healthy_gaps += 1;
            self.passed(receiver, gap.passes_to(self.flights.sent(0)), now);
        }
    }

    fn on_failed(&mut self, conn: usize, error: &ConnectionError, now: u64) -> bool {
        let Some(receiver) = receiver_of(conn).filter(|&receiver| self.is_slow(receiver)) else {
            return false;
        };
        match error {
            ConnectionError::Closed(SLOW_CONSUMER, _) => self.closed += 1,
            // The server may cut off a client that does not read its close frame.
            ConnectionError::Io(_) | ConnectionError::Ended => self.cut_off += 1,
            _ => return false,
        }
        self.gone[receiver] = true;
        self.check.leave_lane(receiver);
        self.note_drained(now);
        true
    }

    fn on_time(&mut self, now: u64, out: &mut Vec<Command>) {
        self.publish_scheduled(now, out);
        if self.stages.ends_plan(now) {
            self.stages.meter().unsent(self.paced.end(now));
        }
        if let Some(stage) = self.stages.advance(now, out) {
            self.begin_stage(stage, now, out);
        }
    }

    fn due(&self) -> u64 {
        self.stages.due().min(self.paced.due(self.flights.under_way()))
    }

    fn is_done(&self) -> bool {
        self.stages.is_done()
    }

    fn meter(&mut self) -> &mut Meter {
        self.stages.meter()
    }

    /// Rates and latencies are of the healthy receivers, the account is of all.
    fn report(&mut self, samples: &[Sample]) -> Report {
        let sent = self.sent();
        for receiver in (0..self.receivers).filter(|&receiver| !self.gone[receiver]) {
            self.check.finish_lane(receiver, receiver, sent);
        }
        let mut report = Report::new("slow");
        report.int("connections", self.connections() as u64);
        report.int("slow", self.slow as u64);
        self.stages.report(samples, &mut report);
        report.int("slow_closed", self.closed);
        report.int("slow_cut_off", self.cut_off);
        report.int("healthy_gaps", self.healthy_gaps);
        self.check.findings().report(&mut report);
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::SECOND_NS;
    use crate::scenarios::Pace;
    use crate::scenarios::testing::{all_ready, at, finished, started};

    const LOAD: OpenLoop = OpenLoop::level(1e8, 1000);

    /// A run of four receivers, of whom the last is slow, in its measured time.
    fn measured(keying: Keying) -> Slow {
        let mut slow = Slow::new(4, 1, keying, LOAD, Plan::simple(10, 100, Pace::InAll(1)));
        let roles: Vec<bool> = started(&mut slow)
            .iter()
            .map(|command| matches!(command, Command::Open { identity: Identity { role: Role::Slow, .. }, .. }))
            .collect();
        assert_eq!(roles, [false, false, false, false, true]);
        all_ready(&mut slow);
        assert!(at(&mut slow, 10).contains(&Command::Pause { conn: 4 }));
        slow
    }

    fn arrive(slow: &mut Slow, conns: impl IntoIterator<Item = usize>, number: u64, now: u64) {
        for conn in conns {
            let stamp = Stamp { publisher: 0, number, sent_at: number * 10 };
            slow.on_message(conn, stamp, now, &mut Vec::new());
        }
    }

    #[test]
    fn slow_receivers_hold_nothing_up_and_read_again_at_the_end() {
        let mut slow = measured(Keying::None);
        let sent = at(&mut slow, 50).len() as u64 + 2;
        assert_eq!(sent, 6);
        (0..sent).for_each(|number| arrive(&mut slow, 1..4, number, 60));
        assert_eq!(slow.flights.under_way(), 0);
        slow.paced = Paced::default();
        assert!(at(&mut slow, 110).contains(&Command::Resume { conn: 4 }));
        slow.on_gap(4, Gap::Positions { from: 1, to: 4 }, 111, &mut Vec::new());
        assert!(slow.due() > SECOND_NS);
        (4..sent).for_each(|number| arrive(&mut slow, [4], number, 112));
        assert!(slow.due() < SECOND_NS);
        let report = finished(slow);
        assert!(report.passed(), "{}", report.text());
        let figure = |name| report.figures.number(name);
        assert_eq!((figure("sent_to_receivers"), figure("delivered")), (Some(24.0), Some(20.0)));
        assert_eq!((figure("conflated"), figure("lost_declared")), (Some(0.0), Some(4.0)));
    }

    #[test]
    fn what_is_lost_without_a_word_fails_and_what_is_conflated_does_not() {
        for (keying, passed) in [(Keying::None, false), (Keying::Cycle(2), true)] {
            let mut slow = measured(keying);
            at(&mut slow, 50);
            slow.paced = Paced::default();
            (0..6).for_each(|number| arrive(&mut slow, 1..4, number, 60));
            at(&mut slow, 110);
            (4..6).for_each(|number| arrive(&mut slow, [4], number, 112));
            assert_eq!(finished(slow).passed(), passed, "{keying:?}");
        }
    }

    #[test]
    fn only_a_slow_receiver_may_be_closed_and_is_due_nothing_more() {
        let mut slow = measured(Keying::None);
        let closed = ConnectionError::Closed(4013, "overloaded".into());
        assert!(!slow.on_failed(1, &closed, 20));
        assert!(!slow.on_failed(4, &ConnectionError::Closed(1011, String::new()), 20));
        arrive(&mut slow, [4], 0, 20);
        assert!(slow.on_failed(4, &closed, 20));
        slow.paced = Paced::default();
        (0..2).for_each(|number| arrive(&mut slow, 1..4, number, 60));
        assert!(!at(&mut slow, 110).iter().any(|command| matches!(command, Command::Resume { .. })));
        let report = finished(slow);
        assert!(report.passed(), "{}", report.text());
        let figure = |name| report.figures.number(name);
        assert_eq!((figure("slow_closed"), figure("sent_to_receivers")), (Some(1.0), Some(7.0)));
    }
}
