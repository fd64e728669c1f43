//! `idle`: opens connections in steps, then holds them; reports the server's memory per connection and its idle CPU.

use super::{Command, Identity, Scenario};
use crate::measure::{SECOND_NS, Sample, Used};
use crate::meter::Meter;
use crate::procfs;
use crate::report::Report;

/// Members of each session.
const SESSION_SIZE: usize = 10;
/// Memory is sampled before the first connection and after each of so many equal steps.
const STEPS: usize = 5;
/// After a step the server gets this long to come to rest before it is sampled.
const SETTLE_NS: u64 = SECOND_NS / 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
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
    stage: Stage,
    step: usize,
    opened: usize,
    ready: usize,
    /// It only divides the time.
    meter: Meter,
}

impl Idle {
    pub fn new(connections: usize, held_ns: u64) -> Self {
        Self { connections, held_ns, stage: Stage::Opening, step: 0, opened: 0, ready: 0, meter: Meter::new() }
    }

    /// How many connections are open after a step.
    fn target(&self, step: usize) -> usize {
        self.connections * step / STEPS
    }

    fn open_step(&mut self, out: &mut Vec<Command>) {
        self.step += 1;
        self.stage = Stage::Opening;
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
            self.meter.begin(now, "holding", true);
            self.stage = Stage::Holding(now + self.held_ns);
        } else {
            self.open_step(out);
        }
    }
}

impl Scenario for Idle {
    fn connections(&self) -> usize {
        self.connections
    }

    fn on_start(&mut self, now: u64, out: &mut Vec<Command>) {
        assert!(self.connections >= STEPS, "every step opens a connection");
        self.meter.begin(now, "opening", false);
        out.push(Command::Sample);
        self.open_step(out);
    }

    fn on_ready(&mut self, _conn: usize, now: u64, _out: &mut Vec<Command>) {
        self.ready += 1;
        if self.ready == self.opened {
            self.stage = Stage::Settling(now + SETTLE_NS);
        }
    }

    fn on_time(&mut self, now: u64, out: &mut Vec<Command>) {
        match self.stage {
            Stage::Settling(end) if now >= end => self.settled(now, out),
            Stage::Holding(end) if now >= end => {
                out.push(Command::Sample);
                self.meter.end(now);
                self.stage = Stage::Done;
            }
            _ => {}
        }
    }

    fn due(&self) -> u64 {
        match self.stage {
            Stage::Opening | Stage::Done => u64::MAX,
            Stage::Settling(end) | Stage::Holding(end) => end,
        }
    }

    fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    fn meter(&mut self) -> &mut Meter {
        &mut self.meter
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
            Used::between(start, end).report(&mut report.figures);
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
        let figures = idle.report(&samples).figures;
        assert_eq!(figures.number("server_bytes_per_connection"), Some(700.0));
        assert_eq!(figures.number("server_cpu_percent"), Some(0.0));
    }
}
