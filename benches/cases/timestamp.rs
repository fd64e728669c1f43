//! Timestamps: a client's checked, the server's written and, within one millisecond, remembered.

use std::hint::black_box;

use hashi::message::timestamp::{TimestampText, is_rfc3339};

use super::{Case, Operation};

pub const CASES: [Case; 3] = [
    Case { name: "timestamp/check", operations: 1, prepare: check },
    Case { name: "timestamp/write", operations: 1, prepare: || write(1) },
    Case { name: "timestamp/remembered", operations: 1, prepare: || write(0) },
];

fn check() -> Operation {
    Box::new(|| assert!(is_rfc3339(black_box("2026-05-01T12:34:56.789+02:00"))))
}

fn write(step_ms: u64) -> Operation {
    let (mut text, mut unix_ms) = (TimestampText::default(), 1_777_638_896_789);
    Box::new(move || {
        unix_ms += step_ms;
        black_box(text.get(black_box(unix_ms)));
    })
}
