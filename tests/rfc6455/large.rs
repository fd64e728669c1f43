//! Sections 5.2 and 5.4 at size: messages of 16 MiB and of 65,537 fragments, and the limit (10.4).

use super::common::ECHO_PATH;
use super::common::frame::{BINARY, CONTINUATION, Frame, Length, MASK, TEXT, head};
use super::common::server::TestServer;
use super::common::websocket::{Event, WebSocket};
use std::time::Duration;

const MESSAGE_BYTES: usize = 16 << 20;
const FRAGMENTS: usize = 65_537;

/// A machine that runs everything else too, and a server that is not optimised, need some time for 16 MiB.
const LONG: Duration = Duration::from_secs(30);

/// A server that takes messages of 16 MiB; the limits that must not be smaller follow by themselves.
fn large_server() -> TestServer {
    TestServer::spawn_process(&[("HASHI_MAX_MESSAGE_BYTES", "16777216"), ("HASHI_MAX_FRAGMENTS", "100000")])
}

fn large_bytes() -> Vec<u8> {
    (0..MESSAGE_BYTES as u32).map(|index| (index.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect()
}

#[track_caller]
fn expect_binary(ws: &mut WebSocket, expected: &[u8]) {
    match ws.next_within(LONG) {
        Event::Binary(bytes) => assert!(bytes == expected, "{} other bytes came back", bytes.len()),
        event => panic!("expected {} binary bytes, not {event:?}", expected.len()),
    }
}

// 5.2: a frame of 16 MiB.
#[test]
fn binary_of_16_mib_is_echoed() {
    let server = large_server();
    let mut ws = WebSocket::open(server.address, ECHO_PATH);
    let bytes = large_bytes();
    ws.binary(&bytes);
    expect_binary(&mut ws, &bytes);
}

// 5.2, 8.1: a text of 16 MiB with code points of every length, so that reads end inside them.
#[test]
fn text_of_16_mib_is_echoed() {
    let server = large_server();
    let mut ws = WebSocket::open(server.address, ECHO_PATH);
    let piece = "aü€\u{1d11e}";
    let mut text = piece.repeat(MESSAGE_BYTES / piece.len());
    text.extend(std::iter::repeat_n('.', MESSAGE_BYTES - text.len()));
    ws.text(&text);
    let event = ws.next_within(LONG);
    assert!(event == Event::Text(text), "the text came back unchanged");
}

// 5.4: a message of 65,537 fragments.
#[test]
fn message_of_65537_fragments_is_echoed() {
    let server = large_server();
    let mut ws = WebSocket::open(server.address, ECHO_PATH);
    let bytes: Vec<u8> = (0..=255).cycle().take(FRAGMENTS).collect();
    ws.send_bytes(one_byte_fragments(&bytes));
    expect_binary(&mut ws, &bytes);
}

fn one_byte_fragments(bytes: &[u8]) -> Vec<u8> {
    let last = bytes.len() - 1;
    let fragment = |(index, byte): (usize, &u8)| {
        let opcode = if index == 0 { BINARY } else { CONTINUATION };
        Frame { fin: index == last, ..Frame::new(opcode, [*byte]) }.encode()
    };
    bytes.iter().enumerate().flat_map(fragment).collect()
}

// 5.4: 16 MiB in fragments of 64 KiB.
#[test]
fn fragmented_message_of_16_mib_is_echoed() {
    let server = large_server();
    let mut ws = WebSocket::open(server.address, ECHO_PATH);
    let bytes = large_bytes();
    let mut chunks = bytes.chunks(1 << 16).peekable();
    let mut opcode = BINARY;
    while let Some(chunk) = chunks.next() {
        ws.send(&Frame { fin: chunks.peek().is_none(), ..Frame::new(opcode, chunk) });
        opcode = CONTINUATION;
    }
    expect_binary(&mut ws, &bytes);
}

// 10.4, 7.4.1: one byte more than the limit is 1009, by the header alone.
#[test]
fn message_over_the_limit_is_refused() {
    let server = large_server();
    for opcode in [TEXT, BINARY] {
        let mut ws = WebSocket::open(server.address, ECHO_PATH);
        ws.send_bytes(head(0x80 | opcode, Length::SixtyFour(MESSAGE_BYTES as u64 + 1), Some(MASK)));
        ws.expect_failure(1009);
    }
}
