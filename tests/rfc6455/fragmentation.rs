//! Section 5.4: fragments.

use super::common::frame::{BINARY, CONTINUATION, Frame, PING, PONG, TEXT};
use super::{echo, server};

fn first(payload: &str) -> Frame {
    Frame::text(payload).not_final()
}

fn middle(payload: &str) -> Frame {
    Frame::new(CONTINUATION, payload).not_final()
}

fn last(payload: &str) -> Frame {
    Frame::new(CONTINUATION, payload)
}

// 5.4: a message of two fragments.
#[test]
fn two_fragments_are_one_message() {
    let server = server();
    let mut ws = echo(&server);
    ws.send(&first("Hel"));
    ws.send(&last("lo"));
    ws.expect_text("Hello");
}

// 5.4: "zero or more frames with the FIN bit clear and the opcode set to 0".
#[test]
fn many_fragments_are_one_message() {
    let server = server();
    let mut ws = echo(&server);
    ws.send(&first("0"));
    for _ in 0..500 {
        ws.send(&middle("m"));
    }
    ws.send(&last("9"));
    ws.expect_text(&format!("0{}9", "m".repeat(500)));
}

// 5.4: "all fragments in a message have the same type as the first".
#[test]
fn kind_is_that_of_the_first_fragment() {
    let server = server();
    let mut ws = echo(&server);
    ws.send(&Frame::new(BINARY, [0xff, 0xfe]).not_final());
    ws.send(&Frame::new(CONTINUATION, [0xfd]));
    ws.expect_binary(&[0xff, 0xfe, 0xfd]);
    ws.send(&first("te"));
    ws.send(&last("xt"));
    ws.expect_text("text");
}

// 5.4: fragments may be empty, the first, one between and the last.
#[test]
fn fragments_may_be_empty() {
    let server = server();
    let mut ws = echo(&server);
    for pieces in [["", "middle", ""], ["first", "", ""], ["", "", "last"], ["", "", ""], ["a", "", "b"]] {
        ws.send(&first(pieces[0]));
        ws.send(&middle(pieces[1]));
        ws.send(&last(pieces[2]));
        ws.expect_text(&pieces.concat());
    }
}

// 5.4: a message may be cut into fragments at every place, and the fragments may share a segment.
#[test]
fn message_may_be_cut_anywhere() {
    let server = server();
    let mut ws = echo(&server);
    let text = "a message in two pieces";
    for cut in 0..=text.len() {
        ws.send_bytes([first(&text[..cut]).encode(), last(&text[cut..]).encode()].concat());
        ws.expect_text(text);
    }
}

// 5.4: "Control frames MAY be injected in the middle of a fragmented message", and are answered there.
#[test]
fn control_frames_may_stand_between_fragments() {
    let server = server();
    let mut ws = echo(&server);
    ws.send(&first("before "));
    ws.ping(b"between");
    ws.expect_pong(b"between");
    ws.send(&middle("and "));
    ws.send(&Frame::new(PONG, "unasked"));
    ws.send(&last("after"));
    ws.expect_text("before and after");
}

// 5.4: the same in one segment: the pong comes before the message that is finished after the ping.
#[test]
fn control_frames_between_fragments_may_share_a_segment() {
    let server = server();
    let mut ws = echo(&server);
    ws.send_bytes([first("one ").encode(), Frame::new(PING, "p").encode(), last("two").encode()].concat());
    ws.expect_pong(b"p");
    ws.expect_text("one two");
}

// 5.4, 5.5.1: a close between fragments closes; the unfinished message is not echoed.
#[test]
fn close_may_stand_between_fragments() {
    let server = server();
    let mut ws = echo(&server);
    ws.send(&first("never finished"));
    ws.send(&Frame::close(1000, ""));
    ws.expect_close(1000);
}

// 5.4, 5.5: "Control frames themselves MUST NOT be fragmented".
#[test]
fn fragmented_control_frames_fail_the_connection() {
    let server = server();
    for opcode in [8, 9, 10] {
        let mut ws = echo(&server);
        ws.send(&Frame::new(opcode, "").not_final());
        ws.expect_failure(1002);
    }
}

// 5.4: a continuation needs a message to continue.
#[test]
fn continuation_without_a_beginning_fails_the_connection() {
    let server = server();
    for frame in [last("x"), middle("x"), last(""), middle("")] {
        let mut ws = echo(&server);
        ws.send(&frame);
        ws.expect_failure(1002);
    }
}

// 5.4: neither does a message that is already complete.
#[test]
fn continuation_after_the_end_fails_the_connection() {
    let server = server();
    for beginning in [vec![Frame::text("whole")], vec![first("who"), last("le")]] {
        let mut ws = echo(&server);
        for frame in &beginning {
            ws.send(frame);
        }
        ws.expect_text("whole");
        ws.send(&last("more"));
        ws.expect_failure(1002);
    }
}

// 5.4: "The fragments of one message MUST NOT be interleaved between the fragments of another".
#[test]
fn data_frame_inside_a_fragmented_message_fails_the_connection() {
    let server = server();
    for opcode in [TEXT, BINARY] {
        for frame in [Frame::new(opcode, "other"), Frame::new(opcode, "other").not_final()] {
            let mut ws = echo(&server);
            ws.send(&first("begun"));
            ws.send(&frame);
            ws.expect_failure(1002);
        }
    }
}

// 5.4: messages are delivered in the order sent, fragmented or not.
#[test]
fn messages_keep_their_order() {
    let server = server();
    let mut ws = echo(&server);
    for number in 0..10 {
        ws.send(&Frame::text(format!("whole {number}")));
        ws.send(&first("fragmented "));
        ws.send(&last(&number.to_string()));
    }
    for number in 0..10 {
        ws.expect_text(&format!("whole {number}"));
        ws.expect_text(&format!("fragmented {number}"));
    }
}
