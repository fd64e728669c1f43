//! Measurement: the clock, distributions of times, and samples of what the processes used.

use std::time::Instant;

use hdrhistogram::Histogram;

use crate::limits::LATENCY_NS_MAX;
use crate::procfs::{self, Usage};
use crate::report::Figures;

/// Nanoseconds per second; all times of the harness are ns since its [`Clock`] started.
pub const SECOND_NS: u64 = 1_000_000_000;
/// Bytes of a mebibyte.
pub const MIB: f64 = (1 << 20) as f64;

/// The clock of a run.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that is at 0 now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// ns since the start.
    pub fn now(&self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}

/// What the server (if its process is known) and the harness had used at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    pub at: u64,
    pub server: Option<Usage>,
    pub harness: Option<Usage>,
}

impl Sample {
    /// Takes a sample now. A server that has gone is noticed at its connections, not here.
    pub fn take(at: u64, server_pid: Option<u32>) -> Self {
        let usage = |pid| procfs::usage(pid).ok();
        Self { at, server: server_pid.and_then(usage), harness: usage(std::process::id()) }
    }
}

/// How long something took, and what was used in it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Used {
    pub seconds: f64,
    /// CPU seconds of the server and of the harness; `None` when a sample of them is missing.
    pub server_cpu: Option<f64>,
    pub harness_cpu: Option<f64>,
    /// Resident memory of the server at the end.
    pub server_rss_bytes: Option<u64>,
}

impl Used {
    /// What was used from one sample to the next.
    pub fn between(start: &Sample, end: &Sample) -> Self {
        let cpu = |start: Option<Usage>, end: Option<Usage>| Some(end?.cpu_seconds - start?.cpu_seconds);
        Self {
            seconds: (end.at - start.at) as f64 / SECOND_NS as f64,
            server_cpu: cpu(start.server, end.server),
            harness_cpu: cpu(start.harness, end.harness),
            server_rss_bytes: end.server.map(|usage| usage.rss_bytes),
        }
    }

    /// Both together; `later` gives the memory.
    pub fn and(self, later: Self) -> Self {
        let sum = |a: Option<f64>, b: Option<f64>| Some(a? + b?);
        Self {
            seconds: self.seconds + later.seconds,
            server_cpu: sum(self.server_cpu, later.server_cpu),
            harness_cpu: sum(self.harness_cpu, later.harness_cpu),
            server_rss_bytes: later.server_rss_bytes,
        }
    }

    /// Adds the times and what the server and the harness used.
    pub fn report(&self, figures: &mut Figures) {
        let percent = |cpu: f64| 100.0 * cpu / self.seconds;
        figures.float("seconds", self.seconds);
        figures.maybe("server_cpu_seconds", self.server_cpu);
        figures.maybe("server_cpu_percent", self.server_cpu.map(percent));
        figures.maybe("server_rss_mib", self.server_rss_bytes.map(|bytes| bytes as f64 / MIB));
        figures.maybe("harness_cpu_percent", self.harness_cpu.map(percent));
    }
}

/// A distribution of times, in ns.
#[derive(Debug, Clone)]
pub struct Latency(Histogram<u64>);

impl Latency {
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3);
        Self(histogram.expect("ok because the bounds are constants that it accepts"))
    }

    /// Records one time.
    pub fn record(&mut self, ns: u64) {
        self.0.saturating_record(ns.max(1));
    }

    /// Adds all times of another.
    pub fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("ok because both have the same bounds");
    }

    /// The histogram behind it.
    pub fn histogram(&self) -> &Histogram<u64> {
        &self.0
    }

    /// Microseconds at a quantile; `None` when nothing was recorded.
    pub fn quantile_us(&self, quantile: f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.value_at_quantile(quantile) as f64 / 1000.0)
    }

    /// Adds percentiles, in microseconds, under names that start with `name`; nothing when nothing was recorded.
    pub fn report(&self, name: &str, figures: &mut Figures) {
        for (suffix, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)] {
            figures.maybe(&format!("{name}_{suffix}_us"), self.quantile_us(quantile));
        }
    }
}
