//! A batch: what one row would write next. `Outputs` fills it and takes off what was written of it.

use super::{MessageId, Messages};
use crate::config::limits::BATCH_BYTES;
use crate::message::Priority;

/// One message of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: MessageId,
    pub(super) ring: u8,
    /// The row's credit once this is taken.
    pub(super) credit_after: i32,
}

/// What one row would write next. Reused from row to row.
#[derive(Default)]
pub struct Batch {
    pub(super) entries: Vec<Entry>,
    /// The message in progress and how much of it is written.
    pub(super) partial: Option<(MessageId, usize)>,
    pub(super) bytes: usize,
    pub(super) largest: usize,
}

impl Batch {
    /// The messages after the partial one, in order.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = MessageId> + '_ {
        self.entries.iter().map(|entry| entry.id)
    }

    /// The message in progress and how many of its bytes are written.
    pub const fn partial(&self) -> Option<(MessageId, usize)> {
        self.partial
    }

    /// By priority: how many messages, without the partial one.
    pub fn taken(&self) -> [usize; 3] {
        let mut taken = [0; 3];
        for entry in &self.entries {
            taken[usize::from(entry.ring)] += 1;
        }
        taken
    }

    /// Bytes to write.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of the largest message.
    pub const fn largest(&self) -> usize {
        self.largest
    }

    /// Keeps the first `count` messages. Nothing of another one is in progress.
    pub fn truncate(&mut self, count: usize, messages: &Messages) {
        if count >= self.entries.len() {
            return;
        }
        self.entries.truncate(count);
        (self.bytes, self.largest) = (0, 0);
        for entry in &self.entries {
            let bytes = messages.frame(entry.id).len();
            self.bytes += bytes;
            self.largest = self.largest.max(bytes);
        }
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.partial = None;
        (self.bytes, self.largest) = (0, 0);
    }

    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.bytes == 0 || self.bytes + bytes <= BATCH_BYTES
    }

    pub(super) fn add(&mut self, id: MessageId, priority: Priority, bytes: usize, credit_after: i32) {
        self.entries.push(Entry { id, ring: priority as u8, credit_after });
        self.bytes += bytes;
        self.largest = self.largest.max(bytes);
    }
}
