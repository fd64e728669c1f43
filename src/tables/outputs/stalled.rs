//! Rows whose sockets take no more: pushes put them on a list of their own, where their limits are looked at. They are not
//! in the way of rows that can be written to.

use super::{BLOCKED, Outputs, STALLED};

impl Outputs {
    /// The socket took less than was offered.
    pub fn block(&mut self, slot: u32) {
        if !self.is_blocked(slot) {
            self.blocked_entries += self.len(slot);
            self.blocked_bytes += self.queued_bytes(slot);
            self.rows[slot as usize].flags |= BLOCKED;
            self.stall(slot);
        }
    }

    /// The socket takes bytes again.
    pub fn unblock(&mut self, slot: u32) {
        if self.is_blocked(slot) {
            self.blocked_entries -= self.len(slot);
            self.blocked_bytes -= self.queued_bytes(slot);
            self.see(slot);
            self.rows[slot as usize].flags &= !BLOCKED;
            self.mark(slot);
            self.mark_position(slot);
        }
    }

    /// A blocked row got an entry.
    #[cold]
    pub(super) fn note_push_to_blocked(&mut self, slot: u32, bytes: u32) {
        self.blocked_entries += 1;
        self.blocked_bytes += u64::from(bytes);
        self.rows[slot as usize].unseen += 1;
        self.unseen += 1;
        self.stall(slot);
    }

    /// Puts the row on the list of stalled rows, once.
    fn stall(&mut self, slot: u32) {
        let row = &mut self.rows[slot as usize];
        if row.flags & STALLED == 0 {
            row.flags |= STALLED;
            self.stalled.push_back(slot);
        }
    }

    /// Rows in the list of stalled ones, some of them perhaps stale.
    pub fn stalled_len(&self) -> usize {
        self.stalled.len()
    }

    /// Takes the next stalled row, whose limits are looked at now; `None` inside if its socket takes bytes again.
    pub fn next_stalled(&mut self) -> Option<Option<u32>> {
        let slot = self.stalled.pop_front()?;
        let row = &mut self.rows[slot as usize];
        let is_stalled = row.flags & (STALLED | BLOCKED) == STALLED | BLOCKED;
        row.flags &= !STALLED;
        self.see(slot);
        Some(is_stalled.then_some(slot))
    }

    /// Nothing that was pushed to the row waits to be looked at any more.
    fn see(&mut self, slot: u32) {
        let unseen = std::mem::take(&mut self.rows[slot as usize].unseen);
        self.unseen -= unseen as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use crate::message::Priority;

    #[test]
    fn a_blocked_row_is_not_in_the_way_of_others() {
        let mut bench = Bench::new();
        bench.push(Priority::Low, b"before");
        bench.outputs.block(0);
        for _ in 0..3 {
            bench.push(Priority::Normal, b"a");
        }
        bench.outputs.invariants(&bench.messages);
        assert_eq!((bench.outputs.dirty_len(Priority::Normal), bench.outputs.stalled_len()), (0, 1));
        assert_eq!(bench.outputs.next_dirty(Priority::Low), Some(None), "it was listed before");
        bench.outputs.unblock(0);
        assert_eq!(bench.outputs.next_dirty(Priority::Normal), Some(Some(0)));
        assert_eq!(bench.outputs.next_stalled(), Some(None), "its limits are looked at when it blocks again");
        bench.outputs.invariants(&bench.messages);
    }

    #[test]
    fn what_a_blocked_row_got_is_backlog_until_it_is_looked_at() {
        let mut bench = Bench::new();
        bench.push(Priority::Normal, b"a");
        bench.outputs.block(0);
        assert_eq!((bench.outputs.backlog(), bench.outputs.next_stalled()), (0, Some(Some(0))));
        bench.push(Priority::Normal, b"b");
        bench.push(Priority::Normal, b"c");
        assert_eq!((bench.outputs.entries(), bench.outputs.backlog()), (3, 2));
        assert_eq!((bench.outputs.next_stalled(), bench.outputs.backlog()), (Some(Some(0)), 0));
        bench.push(Priority::Normal, b"d");
        bench.outputs.unblock(0);
        assert_eq!(bench.outputs.backlog(), 4);
        bench.outputs.block(0);
        bench.push(Priority::Normal, b"e");
        bench.outputs.clear(0, &mut bench.messages);
        assert_eq!(bench.outputs.backlog(), 0);
        bench.outputs.invariants(&bench.messages);
    }
}
