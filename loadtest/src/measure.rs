//! Measurement: the clock, the meter of one measured window, and samples of what the processes used.

use std::time::Instant;

use hdrhistogram::Histogram;

use crate::procfs::{self, Usage};
use crate::report::Report;

/// Nanoseconds per second; all times of the harness are ns since its [`Clock`] started.
pub const SECOND_NS: u64 = 1_000_000_000;
/// Latencies above this are recorded as this.
const MAX_LATENCY_NS: u64 = 60 * SECOND_NS;

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

/// The time between two samples, and what was used in it.
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    pub start: &'a Sample,
    pub end: &'a Sample,
}

impl Span<'_> {
    /// Its length.
    pub fn seconds(&self) -> f64 {
        (self.end.at - self.start.at) as f64 / SECOND_NS as f64
    }

    /// CPU seconds that the server used.
    pub fn server_cpu(&self) -> Option<f64> {
        Some(self.end.server?.cpu_seconds - self.start.server?.cpu_seconds)
    }

    fn harness_cpu(&self) -> Option<f64> {
        Some(self.end.harness?.cpu_seconds - self.start.harness?.cpu_seconds)
    }

    /// Adds the times and what the server and the harness used.
    pub fn report(&self, report: &mut Report) {
        report.float("seconds", self.seconds());
        report.maybe("server_cpu_seconds", self.server_cpu());
        report.maybe("server_cpu_percent", self.server_cpu().map(|cpu| 100.0 * cpu / self.seconds()));
        report.maybe("server_rss_mib", self.end.server.map(|usage| usage.rss_bytes as f64 / (1 << 20) as f64));
        report.maybe("harness_cpu_percent", self.harness_cpu().map(|cpu| 100.0 * cpu / self.seconds()));
    }
}

/// A distribution of times, in ns.
#[derive(Debug)]
pub struct Latency(Histogram<u64>);

impl Latency {
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, MAX_LATENCY_NS, 3);
        Self(histogram.expect("ok because the bounds are constants that it accepts"))
    }

    /// Records one time.
    pub fn record(&mut self, ns: u64) {
        self.0.saturating_record(ns.max(1));
    }

    /// Microseconds at a quantile; `None` when nothing was recorded.
    pub fn quantile_us(&self, quantile: f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.value_at_quantile(quantile) as f64 / 1000.0)
    }

    /// Adds percentiles, in microseconds, under names that start with `name`; nothing when nothing was recorded.
    pub fn report(&self, name: &str, report: &mut Report) {
        for (suffix, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)] {
            report.maybe(&format!("{name}_{suffix}_us"), self.quantile_us(quantile));
        }
    }
}

/// What happened in the measured window. Counts cover what happened between its start and its end; latencies cover what
/// was meant to be sent in it, whenever it arrives, so that a slow server cannot hide what it delivers too late.
#[derive(Debug)]
pub struct Meter {
    start: u64,
    end: u64,
    counting: bool,
    latency: Latency,
    lateness: Latency,
    messages: u64,
    deliveries: u64,
}

impl Meter {
    pub fn new() -> Self {
        Self {
            start: u64::MAX,
            end: u64::MAX,
            counting: false,
            latency: Latency::new(),
            lateness: Latency::new(),
            messages: 0,
            deliveries: 0,
        }
    }

    /// The window begins.
    pub fn open(&mut self, now: u64) {
        (self.start, self.counting) = (now, true);
    }

    /// The window ends.
    pub fn close(&mut self, now: u64) {
        (self.end, self.counting) = (now, false);
    }

    /// A message that was meant to be sent at `sent_at` arrived at one receiver.
    pub fn delivered(&mut self, sent_at: u64, now: u64) {
        self.deliveries += u64::from(self.counting);
        if (self.start..self.end).contains(&sent_at) {
            self.latency.record(now.saturating_sub(sent_at));
        }
    }

    /// The latencies of the window.
    pub fn latency(&self) -> &Latency {
        &self.latency
    }

    /// So many messages (or connections) are done.
    pub fn completed(&mut self, count: u64) {
        if self.counting {
            self.messages += count;
        }
    }

    /// A message of a schedule is sent only now: the harness's own part of its latency.
    pub fn sent_late(&mut self, intended: u64, now: u64) {
        if self.counting {
            self.lateness.record(now.saturating_sub(intended));
        }
    }

    /// Messages (or connections) done per second of the span.
    pub fn completed_per_second(&self, span: &Span) -> f64 {
        self.messages as f64 / span.seconds()
    }

    /// Adds the figures of the window, for which `span` was sampled.
    pub fn report(&self, span: &Span, report: &mut Report) {
        let cpu_per = |count: u64| span.server_cpu().filter(|_| count > 0).map(|cpu| cpu * 1e6 / count as f64);
        report.int("messages", self.messages);
        report.float("messages_per_second", self.completed_per_second(span));
        report.int("deliveries", self.deliveries);
        report.float("deliveries_per_second", self.deliveries as f64 / span.seconds());
        self.latency.report("latency", report);
        self.lateness.report("send_lateness", report);
        span.report(report);
        report.maybe("server_cpu_us_per_message", cpu_per(self.messages));
        report.maybe("server_cpu_us_per_delivery", cpu_per(self.deliveries));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: u64, cpu_seconds: f64) -> Sample {
        Sample { at, server: Some(Usage { cpu_seconds, rss_bytes: 1 << 20 }), harness: None }
    }

    #[test]
    fn counts_are_of_the_window_and_latencies_of_what_was_sent_in_it() {
        let mut meter = Meter::new();
        meter.delivered(0, 5);
        meter.open(10);
        meter.delivered(5, 12);
        meter.delivered(11, 15);
        meter.completed(2);
        meter.close(20);
        meter.delivered(19, 119);
        meter.completed(1);
        let mut report = Report::new("test");
        let (start, end) = (sample(0, 1.0), sample(2 * SECOND_NS, 1.5));
        meter.report(&Span { start: &start, end: &end }, &mut report);
        let json = report.json();
        assert!(json.contains(r#""messages":2,"messages_per_second":1.0"#), "{json}");
        assert!(json.contains(r#""deliveries":2"#), "{json}");
        assert!(json.contains(r#""latency_max_us":0.1"#), "{json}");
        assert!(json.contains(r#""server_cpu_us_per_message":250000.0"#), "{json}");
        assert!(!json.contains("lateness"), "{json}");
    }
}
