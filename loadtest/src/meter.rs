//! The meter: counts and latencies of a run, by phase and by second.
//!
//! Counts belong to the phase in which something happened. Latencies belong to the phase in which the message was meant to
//! be sent, whenever it arrives, so that a slow server cannot hide what it delivers too late. What is recorded in a second
//! is recorded once; it joins its phase when the second is over, so that a delivery costs one histogram entry.

use std::mem;

use crate::measure::{Latency, SECOND_NS, Sample, Used};
use crate::report::{Figures, PhaseReport, Report};

/// A message of a schedule that the harness sends later than this counts as late.
pub const LATE_NS: u64 = SECOND_NS / 1000;

/// What happened in a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Messages complete, or connections closed.
    pub messages: u64,
    pub deliveries: u64,
    /// Messages sent by schedule, how many of them late, and how many were due but never sent.
    pub scheduled: u64,
    pub late: u64,
    pub unsent: u64,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.deliveries += other.deliveries;
        self.scheduled += other.scheduled;
        self.late += other.late;
        self.unsent += other.unsent;
    }
}

/// A stretch of at most about a second inside one phase.
#[derive(Debug)]
pub struct Interval {
    /// Its phase; `None` is what arrived after the last one.
    pub phase: Option<usize>,
    pub start: u64,
    pub end: u64,
    pub tally: Tally,
    /// Of everything that arrived in it.
    pub latency: Latency,
}

/// What was recorded for a phase.
#[derive(Debug)]
struct Record {
    name: String,
    is_measured: bool,
    start: u64,
    tally: Tally,
    latency: Latency,
    lateness: Latency,
}

impl Record {
    fn new(name: &str, is_measured: bool, start: u64) -> Self {
        let (latency, lateness) = (Latency::new(), Latency::new());
        Self { name: name.into(), is_measured, start, tally: Tally::default(), latency, lateness }
    }

    fn add(&mut self, other: &Self) {
        self.tally.add(other.tally);
        self.latency.add(&other.latency);
        self.lateness.add(&other.lateness);
    }

    fn report(&self, used: &Used, figures: &mut Figures) {
        let Tally { messages, deliveries, scheduled, late, unsent } = self.tally;
        let cpu_per = |count: u64| used.server_cpu.filter(|_| count > 0).map(|cpu| cpu * 1e6 / count as f64);
        figures.int("messages", messages);
        figures.float("messages_per_second", messages as f64 / used.seconds);
        figures.int("deliveries", deliveries);
        figures.float("deliveries_per_second", deliveries as f64 / used.seconds);
        self.latency.report("latency", figures);
        if scheduled > 0 {
            self.lateness.report("send_lateness", figures);
            figures.float("late_share", late as f64 / scheduled as f64);
            figures.int("unsent", unsent);
        }
        used.report(figures);
        figures.maybe("server_cpu_us_per_message", cpu_per(messages));
        figures.maybe("server_cpu_us_per_delivery", cpu_per(deliveries));
    }
}

/// What happened in a run so far.
#[derive(Debug)]
pub struct Meter {
    phases: Vec<Record>,
    /// When the present phase began; `u64::MAX` when none goes on.
    phase_start: u64,
    interval_start: u64,
    tally: Tally,
    /// Arrived in the present interval: what was meant for the present phase, and what was meant for earlier ones.
    latency: Latency,
    strays: Latency,
    finished: Vec<Interval>,
}

impl Meter {
    pub fn new() -> Self {
        Self {
            phases: Vec::new(),
            phase_start: u64::MAX,
            interval_start: 0,
            tally: Tally::default(),
            latency: Latency::new(),
            strays: Latency::new(),
            finished: Vec::new(),
        }
    }

    /// A phase begins, and ends the one before. `is_measured` says whether it counts for the figures of the whole run.
    pub fn begin(&mut self, now: u64, name: &str, is_measured: bool) {
        self.end(now);
        (self.phase_start, self.interval_start) = (now, now);
        self.phases.push(Record::new(name, is_measured, now));
    }

    /// The present phase ends, and no other begins.
    pub fn end(&mut self, now: u64) {
        if self.is_running() {
            self.finish_interval(now);
            self.phase_start = u64::MAX;
        }
    }

    fn is_running(&self) -> bool {
        self.phase_start != u64::MAX
    }

    /// When `tick` must be called next.
    pub fn due(&self) -> u64 {
        if self.is_running() { self.interval_start + SECOND_NS } else { u64::MAX }
    }

    /// Ends the present interval when its second is over.
    pub fn tick(&mut self, now: u64) {
        if now >= self.due() {
            self.finish_interval(now);
        }
    }

    /// The run is over: what arrived after the last phase is an interval of its own.
    pub fn finish(&mut self, now: u64) {
        self.end(now);
        if !self.strays.histogram().is_empty() {
            let latency = mem::replace(&mut self.strays, Latency::new());
            let (start, tally) = (self.interval_start, Tally::default());
            self.finished.push(Interval { phase: None, start, end: now, tally, latency });
        }
    }

    /// The intervals that ended since the last call.
    pub fn take_finished(&mut self) -> Vec<Interval> {
        mem::take(&mut self.finished)
    }

    /// The name of a phase that has begun, and whether it is measured.
    pub fn phase(&self, phase: usize) -> (&str, bool) {
        let Record { name, is_measured, .. } = &self.phases[phase];
        (name, *is_measured)
    }

    fn finish_interval(&mut self, now: u64) {
        let index = self.phases.len() - 1;
        let mut latency = mem::replace(&mut self.latency, Latency::new());
        let tally = mem::take(&mut self.tally);
        let phase = &mut self.phases[index];
        phase.latency.add(&latency);
        phase.tally.add(tally);
        if !self.strays.histogram().is_empty() {
            latency.add(&mem::replace(&mut self.strays, Latency::new()));
        }
        self.finished.push(Interval { phase: Some(index), start: self.interval_start, end: now, tally, latency });
        self.interval_start = now;
    }

    /// A message that was meant to be sent at `sent_at` arrived at one receiver.
    pub fn delivered(&mut self, sent_at: u64, now: u64) {
        self.tally.deliveries += u64::from(self.is_running());
        let ns = now.saturating_sub(sent_at);
        if sent_at >= self.phase_start {
            self.latency.record(ns);
        } else {
            self.strayed(sent_at, ns);
        }
    }

    /// It was meant for an earlier phase; before the first phase nothing is recorded.
    #[cold]
    fn strayed(&mut self, sent_at: u64, ns: u64) {
        let index = self.phases.partition_point(|phase| phase.start <= sent_at);
        if let Some(phase) = self.phases[..index].last_mut() {
            phase.latency.record(ns);
            self.strays.record(ns);
        }
    }

    /// So many messages (or connections) are done.
    pub fn completed(&mut self, count: u64) {
        if self.is_running() {
            self.tally.messages += count;
        }
    }

    /// A message of a schedule is sent `lateness_ns` after the harness could have sent it: the harness's own part of its
    /// latency.
    pub fn sent_by_schedule(&mut self, lateness_ns: u64) {
        self.tally.scheduled += 1;
        self.tally.late += u64::from(lateness_ns > LATE_NS);
        if let Some(phase) = self.phases.last_mut() {
            phase.lateness.record(lateness_ns);
        }
    }

    /// So many messages were due in the present phase and will not be sent.
    pub fn unsent(&mut self, count: u64) {
        self.tally.unsent += count;
    }

    /// Adds the figures of every phase and, of those that are measured, of the whole run. `samples` were taken at the
    /// begin of each phase and at the end of the last.
    pub fn report(&self, samples: &[Sample], report: &mut Report) {
        let mut whole = Record::new("", true, 0);
        let mut whole_used: Option<Used> = None;
        for (phase, pair) in self.phases.iter().zip(samples.windows(2)) {
            let used = Used::between(&pair[0], &pair[1]);
            let mut figures = Figures::default();
            phase.report(&used, &mut figures);
            let (name, latency) = (phase.name.clone(), phase.latency.clone());
            report.phases.push(PhaseReport { name, is_measured: phase.is_measured, figures, latency });
            if phase.is_measured {
                whole.add(phase);
                whole_used = Some(whole_used.map_or(used, |before| before.and(used)));
            }
        }
        match whole_used {
            Some(used) => whole.report(&used, &mut report.figures),
            None => report.fail("the measured time was not reached"),
        }
        report.latency = Some(whole.latency);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procfs::Usage;

    fn sample(at: u64, cpu_seconds: f64) -> Sample {
        Sample { at, server: Some(Usage { cpu_seconds, rss_bytes: 1 << 20 }), harness: None }
    }

    #[test]
    fn counts_are_of_the_phase_and_latencies_of_what_was_sent_in_it() {
        let mut meter = Meter::new();
        meter.delivered(0, 5);
        meter.begin(10, "measured", true);
        meter.delivered(5, 12);
        meter.delivered(11, 15);
        meter.completed(2);
        meter.end(20);
        meter.delivered(19, 119);
        meter.completed(1);
        let mut report = Report::new("test");
        meter.report(&[sample(0, 1.0), sample(2 * SECOND_NS, 1.5)], &mut report);
        assert_eq!(report.figures.number("messages"), Some(2.0));
        assert_eq!(report.figures.number("messages_per_second"), Some(1.0));
        assert_eq!(report.figures.number("deliveries"), Some(2.0));
        assert_eq!(report.figures.number("latency_max_us"), Some(0.1));
        assert_eq!(report.figures.number("server_cpu_us_per_message"), Some(250_000.0));
        assert_eq!(report.figures.number("late_share"), None);
    }

    #[test]
    fn a_late_arrival_counts_for_the_phase_it_was_meant_for() {
        let mut meter = Meter::new();
        meter.begin(0, "warm-up", false);
        meter.begin(100, "first", true);
        meter.begin(200, "second", true);
        meter.delivered(150, 260);
        meter.delivered(250, 251);
        meter.end(300);
        let samples: Vec<Sample> = (0..4).map(|step| sample(step * SECOND_NS, step as f64)).collect();
        let mut report = Report::new("test");
        meter.report(&samples, &mut report);
        let of = |phase: usize, name| report.phases[phase].figures.number(name);
        assert_eq!(
            (of(0, "latency_max_us"), of(1, "latency_max_us"), of(2, "latency_max_us")),
            (None, Some(0.11), Some(0.001))
        );
        assert_eq!((of(1, "deliveries"), of(2, "deliveries")), (Some(0.0), Some(2.0)));
        assert_eq!(
            (report.figures.number("seconds"), report.figures.number("latency_max_us")),
            (Some(2.0), Some(0.11))
        );
    }

    #[test]
    fn intervals_hold_everything_that_arrived_and_end_with_their_second_or_phase() {
        let mut meter = Meter::new();
        meter.begin(0, "a", true);
        meter.delivered(1, 2);
        assert_eq!(meter.due(), SECOND_NS);
        meter.tick(SECOND_NS - 1);
        meter.tick(SECOND_NS);
        meter.begin(SECOND_NS + 10, "b", true);
        meter.delivered(5, SECOND_NS + 20);
        meter.delivered(SECOND_NS + 11, SECOND_NS + 20);
        meter.end(SECOND_NS + 30);
        meter.delivered(SECOND_NS + 12, SECOND_NS + 40);
        meter.finish(SECOND_NS + 50);
        let found: Vec<_> = meter.take_finished().iter().map(|i| (i.phase, i.latency.histogram().len())).collect();
        assert_eq!(found, [(Some(0), 1), (Some(0), 0), (Some(1), 2), (None, 1)]);
        assert_eq!((meter.due(), meter.phase(1)), (u64::MAX, ("b", true)));
    }

    #[test]
    fn late_sends_are_counted() {
        let mut meter = Meter::new();
        meter.begin(0, "a", true);
        meter.sent_by_schedule(LATE_NS);
        meter.sent_by_schedule(LATE_NS + 1);
        meter.unsent(7);
        meter.end(10);
        let mut report = Report::new("test");
        meter.report(&[sample(0, 0.0), sample(SECOND_NS, 0.0)], &mut report);
        assert_eq!((report.figures.number("late_share"), report.figures.number("unsent")), (Some(0.5), Some(7.0)));
    }
}
