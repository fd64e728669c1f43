//! Bodies: sized and chunked, their types and their limits.

use super::common::client::Client;
use super::common::http::{self, Response};
use super::common::json;
use super::common::server::TestServer;
use super::common::tcp::Tcp;
use super::common::wait::PATIENCE;
use super::{BROADCAST, NOTIFY, SEND, accepted, post, server};
use simd_json::prelude::*;

const MESSAGE: &str = r#"{"id":"m1","type":"custom","sessionId":"s1","payload":{"any":"JSON"}}"#;

/// The head of a post of JSON by `user`, up to these last lines.
fn head(server: &TestServer, user: &str, target: &str, lines: &str) -> String {
    let address = server.address;
    format!(
        "POST {target} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {user}\r\n\
         Content-Type: application/json\r\n{lines}\r\n"
    )
}

/// The body in chunks of `size` bytes.
fn chunked(body: &str, size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in body.as_bytes().chunks(size) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

#[track_caller]
fn post_chunked(server: &TestServer, user: &str, target: &str, body: &str, size: usize) -> Response {
    let head = head(server, user, target, "Transfer-Encoding: chunked\r\n");
    http::exchange(server.address, [head.into_bytes(), chunked(body, size)].concat())
}

#[test]
fn chunked_bodies_are_read() {
    let server = server();
    let mut member = Client::connect(server.address, "user-2", "s1");
    for size in [1, 2, 7, 16, 1_000] {
        let message = MESSAGE.replace("m1", &format!("m{size}"));
        accepted(&post_chunked(&server, "user-1", SEND, &message, size));
        let came = member.receive();
        assert_eq!(came["payload"], json::parse(r#"{"any":"JSON"}"#), "in chunks of {size}");
    }
    let operation = r#"{"sessionId":"s1","operationId":"o","operationType":"t","status":"started"}"#;
    accepted(&post_chunked(&server, "user-1", BROADCAST, MESSAGE, 10));
    accepted(&post_chunked(&server, "user-1", NOTIFY, operation, 10));
}

/// A message of exactly so many bytes.
fn message_of(bytes: usize) -> String {
    let empty = r#"{"id":"m1","type":"custom","sessionId":"s1","payload":""}"#;
    let fill = "x".repeat(bytes - empty.len());
    empty.replace(r#""payload":"""#, &format!(r#""payload":"{fill}""#))
}

#[track_caller]
fn assert_too_large(response: &Response) {
    let problem = response.expect_problem(413);
    assert!(json::is(&problem, "code", "too_large"), "{}", problem.encode());
}

#[test]
fn the_limit_is_the_message_s() {
    let server = server();
    for (user, limit) in [("user-1", 65_536), ("service:worker", 1 << 20)] {
        for target in [SEND, BROADCAST] {
            accepted(&post(&server, user, target, &message_of(limit)));
            accepted(&post_chunked(&server, user, target, &message_of(limit), 50_000));
            assert_too_large(&declared(&server, user, target, limit + 1));
        }
    }
    assert_too_large(&declared(&server, "user-1", NOTIFY, 65_537));
}

/// The answer to a body of so many bytes, none of which is sent: it comes at once.
#[track_caller]
fn declared(server: &TestServer, user: &str, target: &str, bytes: usize) -> Response {
    let mut tcp = Tcp::connect(server.address);
    tcp.send(head(server, user, target, &format!("Content-Length: {bytes}\r\n")));
    let response = http::read_response(&mut tcp);
    tcp.expect_end(PATIENCE);
    response
}

#[test]
fn a_chunked_body_may_not_cross_the_limit() {
    let server = server();
    for (user, limit) in [("user-1", 65_536), ("service:worker", 1 << 20)] {
        let mut tcp = Tcp::connect(server.address);
        tcp.send(head(&server, user, SEND, "Transfer-Encoding: chunked\r\n"));
        // The chunk that crosses the limit has begun; nothing more is sent.
        let start = format!("{limit:x}\r\n{}\r\n1\r\n", "x".repeat(limit));
        tcp.send(start);
        assert_too_large(&http::read_response(&mut tcp));
    }
}

#[test]
fn the_limits_can_be_set() {
    let env = [("HASHI_MAX_MESSAGE_BYTES", "1000"), ("HASHI_MAX_SERVICE_MESSAGE_BYTES", "5000")];
    let server = TestServer::spawn_process(&env);
    for (user, limit) in [("user-1", 1000), ("service:worker", 5000)] {
        accepted(&post(&server, user, SEND, &message_of(limit)));
        assert_too_large(&post(&server, user, SEND, &message_of(limit + 1)));
        let mut client = Client::connect(server.address, user, "s1");
        client.ws.text(&message_of(limit));
        assert!(json::is(&client.receive(), "id", "m1"), "{user}: the same limit over WebSocket");
        client.ws.text(&message_of(limit + 1));
        client.ws.expect_close(1009);
    }
}

#[test]
fn only_json_is_taken() {
    let server = server();
    for target in [SEND, BROADCAST, NOTIFY] {
        for (case, lines) in [
            ("no type", "Content-Length: 2\r\n".to_owned()),
            ("text", "Content-Type: text/plain\r\nContent-Length: 2\r\n".to_owned()),
            ("like JSON", "Content-Type: application/json5\r\nContent-Length: 2\r\n".to_owned()),
            ("encoded", "Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n".to_owned()),
        ] {
            let address = server.address;
            let start = format!("POST {target} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer user-1\r\n");
            let response = http::exchange(address, format!("{start}{lines}\r\n{{}}"));
            let problem = response.expect_problem(415);
            assert!(!json::string(&problem, "message").is_empty(), "{target}, {case}");
        }
    }
    let with_charset = [("Authorization", "Bearer user-1"), ("Content-Type", "application/json;charset=UTF-8")];
    accepted(&http::request(server.address, "POST", SEND, &with_charset, MESSAGE.as_bytes()));
}

#[test]
fn a_body_that_is_not_utf_8() {
    let server = server();
    let headers = [("Authorization", "Bearer user-1"), ("Content-Type", "application/json")];
    let start = br#"{"id":"m1","type":"custom","sessionId":"s1","payload":""#;
    for bad in [&b"\xff"[..], b"\xc3", b"\xed\xa0\x80", b"\xc0\xaf"] {
        let body = [&start[..], bad, b"\"}"].concat();
        let problem = http::request(server.address, "POST", SEND, &headers, &body).expect_problem(400);
        assert!(json::is(&problem, "code", "bad_message"), "{bad:?}: {}", problem.encode());
        let offset = json::number(&problem, "offset") as usize;
        assert!((start.len()..=start.len() + bad.len()).contains(&offset), "{bad:?}: {}", problem.encode());
    }
}

#[test]
fn no_body_at_all() {
    let server = server();
    for target in [SEND, BROADCAST, NOTIFY] {
        let problem = post(&server, "user-1", target, "").expect_problem(400);
        assert!(json::is(&problem, "code", "bad_message"), "{target}: {}", problem.encode());
    }
}
