//! Stalled rows: their sockets take no more, and what was pushed to them since must not go over their limits. The last part of
//! `drain`.
//!
//! They have a budget of their own, in units of work and not in writes, because none is made: rows that can be written to do
//! not wait for them.

use super::Core;
use super::ending::Ending;
use crate::config::limits::{ENFORCE_WORK_PER_TICK, WORK_PER_ENFORCED_ENTRY};
use crate::delivery::overflow::{QueueLimits, Verdict};

impl Core {
    /// Looks at the rows that were stalled when it began, as far as the budget reaches.
    pub(super) fn enforce_limits(&mut self) {
        let mut left = ENFORCE_WORK_PER_TICK;
        for _ in 0..self.delivery.tables.outputs.stalled_len() {
            if left == 0 {
                return;
            }
            if let Some(slot) = self.delivery.tables.outputs.next_stalled().flatten() {
                left = left.saturating_sub(self.enforce(slot));
                self.resume_input(slot);
            }
        }
    }

    /// Brings one row back within its limits; the work it took.
    fn enforce(&mut self, slot: u32) -> usize {
        if !self.delivery.tables.connections.state(slot).is_open() {
            return 1; // its queue is bounded by what is read from it
        }
        let limits =
            QueueLimits { messages: self.config.queue_messages as usize, bytes: u64::from(self.config.queue_bytes) };
        let entries = self.delivery.tables.outputs.len(slot);
        let verdict = self.delivery.enforce_queue_limits(slot, limits);
        if verdict == Verdict::TooSlow {
            self.end(slot, Ending::Slow);
        }
        if verdict == Verdict::Within { 1 } else { entries * WORK_PER_ENFORCED_ENTRY }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::bench::Bench;

    #[test]
    fn a_thousand_stalled_rows_do_not_delay_a_healthy_one() {
        let mut bench = Bench::new(1_000);
        let queue_messages = bench.reactor.core.config.queue_messages;
        for number in 0..3 * queue_messages {
            let written = bench.reactor.net.written;
            bench.publish(if number % 2 == 0 { "a" } else { "b" });
            bench.reactor.drain();
            assert_eq!(bench.reactor.net.written, written + 1, "message {number} waits");
        }
        while bench.reactor.core.delivery.tables.outputs.is_dirty() {
            bench.reactor.drain();
        }
        let tables = &bench.reactor.core.delivery.tables;
        assert!((0..1_000).all(|slot| tables.outputs.len(slot) <= queue_messages as usize));
        assert_eq!(tables.outputs.backlog(), 0);
        tables.outputs.invariants(&tables.messages);
    }

    #[test]
    fn rows_over_their_limits_take_a_share_of_a_tick() {
        let mut bench = Bench::new(1_000);
        let queue_messages = bench.reactor.core.config.queue_messages as usize;
        for _ in 0..=queue_messages {
            bench.publish("a");
        }
        bench.reactor.drain();
        let outputs = &bench.reactor.core.delivery.tables.outputs;
        let restored = (0..1_000).filter(|&slot| outputs.len(slot) <= queue_messages).count();
        let entries = queue_messages + 2; // and the first one
        assert_eq!(restored, ENFORCE_WORK_PER_TICK.div_ceil(entries * WORK_PER_ENFORCED_ENTRY));
        assert!(outputs.backlog() > 0 && outputs.is_dirty());
    }
}
