//! Reading envelopes: 256 B and 4 KiB, with and without escapes in their texts.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hashi::message::Decoder;
use hashi::message::decode::Shape;

/// An envelope of exactly `bytes` bytes whose payload repeats `filler`.
fn envelope(bytes: usize, filler: &str) -> Vec<u8> {
    let start = r#"{"id":"m1","type":"operation_progress","priority":"normal","sessionId":"session-123","payload":{"operationId":"op-7","progress":0.5,"details":""#;
    let end = r#""}}"#;
    let mut text = start.to_owned();
    while text.len() + filler.len() + end.len() <= bytes {
        text.push_str(filler);
    }
    text.push_str(end);
    text.extend(std::iter::repeat_n(' ', bytes - text.len()));
    text.into_bytes()
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    let mut decoder = Decoder::default();
    for bytes in [256, 4096] {
        group.throughput(Throughput::Bytes(bytes as u64));
        for (name, filler) in [("plain", "abcd efgh"), ("escapes", r#"ab\"c\n\u00e9"#)] {
            let frame = envelope(bytes, filler);
            group.bench_function(format!("{bytes} B, {name}"), |bencher| {
                bencher.iter(|| {
                    let envelope = decoder.decode(black_box(&frame), Shape { id_required: true });
                    envelope.expect("a valid envelope").payload.map(<[u8]>::len)
                });
            });
        }
    }
    group.finish();
}

fn short() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_millis(900))
}

criterion_group! { name = benches; config = short(); targets = decode }
criterion_main!(benches);
