//! One connection of a client: its socket, what it has asked for, and how it reads.

use std::collections::BTreeMap;

use super::audit::Claim;
use super::doors::{Source, Ticket};
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
    life: u64,
    pub phase: Phase,
    pub reading: Reading,
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
    /// Its public id, once it is known.
    pub id: Option<String>,
    /// What it claimed when it authenticated.
    pub claims: Vec<(String, Claim)>,
    pub requests: BTreeMap<String, Request>,
    /// Messages without a position that came, and how many of them were declared lost.
    pub direct: Vec<usize>,
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
            has_asked: false,
            inheritance: None,
            known_as: vec![number],
            wants_positions: false,
            takes_arrays: false,
            ticket: None,
            bound_to: None,
            source: None,
            id: None,
            claims: Vec::new(),
            requests: BTreeMap::new(),
            direct: Vec::new(),
            direct_lost: 0,
            close_code: None,
        }
    }

    /// What its client will have a right to; `None` where the server may know more or less of it.
    pub fn farewell(&self, at_ns: u64, sessions: Vec<String>) -> Option<Farewell> {
        let moves = |request: &Request| matches!(request, Request::Join { .. } | Request::Leave { .. });
        let is_settled = self.phase == Phase::Open && !self.requests.values().any(moves);
        let id = self.id.clone().filter(|_| is_settled)?;
        Some(Farewell { id, life: self.life, at_ns, sessions, known_as: self.known_as.clone() })
    }
}
