//! Sections 5.5.1 and 7: closing.

use super::common::frame::{BINARY, CLOSE, Frame, PING};
use super::common::status;
use super::common::tcp::Arrival;
use super::common::wait::PATIENCE;
use super::common::websocket::Event;
use super::{echo, server};
use std::time::Duration;

/// Codes that an endpoint may send (7.4.1, 7.4.2).
const VALID_CODES: [u16; 16] =
    [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3001, 3999, 4000, 4001, 4321, 4999];

/// Codes registered with IANA after the RFC (7.4.2 reserves the range for such).
const REGISTERED_CODES: [u16; 3] = [1012, 1013, 1014];

/// Codes that must not be in a frame (7.4.1), that are not used (7.4.2) or that nothing has defined.
const INVALID_CODES: [u16; 17] =
    [0, 1, 500, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2500, 2999, 5000, 9999, 65_535];

// 5.5.1, 7.1.2, 7.1.5: a close frame is answered by one with the same code; then the server closes TCP (7.1.1).
#[test]
fn close_is_answered_with_the_same_code() {
    let server = server();
    for code in VALID_CODES {
        let mut ws = echo(&server);
        ws.send(&Frame::close(code, ""));
        ws.expect_close(code);
        assert_eq!(ws.tcp.expect_end(PATIENCE), Arrival::End, "TCP is closed in order after {code}");
    }
}

// 7.4.2: codes of the reserved range become valid by registration.
#[test]
fn registered_codes_are_answered() {
    let server = server();
    for code in REGISTERED_CODES {
        let mut ws = echo(&server);
        ws.send(&Frame::close(code, "registered"));
        ws.expect_close(code);
    }
}

// 7.4.1, 7.4.2: a code that must not be sent is a protocol error.
#[test]
fn invalid_codes_fail_the_connection() {
    let server = server();
    for code in INVALID_CODES {
        let mut ws = echo(&server);
        ws.send(&Frame::close(code, ""));
        match ws.next() {
            Event::Closed { code: Some(1002), .. } => {}
            event => panic!("close {code}: expected 1002, not {event:?}"),
        }
        ws.tcp.expect_end(PATIENCE);
    }
}

// 5.5.1: a close frame without a body; the answer has none (7.1.5: 1005 is never sent) or says 1000.
#[test]
fn close_without_a_body_is_answered() {
    let server = server();
    let mut ws = echo(&server);
    ws.send(&Frame::new(CLOSE, ""));
    match ws.next() {
        Event::Closed { code: None | Some(1000), .. } => {}
        event => panic!("expected a close without a code or 1000, not {event:?}"),
    }
    assert_eq!(ws.tcp.expect_end(PATIENCE), Arrival::End);
}

// 5.5.1: "the first two bytes of the body MUST be a 2-byte unsigned integer": one byte is a protocol error.
#[test]
fn close_with_one_byte_fails_the_connection() {
    let server = server();
    for byte in [0, 3, 0xff] {
        let mut ws = echo(&server);
        ws.send(&Frame::new(CLOSE, [byte]));
        ws.expect_failure(1002);
    }
}

// 5.5.1, 7.1.6: a reason of every length up to 123 bytes, in UTF-8.
#[test]
fn close_with_a_reason_is_answered() {
    let server = server();
    let longest = "r".repeat(123);
    for reason in ["", "x", "going away", "κόσμε", "\u{1d11e}", longest.as_str()] {
        let mut ws = echo(&server);
        ws.send(&Frame::close(1001, reason));
        ws.expect_close(1001);
    }
}

// 5.5.1, 8.1: the reason is UTF-8.
#[test]
fn close_with_a_reason_that_is_not_utf8_fails_the_connection() {
    let server = server();
    for reason in [&[0xff][..], b"ok until \xc0\x80", b"\xed\xa0\x80", b"truncated \xe2\x82", b"\xf4\x90\x80\x80"] {
        let mut ws = echo(&server);
        ws.send(&Frame::close(1000, reason));
        ws.expect_failure(1007);
    }
}

// 5.5: a close body of 125 bytes at most.
#[test]
fn close_with_a_long_reason_fails_the_connection() {
    let server = server();
    let mut ws = echo(&server);
    ws.send(&Frame::close(1000, [b'r'; 124]));
    ws.expect_failure(1002);
}

// 5.5.1: "The application MUST NOT send any more data frames after sending a Close frame": what comes is ignored.
#[test]
fn data_after_a_close_is_ignored() {
    let server = server();
    let mut ws = echo(&server);
    let after = [Frame::text("late"), Frame::new(BINARY, "late"), Frame::new(PING, "late"), Frame::close(4000, "")];
    let bytes: Vec<u8> = after.iter().flat_map(Frame::encode).collect();
    ws.send_bytes([Frame::close(1000, "").encode(), bytes].concat());
    ws.expect_close(1000);
    ws.tcp.expect_end(PATIENCE);
    assert!(ws.tcp.pending().is_empty(), "nothing follows the server's close frame");
}

// 5.5.1: not even what the server would have refused before.
#[test]
fn nonsense_after_a_close_is_ignored() {
    let server = server();
    let mut ws = echo(&server);
    ws.send_bytes([Frame::close(1000, "").encode(), vec![0xff; 64]].concat());
    ws.expect_close(1000);
    ws.tcp.expect_end(PATIENCE);
    assert!(ws.tcp.pending().is_empty(), "nothing follows the server's close frame");
}

// 5.5.1, 6.1: messages before the close are answered before it is.
#[test]
fn messages_before_a_close_are_answered() {
    let server = server();
    let mut ws = echo(&server);
    ws.send_bytes([Frame::text("one").encode(), Frame::text("two").encode(), Frame::close(1000, "").encode()].concat());
    ws.expect_text("one");
    ws.expect_text("two");
    ws.expect_close(1000);
}

// 7.1.1, 7.1.3: after the closing handshake the server closes TCP at once, while the client still waits.
#[test]
fn server_closes_tcp_first() {
    let server = server();
    let mut ws = echo(&server);
    ws.send(&Frame::close(1000, ""));
    ws.expect_close(1000);
    assert_eq!(ws.tcp.expect_end(Duration::from_secs(2)), Arrival::End);
    status::expect(server.address, "connections.websocket", 0);
}

// 7.1.3, 7.1.7: the server's own close frame is answered by the client; then TCP ends.
#[test]
fn client_answers_the_close_of_the_server() {
    let server = server();
    let mut ws = echo(&server);
    ws.send(&Frame::new(3, "a reserved opcode makes the server close"));
    ws.expect_close(1002);
    ws.send(&Frame::close(1002, ""));
    ws.tcp.expect_end(PATIENCE);
    status::expect(server.address, "connections.websocket", 0);
}

// 7.1.7: after failing a connection nothing more that arrives on it is processed.
#[test]
fn nothing_is_processed_after_a_failure() {
    let server = server();
    let mut ws = echo(&server);
    ws.send_bytes([Frame::text("x").unmasked().encode(), Frame::text("late").encode()].concat());
    ws.expect_close(1002);
    ws.tcp.expect_end(PATIENCE);
    assert!(ws.tcp.pending().is_empty(), "nothing follows the server's close frame");
}

// 7.1.7: messages before the frame that fails the connection have been echoed.
#[test]
fn messages_before_a_failure_are_answered() {
    let server = server();
    let mut ws = echo(&server);
    ws.send_bytes([Frame::text("good").encode(), Frame::new(5, "bad").encode()].concat());
    ws.expect_text("good");
    ws.expect_failure(1002);
}

// 7.2.1, 7.1.4: a client that ends TCP without a close frame is gone; the server keeps nothing.
#[test]
fn client_may_end_without_a_close() {
    let server = server();
    let mut ws = echo(&server);
    ws.text("here");
    ws.expect_text("here");
    ws.tcp.finish_sending();
    ws.tcp.expect_end(PATIENCE);
    status::expect(server.address, "connections.websocket", 0);
}

// 7.2.1: the same by a reset, in the middle of a message too.
#[test]
fn client_may_reset_the_connection() {
    let server = server();
    let mut ws = echo(&server);
    ws.send(&Frame::text("begun").not_final());
    status::expect(server.address, "connections.websocket", 1);
    ws.tcp.abort();
    status::expect(server.address, "connections.websocket", 0);
}
