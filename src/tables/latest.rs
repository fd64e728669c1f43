//! The newest message of each topic: of a session, a type and a key.
//!
//! In: what is kept of a keyed message. Out: the one it replaces. Only messages that a history holds are here, so the
//! table is as large as they are many.

use rustc_hash::FxHashMap;

use super::MessageId;
use super::messages::Topic;

/// The table. Topics are hashes under this server's own seed, so a fast hasher is safe.
#[derive(Default)]
pub struct Latest {
    by_topic: FxHashMap<Topic, MessageId>,
}

impl Latest {
    /// What one topic takes: a place and a byte of control, in a table of which less than half may be in use.
    pub(super) const BYTES_PER_TOPIC: usize = (size_of::<(Topic, MessageId)>() + 1) * 16 / 7;

    /// Puts `id` in the place of the topic's newest message; the one that was there.
    pub fn replace(&mut self, topic: Topic, id: MessageId) -> Option<MessageId> {
        self.by_topic.insert(topic, id)
    }

    /// Forgets the topic's newest message, which must be `id`.
    pub fn remove(&mut self, topic: Topic, id: MessageId) {
        let removed = self.by_topic.remove(&topic);
        assert_eq!(removed, Some(id), "a kept message is the newest of its topic");
    }

    /// The topic's newest message.
    pub fn get(&self, topic: Topic) -> Option<MessageId> {
        self.by_topic.get(&topic).copied()
    }

    /// Topics.
    pub fn len(&self) -> usize {
        self.by_topic.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_topic.is_empty()
    }
}
