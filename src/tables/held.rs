//! Messages that are held back, so that what changes often is not published more often than it is looked at.
//!
//! A topic that is published opens a window. A message that comes while the window is open waits here, in the place of the one that
//! waited before. When the window is over, what waits is taken out and the topic may open its next one. Windows are all of one
//! length, so that the order in which they open is the order in which they end.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::messages::Topic;
use super::{ConnId, SessionId};
use crate::message::Priority;

/// A message that is not published yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldMessage {
    /// The session it is for.
    pub session: SessionId,
    /// The connection that it came by and that does not get it.
    pub exclude: Option<ConnId>,
    /// The [key](super::connections::key_of) of that connection, zero for none.
    pub hidden_from: u64,
    /// The sender; `None` for the server.
    pub user_id: Option<String>,
    /// Its id.
    pub id: String,
    /// Its type.
    pub kind: &'static str,
    /// Its ring.
    pub priority: Priority,
    /// What it replaces.
    pub key: String,
    /// What it answers.
    pub reply_to: Option<String>,
    /// A flat JSON object.
    pub meta: Option<Vec<u8>>,
    /// How long it is worth anything, once it is published.
    pub expires_in_ms: Option<u64>,
    /// Any JSON.
    pub payload: Vec<u8>,
}

impl HeldMessage {
    /// Bytes besides those that every message here may have.
    fn bytes(&self) -> usize {
        self.payload.len() + self.meta.as_ref().map_or(0, Vec::len)
    }
}

/// What the table may hold.
#[derive(Clone, Copy, Debug)]
pub struct HeldLimits {
    /// Windows.
    pub windows: usize,
    /// Bytes of messages.
    pub bytes: usize,
}

/// The table. Topics are hashes under this server's own seed, so a fast hasher is safe.
pub struct Held {
    limits: HeldLimits,
    /// By topic: what waits for the end of its window.
    windows: FxHashMap<Topic, Option<Box<HeldMessage>>>,
    /// When each window ends, in milliseconds, soonest first.
    ends: VecDeque<(u64, Topic)>,
    messages: usize,
    bytes: usize,
    /// Windows that were not opened because of the limit.
    refused: u64,
    /// Every window is over.
    is_ending: bool,
}

impl Held {
    /// An empty table.
    pub fn new(limits: HeldLimits) -> Self {
        Self {
            limits,
            windows: FxHashMap::default(),
            ends: VecDeque::new(),
            messages: 0,
            bytes: 0,
            refused: 0,
            is_ending: false,
        }
    }

    /// Messages that wait.
    pub const fn len(&self) -> usize {
        self.messages
    }

    /// Whether none waits.
    pub const fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Windows that were not opened because as many were open as may be.
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// Whether the topic's window is open.
    pub fn is_open(&self, topic: Topic) -> bool {
        self.windows.contains_key(&topic)
    }

    /// Opens a topic's window, which is closed. At the limit it stays closed and is counted: what comes next is published at once.
    pub fn open(&mut self, topic: Topic, end_ms: u64) {
        if self.windows.len() >= self.limits.windows {
            self.refused += 1;
            return;
        }
        self.windows.insert(topic, None);
        self.ends.push_back((end_ms, topic));
    }

    /// Lets a message wait in its topic's open window. Returns whether it took another one's place.
    ///
    /// # Errors
    /// The message, where there is no room. What waited before is dropped all the same: this one is newer.
    pub fn hold(&mut self, topic: Topic, message: Box<HeldMessage>) -> Result<bool, Box<HeldMessage>> {
        let has_replaced = self.take(topic).is_some();
        if self.bytes + message.bytes() > self.limits.bytes {
            return Err(message);
        }
        let Some(place) = self.windows.get_mut(&topic) else {
            return Err(message);
        };
        self.messages += 1;
        self.bytes += message.bytes();
        *place = Some(message);
        Ok(has_replaced)
    }

    /// Takes what waits of a topic. Its window stays open.
    pub fn take(&mut self, topic: Topic) -> Option<Box<HeldMessage>> {
        let message = self.windows.get_mut(&topic)?.take()?;
        self.messages -= 1;
        self.bytes -= message.bytes();
        Some(message)
    }

    /// Closes the next window that is over, and takes what waited in it.
    pub fn close_next(&mut self, now_ms: u64) -> Option<(Topic, Option<Box<HeldMessage>>)> {
        let (_, topic) = *self.ends.front().filter(|(end_ms, _)| self.is_ending || *end_ms <= now_ms)?;
        let message = self.take(topic);
        self.windows.remove(&topic);
        self.ends.pop_front();
        Some((topic, message))
    }

    /// When the next window is over.
    pub fn next_end_ms(&self) -> Option<u64> {
        self.ends.front().map(|(end_ms, _)| if self.is_ending { 0 } else { *end_ms })
    }

    /// All windows are over from now on.
    pub const fn end(&mut self) {
        self.is_ending = true;
    }

    /// Checks sums, order and limits.
    pub fn invariants(&self) {
        let waiting = || self.windows.values().flatten();
        assert_eq!(self.messages, waiting().count());
        assert_eq!(self.bytes, waiting().map(|message| message.bytes()).sum::<usize>());
        assert_eq!(self.windows.len(), self.ends.len());
        assert!(self.ends.iter().all(|(_, topic)| self.windows.contains_key(topic)));
        assert!(self.ends.iter().is_sorted_by_key(|(end_ms, _)| *end_ms));
        assert!(self.windows.len() <= self.limits.windows && self.bytes <= self.limits.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeldLimits = HeldLimits { windows: 2, bytes: 10 };

    fn message(id: &str, bytes: usize) -> Box<HeldMessage> {
        Box::new(HeldMessage {
            session: SessionId { slot: 0, generation: 0 },
            exclude: None,
            hidden_from: 0,
            user_id: None,
            id: id.to_owned(),
            kind: "t",
            priority: Priority::Normal,
            key: "k".to_owned(),
            reply_to: None,
            meta: None,
            expires_in_ms: None,
            payload: vec![b'1'; bytes],
        })
    }

    fn id_of(message: Option<Box<HeldMessage>>) -> Option<String> {
        message.map(|message| message.id)
    }

    #[test]
    fn the_newest_waits_for_the_end_of_the_window() {
        let mut held = Held::new(LIMITS);
        held.open(Topic(1), 50);
        held.open(Topic(2), 60);
        assert_eq!(held.hold(Topic(1), message("a", 1)), Ok(false));
        assert_eq!(held.hold(Topic(1), message("b", 2)), Ok(true));
        held.invariants();
        assert_eq!((held.len(), held.next_end_ms()), (1, Some(50)));
        assert_eq!(held.close_next(49), None);
        let closed = held.close_next(60).map(|(topic, message)| (topic, id_of(message)));
        assert_eq!(closed, Some((Topic(1), Some("b".to_owned()))));
        assert_eq!(held.close_next(60), Some((Topic(2), None)));
        held.invariants();
        assert!(held.is_empty() && held.next_end_ms().is_none());
    }

    #[test]
    fn what_is_taken_early_leaves_its_window_open() {
        let mut held = Held::new(LIMITS);
        held.open(Topic(1), 50);
        assert_eq!(held.hold(Topic(1), message("a", 1)), Ok(false));
        assert_eq!(id_of(held.take(Topic(1))).as_deref(), Some("a"));
        assert_eq!((held.take(Topic(1)), held.is_open(Topic(1))), (None, true));
        held.invariants();
    }

    #[test]
    fn at_a_limit_nothing_waits() {
        let mut held = Held::new(LIMITS);
        for topic in 1..=3 {
            held.open(Topic(topic), 50);
        }
        assert_eq!((held.is_open(Topic(3)), held.refused()), (false, 1));
        assert_eq!(held.hold(Topic(1), message("a", 8)), Ok(false));
        assert!(held.hold(Topic(2), message("b", 3)).is_err());
        assert!(held.hold(Topic(1), message("c", 11)).is_err());
        assert!(held.is_empty(), "an older one must not come behind a newer one");
        held.invariants();
    }

    #[test]
    fn at_the_end_all_windows_are_over() {
        let mut held = Held::new(LIMITS);
        held.open(Topic(1), 50);
        assert_eq!(held.hold(Topic(1), message("a", 1)), Ok(false));
        held.end();
        assert_eq!(held.next_end_ms(), Some(0));
        assert!(held.close_next(0).is_some());
        held.invariants();
    }
}
