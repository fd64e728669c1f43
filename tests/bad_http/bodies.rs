//! Rows 5 and 6: request bodies.

use super::common::http::{self, Response};
use super::common::row;
use super::common::server::TestServer;
use super::common::tcp::{Arrival, Tcp};
use super::common::wait::PATIENCE;
use super::{MESSAGE, USER, send_head};
use std::time::{Duration, Instant};

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// Over every limit on a body: that of a service's message is 1 MiB.
const TOO_MUCH_BYTES: usize = 4 << 20;

/// How long to look for an early answer before more of a body is sent.
const LOOK: Duration = Duration::from_millis(10);

#[test]
fn row_05_chunked_bodies() {
    row::run(&[], |server| {
        let long_extension = format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "e".repeat(300));
        let long_value = format!("2;name=\"{}\"\r\n{{}}\r\n0\r\n\r\n", "v".repeat(5_000));
        let cases = [
            ("a size of 68 bits", "FFFFFFFFFFFFFFFFF\r\n"),
            ("a size of 2^64", "10000000000000000\r\n"),
            ("a size of 2^64 + 2", "10000000000000002\r\n{}\r\n0\r\n\r\n"),
            ("a size of 40 digits", "1111111111111111111111111111111111111111\r\n"),
            ("a negative size", "-2\r\n{}\r\n0\r\n\r\n"),
            ("a size with a plus", "+2\r\n{}\r\n0\r\n\r\n"),
            ("a size with a prefix", "0x2\r\n{}\r\n0\r\n\r\n"),
            ("a size that is no number", "g\r\n{}\r\n0\r\n\r\n"),
            ("no size", "\r\n{}\r\n0\r\n\r\n"),
            ("a size that ends in LF", "2\n{}\r\n0\r\n\r\n"),
            ("a chunk longer than its size", "2\r\n{}}\r\n0\r\n\r\n"),
            ("a long extension", &long_extension),
            ("a long extension value", &long_value),
        ];
        for (case, body) in cases {
            eprintln!("{case}");
            http::expect_refusal(server.address, send_head(server, CHUNKED) + "\r\n" + body, 400);
        }
        endless_parts_are_refused(server);
        chunked_bodies_are_read(server);
    });
}

/// Extensions and trailers that never end are refused before long.
fn endless_parts_are_refused(server: &TestServer) {
    for (case, beginning, more) in [
        ("an endless extension", "2;", "name=value;"),
        ("endless trailers", "2\r\n{}\r\n0\r\n", "X-Trailer: value\r\n"),
        ("an endless trailer", "2\r\n{}\r\n0\r\nX-Trailer: ", "value"),
        ("a size with endless zeros", "0", "0"),
    ] {
        eprintln!("{case}");
        let head = send_head(server, CHUNKED) + "\r\n" + beginning;
        let (response, sent) = send_until_answered(server, &head, more.repeat(1_024).as_bytes());
        response.expect_problem(400);
        assert!(sent < 256 << 10, "{case}: answered after {sent} bytes");
    }
}

fn chunked_bodies_are_read(server: &TestServer) {
    let (one, two) = MESSAGE.split_at(30);
    let body =
        format!("{:x};name=value\r\n{one}\r\n{:X}\r\n{two}\r\n000\r\nX-Trailer: value\r\n\r\n", one.len(), two.len());
    let response = http::exchange(server.address, send_head(server, CHUNKED) + "\r\n" + &body);
    assert_eq!(response.status, 202, "{}", String::from_utf8_lossy(&response.body));
}

#[test]
fn row_05_body_over_the_limit() {
    row::run(&[], |server| {
        for length in ["4194304", "1099511627776", "9223372036854775807"] {
            let request = send_head(server, &format!("Content-Length: {length}\r\n")) + "\r\n";
            http::expect_refusal(server.address, request, 413);
        }
        let chunk = send_head(server, CHUNKED) + "\r\n7fffffff\r\n";
        http::expect_refusal(server.address, chunk, 413);
        crossing_the_limit_is_refused(server);
    });
}

/// A body in small chunks is refused at the one that crosses the limit.
fn crossing_the_limit_is_refused(server: &TestServer) {
    let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
    let (response, sent) = send_until_answered(server, &(send_head(server, CHUNKED) + "\r\n"), chunk.as_bytes());
    response.expect_problem(413);
    assert!(sent < TOO_MUCH_BYTES / 2, "answered after {sent} bytes");
}

/// Sends `head`, and `piece` again and again until the answer comes. Returns it and how much was sent.
#[track_caller]
fn send_until_answered(server: &TestServer, head: &str, piece: &[u8]) -> (Response, usize) {
    let mut tcp = Tcp::connect(server.address);
    tcp.send(head);
    let mut sent = 0;
    while tcp.fill(Instant::now() + LOOK) == Arrival::Nothing && sent < TOO_MUCH_BYTES {
        // Ok because the answer is on its way when the server takes no more.
        let _ = tcp.try_send(piece);
        sent += piece.len();
    }
    let response = http::read_response(&mut tcp);
    tcp.expect_end(PATIENCE);
    (response, sent)
}

#[test]
fn row_06_encoded_bodies() {
    row::run(&[], |server| {
        for coding in ["gzip", "deflate", "br", "zstd", "gzip, gzip", "unknown"] {
            let headers = [&USER[..], &[("Content-Encoding", coding)]].concat();
            let response = http::request(server.address, "POST", "/ws-api/send", &headers, MESSAGE.as_bytes());
            response.expect_problem(415);
        }
    });
}

#[test]
fn row_06_expect_continue() {
    row::run(&[], |server| {
        for expectation in ["100-continue", "100-Continue"] {
            let mut tcp = Tcp::connect(server.address);
            let lines = format!("Expect: {expectation}\r\nContent-Length: {}\r\n", MESSAGE.len());
            tcp.send(send_head(server, &lines) + "\r\n");
            assert_eq!(http::read_response(&mut tcp).status, 100, "before the body");
            tcp.send(MESSAGE);
            assert_eq!(http::read_response(&mut tcp).status, 202, "after the body");
        }
        let refused = send_head(server, "Expect: 100-continue\r\nContent-Length: 4194304\r\n") + "\r\n";
        http::expect_refusal(server.address, refused, 413);
    });
}
