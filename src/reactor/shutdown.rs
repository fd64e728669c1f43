//! A graceful end: it is announced, connections close over the window, and the loop stops when all are gone or the window
//! is over.

use super::Core;
use super::ending::Ending;
use crate::config::limits::DRAIN_CLOSES_PERCENT;
use crate::message::{Close, MessageType};
use crate::tables::State;

/// When a graceful end must be over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draining {
    /// Whoever is left then is cut off, in the loop's milliseconds.
    pub(super) deadline_ms: u64,
}

impl Core {
    /// Announces the end to every connection and gives each its own time to close in the first three quarters of the
    /// window, so that they do not all come to the next server at once. Asking twice changes nothing.
    pub(super) fn begin_shutdown(&mut self) {
        if self.draining.is_some() {
            return;
        }
        self.delivery.end_debounce();
        let window_ms = self.config.drain_ms;
        self.draining = Some(Draining { deadline_ms: self.now_ms() + window_ms });
        let slots: Vec<u32> = self.delivery.tables.connections.slots().collect();
        log::info!("draining {} connections for at most {window_ms} ms", self.delivery.tables.connections.counted());
        for slot in slots {
            let state = self.delivery.tables.connections.state(slot);
            let after_ms = u64::from(
                self.delivery.random_below(u32::try_from(window_ms * DRAIN_CLOSES_PERCENT / 100).unwrap_or(u32::MAX)),
            );
            match state {
                State::Open | State::Events => {
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
