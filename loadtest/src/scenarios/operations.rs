//! `operations`: services report many operations with progress to sessions whose clients reload all the time.
//!
//! Each session has some operations going on at a time, one after the other in each place, and each place is a publisher:
//! its messages are `operation_started`, some `operation_progress` and `operation_completed`, then those of its next
//! operation. Progress may be conflated; everything else must reach every client that was connected when it was sent.
//! A client that reloads disconnects, connects, and is due everything that is sent from its welcome on.
//!
//! Connections are numbered session by session, the services last. Publishers are numbered session by session, too.

use super::schedule::{Paced, Turn};
use super::stages::{Stage, Stages};
use super::{Command, Identity, OpenLoop, Plan, Role, Scenario};
use crate::check::{Check, Sent};
use crate::envelope::{Gap, Stamp};
use crate::limits::SCHEDULED_IN_A_ROW;
use crate::measure::{Latency, SECOND_NS, Sample};
use crate::meter::Meter;
use crate::report::Report;
use crate::wording::{Keying, Wording};

/// Connections that publish.
const SERVICES: usize = 4;
/// Reloads begin so long after the load.
const RELOADS_AFTER_NS: u64 = SECOND_NS / 10;

/// How large a run is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OperationsSize {
    pub sessions: usize,
    /// Clients of each session.
    pub members: usize,
    /// Operations of each session that go on at a time.
    pub places: usize,
    /// Messages of an operation, at least 2.
    pub steps: u64,
    /// Clients that reload per second, in all.
    pub reloads_per_second: f64,
}

impl OperationsSize {
    pub fn clients(&self) -> usize {
        self.sessions * self.members
    }

    fn publishers(&self) -> usize {
        self.sessions * self.places
    }

    /// The lane from a publisher to a client; `None` when it is of another session.
    fn lane(&self, client: usize, publisher: usize) -> Option<usize> {
        let addressed = client < self.clients() && client / self.members == publisher / self.places;
        addressed.then(|| client * self.places + publisher % self.places)
    }

    /// All lanes that end at a client, with their publishers.
    fn lanes_to(self, client: usize) -> impl Iterator<Item = (usize, usize)> {
        let publisher = client / self.members * self.places;
        (0..self.places).map(move |place| (client * self.places + place, publisher + place))
    }
}

/// A type of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Started,
    Progress,
    Completed,
}

/// The state of a run.
#[derive(Debug)]
pub struct Operations {
    size: OperationsSize,
    load: OpenLoop,
    stages: Stages,
    paced: Paced,
    reloads: Paced,
    turn: usize,
    reload_turn: usize,
    /// Per publisher: messages sent, and the number above all that any client has.
    sent: Vec<u64>,
    reached: Vec<u64>,
    under_way: usize,
    /// Per client: whether it is connected; when it last began to reload.
    online: Vec<bool>,
    reload_began: Vec<u64>,
    /// Per lane: what is due begins with this number.
    due_from: Vec<u64>,
    check: Check,
    /// By kind.
    latencies: [Latency; 3],
    reload_latency: Latency,
    operations: u64,
    seen_whole: u64,
}

impl Operations {
    /// `load` has the rate of messages, not of operations.
    pub fn new(size: OperationsSize, load: OpenLoop, plan: Plan) -> Self {
        let (clients, publishers, lanes) = (size.clients(), size.publishers(), size.clients() * size.places);
        Self {
            size,
            load,
            stages: Stages::new(clients + SERVICES, plan),
            paced: Paced::default(),
            reloads: Paced::default(),
            turn: 0,
            reload_turn: 0,
            sent: vec![0; publishers],
            reached: vec![0; publishers],
            under_way: 0,
            online: vec![false; clients],
            reload_began: vec![0; clients],
            due_from: vec![0; lanes],
            check: Check::new(clients, lanes),
            latencies: [Latency::new(), Latency::new(), Latency::new()],
            reload_latency: Latency::new(),
            operations: 0,
            seen_whole: 0,
        }
    }

    fn identity(&self, conn: usize) -> Identity {
        match conn.checked_sub(self.size.clients()) {
            None => Identity::user((conn / self.size.members) as u32),
            Some(service) => {
                let session = (self.size.sessions + service) as u32;
                Identity { role: Role::Service, ..Identity::user(session) }
            }
        }
    }

    fn sent(&self, publisher: usize) -> Sent {
        Sent { count: self.sent[publisher], keying: Keying::Operation(self.size.steps) }
    }

    fn kind(&self, number: u64) -> Kind {
        match number % self.size.steps {
            0 => Kind::Started,
            step if step + 1 == self.size.steps => Kind::Completed,
            _ => Kind::Progress,
        }
    }

    fn publish_scheduled(&mut self, now: u64, out: &mut Vec<Command>) {
        for _ in 0..SCHEDULED_IN_A_ROW {
            let Some(Turn { sent_at, lateness_ns }) = self.paced.take(self.under_way, now) else {
                return;
            };
            self.stages.meter().sent_by_schedule(lateness_ns);
            self.publish(self.turn % self.size.publishers(), sent_at, out);
            self.turn += 1;
        }
    }

    fn publish(&mut self, publisher: usize, sent_at: u64, out: &mut Vec<Command>) {
        let Sent { count: number, keying } = self.sent(publisher);
        self.sent[publisher] += 1;
        self.under_way += 1;
        let session = Some((publisher / self.size.places) as u32);
        out.push(Command::Publish {
            conn: self.size.clients() + publisher % SERVICES,
            stamp: Stamp { publisher: publisher as u32, number, sent_at },
            wording: Wording { keying, session, ..Wording::PLAIN },
        });
    }

    fn schedule_due(&self) -> u64 {
        self.paced.due(self.under_way).min(self.reloads.due(self.under_way))
    }

    fn begin_reloads(&mut self, now: u64) {
        let rate = self.size.reloads_per_second;
        if rate > 0.0 {
            self.reloads = Paced::endless(now + RELOADS_AFTER_NS, OpenLoop::unhindered(rate));
        }
    }

    fn reload_scheduled(&mut self, now: u64, out: &mut Vec<Command>) {
        while let Some(turn) = self.reloads.take(self.under_way, now) {
            let client = self.reload_turn % self.size.clients();
            self.reload_turn += 1;
            // One that is still on its way back is left alone.
            if self.online[client] {
                self.reload(client, turn.sent_at, out);
            }
        }
    }

    fn reload(&mut self, client: usize, began: u64, out: &mut Vec<Command>) {
        self.online[client] = false;
        self.reload_began[client] = began;
        self.size.lanes_to(client).for_each(|(lane, _)| self.check.leave_lane(lane));
        out.push(Command::Close { conn: client });
    }

    /// A client is connected: it is due what is sent from now on.
    fn join(&mut self, client: usize) {
        self.online[client] = true;
        for (lane, publisher) in self.size.lanes_to(client) {
            self.due_from[lane] = self.sent[publisher];
            self.check.join_lane(lane, self.sent[publisher]);
        }
    }

    fn came_back(&mut self, client: usize, now: u64) {
        let began = self.reload_began[client];
        if self.stages.covers(began) {
            self.reload_latency.record(now.saturating_sub(began));
        }
        self.note_drained(now);
    }

    /// The first client has a message of a publisher.
    fn reached(&mut self, publisher: usize, number: u64) {
        let next = &mut self.reached[publisher];
        if (*next..self.sent[publisher]).contains(&number) {
            let count = number + 1 - *next;
            *next = number + 1;
            self.under_way -= count as usize;
            self.stages.meter().completed(count);
        }
    }

    /// A client that was connected for all of an operation has its end.
    fn completed(&mut self, lane: usize, stamp: Stamp) {
        let is_first = stamp.number >= self.reached[stamp.publisher as usize];
        self.operations += u64::from(is_first && self.stages.covers(stamp.sent_at));
        let started = stamp.number + 1 - self.size.steps;
        self.seen_whole += u64::from(started >= self.due_from[lane]);
    }

    fn note_drained(&mut self, now: u64) {
        let has_all = |client| {
            let mut lanes = self.size.lanes_to(client);
            lanes.all(|(lane, publisher)| self.check.next_on(lane) == self.sent[publisher])
        };
        if (0..self.size.clients()).all(|client| self.online[client] && has_all(client)) {
            self.stages.drained(now);
        }
    }

    fn report_operations(&self, report: &mut Report) {
        report.int("operations", self.operations);
        let seconds = report.figures.number("seconds");
        report.maybe("operations_per_second", seconds.map(|seconds| self.operations as f64 / seconds));
        report.int("operations_seen_whole", self.seen_whole);
        let away = self.online.iter().filter(|online| !**online).count();
        report.check("clients come back", (away > 0).then(|| format!("{away} clients did not come back")));
        for (latency, name) in self.latencies.iter().zip(["started", "progress", "completed"]) {
            latency.report(name, &mut report.figures);
        }
        self.reload_latency.report("reload", &mut report.figures);
        let failure = || "no client saw an operation from its start to its end".into();
        report.check("operations are seen whole", (self.seen_whole == 0).then(failure));
    }
}

impl Scenario for Operations {
    fn connections(&self) -> usize {
        self.size.clients() + SERVICES
    }

    fn on_start(&mut self, _now: u64, out: &mut Vec<Command>) {
        out.extend((0..self.connections()).map(|conn| Command::Open { conn, identity: self.identity(conn) }));
    }

    fn on_ready(&mut self, conn: usize, now: u64, out: &mut Vec<Command>) {
        if conn < self.size.clients() {
            self.join(conn);
        }
        if self.stages.has_begun() {
            self.came_back(conn, now);
        } else if self.stages.opened() {
            self.stages.begin(now, out);
            self.paced = Paced::endless(now, self.load);
            self.begin_reloads(now);
        }
    }

    fn on_message(&mut self, conn: usize, stamp: Stamp, now: u64, _out: &mut Vec<Command>) {
        let publisher = stamp.publisher as usize;
        let Some(lane) = self.size.lane(conn, publisher) else {
            return self.check.misdelivered();
        };
        // Not due: it was under way when the client left or came.
        if !self.online[conn] || stamp.number < self.due_from[lane] {
            return;
        }
        self.stages.progressed(now);
        self.stages.meter().delivered(stamp.sent_at, now);
        let kind = self.kind(stamp.number);
        if self.stages.covers(stamp.sent_at) {
            self.latencies[kind as usize].record(now.saturating_sub(stamp.sent_at));
        }
        self.check.arrived(conn, lane, stamp.number, self.sent(publisher));
        if kind == Kind::Completed {
            self.completed(lane, stamp);
        }
        self.reached(publisher, stamp.number);
        if !self.stages.is_publishing() {
            self.note_drained(now);
        }
    }

    fn on_gap(&mut self, conn: usize, gap: Gap, _now: u64, _out: &mut Vec<Command>) {
        if conn < self.size.clients() {
            self.check.declared(conn, gap);
        }
    }

    fn on_closed(&mut self, conn: usize, _now: u64, out: &mut Vec<Command>) {
        out.push(Command::Open { conn, identity: self.identity(conn) });
    }

    fn on_time(&mut self, now: u64, out: &mut Vec<Command>) {
        self.publish_scheduled(now, out);
        self.reload_scheduled(now, out);
        if self.stages.ends_plan(now) {
            self.reloads = Paced::default();
            self.stages.meter().unsent(self.paced.end(now));
        }
        if self.stages.advance(now, out) == Some(Stage::Draining) {
            self.note_drained(now);
        }
    }

    fn due(&self) -> u64 {
        self.stages.due().min(self.schedule_due())
    }

    fn is_done(&self) -> bool {
        self.stages.is_done()
    }

    fn meter(&mut self) -> &mut Meter {
        self.stages.meter()
    }

    fn report(&mut self, samples: &[Sample]) -> Report {
        for client in (0..self.size.clients()).filter(|&client| self.online[client]) {
            for (lane, publisher) in self.size.lanes_to(client) {
                self.check.finish_lane(client, lane, self.sent(publisher));
            }
        }
        let mut report = Report::new("operations");
        report.int("connections", self.connections() as u64);
        report.int("sessions", self.size.sessions as u64);
        self.stages.report(samples, &mut report);
        self.report_operations(&mut report);
        self.check.findings().report(&mut report);
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::Pace;
    use crate::scenarios::testing::{all_ready, at, finished, stamps, started};

    const SIZE: OperationsSize =
        OperationsSize { sessions: 2, members: 2, places: 1, steps: 4, reloads_per_second: 1e-9 };
    const LOAD: OpenLoop = OpenLoop::level(1e8, 1000);

    /// A run of two sessions of two clients, in its measured time, and what was published: eight messages a session.
    fn measured() -> (Operations, Vec<Stamp>) {
        let mut operations = Operations::new(SIZE, LOAD, Plan::simple(0, 1000, Pace::InAll(1)));
        started(&mut operations);
        all_ready(&mut operations);
        let published = [0, 150].map(|now| stamps(&at(&mut operations, now))).concat();
        operations.paced = Paced::default();
        (operations, published)
    }

    fn arrive(operations: &mut Operations, stamps: &[Stamp], skip: impl Fn(usize, Stamp) -> bool) {
        for stamp in stamps {
            for conn in [0, 1].map(|member| stamp.publisher as usize * 2 + member) {
                if !skip(conn, *stamp) {
                    operations.on_message(conn, *stamp, 200, &mut Vec::new());
                }
            }
        }
    }

    #[test]
    fn a_client_that_sees_all_sees_whole_operations() {
        let (mut operations, stamps) = measured();
        assert_eq!(stamps.len(), 16);
        arrive(&mut operations, &stamps, |_, _| false);
        assert_eq!((operations.under_way, operations.operations), (0, 4));
        let report = finished(operations);
        assert!(report.passed(), "{}", report.text());
        assert_eq!(report.figures.number("operations_seen_whole"), Some(8.0));
    }

    #[test]
    fn progress_may_be_conflated_and_nothing_else() {
        for (number, passed) in [(0, false), (1, true), (2, false), (3, false)] {
            let (mut operations, stamps) = measured();
            arrive(&mut operations, &stamps, |conn, stamp| conn == 1 && stamp.number == number);
            assert_eq!(finished(operations).passed(), passed, "{number}");
        }
    }

    #[test]
    fn progress_that_goes_back_fails() {
        let (mut operations, mut stamps) = measured();
        // Two sessions take turns: these are the first and the second progress of the first session.
        stamps.swap(2, 4);
        arrive(&mut operations, &stamps, |_, _| false);
        assert!(finished(operations).text().contains("out of order"));
    }

    #[test]
    fn a_client_that_reloads_is_due_what_comes_after_its_welcome() {
        let (mut operations, stamps) = measured();
        let (before, after) = stamps.split_at(8);
        arrive(&mut operations, &before[..4], |_, _| false);
        let mut out = Vec::new();
        operations.reload(0, 100, &mut out);
        assert_eq!(out.pop(), Some(Command::Close { conn: 0 }));
        arrive(&mut operations, &before[4..], |_, _| false);
        operations.on_closed(0, 160, &mut out);
        assert!(matches!(out[..], [Command::Open { conn: 0, .. }]));
        operations.on_ready(0, 170, &mut out);
        // All was sent by then: what still arrives is not due, and need not arrive.
        arrive(&mut operations, after, |conn, stamp| conn == 0 && stamp.number < 6);
        let report = finished(operations);
        assert!(report.passed(), "{}", report.text());
        let figure = |name| report.figures.number(name);
        assert_eq!((figure("sent_to_receivers"), figure("delivered")), (Some(26.0), Some(26.0)));
    }
}
