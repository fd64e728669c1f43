//! From the rings to a batch, and what was written of it off them again.

use super::{BATCHED, BLOCKED, Outputs, STREAM};
use crate::config::limits::NORMAL_WEIGHT;
use crate::message::Priority;
use crate::tables::batch::{Batch, Entry};
use crate::tables::{MessageId, Messages};

impl Outputs {
    /// Fills `batch` with what the row writes next: the rest of a message, then all of high, then normal and low by
    /// weight, up to one batch. The rest of a text made of messages goes alone: what follows is not text yet.
    pub fn collect(&self, slot: u32, messages: &Messages, batch: &mut Batch) {
        batch.clear();
        let row = &self.rows[slot as usize];
        if row.partial != MessageId::NONE {
            let id = MessageId(row.partial);
            let offset = row.partial_offset as usize;
            batch.partial = Some((id, offset));
            batch.bytes = messages.frame(id).len() - offset;
            batch.largest = batch.bytes;
            if row.flags & (STREAM | BATCHED) != 0 {
                return;
            }
        }
        let sized = |value: u32| (MessageId(value), messages.frame(MessageId(value)).len());
        let mut heads = row.rings.each_ref().map(|ring| self.pool.iter(ring).map(sized).peekable());
        let [high, normal, low] = &mut heads;
        let mut credit = row.credit;
        while let Some((id, bytes)) = high.next_if(|(_, bytes)| batch.has_room(*bytes)) {
            batch.add(id, Priority::High, bytes, credit);
        }
        if high.peek().is_some() {
            return;
        }
        loop {
            let low_bytes = low.peek().map(|(_, bytes)| *bytes);
            let (ring, priority) = match (normal.peek(), low_bytes) {
                (None, None) => return,
                (Some(_), None) => (&mut *normal, Priority::Normal),
                (None, Some(_)) => (&mut *low, Priority::Low),
                (Some(_), Some(bytes)) if credit >= weighted(bytes) => (&mut *low, Priority::Low),
                (Some(_), Some(_)) => (&mut *normal, Priority::Normal),
            };
            let Some((id, bytes)) = ring.next_if(|(_, bytes)| batch.has_room(*bytes)) else {
                return;
            };
            credit = match (priority, low_bytes) {
                (Priority::Normal, Some(_)) => credit.saturating_add(i32::try_from(bytes).unwrap_or(i32::MAX)),
                (Priority::Low, Some(bytes)) => (credit - weighted(bytes)).max(0),
                _ => 0,
            };
            batch.add(id, priority, bytes, credit);
        }
    }

    /// Takes off what was written: `written` bytes of `batch`, which was collected from this row just before. `done` is
    /// called for every message that is completely written.
    pub fn consume(
        &mut self,
        slot: u32,
        batch: &Batch,
        mut written: usize,
        messages: &mut Messages,
        mut done: impl FnMut(&mut Messages, MessageId),
    ) {
        if let Some((id, offset)) = batch.partial {
            let rest = messages.frame(id).len() - offset;
            if written < rest {
                self.rows[slot as usize].partial_offset += written as u32;
                return;
            }
            written -= rest;
            self.rows[slot as usize].partial = MessageId::NONE;
            self.partials -= 1;
            self.rows[slot as usize].partial_offset = 0;
            done(messages, id);
            for id in self.carried.remove(&slot).into_iter().flatten() {
                done(messages, id);
            }
        }
        for entry in &batch.entries {
            if written == 0 {
                return;
            }
            let bytes = messages.frame(entry.id).len();
            self.take(slot, entry, bytes as u32);
            if written < bytes {
                let row = &mut self.rows[slot as usize];
                (row.partial, row.partial_offset) = (entry.id.0, written as u32);
                self.partials += 1;
                return;
            }
            written -= bytes;
            done(messages, entry.id);
        }
    }

    /// Takes a whole batch off the rings: its messages are now those that `text` carries, of which nothing is written yet.
    /// The reference to `text` is the row's.
    pub fn carry(&mut self, slot: u32, batch: &Batch, text: MessageId, messages: &Messages) {
        for entry in &batch.entries {
            self.take(slot, entry, messages.frame(entry.id).len() as u32);
        }
        self.carried.insert(slot, batch.ids().collect());
        let row = &mut self.rows[slot as usize];
        assert_eq!(row.partial, MessageId::NONE, "a row has one text in progress");
        (row.partial, row.partial_offset) = (text.0, 0);
        self.partials += 1;
    }

    /// Takes one entry off its ring.
    fn take(&mut self, slot: u32, entry: &Entry, bytes: u32) {
        let row = &mut self.rows[slot as usize];
        let popped = self.pool.pop(&mut row.rings[usize::from(entry.ring)]);
        assert_eq!(popped, Some(entry.id.0), "the batch is not this row's");
        row.queued_bytes -= u64::from(bytes);
        row.credit = entry.credit_after;
        self.entries -= 1;
        self.bytes -= u64::from(bytes);
        if row.flags & BLOCKED != 0 {
            self.blocked_entries -= 1;
            self.blocked_bytes -= u64::from(bytes);
        }
    }
}

fn weighted(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX).saturating_mul(NORMAL_WEIGHT)
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, store};
    use super::*;
    use crate::config::limits::BATCH_BYTES;

    #[test]
    fn high_goes_first_and_a_message_in_progress_is_finished_before_it() {
        let mut bench = Bench::new();
        bench.push(Priority::Low, b"lllll");
        bench.push(Priority::Normal, b"nnnnn");
        assert_eq!(bench.write(3), b"nnn");
        bench.push(Priority::High, b"hhhhh");
        assert_eq!(bench.write(100), b"nnhhhhhlllll");
        assert!(bench.outputs.is_idle(0) && bench.messages.is_empty());
    }

    #[test]
    fn every_split_gives_the_same_stream() {
        for room in 1..20 {
            let mut bench = Bench::new();
            for text in [&b"abc"[..], b"d", b"efghijk", b"lm"] {
                bench.push(Priority::Normal, text);
            }
            let mut all = Vec::new();
            while !bench.outputs.is_idle(0) {
                all.extend(bench.write(room));
            }
            assert_eq!(all, b"abcdefghijklm");
        }
    }

    #[test]
    fn normal_and_low_share_eight_to_one_by_bytes() {
        let mut bench = Bench::new();
        for _ in 0..2000 {
            bench.push(Priority::Normal, &[b'n'; 100]);
            bench.push(Priority::Low, &[b'l'; 100]);
        }
        let bytes = bench.write(usize::MAX);
        let low = bytes.iter().filter(|b| **b == b'l').count();
        assert!(bytes.len() <= BATCH_BYTES && bytes.len() > BATCH_BYTES - 200);
        let share = low as f64 / bytes.len() as f64;
        assert!((share - 1.0 / 9.0).abs() < 0.01, "{share}");
    }

    #[test]
    fn one_message_larger_than_a_batch_goes_alone() {
        let mut bench = Bench::new();
        bench.push(Priority::Normal, &[b'x'; 2 * BATCH_BYTES]);
        bench.push(Priority::Normal, b"y");
        assert_eq!(bench.write(usize::MAX).len(), 2 * BATCH_BYTES);
        assert_eq!(bench.write(usize::MAX), b"y");
    }

    #[test]
    fn the_messages_of_a_text_are_done_with_it() {
        let mut bench = Bench::new();
        bench.outputs.make_batched(0);
        for text in [&b"a"[..], b"b"] {
            bench.push(Priority::Normal, text);
        }
        bench.outputs.collect(0, &bench.messages, &mut bench.batch);
        let text = store(&mut bench.messages, Priority::High, b"text");
        bench.outputs.carry(0, &bench.batch, text, &bench.messages);
        bench.push(Priority::High, b"next");
        bench.outputs.invariants(&bench.messages);
        assert_eq!(bench.write(3), b"tex");
        assert_eq!(bench.messages.len(), 4);
        assert_eq!(bench.write(100), b"t", "what follows is not text yet");
        assert_eq!(bench.messages.len(), 1);
        bench.outputs.collect(0, &bench.messages, &mut bench.batch);
        let text = store(&mut bench.messages, Priority::High, b"more text");
        bench.outputs.carry(0, &bench.batch, text, &bench.messages);
        bench.outputs.clear(0, &mut bench.messages);
        assert!(bench.messages.is_empty());
    }
}
