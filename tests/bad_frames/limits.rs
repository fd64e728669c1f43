//! Row 16: messages over the limit.

use super::common::client::Client;
use super::common::frame::{BINARY, CONTINUATION, Frame, Length, MASK, TEXT, head};
use super::common::json;
use super::common::row;
use super::common::server::TestServer;
use super::common::{proc, wait::PATIENCE};
use super::{DOORS, Door, expect_failure};
use std::time::Duration;

/// The default limit on a message.
const LIMIT: usize = 65_536;
const SERVICE_LIMIT: u64 = 1 << 20;

/// Less than the smallest of the absurd lengths below; more than allocators reserve by themselves.
const ADDRESS_SPACE_SLACK_BYTES: u64 = 512 << 20;

#[test]
fn row_16_length_over_the_limit() {
    row::run(&[], |server| {
        let pid = server.pid().expect("a process");
        let before = proc::peak_address_space_bytes(pid);
        let over = LIMIT as u64 + 1;
        for length in [over, 1 << 20, 1 << 30, 1 << 32, 1 << 40, 1 << 62, (1 << 63) - 1] {
            for first in [0x80 | TEXT, TEXT] {
                let bytes = head(first, Length::SixtyFour(length), Some(MASK));
                expect_failure(server, &format!("a length of {length}"), &bytes, 1009);
            }
        }
        let grown = proc::peak_address_space_bytes(pid) - before;
        assert!(grown < ADDRESS_SPACE_SLACK_BYTES, "{grown} bytes were allocated from declared lengths");
    });
}

#[test]
fn row_16_sum_of_fragments_over_the_limit() {
    row::run(&[], |server| {
        let first = Frame::text("x".repeat(40_000)).not_final().encode();
        let next = |length| head(CONTINUATION, Length::Sixteen(length), Some(MASK));
        expect_failure(server, "two fragments", &[first.clone(), next(25_537)].concat(), 1009);
        let second = Frame::new(CONTINUATION, "y".repeat(25_536)).not_final().encode();
        let one_more = head(0x80, Length::Seven(1), Some(MASK));
        expect_failure(server, "three fragments", &[first.clone(), second, one_more].concat(), 1009);
        let whole = head(0x80, Length::SixtyFour(1 << 40), Some(MASK));
        expect_failure(server, "a huge second fragment", &[first, whole].concat(), 1009);
    });
}

/// The refusal arrives although the client goes on sending what it has announced.
#[test]
fn row_16_close_reaches_a_client_that_goes_on_sending() {
    row::run(&[], |server| {
        for door in DOORS {
            let mut ws = door.open(server);
            ws.send_bytes(head(0x80 | TEXT, Length::SixtyFour(8 << 20), Some(MASK)));
            ws.tcp.send_until_blocked(&vec![0; 2 << 20], Duration::from_millis(200));
            ws.expect_close(1009);
            ws.tcp.finish_sending();
            ws.tcp.expect_end(PATIENCE);
        }
    });
}

#[test]
fn row_16_message_at_the_limit_is_accepted() {
    row::run(&[], |server| {
        let mut ws = Door::Echo.open(server);
        let text = "x".repeat(LIMIT);
        ws.text(&text);
        ws.expect_text(&text);
        ws.send(&Frame::new(BINARY, &text.as_bytes()[..40_000]).not_final());
        ws.send(&Frame::new(CONTINUATION, &text.as_bytes()[40_000..]));
        ws.expect_binary(text.as_bytes());
        ws.close();
        let mut client = Client::connect(server.address, "user-1", "s1");
        client.ws.text(&message_of(LIMIT));
        client.receive_where(|message| json::is(message, "id", "large"));
        client.ws.close();
        service_has_a_larger_limit(server);
    });
}

fn service_has_a_larger_limit(server: &TestServer) {
    let mut service = Client::connect(server.address, "service:files", "s1");
    service.ws.text(&message_of(4 * LIMIT));
    service.receive_where(|message| json::is(message, "id", "large"));
    service.ws.send_bytes(head(0x80 | TEXT, Length::SixtyFour(SERVICE_LIMIT + 1), Some(MASK)));
    service.ws.expect_failure(1009);
}

/// A message that is `bytes` long.
fn message_of(bytes: usize) -> String {
    let (before, after) = (r#"{"id":"large","type":"custom","payload":""#, r#""}"#);
    format!("{before}{}{after}", "x".repeat(bytes - before.len() - after.len()))
}
