//! Catch-up: rows that are behind are fed from history, a batch at a time, as their sockets take more.
//!
//! A row has one cursor for each session and priority in which it is behind. Messages of these are not pushed to it. Once a
//! cursor is at the session's head, messages are pushed again, and without any cursor the row is live. A client that
//! resumes after a reconnect is a row that is behind from its start, with `high` too.
//!
//! Where history has lost what a cursor still had to feed, the cursor moves on and a `hashi:gap` is owed.

use std::ops::RangeInclusive;

use super::Delivery;
use super::retry::Evicted;
use crate::config::limits::{BATCH_BYTES, FEED_MESSAGES, FEED_WORK_PER_TICK, WORK_PER_COPY};
use crate::message::Priority;
use crate::tables::cursors::Cursor;
use crate::tables::owed::{Owed, Reason};
use crate::tables::{SessionId, Tables};

impl Delivery {
    /// Prepares a row that is behind for its next write: declares what it lost, and queues what comes next.
    pub fn feed(&mut self, slot: u32, queue_messages: usize) {
        let mut cursors: Vec<Cursor> = self.tables.outputs.cursors().of(slot).to_vec();
        cursors.retain(|cursor| self.tables.sessions.is_alive(cursor.session));
        let evicted: Evicted = cursors.iter_mut().filter_map(|cursor| self.declare_evicted(slot, cursor)).collect();
        self.retry_evicted(slot, &evicted);
        for priority in Priority::ALL {
            let room = self.room_to_feed(slot, priority, queue_messages);
            let is_all_fed = self.feed_priority(slot, priority, room, &mut cursors);
            // High is replayed before the others begin.
            if priority == Priority::High && !is_all_fed {
                break;
            }
        }
        self.tables.outputs.set_cursors(slot, cursors);
    }

    /// Moves a cursor over what history has lost. Returns what that was.
    fn declare_evicted(
        &mut self,
        slot: u32,
        cursor: &mut Cursor,
    ) -> Option<((SessionId, Priority), RangeInclusive<u64>)> {
        let to = self.tables.history.evicted_to(cursor.session, cursor.priority).min(cursor.end);
        if to <= cursor.seq {
            return None;
        }
        let (session, from) = (cursor.session, cursor.seq + 1);
        self.tables.outputs.owe(slot, Owed::Session { session, from, to, reason: Reason::HistoryEvicted });
        cursor.seq = to;
        Some(((session, cursor.priority), from..=to))
    }

    /// Messages that may be put into a ring now. A ring that still holds some is fed later, high's excepted: the answers in
    /// it must not keep replay waiting.
    fn room_to_feed(&self, slot: u32, priority: Priority, queue_messages: usize) -> usize {
        let outputs = &self.tables.outputs;
        if self.fed >= FEED_WORK_PER_TICK || (priority != Priority::High && outputs.ring_len(slot, priority) > 0) {
            return 0;
        }
        queue_messages.saturating_sub(outputs.len(slot)).clamp(1, FEED_MESSAGES)
    }

    /// Feeds up to `room` messages of one priority, session after session. Cursors that reach the head are taken out, unless
    /// they may be needed again. Returns whether all have reached it.
    fn feed_priority(&mut self, slot: u32, priority: Priority, room: usize, cursors: &mut Vec<Cursor>) -> bool {
        let (mut room, mut bytes) = (room, BATCH_BYTES);
        let mut is_all_fed = true;
        cursors.retain_mut(|cursor| {
            if cursor.priority != priority {
                return true;
            }
            let is_at_head = self.feed_cursor(slot, cursor, &mut room, &mut bytes);
            is_all_fed &= is_at_head;
            let is_done = is_at_head && !self.may_go_back(slot, cursor);
            if is_done {
                self.tables.outputs.owe_position(slot, cursor.session);
            }
            !is_done
        });
        is_all_fed
    }

    /// Whether the row may have to go back to the cursor: what is `high` and from history leaves the ring again if the row
    /// falls behind, so it must be known as such until it is written. The other priorities do so without a cursor.
    fn may_go_back(&self, slot: u32, cursor: &Cursor) -> bool {
        let Tables { outputs, messages, .. } = &self.tables;
        cursor.priority == Priority::High && outputs.holds(slot, cursor.session, Priority::High, messages)
    }

    /// Whether the cursor has come to the session's head, or to its own end.
    fn feed_cursor(&mut self, slot: u32, cursor: &mut Cursor, room: &mut usize, bytes: &mut usize) -> bool {
        if *room == 0 {
            return false;
        }
        let tables = &mut self.tables;
        let next: Vec<_> = tables
            .history
            .after(cursor.session, cursor.seq)
            .take_while(|(seq, _)| *seq <= cursor.end)
            .take(FEED_MESSAGES)
            .collect();
        self.fed += next.len() + 1;
        let is_last = next.len() < FEED_MESSAGES;
        for (seq, id) in next {
            let description = tables.messages.description(id);
            let is_for_row = description.priority == cursor.priority
                && !tables.connections.is_known_as(slot, description.hidden_from);
            if is_for_row {
                if *room == 0 || *bytes == 0 {
                    return false;
                }
                let (length, is_held) = (tables.messages.frame(id).len(), description.label != 0);
                *room -= 1;
                *bytes = bytes.saturating_sub(length);
                tables.messages.retain(id, 1);
                tables.outputs.push(slot, cursor.priority, id, length as u32);
                self.totals.replayed += 1;
                self.work += 1;
                self.fed += if is_held { WORK_PER_COPY } else { 0 };
            }
            cursor.seq = seq;
        }
        if is_last {
            cursor.seq = tables.sessions.head(cursor.session).min(cursor.end);
        }
        is_last
    }
}
