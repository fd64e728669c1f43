//! One client that changes its transport again and again: it handles each message once, in order.

use super::common::WS_PATH;
use super::common::client::{Client, envelope};
use super::common::flood::{message, numbered, publish_all};
use super::common::http;
use super::common::json;
use super::common::server::TestServer;
use super::common::tcp::Tcp;
use super::common::wait::PATIENCE;
use super::common::websocket::WebSocket;
use super::reader::Reader;
use super::stream::Stream;
use super::{encode, poll, publish, server};
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;
use std::time::Instant;

/// Messages published between two changes: some while the client is away, some while it listens.
const AWAY: usize = 5;
const THERE: usize = 5;

/// A WebSocket that goes on where the reader stands.
#[track_caller]
fn connect(server: &TestServer, reader: &mut Reader) -> Client {
    let mut ws = WebSocket::open(server.address, WS_PATH);
    let payload = json!({"token": "reader", "sessionId": "s 1", "resume": reader.resume()});
    ws.text(&envelope("a1", "authentication", payload).encode());
    let mut client = Client { ws, welcome: OwnedValue::null() };
    client.welcome = client.receive();
    reader.take(&client.welcome);
    client
}

#[test]
fn from_websocket_to_stream_to_poll_and_back() {
    let server = server();
    let mut reader = Reader::default();
    drop(connect(&server, &mut reader));
    let mut count = 0;
    let mut publish_some = |number: usize| {
        for _ in 0..number {
            count += 1;
            publish(&server, "s 1", &format!("m{count}"), "normal");
        }
        count
    };
    for _ in 0..4 {
        let sent = publish_some(AWAY);
        let mut client = connect(&server, &mut reader);
        read_until(&mut reader, sent, || client.receive());
        let sent = publish_some(THERE);
        read_until(&mut reader, sent, || client.receive());
        drop(client);

        let sent = publish_some(AWAY);
        let query = format!("sessionId=s+1&cursor={}", encode(&reader.cursor()));
        let mut stream = Stream::open(server.address, "reader", &query, &[]);
        read_until(&mut reader, sent, || stream.receive());
        let sent = publish_some(THERE);
        read_until(&mut reader, sent, || stream.receive());
        let mut cursor = stream.last_id.clone().expect("an id");
        drop(stream);

        for number in [AWAY, THERE] {
            publish_some(number);
            let answer = poll(&server, "reader", &format!("sessionId=s+1&cursor={}", encode(&cursor)));
            assert!(json::boolean(&answer, "recovered"));
            for message in json::find(&answer, "messages").and_then(|list| list.as_array()).expect("messages") {
                reader.take(message);
            }
            json::string(&answer, "cursor").clone_into(&mut cursor);
        }
        reader.take_cursor(&cursor, "reader");
    }
    let expected: Vec<String> = (1..=count).map(|number| format!("m{number}")).collect();
    assert_eq!(reader.handled, expected);
}

#[track_caller]
fn read_until(reader: &mut Reader, count: usize, mut receive: impl FnMut() -> OwnedValue) {
    while reader.handled.len() < count {
        reader.take(&receive());
    }
}

/// Each connection is cut at some byte, of a frame, an event or an answer; the next one is of another kind.
#[test]
fn ten_thousand_messages_and_twenty_cuts_over_all_transports() {
    const MESSAGES: usize = 10_000;
    const CUTS: usize = 20;
    const PART: usize = MESSAGES / CUTS;
    let server = TestServer::spawn_process(&[("HASHI_HISTORY_MESSAGES", "2000"), ("HASHI_HISTORY_BYTES", "16MiB")]);
    let mut reader = Reader::default();
    drop(connect(&server, &mut reader));
    let mut publisher = Client::connect(server.address, "publisher", "s 1");
    for round in 0..CUTS {
        let (sent, cut_at) = (round * PART, 1 + 97 * round);
        let messages = numbered("m", sent + 1..=sent + PART);
        let messages: Vec<_> = messages.iter().map(|id| message(id, "normal")).collect();
        let (away, there) = messages.split_at(PART / 2);
        publish_all(&mut publisher, away);
        // Some of it was published before, some comes while it listens, and the cut leaves some of both.
        let wanted = (sent + PART * round / CUTS).max(reader.handled.len());
        let tcp = match round % 3 {
            0 => {
                let mut client = connect(&server, &mut reader);
                publish_all(&mut publisher, there);
                read_until(&mut reader, wanted, || client.receive());
                client.ws.tcp
            }
            1 => {
                let query = format!("sessionId=s+1&cursor={}", encode(&reader.cursor()));
                let mut stream = Stream::open(server.address, "reader", &query, &[]);
                publish_all(&mut publisher, there);
                read_until(&mut reader, wanted, || stream.receive());
                stream.tcp
            }
            _ => {
                publish_all(&mut publisher, there);
                while reader.handled.len() < wanted {
                    take_poll(&server, &mut reader);
                }
                let target = format!("/ws-api/poll?sessionId=s+1&cursor={}", encode(&reader.cursor()));
                let mut tcp = Tcp::connect(server.address);
                tcp.send(http::encode(server.address, "GET", &target, &[("Authorization", "Bearer reader")], b""));
                tcp
            }
        };
        cut(tcp, cut_at);
    }
    let mut client = connect(&server, &mut reader);
    read_until(&mut reader, MESSAGES, || client.receive());
    assert!(reader.handled == numbered("m", 1..=MESSAGES), "each once and in order");
}

/// Asks once, and takes what is there.
#[track_caller]
fn take_poll(server: &TestServer, reader: &mut Reader) {
    let answer = poll(server, "reader", &format!("sessionId=s+1&cursor={}", encode(&reader.cursor())));
    assert!(json::boolean(&answer, "recovered"));
    for message in json::find(&answer, "messages").and_then(|list| list.as_array()).expect("messages") {
        reader.take(message);
    }
}

/// Takes a few more bytes off the connection and resets it.
fn cut(mut tcp: Tcp, bytes: usize) {
    tcp.fill_at_most(bytes, Instant::now() + PATIENCE / 50);
    tcp.abort();
}

/// A stream goes on for a WebSocket, with all sessions it was in, and the WebSocket is closed.
#[test]
fn a_stream_takes_a_connection_over_and_is_taken_over() {
    let server = server();
    let mut client = Client::connect(server.address, "reader", "s1");
    client.join("s2");
    let query = format!("sessionId=s1&connectionId={}", client.connection_id());
    let mut stream = Stream::open(server.address, "reader", &query, &[]);
    let welcome = stream.welcome();
    client.ws.expect_close(4509);
    publish(&server, "s2", "a", "normal");
    assert!(json::is(&stream.receive(), "id", "a"));
    let mut ws = WebSocket::open(server.address, WS_PATH);
    let id = json::string(&welcome, "payload.connectionId");
    let payload = json!({"token": "reader", "resume": {"connectionId": id}});
    ws.text(&envelope("a1", "authentication", payload).encode());
    stream.expect_close(4509);
}
