//! What all clients of a run share.

use std::cell::{RefCell, RefMut};
use std::collections::BTreeSet;
use std::rc::Rc;

use hashi::Config;

use super::confirmations::Confirmations;
use super::connection::Farewell;
use super::dice::Dice;
use super::figures::Figures;
use super::network::{LinkId, Network};
use super::sim_net::Shared;
use super::slip::Slip;
use super::tamper::Tamper;
use super::transcript::Transcript;
use super::truth::Truth;

pub struct World {
    pub config: Config,
    pub shared: Shared,
    pub dice: Dice,
    pub truth: Truth,
    pub confirmations: Confirmations,
    pub figures: Figures,
    pub transcript: Transcript,
    pub tamper: Tamper,
    /// Connections that somebody else has asked to take over.
    pub coveted: BTreeSet<String>,
    /// Connections that nobody reads from any more.
    pub ghosts: Vec<LinkId>,
    /// When the server was asked to end, if it was.
    pub ending_since_ns: Option<u64>,
    /// Confirmations on their way over REST.
    pub slips: Vec<Slip>,
    /// Tickets that this server was asked for.
    pub tickets: u64,
}

impl World {
    pub fn new(config: Config, mut dice: Dice, transcript: Transcript, tamper: Tamper) -> Self {
        let network = Network::new(dice.fork());
        let (truth, figures) = (Truth::default(), Figures::default());
        Self {
            config,
            shared: Rc::new(RefCell::new(network)),
            dice,
            truth,
            confirmations: Confirmations::default(),
            figures,
            transcript,
            tamper,
            coveted: BTreeSet::new(),
            ghosts: Vec::new(),
            ending_since_ns: None,
            slips: Vec::new(),
            tickets: 0,
        }
    }

    /// Whether the server has room for all sessions that clients name.
    pub const fn keeps_sessions(&self) -> bool {
        self.config.sessions > 50
    }

    /// Whether a server that is ending still has every session in which something may be on its way: none was without members
    /// for long enough to be forgotten.
    pub fn keeps_what_is_flushed(&self) -> bool {
        let is_young = |since_ns| self.now_ns() < since_ns + self.config.message_expiry_ms * 1_000_000;
        self.keeps_sessions() && self.ending_since_ns.is_some_and(is_young)
    }

    /// Whether the server must still know a connection that ended like this: its tables have room for all that end, it was
    /// not long ago, and nobody else has taken it over.
    pub fn surely_remembers(&self, old: &Farewell) -> bool {
        // The server counts in whole milliseconds.
        let is_young = self.now_ns() - old.at_ns < (self.config.message_expiry_ms - 1) * 1_000_000;
        let is_roomy = self.keeps_sessions() && self.config.max_connections > 20;
        is_young && is_roomy && old.life == self.figures.restarts && !self.coveted.contains(&old.id)
    }

    pub fn network(&self) -> RefMut<'_, Network> {
        self.shared.borrow_mut()
    }

    pub fn now_ns(&self) -> u64 {
        self.shared.borrow().now_ns()
    }

    /// Writes a line into the transcript, if there is one.
    pub fn note(&mut self, line: impl FnOnce() -> String) {
        let now_ns = self.now_ns();
        self.transcript.note(now_ns, line);
    }
}
