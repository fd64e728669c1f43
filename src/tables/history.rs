//! History: the newest messages of every session, for clients that missed some.
//!
//! A session's log is a queue of stored messages in the order of their positions; each entry holds one reference to the one
//! stored copy. A newer message of a topic takes the older one out. What leaves because of a limit is evicted: the log
//! remembers the highest position that went, by priority, so that a loss can be told from a replacement. What leaves because
//! its sender gave it no more time has expired: the log remembers those positions.
//!
//! All kept messages are also linked in the order of publication, over all sessions. Its oldest end is what age and a
//! lack of memory take first.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::expired::{Expired, ExpiredRanges};
use super::latest::Latest;
use super::messages::Place;
use super::{MessageId, Messages, SessionId};
use crate::config::limits::REPLACED_MAX;
use crate::config::memory::LOG_BYTES;
use crate::message::Priority;

const NONE: u32 = u32::MAX;

/// What one session may keep.
#[derive(Clone, Copy, Debug)]
pub struct HistoryLimits {
    /// Messages.
    pub messages: usize,
    /// Bytes of their frames.
    pub bytes: u64,
}

/// One position of a log.
#[derive(Clone, Copy, Debug)]
struct Entry {
    seq: u64,
    /// The message; `MessageId::NONE` once a newer one of its topic has come, or it has expired.
    id: u32,
}

/// One session's history.
#[derive(Debug)]
struct Log {
    session: SessionId,
    /// By position. Those without a message go when there are many of them, or when they come to the front.
    entries: VecDeque<Entry>,
    /// Entries that are not replaced.
    kept: usize,
    /// Bytes of their frames.
    bytes: u64,
    /// By priority: the highest position that was evicted.
    evicted: [u64; 3],
    expired: ExpiredRanges,
}

const _: () = assert!(
    2 * (size_of::<Option<Box<Log>>>() + REPLACED_MAX * size_of::<Entry>())
        + size_of::<Log>()
        + ExpiredRanges::BYTES_MAX
        <= LOG_BYTES as usize
);

/// Neighbours of a kept message in the order of publication.
#[derive(Clone, Copy, Debug)]
struct Link {
    older: u32,
    newer: u32,
}

/// The table.
pub struct History {
    limits: HistoryLimits,
    /// By session slot. A session without messages has no log.
    logs: Vec<Option<Box<Log>>>,
    latest: Latest,
    /// By message slot; valid for messages that are kept.
    links: Vec<Link>,
    oldest: u32,
    newest: u32,
    kept: usize,
    evicted: u64,
}

impl History {
    /// What one kept message takes in lists that may have grown to twice what is in them: its link, its entry and one that was
    /// replaced, and its topic.
    pub(super) const BYTES_PER_MESSAGE: usize =
        2 * (size_of::<Link>() + 2 * size_of::<Entry>()) + Latest::BYTES_PER_TOPIC;

    /// An empty table.
    pub fn new(limits: HistoryLimits) -> Self {
        Self {
            limits,
            logs: Vec::new(),
            latest: Latest::default(),
            links: Vec::new(),
            oldest: NONE,
            newest: NONE,
            kept: 0,
            evicted: 0,
        }
    }

    /// Messages kept, over all sessions.
    pub const fn len(&self) -> usize {
        self.kept
    }

    /// Whether nothing is kept.
    pub const fn is_empty(&self) -> bool {
        self.kept == 0
    }

    /// Messages evicted since the start.
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Keeps a message, whose position is the newest of its session. One of its references is now the history's.
    pub fn append(&mut self, id: MessageId, messages: &mut Messages) {
        let description = *messages.description(id);
        let place = description.place.expect("ok because only messages with a position are kept");
        if let Some(topic) = description.topic
            && let Some(replaced) = self.latest.replace(topic, id)
        {
            self.take_out(replaced, messages);
        }
        let bytes = messages.frame(id).len() as u64;
        let log = self.log_mut(place.session);
        log.entries.push_back(Entry { seq: place.seq, id: id.0 });
        log.kept += 1;
        log.bytes += bytes;
        messages.keep(id);
        self.link(id);
        self.bound(place.session.slot, messages);
    }

    /// The highest position of this priority that the session's history has lost; zero if none.
    pub fn evicted_to(&self, session: SessionId, priority: Priority) -> u64 {
        self.log(session).map_or(0, |log| log.evicted[priority.index()])
    }

    /// Whether everything after `seq` is kept, but for what newer messages have replaced.
    pub fn covers(&self, session: SessionId, seq: u64) -> bool {
        self.log(session).is_none_or(|log| log.evicted.iter().all(|&evicted| evicted <= seq))
    }

    /// The kept messages after a position, by position.
    pub fn after(&self, session: SessionId, seq: u64) -> impl Iterator<Item = (u64, MessageId)> + '_ {
        let log = self.log(session);
        let from = log.map_or(0, |log| log.entries.partition_point(|entry| entry.seq <= seq));
        let entries = log.into_iter().flat_map(move |log| log.entries.range(from..));
        entries.filter(|entry| entry.id != MessageId::NONE).map(|entry| (entry.seq, MessageId(entry.id)))
    }

    /// Positions after `seq` whose messages have expired.
    pub fn expired_after(&self, session: SessionId, seq: u64) -> impl Iterator<Item = Expired> + '_ {
        self.log(session).into_iter().flat_map(move |log| log.expired.after(seq))
    }

    /// Takes out a kept message that is past its expiry.
    pub fn expire(&mut self, id: MessageId, messages: &mut Messages) {
        let (place, hidden_from) = (place_of(messages, id), messages.description(id).hidden_from);
        let log = self.cut_out(id, messages);
        log.expired.add(place.seq, hidden_from);
        if log.kept == 0 {
            log.entries = VecDeque::new();
        }
        self.let_go(id, messages);
    }

    /// When the oldest kept message was published, in the loop's nanoseconds.
    pub fn oldest_ns(&self, messages: &Messages) -> Option<u64> {
        (self.oldest != NONE).then(|| messages.description(MessageId(self.oldest)).published_ns)
    }

    /// Evicts the message published longest ago. Returns whether there was one.
    pub fn evict_oldest(&mut self, messages: &mut Messages) -> bool {
        if self.oldest == NONE {
            return false;
        }
        let place = place_of(messages, MessageId(self.oldest));
        // Within a session the order of publication is that of the positions: it is the first that is kept.
        self.evict_first(place.session.slot, messages);
        true
    }

    /// Forgets a session that is gone.
    pub fn forget(&mut self, session: SessionId, messages: &mut Messages) {
        let Some(log) = self.logs.get_mut(session.slot as usize).and_then(Option::take) else {
            return;
        };
        for entry in log.entries.iter().filter(|entry| entry.id != MessageId::NONE) {
            self.let_go(MessageId(entry.id), messages);
        }
    }

    fn log(&self, session: SessionId) -> Option<&Log> {
        let log = self.logs.get(session.slot as usize)?.as_deref()?;
        (log.session == session).then_some(log)
    }

    fn log_mut(&mut self, session: SessionId) -> &mut Log {
        let at = session.slot as usize;
        if self.logs.len() <= at {
            self.logs.resize_with(at + 1, || None);
        }
        let log = self.logs[at].get_or_insert_with(|| {
            let (entries, expired) = (VecDeque::new(), ExpiredRanges::default());
            Box::new(Log { session, entries, kept: 0, bytes: 0, evicted: [0; 3], expired })
        });
        assert_eq!(log.session, session, "the history of a session that is gone was not forgotten");
        log
    }

    /// Brings a log back within its limits. The newest message stays, however large.
    fn bound(&mut self, slot: u32, messages: &mut Messages) {
        let limits = self.limits;
        let is_over = |log: &Log| log.kept > 1 && (log.kept > limits.messages || log.bytes > limits.bytes);
        while self.logs[slot as usize].as_deref().is_some_and(is_over) {
            self.evict_first(slot, messages);
        }
    }

    fn evict_first(&mut self, slot: u32, messages: &mut Messages) {
        let log = self.logs[slot as usize].as_deref_mut().expect("ok because the session keeps a message");
        let first = std::iter::from_fn(|| log.entries.pop_front()).find(|entry| entry.id != MessageId::NONE);
        let entry = first.expect("ok because the session keeps a message");
        let id = MessageId(entry.id);
        log.evicted[messages.description(id).priority.index()] = entry.seq;
        log.expired.forget_to(entry.seq); // who stands before this position is not told in detail any more
        log.kept -= 1;
        log.bytes -= messages.frame(id).len() as u64;
        if log.kept == 0 {
            log.entries = VecDeque::new();
        }
        self.evicted += 1;
        self.let_go(id, messages);
    }

    /// A newer message of its topic has come.
    fn take_out(&mut self, id: MessageId, messages: &mut Messages) {
        self.cut_out(id, messages);
        self.drop_message(id, messages);
    }

    /// Takes a message out of its session's log.
    fn cut_out(&mut self, id: MessageId, messages: &Messages) -> &mut Log {
        let place = place_of(messages, id);
        let bytes = messages.frame(id).len() as u64;
        let log = self.log_mut(place.session);
        let at = log.entries.partition_point(|entry| entry.seq < place.seq);
        assert_eq!(log.entries[at].id, id.0, "a kept message is in its session's log");
        log.entries[at].id = MessageId::NONE;
        log.kept -= 1;
        log.bytes -= bytes;
        if log.entries.len() > 2 * log.kept + REPLACED_MAX {
            log.entries.retain(|entry| entry.id != MessageId::NONE);
        }
        log
    }

    fn let_go(&mut self, id: MessageId, messages: &mut Messages) {
        if let Some(topic) = messages.description(id).topic {
            self.latest.remove(topic, id);
        }
        self.drop_message(id, messages);
    }

    fn drop_message(&mut self, id: MessageId, messages: &mut Messages) {
        self.unlink(id);
        messages.let_go(id);
        messages.release(id);
    }

    fn link(&mut self, id: MessageId) {
        let at = id.0 as usize;
        if self.links.len() <= at {
            self.links.resize(at + 1, Link { older: NONE, newer: NONE });
        }
        self.links[at] = Link { older: self.newest, newer: NONE };
        match self.links.get_mut(self.newest as usize) {
            Some(before) => before.newer = id.0,
            None => self.oldest = id.0,
        }
        self.newest = id.0;
        self.kept += 1;
    }

    fn unlink(&mut self, id: MessageId) {
        let Link { older, newer } = self.links[id.0 as usize];
        match self.links.get_mut(older as usize) {
            Some(before) => before.newer = newer,
            None => self.oldest = newer,
        }
        match self.links.get_mut(newer as usize) {
            Some(behind) => behind.older = older,
            None => self.newest = older,
        }
        self.kept -= 1;
    }

    /// Adds the references that the history holds.
    pub fn count_references(&self, references: &mut FxHashMap<MessageId, u32>) {
        for entry in self.logs.iter().flatten().flat_map(|log| &log.entries) {
            if entry.id != MessageId::NONE {
                *references.entry(MessageId(entry.id)).or_default() += 1;
            }
        }
    }

    /// Checks the logs against the list of all messages, the topics and the limits.
    pub fn invariants(&self, messages: &Messages) {
        let mut kept = 0;
        let mut topics = 0;
        for log in self.logs.iter().flatten() {
            let ids: Vec<_> = self.after(log.session, 0).collect();
            assert!(log.entries.iter().zip(log.entries.iter().skip(1)).all(|(a, b)| a.seq < b.seq));
            assert!(log.entries.len() <= 2 * log.kept + REPLACED_MAX + 1);
            log.expired.invariants();
            assert_eq!(ids.len(), log.kept);
            assert_eq!(ids.iter().map(|(_, id)| messages.frame(*id).len() as u64).sum::<u64>(), log.bytes);
            assert!(log.kept <= 1 || (log.kept <= self.limits.messages && log.bytes <= self.limits.bytes));
            for (seq, id) in ids {
                let place = place_of(messages, id);
                assert_eq!((place.session, place.seq), (log.session, seq));
                if let Some(topic) = messages.description(id).topic {
                    assert_eq!(self.latest.get(topic), Some(id));
                    topics += 1;
                }
            }
            kept += log.kept;
        }
        assert_eq!((self.kept, self.latest.len()), (kept, topics));
        let mut listed = 0;
        let mut published_ns = 0;
        let mut at = self.oldest;
        while at != NONE {
            let description = messages.description(MessageId(at));
            assert!(published_ns <= description.published_ns, "the list is in the order of publication");
            published_ns = description.published_ns;
            listed += 1;
            at = self.links[at as usize].newer;
        }
        assert_eq!(listed, kept);
    }
}

fn place_of(messages: &Messages, id: MessageId) -> Place {
    messages.description(id).place.expect("ok because only messages with a position are kept")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::tables::messages::{Description, Topic};

    const LIMITS: HistoryLimits = HistoryLimits { messages: 4, bytes: 100 };

    fn session(slot: u32) -> SessionId {
        SessionId { slot, generation: 0 }
    }

    struct Bench {
        history: History,
        messages: Messages,
        heads: BTreeMap<u32, u64>,
        now_ns: u64,
    }

    impl Bench {
        fn new() -> Self {
            Self { history: History::new(LIMITS), messages: Messages::new(1 << 20), heads: BTreeMap::new(), now_ns: 1 }
        }

        fn publish(&mut self, slot: u32, priority: Priority, topic: Option<u128>, bytes: usize) -> u64 {
            let head = self.heads.entry(slot).or_default();
            *head += 1;
            self.now_ns += 1;
            let description = Description {
                priority,
                place: Some(Place { session: session(slot), seq: *head }),
                topic: topic.map(|topic| Topic(u128::from(slot) << 64 | topic)),
                published_ns: self.now_ns,
                hidden_from: 0,
                expires_ns: 0,
                label: 0,
            };
            let id = self.messages.store(&vec![b'x'; bytes], description, 0).unwrap();
            self.history.append(id, &mut self.messages);
            self.history.invariants(&self.messages);
            self.heads[&slot]
        }

        fn expire(&mut self, slot: u32, seq: u64) {
            let (_, id) = self.history.after(session(slot), seq - 1).next().unwrap();
            self.history.expire(id, &mut self.messages);
            self.history.invariants(&self.messages);
        }

        fn kept(&self, slot: u32, seq: u64) -> Vec<u64> {
            self.history.after(session(slot), seq).map(|(seq, _)| seq).collect()
        }
    }

    #[test]
    fn the_newest_are_kept_and_what_went_is_known_by_priority() {
        let mut bench = Bench::new();
        for priority in [Priority::Low, Priority::High, Priority::Normal, Priority::Normal] {
            bench.publish(1, priority, None, 10);
        }
        assert_eq!((bench.kept(1, 0), bench.kept(1, 2)), (vec![1, 2, 3, 4], vec![3, 4]));
        assert!(bench.history.covers(session(1), 0));
        bench.publish(1, Priority::Normal, None, 10);
        bench.publish(1, Priority::Normal, None, 10);
        assert_eq!(bench.kept(1, 0), [3, 4, 5, 6]);
        let evicted = Priority::ALL.map(|priority| bench.history.evicted_to(session(1), priority));
        assert_eq!(evicted, [2, 0, 1]);
        assert!(bench.history.covers(session(1), 2) && !bench.history.covers(session(1), 1));
    }

    #[test]
    fn bytes_are_a_limit_and_the_newest_stays() {
        let mut bench = Bench::new();
        bench.publish(1, Priority::Normal, None, 60);
        bench.publish(1, Priority::Normal, None, 40);
        assert_eq!(bench.kept(1, 0), [1, 2]);
        bench.publish(1, Priority::Normal, None, 500);
        assert_eq!(bench.kept(1, 0), [3]);
    }

    #[test]
    fn a_newer_message_of_a_topic_replaces_the_older_and_that_is_no_loss() {
        let mut bench = Bench::new();
        bench.publish(1, Priority::Normal, None, 1);
        for _ in 0..1000 {
            bench.publish(1, Priority::Low, Some(7), 1);
        }
        assert_eq!(bench.kept(1, 0), [1, 1001]);
        assert!(bench.history.covers(session(1), 0));
        assert_eq!(bench.messages.len(), 2);
    }

    #[test]
    fn the_oldest_of_all_sessions_goes_first_and_a_session_can_be_forgotten() {
        let mut bench = Bench::new();
        for slot in [1, 2, 1] {
            bench.publish(slot, Priority::Normal, Some(1), 1);
        }
        // The first of session 1 was replaced, so session 2's is the oldest.
        assert!(bench.history.evict_oldest(&mut bench.messages));
        assert_eq!((bench.kept(1, 0), bench.kept(2, 0)), (vec![2], vec![]));
        assert!(!bench.history.covers(session(2), 0));
        bench.history.forget(session(1), &mut bench.messages);
        assert!(bench.history.is_empty() && bench.messages.is_empty());
        assert!(!bench.history.evict_oldest(&mut bench.messages));
        bench.history.invariants(&bench.messages);
    }

    #[test]
    fn what_expires_is_no_eviction_and_is_known_by_position() {
        let mut bench = Bench::new();
        for _ in 0..3 {
            bench.publish(1, Priority::Normal, Some(1), 1);
            bench.publish(1, Priority::Normal, None, 1);
        }
        bench.expire(1, 4);
        bench.expire(1, 5);
        assert_eq!((bench.kept(1, 0), bench.history.covers(session(1), 0)), (vec![2, 6], true));
        let expired: Vec<_> = bench.history.expired_after(session(1), 0).map(|e| (e.from, e.to)).collect();
        assert_eq!(expired, [(4, 5)]);
        for _ in 0..5 {
            bench.publish(1, Priority::Normal, None, 1);
        }
        assert_eq!(bench.history.expired_after(session(1), 0).count(), 0, "it is before what was evicted");
    }

    proptest! {
        #[test]
        fn it_keeps_what_a_plain_map_keeps(
            operations in proptest::collection::vec((0_u32..3, 0_u8..8, 0_usize..3, 1_usize..30), 0..200),
        ) {
            let mut bench = Bench::new();
            // By session: position -> (topic, bytes), without any sharing.
            let mut model: BTreeMap<u32, BTreeMap<u64, (Option<u128>, usize)>> = BTreeMap::new();
            for (slot, what, priority, bytes) in operations {
                if what == 7 {
                    bench.history.evict_oldest(&mut bench.messages);
                    bench.history.invariants(&bench.messages);
                    for (slot, log) in &mut model {
                        let kept = bench.kept(*slot, 0);
                        prop_assert!(kept.len() == log.len() || kept.len() + 1 == log.len());
                        if kept.len() < log.len() {
                            log.pop_first();
                        }
                    }
                } else if what == 6 {
                    let log = model.entry(slot).or_default();
                    if let Some(&seq) = log.keys().nth(bytes % log.len().max(1)) {
                        log.remove(&seq);
                        bench.expire(slot, seq);
                        prop_assert!(bench.history.expired_after(session(slot), seq - 1).any(|e| e.from <= seq));
                    }
                } else {
                    let topic = (what < 3).then_some(u128::from(what));
                    let seq = bench.publish(slot, Priority::ALL[priority], topic, bytes);
                    let log = model.entry(slot).or_default();
                    log.retain(|_, (other, _)| topic.is_none() || *other != topic);
                    log.insert(seq, (topic, bytes));
                    while log.len() > LIMITS.messages
                        || (log.len() > 1 && log.values().map(|(_, bytes)| bytes).sum::<usize>() > LIMITS.bytes as usize)
                    {
                        log.pop_first();
                    }
                }
                for (slot, log) in &model {
                    prop_assert_eq!(bench.kept(*slot, 0), log.keys().copied().collect::<Vec<_>>());
                }
            }
        }
    }
}
