//! `rest`: HTTP connections that are kept alive publish, and WebSocket clients receive.
//!
//! Publisher i is HTTP connection i and publishes to session i, whose one member is connection `publishers + i`. A request
//! is followed by the next when it is answered: a closed loop, with some requests under way on each connection.

use std::collections::VecDeque;

use super::stages::{Stage, Stages};
use super::{Command, Identity, Plan, Role, Scenario};
use crate::check::{Check, Sent};
use crate::envelope::{Gap, Stamp};
use crate::http::Route;
use crate::measure::{Latency, Sample};
use crate::meter::Meter;
use crate::report::Report;
use crate::wording::Wording;

/// The answer to what is published.
const ACCEPTED: u16 = 202;

/// The state of a run.
#[derive(Debug)]
pub struct Rest {
    publishers: usize,
    /// Requests under way on each connection.
    window: usize,
    route: Route,
    /// Its meter counts answers as messages and times deliveries.
    stages: Stages,
    sent: Vec<u64>,
    /// Per publisher: when the requests that were not answered yet were sent.
    asked: Vec<VecDeque<u64>>,
    check: Check,
    answer_latency: Latency,
    not_accepted: u64,
}

impl Rest {
    pub fn new(publishers: usize, window: usize, route: Route, plan: Plan) -> Self {
        Self {
            publishers,
            window,
            route,
            stages: Stages::new(2 * publishers, plan),
            sent: vec![0; publishers],
            asked: vec![VecDeque::new(); publishers],
            check: Check::new(publishers, publishers),
            answer_latency: Latency::new(),
            not_accepted: 0,
        }
    }

    fn identity(&self, conn: usize) -> Identity {
        let user = Identity::user((conn % self.publishers) as u32);
        if conn < self.publishers { Identity { role: Role::Rest(self.route), ..user } } else { user }
    }

    fn publish(&mut self, publisher: usize, now: u64, out: &mut Vec<Command>) {
        let stamp = Stamp { publisher: publisher as u32, number: self.sent[publisher], sent_at: now };
        self.sent[publisher] += 1;
        self.asked[publisher].push_back(now);
        let wording = Wording { session: Some(publisher as u32), ..Wording::PLAIN };
        out.push(Command::Publish { conn: publisher, stamp, wording });
    }

    fn note_drained(&mut self, now: u64) {
        let is_drained = |publisher: usize| {
            self.asked[publisher].is_empty() && self.check.next_on(publisher) == self.sent[publisher]
        };
        if !self.stages.is_publishing() && (0..self.publishers).all(is_drained) {
            self.stages.drained(now);
        }
    }
}

impl Scenario for Rest {
    fn connections(&self) -> usize {
        2 * self.publishers
    }

    fn on_start(&mut self, _now: u64, out: &mut Vec<Command>) {
        out.extend((0..self.connections()).map(|conn| Command::Open { conn, identity: self.identity(conn) }));
    }

    fn on_ready(&mut self, _conn: usize, now: u64, out: &mut Vec<Command>) {
        if self.stages.opened() {
            self.stages.begin(now, out);
            for turn in 0..self.window * self.publishers {
                self.publish(turn % self.publishers, now, out);
            }
        }
    }

    fn on_answer(&mut self, conn: usize, status: u16, now: u64, out: &mut Vec<Command>) {
        let Some(asked) = self.asked[conn].pop_front() else {
            return self.check.misdelivered();
        };
        self.not_accepted += u64::from(status != ACCEPTED);
        if self.stages.covers(asked) {
            self.answer_latency.record(now.saturating_sub(asked));
        }
        self.stages.meter().completed(1);
        if self.stages.is_publishing() {
            self.publish(conn, now, out);
        }
        self.note_drained(now);
    }

    fn on_message(&mut self, conn: usize, stamp: Stamp, now: u64, _out: &mut Vec<Command>) {
        let publisher = stamp.publisher as usize;
        if publisher >= self.publishers || conn != self.publishers + publisher {
            return self.check.misdelivered();
        }
        self.stages.progressed(now);
        self.stages.meter().delivered(stamp.sent_at, now);
        self.check.arrived(publisher, publisher, stamp.number, Sent::plain(self.sent[publisher]));
        self.note_drained(now);
    }

    fn on_gap(&mut self, conn: usize, gap: Gap, _now: u64, _out: &mut Vec<Command>) {
        let publisher = conn % self.publishers;
        self.check.declared_on(publisher, publisher, gap);
    }

    fn on_time(&mut self, now: u64, out: &mut Vec<Command>) {
        if self.stages.advance(now, out) == Some(Stage::Draining) {
            self.note_drained(now);
        }
    }

    fn due(&self) -> u64 {
        self.stages.due()
    }

    fn is_done(&self) -> bool {
        self.stages.is_done()
    }

    fn meter(&mut self) -> &mut Meter {
        self.stages.meter()
    }

    /// `messages` are requests answered; `latency` is that of deliveries, `answer` that of answers.
    fn report(&mut self, samples: &[Sample]) -> Report {
        for publisher in 0..self.publishers {
            self.check.finish_lane(publisher, publisher, Sent::plain(self.sent[publisher]));
        }
        let mut report = Report::new("rest");
        report.int("connections", self.publishers as u64);
        self.stages.report(samples, &mut report);
        self.answer_latency.report("answer", &mut report.figures);
        report.int("not_accepted", self.not_accepted);
        let failure = || format!("{} requests were not accepted", self.not_accepted);
        report.check("requests are accepted", (self.not_accepted > 0).then(failure));
        self.check.findings().report(&mut report);
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::SECOND_NS;
    use crate::scenarios::Pace;
    use crate::scenarios::testing::{all_ready, at, finished, stamps, started};

    fn opened() -> (Rest, Vec<Stamp>) {
        let mut rest = Rest::new(2, 3, Route::Send, Plan::simple(0, 100, Pace::InAll(1)));
        let asked = started(&mut rest);
        let is_rest = |it: &&Command| matches!(it, Command::Open { identity, .. } if identity.role != Role::User);
        assert_eq!((asked.iter().filter(is_rest).count(), asked.len()), (2, 4));
        let first = stamps(&all_ready(&mut rest));
        at(&mut rest, 0);
        (rest, first)
    }

    fn answer(rest: &mut Rest, stamps_in: &[Stamp], status: u16, now: u64) -> Vec<Stamp> {
        let mut out = Vec::new();
        stamps_in.iter().for_each(|stamp| rest.on_answer(stamp.publisher as usize, status, now, &mut out));
        stamps(&out)
    }

    fn deliver(rest: &mut Rest, stamps_in: &[Stamp], now: u64) {
        for stamp in stamps_in {
            rest.on_message(2 + stamp.publisher as usize, *stamp, now, &mut Vec::new());
        }
    }

    #[test]
    fn an_answer_is_followed_by_a_request_until_the_end() {
        let (mut rest, first) = opened();
        assert_eq!(first.len(), 6);
        let second = answer(&mut rest, &first, 202, 50);
        assert_eq!(second.len(), 6);
        deliver(&mut rest, &first, 60);
        at(&mut rest, 100);
        assert!(answer(&mut rest, &second, 202, 101).is_empty());
        assert!(rest.due() > SECOND_NS);
        deliver(&mut rest, &second, 102);
        assert!(rest.due() < SECOND_NS);
        let report = finished(rest);
        assert!(report.passed(), "{}", report.text());
        assert_eq!(report.figures.number("messages"), Some(6.0));
        assert!(report.figures.number("answer_p50_us").is_some());
    }

    #[test]
    fn what_is_refused_or_not_delivered_fails() {
        let (mut rest, first) = opened();
        at(&mut rest, 100);
        answer(&mut rest, &first, 503, 101);
        deliver(&mut rest, &first[..4], 102);
        let report = finished(rest);
        assert!(report.text().contains("6 requests were not accepted"), "{}", report.text());
        assert!(report.text().contains("2 messages were lost without a gap"), "{}", report.text());
    }
}
