//! How streams and polls end when the server does.

use super::TestServer;
use super::common::http;
use super::common::json;
use super::common::status;
use super::common::tcp::Tcp;
use super::stream::Stream;
use super::{encode, get, ids_of, poll, server};
use hashi::Config;
use simd_json::prelude::*;

#[test]
fn a_drain_is_announced_and_then_closes_with_4000() {
    let config = Config { port: 0, drain_ms: 2_000, ..Config::default() };
    let server = TestServer::start(config);
    let mut stream = Stream::open(server.address, "user-1", "sessionId=s1", &[]);
    stream.welcome();
    let cursor = encode(json::string(&poll(&server, "user-2", "sessionId=s1"), "cursor"));
    let mut waiting = Tcp::connect(server.address);
    let target = format!("/ws-api/poll?sessionId=s1&cursor={cursor}");
    waiting.send(http::encode(server.address, "GET", &target, &[("Authorization", "Bearer user-2")], b""));
    status::expect(server.address, "connections.poll", 1);
    server.handle().shutdown();
    let answer = http::read_response(&mut waiting);
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(ids_of(&answer.json()).is_empty() && json::boolean(&answer.json(), "recovered"));
    let drain = stream.receive();
    assert!(json::is(&drain, "type", "hashi:drain"), "{}", drain.encode());
    for route in ["events", "poll"] {
        let problem = get(&server, "user-3", &format!("/ws-api/{route}?sessionId=s1")).expect_problem(503);
        assert!(json::is(&problem, "code", "draining"));
    }
    stream.expect_close(4000);
}

/// The end of what the client sends is the end of the stream.
#[test]
fn a_client_that_ends_its_side_is_gone() {
    let server = server();
    let mut stream = Stream::open(server.address, "user-1", "sessionId=s1", &[]);
    stream.welcome();
    stream.tcp.send("what a stream sends is not looked at");
    status::expect(server.address, "connections.sse", 1);
    stream.tcp.finish_sending();
    status::expect_empty(server.address);
}
