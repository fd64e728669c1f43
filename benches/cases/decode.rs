//! Reading envelopes: 256 B and 4 KiB, with and without escapes in their texts; and the payload of a client's first message.

use std::hint::black_box;

use hashi::message::Decoder;
use hashi::message::decode::Shape;
use hashi::message::system::parse_authentication;

use super::{Case, Operation};

pub const CASES: [Case; 5] = [
    Case { name: "decode/256-plain", operations: 1, prepare: || decode(256, PLAIN) },
    Case { name: "decode/256-escapes", operations: 1, prepare: || decode(256, ESCAPES) },
    Case { name: "decode/4096-plain", operations: 1, prepare: || decode(4096, PLAIN) },
    Case { name: "decode/4096-escapes", operations: 1, prepare: || decode(4096, ESCAPES) },
    Case { name: "decode/authentication", operations: 1, prepare: authentication },
];

const PLAIN: &str = "abcd efgh";
const ESCAPES: &str = r#"ab\"c\n\u00e9"#;

/// An envelope of exactly `bytes` bytes whose payload repeats `filler`.
fn envelope(bytes: usize, filler: &str) -> Vec<u8> {
    let start = r#"{"id":"m1","type":"structure_change","priority":"normal","sessionId":"session-123","payload":{"operationId":"op-7","progress":0.5,"details":""#;
    let end = r#""}}"#;
    let mut text = start.to_owned();
    while text.len() + filler.len() + end.len() <= bytes {
        text.push_str(filler);
    }
    text.push_str(end);
    text.extend(std::iter::repeat_n(' ', bytes - text.len()));
    text.into_bytes()
}

/// A plain envelope for cases that need any valid one.
pub fn plain_envelope(bytes: usize) -> Vec<u8> {
    envelope(bytes, PLAIN)
}

fn decode(bytes: usize, filler: &str) -> Operation {
    let (mut decoder, frame) = (Decoder::default(), envelope(bytes, filler));
    Box::new(move || {
        let envelope = decoder.decode(black_box(&frame), Shape { id_required: true }).expect("a valid envelope");
        black_box(envelope.payload.map(<[u8]>::len));
    })
}

fn authentication() -> Operation {
    let payload = br#"{"token":"user-1","sessionId":"session-123","features":["heartbeat"]}"#;
    Box::new(|| {
        let authentication = parse_authentication(black_box(payload)).expect("a valid payload");
        black_box(authentication.token.map(|token| token.len()));
    })
}
