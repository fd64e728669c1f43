//! `connect`: connect, authenticate and close, over and over; reports the rate and the time to the welcome.

use super::{Command, Identity, Scenario, Timing};
use crate::measure::{Meter, SECOND_NS, Sample, Span};
use crate::report::Report;

/// The run waits this long for the connections under way at its end.
const DRAIN_NS: u64 = 5 * SECOND_NS;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Warmup(u64),
    Measured(u64),
    Draining(u64),
    Done,
}

/// The state of a connect run.
#[derive(Debug)]
pub struct Connect {
    timing: Timing,
    phase: Phase,
    /// Per connection number: when its present connection was begun.
    begun: Vec<u64>,
    open: usize,
    meter: Meter,
}

impl Connect {
    /// So many connections `at_a_time`.
    pub fn new(at_a_time: usize, timing: Timing) -> Self {
        Self { timing, phase: Phase::Done, begun: vec![0; at_a_time], open: 0, meter: Meter::new() }
    }

    fn begin(&mut self, conn: usize, now: u64, out: &mut Vec<Command>) {
        self.begun[conn] = now;
        self.open += 1;
        out.push(Command::Open { conn, identity: Identity::user(conn as u32) });
    }

    fn end_phase(&mut self, now: u64, out: &mut Vec<Command>) {
        self.phase = match self.phase {
            Phase::Warmup(_) => {
                self.meter.open(now);
                out.push(Command::Sample);
                Phase::Measured(now + self.timing.measured_ns)
            }
            Phase::Measured(_) => {
                self.meter.close(now);
                out.push(Command::Sample);
                Phase::Draining(now + DRAIN_NS)
            }
            Phase::Draining(_) | Phase::Done => Phase::Done,
        };
    }
}

impl Scenario for Connect {
    fn connections(&self) -> usize {
        self.begun.len()
    }

    fn on_start(&mut self, now: u64, out: &mut Vec<Command>) {
        self.phase = Phase::Warmup(now + self.timing.warmup_ns);
        (0..self.begun.len()).for_each(|conn| self.begin(conn, now, out));
    }

    fn on_ready(&mut self, conn: usize, now: u64, out: &mut Vec<Command>) {
        self.meter.delivered(self.begun[conn], now);
        out.push(Command::Close { conn });
    }

    fn on_closed(&mut self, conn: usize, now: u64, out: &mut Vec<Command>) {
        self.meter.completed(1);
        self.open -= 1;
        match self.phase {
            Phase::Warmup(_) | Phase::Measured(_) => self.begin(conn, now, out),
            Phase::Draining(_) if self.open == 0 => self.phase = Phase::Done,
            Phase::Draining(_) | Phase::Done => {}
        }
    }

    fn on_time(&mut self, now: u64, out: &mut Vec<Command>) {
        if now >= self.due() {
            self.end_phase(now, out);
        }
    }

    fn due(&self) -> u64 {
        match self.phase {
            Phase::Warmup(end) | Phase::Measured(end) | Phase::Draining(end) => end,
            Phase::Done => u64::MAX,
        }
    }

    fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// `messages` are connections closed, `deliveries` welcomes; latencies run from the connect to the welcome.
    fn report(&mut self, samples: &[Sample]) -> Report {
        let mut report = Report::new("connect");
        report.int("at_a_time", self.begun.len() as u64);
        if let [start, end] = samples {
            let span = Span { start, end };
            report.float("connections_per_second", self.meter.completed_per_second(&span));
            self.meter.report(&span, &mut report);
        } else {
            report.fail("the measured time was not reached");
        }
        if self.open > 0 {
            report.fail(format!("{} connections did not end", self.open));
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_connection_is_followed_by_another_until_the_end() {
        let mut connect = Connect::new(2, Timing { warmup_ns: 10, measured_ns: 100 });
        let mut out = Vec::new();
        connect.on_start(0, &mut out);
        assert_eq!(out.len(), 2);
        out.clear();
        connect.on_ready(1, 5, &mut out);
        connect.on_closed(1, 6, &mut out);
        assert!(matches!(out[..], [Command::Close { conn: 1 }, Command::Open { conn: 1, .. }]));
        connect.on_time(10, &mut out);
        connect.on_closed(0, 50, &mut out);
        connect.on_time(110, &mut out);
        out.clear();
        connect.on_closed(0, 111, &mut out);
        assert!(out.is_empty() && !connect.is_done());
        connect.on_closed(1, 112, &mut out);
        assert!(connect.is_done());
        let sample = Sample { at: 0, server: None, harness: None };
        let report = connect.report(&[sample, Sample { at: SECOND_NS, ..sample }]);
        assert!(report.passed() && report.json().contains(r#""messages":1,"#), "{}", report.json());
    }
}
