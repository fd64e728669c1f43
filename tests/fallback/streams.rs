//! Event streams as they are when nothing goes wrong.

use super::common::client::Client;
use super::common::http;
use super::common::json;
use super::common::server::TestServer;
use super::common::status;
use super::common::tcp::Tcp;
use super::common::wait::{self, PATIENCE};
use super::stream::Stream;
use super::{encode, get, publish, publish_message, server};
use simd_json::json;
use simd_json::prelude::*;
use std::process::{Command, Stdio};

#[test]
fn the_head_says_what_it_is_and_the_welcome_comes_first() {
    let server = server();
    let mut stream = Stream::open(server.address, "user-1", "sessionId=s1&features=resume,new", &[]);
    let head = stream.head.to_ascii_lowercase();
    for line in
        ["content-type: text/event-stream", "cache-control: no-store", "x-accel-buffering: no", "connection: close"]
    {
        assert!(head.contains(&format!("{line}\r\n")), "{line} in {head}");
    }
    assert!(!head.contains("content-length"), "{head}");
    let welcome = stream.welcome();
    assert!(json::is(&welcome, "payload.userId", "user-1") && json::is(&welcome, "payload.sessionId", "s1"));
    assert_eq!(json::find(&welcome, "payload.features").map(|list| list.encode()), Some(r#"["resume"]"#.to_owned()));
    let epoch = |at: usize| json::string(&json::find(&welcome, "payload.positions").unwrap()[at], "epoch").to_owned();
    assert_eq!(stream.last_id, Some(format!("s1:{}:0,~:{}:0", epoch(0), epoch(1))), "in the order of the positions");
}

#[test]
fn messages_of_the_session_and_of_the_user_arrive() {
    let server = server();
    let mut stream = Stream::open(server.address, "user-1", "sessionId=s1", &[]);
    stream.welcome();
    let mut client = Client::connect(server.address, "user-2", "s1");
    client.send(&json!({"id": "a", "type": "custom", "payload": {}}));
    client.send(&json!({"id": "b", "type": "custom", "to": {"userId": "user-1"}, "payload": 1}));
    assert!(json::is(&stream.receive(), "id", "a"));
    let personal = stream.receive();
    assert!(json::is(&personal, "sessionId", "@user-1") && json::number(&personal, "seq") == 1);
    assert!(stream.last_id.is_some_and(|id| id.contains(":1,~:") && id.ends_with(":1")));
}

/// Line ends in a payload are passed on, each in a line of its own.
#[test]
fn a_payload_with_line_ends_is_whole() {
    let server = server();
    let mut stream = Stream::open(server.address, "user-1", "sessionId=s1", &[]);
    stream.welcome();
    let mut client = Client::connect(server.address, "user-2", "s1");
    client.ws.text("{\"id\":\"a\",\"type\":\"custom\",\"payload\":{\n\"a\":\r\n[1,\r2]}}");
    let event = stream.next();
    assert!(event.data.ends_with("\"payload\":{\n\"a\":\n[1,\n2]}}"), "{}", event.data);
    assert!(json::is(&event.json(), "id", "a"));
}

#[test]
fn names_in_a_cursor_are_encoded() {
    let server = server();
    let name = "a b/ü~,:%";
    let mut stream = Stream::open(server.address, "user-1", &format!("sessionId={}", encode(name)), &[]);
    let welcome = stream.welcome();
    assert!(json::is(&welcome, "payload.sessionId", name));
    assert!(stream.last_id.is_some_and(|id| id.starts_with("a%20b%2F%C3%BC%7E%2C%3A%25:")));
}

#[test]
fn without_a_session_it_is_in_the_personal_one() {
    let server = server();
    let mut stream = Stream::open(server.address, "user-1", "", &[]);
    let welcome = stream.welcome();
    assert!(json::find(&welcome, "payload.sessionId").is_none());
    assert!(stream.last_id.is_some_and(|id| id.starts_with("~:") && id.ends_with(":0")));
}

/// It counts and is listed like any other connection, and is gone when its client is.
#[test]
fn it_is_a_connection_until_its_client_goes() {
    let server = TestServer::spawn_process(&[("WEBSOCKET_MAX_CONNECTIONS", "1")]);
    let mut stream = Stream::open(server.address, "user-1", "sessionId=s1", &[]);
    let welcome = stream.welcome();
    let status = status::read(server.address);
    let count = |path: &str| json::number(&status, path);
    assert_eq!(
        (count("connections.sse"), count("connections.websocket"), count("connections.authenticated")),
        (1, 0, 1)
    );
    assert!(!json::boolean(&status, "accepting"));
    let listed = get(&server, "user-1", "/ws-api/connections/session/s1").json();
    let entry = &json::find(&listed, "connections").unwrap()[0];
    assert!(json::is(entry, "transport", "sse"));
    assert_eq!(json::string(entry, "connectionId"), json::string(&welcome, "payload.connectionId"));
    let refused = get(&server, "user-2", "/ws-api/events?sessionId=s1");
    refused.expect_problem(503);
    assert!(refused.header("retry-after").is_some());
    drop(stream);
    status::expect_empty(server.address);
    Stream::open(server.address, "user-2", "sessionId=s1", &[]).welcome();
}

/// `Hashi-Connection` names a stream as it names a WebSocket.
#[test]
fn it_may_be_named_by_requests_of_its_user() {
    let server = server();
    let mut stream = Stream::open(server.address, "user-1", "sessionId=s1", &[]);
    let id = json::string(&stream.welcome(), "payload.connectionId").to_owned();
    let headers =
        [("Authorization", "Bearer user-1"), ("Content-Type", "application/json"), ("Hashi-Connection", id.as_str())];
    for (message, echo) in [("hidden", false), ("seen", true)] {
        let body = json!({"id": message, "type": "custom", "sessionId": "s1", "echo": echo, "payload": {}}).encode();
        let response = http::request(server.address, "POST", "/ws-api/send", &headers, body.as_bytes());
        assert_eq!(response.status, 202);
    }
    assert!(json::is(&stream.receive(), "id", "seen"));
}

/// What a handler answers to such a request goes to it.
#[test]
fn it_gets_what_handlers_answer() {
    let builder = hashi::Server::builder(hashi::Config { port: 0, ..hashi::Config::default() });
    let builder = builder.on("ask", |_, context| context.reply("told", &1).expect("a reply"));
    let server = TestServer::serve(builder.bind().expect("the server binds"));
    let mut stream = Stream::open(server.address, "user-1", "sessionId=s1", &[]);
    let id = json::string(&stream.welcome(), "payload.connectionId").to_owned();
    let headers =
        [("Authorization", "Bearer user-1"), ("Content-Type", "application/json"), ("Hashi-Connection", id.as_str())];
    let body = json!({"id": "q1", "type": "ask", "sessionId": "s1", "ack": true, "payload": {}}).encode();
    assert_eq!(http::request(server.address, "POST", "/ws-api/send", &headers, body.as_bytes()).status, 202);
    let answers = [stream.receive(), stream.receive()];
    assert!(answers.iter().all(|answer| json::is(answer, "replyTo", "q1")));
    for kind in ["told", "ack"] {
        assert!(
            answers.iter().any(|answer| json::is(answer, "type", kind)),
            "no {kind}: the ack may overtake the reply"
        );
    }
}

/// A reliable message that was published while it was away is retried like one that was queued for it.
#[test]
fn what_is_replayed_is_retried() {
    let server = TestServer::spawn_process(&[("HASHI_ACK_TIMEOUT_MS", "100")]);
    let mut stream = Stream::open(server.address, "user-1", "sessionId=s1&features=ack", &[]);
    stream.welcome();
    let query = format!("sessionId=s1&features=ack&cursor={}", encode(&stream.last_id.take().expect("an id")));
    drop(stream);
    publish_message(&server, &json!({"id": "m", "type": "custom", "sessionId": "s1", "reliable": true, "payload": 1}));
    let mut stream = Stream::open(server.address, "user-1", &query, &[]);
    stream.welcome();
    for copy in ["the first", "its retry"] {
        assert!(json::is(&stream.receive(), "id", "m"), "{copy}");
    }
}

/// Answers to requests before it go out first, and nothing is answered behind it.
#[test]
fn it_may_follow_other_requests() {
    let server = server();
    let mut tcp = Tcp::connect(server.address);
    let token = [("Authorization", "Bearer user-1")];
    let first = http::encode(server.address, "GET", "/healthz", &[], b"");
    let second = http::encode(server.address, "GET", "/ws-api/events?sessionId=s1", &token, b"");
    tcp.send([first.clone(), second, first].concat());
    assert_eq!(http::read_response(&mut tcp).body, b"ok\n");
    let mut stream = Stream::begin(tcp);
    stream.welcome();
    publish(&server, "s1", "a", "normal");
    assert!(json::is(&stream.receive(), "id", "a"));
}

/// The command line is a client, too.
#[test]
fn curl_reads_it() {
    let server = server();
    let url = format!("http://{}/ws-api/events?sessionId=s1", server.address);
    let mut curl = Command::new("curl");
    curl.args(["-sN", "--max-time", "20", "-H", "Authorization: Bearer user-1", &url]);
    let Ok(mut child) = curl.stdout(Stdio::piped()).stderr(Stdio::null()).spawn() else {
        eprintln!("there is no curl on this machine");
        return;
    };
    let mut out = child.stdout.take().expect("ok because stdout is a pipe");
    status::expect(server.address, "connections.sse", 1);
    publish(&server, "s1", "from-rest", "high");
    let (done, result) = crossbeam_channel::bounded(1);
    let read = std::thread::spawn(move || {
        let mut text = Vec::new();
        let mut chunk = [0; 4096];
        while !String::from_utf8_lossy(&text).contains("from-rest") {
            match std::io::Read::read(&mut out, &mut chunk) {
                Ok(count) if count > 0 => text.extend_from_slice(&chunk[..count]),
                _ => break,
            }
        }
        // Ok because nobody waits once the test has given up.
        let _ = done.send(String::from_utf8_lossy(&text).into_owned());
    });
    let text = result.recv_timeout(PATIENCE);
    child.kill().expect("curl ends");
    child.wait().expect("curl has ended");
    read.join().expect("the reader ends with curl");
    assert!(text.is_ok_and(|text| text.starts_with("id: s1:") && text.contains("\"id\":\"from-rest\"")));
    wait::until(PATIENCE, || {
        if json::number(&status::read(server.address), "connections.sse") == 0 { Ok(()) } else { Err(()) }
    })
    .expect("the server notices that curl is gone");
}
