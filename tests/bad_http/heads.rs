//! Rows 1 to 4 and 12: request heads.

use super::common::ECHO_PATH;
use super::common::http::{self, NoResponse};
use super::common::json;
use super::common::row;
use super::common::server::TestServer;
use super::common::tcp::{Arrival, Tcp};
use super::common::websocket::upgrade_request;
use super::send_head;
use simd_json::prelude::*;
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

/// When a head of which the rest does not come is given up: 5 s, and what timers and a busy machine add.
const HEAD_DEADLINE: Range<Duration> = Duration::from_millis(4_500)..Duration::from_millis(6_500);
const WAIT: Duration = Duration::from_secs(9);
const DRIP: Duration = Duration::from_millis(100);

#[test]
fn row_01_head_not_complete_in_time() {
    row::run_beside_others(&[], |server| {
        thread::scope(|scope| {
            scope.spawn(|| silence_is_closed_silently(server));
            for part in ["G", "GET /ws-api/status HTTP/1.1", "GET /ws-api/status HTTP/1.1\r\nHost: localhost\r\n"] {
                scope.spawn(move || part_of_a_head_is_answered(server, part));
            }
            scope.spawn(|| drip_does_not_extend_the_deadline(server));
            scope.spawn(|| second_head_has_the_same_deadline(server));
        });
    });
}

#[track_caller]
fn assert_in_time(start: Instant, case: &str) {
    let elapsed = start.elapsed();
    assert!(HEAD_DEADLINE.contains(&elapsed), "{case}: after {elapsed:?}");
}

fn silence_is_closed_silently(server: &TestServer) {
    let start = Instant::now();
    let mut tcp = Tcp::connect(server.address);
    let answer = http::try_read_response(&mut tcp, WAIT);
    assert_eq!(answer.expect_err("no answer to nothing"), NoResponse::Ended(0));
    assert_in_time(start, "silence");
}

fn part_of_a_head_is_answered(server: &TestServer, part: &str) {
    let start = Instant::now();
    let mut tcp = Tcp::connect(server.address);
    tcp.send(part);
    expect_timeout(&mut tcp, start, part);
}

fn drip_does_not_extend_the_deadline(server: &TestServer) {
    let start = Instant::now();
    let mut tcp = Tcp::connect(server.address);
    let head = send_head(server, "");
    for byte in head.bytes() {
        // Ok because the server may have hung up; what it said before is looked at below.
        let _ = tcp.try_send([byte]);
        if tcp.fill(Instant::now() + DRIP) != Arrival::Nothing {
            break;
        }
    }
    expect_timeout(&mut tcp, start, "a drip");
}

fn second_head_has_the_same_deadline(server: &TestServer) {
    let mut tcp = Tcp::connect(server.address);
    tcp.send(http::encode(server.address, "GET", "/healthz", &[], b""));
    assert_eq!(http::read_response(&mut tcp).status, 200);
    let start = Instant::now();
    tcp.send("GET /healthz HT");
    expect_timeout(&mut tcp, start, "a second head");
}

#[track_caller]
fn expect_timeout(tcp: &mut Tcp, start: Instant, case: &str) {
    let answer = http::try_read_response(tcp, WAIT).unwrap_or_else(|none| panic!("{case}: 408, but: {none:?}"));
    answer.expect_problem(408);
    assert_in_time(start, case);
    tcp.expect_end(WAIT);
}

#[test]
fn row_02_head_too_large() {
    row::run(&[], |server| {
        let line = |length: usize| format!("X-Long: {}\r\n", "v".repeat(length - "X-Long: \r\n".len()));
        let lines = |count: usize| (0..count).map(|number| format!("X-{number}: v\r\n")).collect::<String>();
        let get = |lines: String| format!("GET /ws-api/status HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n");
        let cases = [
            ("a head of 9 KiB in lines of 3 KiB", get(line(3_072).repeat(3)), 431),
            ("64 headers besides Host", get(lines(64)), 431),
            ("200 headers", get(lines(200)), 431),
            ("a line over 4 KiB", get(line(4_200)), 431),
            ("a line over 8 KiB", get(line(9_000)), 431),
            ("a target of 2,049 bytes", format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "t".repeat(2_048)), 414),
            ("a target of 3,000 bytes", format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "t".repeat(2_999)), 414),
        ];
        for (case, request, status) in cases {
            eprintln!("{case}");
            let problem = http::expect_refusal(server.address, request, status).json();
            assert!(json::string(&problem, "detail").ends_with('.'), "a sentence: {}", problem.encode());
        }
        let allowed = [
            ("64 headers with Host", get(lines(63)), 200),
            ("two lines just under 4 KiB", get(line(4_000)), 200),
            ("a target of 2,048 bytes", format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "t".repeat(2_047)), 404),
        ];
        for (case, request, status) in allowed {
            assert_eq!(http::exchange(server.address, request).status, status, "{case}");
        }
        endless_head_is_refused_when_it_is_too_long(server);
    });
}

/// The answer does not wait for the end of a head that has none.
fn endless_head_is_refused_when_it_is_too_long(server: &TestServer) {
    for (beginning, more, status) in [
        ("GET /ws-api/status HTTP/1.1\r\nHost: localhost\r\nX-Endless: ", "endless".to_owned(), 431),
        ("GET /ws-api/status HTTP/1.1\r\nHost: localhost\r\n", "X-Endless: line\r\n".to_owned(), 431),
        ("GET /", "endless".to_owned(), 414),
    ] {
        let start = Instant::now();
        let mut tcp = Tcp::connect(server.address);
        let request = [beginning, &more.repeat(16_384 / more.len())].concat();
        tcp.send(request);
        http::read_response(&mut tcp).expect_problem(status);
        assert!(start.elapsed() < Duration::from_secs(3), "the refusal of {beginning:?} waited for more");
        tcp.expect_end(WAIT);
    }
}

#[test]
fn row_03_version_and_host() {
    row::run(&[], |server| {
        let http_1_0 = String::from_utf8(upgrade_request(server.address, ECHO_PATH, &[])).expect("ASCII");
        let cases = [
            ("HTTP/0.9 without a version", "GET /ws-api/status\r\n\r\n".to_owned(), 505),
            ("HTTP/0.9", "GET /ws-api/status HTTP/0.9\r\n\r\n".to_owned(), 505),
            ("HTTP/2.0", "GET /ws-api/status HTTP/2.0\r\nHost: localhost\r\n\r\n".to_owned(), 505),
            ("HTTP/3.0", "GET /ws-api/status HTTP/3.0\r\nHost: localhost\r\n\r\n".to_owned(), 505),
            ("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 505),
            ("no Host", "GET /ws-api/status HTTP/1.1\r\n\r\n".to_owned(), 400),
            ("two Hosts", "GET /ws-api/status HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n".to_owned(), 400),
            ("an upgrade on HTTP/1.0", http_1_0.replace("HTTP/1.1", "HTTP/1.0"), 400),
        ];
        for (case, request, status) in cases {
            eprintln!("{case}");
            http::expect_refusal(server.address, request, status);
        }
    });
}

/// Header lines that each spoil a `POST /ws-api/send` with the body `{}`.
const SPOILING_LINES: [(&str, &str); 43] = [
    ("a length and a coding", "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"),
    ("a coding and a length", "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n"),
    ("the same length twice", "Content-Length: 2\r\nContent-Length: 2\r\n"),
    ("two lengths", "Content-Length: 2\r\nContent-Length: 3\r\n"),
    ("two lengths in a list", "Content-Length: 2, 2\r\n"),
    ("a length with a plus", "Content-Length: +5\r\n"),
    ("a hexadecimal length", "Content-Length: 0x2\r\n"),
    ("hexadecimal digits", "Content-Length: a\r\n"),
    ("a negative length", "Content-Length: -1\r\n"),
    ("minus zero", "Content-Length: -0\r\n"),
    ("a decimal fraction", "Content-Length: 2.0\r\n"),
    ("an exponent", "Content-Length: 2e0\r\n"),
    ("a digit separator", "Content-Length: 1_0\r\n"),
    ("two numbers", "Content-Length: 2 2\r\n"),
    ("an empty length", "Content-Length: \r\n"),
    ("a length of 2^64", "Content-Length: 18446744073709551616\r\n"),
    ("a length of 2^64 + 2", "Content-Length: 18446744073709551618\r\n"),
    ("a length of 30 digits", "Content-Length: 999999999999999999999999999999\r\n"),
    ("a space before the colon of the coding", "Transfer-Encoding : chunked\r\n"),
    ("a space before the colon of the length", "Content-Length : 2\r\n"),
    ("a tab before a colon", "X-Tab\t: v\r\n"),
    ("another coding", "Transfer-Encoding: gzip\r\n"),
    ("chunked before another coding", "Transfer-Encoding: chunked, gzip\r\n"),
    ("a coding that only ends like chunked", "Transfer-Encoding: xchunked\r\n"),
    ("identity", "Transfer-Encoding: identity\r\n"),
    ("an empty coding", "Transfer-Encoding: \r\n"),
    ("a control byte before chunked", "Transfer-Encoding: \x0bchunked\r\n"),
    ("a coding in two lines, not ending in chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n"),
    ("a folded line", "X-Folded: a\r\n b\r\nContent-Length: 2\r\n"),
    ("a line folded by a tab", "X-Folded: a\r\n\tb\r\nContent-Length: 2\r\n"),
    ("a line that ends in LF", "X-Bare: v\nContent-Length: 2\r\n"),
    ("a CR inside a value", "X-Bare: a\rb\r\nContent-Length: 2\r\n"),
    ("a CR before CRLF", "X-Bare: a\r\r\nContent-Length: 2\r\n"),
    ("NUL in a value", "X-Nul: a\0b\r\nContent-Length: 2\r\n"),
    ("NUL in a name", "X-N\0l: v\r\nContent-Length: 2\r\n"),
    ("U+0001 in a value", "X-Control: a\x01b\r\nContent-Length: 2\r\n"),
    ("ESC in a value", "X-Control: \x1b[2J\r\nContent-Length: 2\r\n"),
    ("DEL in a value", "X-Control: \x7f\r\nContent-Length: 2\r\n"),
    ("a line without a colon", "nonsense\r\nContent-Length: 2\r\n"),
    ("an empty name", ": v\r\nContent-Length: 2\r\n"),
    ("a space in a name", "X Y: v\r\nContent-Length: 2\r\n"),
    ("a parenthesis in a name", "X(Y): v\r\nContent-Length: 2\r\n"),
    ("a quote in a name", "X\"Y: v\r\nContent-Length: 2\r\n"),
];

#[test]
fn row_04_malformed_head() {
    row::run(&[], |server| {
        for (case, lines) in SPOILING_LINES {
            eprintln!("{case}");
            http::expect_refusal(server.address, send_head(server, lines) + "\r\n{}", 400);
        }
        for (case, request) in [
            ("a head of lines that end in LF", "GET /ws-api/status HTTP/1.1\nHost: localhost\n\n"),
            ("a request line that ends in LF", "GET /ws-api/status HTTP/1.1\nHost: localhost\r\n\r\n"),
            ("a last line that is LF", "GET /ws-api/status HTTP/1.1\r\nHost: localhost\r\n\n"),
            ("CR alone", "GET /ws-api/status HTTP/1.1\rHost: localhost\r\r"),
            ("NUL in the target", "GET /ws-api/\0status HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            ("ESC in the target", "GET /\x1b HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            ("NUL in the method", "G\0T / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            ("a space before the first name", "GET / HTTP/1.1\r\n Host: localhost\r\n\r\n"),
            ("no method", " / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ] {
            eprintln!("{case}");
            http::expect_refusal(server.address, request, 400);
        }
    });
}

/// The first record of a TLS 1.3 handshake, up to its random bytes, and what follows cut short.
const CLIENT_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x2b\x0a\x0d\x0a\x0d\x0a\x20\x13\x01\x13\x02";

#[test]
fn row_12_other_protocols() {
    row::run(&[], |server| {
        let cases: [(&str, &[u8]); 9] = [
            ("a TLS ClientHello", CLIENT_HELLO),
            ("an SSH banner", b"SSH-2.0-OpenSSH_9.6\r\n"),
            ("an SMTP greeting", b"EHLO mail.example\r\n"),
            ("Redis", b"*1\r\n$4\r\nPING\r\n"),
            ("a WebSocket frame", b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
            ("zeros", &[0; 64]),
            ("ones", &[0xff; 64]),
            ("JSON", b"{\"type\":\"authentication\"}\r\n\r\n"),
            ("UTF-8", "κόσμε\r\n\r\n".as_bytes()),
        ];
        for (case, bytes) in cases {
            eprintln!("{case}");
            http::expect_refusal(server.address, bytes, 400);
        }
        for seed in 1..=20 {
            eprintln!("noise from seed {seed}");
            http::expect_refusal(server.address, noise(seed), 400);
        }
    });
}

/// 256 bytes of xorshift noise; the first cannot begin a method.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::once(0x80).chain((0..255).map(|_| next())).collect()
}
