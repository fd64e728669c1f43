//! Section 8.1 with 5.6: text is UTF-8, strictly, and a connection fails at the byte that breaks it.

use super::common::frame::{BINARY, CONTINUATION, Frame, Length, MASK, PING, TEXT, head};
use super::common::websocket::{Event, WebSocket};
use super::{echo, server, settle};

/// Text with code points of one to four bytes, and the last ones before and after each gap.
const MIXED: &str = "aκόσμ\u{7ff}\u{800}€\u{d7ff}\u{e000}\u{fffd}\u{ffff}\u{10000}\u{1d11e}\u{10ffff}z";

/// Valid sequences (RFC 3629, 4), by what is special about them.
const VALID: [(&str, &[u8]); 17] = [
    ("the empty text", b""),
    ("U+0000", b"\0"),
    ("U+007F", b"\x7f"),
    ("U+0080, the first of two bytes", b"\xc2\x80"),
    ("U+07FF, the last of two bytes", b"\xdf\xbf"),
    ("U+0800, the first of three bytes", b"\xe0\xa0\x80"),
    ("U+0FFF", b"\xe0\xbf\xbf"),
    ("U+D7FF, before the surrogates", b"\xed\x9f\xbf"),
    ("U+E000, after the surrogates", b"\xee\x80\x80"),
    ("U+FEFF, a byte order mark", b"\xef\xbb\xbf"),
    ("U+FFFD, the replacement character", b"\xef\xbf\xbd"),
    ("U+FFFE, no character but a code point", b"\xef\xbf\xbe"),
    ("U+FFFF", b"\xef\xbf\xbf"),
    ("U+10000, the first of four bytes", b"\xf0\x90\x80\x80"),
    ("U+3FFFF", b"\xf0\xbf\xbf\xbf"),
    ("U+100000", b"\xf4\x80\x80\x80"),
    ("U+10FFFF, the last", b"\xf4\x8f\xbf\xbf"),
];

/// Sequences that are wrong at their last byte here or before it: no continuation can mend them.
const INVALID: [(&str, &[u8]); 32] = [
    ("a continuation alone", b"\x80"),
    ("the last continuation alone", b"\xbf"),
    ("two continuations", b"\x80\xbf"),
    ("a continuation after ASCII", b"a\x80"),
    ("C0, overlong", b"\xc0"),
    ("C0 80, overlong U+0000", b"\xc0\x80"),
    ("C0 AF, overlong slash", b"\xc0\xaf"),
    ("C1, overlong", b"\xc1"),
    ("C1 BF, overlong U+007F", b"\xc1\xbf"),
    ("E0 80, overlong", b"\xe0\x80"),
    ("E0 9F BF, overlong U+07FF", b"\xe0\x9f\xbf"),
    ("F0 80, overlong", b"\xf0\x80"),
    ("F0 8F BF BF, overlong U+FFFF", b"\xf0\x8f\xbf\xbf"),
    ("ED A0, a surrogate", b"\xed\xa0"),
    ("U+D800, the first surrogate", b"\xed\xa0\x80"),
    ("U+DBFF, the last high surrogate", b"\xed\xaf\xbf"),
    ("U+DC00, the first low surrogate", b"\xed\xb0\x80"),
    ("U+DFFF, the last surrogate", b"\xed\xbf\xbf"),
    ("a pair of surrogates (CESU-8)", b"\xed\xa1\x80\xed\xb0\x80"),
    ("F4 90, beyond U+10FFFF", b"\xf4\x90"),
    ("U+110000", b"\xf4\x90\x80\x80"),
    ("F5", b"\xf5"),
    ("F7 BF BF BF", b"\xf7\xbf\xbf\xbf"),
    ("F8, five bytes", b"\xf8\x88\x80\x80\x80"),
    ("FC, six bytes", b"\xfc\x84\x80\x80\x80\x80"),
    ("FE", b"\xfe"),
    ("FF", b"\xff"),
    ("a lead of two bytes before ASCII", b"\xc3a"),
    ("a lead of three bytes before ASCII", b"\xe2\x82a"),
    ("a lead of four bytes before ASCII", b"\xf0\x9d\x84a"),
    ("a lead before a lead", b"\xc3\xc3"),
    ("ISO 8859-1", b"caf\xe9!"),
];

/// Sequences that are valid so far but not complete.
const TRUNCATED: [(&str, &[u8]); 8] = [
    ("one of two bytes", b"\xc3"),
    ("one of three bytes", b"\xe2"),
    ("two of three bytes", b"\xe2\x82"),
    ("two of three bytes, before the surrogates", b"\xed\x9f"),
    ("one of four bytes", b"\xf0"),
    ("two of four bytes", b"\xf0\x9d"),
    ("three of four bytes", b"\xf0\x9d\x84"),
    ("three of four bytes, near the end", b"\xf4\x8f\xbf"),
];

/// Expects that the connection has failed because of its text.
#[track_caller]
fn expect_invalid(mut ws: WebSocket, case: &str) {
    match ws.next() {
        Event::Closed { code: Some(1007), .. } => {}
        event => panic!("{case}: expected close 1007, not {event:?}"),
    }
}

// 8.1: valid text comes back unchanged.
#[test]
fn valid_text_is_echoed() {
    let server = server();
    let mut ws = echo(&server);
    for (case, bytes) in VALID {
        ws.send(&Frame::text(bytes));
        let frame = ws.read_frame();
        assert_eq!((frame.opcode, frame.payload.as_slice()), (TEXT, bytes), "{case}");
    }
}

// 8.1: valid text in the middle of other text, at every place of a block that a fast validator reads at once.
#[test]
fn valid_text_is_echoed_at_every_alignment() {
    let server = server();
    let mut ws = echo(&server);
    for before in 0..70 {
        let text = format!("{}{MIXED}{}", "a".repeat(before), "z".repeat(70 - before));
        ws.text(&text);
        ws.expect_text(&text);
    }
}

// 8.1: invalid text in a whole frame fails the connection with 1007.
#[test]
fn invalid_text_fails_the_connection() {
    let server = server();
    for (case, bytes) in INVALID {
        let mut ws = echo(&server);
        ws.send(&Frame::text(bytes));
        expect_invalid(ws, case);
    }
}

// 8.1: the same behind valid text, at the end of a block and inside.
#[test]
fn invalid_text_behind_valid_text_fails_the_connection() {
    let server = server();
    for before in [1, 15, 31, 63, 64, 100, 4_096] {
        let mut ws = echo(&server);
        ws.send(&Frame::text(["a".repeat(before).as_bytes(), b"\xed\xa0\x80", b"more text"].concat()));
        expect_invalid(ws, &format!("after {before} bytes"));
    }
}

// 8.1: text that ends inside a code point is invalid.
#[test]
fn truncated_text_fails_the_connection() {
    let server = server();
    for (case, bytes) in TRUNCATED {
        let mut ws = echo(&server);
        ws.send(&Frame::text([b"before ", bytes].concat()));
        expect_invalid(ws, case);
    }
}

// 8.1, 5.4: so is a fragmented text, though each of its other fragments may end anywhere.
#[test]
fn truncated_text_in_the_last_fragment_fails_the_connection() {
    let server = server();
    for (case, bytes) in TRUNCATED {
        let mut ws = echo(&server);
        ws.send(&Frame::text("before ").not_final());
        ws.send(&Frame::new(CONTINUATION, bytes));
        expect_invalid(ws, case);
    }
}

// 8.1, 5.4: the last fragment may be empty; what an earlier one left open stays open.
#[test]
fn truncated_text_before_an_empty_last_fragment_fails_the_connection() {
    let server = server();
    for (case, bytes) in TRUNCATED {
        let mut ws = echo(&server);
        ws.send(&Frame::text(bytes).not_final());
        ws.send(&Frame::new(CONTINUATION, ""));
        expect_invalid(ws, case);
    }
}

// 8.1, fail fast: inside the first fragment, while the message goes on.
#[test]
fn invalid_text_fails_inside_its_fragment() {
    let server = server();
    for (case, bytes) in INVALID {
        let mut ws = echo(&server);
        ws.send(&Frame::text(bytes).not_final());
        expect_invalid(ws, case);
    }
}

// 8.1, fail fast: inside a later fragment, while the message goes on.
#[test]
fn invalid_text_fails_inside_a_later_fragment() {
    let server = server();
    for (case, bytes) in INVALID {
        let mut ws = echo(&server);
        ws.send(&Frame::text(MIXED).not_final());
        ws.send(&Frame::new(CONTINUATION, bytes).not_final());
        expect_invalid(ws, case);
    }
}

// 8.1, fail fast: inside a frame of which the rest has not arrived.
#[test]
fn invalid_text_fails_inside_an_incomplete_frame() {
    let server = server();
    for (case, bytes) in INVALID {
        let mut ws = echo(&server);
        ws.send_bytes(incomplete(bytes));
        expect_invalid(ws, case);
    }
}

// 8.1, fail fast: the same when the frame arrives byte by byte.
#[test]
fn invalid_text_fails_inside_a_frame_that_drips() {
    let server = server();
    let mut witness = echo(&server);
    for (case, bytes) in INVALID {
        let mut ws = echo(&server);
        for byte in incomplete(&[b"valid ", bytes].concat()) {
            // Ok because the server may hang up before the last byte.
            let _ = ws.tcp.try_send([byte]);
            settle(&mut witness);
        }
        expect_invalid(ws, case);
    }
}

/// The head of a text frame of 4,000 bytes and the first bytes of its payload.
fn incomplete(payload: &[u8]) -> Vec<u8> {
    let masked = payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key);
    head(0x80 | TEXT, Length::Sixteen(4_000), Some(MASK)).into_iter().chain(masked).collect()
}

// 8.1: a truncated sequence is no error until it is known how it goes on.
#[test]
fn truncated_text_may_go_on_in_the_next_fragment() {
    let server = server();
    let mut ws = echo(&server);
    for character in ["ü", "€", "\u{d7ff}", "\u{1d11e}", "\u{10ffff}"] {
        for cut in 0..=character.len() {
            ws.send(&Frame::text(&character.as_bytes()[..cut]).not_final());
            ws.send(&Frame::new(CONTINUATION, &character.as_bytes()[cut..]));
            ws.expect_text(character);
        }
    }
}

// 8.1: it is one, in the first byte of the next fragment that does not fit.
#[test]
fn truncated_text_that_goes_on_wrongly_fails_the_connection() {
    let server = server();
    for (case, bytes) in TRUNCATED {
        for wrong in [&b"a"[..], b"\xc3", b"\xff"] {
            let mut ws = echo(&server);
            ws.send(&Frame::text(bytes).not_final());
            ws.send(&Frame::new(CONTINUATION, wrong).not_final());
            expect_invalid(ws, case);
        }
    }
}

// 8.1: the second byte decides about overlong forms, surrogates and the end of the range, in its own fragment too.
#[test]
fn second_byte_in_its_own_fragment_is_checked() {
    let server = server();
    for (lead, second) in [(0xe0, 0x9f), (0xed, 0xa0), (0xf0, 0x8f), (0xf4, 0x90)] {
        let mut ws = echo(&server);
        ws.send(&Frame::text([lead]).not_final());
        ws.send(&Frame::new(CONTINUATION, [second]).not_final());
        expect_invalid(ws, &format!("{lead:x} {second:x}"));
    }
}

// 8.1, 5.4: text in two fragments, cut between code points and inside them.
#[test]
fn text_may_be_cut_into_fragments_anywhere() {
    let server = server();
    let mut ws = echo(&server);
    for cut in 0..=MIXED.len() {
        ws.send(&Frame::text(&MIXED.as_bytes()[..cut]).not_final());
        ws.send(&Frame::new(CONTINUATION, &MIXED.as_bytes()[cut..]));
        ws.expect_text(MIXED);
    }
}

// 8.1, 5.4: text in fragments of one byte.
#[test]
fn text_may_be_cut_into_single_bytes() {
    let server = server();
    let mut ws = echo(&server);
    let (first, rest) = MIXED.as_bytes().split_first().expect("not empty");
    ws.send(&Frame::text([*first]).not_final());
    for byte in rest {
        ws.send(&Frame::new(CONTINUATION, [*byte]).not_final());
    }
    ws.send(&Frame::new(CONTINUATION, ""));
    ws.expect_text(MIXED);
}

// 8.1: one frame cut by TCP between code points and inside them.
#[test]
fn text_may_be_cut_by_tcp_anywhere() {
    let server = server();
    let (mut ws, mut witness) = (echo(&server), echo(&server));
    let bytes = Frame::text(MIXED).encode();
    for cut in 1..bytes.len() {
        ws.send_bytes(&bytes[..cut]);
        settle(&mut witness);
        ws.send_bytes(&bytes[cut..]);
        ws.expect_text(MIXED);
    }
}

// 8.1, 5.4: a control frame between the two halves of a code point.
#[test]
fn control_frame_may_stand_inside_a_code_point() {
    let server = server();
    let mut ws = echo(&server);
    ws.send(&Frame::text(b"\xf0\x9d").not_final());
    ws.send(&Frame::new(PING, b"\xff"));
    ws.expect_pong(b"\xff");
    ws.send(&Frame::new(CONTINUATION, b"\x84\x9e"));
    ws.expect_text("\u{1d11e}");
}

// 5.6: binary data is arbitrary.
#[test]
fn binary_need_not_be_utf8() {
    let server = server();
    let mut ws = echo(&server);
    for (_, bytes) in INVALID.into_iter().chain(TRUNCATED) {
        ws.send(&Frame::new(BINARY, bytes));
        ws.expect_binary(bytes);
    }
}

// 8.1: each message starts anew; what one left open is not continued by the next, and a failure is the connection's.
#[test]
fn validation_starts_anew_with_each_message() {
    let server = server();
    let mut ws = echo(&server);
    ws.text("first €");
    ws.expect_text("first €");
    ws.binary(b"\xe2\x82");
    ws.expect_binary(b"\xe2\x82");
    ws.send(&Frame::text(b"\xac"));
    expect_invalid(ws, "a continuation in a new message");
}
