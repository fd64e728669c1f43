//! `echo`, `raw-echo`, `fanout` and `rooms`: one machine, which differs by its [`Layout`] and its [`Plan`].

use super::flights::Flights;
use super::schedule::{Paced, Turn};
use super::stages::{Stage, Stages};
use super::{Command, Layout, Pace, Phase, Plan, Scenario};
use crate::check::{Check, Sent};
use crate::envelope::{Gap, Stamp};
use crate::limits::{SCHEDULED_IN_A_ROW, STALL_NS};
use crate::measure::{SECOND_NS, Sample};
use crate::meter::Meter;
use crate::report::Report;
use crate::wording::Wording;

/// The state of a traffic run.
#[derive(Debug)]
pub struct Traffic {
    name: &'static str,
    layout: Layout,
    stages: Stages,
    flights: Flights,
    check: Check,
    /// Of the present phase.
    paced: Paced,
    /// Messages published in round robin.
    turn: u64,
    /// When something last arrived, or began to be awaited.
    last_progress: u64,
    stalled: bool,
}

impl Traffic {
    pub fn new(name: &'static str, layout: Layout, plan: Plan) -> Self {
        let lanes = layout.lane_count();
        Self {
            name,
            layout,
            stages: Stages::new(layout.connections(), plan),
            flights: Flights::new(layout.receivers(), layout.publisher_count(), lanes),
            check: Check::new(layout.connections(), lanes),
            paced: Paced::default(),
            turn: 0,
            last_progress: 0,
            stalled: false,
        }
    }

    fn begin_stage(&mut self, stage: Stage, now: u64, out: &mut Vec<Command>) {
        match stage {
            Stage::Warmup | Stage::Measured => self.begin_phase(now, out),
            Stage::Draining => self.note_drained(now),
            Stage::Opening | Stage::Lingering | Stage::Done => {}
        }
    }

    fn begin_phase(&mut self, now: u64, out: &mut Vec<Command>) {
        let &Phase { pace, length_ns, .. } = self.stages.phase();
        if let Pace::Scheduled(load) = pace {
            self.paced = Paced::new(now, length_ns, load);
        }
        (0..self.layout.publisher_count()).for_each(|publisher| self.refill(publisher, now, out));
    }

    /// A closed loop publishes until its window is full; an open loop does not care.
    fn refill(&mut self, publisher: usize, now: u64, out: &mut Vec<Command>) {
        match self.stages.phase().pace {
            Pace::PerPublisher(window) => {
                while self.flights.under_way_of(publisher) < window {
                    self.publish(publisher, now, out);
                }
            }
            Pace::InAll(window) => {
                while self.flights.under_way() < window {
                    self.publish_next(now, out);
                }
            }
            Pace::Scheduled(_) => {}
        }
    }

    fn publish(&mut self, publisher: usize, sent_at: u64, out: &mut Vec<Command>) {
        if self.flights.under_way() == 0 {
            self.last_progress = self.last_progress.max(sent_at);
        }
        let number = self.flights.launch(publisher);
        let stamp = Stamp { publisher: publisher as u32, number, sent_at };
        let conn = self.layout.connection_of(publisher);
        out.push(Command::Publish { conn, stamp, wording: Wording::PLAIN });
    }

    fn publish_next(&mut self, sent_at: u64, out: &mut Vec<Command>) {
        let publisher = self.layout.round_robin(self.turn);
        self.turn += 1;
        self.publish(publisher, sent_at, out);
    }

    /// Messages of this publisher are complete: a closed loop puts others in their place.
    fn completed(&mut self, publisher: usize, count: usize, now: u64, out: &mut Vec<Command>) {
        self.stages.meter().completed(count as u64);
        if self.stages.is_publishing() {
            self.refill(publisher, now, out);
        } else {
            self.note_drained(now);
        }
    }

    fn note_drained(&mut self, now: u64) {
        if self.flights.under_way() == 0 {
            self.stages.drained(now);
        }
    }

    fn publish_scheduled(&mut self, now: u64, out: &mut Vec<Command>) {
        for _ in 0..SCHEDULED_IN_A_ROW {
            let Some(Turn { sent_at, lateness_ns }) = self.paced.take(self.flights.under_way(), now) else {
                return;
            };
            self.stages.meter().sent_by_schedule(lateness_ns);
            self.publish_next(sent_at, out);
        }
    }

    fn end_schedule(&mut self, now: u64) {
        self.stages.meter().unsent(self.paced.end(now));
    }

    /// When the run has stalled, unless something arrives before.
    fn stall_due(&self) -> u64 {
        if self.stages.is_awaiting() && self.flights.under_way() > 0 { self.last_progress + STALL_NS } else { u64::MAX }
    }

    /// Nothing arrives any more: the checks will say what is missing.
    fn stall(&mut self, now: u64, out: &mut Vec<Command>) {
        self.stalled = true;
        self.end_schedule(now);
        self.stages.stop(now, out);
    }

    fn finish_checks(&mut self) {
        for conn in 0..self.layout.connections() {
            for (lane, publisher) in self.layout.lanes_to(conn) {
                self.check.finish_lane(conn, lane, Sent::plain(self.flights.sent(publisher)));
            }
        }
    }

    fn report_checks(&self, report: &mut Report) {
        self.check.findings().report(report);
        let stall = || format!("nothing arrived for {} s", STALL_NS / SECOND_NS);
        report.check("messages keep arriving", self.stalled.then(stall));
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
        if self.stages.opened() {
            self.last_progress = now;
            let stage = self.stages.begin(now, out);
            self.begin_stage(stage, now, out);
        }
    }

    fn on_message(&mut self, conn: usize, stamp: Stamp, now: u64, out: &mut Vec<Command>) {
        let publisher = stamp.publisher as usize;
        let Some(lane) = self.layout.lane(conn, publisher) else {
            return self.check.misdelivered();
        };
        self.last_progress = now;
        self.stages.progressed(now);
        self.stages.meter().delivered(stamp.sent_at, now);
        self.check.arrived(conn, lane, stamp.number, Sent::plain(self.flights.sent(publisher)));
        let completed = self.flights.pass(lane, publisher, stamp.number.saturating_add(1));
        if completed > 0 {
            self.completed(publisher, completed, now, out);
        }
    }

    /// What is still under way to `conn` and may be what was lost no longer holds up the closed loop.
    fn on_gap(&mut self, conn: usize, gap: Gap, now: u64, out: &mut Vec<Command>) {
        let only_lane = self.layout.only_lane_to(conn);
        match only_lane {
            Some(lane) => self.check.declared_on(conn, lane, gap),
            None => self.check.declared(conn, gap),
        }
        for (lane, publisher) in self.layout.lanes_to(conn) {
            let sent = self.flights.sent(publisher);
            let end = if only_lane.is_some() { gap.passes_to(sent) } else { sent };
            let completed = self.flights.pass(lane, publisher, end);
            self.completed(publisher, completed, now, out);
        }
    }

    fn on_time(&mut self, now: u64, out: &mut Vec<Command>) {
        self.publish_scheduled(now, out);
        if now >= self.stall_due() {
            return self.stall(now, out);
        }
        if self.stages.ends_phase(now) {
            self.end_schedule(now);
        }
        if let Some(stage) = self.stages.advance(now, out) {
            self.begin_stage(stage, now, out);
        }
    }

    fn due(&self) -> u64 {
        self.stages.due().min(self.paced.due(self.flights.under_way())).min(self.stall_due())
    }

    fn is_done(&self) -> bool {
        self.stages.is_done()
    }

    fn meter(&mut self) -> &mut Meter {
        self.stages.meter()
    }

    fn report(&mut self, samples: &[Sample]) -> Report {
        self.finish_checks();
        let mut report = Report::new(self.name);
        report.int("connections", self.layout.connections() as u64);
        report.int("sessions", self.layout.sessions as u64);
        self.stages.report(samples, &mut report);
        self.report_checks(&mut report);
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::OpenLoop;
    use crate::scenarios::testing::{all_ready, at, samples, stamps, started};

    fn plan(pace: Pace) -> Plan {
        Plan::simple(10, 100, pace)
    }

    fn ready(layout: Layout, pace: Pace) -> (Traffic, Vec<Stamp>) {
        let mut traffic = Traffic::new("test", layout, plan(pace));
        assert_eq!(started(&mut traffic).len(), layout.connections());
        let first = stamps(&all_ready(&mut traffic));
        (traffic, first)
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
            let due = traffic.due();
            at(&mut traffic, due);
            assert!(traffic.is_done());
            let report = traffic.report(&samples(&[0, 0, 1]));
            assert!(report.passed(), "{}", report.text());
            assert_eq!(report.figures.number("messages"), Some((39 * window) as f64));
        }
    }

    #[test]
    fn an_open_loop_publishes_by_schedule_with_the_intended_times() {
        let pace = Pace::Scheduled(OpenLoop::level(1e8, 3));
        let (mut traffic, first) = ready(Layout::alone(2), pace);
        assert!(first.is_empty());
        // The warm-up sends one; the schedule begins anew with the next phase.
        let warm_up = stamps(&at(&mut traffic, 10));
        assert_eq!(deliver(&mut traffic, &warm_up, 10), []);
        let sent = stamps(&at(&mut traffic, 25));
        assert_eq!(sent.iter().map(|stamp| stamp.sent_at).collect::<Vec<_>>(), [10, 20]);
        assert_eq!(sent.iter().map(|stamp| stamp.publisher).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(traffic.due(), 30);
        // Full at three: the schedule waits, and goes on from where it should have been.
        assert_eq!(stamps(&at(&mut traffic, 45)).len(), 1);
        assert_eq!(traffic.due(), 110);
        assert!(deliver(&mut traffic, &sent, 50).is_empty());
        assert_eq!(traffic.due(), 40);
        assert_eq!(stamps(&at(&mut traffic, 50))[0].sent_at, 40);
        // What was due by the end of the plan and held up is counted.
        at(&mut traffic, 110);
        let report = traffic.report(&samples(&[0, 0, 1]));
        assert_eq!((report.figures.number("unsent"), report.figures.number("late_share")), (Some(5.0), Some(0.0)));
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
        traffic.on_gap(2, Gap::Positions { from: 1, to: 2 }, 2, &mut out);
        let next = stamps(&out);
        assert_eq!(next.len(), 2);
        assert_eq!(deliver(&mut traffic, &next, 3).len(), 2);
        assert_eq!(traffic.check.findings().lost_silently, 0);
        assert_eq!(traffic.check.findings().lost_declared, 2);
    }

    #[test]
    fn what_a_gap_does_not_name_is_still_waited_for() {
        let (mut traffic, sent) = ready(Layout::alone(1), Pace::PerPublisher(3));
        let mut out = Vec::new();
        traffic.on_gap(0, Gap::Positions { from: 2, to: 2 }, 1, &mut out);
        assert_eq!(stamps(&out).len(), 2);
        assert_eq!(traffic.flights.under_way(), 3);
        assert!(deliver(&mut traffic, &sent[..1], 2).is_empty());
        assert_eq!(deliver(&mut traffic, &sent[2..], 3).len(), 1);
        assert_eq!(traffic.check.findings().lost_declared, 1);
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
