//! One message to 1,000 connections: published to their session, then collected and consumed by every row. No sockets.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hashi::delivery::{Author, Delivery, Publication};
use hashi::message::Guarantee;
use hashi::tables::batch::Batch;
use hashi::tables::{Messages, SessionId};
use hashi::{Config, Priority};

const ROWS: u32 = 1000;

const MESSAGE: Publication<'static> = Publication {
    id: "m1",
    kind: "operation_progress",
    priority: Priority::Normal,
    from: Author::User("user-1"),
    key: Some("op-7"),
    reply_to: None,
    meta: None,
    guarantee: Guarantee::Once,
    payload: br#"{"operationId":"op-7","progress":0.5}"#,
};

fn session_of_rows() -> (Delivery, SessionId) {
    let mut delivery = Delivery::new(&Config::default(), [7; 32]);
    let session = delivery.tables.sessions.open("session-123", 0);
    for slot in 0..ROWS {
        delivery.tables.outputs.open(slot);
        delivery.tables.sessions.join(slot, session);
    }
    (delivery, session)
}

/// What `drain` does besides writing.
fn drain(delivery: &mut Delivery, batch: &mut Batch) {
    let tables = &mut delivery.tables;
    while let Some(next) = tables.outputs.next_dirty(Priority::Normal) {
        let slot = next.expect("a row on the list has something to write");
        tables.outputs.collect(slot, &tables.messages, batch);
        let release = |messages: &mut Messages, id| {
            messages.release(id);
        };
        tables.outputs.consume(slot, batch, batch.bytes(), &mut tables.messages, release);
    }
}

fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fan-out");
    let (mut delivery, session) = session_of_rows();
    let mut batch = Batch::default();
    for messages in [1, 32] {
        group.throughput(Throughput::Elements(u64::from(ROWS) * messages));
        group.bench_function(format!("{messages} to 1,000 rows"), |bencher| {
            bencher.iter(|| {
                for _ in 0..messages {
                    delivery.publish(session, None, &MESSAGE).expect("room for one message");
                }
                drain(&mut delivery, &mut batch);
                assert!(delivery.tables.messages.is_empty(), "every row has consumed every message");
            });
        });
    }
    group.finish();
}

fn short() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_millis(900))
}

criterion_group! { name = benches; config = short(); targets = fan_out }
criterion_main!(benches);
