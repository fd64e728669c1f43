//! A graceful end: it is announced, connections close over the window, and the loop stops when all are gone or the window
//! is over.

use super::Core;
use super::ending::Ending;
use crate::config::limits::{DRAIN_CLOSES_PERCENT, ROWS_TOLD_PER_TICK, WORK_PER_ROW_TOLD};
use crate::message::{Close, MessageType};
use crate::tables::State;

/// How far a graceful end has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draining {
    /// Whoever is left then is cut off, in the loop's milliseconds.
    pub(super) deadline_ms: u64,
    /// The rows before this slot have been told.
    told: u32,
}

impl Core {
    /// Begins to end. Asking twice changes nothing.
    pub(super) fn begin_shutdown(&mut self) {
        if self.draining.is_some() {
            return;
        }
        self.delivery.end_debounce();
        let window_ms = self.config.drain_ms;
        self.draining = Some(Draining { deadline_ms: self.now_ms() + window_ms, told: 0 });
        log::info!("draining {} connections for at most {window_ms} ms", self.delivery.tables.connections.counted());
        self.tell_of_end();
    }

    /// Tells the next rows of the end, once it has begun.
    pub(super) fn tell_of_end(&mut self) {
        for _ in 0..ROWS_TOLD_PER_TICK {
            let Some(slot) = self.next_untold() else {
                return;
            };
            self.delivery.work += WORK_PER_ROW_TOLD;
            self.end_row(slot);
        }
    }

    /// Whether there are rows that have not been told of the end.
    pub(super) fn has_untold(&self) -> bool {
        self.draining.is_some_and(|draining| (draining.told as usize) < self.delivery.tables.connections.states.len())
    }

    fn next_untold(&mut self) -> Option<u32> {
        let has_untold = self.has_untold();
        let draining = self.draining.as_mut().filter(|_| has_untold)?;
        draining.told += 1;
        Some(draining.told - 1)
    }

    /// Announces the end to a connection and gives it its own time to close in the first three quarters of what is left, so
    /// that they do not all come to the next server at once.
    fn end_row(&mut self, slot: u32) {
        match self.delivery.tables.connections.state(slot) {
            State::Open | State::Events => {
                let after_ms = self.random_delay_ms();
                let payload = format!("{{\"reconnectInMs\":{after_ms}}}");
                self.send_plain(slot, MessageType::DRAIN, payload.as_bytes());
                self.close_at(slot, after_ms);
            }
            State::Joining | State::Echo => self.end(slot, Ending::Close(Close::DRAINING)),
            State::Poll => self.end_poll(slot),
            State::Http => {
                self.stop_waiting(slot);
            }
            State::Closing | State::Free => {}
        }
    }

    fn random_delay_ms(&mut self) -> u64 {
        let left_ms = self.draining.map_or(0, |draining| draining.deadline_ms.saturating_sub(self.now_ms()));
        let bound = u32::try_from(left_ms * DRAIN_CLOSES_PERCENT / 100).unwrap_or(u32::MAX);
        u64::from(self.delivery.random_below(bound))
    }

    fn close_at(&mut self, slot: u32, after_ms: u64) {
        self.delivery.tables.connections.times[slot as usize].deadline_ms = self.now_ms() + after_ms;
        self.arm(slot);
    }

    fn has_requests_under_way(&self) -> bool {
        let connections = &self.delivery.tables.connections;
        connections.slots().any(|slot| connections.partials[slot as usize].is_some())
    }

    /// Whether a graceful end is complete.
    pub(super) fn has_ended(&self) -> bool {
        let Some(draining) = self.draining else {
            return false;
        };
        let connections = &self.delivery.tables.connections;
        let is_quiet = connections.counted() == 0
            && connections.count(State::Closing) == 0
            && self.delivery.tables.outputs.all_idle()
            && self.delivery.tables.waits.is_empty()
            && self.handlers.pending() == 0;
        self.now_ms() >= draining.deadline_ms || (is_quiet && !self.has_requests_under_way())
    }
}
