//! `idle`: opens connections in steps, then holds them; reports the server's memory per connection and its idle CPU.

use super::{Command, Identity, Scenario};
use crate::measure::{SECOND_NS, Sample, Span};
use crate::procfs;
use crate::report::Report;

/// Members of each session.
const SESSION_SIZE: usize = 10;
/// Memory is sampled before the first connection and after each of so many equal steps.
const STEPS: usize = 5;
/// After a step the server gets this long to come to rest before it is sampled.
const SETTLE_NS: u64 = SECOND_NS / 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Opening,
    Settling(u64),
    Holding(u64),
    Done,
}

/// The state of an idle run.
#[derive(Debug)]
pub struct Idle {
    connections: usize,
    held_ns: u64,
    phase: Phase,
    step: usize,
    opened: usize,
    ready: usize,
}

impl Idle {
    pub fn new(connections: usize, held_ns: u64) -> Self {
        Self { connections, held_ns, phase: Phase::Opening, step: 0, opened: 0, ready: 0 }
    }

    /// How many connections are open after a step.
    fn target(&self, step: usize) -> usize {
        self.connections * step / STEPS
    }

    fn open_step(&mut self, out: &mut Vec<Command>) {
        self.step += 1;
        self.phase = Phase::Opening;
        let target = self.target(self.step);
        for conn in self.opened..target {
            let identity = Identity::user((conn / SESSION_SIZE) as u32);
            out.push(Command::Open { conn, identity });
        }
        self.opened = target;
    }

    fn settled(&mut self, now: u64, out: &mut Vec<Command>) {
        out.push(Command::Sample);
        if self.step == STEPS {
            self.phase = Phase::Holding(now + self.held_ns);
        } else {
            self.open_step(out);
        }
    }
}

impl Scenario for Idle {
    fn connections(&self) -> usize {
        self.connections
    }

    fn on_start(&mut self, _now: u64, out: &mut Vec<Command>) {
        assert!(self.connections >= STEPS, "every step opens a connection");
        out.push(Command::Sample);
        self.open_step(out);
    }

    fn on_ready(&mut self, _conn: usize, now: u64, _out: &mut Vec<Command>) {
        self.ready += 1;
        if self.ready == self.opened {
            self.phase = Phase::Settling(now + SETTLE_NS);
        }
    }

    fn on_time(&mut self, now: u64, out: &mut Vec<Command>) {
        match self.phase {
            Phase::Settling(end) if now >= end => self.settled(now, out),
            Phase::Holding(end) if now >= end => {
                out.push(Command::Sample);
                self.phase = Phase::Done;
            }
            _ => {}
        }
    }

    fn due(&self) -> u64 {
        match self.phase {
            Phase::Opening | Phase::Done => u64::MAX,
            Phase::Settling(end) | Phase::Holding(end) => end,
        }
    }

    fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    fn report(&mut self, samples: &[Sample]) -> Report {
        let mut report = Report::new("idle");
        report.int("connections", self.ready as u64);
        let [opening @ .., end] = samples else {
            report.fail("the connections were not held");
            return report;
        };
        let points: Option<Vec<(f64, f64)>> = opening
            .iter()
            .enumerate()
            .map(|(step, sample)| Some((self.target(step) as f64, sample.server?.rss_bytes as f64)))
            .collect();
        report.maybe("server_bytes_per_connection", points.and_then(|points| procfs::slope(&points)));
        if let Some(start) = opening.last() {
            Span { start, end }.report(&mut report);
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procfs::Usage;

    #[test]
    fn connections_are_opened_in_steps_and_held() {
        let mut idle = Idle::new(23, 1000);
        let mut out = Vec::new();
        idle.on_start(0, &mut out);
        let (mut now, mut opened, mut samples) = (0, 0, 0);
        while !idle.is_done() {
            let commands = std::mem::take(&mut out);
            samples += commands.iter().filter(|command| **command == Command::Sample).count();
            for command in commands {
                if let Command::Open { conn, .. } = command {
                    assert_eq!(conn, opened);
                    opened += 1;
                    idle.on_ready(conn, now, &mut out);
                }
            }
            now = idle.due();
            idle.on_time(now, &mut out);
        }
        assert_eq!((opened, samples), (23, STEPS + 1));
        assert_eq!(out, [Command::Sample]);
    }

    #[test]
    fn memory_per_connection_is_the_slope() {
        let mut idle = Idle::new(100, SECOND_NS);
        let sample = |step: u64| Sample {
            at: step * SECOND_NS,
            server: Some(Usage { cpu_seconds: 1.0, rss_bytes: 1_000_000 + 20 * step.min(5) * 700 }),
            harness: None,
        };
        let samples: Vec<Sample> = (0..=6).map(sample).collect();
        let report = idle.report(&samples).json();
        assert!(report.contains(r#""server_bytes_per_connection":700.0"#), "{report}");
        assert!(report.contains(r#""server_cpu_percent":0.0"#), "{report}");
    }
}
