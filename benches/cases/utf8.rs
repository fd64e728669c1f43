//! UTF-8 checked as it arrives: 4 KiB in pieces of 1,000 bytes, which split code points.

use std::hint::black_box;

use hashi::wire::utf8::Utf8Stream;

use super::{Case, Operation};

pub const CASES: [Case; 2] = [
    Case { name: "utf8/4096-ascii", operations: 1, prepare: || check("abcdefgh", 512) },
    Case { name: "utf8/4096-mixed", operations: 1, prepare: || check("añ日𝄞xyz\n", 293) },
];

fn check(piece: &str, times: usize) -> Operation {
    let text = piece.repeat(times);
    Box::new(move || {
        let mut stream = Utf8Stream::default();
        for bytes in black_box(text.as_bytes()).chunks(1000) {
            stream.push(bytes).expect("valid UTF-8");
        }
        assert!(stream.is_complete());
    })
}
