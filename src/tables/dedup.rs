//! Ids that were seen: a message that its sender sends again is handled once.
//!
//! In: what a message is known by and a fingerprint of its content. Out: whether it is new, the same again with the first
//! answer, or another message under a used id. Contents are not kept, only 128 bits that stand for them.
//!
//! A user's newest ids are remembered, none longer than a message lives, and over all users so many that memory is bounded.

use rustc_hash::FxHashMap;
use slab::Slab;

use super::chains::{Chain, Links};
use super::{ConnId, Counts, Published};

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
pub struct DedupLimits {
    /// Ids of one user.
    pub ids_per_user: usize,
    /// Ids of all users.
    pub ids: usize,
}

/// What a message is known by. Both are fingerprints under this server's own seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identifier {
    /// Of user, session and id.
    pub memory: u128,
    /// Of the user.
    pub user: u64,
    /// Of what must be the same when the message is sent again.
    pub content: u128,
}

/// What is known of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing: it is remembered from now on.
    New,
    /// The same message was published; the first answer, and how it was confirmed if that is known.
    Answered(Published, Option<Counts>),
    /// The same message is still in a handler.
    Pending,
    /// Another message was sent under it.
    Reused,
}

struct Entry {
    memory: u128,
    content: u128,
    user: u64,
    seen_ms: u64,
    /// None while a handler has the message.
    answer: Option<Published>,
    /// How its receivers have confirmed it, once that is settled.
    counts: Option<Counts>,
}

/// The table.
pub struct Dedup {
    limits: DedupLimits,
    entries: Slab<Entry>,
    /// By fingerprint, which nobody can choose.
    by_memory: FxHashMap<u128, u32>,
    by_user: FxHashMap<u64, Chain>,
    by_age: Chain,
    user_links: Links,
    age_links: Links,
    /// By fingerprint: connections that sent a message again while a handler had it, and wait for its answer.
    waiting: FxHashMap<u128, Vec<ConnId>>,
    repeated: u64,
}

impl Dedup {
    /// An empty table.
    pub fn new(limits: DedupLimits) -> Self {
        Self {
            limits,
            entries: Slab::new(),
            by_memory: FxHashMap::default(),
            by_user: FxHashMap::default(),
            by_age: Chain::default(),
            user_links: Links::default(),
            age_links: Links::default(),
            waiting: FxHashMap::default(),
            repeated: 0,
        }
    }

    /// Ids remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Messages that were sent again, since the start.
    pub const fn repeated(&self) -> u64 {
        self.repeated
    }

    /// Looks at a message. What was seen before `since_ms` is forgotten, and a new one remembered as seen at `now_ms`.
    pub fn see(&mut self, identifier: Identifier, now_ms: u64, since_ms: Option<u64>) -> Seen {
        if let Some(&slot) = self.by_memory.get(&identifier.memory) {
            let entry = &self.entries[slot as usize];
            if since_ms.is_none_or(|since_ms| entry.seen_ms > since_ms) {
                let seen = seen(entry, identifier.content);
                self.repeated += u64::from(seen != Seen::Reused);
                return seen;
            }
            self.remove(slot);
        }
        self.insert(identifier, now_ms);
        Seen::New
    }

    /// A message was published: its answer is given again from now on. Returns who waits for it.
    #[must_use]
    pub fn answer(&mut self, memory: u128, answer: Published) -> Vec<ConnId> {
        if let Some(&slot) = self.by_memory.get(&memory) {
            self.entries[slot as usize].answer = Some(answer);
        }
        self.waiting.remove(&memory).unwrap_or_default()
    }

    /// How its receivers have confirmed a message is settled.
    pub fn settle(&mut self, memory: u128, counts: Counts) {
        if let Some(&slot) = self.by_memory.get(&memory) {
            self.entries[slot as usize].counts = Some(counts);
        }
    }

    /// A message failed: it may be tried again. Returns who waits for its answer.
    #[must_use]
    pub fn forget(&mut self, memory: u128) -> Vec<ConnId> {
        if let Some(&slot) = self.by_memory.get(&memory) {
            self.remove(slot);
        }
        self.waiting.remove(&memory).unwrap_or_default()
    }

    /// A connection waits for the answer of a message that is in a handler; false if `max` of them do already.
    #[must_use]
    pub fn wait(&mut self, memory: u128, connection: ConnId, max: usize) -> bool {
        let waiting = self.waiting.entry(memory).or_default();
        let has_room = waiting.len() < max;
        if has_room {
            waiting.push(connection);
        }
        has_room
    }

    /// Who waits for the answer of a message.
    pub fn waiting(&self, memory: u128) -> &[ConnId] {
        self.waiting.get(&memory).map_or(&[], Vec::as_slice)
    }

    /// Forgets what was seen at `since_ms` or before; at most `budget` ids.
    pub fn expire(&mut self, since_ms: u64, budget: usize) {
        for _ in 0..budget {
            match self.by_age.first() {
                Some(slot) if self.entries[slot as usize].seen_ms <= since_ms => self.remove(slot),
                _ => return,
            }
        }
    }

    /// When the oldest id was seen.
    pub fn oldest_ms(&self) -> Option<u64> {
        self.by_age.first().map(|slot| self.entries[slot as usize].seen_ms)
    }

    fn insert(&mut self, identifier: Identifier, now_ms: u64) {
        let Identifier { memory, user, content } = identifier;
        let own = self.by_user.get(&user).copied().unwrap_or_default();
        let oldest = if own.len() >= self.limits.ids_per_user { own.first() } else { None };
        let gone = oldest.or_else(|| self.by_age.first().filter(|_| self.entries.len() >= self.limits.ids));
        if let Some(slot) = gone {
            self.remove(slot);
        }
        let entry = Entry { memory, content, user, seen_ms: now_ms, answer: None, counts: None };
        let slot = self.entries.insert(entry) as u32;
        self.by_memory.insert(memory, slot);
        self.user_links.append(self.by_user.entry(user).or_default(), slot);
        self.age_links.append(&mut self.by_age, slot);
    }

    fn remove(&mut self, slot: u32) {
        let entry = self.entries.remove(slot as usize);
        self.by_memory.remove(&entry.memory);
        self.age_links.remove(&mut self.by_age, slot);
        let own = self.by_user.get_mut(&entry.user).expect("ok because a remembered id is in its user's chain");
        self.user_links.remove(own, slot);
        if own.is_empty() {
            self.by_user.remove(&entry.user);
        }
    }

    /// Checks the index and the chains against the entries and the limits.
    pub fn invariants(&self) {
        assert!(self.entries.len() <= self.limits.ids);
        assert_eq!((self.by_memory.len(), self.by_age.len()), (self.entries.len(), self.entries.len()));
        assert_eq!(self.by_user.values().map(Chain::len).sum::<usize>(), self.entries.len());
        assert!(self.by_user.values().all(|own| !own.is_empty() && own.len() <= self.limits.ids_per_user));
        assert!(self.age_links.iter(self.by_age).is_sorted_by_key(|slot| self.entries[slot as usize].seen_ms));
        assert!(self.waiting.values().all(|waiting| !waiting.is_empty()));
        for (slot, entry) in &self.entries {
            assert_eq!(self.by_memory.get(&entry.memory), Some(&(slot as u32)));
        }
    }
}

fn seen(entry: &Entry, content: u128) -> Seen {
    match entry.answer {
        _ if entry.content != content => Seen::Reused,
        Some(answer) => Seen::Answered(answer, entry.counts),
        None => Seen::Pending,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: DedupLimits = DedupLimits { ids_per_user: 3, ids: 5 };

    fn identifier(user: u64, id: u128, content: u128) -> Identifier {
        Identifier { memory: u128::from(user) << 64 | id, user, content }
    }

    #[test]
    fn the_same_again_gets_the_first_answer_and_another_content_none() {
        let mut table = Dedup::new(LIMITS);
        let message = identifier(1, 7, 70);
        assert_eq!(table.see(message, 0, None), Seen::New);
        assert_eq!(table.see(message, 1, None), Seen::Pending);
        let [one, two] = [1, 2].map(|slot| ConnId { slot, generation: 0 });
        assert!(table.wait(message.memory, one, 1));
        assert!(!table.wait(message.memory, two, 1), "one may wait");
        let answer = Published { seq: Some(3), matched: 2, queued: 2, outcome: None };
        assert_eq!(table.answer(message.memory, answer), [one]);
        assert_eq!(table.see(message, 2, None), Seen::Answered(answer, None));
        let counts = Counts { matched: 2, confirmed: 2, ..Counts::default() };
        table.settle(message.memory, counts);
        assert_eq!(table.see(message, 2, None), Seen::Answered(answer, Some(counts)));
        assert_eq!(table.see(Identifier { content: 71, ..message }, 2, None), Seen::Reused);
        assert!(table.forget(message.memory).is_empty() && table.is_empty());
        assert_eq!((table.see(message, 3, None), table.repeated()), (Seen::New, 3));
    }

    #[test]
    fn what_is_too_old_is_new_whether_it_was_forgotten_yet_or_not() {
        let mut table = Dedup::new(LIMITS);
        assert_eq!(table.see(identifier(1, 1, 1), 10, None), Seen::New);
        assert_eq!(table.see(identifier(1, 1, 1), 20, Some(9)), Seen::Pending);
        assert_eq!(table.see(identifier(1, 1, 2), 20, Some(10)), Seen::New);
        assert_eq!(table.oldest_ms(), Some(20));
        table.expire(20, 10);
        assert!(table.is_empty());
        table.invariants();
    }

    proptest! {
        #[test]
        fn remembers_what_a_plain_list_says(steps in proptest::collection::vec((0_u64..4, 0_u128..6, 0_u64..3), 0..100)) {
            let mut table = Dedup::new(LIMITS);
            let mut model: Vec<(Identifier, u64)> = Vec::new();
            let mut now_ms = 100;
            for (user, id, step) in steps {
                now_ms += step;
                let message = identifier(user, id, 0);
                let since_ms = now_ms - 8;
                let known = model.iter().any(|(other, at)| *other == message && *at > since_ms);
                prop_assert_eq!(table.see(message, now_ms, Some(since_ms)) == Seen::Pending, known);
                if !known {
                    model.retain(|(other, _)| *other != message);
                    let own = model.iter().filter(|(other, _)| other.user == user).count();
                    let oldest = model.iter().position(|(other, _)| own < LIMITS.ids_per_user || other.user == user);
                    if own >= LIMITS.ids_per_user || model.len() >= LIMITS.ids {
                        model.remove(oldest.unwrap());
                    }
                    model.push((message, now_ms));
                }
                table.invariants();
                prop_assert_eq!(table.len(), model.len());
            }
        }
    }
}
