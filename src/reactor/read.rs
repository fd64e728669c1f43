//! Read: bytes of readable rows become requests and messages.
//!
//! All rows read into one buffer. What a row leaves over, because it is not complete or because a budget is used up, is
//! kept for it and stands at the buffer's start when its turn comes again.

use std::io::ErrorKind;

use super::ending::Ending;
use super::net::{Clock, Net};
use super::turns::Turn;
use super::{Core, Reactor};
use crate::config::limits::{
    FRESH_DIVISOR, HEAD_BYTES_MAX, READ_BUFFER_BYTES, READ_BYTES_PER_TICK, READS_PER_TICK, WORK_PER_ROW, WORK_PER_TICK,
};
use crate::message::{Close, Decoder};
use crate::tables::State;

/// The most that can be left over before more is read: what was read at once, behind what was incomplete before it.
const LEFT_OVER_BYTES_MAX: usize = READ_BUFFER_BYTES + 2 * HEAD_BYTES_MAX;

/// The shared buffer.
pub(super) struct ReadBuffer(Vec<u8>);

impl Default for ReadBuffer {
    fn default() -> Self {
        Self(vec![0; LEFT_OVER_BYTES_MAX + READ_BUFFER_BYTES])
    }
}

/// How far the bytes of a row were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// As far as they are complete.
    All,
    /// The row's share of the tick is used up.
    Share,
    /// Answers must be written first.
    Held,
}

/// What a step of a codec did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is done with so many bytes.
    Took(usize),
    /// It needs more bytes.
    NeedsMore,
    /// It must wait for answers to be written.
    Held,
}

/// Reads and bytes.
#[derive(Clone, Copy)]
struct Budget {
    reads: usize,
    bytes: usize,
}

impl Budget {
    fn spend(&mut self, spent: Budget) {
        self.reads = self.reads.saturating_sub(spent.reads);
        self.bytes = self.bytes.saturating_sub(spent.bytes);
    }
}

impl<N: Net, C: Clock> Reactor<N, C> {
    pub(super) fn read(&mut self) {
        let mut left = Budget { reads: READS_PER_TICK, bytes: READ_BYTES_PER_TICK };
        // Rows with something new go first, but leave a part to those that carry something over.
        let carried = self.core.turns.len(Turn::Carried);
        let divisor = if carried == 0 { 1 } else { FRESH_DIVISOR };
        let fresh = Budget { reads: left.reads / divisor, bytes: left.bytes / divisor };
        left.spend(self.serve(Turn::Fresh, self.core.turns.len(Turn::Fresh), fresh, WORK_PER_TICK / divisor));
        self.serve(Turn::Carried, carried, left, WORK_PER_TICK);
    }

    /// Reads at most `rows` rows within the budget and the tick's `work`. Returns what it spent.
    fn serve(&mut self, turn: Turn, rows: usize, budget: Budget, work: usize) -> Budget {
        let mut spent = Budget { reads: 0, bytes: 0 };
        while spent.reads < rows.min(budget.reads) && spent.bytes < budget.bytes && self.core.may_route_within(work) {
            let Some(slot) = self.core.turns.pop(turn) else {
                break;
            };
            let input = &mut self.core.delivery.tables.connections.inputs[slot as usize];
            input.listed = false;
            let is_live = !input.doomed && self.core.delivery.tables.connections.state(slot) != State::Free;
            spent.reads += 1;
            if is_live {
                spent.bytes += self.read_row(slot);
            }
        }
        spent
    }

    /// Reads once and takes what is complete. Returns how many bytes were looked at.
    fn read_row(&mut self, slot: u32) -> usize {
        let core = &mut self.core;
        let kept = core.take_left_over(slot, &mut self.buffer.0);
        let input = core.delivery.tables.connections.inputs[slot as usize];
        let mut len = kept;
        if input.readable && !input.ended && kept <= LEFT_OVER_BYTES_MAX - READ_BUFFER_BYTES {
            core.metrics.reads += 1;
            match self.net.read(slot, &mut self.buffer.0[kept..kept + READ_BUFFER_BYTES]) {
                Ok(0) => core.note_end(slot),
                Ok(count) => {
                    len += count;
                    core.note_read(slot, count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    core.delivery.tables.connections.inputs[slot as usize].readable = false;
                }
                Err(error) => {
                    log::debug!("read: {error}");
                    core.doom(slot);
                    return 0;
                }
            }
        }
        let (used, taken) = core.take_bytes(slot, &mut self.buffer.0[..len], &mut self.decoder);
        core.keep_left_over(slot, &self.buffer.0[used..len], taken);
        if taken == Taken::All && core.delivery.tables.connections.inputs[slot as usize].ended {
            core.see_end(slot);
        }
        len
    }
}

impl Core {
    /// Puts what the row left over at the buffer's start.
    fn take_left_over(&mut self, slot: u32, buffer: &mut [u8]) -> usize {
        let Some(partial) = &mut self.delivery.tables.connections.partials[slot as usize] else {
            return 0;
        };
        let len = partial.bytes.len();
        buffer[..len].copy_from_slice(&partial.bytes);
        partial.bytes.clear();
        len
    }

    fn note_read(&mut self, slot: u32, count: usize) {
        self.metrics.bytes_in += count as u64;
        self.note_activity(slot);
        let input = &mut self.delivery.tables.connections.inputs[slot as usize];
        // A short read has emptied the socket; more bytes are a new event. The end is not, so a hung-up row reads on.
        if count < READ_BUFFER_BYTES && !input.hung_up {
            input.readable = false;
        }
    }

    /// The peer sends no more. What it sent before still counts, but for a request that waits: who leaves gives it up.
    fn note_end(&mut self, slot: u32) {
        if self.delivery.tables.waits.contains(slot) {
            return self.doom(slot);
        }
        let input = &mut self.delivery.tables.connections.inputs[slot as usize];
        (input.ended, input.readable) = (true, false);
    }

    /// All that the peer sent was taken, and no more comes. What is queued for it may still go out.
    fn see_end(&mut self, slot: u32) {
        let is_shut = self.delivery.tables.connections.profile(slot).closing.is_shut;
        if is_shut || self.delivery.tables.outputs.is_idle(slot) {
            self.doom(slot);
        } else if self.delivery.tables.connections.state(slot) == State::Closing {
            self.delivery.tables.connections.profile_mut(slot).closing.peer_done = true;
        } else {
            self.linger(slot, true);
        }
    }

    /// Takes complete frames and requests off the start of `bytes`; how many bytes are done with.
    fn take_bytes(&mut self, slot: u32, bytes: &mut [u8], decoder: &mut Decoder) -> (usize, Taken) {
        let work_max = self.delivery.work + WORK_PER_ROW;
        let mut used = 0;
        loop {
            let rest = &mut bytes[used..];
            let step = match self.delivery.tables.connections.state(slot) {
                State::Http => self.take_request(slot, rest, decoder),
                State::Joining | State::Open | State::Echo => self.take_frame(slot, rest, decoder),
                State::Events => Step::Took(rest.len()),
                // Without another request the end of its client shows.
                State::Poll if rest.is_empty() => Step::NeedsMore,
                State::Poll => Step::Held,
                State::Closing => self.take_while_closing(slot, rest),
                State::Free => Step::Took(rest.len()),
            };
            match step {
                Step::Took(count) => used += count,
                Step::NeedsMore => return (used, Taken::All),
                Step::Held => return (used, Taken::Held),
            }
            if self.delivery.tables.connections.inputs[slot as usize].doomed {
                return (bytes.len(), Taken::All);
            }
            if used == bytes.len() {
                return (used, Taken::All);
            }
            if self.delivery.work >= work_max {
                return (used, Taken::Share);
            }
        }
    }

    /// Keeps what is left, and decides when the row's turn comes again.
    fn keep_left_over(&mut self, slot: u32, rest: &[u8], taken: Taken) {
        let connections = &mut self.delivery.tables.connections;
        if connections.inputs[slot as usize].doomed {
            return;
        }
        if !rest.is_empty() {
            connections.partial_mut(slot).bytes.extend_from_slice(rest);
        }
        connections.settle_partial(slot);
        let input = &mut connections.inputs[slot as usize];
        match taken {
            Taken::Held => input.held = true,
            Taken::Share => self.list_readable(slot, Turn::Carried),
            // A row that has ended is told of again and again while it is written; it has nothing more to read.
            Taken::All if input.readable && !input.ended => self.list_readable(slot, Turn::Carried),
            Taken::All => {}
        }
        if self.delivery.tables.connections.partials[slot as usize].is_some() {
            self.arm(slot);
            self.bound_input(slot);
        }
    }

    /// Unfinished input and stored messages share one limit. At the limit whoever holds the larger part of a message goes.
    fn bound_input(&mut self, slot: u32) {
        let tables = &self.delivery.tables;
        let used = self.delivery.used_bytes() as u64;
        let holds = tables.connections.partials[slot as usize].as_ref().map_or(0, |partial| partial.capacity());
        if used <= self.config.memory_bytes || holds <= HEAD_BYTES_MAX {
            return;
        }
        match tables.connections.state(slot) {
            State::Joining | State::Open | State::Echo => {
                self.end(slot, Ending::Close(Close::OVERLOADED));
                self.end_input(slot);
            }
            State::Http | State::Poll => self.refuse_request(slot),
            State::Events | State::Closing | State::Free => self.doom(slot),
        }
    }
}
