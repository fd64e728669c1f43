//! Row 7: requests, or frames, that do not wait for the answer before.

use super::common::client::envelope;
use super::common::frame::Frame;
use super::common::http;
use super::common::json;
use super::common::row;
use super::common::server::TestServer;
use super::common::tcp::Tcp;
use super::common::websocket::{Event, WebSocket, upgrade_request};
use super::common::{ECHO_PATH, WS_PATH, proc, status};
use simd_json::json;
use simd_json::prelude::*;
use std::time::Duration;

#[test]
fn row_07_pipelined_requests_are_answered_in_order() {
    row::run(&[], |server| {
        for count in [16, 17, 100] {
            let request = |number| {
                let target = format!("/ws-api/connections/session/session-{number}");
                http::encode(server.address, "GET", &target, &[("Authorization", "Bearer user-1")], b"")
            };
            let mut tcp = Tcp::connect(server.address);
            tcp.send((0..count).flat_map(request).collect::<Vec<u8>>());
            for number in 0..count {
                let response = http::read_response(&mut tcp);
                assert_eq!(response.status, 200, "answer {number} of {count}");
                let body = response.json();
                assert_eq!(json::string(&body, "sessionId"), format!("session-{number}"), "{}", body.encode());
            }
        }
    });
}

/// More than the buffers of the kernel on both sides and what 16 requests and their answers need.
const UNREAD_BYTES: usize = 64 << 20;

#[test]
fn row_07_reading_pauses_when_nobody_reads_the_answers() {
    row::run(&[], |server| {
        let pid = server.pid().expect("a process");
        let before = proc::resident_bytes(pid);
        let requests = http::encode(server.address, "GET", "/healthz", &[], b"").repeat(4_096);
        let mut tcp = Tcp::connect_narrow(server.address, 4_096);
        let mut sent = 0;
        loop {
            let count = tcp.send_until_blocked(&requests, Duration::from_millis(500));
            sent += count;
            if count < requests.len() {
                break;
            }
            assert!(sent < UNREAD_BYTES, "the server took {sent} bytes of requests and nobody read an answer");
        }
        let grown = proc::resident_bytes(pid).saturating_sub(before);
        assert!(grown < 8 << 20, "the server grew by {grown} bytes");
        assert_eq!(http::read_response(&mut tcp).status, 200, "the first answer is still there");
        assert_eq!(http::read_response(&mut tcp).status, 200, "and so is the next");
        tcp.abort();
    });
}

#[test]
fn row_07_bytes_behind_an_upgrade_are_frames() {
    row::run(&[], |server| {
        let frames: Vec<u8> = (0..10).flat_map(|number| Frame::text(format!("frame {number}")).encode()).collect();
        let mut ws = upgrade_with(server, ECHO_PATH, &frames);
        for number in 0..10 {
            ws.expect_text(&format!("frame {number}"));
        }
        ws.close();
        authentication_may_follow_at_once(server);
        half_a_frame_may_follow(server);
    });
}

fn authentication_may_follow_at_once(server: &TestServer) {
    let message = envelope("a1", "authentication", json!({"token": "user-1", "sessionId": "s1"}));
    let mut ws = upgrade_with(server, WS_PATH, &Frame::text(message.encode()).encode());
    match ws.next() {
        Event::Text(text) => assert!(json::is(&json::parse(&text), "type", "authentication")),
        event => panic!("a welcome, not {event:?}"),
    }
    ws.close();
}

fn half_a_frame_may_follow(server: &TestServer) {
    let frame = Frame::text("in two halves").encode();
    let (one, two) = frame.split_at(9);
    let mut ws = upgrade_with(server, ECHO_PATH, one);
    status::read(server.address);
    ws.send_bytes(two);
    ws.expect_text("in two halves");
    ws.close();
}

/// Sends an upgrade request and `more` in one segment, and waits for the 101.
fn upgrade_with(server: &TestServer, path: &str, more: &[u8]) -> WebSocket {
    let mut tcp = Tcp::connect(server.address);
    tcp.send([&upgrade_request(server.address, path, &[]), more].concat());
    assert_eq!(http::read_response(&mut tcp).status, 101);
    WebSocket::over(tcp)
}

/// More requests than are answered in one go.
const BEFORE_THE_END: usize = 40;

/// What came before the end of the client's stream counts, and its answers still go out.
#[test]
fn row_07_requests_before_a_half_close_are_all_answered() {
    row::run(&[], |server| {
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
        let mut tcp = Tcp::connect(server.address);
        tcp.send(request.repeat(BEFORE_THE_END));
        tcp.finish_sending();
        tcp.expect_end(Duration::from_secs(5));
        let text = String::from_utf8_lossy(tcp.pending()).into_owned();
        assert_eq!(text.matches("HTTP/1.1 200 OK").count(), BEFORE_THE_END);
    });
}
