//! Expiry: messages past the time that their senders gave them leave queues and history, and who has not got them is told.
//!
//! A message that is being written is finished. What a connection that has left its session still holds may arrive.

use super::Delivery;
use crate::config::limits::EXPIRY_WORK_PER_TICK;
use crate::message::{Priority, ProtocolError};
use crate::tables::messages::{Description, Place};
use crate::tables::owed::Owed;
use crate::tables::{MessageId, Tables};

impl Delivery {
    /// Whether a message may have so much time: not more than anything is kept.
    ///
    /// # Errors
    /// `bad_message`.
    pub fn check_expiry(&self, expires_in_ms: Option<u64>) -> Result<(), ProtocolError> {
        const TOO_LONG: ProtocolError =
            ProtocolError::bad_field("expiresIn", "expiresIn must be at most WEBSOCKET_MESSAGE_EXPIRY_TIME.");
        if expires_in_ms.is_some_and(|time_ms| time_ms > self.life_ms) { Err(TOO_LONG) } else { Ok(()) }
    }

    /// When a message that is published now expires; zero for never.
    pub(super) fn expires_ns(&self, expires_in_ms: Option<u64>) -> u64 {
        expires_in_ms.map_or(0, |time_ms| self.now.ns + time_ms * 1_000_000)
    }

    /// Takes messages out that are due, as many as this stage's share of work allows.
    pub fn expire_messages(&mut self) {
        let mut left = EXPIRY_WORK_PER_TICK;
        while left > 0 {
            let Some((id, receiver)) = self.tables.messages.take_due(self.now.ns) else {
                return;
            };
            left = left.saturating_sub(self.expire_message(id, receiver));
        }
    }

    /// Takes one message out everywhere. Returns the work that it was.
    fn expire_message(&mut self, id: MessageId, receiver: Option<u32>) -> usize {
        self.totals.expired += 1;
        let tables = &mut self.tables;
        let description = *tables.messages.description(id);
        tables.messages.retain(id, 1); // so that it is not freed while queues let it go
        tables.in_flight.expire_now(id);
        let work = match (description.place, receiver) {
            (Some(place), _) => expire_for_members(tables, id, place, &description),
            (None, Some(slot)) => expire_for_row(tables, id, slot, description.priority),
            (None, None) => 0,
        };
        if tables.messages.kept(id) > u32::from(tables.in_flight.holds(id)) {
            tables.history.expire(id, &mut tables.messages);
        }
        tables.messages.release(id);
        work + 1
    }
}

/// Tells every row that still waits for the message. Returns the work that it was.
fn expire_for_members(tables: &mut Tables, id: MessageId, place: Place, description: &Description) -> usize {
    let Tables { sessions, outputs, messages, connections, .. } = tables;
    let Description { priority, hidden_from, .. } = *description;
    let is_queued = messages.references(id) > 1 + messages.kept(id);
    let mut work = outputs.cursors().behind_in(place.session);
    // Rows that history still feeds, those that have left and take their last messages among them.
    let mut waiting = outputs.cursors().awaiting(place, priority);
    waiting.retain(|&slot| !connections.is_known_as(slot, hidden_from));
    for &slot in sessions.members(place.session).iter().filter(|_| is_queued) {
        work += 1 + outputs.ring_len(slot, priority);
        if outputs.remove(slot, priority, id, messages) {
            waiting.push(slot);
        }
    }
    for slot in waiting {
        outputs.owe(slot, Owed::expired(Some(place)));
        outputs.mark(slot);
    }
    work
}

/// The same for a message that is for one connection. Nothing is told behind a close frame.
fn expire_for_row(tables: &mut Tables, id: MessageId, slot: u32, priority: Priority) -> usize {
    let Tables { outputs, messages, connections, .. } = tables;
    let work = outputs.ring_len(slot, priority);
    if outputs.remove(slot, priority, id, messages) && connections.state(slot).is_open() {
        outputs.owe(slot, Owed::expired(None));
        outputs.mark(slot);
    }
    work
}
