//! The timing wheel: 10,000 timers armed and fired, and one armed again and again.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hashi::tables::Wheel;

const KEYS: u32 = 10_000;
/// Timers are spread over this time, as heartbeats are.
const SPREAD_MS: u64 = 30_000;

fn arm_and_fire(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wheel");
    group.throughput(Throughput::Elements(u64::from(KEYS)));
    let (mut wheel, mut fired, mut now_ms) = (Wheel::default(), Vec::new(), 0);
    group.bench_function("arm and fire 10,000", |bencher| {
        bencher.iter(|| {
            for key in 0..KEYS {
                wheel.arm(key, now_ms + 1 + u64::from(key) * 7919 % SPREAD_MS);
            }
            now_ms += SPREAD_MS + 8;
            fired.clear();
            wheel.expire(now_ms, usize::MAX, &mut fired);
            assert_eq!(fired.len(), KEYS as usize);
        });
    });
    group.finish();
}

fn arm_again(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wheel");
    let (mut wheel, mut due_ms) = (Wheel::default(), 0);
    group.bench_function("arm one again", |bencher| {
        bencher.iter(|| {
            due_ms += 8;
            wheel.arm(1, due_ms);
        });
    });
    group.finish();
}

fn short() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_millis(900))
}

criterion_group! { name = benches; config = short(); targets = arm_and_fire, arm_again }
criterion_main!(benches);
