//! Messages with a time of their own, in the order in which they expire.
//!
//! In: such messages as they are stored and freed. Out: those that are due. A message without a time of its own is not
//! here: it costs one look at its description.

use std::collections::BTreeMap;

use super::MessageId;

/// The table. Only stored messages are here, so it is as large as they are many.
#[derive(Debug, Default)]
pub struct Expiring {
    /// By the time and the message: the row of a message that is for one connection.
    by_time: BTreeMap<(u64, MessageId), Option<u32>>,
}

impl Expiring {
    /// What one message takes: a node of the tree may be half full.
    pub(super) const BYTES_PER_MESSAGE: usize = 3 * size_of::<((u64, MessageId), Option<u32>)>();

    /// A message that expires is stored.
    pub(super) fn insert(&mut self, expires_ns: u64, id: MessageId) {
        self.by_time.insert((expires_ns, id), None);
    }

    /// The message is for one connection.
    pub(super) fn address(&mut self, expires_ns: u64, id: MessageId, slot: u32) {
        self.by_time.insert((expires_ns, id), Some(slot));
    }

    /// The message is gone. It may have been due before.
    pub(super) fn remove(&mut self, expires_ns: u64, id: MessageId) {
        self.by_time.remove(&(expires_ns, id));
    }

    /// Takes the first that is due, and the row of the connection if it is for one.
    pub(super) fn take_due(&mut self, now_ns: u64) -> Option<(MessageId, Option<u32>)> {
        let first = self.by_time.first_entry().filter(|entry| entry.key().0 <= now_ns)?;
        let ((_, id), slot) = first.remove_entry();
        Some((id, slot))
    }

    /// When the first is due.
    pub fn next_ns(&self) -> Option<u64> {
        self.by_time.first_key_value().map(|((expires_ns, _), _)| *expires_ns)
    }

    /// Messages that expire.
    pub fn len(&self) -> usize {
        self.by_time.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.by_time.is_empty()
    }

    /// The times and messages; for the invariants of the table that stores them.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u64, MessageId)> + '_ {
        self.by_time.keys().copied()
    }
}
