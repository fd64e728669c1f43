//! The relations of copies: which there are, of which messages, for which receivers.
//!
//! A copy is in four chains: of its receiver, of its receiver's user, of its message, and of its receiver and label, by which
//! a confirmation finds it. All of them are changed here and nowhere else. A message is tracked as long as it has copies;
//! messages, receivers, users and labels of which nothing is in flight have no entry.
//!
//! Within the table copies and messages are named by their places in `copies` and `tracked`; a *row* is that of a connection.
//! Out of the table a copy is named by its [`CopyKey`].

use std::hash::Hash;

use rustc_hash::FxHashMap;
use slab::Slab;

use crate::tables::chains::{Chain, Links};
use crate::tables::fingerprints::Label;
use crate::tables::messages::{Description, Topic};
use crate::tables::{MessageId, Messages, OutcomeId, SessionId};

/// A copy in the table. Once the copy has ended its key finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyKey {
    place: u32,
    generation: u32,
}

/// A connection that is to confirm.
#[derive(Clone, Copy, Debug)]
pub struct Receiver {
    /// Its key.
    pub key: u64,
    /// The personal session of its user.
    pub user: SessionId,
    /// Its row.
    pub slot: u32,
}

/// What is known of a copy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copy {
    /// The key of the receiver's connection.
    pub(super) receiver: u64,
    /// The personal session of the receiver's user, who is the same for whoever takes the copy over.
    user: SessionId,
    /// The place in `tracked`.
    pub(super) message: u32,
    /// How often it was written, but for a take-over, which sends it in the place of one that was lost.
    pub(super) writes: u32,
    /// Whether the receiver's connection has written it.
    pub(super) is_written: bool,
    /// Whether any of the receiver's connections has, so that it may be confirmed.
    pub(super) is_known: bool,
    /// The receiver's position may be past it for another reason than that it has come.
    pub(super) is_doubtful: bool,
    /// Whether it counts for the outcome: the receiver was there when the message was published.
    pub(super) is_matched: bool,
}

/// A message of which copies are in flight.
pub(super) struct Tracked {
    /// One reference is this table's.
    pub(super) id: MessageId,
    /// The same bytes without a place in a session, made for the first retry. One reference is this table's.
    pub(super) retry: Option<MessageId>,
    label: Label,
    topic: Option<Topic>,
    outcome: Option<OutcomeId>,
    copies: Chain,
}

/// What waits for a receiver.
#[derive(Default)]
struct Waiting {
    /// The receiver's row; none once that has ended.
    row: Option<u32>,
    copies: Chain,
}

/// What is left of a copy.
pub(super) struct Removed {
    /// The outcome that it counts for.
    pub(super) outcome: Option<OutcomeId>,
    /// Its message, if it was the last copy and that is gone, too.
    pub(super) untracked: Option<u32>,
    /// Whether a message was freed by that.
    pub(super) is_freed: bool,
}

/// The relations.
#[derive(Default)]
pub(super) struct Index {
    copies: Slab<Copy>,
    /// By place of a copy.
    generations: Vec<u32>,
    tracked: Slab<Tracked>,
    by_message: FxHashMap<MessageId, u32>,
    /// The newest message of each topic.
    by_topic: FxHashMap<Topic, u32>,
    /// By the key of a connection, which is random.
    receivers: FxHashMap<u64, Waiting>,
    by_user: FxHashMap<SessionId, Chain>,
    /// What all messages here take.
    bytes: usize,
    by_label: FxHashMap<(u64, Label), Chain>,
    receiver_links: Links,
    user_links: Links,
    message_links: Links,
    label_links: Links,
}

impl Index {
    /// Copies.
    pub(super) fn len(&self) -> usize {
        self.copies.len()
    }

    /// Messages.
    pub(super) fn tracked_len(&self) -> usize {
        self.tracked.len()
    }

    /// What the messages and their retries take, buffers and rows.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The key of a copy.
    pub(super) fn key(&self, copy: u32) -> CopyKey {
        CopyKey { place: copy, generation: self.generations[copy as usize] }
    }

    /// The copy of a key, if it has not ended.
    pub(super) fn resolve(&self, key: CopyKey) -> Option<u32> {
        let is_alive = self.copies.contains(key.place as usize) && self.key(key.place) == key;
        is_alive.then_some(key.place)
    }

    /// A copy.
    pub(super) fn copy(&self, copy: u32) -> &Copy {
        &self.copies[copy as usize]
    }

    /// A copy.
    pub(super) fn copy_mut(&mut self, copy: u32) -> &mut Copy {
        &mut self.copies[copy as usize]
    }

    /// The message of a copy.
    pub(super) fn message_of(&self, copy: u32) -> &Tracked {
        &self.tracked[self.copy(copy).message as usize]
    }

    fn message_of_mut(&mut self, copy: u32) -> &mut Tracked {
        let message = self.copy(copy).message;
        &mut self.tracked[message as usize]
    }

    /// The row of the receiver of a copy, if it has one.
    pub(super) fn row_of(&self, copy: u32) -> Option<u32> {
        self.row(self.copy(copy).receiver)
    }

    /// The row of a receiver of something, if it has one.
    pub(super) fn row(&self, receiver: u64) -> Option<u32> {
        self.receivers.get(&receiver)?.row
    }

    /// A message.
    pub(super) fn message(&self, message: u32) -> &Tracked {
        &self.tracked[message as usize]
    }

    /// A message by its id.
    pub(super) fn find_message(&self, id: MessageId) -> Option<u32> {
        self.by_message.get(&id).copied()
    }

    /// The newest message of a topic.
    pub(super) fn find_topic(&self, topic: Topic) -> Option<u32> {
        self.by_topic.get(&topic).copied()
    }

    /// A receiver's copy of a message, or of the retry of one.
    pub(super) fn find(&self, receiver: u64, label: Label, id: MessageId) -> Option<u32> {
        self.labelled(receiver, label).find(|&copy| {
            let tracked = self.message_of(copy);
            tracked.id == id || tracked.retry == Some(id)
        })
    }

    /// The copies of a receiver that have a label.
    pub(super) fn labelled(&self, receiver: u64, label: Label) -> impl Iterator<Item = u32> + '_ {
        let chain = self.by_label.get(&(receiver, label)).copied().unwrap_or_default();
        self.label_links.iter(chain)
    }

    /// The copies of a receiver, oldest first.
    pub(super) fn received(&self, receiver: u64) -> impl Iterator<Item = u32> + '_ {
        self.receiver_links.iter(self.chain_of(receiver))
    }

    /// The oldest copy of a receiver that has more than so many, else that of a user who has.
    pub(super) fn oldest_beyond(&self, receiver: &Receiver, of_receiver: usize, of_user: usize) -> Option<u32> {
        let own = self.chain_of(receiver.key);
        let user_s = self.by_user.get(&receiver.user).copied().unwrap_or_default();
        let first = |chain: Chain, most| chain.first().filter(|_| chain.len() > most);
        first(own, of_receiver).or_else(|| first(user_s, of_user))
    }

    fn chain_of(&self, receiver: u64) -> Chain {
        self.receivers.get(&receiver).map_or(Chain::default(), |entry| entry.copies)
    }

    /// The copies of a message, in the order in which they were inserted.
    pub(super) fn copies_of(&self, message: u32) -> impl Iterator<Item = u32> + '_ {
        self.message_links.iter(self.message(message).copies)
    }

    /// Begins to track a message. It must get a copy.
    pub(super) fn track(&mut self, id: MessageId, outcome: Option<OutcomeId>, messages: &mut Messages) -> u32 {
        let Description { label, topic, .. } = *messages.description(id);
        messages.retain(id, 1);
        messages.keep(id);
        self.bytes += messages.charged(id);
        let row = Tracked { id, retry: None, label, topic, outcome, copies: Chain::default() };
        let message = self.tracked.insert(row) as u32;
        let before = self.by_message.insert(id, message);
        assert!(before.is_none(), "a message is tracked twice");
        if let Some(topic) = topic {
            self.by_topic.insert(topic, message);
        }
        message
    }

    /// The bytes of a copy's message without a place, to be queued as a retry. One reference is this table's.
    pub(super) fn set_retry(&mut self, copy: u32, retry: MessageId, messages: &mut Messages) {
        messages.keep(retry);
        self.bytes += messages.charged(retry);
        let place = &mut self.message_of_mut(copy).retry;
        assert!(place.replace(retry).is_none(), "a second retry of one message");
    }

    /// Returns whether a message was freed.
    fn untrack(&mut self, message: u32, messages: &mut Messages) -> bool {
        let row = self.tracked.remove(message as usize);
        self.by_message.remove(&row.id);
        if let Some(topic) = row.topic.filter(|topic| self.by_topic.get(topic) == Some(&message)) {
            self.by_topic.remove(&topic);
        }
        let mut is_freed = false;
        for id in [row.id].into_iter().chain(row.retry) {
            self.bytes -= messages.charged(id);
            messages.let_go(id);
            is_freed |= messages.release(id);
        }
        is_freed
    }

    /// Adds a copy.
    pub(super) fn insert(&mut self, message: u32, receiver: &Receiver, is_matched: bool) -> u32 {
        let &Receiver { key, user, slot } = receiver;
        let copy = self.copies.insert(Copy {
            receiver: key,
            user,
            message,
            writes: 0,
            is_written: false,
            is_known: false,
            is_doubtful: false,
            is_matched,
        }) as u32;
        if self.generations.len() <= copy as usize {
            self.generations.resize(copy as usize + 1, 0);
        }
        self.message_links.append(&mut self.tracked[message as usize].copies, copy);
        self.user_links.append(self.by_user.entry(user).or_default(), copy);
        self.link(copy, slot);
        copy
    }

    /// Takes a copy out, and with the last one its message.
    pub(super) fn remove(&mut self, copy: u32, messages: &mut Messages) -> Removed {
        self.unlink(copy);
        let Copy { message, user, is_matched, .. } = self.copies.remove(copy as usize);
        let generation = &mut self.generations[copy as usize];
        *generation = generation.wrapping_add(1);
        take_from(&mut self.by_user, user, &mut self.user_links, copy);
        let tracked = &mut self.tracked[message as usize];
        self.message_links.remove(&mut tracked.copies, copy);
        let outcome = tracked.outcome.filter(|_| is_matched);
        let untracked = tracked.copies.is_empty().then_some(message);
        let is_freed = untracked.is_some_and(|message| self.untrack(message, messages));
        Removed { outcome, untracked, is_freed }
    }

    /// Gives a copy to another receiver of the same user.
    pub(super) fn give(&mut self, copy: u32, receiver: &Receiver) {
        self.unlink(copy);
        self.copies[copy as usize].receiver = receiver.key;
        self.link(copy, receiver.slot);
    }

    /// The receiver has no row any more.
    pub(super) fn park(&mut self, receiver: u64) {
        if let Some(entry) = self.receivers.get_mut(&receiver) {
            entry.row = None;
        }
    }

    fn link(&mut self, copy: u32, row: u32) {
        let (receiver, label) = (self.copy(copy).receiver, self.message_of(copy).label);
        let entry = self.receivers.entry(receiver).or_default();
        entry.row = Some(row);
        self.receiver_links.append(&mut entry.copies, copy);
        self.label_links.append(self.by_label.entry((receiver, label)).or_default(), copy);
    }

    fn unlink(&mut self, copy: u32) {
        let (receiver, label) = (self.copy(copy).receiver, self.message_of(copy).label);
        let entry = self.receivers.get_mut(&receiver).expect(LISTED);
        self.receiver_links.remove(&mut entry.copies, copy);
        if entry.copies.is_empty() {
            self.receivers.remove(&receiver);
        }
        take_from(&mut self.by_label, (receiver, label), &mut self.label_links, copy);
    }

    /// Adds the references that the table holds.
    pub(super) fn count_references(&self, references: &mut FxHashMap<MessageId, u32>) {
        for id in self.tracked.iter().flat_map(|(_, row)| [row.id].into_iter().chain(row.retry)) {
            *references.entry(id).or_default() += 1;
        }
    }

    /// All copies.
    pub(super) fn all(&self) -> impl Iterator<Item = u32> + '_ {
        self.copies.iter().map(|(place, _)| place as u32)
    }

    /// Checks the chains and the maps against the copies.
    pub(super) fn invariants(&self, messages: &Messages) {
        let len = self.copies.len();
        assert_eq!(self.tracked.iter().map(|(_, row)| row.copies.len()).sum::<usize>(), len);
        assert_eq!(self.receivers.values().map(|entry| entry.copies.len()).sum::<usize>(), len);
        assert_eq!(self.by_label.values().map(Chain::len).sum::<usize>(), len);
        assert_eq!(self.by_user.values().map(Chain::len).sum::<usize>(), len);
        assert!(self.by_user.values().all(|chain| !chain.is_empty()));
        assert_eq!(self.by_message.len(), self.tracked.len());
        let ids = self.tracked.iter().flat_map(|(_, row)| [row.id].into_iter().chain(row.retry));
        assert_eq!(self.bytes, ids.map(|id| messages.charged(id)).sum::<usize>());
        for (message, row) in &self.tracked {
            assert_eq!(self.find_message(row.id), Some(message as u32));
            assert_eq!(messages.description(row.id).label, row.label);
            assert!(!row.copies.is_empty());
        }
        for (receiver, entry) in &self.receivers {
            assert!(!entry.copies.is_empty());
            assert!(self.received(*receiver).all(|copy| self.copy(copy).receiver == *receiver));
        }
        for copy in self.all() {
            let row = self.message_of(copy);
            assert_eq!(self.find(self.copy(copy).receiver, row.label, row.id), Some(copy));
            assert_eq!(self.resolve(self.key(copy)), Some(copy));
        }
    }
}

const LISTED: &str = "ok because a copy is in its chains";

/// Takes a copy out of its chain, and the chain out if that was all.
fn take_from<K: Hash + Eq>(chains: &mut FxHashMap<K, Chain>, key: K, links: &mut Links, copy: u32) {
    let chain = chains.get_mut(&key).expect(LISTED);
    links.remove(chain, copy);
    if chain.is_empty() {
        chains.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Priority;

    #[test]
    fn messages_and_their_retries_count_for_what_they_take() {
        let mut messages = Messages::new(1 << 20);
        let mut index = Index::default();
        let mut store = || messages.store(&[7; 300], Description::plain(Priority::Normal, 0), 0).unwrap();
        let (id, retry) = (store(), store());
        let message = index.track(id, None, &mut messages);
        let receiver = Receiver { key: 1, user: SessionId { slot: 1, generation: 0 }, slot: 10 };
        let copy = index.insert(message, &receiver, true);
        index.set_retry(copy, retry, &mut messages);
        assert_eq!(index.bytes(), messages.used_bytes());
        index.invariants(&messages);
        index.remove(copy, &mut messages);
        assert_eq!(index.bytes(), 0);
    }

    #[test]
    fn a_key_finds_its_copy_until_that_has_ended() {
        let mut messages = Messages::new(1 << 20);
        let mut index = Index::default();
        let description = Description { label: 7, ..Description::plain(Priority::Normal, 0) };
        let id = messages.store(b"frame", description, 0).unwrap();
        let message = index.track(id, None, &mut messages);
        let receiver = |key, slot| Receiver { key, user: SessionId { slot: 1, generation: 0 }, slot };
        let copies = [receiver(1, 10), receiver(2, 20)].map(|receiver| index.insert(message, &receiver, true));
        let keys = copies.map(|copy| index.key(copy));
        assert!(index.remove(copies[0], &mut messages).untracked.is_none());
        let again = index.insert(message, &receiver(3, 30), true);
        assert_eq!(again, copies[0], "the place is used again");
        assert_eq!((index.resolve(keys[0]), index.resolve(keys[1])), (None, Some(copies[1])));
        index.invariants(&messages);
        assert!(index.remove(copies[1], &mut messages).untracked.is_none());
        assert_eq!(index.remove(again, &mut messages).untracked, Some(message));
        assert_eq!((index.resolve(keys[1]), index.len(), index.tracked_len()), (None, 0, 0));
        index.invariants(&messages);
    }
}
