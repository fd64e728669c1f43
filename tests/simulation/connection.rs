//! One connection of a client: its socket, what it has asked for, and how it reads.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::audit::Claim;
use super::copies::{Copies, Publication};
use super::doors::{Source, Ticket};
use super::pipe::DELAY_NS_MAX;
use super::socket::Socket;

/// How a client takes what has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// All of it.
    Greedy,
    /// A few bytes each millisecond.
    Drip(usize),
    /// Nothing before this time.
    Stalled(u64),
}

impl Reading {
    /// How many bytes are taken now.
    pub const fn appetite(self, now_ns: u64) -> usize {
        match self {
            Self::Drip(bytes) => bytes,
            Self::Stalled(until_ns) if now_ns < until_ns => 0,
            Self::Greedy | Self::Stalled(_) => usize::MAX,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Opening,
    Authenticating,
    Open,
    /// One side has begun to close.
    Closing,
}

/// What an answer is waited for.
#[derive(Clone, Debug)]
pub enum Request {
    Join {
        name: String,
        claim: Option<Claim>,
    },
    Leave {
        name: String,
    },
    Publish {
        number: usize,
        wants_receipt: bool,
    },
    /// Something that may be answered with an error, or not at all.
    Nonsense,
}

/// What a connection was when its client broke it off.
#[derive(Clone, Debug)]
pub struct Farewell {
    pub id: String,
    /// See [`Connection`].
    pub life: u64,
    pub at_ns: u64,
    pub sessions: Vec<String>,
    pub known_as: Vec<u32>,
}

pub struct Connection {
    pub socket: Socket,
    /// How many servers there had been before the one it is connected to.
    pub life: u64,
    pub phase: Phase,
    reading: Reading,
    /// When it began to read like this.
    reading_since_ns: u64,
    /// Whether it has sent its authentication.
    pub has_asked: bool,
    /// What it gets back if it goes on for a connection that has just ended.
    pub inheritance: Option<Farewell>,
    /// The connections of its client that it is known to go on for, and itself.
    pub known_as: Vec<u32>,
    pub wants_positions: bool,
    pub takes_arrays: bool,
    /// The ticket that it came with.
    pub ticket: Option<Ticket>,
    /// The only session that it may be in, besides the personal one, and publish to.
    pub bound_to: Option<String>,
    /// What a stream was asked for by.
    pub source: Option<Source>,
    /// Whether it confirms, how many of a hundred at once, and what it has put off.
    pub confirms: bool,
    pub diligence: u64,
    pub unconfirmed: Vec<String>,
    /// Copies of reliable messages that came, and those whose confirmations are on their way.
    pub copies: Copies,
    pub on_way: Vec<Publication>,
    /// Its public id, once it is known, and when it was learned.
    pub id: Option<String>,
    pub named_ns: u64,
    /// What it claimed when it authenticated.
    pub claims: Vec<(String, Claim)>,
    /// By id: what waits for its answer, the first first.
    pub requests: BTreeMap<String, VecDeque<Request>>,
    /// Messages whose outcome is still to be told.
    pub outcomes_due: BTreeSet<usize>,
    /// Messages without a position that came, with their times, and how many of them were declared lost.
    pub direct: BTreeSet<(usize, u64)>,
    pub direct_lost: u64,
    pub close_code: Option<u16>,
}

impl Connection {
    pub fn new(socket: Socket, number: u32, life: u64) -> Self {
        Self {
            socket,
            life,
            phase: Phase::Opening,
            reading: Reading::Greedy,
            reading_since_ns: 0,
            has_asked: false,
            inheritance: None,
            known_as: vec![number],
            wants_positions: false,
            takes_arrays: false,
            ticket: None,
            bound_to: None,
            source: None,
            confirms: false,
            diligence: 0,
            unconfirmed: Vec::new(),
            copies: Copies::default(),
            on_way: Vec::new(),
            id: None,
            named_ns: 0,
            claims: Vec::new(),
            requests: BTreeMap::new(),
            outcomes_due: BTreeSet::new(),
            direct: BTreeSet::new(),
            direct_lost: 0,
            close_code: None,
        }
    }

    /// What its client will have a right to; `None` where the server may know more or less of it.
    pub fn farewell(&self, at_ns: u64, sessions: Vec<String>) -> Option<Farewell> {
        let moves = |request: &Request| matches!(request, Request::Join { .. } | Request::Leave { .. });
        let is_settled = self.phase == Phase::Open && !self.requests.values().flatten().any(moves);
        let id = self.id.clone().filter(|_| is_settled)?;
        Some(Farewell { id, life: self.life, at_ns, sessions, known_as: self.known_as.clone() })
    }

    /// The request that an answer to `id` answers; each is answered once, in their order.
    pub fn answered(&mut self, id: &str) -> Option<Request> {
        let waiting = self.requests.get_mut(id)?;
        let request = waiting.pop_front();
        if waiting.is_empty() {
            self.requests.remove(id);
        }
        request
    }

    pub const fn reading(&self) -> Reading {
        self.reading
    }

    pub fn read_by(&mut self, reading: Reading, now_ns: u64) {
        if self.reading != reading {
            (self.reading, self.reading_since_ns) = (reading, now_ns);
        }
    }

    /// Whether what comes now was written at most the network's longest delay ago.
    pub fn is_prompt(&self, now_ns: u64) -> bool {
        let since_ns = match self.reading {
            Reading::Greedy => self.reading_since_ns,
            Reading::Stalled(until_ns) => until_ns,
            Reading::Drip(_) => return false,
        };
        since_ns + DELAY_NS_MAX < now_ns
    }
}
