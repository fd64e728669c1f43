//! The stages of a run under load: opening, warm-up, the measured time, and waiting for what is under way.

use std::ops::Range;

use super::{Command, Timing};
use crate::measure::{Meter, SECOND_NS, Sample, Span};
use crate::report::Report;

/// The run waits this long for what is under way at its end.
const DRAIN_NS: u64 = 5 * SECOND_NS;
/// And then this long for what should not come, such as duplicates.
const LINGER_NS: u64 = SECOND_NS / 20;

/// Where a run stands. Messages are published in `Warmup` and `Measured`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Opening,
    Warmup,
    Measured,
    Draining,
    Lingering,
    Done,
}

/// The present stage, when it ends, and the meter of the measured time, which is sampled at both ends.
#[derive(Debug)]
pub struct Stages {
    timing: Timing,
    stage: Stage,
    end: u64,
    measured: Range<u64>,
    pub meter: Meter,
}

impl Stages {
    pub fn new(timing: Timing) -> Self {
        Self { timing, stage: Stage::Opening, end: u64::MAX, measured: u64::MAX..u64::MAX, meter: Meter::new() }
    }

    /// All is open: the load begins.
    pub fn begin(&mut self, now: u64) {
        self.enter(Stage::Warmup, now + self.timing.warmup_ns);
    }

    /// Nothing is under way, which is all that draining waits for.
    pub fn drained(&mut self, now: u64) {
        if self.stage == Stage::Draining {
            self.enter(Stage::Lingering, now + LINGER_NS);
        }
    }

    /// Passes to the next stage if this one's time is over; the stage that begins.
    pub fn advance(&mut self, now: u64, out: &mut Vec<Command>) -> Option<Stage> {
        if now < self.end {
            return None;
        }
        match self.stage {
            Stage::Warmup => {
                self.meter.open(now);
                self.measured.start = now;
                out.push(Command::Sample);
                self.enter(Stage::Measured, now + self.timing.measured_ns);
            }
            Stage::Measured => {
                self.meter.close(now);
                self.measured.end = now;
                out.push(Command::Sample);
                self.enter(Stage::Draining, now + DRAIN_NS);
            }
            Stage::Draining => self.enter(Stage::Lingering, now + LINGER_NS),
            Stage::Lingering | Stage::Opening | Stage::Done => self.enter(Stage::Done, u64::MAX),
        }
        Some(self.stage)
    }

    fn enter(&mut self, stage: Stage, end: u64) {
        (self.stage, self.end) = (stage, end);
    }

    /// When the stage ends, at the latest.
    pub fn due(&self) -> u64 {
        self.end
    }

    pub fn is_publishing(&self) -> bool {
        matches!(self.stage, Stage::Warmup | Stage::Measured)
    }

    /// Whether what was meant to be done at this time belongs to the measured time.
    pub fn covers(&self, at: u64) -> bool {
        self.measured.contains(&at)
    }

    /// So many per second of the measured time, once that is over.
    pub fn per_second(&self, count: u64) -> Option<f64> {
        let ns = self.measured.end.checked_sub(self.measured.start).filter(|&ns| ns > 0)?;
        Some(count as f64 * SECOND_NS as f64 / ns as f64)
    }

    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Adds the figures of the measured time.
    pub fn report(&self, samples: &[Sample], report: &mut Report) {
        match samples {
            [start, end] => self.meter.report(&Span { start, end }, report),
            _ => report.fail("the measured time was not reached"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_follow_each_other_and_draining_may_end_early() {
        let mut stages = Stages::new(Timing { warmup_ns: 10, measured_ns: 100 });
        let mut out = Vec::new();
        assert_eq!((stages.advance(5, &mut out), stages.due()), (None, u64::MAX));
        stages.begin(5);
        stages.drained(6);
        assert_eq!((stages.advance(14, &mut out), stages.is_publishing()), (None, true));
        assert_eq!((stages.advance(15, &mut out), stages.due()), (Some(Stage::Measured), 115));
        assert_eq!((stages.advance(120, &mut out), stages.is_publishing()), (Some(Stage::Draining), false));
        stages.drained(130);
        assert_eq!(stages.due(), 130 + LINGER_NS);
        assert_eq!(stages.advance(stages.due(), &mut out), Some(Stage::Done));
        assert!(stages.is_done());
        assert_eq!(out, [Command::Sample; 2]);
    }
}
