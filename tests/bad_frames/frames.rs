//! Rows 14, 15, 18 and 19: single frames and their order.

use super::common::frame::{BINARY, CLOSE, CONTINUATION, Frame, Length, MASK, PING, PONG, TEXT, head};
use super::common::row;
use super::{Door, expect_failure};

#[test]
fn row_14_malformed_frames() {
    row::run(&[], |server| {
        let unmasked = |frame: Frame| frame.unmasked().encode();
        let mut cases = vec![
            ("unmasked text".to_owned(), unmasked(Frame::text("{}"))),
            ("unmasked empty text".to_owned(), unmasked(Frame::text(""))),
            ("unmasked ping".to_owned(), unmasked(Frame::new(PING, "p"))),
            ("unmasked close".to_owned(), unmasked(Frame::close(1000, ""))),
            ("a fragmented ping".to_owned(), Frame::new(PING, "p").not_final().encode()),
            ("a fragmented pong".to_owned(), Frame::new(PONG, "p").not_final().encode()),
            ("a fragmented close".to_owned(), Frame::close(1000, "").not_final().encode()),
        ];
        for rsv in [1, 2, 4, 7] {
            cases.push((format!("reserved bits {rsv:03b}"), Frame::text("{}").with_rsv(rsv).encode()));
            cases.push((format!("reserved bits {rsv:03b} of a ping"), Frame::new(PING, "").with_rsv(rsv).encode()));
        }
        for opcode in (0x3..=0x7).chain(0xb..=0xf) {
            cases.push((format!("opcode {opcode:#x}"), Frame::new(opcode, "").encode()));
        }
        for (case, bytes) in cases.into_iter().chain(wrong_lengths()) {
            expect_failure(server, &case, &bytes, 1002);
        }
    });
}

/// Headers whose length form is wrong for the length or the opcode. No payload follows.
fn wrong_lengths() -> Vec<(String, Vec<u8>)> {
    let mut forms = Vec::new();
    for length in [Length::Sixteen(0), Length::Sixteen(125), Length::SixtyFour(125), Length::SixtyFour(65_535)] {
        forms.push((TEXT, length));
    }
    for length in [1 << 63, u64::MAX] {
        forms.push((TEXT, Length::SixtyFour(length)));
    }
    for opcode in [CLOSE, PING, PONG] {
        forms.push((opcode, Length::Sixteen(126)));
        forms.push((opcode, Length::SixtyFour(65_536)));
    }
    let encode = |(opcode, length)| {
        (format!("opcode {opcode:#x} of length {length:?}"), head(0x80 | opcode, length, Some(MASK)))
    };
    forms.into_iter().map(encode).collect()
}

#[test]
fn row_15_order_of_fragments() {
    row::run(&[], |server| {
        let cases = [
            ("a continuation of nothing", vec![Frame::new(CONTINUATION, "x")]),
            ("a continuation of nothing that goes on", vec![Frame::new(CONTINUATION, "x").not_final()]),
            ("an empty continuation of nothing", vec![Frame::new(CONTINUATION, "")]),
            ("text inside text", vec![Frame::text("a").not_final(), Frame::text("b")]),
            ("text that goes on inside text", vec![Frame::text("a").not_final(), Frame::text("b").not_final()]),
            ("binary inside text", vec![Frame::text("a").not_final(), Frame::new(BINARY, "b")]),
            (
                "text after two fragments",
                vec![Frame::text("a").not_final(), Frame::new(CONTINUATION, "b").not_final(), Frame::text("c")],
            ),
            (
                "text after a ping inside text",
                vec![Frame::text("a").not_final(), Frame::new(PING, ""), Frame::text("b")],
            ),
        ];
        for (case, frames) in cases {
            let bytes: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
            expect_failure(server, case, &bytes, 1002);
        }
    });
}

#[test]
fn row_18_invalid_utf8() {
    row::run(&[], |server| {
        for (case, bytes) in [
            ("a continuation", &b"\x80"[..]),
            ("an overlong slash", b"{\"a\":\"\xc0\xaf\"}"),
            ("a surrogate", b"{\"a\":\"\xed\xa0\x80\"}"),
            ("beyond U+10FFFF", b"\xf4\x90\x80\x80"),
            ("FF", b"{}\xff"),
        ] {
            expect_failure(server, case, &Frame::text(bytes).encode(), 1007);
            let unfinished = Frame::text(bytes).not_final().encode();
            expect_failure(server, &format!("{case}, in the first fragment"), &unfinished, 1007);
            let later = [Frame::text("{").not_final().encode(), Frame::new(CONTINUATION, bytes).not_final().encode()];
            expect_failure(server, &format!("{case}, in the second fragment"), &later.concat(), 1007);
            expect_failure(server, &format!("{case}, in half a frame"), &half_a_frame(bytes), 1007);
            expect_failure(server, &format!("{case}, in a close reason"), &Frame::close(1000, bytes).encode(), 1007);
        }
        let truncated = Frame::text(b"{\"a\":\"\xe2\x82").encode();
        expect_failure(server, "a truncated code point", &truncated, 1007);
        let truncated = [Frame::text(b"\xe2\x82").not_final(), Frame::new(CONTINUATION, "")];
        let bytes: Vec<u8> = truncated.iter().flat_map(Frame::encode).collect();
        expect_failure(server, "a truncated code point in fragments", &bytes, 1007);
    });
}

/// A text frame of 1,000 bytes of which only `payload` has arrived.
fn half_a_frame(payload: &[u8]) -> Vec<u8> {
    let masked = payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key);
    head(0x80 | TEXT, Length::Sixteen(1_000), Some(MASK)).into_iter().chain(masked).collect()
}

#[test]
fn row_19_binary_on_a_json_connection() {
    row::run(&[], |server| {
        for door in [Door::Anonymous, Door::Authenticated] {
            for frame in [Frame::new(BINARY, "{}"), Frame::new(BINARY, ""), Frame::new(BINARY, [0xff; 200])] {
                for frame in [frame.clone(), frame.not_final()] {
                    let mut ws = door.open(server);
                    ws.send(&frame);
                    ws.expect_failure(1003);
                }
            }
        }
        let mut ws = Door::Echo.open(server);
        ws.binary(&[0xff; 200]);
        ws.expect_binary(&[0xff; 200]);
        ws.close();
    });
}
