//! How long each hot function takes, by criterion: `cargo bench --bench times -- decode`.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

mod cases;

fn time_all(criterion: &mut Criterion) {
    for case in cases::all() {
        let (group, what) = case.name.split_once('/').expect("a case is named group/what");
        let mut group = criterion.benchmark_group(group);
        group.throughput(Throughput::Elements(u64::from(case.operations)));
        group.bench_function(what, |bencher| bencher.iter((case.prepare)()));
        group.finish();
    }
}

fn short() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_millis(900))
}

criterion_group! { name = benches; config = short(); targets = time_all }
criterion_main!(benches);
