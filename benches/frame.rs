//! A client's frame: its header parsed, its payload unmasked in place. 256 B and 64 KiB.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hashi::wire::websocket::{parse_header, unmask};

/// A final text frame with a mask; the payload's content does not matter.
fn frame(payload_bytes: u64) -> Vec<u8> {
    let mut out = vec![0x81];
    match u16::try_from(payload_bytes) {
        Ok(short) => {
            out.push(0x80 | 126);
            out.extend_from_slice(&short.to_be_bytes());
        }
        Err(_) => {
            out.push(0x80 | 127);
            out.extend_from_slice(&payload_bytes.to_be_bytes());
        }
    }
    out.extend_from_slice(&[0x37, 0xfa, 0x21, 0x3d]);
    out.resize(out.len() + payload_bytes as usize, b'x');
    out
}

fn parse_and_unmask(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame");
    for payload_bytes in [256, 64 * 1024] {
        let mut bytes = frame(payload_bytes);
        group.throughput(Throughput::Bytes(payload_bytes));
        group.bench_function(format!("{payload_bytes} B"), |bencher| {
            bencher.iter(|| {
                let header = parse_header(black_box(&bytes)).expect("a valid frame").expect("a whole header");
                unmask(&mut bytes[header.header_bytes..], header.mask, 0);
                header.payload_bytes
            });
        });
    }
    group.finish();
}

fn short() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_millis(900))
}

criterion_group! { name = benches; config = short(); targets = parse_and_unmask }
criterion_main!(benches);
