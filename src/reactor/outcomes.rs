//! Outcomes: senders are told how their messages were confirmed, by an `ack` or by the answer of a request that waits.

use super::Core;
use crate::rest::counts_response;
use crate::tables::Counts;
use crate::tables::outcomes::Watcher;
use crate::tables::waits::Wait;

impl Core {
    /// Puts the answer of a request off until the outcome is settled or its time is over. A server that goes away has no time.
    pub(super) fn wait_for_outcome(&mut self, slot: u32, wait: Wait) {
        let timeout_ms = if self.draining.is_some() { 0 } else { wait.timeout_ms };
        let tables = &mut self.delivery.tables;
        let watcher = Watcher::Request(tables.connections.id(slot));
        tables.in_flight.outcomes.watch(wait.outcome, watcher);
        tables.connections.times[slot as usize].deadline_ms = self.delivery.now.ms() + timeout_ms;
        tables.waits.insert(slot, wait);
        self.arm(slot);
    }

    /// The request's time is over: it is told what is known so far. Returns whether there was one.
    pub(super) fn stop_waiting(&mut self, slot: u32) -> bool {
        let Some(wait) = self.leave_outcome(slot) else {
            return false;
        };
        let counts = self.delivery.tables.in_flight.outcomes.counts(wait.outcome).unwrap_or_default();
        self.answer_wait(slot, &wait, counts);
        true
    }

    /// The request of the row, if one waits, waits no longer.
    pub(super) fn leave_outcome(&mut self, slot: u32) -> Option<Wait> {
        let tables = &mut self.delivery.tables;
        let wait = tables.waits.remove(slot)?;
        tables.in_flight.outcomes.leave(wait.outcome, Watcher::Request(tables.connections.id(slot)));
        Some(wait)
    }

    /// Tells those whose outcome is settled, as far as this tick's work goes.
    pub(super) fn report_outcomes(&mut self) {
        for (connection, outcome) in self.delivery.report_outcomes() {
            let tables = &mut self.delivery.tables;
            let waiting = tables.connections.slot(connection);
            if let Some((slot, wait)) = waiting.and_then(|slot| Some((slot, tables.waits.remove(slot)?))) {
                self.answer_wait(slot, &wait, outcome.counts);
            }
        }
    }

    fn answer_wait(&mut self, slot: u32, wait: &Wait, counts: Counts) {
        self.reply_late(slot, counts_response(&wait.id, wait.seq, counts), &wait.asker);
    }
}
