//! Outcomes: senders are told how their messages were confirmed, by an `ack` or by the answer of a request that waits.

use super::Core;
use super::turns::Turn;
use crate::rest::{Response, Wait, counts_response};
use crate::tables::outcomes::Watcher;
use crate::tables::{Counts, State};
use crate::wire::http::Head;

/// A request that waits for an outcome. Its row takes no other request meanwhile.
pub(super) struct Waiting {
    wait: Wait,
    /// The answer, but for what is not known yet.
    draft: Response,
    keep_alive: bool,
}

impl Core {
    /// Puts the answer of a request off until the outcome is settled or its time is over.
    pub(super) fn wait_for_outcome(&mut self, slot: u32, head: &Head<'_>, draft: Response, wait: Wait) {
        let tables = &mut self.delivery.tables;
        let watcher = Watcher::Request(tables.connections.id(slot));
        tables.in_flight.outcomes.watch(wait.outcome, watcher);
        tables.connections.times[slot as usize].deadline_ms = self.delivery.now.ms() + wait.timeout_ms;
        self.waiting.insert(slot, Waiting { wait, draft, keep_alive: head.keep_alive });
        self.arm(slot);
    }

    /// Whether a request of the row waits.
    pub(super) fn is_waiting(&self, slot: u32) -> bool {
        self.waiting.contains_key(&slot)
    }

    /// The request's time is over: it is told what is known so far. Returns whether there was one.
    pub(super) fn stop_waiting(&mut self, slot: u32) -> bool {
        let Some(outcome) = self.waiting.get(&slot).map(|waiting| waiting.wait.outcome) else {
            return false;
        };
        let counts = self.delivery.tables.in_flight.outcomes.counts(outcome).unwrap_or_default();
        self.leave_outcome(slot);
        self.answer_waiting(slot, counts);
        true
    }

    /// The row ends, and with it what waits.
    pub(super) fn cancel_waiting(&mut self, slot: u32) {
        self.leave_outcome(slot);
        self.waiting.remove(&slot);
    }

    fn leave_outcome(&mut self, slot: u32) {
        if let Some(waiting) = self.waiting.get(&slot) {
            let watcher = Watcher::Request(self.delivery.tables.connections.id(slot));
            self.delivery.tables.in_flight.outcomes.leave(waiting.wait.outcome, watcher);
        }
    }

    /// Tells everybody whose outcome is settled.
    pub(super) fn report_outcomes(&mut self) {
        for (connection, outcome) in self.delivery.report_outcomes() {
            if let Some(slot) = self.delivery.tables.connections.slot(connection) {
                self.answer_waiting(slot, outcome.counts);
            }
        }
    }

    fn answer_waiting(&mut self, slot: u32, counts: Counts) {
        let Some(Waiting { wait, draft, keep_alive }) = self.waiting.remove(&slot) else {
            return;
        };
        let answer = counts_response(&wait.id, wait.seq, counts);
        let response = Response { headers: draft.headers, ..answer };
        self.reply(slot, response, keep_alive, false);
        // The bytes of the next request may have come meanwhile, or the end.
        if self.delivery.tables.connections.state(slot) == State::Http {
            self.delivery.tables.connections.inputs[slot as usize].held = false;
            self.list_readable(slot, Turn::Carried);
        }
    }
}
