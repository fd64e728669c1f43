//! Rings: bare entries pushed and popped, and one row's queue through `Outputs` as the loop uses it.

use std::hint::black_box;

use hashi::Priority;
use hashi::tables::batch::Batch;
use hashi::tables::messages::Description;
use hashi::tables::rings::{Ring, RingPool};
use hashi::tables::{Messages, Outputs};

use super::{Case, Operation};

pub const CASES: [Case; 3] = [
    Case { name: "ring/push-and-pop", operations: ENTRIES, prepare: push_and_pop },
    Case { name: "ring/row-of-1", operations: 1, prepare: || push_and_drain(1) },
    Case { name: "ring/row-of-1000", operations: ENTRIES, prepare: || push_and_drain(ENTRIES) },
];

const ENTRIES: u32 = 1000;
/// 1,000 of them fit into one batch.
const FRAME: [u8; 60] = [b'x'; 60];
const PLAIN: Description = Description::plain(Priority::Normal, 0);

fn push_and_pop() -> Operation {
    let (mut pool, mut ring) = (RingPool::default(), Ring::EMPTY);
    Box::new(move || {
        for value in 0..ENTRIES {
            pool.push(&mut ring, black_box(value));
        }
        black_box(std::iter::from_fn(|| pool.pop(&mut ring)).count());
    })
}

/// Pushed, collected into one batch, consumed.
fn push_and_drain(entries: u32) -> Operation {
    let (mut outputs, mut messages, mut batch) = (Outputs::default(), Messages::new(1 << 30), Batch::default());
    outputs.open(0);
    let id = messages.store(&FRAME, PLAIN, 0).expect("room for one message");
    Box::new(move || {
        messages.retain(id, entries);
        for _ in 0..entries {
            outputs.push(0, Priority::Normal, id, FRAME.len() as u32);
        }
        outputs.next_dirty(Priority::Normal);
        outputs.collect(0, &messages, &mut batch);
        let release = |messages: &mut Messages, id| {
            messages.release(id);
        };
        outputs.consume(0, &batch, batch.bytes(), &mut messages, release);
        assert!(outputs.is_idle(0), "one batch holds all");
    })
}
