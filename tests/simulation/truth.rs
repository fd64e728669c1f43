//! What really happened: what clients have sent, and which position of which session each message took.
//!
//! The positions are learned from the server's tables after every stage of every tick. A message that a newer one of its
//! key replaced in the same stage is seen there by nobody; it is learned from the first client that receives it, or stays
//! unknown.

use std::collections::{BTreeMap, BTreeSet};

use hashi::Priority;
use hashi::tables::{SessionId, Tables};
use jiff::Timestamp;
use serde_json::Value;

use super::common::frame;
use super::confirmations::Counts;
use super::sent::Wish;

/// A message is seen so much later than it is published, at most.
const SLACK_NS: u64 = 10_000_000;

/// A message as its author sent it. Its number stands in its payload.
#[derive(Clone, Debug)]
pub struct Sent {
    pub id: String,
    /// The client and which of its connections.
    pub author: (usize, u32),
    pub user: String,
    pub target: Target,
    pub kind: &'static str,
    pub priority: Priority,
    pub key: Option<&'static str>,
    pub echo: bool,
    pub wish: Wish,
    pub reliable: bool,
    /// How long it is worth anything, in milliseconds.
    pub expires_in_ms: Option<u64>,
    /// Bytes that make it longer.
    pub padding: usize,
    /// It comes over REST: such messages may pass each other on their way.
    pub is_posted: bool,
    /// It was sent more than once, and nobody knows which of them was taken.
    pub is_repeated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Session(String),
    /// A connection by its public id: no session, no position.
    Connection(String),
}

/// One life of a session.
#[derive(Default)]
pub struct Life {
    /// How many servers there had been before.
    pub server: u64,
    pub head: u64,
    /// Up to where the server's history was looked at.
    tapped: u64,
    /// By position: the number of the message, and when it was seen.
    pub messages: BTreeMap<u64, Seen>,
    /// By type and key: the newest position.
    newest: BTreeMap<(&'static str, &'static str), u64>,
}

#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub number: usize,
    pub at_ns: u64,
    /// Its timestamp.
    pub unix_ms: u64,
    pub bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub server: u64,
    pub seq: Option<u64>,
    pub matched: u64,
    pub queued: u64,
}

#[derive(Default)]
pub struct Truth {
    pub sent: Vec<Sent>,
    /// By number: what the server answered to its author, without what it said again.
    pub receipts: BTreeMap<usize, Vec<Receipt>>,
    /// By number: how it was confirmed in the end, as this server told it.
    pub outcomes: BTreeMap<usize, Vec<(u64, Counts)>>,
    /// Messages without a position, by number: which servers took them, and when.
    pub direct: BTreeMap<usize, BTreeSet<(u64, u64)>>,
    /// By name and epoch.
    lives: BTreeMap<(String, String), Life>,
    /// Names of sessions that clients use.
    names: Vec<String>,
    /// By name: the session and its head, when they were last looked at.
    looks: Vec<Option<(SessionId, u64)>>,
    /// How many servers there were before this one.
    pub server: u64,
}

impl Truth {
    /// Clients use sessions of these names.
    pub fn of(names: Vec<String>) -> Self {
        Self { looks: vec![None; names.len()], names, ..Self::default() }
    }

    /// Another server has taken the place of the one before.
    pub fn begin_server(&mut self) {
        self.looks.fill(None);
        self.server += 1;
    }

    /// Takes a message down; its number.
    pub fn send(&mut self, message: Sent) -> usize {
        self.sent.push(message);
        self.sent.len() - 1
    }

    /// Looks at what the server has published since the last look.
    pub fn tap(&mut self, tables: &Tables, now_ns: u64) {
        for index in 0..self.names.len() {
            let Some(id) = tables.sessions.find(&self.names[index]) else {
                continue;
            };
            let seen = Some((id, tables.sessions.head(id)));
            if std::mem::replace(&mut self.looks[index], seen) == seen {
                continue;
            }
            let name = self.names[index].clone();
            let (epoch, head) = (tables.sessions.epoch(id), tables.sessions.head(id));
            let server = self.server;
            let new = || Life { server, ..Life::default() };
            let life = self.lives.entry((name.clone(), epoch.clone())).or_insert_with(new);
            let tapped = std::mem::replace(&mut life.tapped, head);
            assert!(life.head <= head, "the head of {name} went back");
            life.head = head;
            if tapped == head {
                continue;
            }
            let news: Vec<_> = tables.history.after(id, tapped).collect();
            for (seq, id) in news {
                self.note(&name, &epoch, seq, Seen::stored(tables.messages.frame(id), now_ns));
            }
        }
    }

    /// A message is known to have a position. Everybody must agree on it.
    pub fn note(&mut self, name: &str, epoch: &str, seq: u64, seen: Seen) {
        let number = seen.number;
        let sent = self.sent.get(number).unwrap_or_else(|| panic!("message {number} was never sent"));
        let life = self.lives.entry((name.to_owned(), epoch.to_owned())).or_default();
        assert!(seq <= life.head, "position {seq} of {name} is beyond its head {}", life.head);
        let known = life.messages.entry(seq).or_insert(seen).number;
        assert_eq!(known, number, "position {seq} of {name} {epoch} is two messages");
        if let Some(key) = sent.key {
            let newest = life.newest.entry((sent.kind, key)).or_default();
            *newest = seq.max(*newest);
        }
    }

    /// The lives of sessions, by name and epoch.
    pub fn lives(&self) -> impl Iterator<Item = (&str, &str, &Life)> {
        self.lives.iter().map(|((name, epoch), life)| (&**name, &**epoch, life))
    }

    pub fn life(&self, name: &str, epoch: &str) -> Option<&Life> {
        self.lives.get(&(name.to_owned(), epoch.to_owned()))
    }

    /// Checks that what each connection published to a session took positions in the order it was sent, but for what was
    /// held back.
    pub fn check_authors(&self) {
        for ((name, epoch), life) in &self.lives {
            let mut last = BTreeMap::new();
            for (seq, seen) in life.messages.iter().filter(|(_, seen)| self.sent[seen.number].keeps_its_turn()) {
                let before = last.insert(self.sent[seen.number].author, seen.number);
                assert!(
                    before.is_none_or(|number| number < seen.number),
                    "position {seq} of {name} {epoch}: message {} was sent before message {before:?}",
                    seen.number
                );
            }
        }
    }
}

impl Sent {
    /// Whether it is published behind what its author sent before it.
    fn keeps_its_turn(&self) -> bool {
        !self.is_debounced() && !self.is_posted && !self.is_repeated
    }
}

impl Life {
    /// The known positions after `from`, up to `to`, whose messages are past their time.
    pub fn expired(&self, truth: &Truth, from: u64, to: u64, now_ns: u64) -> Vec<u64> {
        let seen = self.messages.range(from + 1..).take_while(|(seq, _)| **seq <= to);
        let is_past = |seen: &Seen| {
            let expires_in_ms = truth.sent[seen.number].expires_in_ms;
            expires_in_ms.is_some_and(|time_ms| seen.at_ns + time_ms * 1_000_000 <= now_ns + SLACK_NS)
        };
        seen.filter(|(_, seen)| is_past(seen)).map(|(&seq, _)| seq).collect()
    }

    /// Whether nobody is asked any more to confirm one of these messages.
    pub fn has_old_copies(&self, truth: &Truth, from: u64, to: u64, now_ns: u64, life_ns: u64) -> bool {
        let mut seen = self.messages.range(from..).take_while(|(seq, _)| **seq <= to);
        seen.any(|(_, seen)| truth.sent[seen.number].is_reliable() && seen.at_ns + life_ns <= now_ns + SLACK_NS)
    }

    /// The message at a position, if it is known.
    pub fn at<'t>(&self, truth: &'t Truth, seq: u64) -> Option<&'t Sent> {
        self.messages.get(&seq).map(|seen| &truth.sent[seen.number])
    }

    /// Whether a newer message of its key may have taken its place: one that is known, or one that nobody has seen.
    pub fn is_replaced(&self, seq: u64, sent: &Sent) -> bool {
        let is_newer = |key| self.newest.get(&(sent.kind, key)).is_some_and(|&newest| newest > seq);
        let has_unseen = || self.messages.range(seq + 1..).count() as u64 != self.head - seq;
        sent.key.is_some_and(|key| is_newer(key) || has_unseen())
    }
}

impl Seen {
    /// A message that the server has stored, as it travels.
    fn stored(frame: &[u8], at_ns: u64) -> Self {
        let bytes = frame.len() as u64;
        let (frame, _) = frame::decode(frame).expect("a stored message is a whole frame");
        let envelope: Value = serde_json::from_slice(&frame.payload).expect("a stored message is JSON");
        Self { bytes, ..Self::come(&envelope, at_ns) }
    }

    /// A message that has come to a client.
    pub fn come(envelope: &Value, at_ns: u64) -> Self {
        Self { number: number_of(&envelope["payload"]), at_ns, unix_ms: unix_ms_of(envelope), bytes: u64::MAX }
    }
}

/// The time of a message's publication, Unix milliseconds.
pub fn unix_ms_of(envelope: &Value) -> u64 {
    let text = envelope["timestamp"].as_str().expect("a message has a timestamp");
    let timestamp: Timestamp = text.parse().expect("a timestamp is an RFC 3339 date-time");
    timestamp.as_millisecond() as u64
}

/// The number in a payload.
pub fn number_of(payload: &Value) -> usize {
    payload["n"].as_u64().expect("the payload has its number") as usize
}
