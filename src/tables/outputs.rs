//! What waits to be written: three rings for each row, the lists of rows that have something, and what is owed.
//!
//! A push is a few integers. Limits are not looked at here: [`crate::delivery::overflow`] does it, once per tick, for rows
//! whose socket takes no more.

mod behind;
#[cfg(test)]
mod bench;
mod debts;
mod stalled;
mod writing;

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::cursors::{Cursor, Cursors};
use super::owed::{Owed, Reason};
use super::positions::Positions;
use super::rings::{Ring, RingPool};
use super::{MessageId, Messages, SessionId};
use crate::config::memory::{CATCH_UP_BYTES, LOSS_BYTES};
use crate::message::Priority;

/// The bits of `Output::flags` that say in which dirty lists the row is.
const DIRTY: [u16; 3] = [1, 2, 4];
/// The socket took less than was offered and has not become writable since.
const BLOCKED: u16 = 8;
/// The row has entries in the side table of owed gaps.
const OWES: u16 = 16;
/// The row has cursors: history feeds it.
const BEHIND: u16 = 32;
/// The client wants to know its positions.
const TRACKED: u16 = 64;
/// The row is owed a position.
const OWES_POSITION: u16 = 128;
/// What is queued goes out as server-sent events.
const STREAM: u16 = 256;
/// The client takes arrays of messages.
const BATCHED: u16 = 512;
/// The row is in the list of stalled rows.
const STALLED: u16 = 1024;

/// One row, one cache line: what a push and a drain touch.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Output {
    /// By priority.
    rings: [Ring; 3],
    /// Bytes of the entries in the rings, without the partial one.
    queued_bytes: u64,
    /// The message of which a part is written, `MessageId::NONE` if there is none. It has left its ring.
    partial: u32,
    /// How much of it is written.
    partial_offset: u32,
    /// Bytes of normal messages sent that low ones have not yet had their share of.
    credit: i32,
    /// Entries pushed while the row was blocked that its limits have not been asked about.
    unseen: u32,
    flags: u16,
}

const _: () = assert!(size_of::<Output>() == 64);

// Lists that may have grown to twice what is in them.
const _: () = assert!(
    2 * (Priority::ALL.len() * size_of::<Cursor>()
        + size_of::<(SessionId, u64)>()
        + Reason::ALL.len() * size_of::<Owed>())
        + Cursors::BYTES_PER_SESSION
        <= CATCH_UP_BYTES as usize
);
const _: () = assert!(2 * size_of::<Owed>() <= LOSS_BYTES as usize);

const EMPTY: Output = Output {
    rings: [Ring::EMPTY; 3],
    queued_bytes: 0,
    partial: MessageId::NONE,
    partial_offset: 0,
    credit: 0,
    unseen: 0,
    flags: 0,
};

/// The table.
#[derive(Default)]
pub struct Outputs {
    rows: Vec<Output>,
    pool: RingPool,
    /// Rows with something in their ring of this priority, in the order they got it.
    dirty: [VecDeque<u32>; 3],
    /// Blocked rows that got something, or were blocked, since their limits were asked about.
    stalled: VecDeque<u32>,
    owed: FxHashMap<u32, Vec<Owed>>,
    cursors: Cursors,
    positions: Positions,
    /// By slot: the messages whose text is in progress, each with the ring's reference.
    carried: FxHashMap<u32, Vec<MessageId>>,
    /// Ring entries of all rows.
    entries: usize,
    /// Those of blocked rows among them.
    blocked_entries: usize,
    /// Entries that were pushed to blocked rows and not looked at yet; of those that went meanwhile, too.
    unseen: usize,
    /// Bytes of all ring entries, and of those of blocked rows.
    bytes: u64,
    blocked_bytes: u64,
    /// Rows with a message in progress.
    partials: usize,
}

impl Outputs {
    /// Makes room for a row. Its queues must be empty.
    pub fn open(&mut self, slot: u32) {
        let len = slot as usize + 1;
        if self.rows.len() < len {
            self.rows.resize(len, EMPTY);
        }
        assert!(self.is_idle(slot), "a freed row still has something to write");
        self.rows[slot as usize] = EMPTY;
    }

    /// Ring entries of all rows.
    pub const fn entries(&self) -> usize {
        self.entries
    }

    /// Whether nothing waits to be written to anybody.
    pub fn all_idle(&self) -> bool {
        self.entries == 0 && self.partials == 0 && self.cursors.is_empty()
    }

    /// Ring entries that wait for this server, not for their sockets: to be written, or to be looked at.
    pub const fn backlog(&self) -> usize {
        self.entries - self.blocked_entries + self.unseen
    }

    /// Bytes of these entries.
    pub const fn backlog_bytes(&self) -> u64 {
        self.bytes - self.blocked_bytes
    }

    /// Blocks of rings in use.
    pub fn used_blocks(&self) -> usize {
        self.pool.used_blocks()
    }

    /// Entries in the row's rings.
    pub fn len(&self, slot: u32) -> usize {
        self.rows[slot as usize].rings.iter().map(Ring::len).sum()
    }

    /// Entries in one ring of the row.
    pub fn ring_len(&self, slot: u32, priority: Priority) -> usize {
        self.rows[slot as usize].rings[priority.index()].len()
    }

    /// Bytes of the entries in the row's rings.
    pub fn queued_bytes(&self, slot: u32) -> u64 {
        self.rows[slot as usize].queued_bytes
    }

    /// Whether nothing waits to be written, not even the rest of a message.
    pub fn is_idle(&self, slot: u32) -> bool {
        let row = &self.rows[slot as usize];
        row.partial == MessageId::NONE && row.flags & (OWES | BEHIND) == 0 && row.rings.iter().all(Ring::is_empty)
    }

    /// How far rows that are behind were fed.
    pub const fn cursors(&self) -> &Cursors {
        &self.cursors
    }

    /// Whether history feeds the row.
    pub fn is_behind(&self, slot: u32) -> bool {
        self.rows[slot as usize].flags & BEHIND != 0
    }

    /// The client takes arrays of messages from now on.
    pub fn make_batched(&mut self, slot: u32) {
        self.rows[slot as usize].flags |= BATCHED;
    }

    /// Whether the client takes arrays of messages.
    pub fn is_batched(&self, slot: u32) -> bool {
        self.rows[slot as usize].flags & BATCHED != 0
    }

    /// What is queued for the row goes out as server-sent events from now on.
    pub fn make_stream(&mut self, slot: u32) {
        self.rows[slot as usize].flags |= STREAM;
    }

    /// Whether what is queued for the row goes out as server-sent events.
    pub fn is_stream(&self, slot: u32) -> bool {
        self.rows[slot as usize].flags & STREAM != 0
    }

    /// Whether the row's socket took less than was offered.
    pub fn is_blocked(&self, slot: u32) -> bool {
        self.rows[slot as usize].flags & BLOCKED != 0
    }

    /// Queues a message of `bytes` bytes. The reference to it is now the ring's.
    pub fn push(&mut self, slot: u32, priority: Priority, id: MessageId, bytes: u32) {
        let row = &mut self.rows[slot as usize];
        self.pool.push(&mut row.rings[priority.index()], id.0);
        row.queued_bytes += u64::from(bytes);
        self.entries += 1;
        self.bytes += u64::from(bytes);
        if row.flags & BLOCKED == 0 {
            self.list(slot, priority);
        } else {
            self.note_push_to_blocked(slot, bytes);
        }
    }

    /// Puts the row on the dirty list of a priority, once. A blocked row has nothing to do there.
    fn list(&mut self, slot: u32, priority: Priority) {
        let row = &mut self.rows[slot as usize];
        let bit = DIRTY[priority.index()];
        if row.flags & (bit | BLOCKED) == 0 {
            row.flags |= bit;
            self.dirty[priority.index()].push_back(slot);
        }
    }

    /// Queues a message of a session, unless a cursor will feed it to the row. Returns whether it did, and so took a
    /// reference. Most rows have neither flag: for them this is a push.
    #[inline]
    pub fn push_of_session(
        &mut self,
        slot: u32,
        session: SessionId,
        priority: Priority,
        id: MessageId,
        bytes: u32,
    ) -> bool {
        if self.rows[slot as usize].flags & (BEHIND | TRACKED) != 0 && !self.admits(slot, session, priority) {
            return false;
        }
        self.push(slot, priority, id, bytes);
        true
    }

    /// Whether the row takes a message of a session by its rings. Notes what the message overtakes.
    fn admits(&mut self, slot: u32, session: SessionId, priority: Priority) -> bool {
        if self.cursors.feeds(slot, session, priority) {
            return false;
        }
        if priority == Priority::High && self.holds_below_high(slot) {
            self.owe_position(slot, session);
        }
        true
    }

    fn holds_below_high(&self, slot: u32) -> bool {
        let [_, normal, low] = &self.rows[slot as usize].rings;
        !normal.is_empty() || !low.is_empty()
    }

    /// Rows in the dirty list of a priority, some of them perhaps stale.
    pub fn dirty_len(&self, priority: Priority) -> usize {
        self.dirty[priority.index()].len()
    }

    /// Whether any row waits to be visited.
    pub fn is_dirty(&self) -> bool {
        !self.stalled.is_empty() || self.dirty.iter().any(|list| !list.is_empty())
    }

    /// Takes the next row off the dirty list of a priority; `None` inside if it was served meanwhile, or is blocked.
    #[inline]
    pub fn next_dirty(&mut self, priority: Priority) -> Option<Option<u32>> {
        let slot = self.dirty[priority.index()].pop_front()?;
        let row = &mut self.rows[slot as usize];
        let bit = DIRTY[priority.index()];
        let flags = row.flags;
        row.flags &= !bit;
        let may_write = flags & (bit | BLOCKED) == bit;
        Some((may_write && (flags & OWES_POSITION != 0 || !self.is_idle(slot))).then_some(slot))
    }

    /// Puts a row that still has something back on the list of the highest priority it holds.
    pub fn mark(&mut self, slot: u32) {
        if self.is_idle(slot) {
            return;
        }
        let rings = &self.rows[slot as usize].rings;
        let queued = Priority::ALL.into_iter().find(|priority| !rings[priority.index()].is_empty());
        let fed = self.cursors.first_priority(slot);
        self.list(slot, queued.into_iter().chain(fed).min().unwrap_or(Priority::High));
    }

    /// The messages in one ring, oldest first.
    pub fn ring(&self, slot: u32, priority: Priority) -> impl Iterator<Item = MessageId> + '_ {
        self.pool.iter(&self.rows[slot as usize].rings[priority.index()]).map(MessageId)
    }

    /// Removes from one ring what `keep` refuses; the others keep their order.
    pub fn retain(
        &mut self,
        slot: u32,
        priority: Priority,
        messages: &mut Messages,
        mut keep: impl FnMut(&Messages, MessageId) -> bool,
    ) {
        let blocked = self.is_blocked(slot);
        let row = &mut self.rows[slot as usize];
        let ring = &mut row.rings[priority.index()];
        for _ in 0..ring.len() {
            let id = MessageId(self.pool.pop(ring).expect("ok because the ring has this many entries"));
            if keep(messages, id) {
                self.pool.push(ring, id.0);
                continue;
            }
            let bytes = messages.frame(id).len() as u64;
            row.queued_bytes -= bytes;
            self.bytes -= bytes;
            self.entries -= 1;
            if blocked {
                self.blocked_entries -= 1;
                self.blocked_bytes -= bytes;
            }
            messages.release(id);
        }
    }

    /// All that a row has yet to write: its rings, and what is in progress.
    pub fn unwritten(&self, slot: u32) -> impl Iterator<Item = MessageId> + '_ {
        let partial = self.rows[slot as usize].partial;
        let partial = (partial != MessageId::NONE).then_some(MessageId(partial));
        let carried = self.carried.get(&slot).into_iter().flatten().copied();
        let queued = Priority::ALL.into_iter().flat_map(move |priority| self.ring(slot, priority));
        queued.chain(partial).chain(carried)
    }

    /// Removes one message from one ring. Returns whether it was there.
    pub fn remove(&mut self, slot: u32, priority: Priority, id: MessageId, messages: &mut Messages) -> bool {
        let is_queued = self.ring(slot, priority).any(|queued| queued == id);
        if is_queued {
            self.retain(slot, priority, messages, |_, queued| queued != id);
        }
        is_queued
    }

    /// Forgets what is queued of these priorities, what is owed and what history would feed, but not the rest of a message
    /// in progress: what follows must start on a frame boundary.
    pub fn forget(&mut self, slot: u32, priorities: &[Priority], messages: &mut Messages) {
        for &priority in priorities {
            self.retain(slot, priority, messages, |_, _| false);
        }
        self.owed.remove(&slot);
        self.rows[slot as usize].flags &= !OWES;
        self.set_cursors(slot, Vec::new());
    }

    /// Forgets everything. The row can be freed then.
    pub fn clear(&mut self, slot: u32, messages: &mut Messages) {
        self.forget(slot, &Priority::ALL, messages);
        let row = &mut self.rows[slot as usize];
        if row.partial != MessageId::NONE {
            messages.release(MessageId(row.partial));
            self.partials -= 1;
        }
        for id in self.carried.remove(&slot).into_iter().flatten() {
            messages.release(id);
        }
        self.positions.forget(slot);
        self.unseen -= row.unseen as usize;
        *row = EMPTY; // lists may still name the row; `next_dirty` and `next_stalled` pass over it
    }

    /// Adds the references that the rings hold.
    pub fn count_references(&self, references: &mut FxHashMap<MessageId, u32>) {
        for id in (0..self.rows.len()).flat_map(|slot| self.unwritten(slot as u32)) {
            *references.entry(id).or_default() += 1;
        }
    }

    /// Checks sums, lists, flags and side tables.
    pub fn invariants(&self, messages: &Messages) {
        let (mut entries, mut blocked, mut unseen) = (0, 0, 0);
        let (mut all_bytes, mut blocked_bytes) = (0, 0);
        for (slot, row) in self.rows.iter().enumerate() {
            let slot = slot as u32;
            let mut bytes = 0;
            for priority in Priority::ALL {
                for id in self.ring(slot, priority) {
                    bytes += messages.frame(id).len() as u64;
                    assert_eq!(messages.description(id).priority, priority);
                }
                let is_dirty = row.flags & DIRTY[priority.index()] != 0;
                assert!(!is_dirty || self.dirty[priority.index()].contains(&slot), "row {slot} is on no list");
            }
            assert_eq!(row.queued_bytes, bytes);
            assert_eq!(row.flags & BEHIND != 0, !self.cursors.of(slot).is_empty());
            assert_eq!(row.flags & OWES_POSITION != 0, self.positions.is_owed(slot));
            assert_eq!(row.flags & OWES != 0, self.owed.contains_key(&slot));
            let may_carry = row.flags & (STREAM | BATCHED) != 0 && row.partial != MessageId::NONE;
            assert!(may_carry || !self.carried.contains_key(&slot));
            assert!(row.flags & STALLED == 0 || self.stalled.contains(&slot), "row {slot} is not in the list");
            assert!(row.unseen == 0 || row.flags & (STALLED | BLOCKED) == STALLED | BLOCKED);
            entries += self.len(slot);
            unseen += row.unseen as usize;
            all_bytes += row.queued_bytes;
            if self.is_blocked(slot) {
                blocked += self.len(slot);
                blocked_bytes += row.queued_bytes;
            }
        }
        self.cursors.invariants();
        self.positions.invariants();
        self.owed.values().flatten().for_each(Owed::invariants);
        assert_eq!((self.entries, self.blocked_entries, self.unseen), (entries, blocked, unseen));
        assert_eq!((self.bytes, self.blocked_bytes), (all_bytes, blocked_bytes));
        assert_eq!(self.partials, self.rows.iter().filter(|row| row.partial != MessageId::NONE).count());
    }
}

#[cfg(test)]
mod tests {
    use super::bench::Bench;
    use super::*;

    #[test]
    fn dirty_lists_hold_a_row_once_and_forget_it_when_it_closes() {
        let mut bench = Bench::new();
        bench.push(Priority::Normal, b"a");
        bench.push(Priority::Normal, b"b");
        assert_eq!(bench.outputs.dirty_len(Priority::Normal), 1);
        bench.outputs.block(0);
        assert_eq!((bench.outputs.entries(), bench.outputs.backlog()), (2, 0));
        bench.outputs.clear(0, &mut bench.messages);
        bench.outputs.invariants(&bench.messages);
        assert_eq!(bench.outputs.next_dirty(Priority::Normal), Some(None));
        assert_eq!(bench.outputs.next_dirty(Priority::Normal), None);
        bench.outputs.open(0);
        assert!(bench.messages.is_empty());
    }
}
