//! The stages of a run under load: opening, the phases of its plan, and waiting for what is under way.

use std::ops::Range;

use super::{Command, Course, Phase, Plan};
use crate::limits::{DRAIN_NS, LINGER_NS, STALL_NS};
use crate::measure::Sample;
use crate::meter::Meter;
use crate::report::Report;

/// Where a run stands. Messages are published in `Warmup` and `Measured`, which is entered once for each measured phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Opening,
    Warmup,
    Measured,
    Draining,
    Lingering,
    Done,
}

/// The present stage and, after the plan, when it ends.
#[derive(Debug)]
pub struct Stages {
    /// Connections that the run still waits for before its load begins.
    unopened: usize,
    course: Course,
    stage: Stage,
    end: u64,
    /// From the begin of the first measured phase to the end of the plan.
    measured: Range<u64>,
}

impl Stages {
    /// A run of so many connections.
    pub fn new(connections: usize, plan: Plan) -> Self {
        let measured = u64::MAX..u64::MAX;
        Self { unopened: connections, course: Course::new(plan), stage: Stage::Opening, end: u64::MAX, measured }
    }

    /// A connection is open. Whether it is the last that the run waits for.
    pub fn opened(&mut self) -> bool {
        self.unopened -= 1;
        self.unopened == 0
    }

    pub fn has_begun(&self) -> bool {
        self.stage != Stage::Opening
    }

    /// The load begins. The stage that begins.
    pub fn begin(&mut self, now: u64, out: &mut Vec<Command>) -> Stage {
        self.next_phase(now, out);
        self.stage
    }

    fn next_phase(&mut self, now: u64, out: &mut Vec<Command>) {
        match self.course.advance(now, out).map(|phase| phase.is_measured) {
            Some(true) => {
                self.measured.start = self.measured.start.min(now);
                self.stage = Stage::Measured;
            }
            Some(false) => self.stage = Stage::Warmup,
            None => {
                self.measured.end = now;
                self.enter(Stage::Draining, now + STALL_NS);
            }
        }
    }

    /// Something arrived: draining goes on.
    pub fn progressed(&mut self, now: u64) {
        if self.stage == Stage::Draining {
            self.end = (now + STALL_NS).min(self.measured.end + DRAIN_NS);
        }
    }

    /// Nothing is under way, which is all that draining waits for.
    pub fn drained(&mut self, now: u64) {
        if self.stage == Stage::Draining {
            self.enter(Stage::Lingering, now + LINGER_NS);
        }
    }

    /// Whether the present phase ends now: the last moment for what belongs to it.
    pub fn ends_phase(&self, now: u64) -> bool {
        self.is_publishing() && now >= self.course.due()
    }

    /// Whether the plan ends now.
    pub fn ends_plan(&self, now: u64) -> bool {
        self.ends_phase(now) && self.course.is_last()
    }

    /// Passes to the next stage if this one's time is over; the stage that begins.
    pub fn advance(&mut self, now: u64, out: &mut Vec<Command>) -> Option<Stage> {
        if now < self.due() {
            return None;
        }
        match self.stage {
            Stage::Warmup | Stage::Measured => self.next_phase(now, out),
            Stage::Draining => self.enter(Stage::Lingering, now + LINGER_NS),
            Stage::Lingering | Stage::Opening | Stage::Done => self.enter(Stage::Done, u64::MAX),
        }
        Some(self.stage)
    }

    /// Ends the run, and the plan if it goes on.
    pub fn stop(&mut self, now: u64, out: &mut Vec<Command>) {
        self.course.stop(now, out);
        self.measured.end = self.measured.end.min(now);
        self.enter(Stage::Done, u64::MAX);
    }

    fn enter(&mut self, stage: Stage, end: u64) {
        (self.stage, self.end) = (stage, end);
    }

    /// When the stage ends, at the latest.
    pub fn due(&self) -> u64 {
        if self.is_publishing() { self.course.due() } else { self.end }
    }

    pub fn is_publishing(&self) -> bool {
        matches!(self.stage, Stage::Warmup | Stage::Measured)
    }

    /// Whether messages are published, or those under way are waited for.
    pub fn is_awaiting(&self) -> bool {
        self.is_publishing() || self.stage == Stage::Draining
    }

    /// The present phase, while messages are published.
    pub fn phase(&self) -> &Phase {
        self.course.phase()
    }

    /// Whether what was meant to be done at this time belongs to the measured time.
    pub fn covers(&self, at: u64) -> bool {
        self.measured.contains(&at)
    }

    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    pub fn meter(&mut self) -> &mut Meter {
        &mut self.course.meter
    }

    /// Adds the figures of the phases.
    pub fn report(&self, samples: &[Sample], report: &mut Report) {
        self.course.meter.report(samples, report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::Pace;

    #[test]
    fn stages_follow_each_other_and_draining_may_end_early() {
        let mut stages = Stages::new(2, Plan::simple(10, 100, Pace::InAll(1)));
        let mut out = Vec::new();
        assert_eq!([stages.opened(), stages.opened()], [false, true]);
        assert_eq!((stages.advance(5, &mut out), stages.due()), (None, u64::MAX));
        assert_eq!(stages.begin(5, &mut out), Stage::Warmup);
        stages.drained(6);
        assert!(!stages.ends_phase(14) && stages.ends_phase(20) && !stages.ends_plan(20));
        assert_eq!((stages.advance(14, &mut out), stages.is_publishing()), (None, true));
        assert_eq!((stages.advance(15, &mut out), stages.due()), (Some(Stage::Measured), 115));
        assert!(!stages.ends_plan(114) && stages.ends_plan(115));
        assert!(!stages.covers(14) && stages.covers(15) && stages.covers(500));
        assert_eq!((stages.advance(120, &mut out), stages.is_publishing()), (Some(Stage::Draining), false));
        assert!(stages.covers(119) && !stages.covers(120));
        stages.progressed(125);
        assert_eq!(stages.due(), 125 + STALL_NS);
        stages.progressed(119 + DRAIN_NS);
        assert_eq!(stages.due(), 120 + DRAIN_NS);
        stages.drained(130);
        assert_eq!(stages.due(), 130 + LINGER_NS);
        assert_eq!(stages.advance(stages.due(), &mut out), Some(Stage::Done));
        assert!(stages.is_done());
        assert_eq!(out, [Command::Sample; 3]);
    }

    #[test]
    fn a_run_that_stops_is_done_at_once() {
        let mut stages = Stages::new(1, Plan::simple(10, 100, Pace::InAll(1)));
        let mut out = Vec::new();
        stages.begin(0, &mut out);
        stages.advance(10, &mut out);
        stages.stop(20, &mut out);
        assert!(stages.is_done() && stages.covers(19) && !stages.covers(20));
        assert_eq!(out, [Command::Sample; 3]);
    }
}
