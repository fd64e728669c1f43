//! `storm`: all clients lose their connections at once and come back, several times over. Reports how long that takes, and
//! what a connection that stays notices of it.
//!
//! Connections are cut off without a close frame, as a network that fails does. A client that is refused tries again after
//! a fixed time; that is counted, and no failure. The last connection is the one that stays: alone in its session, it
//! publishes to itself by schedule.
//!
//! Each storm, and each calm before one, is a phase; only storms are measured.

use std::collections::VecDeque;

use super::schedule::{Paced, Turn};
use super::{Command, Identity, OpenLoop, Scenario};
use crate::check::{Check, Sent};
use crate::envelope::{Gap, Stamp};
use crate::error::ConnectionError;
use crate::limits::{CUTS_IN_A_ROW, STORM_NS};
use crate::measure::{Latency, SECOND_NS, Sample};
use crate::meter::Meter;
use crate::report::Report;
use crate::wording::Wording;

/// Clients of each session.
const SESSION_SIZE: usize = 10;
/// How long it is calm before each storm and after the last.
const CALM_NS: u64 = SECOND_NS / 2;
/// A client that was refused waits so long.
const RETRY_NS: u64 = SECOND_NS / 10;
/// Messages per second of the connection that stays.
const PROBE_RATE: f64 = 200.0;
/// Its lane, and its number as a publisher and receiver.
const PROBE: usize = 0;

/// The phases, with when they end at the latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Opening,
    Calm(u64),
    Storm(u64),
    Done,
}

/// The state of a run.
#[derive(Debug)]
pub struct Storm {
    clients: usize,
    rounds: usize,
    /// The cuts of one storm are spread evenly over this time.
    spread_ns: u64,
    phase: Phase,
    round: usize,
    /// When the last storm began.
    began: u64,
    /// Clients that this storm has cut off so far, and all that are connected.
    cut: usize,
    online: usize,
    /// Per client: when it was last cut off.
    cut_at: Vec<u64>,
    /// Clients that were refused, and when they try again.
    retries: VecDeque<(u64, usize)>,
    refused: u64,
    back: Latency,
    all_back: Latency,
    paced: Paced,
    sent: u64,
    check: Check,
    /// Of the connection that stays; clients that are back are its messages.
    meter: Meter,
    is_stuck: bool,
}

impl Storm {
    pub fn new(clients: usize, rounds: usize, spread_ns: u64) -> Self {
        Self {
            clients,
            rounds,
            spread_ns,
            phase: Phase::Opening,
            round: 0,
            began: 0,
            cut: 0,
            online: 0,
            cut_at: vec![0; clients],
            retries: VecDeque::new(),
            refused: 0,
            back: Latency::new(),
            all_back: Latency::new(),
            paced: Paced::default(),
            sent: 0,
            check: Check::new(1, 1),
            meter: Meter::new(),
            is_stuck: false,
        }
    }

    fn open(&self, conn: usize) -> Command {
        Command::Open { conn, identity: Identity::user((conn / SESSION_SIZE) as u32) }
    }

    /// The connection that stays, in a session that no client is in.
    fn open_probe(&self) -> Command {
        let session = self.clients.div_ceil(SESSION_SIZE) as u32;
        Command::Open { conn: self.clients, identity: Identity::user(session) }
    }

    fn is_storm(&self) -> bool {
        matches!(self.phase, Phase::Storm(_))
    }

    /// When a client is to be cut off in this storm.
    fn cut_due(&self, client: usize) -> u64 {
        self.began + (self.spread_ns as f64 * client as f64 / self.clients as f64) as u64
    }

    /// When the next client is to be cut off.
    fn cuts_due(&self) -> u64 {
        if self.is_storm() && self.cut < self.clients { self.cut_due(self.cut) } else { u64::MAX }
    }

    fn cut_clients(&mut self, now: u64, out: &mut Vec<Command>) {
        for _ in 0..CUTS_IN_A_ROW {
            if self.cuts_due() > now {
                return;
            }
            let conn = self.cut;
            self.cut_at[conn] = self.cut_due(conn);
            self.cut += 1;
            self.online -= 1;
            out.extend([Command::Cut { conn }, self.open(conn)]);
        }
    }

    fn retry(&mut self, now: u64, out: &mut Vec<Command>) {
        while let Some(&(_, conn)) = self.retries.front().filter(|(due, _)| *due <= now) {
            self.retries.pop_front();
            out.push(self.open(conn));
        }
    }

    fn publish_scheduled(&mut self, now: u64, out: &mut Vec<Command>) {
        while let Some(Turn { sent_at, lateness_ns }) = self.paced.take(0, now) {
            let stamp = Stamp { publisher: PROBE as u32, number: self.sent, sent_at };
            self.sent += 1;
            self.meter.sent_by_schedule(lateness_ns);
            out.push(Command::Publish { conn: self.clients, stamp, wording: Wording::PLAIN });
        }
    }

    fn end_phase(&mut self, now: u64, out: &mut Vec<Command>) {
        match self.phase {
            Phase::Calm(_) if self.round < self.rounds => {
                (self.began, self.cut) = (now, 0);
                self.round += 1;
                self.enter(Phase::Storm(now + STORM_NS), now, out);
            }
            Phase::Calm(_) => self.stop(now, out),
            Phase::Storm(_) => {
                self.is_stuck = true;
                self.stop(now, out);
            }
            Phase::Opening | Phase::Done => {}
        }
    }

    fn phase_end(&self) -> u64 {
        match self.phase {
            Phase::Opening | Phase::Done => u64::MAX,
            Phase::Calm(end) | Phase::Storm(end) => end,
        }
    }

    fn enter(&mut self, phase: Phase, now: u64, out: &mut Vec<Command>) {
        self.phase = phase;
        out.push(Command::Sample);
        match self.is_storm() {
            true => self.meter.begin(now, &format!("storm {}", self.round), true),
            false => self.meter.begin(now, &format!("calm {}", self.round), false),
        }
    }

    fn stop(&mut self, now: u64, out: &mut Vec<Command>) {
        out.push(Command::Sample);
        self.meter.end(now);
        self.phase = Phase::Done;
    }

    fn came_back(&mut self, conn: usize, now: u64, out: &mut Vec<Command>) {
        self.meter.completed(1);
        self.back.record(now.saturating_sub(self.cut_at[conn]));
        if self.online == self.connections() && self.cut == self.clients {
            self.all_back.record(now - self.began);
            self.calm(now, out);
        }
    }

    fn calm(&mut self, now: u64, out: &mut Vec<Command>) {
        self.enter(Phase::Calm(now + CALM_NS), now, out);
        if self.round == self.rounds {
            self.paced = Paced::default();
        }
    }
}

impl Scenario for Storm {
    fn connections(&self) -> usize {
        self.clients + 1
    }

    fn on_start(&mut self, _now: u64, out: &mut Vec<Command>) {
        out.extend((0..self.clients).map(|conn| self.open(conn)));
        out.push(self.open_probe());
    }

    fn on_ready(&mut self, conn: usize, now: u64, out: &mut Vec<Command>) {
        self.online += 1;
        if self.is_storm() {
            self.came_back(conn, now, out);
        } else if self.online == self.connections() {
            self.paced = Paced::endless(now, OpenLoop::unhindered(PROBE_RATE));
            self.calm(now, out);
        }
    }

    fn on_message(&mut self, conn: usize, stamp: Stamp, now: u64, _out: &mut Vec<Command>) {
        if conn != self.clients || stamp.publisher as usize != PROBE {
            return self.check.misdelivered();
        }
        self.meter.delivered(stamp.sent_at, now);
        self.check.arrived(PROBE, PROBE, stamp.number, Sent::plain(self.sent));
    }

    fn on_gap(&mut self, conn: usize, gap: Gap, _now: u64, _out: &mut Vec<Command>) {
        if conn == self.clients {
            self.check.declared_on(PROBE, PROBE, gap);
        }
    }

    fn on_failed(&mut self, conn: usize, _error: &ConnectionError, now: u64) -> bool {
        let is_coming_back = self.is_storm() && conn < self.cut;
        if is_coming_back {
            self.refused += 1;
            self.retries.push_back((now + RETRY_NS, conn));
        }
        is_coming_back
    }

    fn on_time(&mut self, now: u64, out: &mut Vec<Command>) {
        if now >= self.phase_end() {
            self.end_phase(now, out);
        }
        self.cut_clients(now, out);
        self.retry(now, out);
        self.publish_scheduled(now, out);
    }

    fn due(&self) -> u64 {
        let retry = self.retries.front().map_or(u64::MAX, |(due, _)| *due);
        self.phase_end().min(self.cuts_due()).min(retry).min(self.paced.due(0))
    }

    fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }

    /// `messages` are clients that are back, `latency` is that of the connection that stays. `back` is from a client's cut to
    /// its welcome, `all_back` from the begin of a storm to its last welcome.
    fn report(&mut self, samples: &[Sample]) -> Report {
        self.check.finish_lane(PROBE, PROBE, Sent::plain(self.sent));
        let mut report = Report::new("storm");
        report.int("connections", self.clients as u64);
        report.int("rounds", self.round as u64);
        self.meter.report(samples, &mut report);
        self.all_back.report("all_back", &mut report.figures);
        self.back.report("back", &mut report.figures);
        report.int("refused", self.refused);
        let failure = || format!("not all were back {} s after a storm", STORM_NS / SECOND_NS);
        report.check("all come back", self.is_stuck.then(failure));
        self.check.findings().report(&mut report);
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::testing::{all_ready, at, samples, started};

    fn opened(rounds: usize, spread_ns: u64) -> Storm {
        let mut storm = Storm::new(2, rounds, spread_ns);
        assert_eq!(started(&mut storm).len(), 3);
        all_ready(&mut storm);
        storm
    }

    /// What is asked for but publishing.
    fn moves_at(storm: &mut Storm, now: u64) -> Vec<Command> {
        let mut out = at(storm, now);
        out.retain(|command| !matches!(command, Command::Publish { .. }));
        out
    }

    /// What the connection that stays sent comes back to it.
    fn echo(storm: &mut Storm, now: u64) {
        for number in storm.check.next_on(PROBE)..storm.sent {
            storm.on_message(2, Stamp { publisher: 0, number, sent_at: now }, now, &mut Vec::new());
        }
    }

    #[test]
    fn all_are_cut_off_and_come_back_round_by_round() {
        let mut storm = opened(2, 0);
        let mut now = 0;
        for _ in 0..2 {
            now += CALM_NS;
            let commands = moves_at(&mut storm, now);
            assert!(commands.contains(&Command::Sample));
            assert_eq!(commands.iter().filter(|command| matches!(command, Command::Cut { .. })).count(), 2);
            now += 100;
            (0..2).for_each(|conn| storm.on_ready(conn, now, &mut Vec::new()));
            echo(&mut storm, now);
        }
        assert_eq!(moves_at(&mut storm, now + CALM_NS), [Command::Sample]);
        assert!(storm.is_done());
        let report = storm.report(&samples(&[0, 1, 2, 3, 4, 5]));
        assert!(report.passed(), "{}", report.text());
        assert_eq!(report.figures.number("all_back_max_us"), Some(0.1));
        assert_eq!((report.figures.number("messages"), report.figures.number("seconds")), (Some(4.0), Some(2.0)));
        let phases: Vec<&str> = report.phases.iter().map(|phase| phase.name.as_str()).collect();
        assert_eq!(phases, ["calm 0", "storm 1", "calm 1", "storm 2", "calm 2"]);
    }

    #[test]
    fn cuts_are_spread() {
        let mut storm = opened(1, 1000);
        let cut = |commands: &[Command]| commands.iter().filter(|it| matches!(it, Command::Cut { .. })).count();
        assert_eq!(cut(&moves_at(&mut storm, CALM_NS)), 1);
        assert_eq!(storm.due(), CALM_NS + 500);
        assert_eq!(cut(&moves_at(&mut storm, CALM_NS + 500)), 1);
    }

    #[test]
    fn who_is_refused_tries_again_and_who_never_comes_back_fails_the_run() {
        let mut storm = opened(1, 0);
        assert!(!storm.on_failed(0, &ConnectionError::Ended, 1));
        moves_at(&mut storm, CALM_NS);
        assert!(!storm.on_failed(2, &ConnectionError::Ended, CALM_NS));
        assert!(storm.on_failed(1, &ConnectionError::Ended, CALM_NS));
        assert!(matches!(moves_at(&mut storm, CALM_NS + RETRY_NS)[..], [Command::Open { conn: 1, .. }]));
        moves_at(&mut storm, CALM_NS + STORM_NS);
        let report = storm.report(&[]);
        assert!(report.text().contains("not all were back") && report.figures.number("refused") == Some(1.0));
    }
}
