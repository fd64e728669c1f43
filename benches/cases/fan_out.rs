//! Messages published to a session, then collected and consumed by every row. No sockets.

use hashi::delivery::{Author, Delivery, Publication};
use hashi::message::Guarantee;
use hashi::tables::batch::Batch;
use hashi::tables::{Messages, SessionId};
use hashi::{Config, Priority};

use super::{Case, Operation};

pub const CASES: [Case; 3] = [
    Case { name: "fan-out/1-to-1", operations: 1, prepare: || fan_out(1, 1) },
    Case { name: "fan-out/1-to-1000", operations: ROWS, prepare: || fan_out(1, ROWS) },
    Case { name: "fan-out/32-to-1000", operations: 32 * ROWS, prepare: || fan_out(32, ROWS) },
];

const ROWS: u32 = 1000;

const MESSAGE: Publication<'static> = Publication {
    id: "m1",
    kind: "custom",
    priority: Priority::Normal,
    from: Author::User("user-1"),
    key: Some("op-7"),
    reply_to: None,
    meta: None,
    expires_in_ms: None,
    guarantee: Guarantee::Once,
    payload: br#"{"operationId":"op-7","progress":0.5}"#,
};

fn fan_out(messages: u32, rows: u32) -> Operation {
    let (mut delivery, session) = session_of(rows);
    let mut batch = Batch::default();
    Box::new(move || {
        for _ in 0..messages {
            delivery.publish(session, None, &MESSAGE).expect("room for one message");
        }
        drain(&mut delivery, &mut batch);
        assert!(delivery.tables.outputs.all_idle(), "every row has consumed every message");
    })
}

fn session_of(rows: u32) -> (Delivery, SessionId) {
    let mut delivery = Delivery::new(&Config::default(), [7; 32]);
    let session = delivery.tables.sessions.open("session-123", 0);
    for slot in 0..rows {
        delivery.tables.outputs.open(slot);
        delivery.tables.sessions.join(slot, session);
    }
    (delivery, session)
}

/// What the stage `drain` does besides writing.
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
