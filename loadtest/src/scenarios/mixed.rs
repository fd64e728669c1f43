//! `mixed-priority`: a flood of `low` at more than the server can carry, and `high` probes that must overtake it.
//!
//! First a closed loop measures what the server carries of the flood; then the flood is offered at a multiple of it, by
//! schedule. It goes on being offered however far the server is behind, up to `most_under_way` messages; what waits, in
//! the sockets or in the harness, waits as latency, which counts from the intended time.
//!
//! ```text
//! flooded connection i, alone in session i:     publishes `low` to its session and gets it back
//! prober p, a service in a session of its own:  publishes `high` to session p, p + PROBERS, ... and gets nothing
//! ```
//!
//! So a probe leaves on a socket without a flood: in the harness and on the way to the server nothing is in front of it,
//! which would not be the server's to answer for. It must overtake what the server has not read yet and what it has
//! queued for connection i, and arrives there behind no more than the server had handed to the kernel.

use super::calibration::Calibration;
use super::flights::Flights;
use super::schedule::Paced;
use super::stages::{Stage, Stages};
use super::{Command, Identity, OpenLoop, Plan, Role, Scenario};
use crate::check::{Check, Sent};
use crate::envelope::{Gap, Stamp};
use crate::limits::SCHEDULED_IN_A_ROW;
use crate::measure::{Latency, Sample};
use crate::meter::Meter;
use crate::report::Report;
use crate::wording::{Priority, Wording};

/// Connections that publish probes.
const PROBERS: usize = 8;
/// Messages of a connection in a row. So many are under way on each while the capacity is measured, enough that the
/// server is never without work; and so many come at a time by schedule, so that it is offered in the same portions.
const BURST: usize = 32;

/// How much of the flood is offered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Flood {
    /// Messages per second in all.
    Rate(f64),
    /// So many times what the server was measured to carry.
    Overload(f64),
}

/// The state of a run. Publisher i below `flooded` is the flood of connection i; publisher `flooded + i` probes session i.
/// The lane from a publisher to its one receiver has the publisher's number.
#[derive(Debug)]
pub struct Mixed {
    flooded: usize,
    flood: Flood,
    probe_rate: f64,
    /// The bound of what is under way in all, which holds back only the flood.
    most_under_way: usize,
    /// Its meter is of the flood; its lateness is that of the probes.
    stages: Stages,
    calibration: Option<Calibration>,
    carried_per_second: Option<f64>,
    offered_per_second: f64,
    low: Paced,
    high: Paced,
    low_turn: usize,
    high_turn: usize,
    flights: Flights,
    check: Check,
    probe_latency: Latency,
}

impl Mixed {
    pub fn new(flooded: usize, flood: Flood, probe_rate: f64, most_under_way: usize, plan: Plan) -> Self {
        let publishers = 2 * flooded;
        Self {
            flooded,
            flood,
            probe_rate,
            most_under_way,
            stages: Stages::new(flooded + PROBERS, plan),
            calibration: None,
            carried_per_second: None,
            offered_per_second: 0.0,
            low: Paced::default(),
            high: Paced::default(),
            low_turn: 0,
            high_turn: 0,
            flights: Flights::new(1, publishers, publishers),
            check: Check::new(flooded, publishers),
            probe_latency: Latency::new(),
        }
    }

    fn calibrate(&mut self, now: u64, out: &mut Vec<Command>) {
        self.calibration = Some(Calibration::begin(now));
        for turn in 0..BURST * self.flooded {
            self.publish_low(turn % self.flooded, now, out);
        }
    }

    fn begin(&mut self, low_per_second: f64, now: u64, out: &mut Vec<Command>) {
        self.offered_per_second = low_per_second;
        self.low = Paced::endless(now, OpenLoop::level(low_per_second, self.most_under_way));
        self.high = Paced::endless(now, OpenLoop::unhindered(self.probe_rate));
        self.stages.begin(now, out);
    }

    fn publish(&mut self, conn: usize, publisher: usize, wording: Wording, sent_at: u64, out: &mut Vec<Command>) {
        let number = self.flights.launch(publisher);
        out.push(Command::Publish { conn, stamp: Stamp { publisher: publisher as u32, number, sent_at }, wording });
    }

    fn publish_low(&mut self, conn: usize, sent_at: u64, out: &mut Vec<Command>) {
        let wording = Wording { priority: Priority::Low, ..Wording::PLAIN };
        self.publish(conn, conn, wording, sent_at, out);
    }

    fn publish_probe(&mut self, session: usize, sent_at: u64, out: &mut Vec<Command>) {
        let wording = Wording { priority: Priority::High, session: Some(session as u32), ..Wording::PLAIN };
        self.publish(self.flooded + session % PROBERS, self.flooded + session, wording, sent_at, out);
    }

    fn publish_scheduled(&mut self, now: u64, out: &mut Vec<Command>) {
        while let Some(turn) = self.high.take(self.flights.under_way(), now) {
            self.stages.meter().sent_by_schedule(turn.lateness_ns);
            self.publish_probe(self.high_turn % self.flooded, turn.sent_at, out);
            self.high_turn += 1;
        }
        for _ in 0..SCHEDULED_IN_A_ROW {
            let Some(turn) = self.low.take(self.flights.under_way(), now) else {
                return;
            };
            self.publish_low(self.low_turn / BURST % self.flooded, turn.sent_at, out);
            self.low_turn += 1;
        }
    }

    fn schedule_due(&self) -> u64 {
        let under_way = self.flights.under_way();
        self.low.due(under_way).min(self.high.due(under_way))
    }

    fn calibration_due(&self) -> u64 {
        self.calibration.as_ref().map_or(u64::MAX, Calibration::due)
    }

    /// Ends the calibration, if there is one and its time has come.
    fn calibrated(&mut self, now: u64, out: &mut Vec<Command>) {
        if let (Some(rate), Flood::Overload(factor)) = (self.calibration.and_then(|it| it.rate(now)), self.flood) {
            self.calibration = None;
            self.carried_per_second = Some(rate);
            self.begin((rate * factor).max(1.0), now, out);
        }
    }

    /// A receiver has, or has passed, all numbers of a publisher below `end`.
    fn passed(&mut self, publisher: usize, end: u64, now: u64, out: &mut Vec<Command>) {
        let completed = self.flights.pass(publisher, publisher, end);
        if publisher < self.flooded {
            self.stages.meter().completed(completed as u64);
            if let Some(calibration) = &mut self.calibration {
                calibration.completed(completed as u64, now);
                (0..completed).for_each(|_| self.publish_low(publisher, now, out));
            }
        }
        self.note_drained(now);
    }

    fn note_drained(&mut self, now: u64) {
        if self.flights.under_way() == 0 {
            self.stages.drained(now);
        }
    }

    fn report_latencies(&self, report: &mut Report) {
        self.probe_latency.report("high", &mut report.figures);
        if let (Some(high), Some(low)) = (self.probe_latency.quantile_us(0.99), report.figures.number("latency_p50_us"))
        {
            report.figures.float("high_p99_to_low_p50", high / low);
        }
    }
}

impl Scenario for Mixed {
    fn connections(&self) -> usize {
        self.flooded + PROBERS
    }

    fn on_start(&mut self, _now: u64, out: &mut Vec<Command>) {
        for conn in 0..self.connections() {
            let role = if conn < self.flooded { Role::User } else { Role::Service };
            out.push(Command::Open { conn, identity: Identity { role, ..Identity::user(conn as u32) } });
        }
    }

    fn on_ready(&mut self, _conn: usize, now: u64, out: &mut Vec<Command>) {
        if self.stages.opened() {
            match self.flood {
                Flood::Rate(rate) => self.begin(rate, now, out),
                Flood::Overload(_) => self.calibrate(now, out),
            }
        }
    }

    fn on_message(&mut self, conn: usize, stamp: Stamp, now: u64, out: &mut Vec<Command>) {
        let publisher = stamp.publisher as usize;
        let is_addressed = publisher == conn || publisher == self.flooded + conn;
        if conn >= self.flooded || !is_addressed {
            return self.check.misdelivered();
        }
        self.stages.progressed(now);
        if publisher == conn {
            self.stages.meter().delivered(stamp.sent_at, now);
        } else if self.stages.covers(stamp.sent_at) {
            self.probe_latency.record(now.saturating_sub(stamp.sent_at));
        }
        self.check.arrived(conn, publisher, stamp.number, Sent::plain(self.flights.sent(publisher)));
        self.passed(publisher, stamp.number.saturating_add(1), now, out);
    }

    fn on_gap(&mut self, conn: usize, gap: Gap, now: u64, out: &mut Vec<Command>) {
        if conn >= self.flooded {
            return self.check.misdelivered();
        }
        self.check.declared(conn, gap);
        for publisher in [conn, self.flooded + conn] {
            self.passed(publisher, self.flights.sent(publisher), now, out);
        }
    }

    fn on_time(&mut self, now: u64, out: &mut Vec<Command>) {
        self.calibrated(now, out);
        self.publish_scheduled(now, out);
        if self.stages.ends_plan(now) {
            let unsent = self.low.end(now) + self.high.end(now);
            self.stages.meter().unsent(unsent);
        }
        if self.stages.advance(now, out) == Some(Stage::Draining) {
            self.note_drained(now);
        }
    }

    fn due(&self) -> u64 {
        self.stages.due().min(self.schedule_due()).min(self.calibration_due())
    }

    fn is_done(&self) -> bool {
        self.stages.is_done()
    }

    fn meter(&mut self) -> &mut Meter {
        self.stages.meter()
    }

    /// `latency` is that of the flood, `high` that of the probes; both count from the intended time.
    fn report(&mut self, samples: &[Sample]) -> Report {
        for publisher in 0..2 * self.flooded {
            let sent = Sent::plain(self.flights.sent(publisher));
            self.check.finish_lane(publisher % self.flooded, publisher, sent);
        }
        let mut report = Report::new("mixed-priority");
        report.int("connections", self.flooded as u64);
        report.maybe("low_carried_per_second", self.carried_per_second);
        report.figures.float("low_offered_per_second", self.offered_per_second);
        report.figures.float("high_offered_per_second", self.probe_rate);
        self.stages.report(samples, &mut report);
        self.report_latencies(&mut report);
        self.check.findings().report(&mut report);
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::Pace;
    use crate::scenarios::testing::{all_ready, at, finished, stamps, started};

    fn opened(flood: Flood, most_under_way: usize) -> (Mixed, Vec<Stamp>) {
        let plan = Plan::simple(100, 1000, Pace::InAll(1));
        let mut mixed = Mixed::new(4, flood, 1e7, most_under_way, plan);
        let asked = started(&mut mixed);
        let services = asked
            .iter()
            .filter(|command| matches!(command, Command::Open { identity: Identity { role: Role::Service, .. }, .. }));
        assert_eq!((services.count(), asked.len()), (PROBERS, 4 + PROBERS));
        let first = stamps(&all_ready(&mut mixed));
        (mixed, first)
    }

    fn published_at(mixed: &mut Mixed, now: u64) -> Vec<Stamp> {
        stamps(&at(mixed, now))
    }

    fn arrive(mixed: &mut Mixed, stamp: Stamp, now: u64) -> Vec<Stamp> {
        let mut out = Vec::new();
        mixed.on_message(stamp.publisher as usize % 4, stamp, now, &mut out);
        stamps(&out)
    }

    #[test]
    fn a_full_flood_waits_and_its_probes_do_not() {
        let (mut mixed, first) = opened(Flood::Rate(1e8), 3);
        assert!(first.is_empty());
        let sent = published_at(&mut mixed, 100);
        let of: Vec<u32> = sent.iter().map(|stamp| stamp.publisher).collect();
        // Two probes were due, and left room for one of the flood.
        assert_eq!(of, [4, 5, 0]);
        assert_eq!(published_at(&mut mixed, 200)[0].publisher, 6);
        arrive(&mut mixed, sent[0], 200);
        arrive(&mut mixed, sent[1], 200);
        let late = published_at(&mut mixed, 200);
        assert_eq!((late[0].publisher, late[0].number, late[0].sent_at), (0, 1, 10));
    }

    #[test]
    fn the_flood_is_a_multiple_of_what_was_carried() {
        let (mut mixed, mut under_way) = opened(Flood::Overload(1.5), 1_000_000);
        assert_eq!(under_way.len(), 4 * BURST);
        let mut carried = 0;
        let end = mixed.due();
        for now in [end / 2, end - 1] {
            carried += under_way.len();
            under_way = under_way.iter().flat_map(|stamp| arrive(&mut mixed, *stamp, now)).collect();
        }
        published_at(&mut mixed, end);
        assert_eq!(mixed.carried_per_second, Some(carried as f64));
        assert_eq!(mixed.offered_per_second, 1.5 * carried as f64);
        under_way.iter().for_each(|stamp| assert!(arrive(&mut mixed, *stamp, end).is_empty()));
    }

    #[test]
    fn priorities_may_pass_each_other_but_each_keeps_its_order() {
        for (order, passed) in [([2, 0, 1, 3], true), ([2, 3, 1, 0], false)] {
            let (mut mixed, _) = opened(Flood::Rate(1e7), 1000);
            let all: Vec<Stamp> = (100..=900).step_by(100).flat_map(|now| published_at(&mut mixed, now)).collect();
            let of = |publisher| all.iter().filter(move |stamp| stamp.publisher == publisher).copied();
            let flow: Vec<Stamp> = of(0).take(2).chain(of(4).take(2)).collect();
            assert_eq!(flow.len(), 4);
            order.iter().for_each(|&index| drop(arrive(&mut mixed, flow[index], 950)));
            (mixed.low, mixed.high) = (Paced::default(), Paced::default());
            all.iter().filter(|stamp| !flow.contains(stamp)).for_each(|stamp| drop(arrive(&mut mixed, *stamp, 960)));
            let report = finished(mixed);
            assert_eq!(report.passed(), passed, "{}", report.text());
            assert_eq!(report.text().contains("arrived out of order"), !passed);
            assert!(report.figures.number("high_p99_to_low_p50").is_some());
        }
    }

    #[test]
    fn a_probe_at_a_prober_or_another_connection_fails() {
        let (mut mixed, _) = opened(Flood::Rate(1e8), 10);
        let probe = published_at(&mut mixed, 0)[0];
        mixed.on_message(1, probe, 1, &mut Vec::new());
        mixed.on_message(4, probe, 1, &mut Vec::new());
        assert_eq!(mixed.check.findings().misdelivered, 2);
    }
}
