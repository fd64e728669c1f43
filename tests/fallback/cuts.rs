//! Streams that are cut at any byte, and go on.

use super::common::client::Client;
use super::common::json;
use super::common::tcp::Arrival;
use super::common::wait::PATIENCE;
use super::reader::Reader;
use super::stream::Stream;
use super::{encode, publish, server};
use simd_json::json;
use simd_json::prelude::*;
use std::time::Instant;

const MESSAGES: usize = 60;

fn ids() -> Vec<String> {
    (0..MESSAGES).map(|index| format!("m{index:03}")).collect()
}

/// Whatever byte is the last one that arrives: with the id of its last whole event the client misses nothing.
#[test]
fn a_cut_at_any_byte_loses_nothing() {
    let server = server();
    let mut first = Stream::open(server.address, "reader", "sessionId=s1", &[]);
    let mut reader = Reader::default();
    reader.take(&first.welcome());
    let mut last_id = first.last_id.clone().expect("the welcome has an id");
    drop(first);
    let mut publisher = Client::connect(server.address, "publisher", "s1");
    for (index, id) in ids().iter().enumerate() {
        let priority = ["high", "normal", "low"][index % 3];
        publisher
            .send(&json!({"id": id.clone(), "type": "custom", "priority": priority, "payload": "x".repeat(index)}));
    }
    publisher.receive_where(|message| json::is(message, "id", "m059"));
    let mut cut = 1;
    while reader.handled.len() < MESSAGES {
        let mut stream = Stream::open(server.address, "reader", "sessionId=s1", &[("Last-Event-ID", &last_id)]);
        read_at_most(&mut stream, cut, &mut reader);
        last_id = stream.last_id.unwrap_or(last_id);
        cut += 97;
        assert!(cut < 100_000, "it does not come to an end: {:?}", reader.handled);
    }
    let mut handled = reader.handled.clone();
    handled.sort();
    assert_eq!(handled, ids(), "each once");
    for rest in 0..3 {
        let of_priority: Vec<_> = ids().into_iter().skip(rest).step_by(3).collect();
        let came: Vec<_> = reader.handled.iter().filter(|id| of_priority.contains(id)).cloned().collect();
        assert_eq!(came, of_priority, "in order");
    }
}

/// Reads `count` bytes after the head and takes the whole events among them.
#[track_caller]
fn read_at_most(stream: &mut Stream, count: usize, reader: &mut Reader) {
    let deadline = Instant::now() + PATIENCE;
    let mut left = count.saturating_sub(stream.tcp.pending().len());
    while left > 0 && reader.handled.len() < MESSAGES {
        let before = stream.tcp.pending().len();
        if stream.tcp.fill_at_most(left, deadline.min(Instant::now() + PATIENCE / 50)) != Arrival::Bytes {
            break; // all is there
        }
        left -= stream.tcp.pending().len() - before;
    }
    while let Some(event) = stream.take() {
        if !event.is_comment {
            reader.take(&event.json());
        }
    }
}

/// A stream that ends between two events of a batch claims only what is before the batch.
#[test]
fn only_the_last_event_of_a_batch_has_an_id() {
    let server = server();
    let mut first = Stream::open(server.address, "reader", "sessionId=s1", &[]);
    first.welcome();
    let start = first.last_id.clone().expect("the welcome has an id");
    drop(first);
    for id in ["a", "b", "c"] {
        publish(&server, "s1", id, "normal");
    }
    let mut stream = Stream::open(server.address, "reader", &format!("sessionId=s1&cursor={}", encode(&start)), &[]);
    assert!(json::boolean(&json::find(&stream.welcome(), "payload.positions").unwrap()[0], "recovered"));
    assert_eq!(stream.last_id.as_ref(), Some(&start));
    let seen: Vec<_> = (0..3).map(|_| stream.next()).map(|event| event.id.expect("an id")).collect();
    assert_eq!(seen[..2], [start.clone(), start.clone()], "they came in one batch");
    assert!(seen[2].contains(":3,~:"), "{seen:?}");
}

#[test]
fn a_stale_cursor_is_told_so_and_the_stream_goes_on_at_the_head() {
    let server = server();
    publish(&server, "s1", "a", "normal");
    let query = format!("sessionId=s1&cursor={}", encode("s1:other:0,gone:e:7,~:e:-1"));
    let mut stream = Stream::open(server.address, "reader", &query, &[]);
    let welcome = stream.welcome();
    let positions = json::find(&welcome, "payload.positions").and_then(|list| list.as_array()).unwrap();
    assert_eq!(positions.len(), 3);
    assert!(positions.iter().all(|position| !json::boolean(position, "recovered")), "{}", welcome.encode());
    for _ in 0..3 {
        let gap = stream.receive();
        assert!(json::is(&gap, "type", "hashi:gap") && json::is(&gap, "payload.reason", "unknown_epoch"));
    }
    publish(&server, "s1", "b", "normal");
    assert!(json::is(&stream.receive(), "id", "b"));
}
