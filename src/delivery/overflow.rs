//! What happens when a row's queue is over its limits and its socket takes no more.
//!
//! First, an entry goes that has a later entry of the same session, type and key in its ring. Then the lowest priority goes,
//! oldest first, and a `hashi:gap` is owed. If `high` alone is still over, the consumer is too slow for this server.

use rustc_hash::FxHashSet;

use super::Delivery;
use crate::message::encode::{write_json_string, write_number};
use crate::message::{MessageType, Priority};
use crate::tables::outputs::Owed;

/// A row's limits over its three rings together.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Most messages.
    pub messages: usize,
    /// Most bytes; one message alone may be larger.
    pub bytes: u64,
}

/// What to do with the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It is within its limits.
    Within,
    /// Even without normal and low messages it is over: close it with 4013.
    TooSlow,
}

impl Delivery {
    /// Brings a row back within its limits.
    pub fn enforce_queue_limits(&mut self, slot: u32, limits: QueueLimits) -> Verdict {
        if !self.is_over(slot, limits) {
            return Verdict::Within;
        }
        for priority in Priority::ALL {
            self.conflate(slot, priority);
        }
        for priority in [Priority::Low, Priority::Normal] {
            self.drop_oldest(slot, priority, limits);
        }
        if self.is_over(slot, limits) { Verdict::TooSlow } else { Verdict::Within }
    }

    fn is_over(&self, slot: u32, limits: QueueLimits) -> bool {
        let outputs = &self.tables.outputs;
        is_over(outputs.len(slot), outputs.queued_bytes(slot), limits)
    }

    /// Removes entries that a later one of the same topic replaces. The later one keeps its place.
    fn conflate(&mut self, slot: u32, priority: Priority) {
        let tables = &mut self.tables;
        let ids: Vec<_> = tables.outputs.ring(slot, priority).collect();
        let mut newer = FxHashSet::default();
        let mut keep: Vec<bool> = ids
            .iter()
            .rev()
            .map(|&id| tables.messages.description(id).topic.is_none_or(|topic| newer.insert(topic)))
            .collect();
        if newer.is_empty() {
            return;
        }
        self.totals.conflated += keep.iter().filter(|keep| !**keep).count() as u64;
        tables.outputs.retain(slot, priority, &mut tables.messages, |_, _| keep.pop().unwrap_or(true));
    }

    /// Drops the oldest entries of one ring until the row is within its limits or the ring is empty.
    fn drop_oldest(&mut self, slot: u32, priority: Priority, limits: QueueLimits) {
        let tables = &mut self.tables;
        let (mut count, mut bytes) = (tables.outputs.len(slot), tables.outputs.queued_bytes(slot));
        let mut losses = Vec::new();
        tables.outputs.retain(slot, priority, &mut tables.messages, |messages, id| {
            if !is_over(count, bytes, limits) {
                return true;
            }
            count -= 1;
            bytes -= messages.frame(id).len() as u64;
            losses.push(match messages.description(id).place {
                Some(place) => Owed::Session { session: place.session, from: place.seq, to: place.seq },
                None => Owed::Direct { count: 1 },
            });
            false
        });
        self.totals.dropped += losses.len() as u64;
        for loss in losses {
            tables.outputs.owe(slot, loss);
        }
    }

    /// Puts the gaps a row is owed at the front of its queue.
    pub fn pay_gaps(&mut self, slot: u32) {
        for owed in self.tables.outputs.take_owed(slot) {
            if let Some(payload) = self.gap_payload(owed) {
                self.push_answer_first(slot, MessageType::GAP, &payload);
            }
        }
    }

    /// The payload of a gap; none for a session that is gone, whose next life has another epoch.
    fn gap_payload(&self, owed: Owed) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(96);
        match owed {
            Owed::Direct { count } => {
                out.extend_from_slice(b"{\"direct\":");
                write_number(&mut out, count);
            }
            Owed::Session { session, .. } if !self.tables.sessions.is_alive(session) => return None,
            Owed::Session { session, from, to } => {
                out.extend_from_slice(b"{\"sessionId\":");
                write_json_string(&mut out, self.tables.sessions.name(session));
                out.extend_from_slice(b",\"from\":");
                write_number(&mut out, from);
                out.extend_from_slice(b",\"to\":");
                write_number(&mut out, to);
            }
        }
        out.extend_from_slice(b",\"reason\":\"queue_overflow\"}");
        Some(out)
    }
}

const fn is_over(count: usize, bytes: u64, limits: QueueLimits) -> bool {
    count > limits.messages || (bytes > limits.bytes && count > 1)
}
