//! `connect`: connect, authenticate and close, over and over; reports the rate and the time to the welcome.

use super::{Command, Course, Identity, Plan, Scenario};
use crate::limits::CONNECT_DRAIN_NS;
use crate::measure::Sample;
use crate::meter::Meter;
use crate::report::Report;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    Draining(u64),
    Done,
}

/// The state of a connect run.
#[derive(Debug)]
pub struct Connect {
    course: Course,
    stage: Stage,
    /// Per connection number: when its present connection was begun.
    begun: Vec<u64>,
    open: usize,
}

impl Connect {
    /// So many connections `at_a_time`.
    pub fn new(at_a_time: usize, plan: Plan) -> Self {
        Self { course: Course::new(plan), stage: Stage::Running, begun: vec![0; at_a_time], open: 0 }
    }

    fn begin(&mut self, conn: usize, now: u64, out: &mut Vec<Command>) {
        self.begun[conn] = now;
        self.open += 1;
        out.push(Command::Open { conn, identity: Identity::user(conn as u32) });
    }

    fn advance(&mut self, now: u64, out: &mut Vec<Command>) {
        if self.course.advance(now, out).is_none() {
            self.stage = Stage::Draining(now + CONNECT_DRAIN_NS);
        }
    }
}

impl Scenario for Connect {
    fn connections(&self) -> usize {
        self.begun.len()
    }

    fn on_start(&mut self, now: u64, out: &mut Vec<Command>) {
        self.advance(now, out);
        (0..self.begun.len()).for_each(|conn| self.begin(conn, now, out));
    }

    fn on_ready(&mut self, conn: usize, now: u64, out: &mut Vec<Command>) {
        self.course.meter.delivered(self.begun[conn], now);
        out.push(Command::Close { conn });
    }

    fn on_closed(&mut self, conn: usize, now: u64, out: &mut Vec<Command>) {
        self.course.meter.completed(1);
        self.open -= 1;
        match self.stage {
            Stage::Running => self.begin(conn, now, out),
            Stage::Draining(_) if self.open == 0 => self.stage = Stage::Done,
            Stage::Draining(_) | Stage::Done => {}
        }
    }

    fn on_time(&mut self, now: u64, out: &mut Vec<Command>) {
        match self.stage {
            Stage::Running if now >= self.course.due() => self.advance(now, out),
            Stage::Draining(end) if now >= end => self.stage = Stage::Done,
            _ => {}
        }
    }

    fn due(&self) -> u64 {
        match self.stage {
            Stage::Running => self.course.due(),
            Stage::Draining(end) => end,
            Stage::Done => u64::MAX,
        }
    }

    fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    fn meter(&mut self) -> &mut Meter {
        &mut self.course.meter
    }

    /// `messages` are connections closed, `deliveries` welcomes; latencies run from the connect to the welcome.
    fn report(&mut self, samples: &[Sample]) -> Report {
        let mut report = Report::new("connect");
        report.int("at_a_time", self.begun.len() as u64);
        self.course.meter.report(samples, &mut report);
        report.maybe("connections_per_second", report.figures.number("messages_per_second"));
        if self.open > 0 {
            report.fail(format!("{} connections did not end", self.open));
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::Pace;
    use crate::scenarios::testing::samples;

    #[test]
    fn a_closed_connection_is_followed_by_another_until_the_end() {
        let mut connect = Connect::new(2, Plan::simple(10, 100, Pace::InAll(1)));
        let mut out = Vec::new();
        connect.on_start(0, &mut out);
        assert!(matches!(out[..], [Command::Sample, Command::Open { .. }, Command::Open { .. }]));
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
        let report = connect.report(&samples(&[0, 0, 1]));
        assert!(report.passed(), "{}", report.text());
        assert_eq!(report.figures.number("messages"), Some(1.0));
    }
}
