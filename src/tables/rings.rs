//! Rings of `u32` made of blocks from one pool: an empty ring holds no block.
//!
//! A block is one cache line: 15 entries and the index of the next block. A ring is 12 bytes.

use crate::config::limits::{BLOCK_ENTRIES, BLOCKS_KEPT};

/// Stands for no block.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Block {
    entries: [u32; BLOCK_ENTRIES],
    next: u32,
}

const _: () = assert!(size_of::<Block>() == 64);

/// One queue. It is meaningless without the pool it was filled from.
#[derive(Clone, Copy, Debug)]
pub struct Ring {
    /// Block of the oldest entry; `NONE` when empty.
    first: u32,
    /// Block of the newest entry; `NONE` when empty.
    last: u32,
    /// Entries, times 16, plus the place of the oldest one in its block.
    packed: u32,
}

const _: () = assert!(size_of::<Ring>() == 12);

impl Default for Ring {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Ring {
    /// A ring that holds nothing.
    pub const EMPTY: Self = Self { first: NONE, last: NONE, packed: 0 };

    /// Entries in the ring.
    pub const fn len(&self) -> usize {
        (self.packed >> 4) as usize
    }

    /// Whether the ring holds nothing.
    pub const fn is_empty(&self) -> bool {
        self.first == NONE
    }

    const fn head(&self) -> usize {
        (self.packed & 15) as usize
    }

    /// The place after the newest entry in the last block; zero means the block is full.
    const fn tail(&self) -> usize {
        (self.head() + self.len()) % BLOCK_ENTRIES
    }
}

/// All blocks, used and free.
#[derive(Default)]
pub struct RingPool {
    blocks: Vec<Block>,
    free: Vec<u32>,
}

impl RingPool {
    /// Blocks in use.
    pub fn used_blocks(&self) -> usize {
        self.blocks.len() - self.free.len()
    }

    /// Appends `value`.
    pub fn push(&mut self, ring: &mut Ring, value: u32) {
        let tail = ring.tail();
        if tail == 0 || ring.is_empty() {
            let block = self.allocate();
            if ring.is_empty() {
                *ring = Ring { first: block, last: block, packed: 0 };
            } else {
                self.blocks[ring.last as usize].next = block;
                ring.last = block;
            }
        }
        self.blocks[ring.last as usize].entries[tail] = value;
        ring.packed += 16;
    }

    /// Takes the oldest entry.
    pub fn pop(&mut self, ring: &mut Ring) -> Option<u32> {
        if ring.is_empty() {
            return None;
        }
        let head = ring.head();
        let first = ring.first;
        let block = self.blocks[first as usize];
        ring.packed -= 16;
        if ring.packed < 16 {
            *ring = Ring::default();
            self.release(first);
        } else if head + 1 == BLOCK_ENTRIES {
            ring.first = block.next;
            ring.packed -= head as u32; // back to place 0
            self.release(first);
        } else {
            ring.packed += 1;
        }
        Some(block.entries[head])
    }

    /// The entries, oldest first.
    pub fn iter(&self, ring: &Ring) -> impl Iterator<Item = u32> + '_ {
        let (mut block, mut at, mut left) = (ring.first, ring.head(), ring.len());
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            if at == BLOCK_ENTRIES {
                block = self.blocks[block as usize].next;
                at = 0;
            }
            at += 1;
            Some(self.blocks[block as usize].entries[at - 1])
        })
    }

    fn allocate(&mut self) -> u32 {
        const EMPTY: Block = Block { entries: [0; BLOCK_ENTRIES], next: NONE };
        if let Some(index) = self.free.pop() {
            self.blocks[index as usize].next = NONE;
            return index;
        }
        let index = u32::try_from(self.blocks.len()).expect("ok because 2^32 blocks are 256 GiB");
        self.blocks.push(EMPTY);
        index
    }

    fn release(&mut self, block: u32) {
        self.free.push(block);
        if self.used_blocks() == 0 && self.blocks.len() > BLOCKS_KEPT {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn memory_comes_back_when_all_rings_are_empty() {
        let mut pool = RingPool::default();
        let mut ring = Ring::default();
        for value in 0..100_000 {
            pool.push(&mut ring, value);
        }
        assert_eq!(pool.used_blocks(), 100_000_usize.div_ceil(BLOCK_ENTRIES));
        for value in 0..100_000 {
            assert_eq!(pool.pop(&mut ring), Some(value));
        }
        assert_eq!(pool.pop(&mut ring), None);
        assert_eq!((pool.used_blocks(), pool.blocks.capacity()), (0, 0));
    }

    proptest! {
        #[test]
        fn behaves_like_queues_that_share_nothing(
            operations in proptest::collection::vec((0_usize..3, proptest::option::weighted(0.6, any::<u32>())), 0..400),
        ) {
            let mut pool = RingPool::default();
            let mut rings = [Ring::default(); 3];
            let mut model: [VecDeque<u32>; 3] = Default::default();
            for (which, operation) in operations {
                match operation {
                    Some(value) => {
                        pool.push(&mut rings[which], value);
                        model[which].push_back(value);
                    }
                    None => prop_assert_eq!(pool.pop(&mut rings[which]), model[which].pop_front()),
                }
                for (ring, queue) in rings.iter().zip(&model) {
                    prop_assert_eq!(ring.len(), queue.len());
                    prop_assert_eq!(ring.is_empty(), queue.is_empty());
                    prop_assert!(pool.iter(ring).eq(queue.iter().copied()));
                }
            }
            for ring in &mut rings {
                while pool.pop(ring).is_some() {}
            }
            prop_assert_eq!(pool.used_blocks(), 0);
        }
    }
}
