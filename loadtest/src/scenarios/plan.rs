//! The plan of a run: its phases, and where a run stands in them.

use super::Command;
use crate::measure::SECOND_NS;
use crate::meter::Meter;

/// When to publish.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// Closed loop: so many messages under way per publisher.
    PerPublisher(usize),
    /// Closed loop: so many under way in all.
    InAll(usize),
    /// Open loop by schedule.
    Scheduled(OpenLoop),
}

/// How an open loop goes on: messages by a schedule. When `most_under_way` are, the schedule waits, and the waiting
/// counts as latency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OpenLoop {
    pub ramp: Ramp,
    pub most_under_way: usize,
}

impl OpenLoop {
    /// Always the same rate.
    pub const fn level(rate: f64, most_under_way: usize) -> Self {
        Self { ramp: Ramp::level(rate), most_under_way }
    }

    /// Always the same rate, whatever is under way.
    pub const fn unhindered(rate: f64) -> Self {
        Self::level(rate, usize::MAX)
    }
}

/// A rate in messages per second, in all, that goes in a straight line from one value to another over a phase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ramp {
    pub from: f64,
    pub to: f64,
}

impl Ramp {
    pub const fn level(rate: f64) -> Self {
        Self { from: rate, to: rate }
    }

    /// How long after the begin of a phase of `length_ns` its message `number` (from 0) is due: the time at which the area
    /// under the rate is `number`, in a form that also holds for a level rate.
    pub fn due_ns(&self, number: u64, length_ns: u64) -> u64 {
        if number == 0 {
            return 0;
        }
        let number = number as f64;
        // A falling ramp may never reach what lies beyond its end.
        let root = (self.from * self.from + 2.0 * self.slope(length_ns) * number).max(0.0).sqrt();
        (2.0 * number / (self.from + root) * SECOND_NS as f64).round() as u64
    }

    /// By how much the rate rises in a second.
    fn slope(&self, length_ns: u64) -> f64 {
        (self.to - self.from) * SECOND_NS as f64 / length_ns as f64
    }

    /// How many messages are due before `ns` after the begin.
    pub fn count_due(&self, ns: u64, length_ns: u64) -> u64 {
        let seconds = ns as f64 / SECOND_NS as f64;
        (self.from * seconds + self.slope(length_ns) * seconds * seconds / 2.0).ceil() as u64
    }
}

/// A part of a run with a load and figures of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    pub name: String,
    pub length_ns: u64,
    pub pace: Pace,
    /// Whether it counts for the figures of the whole run; a warm-up does not.
    pub is_measured: bool,
}

/// The phases of a run, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan(pub Vec<Phase>);

impl Plan {
    /// A warm-up and one measured phase with the same load.
    #[cfg(test)]
    pub fn simple(warmup_ns: u64, measured_ns: u64, pace: Pace) -> Self {
        let phase = |name: &str, length_ns, is_measured| Phase { name: name.into(), length_ns, pace, is_measured };
        Self(vec![phase("warm-up", warmup_ns, false), phase("measured", measured_ns, true)])
    }

    /// The measured time.
    pub fn measured_ns(&self) -> u64 {
        self.0.iter().filter(|phase| phase.is_measured).map(|phase| phase.length_ns).sum()
    }
}

/// Where a run stands in its plan, and its meter. Every change of phase is sampled.
#[derive(Debug)]
pub struct Course {
    plan: Plan,
    begun: usize,
    end: u64,
    pub meter: Meter,
}

impl Course {
    pub fn new(plan: Plan) -> Self {
        Self { plan, begun: 0, end: u64::MAX, meter: Meter::new() }
    }

    /// Begins the next phase and returns it; `None` when the plan is over.
    pub fn advance(&mut self, now: u64, out: &mut Vec<Command>) -> Option<&Phase> {
        out.push(Command::Sample);
        let phase = self.plan.0.get(self.begun);
        match phase {
            Some(phase) => {
                self.meter.begin(now, &phase.name, phase.is_measured);
                self.begun += 1;
                self.end = now + phase.length_ns;
            }
            None => {
                self.meter.end(now);
                self.end = u64::MAX;
            }
        }
        phase
    }

    /// The present phase; one has begun.
    pub fn phase(&self) -> &Phase {
        &self.plan.0[self.begun - 1]
    }

    /// Whether no phase follows the present one.
    pub fn is_last(&self) -> bool {
        self.begun == self.plan.0.len()
    }

    /// Ends the present phase, and with it the plan.
    pub fn stop(&mut self, now: u64, out: &mut Vec<Command>) {
        out.push(Command::Sample);
        self.begun = self.plan.0.len();
        self.meter.end(now);
        self.end = u64::MAX;
    }

    /// When the present phase ends; `u64::MAX` when none goes on.
    pub fn due(&self) -> u64 {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due_times(ramp: Ramp, length_ns: u64) -> Vec<u64> {
        (0..).map(|number| ramp.due_ns(number, length_ns)).take_while(|due| *due < length_ns).take(1000).collect()
    }

    #[test]
    fn a_level_rate_is_evenly_spaced() {
        assert_eq!(due_times(Ramp::level(4.0), SECOND_NS), [0, 250_000_000, 500_000_000, 750_000_000]);
    }

    #[test]
    fn a_ramp_sends_the_area_under_its_rate() {
        for (from, to) in [(100.0, 300.0), (300.0, 100.0), (1.0, 399.0), (399.0, 1.0)] {
            let ramp = Ramp { from, to };
            let due = due_times(ramp, SECOND_NS);
            assert_eq!(due.len(), 200, "{from} to {to}");
            assert!(due.is_sorted());
            let half = due.iter().filter(|due| **due < SECOND_NS / 2).count() as f64;
            assert!((half - (from * 3.0 + to) / 8.0).abs() <= 1.0, "{from} to {to}: {half}");
            assert_eq!(ramp.count_due(SECOND_NS, SECOND_NS), 200);
        }
    }

    #[test]
    fn a_course_samples_every_change_and_ends() {
        let mut course = Course::new(Plan::simple(10, 100, Pace::InAll(1)));
        let mut out = Vec::new();
        assert_eq!(course.advance(5, &mut out).unwrap().name, "warm-up");
        assert_eq!((course.due(), course.advance(15, &mut out).unwrap().is_measured), (15, true));
        assert_eq!(course.phase().name, "measured");
        assert_eq!(course.due(), 115);
        assert!(course.advance(115, &mut out).is_none());
        assert_eq!(course.due(), u64::MAX);
        assert_eq!(out, [Command::Sample; 3]);
    }
}
