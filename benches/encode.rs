//! Writing messages: a small one and one of 4 KiB, with an id that needs no escape and one that does.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hashi::Priority;
use hashi::message::Outgoing;

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    let mut out = Vec::new();
    for bytes in [64, 4096] {
        let payload = format!("\"{}\"", "x".repeat(bytes - 2)).into_bytes();
        group.throughput(Throughput::Bytes(bytes as u64));
        for (name, id) in [("plain", "message-1"), ("escapes", "message\n\"1\"")] {
            let message = Outgoing {
                id,
                kind: "operation_progress",
                timestamp: b"2026-05-01T12:34:56.789Z",
                priority: Priority::Normal,
                session_id: Some("session-123"),
                seq: Some(123_456),
                from: Some("user-123"),
                key: Some("op-7"),
                ack: false,
                reply_to: None,
                meta: None,
                payload: &payload,
            };
            group.bench_function(format!("payload of {bytes} B, {name}"), |bencher| {
                bencher.iter(|| {
                    out.clear();
                    black_box(&message).encode(&mut out);
                    out.len()
                });
            });
        }
    }
    group.finish();
}

fn short() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_millis(900))
}

criterion_group! { name = benches; config = short(); targets = encode }
criterion_main!(benches);
