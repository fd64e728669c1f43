//! `echo`, `raw-echo`, `fanout` and `rooms`: one machine, which differs by its [`Layout`] and its [`Pace`].

use super::flights::Flights;
use super::{Command, Layout, Scenario};
use crate::check::Check;
use crate::envelope::{Gap, Stamp};
use crate::measure::{Meter, SECOND_NS, Sample, Span};
use crate::report::Report;

/// The run waits at most this long for what is under way at its end: a server that is behind its schedule has queued much.
const DRAIN_NS: u64 = 60 * SECOND_NS;
/// And then this long for what should not come, such as duplicates.
const LINGER_NS: u64 = SECOND_NS / 20;
/// A run in which nothing arrives for this long has stalled.
const STALL_NS: u64 = 5 * SECOND_NS;
/// Messages of a schedule sent at once, when it is behind: as many as fit a few turns' reads, so that arrivals are
/// still timed promptly.
const SCHEDULE_BUDGET: usize = 1024;

/// When to publish.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// Closed loop: so many messages under way per publisher.
    PerPublisher(usize),
    /// Closed loop: so many under way in all.
    InAll(usize),
    /// Open loop: so many per second in all, by schedule. When `most_under_way` are, the schedule waits, and the
    /// waiting counts as latency.
    PerSecond { rate: f64, most_under_way: usize },
}

/// How long a run takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    pub warmup_ns: u64,
    pub measured_ns: u64,
}

/// The phases of a run. Messages are published in `Warmup` and `Measured`. The times are when a phase ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Opening,
    Warmup(u64),
    Measured(u64),
    Draining(u64),
    Lingering(u64),
    Done,
}

/// The schedule of an open loop.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    start: u64,
    interval_ns: f64,
    sent: u64,
    most_under_way: usize,
}

impl Schedule {
    fn next(&self) -> u64 {
        self.start + (self.sent as f64 * self.interval_ns) as u64
    }
}

/// The state of a traffic run.
#[derive(Debug)]
pub struct Traffic {
    name: &'static str,
    layout: Layout,
    pace: Pace,
    timing: Timing,
    phase: Phase,
    ready: usize,
    flights: Flights,
    check: Check,
    meter: Meter,
    schedule: Option<Schedule>,
    /// Messages published in round robin.
    turn: u64,
    /// When something last arrived, or began to be awaited.
    last_progress: u64,
    stalled: bool,
}

impl Traffic {
    pub fn new(name: &'static str, layout: Layout, pace: Pace, timing: Timing) -> Self {
        let lanes = layout.lane_count();
        Self {
            name,
            layout,
            pace,
            timing,
            phase: Phase::Opening,
            ready: 0,
            flights: Flights::new(layout.receivers(), layout.publisher_count(), lanes),
            check: Check::new(layout.connections(), lanes),
            meter: Meter::new(),
            schedule: None,
            turn: 0,
            last_progress: 0,
            stalled: false,
        }
    }

    fn begin(&mut self, now: u64, out: &mut Vec<Command>) {
        self.phase = Phase::Warmup(now + self.timing.warmup_ns);
        self.last_progress = now;
        match self.pace {
            Pace::PerPublisher(window) => {
                let publishers = self.layout.publisher_count();
                for publisher in (0..window).flat_map(|_| 0..publishers) {
                    self.publish(publisher, now, out);
                }
            }
            Pace::InAll(window) => (0..window).for_each(|_| self.publish_next(now, out)),
            Pace::PerSecond { rate, most_under_way } => {
                let interval_ns = SECOND_NS as f64 / rate;
                self.schedule = Some(Schedule { start: now, interval_ns, sent: 0, most_under_way });
            }
        }
    }

    fn publish(&mut self, publisher: usize, sent_at: u64, out: &mut Vec<Command>) {
        if self.flights.under_way() == 0 {
            self.last_progress = self.last_progress.max(sent_at);
        }
        let number = self.flights.launch(publisher);
        let stamp = Stamp { publisher: publisher as u32, number, sent_at };
        out.push(Command::Publish { conn: self.layout.connection_of(publisher), stamp });
    }

    fn publish_next(&mut self, sent_at: u64, out: &mut Vec<Command>) {
        let publisher = self.layout.round_robin(self.turn);
        self.turn += 1;
        self.publish(publisher, sent_at, out);
    }

    /// Messages of this publisher are complete: a closed loop puts others in their place.
    fn completed(&mut self, publisher: usize, count: usize, now: u64, out: &mut Vec<Command>) {
        self.meter.completed(count as u64);
        if !self.is_publishing() {
            return self.drained(now);
        }
        for _ in 0..count {
            match self.pace {
                Pace::PerPublisher(_) => self.publish(publisher, now, out),
                Pace::InAll(_) => self.publish_next(now, out),
                Pace::PerSecond { .. } => {}
            }
        }
    }

    fn drained(&mut self, now: u64) {
        if self.flights.under_way() == 0 && matches!(self.phase, Phase::Draining(_)) {
            self.phase = Phase::Lingering(now + LINGER_NS);
        }
    }

    fn publish_scheduled(&mut self, now: u64, out: &mut Vec<Command>) {
        for _ in 0..SCHEDULE_BUDGET {
            let Some(schedule) = &mut self.schedule else {
                return;
            };
            let next = schedule.next();
            if next > now || self.flights.under_way() >= schedule.most_under_way {
                return;
            }
            schedule.sent += 1;
            self.meter.sent_late(next, now);
            self.publish_next(next, out);
        }
    }

    /// When the next message of the schedule is due.
    fn schedule_due(&self) -> u64 {
        match &self.schedule {
            Some(schedule) if self.flights.under_way() < schedule.most_under_way => schedule.next(),
            _ => u64::MAX,
        }
    }

    fn phase_end(&self) -> u64 {
        match self.phase {
            Phase::Opening | Phase::Done => u64::MAX,
            Phase::Warmup(end) | Phase::Measured(end) | Phase::Draining(end) | Phase::Lingering(end) => end,
        }
    }

    /// When the run has stalled, unless something arrives before.
    fn stall_due(&self) -> u64 {
        let awaits = self.is_publishing() || matches!(self.phase, Phase::Draining(_));
        if awaits && self.flights.under_way() > 0 { self.last_progress + STALL_NS } else { u64::MAX }
    }

    fn is_publishing(&self) -> bool {
        matches!(self.phase, Phase::Warmup(_) | Phase::Measured(_))
    }

    fn end_phase(&mut self, now: u64, out: &mut Vec<Command>) {
        self.phase = match self.phase {
            Phase::Warmup(_) => {
                self.meter.open(now);
                out.push(Command::Sample);
                Phase::Measured(now + self.timing.measured_ns)
            }
            Phase::Measured(_) => {
                self.stop_measuring(now, out);
                Phase::Draining(now + DRAIN_NS)
            }
            Phase::Draining(_) => Phase::Lingering(now + LINGER_NS),
            Phase::Lingering(_) | Phase::Opening | Phase::Done => Phase::Done,
        };
        self.drained(now);
    }

    fn stop_measuring(&mut self, now: u64, out: &mut Vec<Command>) {
        self.meter.close(now);
        self.schedule = None;
        out.push(Command::Sample);
    }

    /// Nothing arrives any more: the checks will say what is missing.
    fn stall(&mut self, now: u64, out: &mut Vec<Command>) {
        self.stalled = true;
        if matches!(self.phase, Phase::Measured(_)) {
            self.stop_measuring(now, out);
        }
        self.phase = Phase::Done;
    }

    fn finish_checks(&mut self) {
        for conn in 0..self.layout.connections() {
            for (lane, publisher) in self.layout.lanes_to(conn) {
                self.check.finish_lane(conn, lane, self.flights.sent(publisher));
            }
        }
    }

    fn report_checks(&self, report: &mut Report) {
        let findings = self.check.findings();
        report.int("out_of_order", findings.out_of_order);
        report.int("duplicates", findings.duplicates);
        report.int("misdelivered", findings.misdelivered);
        report.int("lost_silently", findings.lost_silently);
        report.int("lost_declared", findings.lost_declared);
        report.int("gaps", findings.gaps);
        findings.failures().into_iter().for_each(|failure| report.fail(failure));
        if self.stalled {
            report.fail(format!("nothing arrived for {} s", STALL_NS / SECOND_NS));
        }
    }
}

impl Scenario for Traffic {
    fn connections(&self) -> usize {
        self.layout.connections()
    }

    fn on_start(&mut self, _now: u64, out: &mut Vec<Command>) {
        let open = |conn| Command::Open { conn, identity: self.layout.identity(conn) };
        out.extend((0..self.layout.connections()).map(open));
    }

    fn on_ready(&mut self, _conn: usize, now: u64, out: &mut Vec<Command>) {
        self.ready += 1;
        if self.ready == self.layout.connections() {
            self.begin(now, out);
        }
    }

    fn on_message(&mut self, conn: usize, stamp: Stamp, now: u64, out: &mut Vec<Command>) {
        let publisher = stamp.publisher as usize;
        let Some(lane) = self.layout.lane(conn, publisher) else {
            return self.check.misdelivered();
        };
        self.last_progress = now;
        self.meter.delivered(stamp.sent_at, now);
        self.check.arrived(conn, lane, stamp.number);
        let completed = self.flights.pass(lane, publisher, stamp.number.saturating_add(1));
        if completed > 0 {
            self.completed(publisher, completed, now, out);
        }
    }

    /// Whatever is still under way to `conn` may be what was lost: it no longer holds up the closed loop.
    fn on_gap(&mut self, conn: usize, gap: Gap, now: u64, out: &mut Vec<Command>) {
        let count = match gap {
            Gap::Positions(count) | Gap::Direct(count) => count,
            Gap::Unknown => 0,
        };
        self.check.declared(conn, count);
        for (lane, publisher) in self.layout.lanes_to(conn) {
            let completed = self.flights.pass(lane, publisher, self.flights.sent(publisher));
            self.completed(publisher, completed, now, out);
        }
    }

    fn on_time(&mut self, now: u64, out: &mut Vec<Command>) {
        self.publish_scheduled(now, out);
        if now >= self.stall_due() {
            self.stall(now, out);
        } else if now >= self.phase_end() {
            self.end_phase(now, out);
        }
    }

    fn due(&self) -> u64 {
        self.phase_end().min(self.schedule_due()).min(self.stall_due())
    }

    fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    fn report(&mut self, samples: &[Sample]) -> Report {
        self.finish_checks();
        let mut report = Report::new(self.name);
        report.int("connections", self.layout.connections() as u64);
        report.int("sessions", self.layout.sessions as u64);
        if let [start, end] = samples {
            self.meter.report(&Span { start, end }, &mut report);
        } else {
            report.fail("the measured time was not reached");
        }
        self.report_checks(&mut report);
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing { warmup_ns: 10, measured_ns: 100 };

    fn ready(layout: Layout, pace: Pace) -> (Traffic, Vec<Stamp>) {
        let mut traffic = Traffic::new("test", layout, pace, TIMING);
        let mut out = Vec::new();
        traffic.on_start(0, &mut out);
        assert_eq!(out.len(), layout.connections());
        out.clear();
        (0..layout.connections()).for_each(|conn| traffic.on_ready(conn, 0, &mut out));
        (traffic, stamps(&out))
    }

    fn stamps(out: &[Command]) -> Vec<Stamp> {
        let stamp = |command: &Command| match command {
            Command::Publish { stamp, .. } => Some(*stamp),
            _ => None,
        };
        out.iter().filter_map(stamp).collect()
    }

    fn at(traffic: &mut Traffic, now: u64) -> Vec<Command> {
        let mut out = Vec::new();
        traffic.on_time(now, &mut out);
        out
    }

    /// Delivers each message to all its receivers, and returns what is published in answer.
    fn deliver(traffic: &mut Traffic, stamps_in: &[Stamp], now: u64) -> Vec<Stamp> {
        let mut out = Vec::new();
        for stamp in stamps_in {
            for conn in 0..traffic.layout.connections() {
                if traffic.layout.lane(conn, stamp.publisher as usize).is_some() {
                    traffic.on_message(conn, *stamp, now, &mut out);
                }
            }
        }
        stamps(&out)
    }

    #[test]
    fn a_closed_loop_keeps_its_window_and_passes() {
        for (layout, pace, window) in [
            (Layout::alone(3), Pace::PerPublisher(2), 6),
            (Layout::fanout(3), Pace::InAll(4), 4),
            (Layout::rooms(2, 2), Pace::InAll(3), 3),
        ] {
            let (mut traffic, mut under_way) = ready(layout, pace);
            assert_eq!(under_way.len(), window);
            under_way = deliver(&mut traffic, &under_way, 5);
            assert_eq!(at(&mut traffic, 10), [Command::Sample]);
            for now in 11..50 {
                under_way = deliver(&mut traffic, &under_way, now);
                assert_eq!(under_way.len(), window);
            }
            assert_eq!(at(&mut traffic, 110), [Command::Sample]);
            assert!(deliver(&mut traffic, &under_way, 111).is_empty());
            at(&mut traffic, 111 + LINGER_NS);
            assert!(traffic.is_done());
            assert_eq!(traffic.check.findings().failures(), [""; 0]);
            let sample = Sample { at: 0, server: None, harness: None };
            let report = traffic.report(&[sample, Sample { at: SECOND_NS, ..sample }]);
            assert!(report.passed(), "{}", report.text());
            assert!(report.json().contains(&format!(r#""messages":{},"#, 39 * window)), "{}", report.json());
        }
    }

    #[test]
    fn an_open_loop_publishes_by_schedule_with_the_intended_times() {
        let pace = Pace::PerSecond { rate: 1e8, most_under_way: 3 };
        let (mut traffic, first) = ready(Layout::alone(2), pace);
        assert!(first.is_empty());
        let sent = stamps(&at(&mut traffic, 15));
        assert_eq!(sent.iter().map(|stamp| stamp.sent_at).collect::<Vec<_>>(), [0, 10]);
        assert_eq!(sent.iter().map(|stamp| stamp.publisher).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(traffic.due(), 20);
        // Full at three: the schedule waits, and goes on from where it should have been.
        assert_eq!(stamps(&at(&mut traffic, 45)).len(), 1);
        assert!(traffic.due() > 100);
        assert!(deliver(&mut traffic, &sent, 50).is_empty());
        assert_eq!(traffic.due(), 30);
        assert_eq!(stamps(&at(&mut traffic, 50))[0].sent_at, 30);
    }

    #[test]
    fn a_lost_message_stalls_and_fails() {
        let (mut traffic, _) = ready(Layout::alone(1), Pace::PerPublisher(1));
        at(&mut traffic, 10);
        at(&mut traffic, STALL_NS);
        assert!(traffic.is_done());
        let report = traffic.report(&[]);
        assert!(report.text().contains("1 messages were lost without a gap"), "{}", report.text());
        assert!(report.text().contains("nothing arrived"), "{}", report.text());
    }

    #[test]
    fn a_gap_lets_a_closed_loop_go_on() {
        let (mut traffic, sent) = ready(Layout::fanout(2), Pace::InAll(2));
        let mut out = Vec::new();
        sent.iter().for_each(|stamp| traffic.on_message(1, *stamp, 1, &mut out));
        assert!(out.is_empty());
        traffic.on_gap(2, Gap::Positions(2), 2, &mut out);
        let next = stamps(&out);
        assert_eq!(next.len(), 2);
        assert_eq!(deliver(&mut traffic, &next, 3).len(), 2);
        assert_eq!(traffic.check.findings().failures(), [""; 0]);
        assert_eq!(traffic.check.findings().lost_declared, 2);
    }

    #[test]
    fn a_message_at_the_wrong_connection_fails() {
        let (mut traffic, sent) = ready(Layout::alone(2), Pace::PerPublisher(1));
        traffic.on_message(1, sent[0], 1, &mut Vec::new());
        let unknown = Stamp { publisher: 77, number: 0, sent_at: 0 };
        traffic.on_message(1, unknown, 1, &mut Vec::new());
        assert_eq!(traffic.check.findings().misdelivered, 2);
    }
}
