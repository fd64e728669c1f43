//! Several requests on one connection, and HEAD.

use super::common::http::{self, Response, encode, read_response};
use super::common::json;
use super::common::server::TestServer;
use super::common::tcp::{Arrival, Tcp};
use super::common::wait::PATIENCE;
use super::{NOTIFY, SEND, accepted, server};
use std::time::Instant;

const JSON_AS_USER: [(&str, &str); 2] = [("Authorization", "Bearer user-1"), ("Content-Type", "application/json")];

fn message(id: u64) -> String {
    format!(r#"{{"id":"m{id}","type":"custom","sessionId":"s1","payload":{{}}}}"#)
}

#[test]
fn requests_follow_each_other_on_one_connection() {
    let server = server();
    let mut tcp = Tcp::connect(server.address);
    for id in 1..=10 {
        tcp.send(encode(server.address, "POST", SEND, &JSON_AS_USER, message(id).as_bytes()));
        let response = read_response(&mut tcp);
        assert_eq!(json::number(&accepted(&response), "seq"), id);
        tcp.send(encode(server.address, "GET", "/healthz", &[], b""));
        assert_eq!(read_response(&mut tcp).status, 200);
        // A request that is refused for what it says leaves the connection as it was.
        tcp.send(encode(server.address, "POST", SEND, &JSON_AS_USER, b"{}"));
        read_response(&mut tcp).expect_problem(400);
        tcp.send(encode(server.address, "GET", "/unknown", &[], b""));
        read_response(&mut tcp).expect_problem(404);
    }
}

#[test]
fn requests_may_be_sent_at_once() {
    let server = server();
    let mut tcp = Tcp::connect(server.address);
    let request = |id| encode(server.address, "POST", SEND, &JSON_AS_USER, message(id).as_bytes());
    tcp.send((1..=10).flat_map(request).collect::<Vec<u8>>());
    for id in 1..=10 {
        let answer = accepted(&read_response(&mut tcp));
        assert!(json::is(&answer, "id", &format!("m{id}")), "answers keep their order: {answer:?}");
    }
}

#[test]
fn close_is_honoured() {
    let server = server();
    let mut tcp = Tcp::connect(server.address);
    tcp.send(encode(server.address, "GET", "/healthz", &[("Connection", "close")], b""));
    let response = read_response(&mut tcp);
    assert_eq!((response.status, response.header("connection")), (200, Some("close")));
    assert_eq!(tcp.expect_end(PATIENCE), Arrival::End);
}

/// Sends HEAD and returns the head of the answer. Right behind it must stand the answer to a second request.
#[track_caller]
fn head(server: &TestServer, target: &str) -> Response {
    let mut tcp = Tcp::connect(server.address);
    let second = encode(server.address, "GET", "/healthz", &[("Connection", "close")], b"");
    let token = [("Authorization", "Bearer user-1")];
    tcp.send([encode(server.address, "HEAD", target, &token, b""), second].concat());
    let end = read_head(&mut tcp, target);
    // The helper takes a body's bytes by its length, of which there are none here.
    let text = String::from_utf8(tcp.pending()[..end].to_vec()).expect("ASCII");
    tcp.consume(end);
    let second = read_response(&mut tcp);
    assert_eq!((second.status, second.body.as_slice()), (200, &b"ok\n"[..]), "HEAD {target} has no body");
    let status = text[9..12].parse().expect("a status");
    let lines = text.lines().skip(1).filter_map(|line| line.split_once(": "));
    let headers = lines.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    Response { status, headers, body: Vec::new() }
}

/// Waits for a whole head; where it ends.
#[track_caller]
fn read_head(tcp: &mut Tcp, target: &str) -> usize {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(at) = tcp.pending().windows(4).position(|window| window == b"\r\n\r\n") {
            return at + 4;
        }
        let arrival = tcp.fill(deadline);
        assert_eq!(arrival, Arrival::Bytes, "the head of HEAD {target}");
    }
}

#[test]
fn head_is_get_without_a_body() {
    let server = server();
    for target in ["/healthz", "/readyz", "/", "/ws-api/connections/session/s1", "/ws-api/status", "/metrics"] {
        let head = head(&server, target);
        let token = [("Authorization", "Bearer user-1")];
        let get = http::request(server.address, "GET", target, &token, b"");
        assert_eq!((head.status, get.status), (200, 200), "{target}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{target}");
        let length: usize = head.header("content-length").and_then(|n| n.parse().ok()).expect("a length");
        assert!(length > 0, "{target}");
        let fixed = !["/ws-api/status", "/metrics"].contains(&target);
        assert!(!fixed || length == get.body.len(), "{target}: {length}, not {}", get.body.len());
    }
}

#[test]
fn head_of_what_is_not_there_has_no_body_either() {
    let server = server();
    assert_eq!(head(&server, "/unknown").status, 404);
    for target in [SEND, NOTIFY] {
        let refused = head(&server, target);
        assert_eq!(refused.status, 405, "{target}");
        assert!(refused.header("allow").is_some_and(|allow| allow.contains("POST")), "{target}");
    }
}
