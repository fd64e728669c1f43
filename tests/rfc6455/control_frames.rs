//! Sections 5.5.2 and 5.5.3, and what holds for all control frames (5.5).

use super::common::frame::{Frame, Length, MASK, PING, PONG, head};
use super::{echo, server};

/// Pings to a connection: the server allows a burst of 20.
const PINGS: usize = 16;

// 5.5.2, 5.5.3: a pong with the same application data, for every length that a ping may have.
#[test]
fn ping_of_every_length_is_answered() {
    let server = server();
    let lengths: Vec<usize> = (0..=125).collect();
    for group in lengths.chunks(PINGS) {
        let mut ws = echo(&server);
        for &length in group {
            let payload: Vec<u8> = (0..=255).rev().cycle().take(length).collect();
            ws.ping(&payload);
            ws.expect_pong(&payload);
        }
    }
}

// 5.5.2: pings that share a segment; here each gets its pong, in order (5.5.3 would allow the last alone).
#[test]
fn pings_in_one_segment_are_answered_in_order() {
    let server = server();
    let mut ws = echo(&server);
    let payloads: Vec<String> = (0..10).map(|number| format!("ping {number}")).collect();
    ws.send_bytes(payloads.iter().flat_map(|payload| Frame::new(PING, payload).encode()).collect::<Vec<u8>>());
    for payload in &payloads {
        ws.expect_pong(payload.as_bytes());
    }
}

// 5.5.2: a ping that arrives byte by byte.
#[test]
fn ping_may_arrive_byte_by_byte() {
    let server = server();
    let mut ws = echo(&server);
    for byte in Frame::new(PING, "in pieces").encode() {
        ws.send_bytes([byte]);
    }
    ws.expect_pong(b"in pieces");
}

// 5.5.2: the payload of a ping is any bytes, not text.
#[test]
fn ping_payload_need_not_be_text() {
    let server = server();
    let mut ws = echo(&server);
    ws.ping(&[0, 0xff, 0xfe, 0xed, 0xa0, 0x80]);
    ws.expect_pong(&[0, 0xff, 0xfe, 0xed, 0xa0, 0x80]);
}

// 5.5.3: "A Pong frame MAY be sent unsolicited. ... A response to an unsolicited Pong frame is not expected."
#[test]
fn unsolicited_pong_is_ignored() {
    let server = server();
    let mut ws = echo(&server);
    for payload in ["", "unsolicited", &"p".repeat(125)] {
        ws.send(&Frame::new(PONG, payload));
    }
    ws.text("the first answer");
    assert_eq!(ws.read_frame(), Frame::text("the first answer").unmasked());
}

// 5.5: "All control frames MUST have a payload length of 125 bytes or less": by the header alone.
#[test]
fn long_control_frames_fail_the_connection() {
    let server = server();
    for opcode in [8, 9, 10] {
        for length in [Length::Sixteen(126), Length::Sixteen(65_535), Length::SixtyFour(65_536)] {
            let mut ws = echo(&server);
            ws.send_bytes(head(0x80 | opcode, length, Some(MASK)));
            ws.expect_failure(1002);
        }
    }
}

// 5.5: a control frame with a payload that is as long as its header says, and too long.
#[test]
fn whole_long_control_frames_fail_the_connection() {
    let server = server();
    for opcode in [8, 9, 10] {
        let mut ws = echo(&server);
        ws.send(&Frame::new(opcode, [b'x'; 126]));
        ws.expect_failure(1002);
    }
}
