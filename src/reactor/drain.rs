//! Drain: rings go to sockets, high before normal before low.

use std::io::{self, ErrorKind, IoSlice};

use super::arrays::{ArrayFrame, leading_messages};
use super::close::Next;
use super::net::{Clock, Net};
use super::turns::Turn;
use super::{Core, Reactor};
use crate::config::limits::{
    BATCH_BYTES, BATCH_SCRATCH_BYTES_KEPT, DRAIN_BYTES_PER_TICK, DRAIN_LOW_WRITES_MIN, DRAIN_NORMAL_BYTES_MIN,
    DRAIN_NORMAL_WRITES_MIN, DRAIN_WRITES_PER_TICK, GATHER_BYTES_MAX, KEEP_ALIVE_MS, PIPELINE_MAX,
    UNREAD_ANSWERS_BYTES_MAX, UNREAD_ANSWERS_MAX, UNREAD_ANSWERS_PERCENT, VAIN_VISITS_PER_LIST, WRITEV_SLICES_MAX,
};
use crate::message::Priority;
use crate::tables::batch::Batch;
use crate::tables::connections::{NEVER, key_of};
use crate::tables::in_flight::{GivenUp, WriteTimes};
use crate::tables::messages::Description;
use crate::tables::{MessageId, Messages, State};

/// The bytes of the last gathered batch and the messages they came from.
#[derive(Default)]
pub(super) struct Gathered {
    ids: Vec<MessageId>,
    bytes: Vec<u8>,
    /// The same for clients that take arrays.
    pub(super) array: ArrayFrame,
}

impl Gathered {
    /// Puts the batch's bytes together, unless the last row's batch was the same.
    fn fill(&mut self, batch: &Batch, messages: &Messages) {
        if batch.partial().is_none() && !self.ids.is_empty() && batch.ids().eq(self.ids.iter().copied()) {
            return;
        }
        self.ids.clear();
        self.bytes.clear();
        if let Some((id, offset)) = batch.partial() {
            self.bytes.extend_from_slice(&messages.frame(id)[offset..]);
        } else {
            self.ids.extend(batch.ids());
        }
        for id in batch.ids() {
            self.bytes.extend_from_slice(messages.frame(id));
        }
    }

    /// Ids are used again once their messages are freed, so nothing is kept over a tick, nor past a free.
    pub(super) fn forget(&mut self) {
        self.array.forget();
        self.ids.clear();
        if self.bytes.capacity() > BATCH_SCRATCH_BYTES_KEPT {
            self.bytes = Vec::new();
        }
    }
}

/// What is left of a tick's writes.
struct Budget {
    writes: usize,
    bytes: usize,
    /// Visits of rows that had nothing to write after all.
    vain_visits: usize,
}

impl Budget {
    const fn new(writes: usize, bytes: usize) -> Self {
        Self { writes, bytes, vain_visits: VAIN_VISITS_PER_LIST }
    }

    /// For the next list there is at least so much.
    fn raise(&mut self, writes: usize, bytes: usize) {
        *self = Self::new(self.writes.max(writes), self.bytes.max(bytes));
    }

    const fn is_spent(&self) -> bool {
        self.writes == 0 || self.bytes == 0 || self.vain_visits == 0
    }

    /// A row was visited, which took so many writes.
    const fn charge(&mut self, writes: usize, bytes: usize) {
        self.writes = self.writes.saturating_sub(writes);
        self.bytes = self.bytes.saturating_sub(bytes);
        self.vain_visits -= (writes == 0) as usize;
    }
}

impl<N: Net, C: Clock> Reactor<N, C> {
    pub(super) fn drain(&mut self) {
        let mut left = Budget::new(DRAIN_WRITES_PER_TICK, DRAIN_BYTES_PER_TICK);
        self.drain_list(Priority::High, &mut left);
        // Rows that do not hold high get what is left, and never less than their share; so do those that hold only low.
        left.raise(DRAIN_NORMAL_WRITES_MIN, DRAIN_NORMAL_BYTES_MIN);
        self.drain_list(Priority::Normal, &mut left);
        left.raise(DRAIN_LOW_WRITES_MIN, BATCH_BYTES);
        self.drain_list(Priority::Low, &mut left);
        self.core.enforce_limits();
        self.gathered.forget();
    }

    /// Serves the rows that were on a list when the stage began; one that has more left goes to the list's end.
    fn drain_list(&mut self, priority: Priority, budget: &mut Budget) {
        for _ in 0..self.core.delivery.tables.outputs.dirty_len(priority) {
            if budget.is_spent() {
                return;
            }
            if let Some(slot) = self.core.delivery.tables.outputs.next_dirty(priority).flatten() {
                let writes = self.core.metrics.writes;
                let written = self.drain_row(slot);
                budget.charge((self.core.metrics.writes - writes) as usize, written);
            }
        }
    }

    /// Writes one batch of a row. Returns how many bytes its socket took.
    fn drain_row(&mut self, slot: u32) -> usize {
        let mut written = self.write_batch(slot);
        if self.core.has_position_to_tell(slot) {
            self.core.tell_positions(slot);
            written += self.write_batch(slot);
        }
        let core = &mut self.core;
        if core.delivery.tables.connections.inputs[slot as usize].doomed {
            self.gathered.forget(); // what it had queued was freed
            return written;
        }
        if core.delivery.tables.outputs.is_idle(slot) {
            self.settle(slot);
        } else {
            core.delivery.tables.outputs.mark(slot);
        }
        self.core.resume_input(slot);
        written
    }

    fn write_batch(&mut self, slot: u32) -> usize {
        let core = &mut self.core;
        if core.delivery.tables.outputs.is_behind(slot) {
            core.delivery.feed(slot, core.config.queue_messages as usize);
        }
        core.delivery.pay_gaps(slot);
        let tables = &mut core.delivery.tables;
        tables.outputs.collect(slot, &tables.messages, &mut self.batch);
        if self.batch.bytes() == 0 {
            return 0; // only a position is owed, or feeding waits for the next tick
        }
        if tables.outputs.is_stream(slot) && self.batch.partial().is_none() {
            return self.write_events(slot);
        }
        if tables.outputs.is_batched(slot) && self.batch.partial().is_none() {
            let count = leading_messages(&self.batch, &tables.messages);
            self.batch.truncate(count, &tables.messages);
            if count > 1 {
                return self.write_array(slot);
            }
        }
        let (offered, result) = if self.batch.largest() <= GATHER_BYTES_MAX {
            self.gathered.fill(&self.batch, &tables.messages);
            (self.gathered.bytes.len(), self.net.write(slot, &self.gathered.bytes))
        } else {
            self.gathered.forget();
            write_slices(&mut self.net, slot, &self.batch, &tables.messages)
        };
        let Some(written) = self.note_write(slot, result) else {
            return 0;
        };
        self.consume(slot, written);
        self.note_progress(slot, written, offered);
        written
    }

    /// How many bytes a socket took; `None` if it is gone.
    pub(super) fn note_write(&mut self, slot: u32, result: io::Result<usize>) -> Option<usize> {
        self.core.metrics.writes += 1;
        match result {
            Ok(written) => {
                self.core.metrics.bytes_out += written as u64;
                Some(written)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Some(0),
            Err(error) => {
                log::debug!("write: {error}");
                self.core.doom(slot);
                None
            }
        }
    }

    /// Takes what was written of the batch off the rings.
    pub(super) fn consume(&mut self, slot: u32, written: usize) {
        let core = &mut self.core;
        let (now_ms, life_ms) = (core.now_ms(), core.config.message_expiry_ms);
        let (tables, metrics, clock) = (&mut core.delivery.tables, &mut core.metrics, &mut self.clock);
        let (mut done_ns, mut any_freed, mut given_up) = (0, false, GivenUp::default());
        let (connections, in_flight) = (&tables.connections, &mut tables.in_flight);
        tables.outputs.consume(slot, &self.batch, written, &mut tables.messages, |messages, id| {
            let description = *messages.description(id);
            let Description { published_ns, label, .. } = description;
            if label != 0 {
                let receiver = key_of(connections.profile(slot).connection_id);
                let confirming = connections.confirming(slot).filter(|_| connections.state(slot).is_open());
                let times = WriteTimes { now_ms, expires_ms: description.end_ms(life_ms) };
                any_freed |= in_flight.note_written(id, receiver, confirming, times, &mut given_up, messages);
            }
            let released = messages.release_written(id);
            any_freed |= released.is_freed;
            if released.is_delivered && published_ns != 0 {
                done_ns = if done_ns == 0 { clock.now_ns() } else { done_ns };
                metrics.latency_ns.saturating_record(done_ns.saturating_sub(published_ns).max(1));
            }
        });
        if given_up.copies > 0 {
            core.delivery.withdraw(&given_up, true);
            any_freed = true;
        }
        if any_freed {
            self.gathered.forget(); // a freed id may come back as another message
        }
    }

    /// Notes whether the socket takes more.
    pub(super) fn note_progress(&mut self, slot: u32, written: usize, offered: usize) {
        let core = &mut self.core;
        let now_ms = core.now_ms();
        let tables = &mut core.delivery.tables;
        let times = &mut tables.connections.times[slot as usize];
        if written > 0 {
            times.blocked_since_ms = NEVER;
        }
        if written < offered {
            tables.outputs.block(slot);
            if times.blocked_since_ms == NEVER {
                times.blocked_since_ms = now_ms;
                core.arm(slot);
            }
        }
    }

    /// A row that has written everything: its input may go on, or it may be closing.
    fn settle(&mut self, slot: u32) {
        let core = &mut self.core;
        let connections = &mut core.delivery.tables.connections;
        if connections.state(slot) == State::Closing {
            if core.advance_closing(slot) == Next::ShutWrite {
                self.net.shutdown_write(slot);
            }
            return;
        }
        connections.profile_mut(slot).pending_answers = 0;
        let times = &mut connections.times[slot as usize];
        if connections.states[slot as usize] == State::Http && times.deadline_ms == NEVER {
            times.deadline_ms = core.delivery.now.ms() + KEEP_ALIVE_MS;
            core.arm(slot);
        }
    }
}

/// Writes as many messages of a batch as one `writev` takes; what it offered, and what became of it.
fn write_slices<N: Net>(net: &mut N, slot: u32, batch: &Batch, messages: &Messages) -> (usize, io::Result<usize>) {
    let mut slices = [IoSlice::new(&[]); WRITEV_SLICES_MAX];
    let first = batch.partial().map(|(id, offset)| &messages.frame(id)[offset..]);
    let frames = first.into_iter().chain(batch.ids().map(|id| messages.frame(id)));
    let (mut count, mut offered) = (0, 0);
    for (place, frame) in slices.iter_mut().zip(frames) {
        *place = IoSlice::new(frame);
        count += 1;
        offered += frame.len();
    }
    (offered, net.write_vectored(slot, &slices[..count]))
}

impl Core {
    /// Whether the row is owed positions that may be told now; if later, its timer sees to it.
    fn has_position_to_tell(&mut self, slot: u32) -> bool {
        let Some(due_ms) = self.delivery.tables.outputs.position_due_ms(slot) else {
            return false;
        };
        if due_ms > self.now_ms() {
            self.arm(slot);
        }
        due_ms <= self.now_ms()
    }

    /// Lets a row's input go on that waited for answers to be written.
    pub(super) fn resume_input(&mut self, slot: u32) {
        let held = self.delivery.tables.connections.inputs[slot as usize].held;
        if held && !self.has_unread_answers(slot) {
            self.delivery.tables.connections.inputs[slot as usize].held = false;
            self.list_readable(slot, Turn::Carried);
        }
    }

    /// Whether so much waits to be written to the row that reading from it pauses: what it asks for must not grow without
    /// bound, nor make it a slow consumer. Answers travel as `high`, so `normal` and `low` that others publish to a message
    /// connection do not count.
    pub(super) fn has_unread_answers(&self, slot: u32) -> bool {
        let answers_max = UNREAD_ANSWERS_MAX.min(self.config.queue_messages as usize * UNREAD_ANSWERS_PERCENT / 100);
        let (tables, outputs) = (&self.delivery.tables, &self.delivery.tables.outputs);
        match tables.connections.state(slot) {
            State::Joining | State::Open => outputs.ring_len(slot, Priority::High) > answers_max,
            State::Http if tables.connections.profile(slot).pending_answers >= PIPELINE_MAX => true,
            _ => outputs.queued_bytes(slot) > UNREAD_ANSWERS_BYTES_MAX,
        }
    }
}
