//! Frames: a client's header parsed and its payload unmasked in place, a message put together from fragments, the
//! header of a server's frame.

use std::hint::black_box;

use hashi::wire::assembly::{Event, Limits, Payload, next};
use hashi::wire::websocket::{SERVER_HEADER_BYTES_MAX, parse_header, prepend_text_header, unmask};

use super::{Case, Operation};

pub const CASES: [Case; 4] = [
    Case { name: "frame/parse-and-unmask-256", operations: 1, prepare: || parse_and_unmask(256) },
    Case { name: "frame/parse-and-unmask-65536", operations: 1, prepare: || parse_and_unmask(65536) },
    Case { name: "frame/4-fragments-of-1024", operations: 1, prepare: fragments },
    Case { name: "frame/header-of-256", operations: 1, prepare: server_header },
];

const TEXT: u8 = 1;
const CONTINUATION: u8 = 0;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const LIMITS: Limits = Limits { message_bytes_max: 1 << 20, fragments_max: 64, takes_binary: false };

/// A masked frame as a client sends it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        0..=125 => out.push(MASKED | payload.len() as u8),
        126..=0xffff => {
            out.push(MASKED | 126);
            out.extend_from_slice(&(payload.len() as u16).to_be_bytes());
        }
        _ => {
            out.push(MASKED | 127);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    let start = out.len();
    out.extend_from_slice(payload);
    unmask(&mut out[start..], MASK, 0); // masking is the same operation
    out
}

/// A client's text message in one frame.
pub fn text_frame(text: &[u8]) -> Vec<u8> {
    frame(FINAL | TEXT, text)
}

fn parse_and_unmask(payload_bytes: usize) -> Operation {
    let mut bytes = text_frame(&vec![b'x'; payload_bytes]);
    Box::new(move || {
        let header = parse_header(black_box(&bytes)).expect("a valid frame").expect("a whole header");
        unmask(&mut bytes[header.header_bytes..], header.mask, 0);
        black_box(header.payload_bytes);
    })
}

/// Text beyond ASCII: no fragment ends at the end of a code point.
fn fragments() -> Operation {
    let text = "aé€".repeat(683);
    let pieces: Vec<&[u8]> = text.as_bytes().chunks(1024).collect();
    let last = pieces.len() - 1;
    let first_byte =
        |index: usize| if index == 0 { TEXT } else { CONTINUATION } | if index == last { FINAL } else { 0 };
    let sent: Vec<u8> = pieces.iter().enumerate().flat_map(|(index, piece)| frame(first_byte(index), piece)).collect();
    let (mut assembly, mut buffer) = (None, Vec::new());
    Box::new(move || {
        buffer.clear();
        buffer.extend_from_slice(&sent);
        let (mut used, mut event) = (0, None);
        while event.is_none() {
            let step = next(&mut assembly, &mut buffer[used..], LIMITS, 0).expect("valid frames");
            used += step.consumed;
            event = step.event;
        }
        assert!(matches!(event, Some(Event::Text(Payload::Assembled(_)))));
        assert_eq!(used, buffer.len(), "the last fragment completes the message");
    })
}

fn server_header() -> Operation {
    let mut buffer = vec![b'x'; SERVER_HEADER_BYTES_MAX + 256];
    Box::new(move || {
        black_box(prepend_text_header(black_box(&mut buffer)));
    })
}
