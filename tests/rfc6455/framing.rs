//! Sections 5.1 to 5.3, 5.6 and 6: the frame, its mask, its length, the two kinds of data.

use super::common::frame::{BINARY, CONTINUATION, Frame, Length, MASK, TEXT, head};
use super::common::wait::PATIENCE;
use super::common::websocket::{Event, WebSocket};
use super::{echo, server, settle};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::cell::RefCell;

/// Lengths around the borders of the three forms.
const LENGTHS: [usize; 8] = [0, 1, 125, 126, 127, 65_534, 65_535, 65_536];

fn text_of(length: usize) -> String {
    ('a'..='z').cycle().take(length).collect()
}

fn bytes_of(length: usize) -> Vec<u8> {
    (0..=255).cycle().take(length).collect()
}

/// Sends `bytes` on a new connection and expects it to fail with 1002.
#[track_caller]
fn expect_protocol_error(mut ws: WebSocket, bytes: &[u8], case: &str) {
    ws.send_bytes(bytes);
    match ws.next() {
        Event::Closed { code: Some(1002), .. } => {}
        event => panic!("{case}: expected close 1002, not {event:?}"),
    }
    ws.tcp.finish_sending();
    ws.tcp.expect_end(PATIENCE);
}

// 5.1: "a server MUST close the connection upon receiving a frame that is not masked", with 1002.
#[test]
fn unmasked_frame_fails_the_connection() {
    let server = server();
    for frame in [Frame::text("x"), Frame::text(""), Frame::new(BINARY, "x"), Frame::new(9, ""), Frame::close(1000, "")]
    {
        expect_protocol_error(echo(&server), &frame.clone().unmasked().encode(), &format!("{frame:?}"));
    }
}

// 5.1: "A server MUST NOT mask any frames": `decode` checks it for every frame of every test, here by name.
#[test]
fn server_does_not_mask() {
    let server = server();
    let mut ws = echo(&server);
    ws.text("plain");
    assert_eq!(ws.read_frame(), Frame::text("plain").unmasked());
}

// 5.2: a reserved bit without an extension that defines it.
#[test]
fn reserved_bits_fail_the_connection() {
    let server = server();
    for rsv in 1..=7 {
        for opcode in [TEXT, BINARY, 8, 9, 10] {
            let bytes = Frame::new(opcode, "").with_rsv(rsv).encode();
            expect_protocol_error(echo(&server), &bytes, &format!("rsv {rsv:03b} opcode {opcode}"));
        }
    }
}

// 5.2: a reserved bit on a continuation.
#[test]
fn reserved_bits_of_a_continuation_fail_the_connection() {
    let server = server();
    for rsv in [1, 2, 4] {
        let first = Frame::text("a").not_final().encode();
        let second = Frame::new(CONTINUATION, "b").with_rsv(rsv).encode();
        expect_protocol_error(echo(&server), &[first, second].concat(), &format!("rsv {rsv:03b}"));
    }
}

// 5.2: "If an unknown opcode is received, the receiving endpoint MUST Fail the WebSocket Connection": data.
#[test]
fn reserved_data_opcodes_fail_the_connection() {
    let server = server();
    for opcode in 0x3..=0x7 {
        expect_protocol_error(echo(&server), &Frame::new(opcode, "x").encode(), &format!("opcode {opcode:#x}"));
    }
}

// 5.2: the same for control frames.
#[test]
fn reserved_control_opcodes_fail_the_connection() {
    let server = server();
    for opcode in 0xb..=0xf {
        expect_protocol_error(echo(&server), &Frame::new(opcode, "").encode(), &format!("opcode {opcode:#x}"));
    }
}

// 5.2: "the minimal number of bytes MUST be used to encode the length".
#[test]
fn length_that_is_not_minimal_fails_the_connection() {
    let server = server();
    let forms = [0, 1, 125].map(Length::Sixteen).into_iter().chain([0, 125, 126, 65_535].map(Length::SixtyFour));
    for form in forms {
        expect_protocol_error(echo(&server), &head(0x80 | TEXT, form, Some(MASK)), &format!("{form:?}"));
    }
}

// 5.2: "the most significant bit MUST be 0" of the 64-bit length.
#[test]
fn length_with_the_top_bit_fails_the_connection() {
    let server = server();
    for length in [1 << 63, u64::MAX, 1 << 63 | 5] {
        let form = Length::SixtyFour(length);
        expect_protocol_error(echo(&server), &head(0x80 | BINARY, form, Some(MASK)), &format!("{length:#x}"));
    }
}

// 5.2, 5.6: every length form of text comes back unchanged.
#[test]
fn text_of_every_length_form_is_echoed() {
    let server = server();
    let mut ws = echo(&server);
    for length in LENGTHS {
        let text = text_of(length);
        ws.text(&text);
        assert!(ws.next() == Event::Text(text), "{length} bytes of text came back unchanged");
    }
}

// 5.2, 5.6: every length form of binary comes back unchanged, every byte value included.
#[test]
fn binary_of_every_length_form_is_echoed() {
    let server = server();
    let mut ws = echo(&server);
    for length in LENGTHS {
        let bytes = bytes_of(length);
        ws.binary(&bytes);
        ws.expect_binary(&bytes);
    }
}

// 5.6, 6.2: the type of a message is kept.
#[test]
fn kind_of_a_message_is_kept() {
    let server = server();
    let mut ws = echo(&server);
    ws.binary(b"same bytes");
    ws.text("same bytes");
    ws.expect_binary(b"same bytes");
    ws.expect_text("same bytes");
}

// 5.3: the mask is any 32 bits, zero too.
#[test]
fn any_mask_is_undone() {
    let server = server();
    let mut ws = echo(&server);
    let bytes = bytes_of(300);
    for mask in [[0; 4], [0xff; 4], [1, 0, 0, 0], [0, 0, 0, 1], [0x80, 0x40, 0x20, 0x10], *b"mask"] {
        ws.send(&Frame::new(BINARY, &bytes).with_mask(mask));
        ws.expect_binary(&bytes);
    }
}

// 5.3: octet i is masked with octet i mod 4 of the key, whatever the length and the alignment in the buffer.
#[test]
fn mask_runs_over_every_remainder_of_the_length() {
    let server = server();
    let mut ws = echo(&server);
    for length in 0..=67 {
        let bytes = bytes_of(length);
        ws.send(&Frame::new(BINARY, &bytes).with_mask([1, 2, 4, 8]));
        ws.expect_binary(&bytes);
    }
}

// 5.3: each frame has its own mask, and it starts anew with the frame.
#[test]
fn each_fragment_has_its_own_mask() {
    let server = server();
    let mut ws = echo(&server);
    ws.send(&Frame::text("one ").with_mask([9, 8, 7, 6]).not_final());
    ws.send(&Frame::new(CONTINUATION, "two ").with_mask([0; 4]).not_final());
    ws.send(&Frame::new(CONTINUATION, "three").with_mask([0xaa, 0xbb, 0xcc, 0xdd]));
    ws.expect_text("one two three");
}

// 5.2, 6.2: a frame may arrive in any number of pieces.
#[test]
fn frame_may_arrive_byte_by_byte() {
    let server = server();
    let (mut ws, mut witness) = (echo(&server), echo(&server));
    for length in [0, 5, 125, 126, 300] {
        let text = text_of(length);
        for byte in Frame::text(&text).encode() {
            ws.send_bytes([byte]);
            settle(&mut witness);
        }
        ws.expect_text(&text);
    }
}

// 5.2, 6.2: cut at every place between the first byte and the last, the head included.
#[test]
fn frame_may_be_cut_anywhere() {
    let server = server();
    let (mut ws, mut witness) = (echo(&server), echo(&server));
    let text = text_of(130);
    let bytes = Frame::text(&text).encode();
    for cut in 1..bytes.len() {
        ws.send_bytes(&bytes[..cut]);
        settle(&mut witness);
        ws.send_bytes(&bytes[cut..]);
        ws.expect_text(&text);
    }
}

// 6.2: several frames in one segment are several messages, in order.
#[test]
fn several_frames_may_share_a_segment() {
    let server = server();
    let mut ws = echo(&server);
    let texts: Vec<String> = (0..20).map(|number| format!("message {number}")).collect();
    let bytes: Vec<u8> = texts.iter().flat_map(|text| Frame::text(text).encode()).collect();
    ws.send_bytes(bytes);
    for text in &texts {
        ws.expect_text(text);
    }
}

// 6.2: a segment may end inside a frame that shares it with others.
#[test]
fn segment_may_end_inside_a_later_frame() {
    let server = server();
    let mut ws = echo(&server);
    let bytes = [Frame::text("whole").encode(), Frame::text("in two pieces").encode()].concat();
    for cut in 12..bytes.len() {
        ws.send_bytes(&bytes[..cut]);
        ws.expect_text("whole");
        ws.send_bytes(&bytes[cut..]);
        ws.expect_text("in two pieces");
    }
}

// 5.8, 9: no extension is agreed, so payloads are application data only.
#[test]
fn payload_is_application_data_only() {
    let server = server();
    let mut ws = echo(&server);
    // The deflated "Hello" of RFC 7692, 7.2.3.1: it must not be inflated.
    let deflated = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    ws.binary(&deflated);
    ws.expect_binary(&deflated);
}

/// A message, how it is fragmented and masked, and how TCP cuts the bytes.
#[derive(Debug)]
struct Script {
    binary: bool,
    text: String,
    fragments: Vec<usize>,
    masks: Vec<[u8; 4]>,
    segments: Vec<usize>,
}

fn scripts() -> impl Strategy<Value = Script> {
    let fragments = proptest::collection::vec(0..200usize, 0..8);
    let masks = proptest::collection::vec(any::<[u8; 4]>(), 1..4);
    let segments = proptest::collection::vec(1..40usize, 1..8);
    (any::<bool>(), "\\PC{0,300}", fragments, masks, segments)
        .prop_map(|(binary, text, fragments, masks, segments)| Script { binary, text, fragments, masks, segments })
}

/// The frames of a script, as bytes: each fragment as long as asked, the last one takes the rest.
fn encode(script: &Script) -> Vec<u8> {
    let mut rest = script.text.as_bytes();
    let mut opcode = if script.binary { BINARY } else { TEXT };
    let mut masks = script.masks.iter().cycle();
    let mut bytes = Vec::new();
    for &length in &script.fragments {
        let (piece, after) = rest.split_at(length.min(rest.len()));
        bytes.extend(Frame::new(opcode, piece).with_mask(*masks.next().expect("a cycle")).not_final().encode());
        (rest, opcode) = (after, CONTINUATION);
    }
    bytes.extend(Frame::new(opcode, rest).with_mask(*masks.next().expect("a cycle")).encode());
    bytes
}

// 5.2 to 5.4, 6.2: whatever the text, the fragments, the masks and the segments, the message comes back unchanged.
#[test]
fn any_message_in_any_pieces_is_echoed() {
    let server = server();
    let mut ws = echo(&server);
    let config = ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() };
    let property = |script: Script| {
        let bytes = encode(&script);
        let mut rest = bytes.as_slice();
        let mut segments = script.segments.iter().cycle();
        while !rest.is_empty() {
            let length = rest.len().min(*segments.next().expect("a cycle"));
            ws.send_bytes(&rest[..length]);
            rest = &rest[length..];
        }
        let expected = if script.binary { Event::Binary(script.text.into_bytes()) } else { Event::Text(script.text) };
        prop_assert_eq!(ws.next(), expected);
        Ok(())
    };
    let property = RefCell::new(property);
    TestRunner::new(config)
        .run(&scripts(), |script| (property.borrow_mut())(script))
        .unwrap_or_else(|failure| panic!("{failure}"));
}
