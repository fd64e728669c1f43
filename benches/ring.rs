//! Rings: pushing and popping bare entries, and one row's queue through `Outputs` as the loop uses it.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hashi::Priority;
use hashi::tables::batch::Batch;
use hashi::tables::messages::Description;
use hashi::tables::rings::{Ring, RingPool};
use hashi::tables::{Messages, Outputs};

const ENTRIES: u32 = 1000;
const FRAME: [u8; 60] = [b'x'; 60];
const PLAIN: Description = Description::plain(Priority::Normal, 0);

fn push_and_pop(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ring");
    group.throughput(Throughput::Elements(u64::from(ENTRIES)));
    let (mut pool, mut ring) = (RingPool::default(), Ring::EMPTY);
    group.bench_function("push and pop 1,000", |bencher| {
        bencher.iter(|| {
            for value in 0..ENTRIES {
                pool.push(&mut ring, black_box(value));
            }
            std::iter::from_fn(|| pool.pop(&mut ring)).count()
        });
    });
    group.finish();
}

/// 1,000 messages of 60 B fit into one batch.
fn push_and_drain(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ring");
    group.throughput(Throughput::Elements(u64::from(ENTRIES)));
    let (mut outputs, mut messages, mut batch) = (Outputs::default(), Messages::new(1 << 30), Batch::default());
    outputs.open(0);
    let id = messages.store(&FRAME, PLAIN, 0).expect("room for one message");
    group.bench_function("push, collect and consume 1,000 of one row", |bencher| {
        bencher.iter(|| {
            messages.retain(id, ENTRIES);
            for _ in 0..ENTRIES {
                outputs.push(0, Priority::Normal, id, FRAME.len() as u32);
            }
            outputs.next_dirty(Priority::Normal);
            outputs.collect(0, &messages, &mut batch);
            let release = |messages: &mut Messages, id| {
                messages.release(id);
            };
            outputs.consume(0, &batch, batch.bytes(), &mut messages, release);
            assert!(outputs.is_idle(0), "one batch holds all");
        });
    });
    group.finish();
}

fn short() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_millis(900))
}

criterion_group! { name = benches; config = short(); targets = push_and_pop, push_and_drain }
criterion_main!(benches);
