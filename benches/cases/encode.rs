//! Writing messages: with a payload of 64 B and of 4 KiB, with an id that needs no escape and one that does.

use std::hint::black_box;

use hashi::Priority;
use hashi::message::Outgoing;

use super::{Case, Operation};

pub const CASES: [Case; 4] = [
    Case { name: "encode/64-plain", operations: 1, prepare: || encode(64, PLAIN) },
    Case { name: "encode/64-escapes", operations: 1, prepare: || encode(64, ESCAPES) },
    Case { name: "encode/4096-plain", operations: 1, prepare: || encode(4096, PLAIN) },
    Case { name: "encode/4096-escapes", operations: 1, prepare: || encode(4096, ESCAPES) },
];

const PLAIN: &str = "message-1";
const ESCAPES: &str = "message\n\"1\"";

fn encode(payload_bytes: usize, id: &'static str) -> Operation {
    let payload = format!("\"{}\"", "x".repeat(payload_bytes - 2)).into_bytes();
    let mut out = Vec::new();
    Box::new(move || {
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
        out.clear();
        black_box(&message).encode(&mut out);
        black_box(out.len());
    })
}
