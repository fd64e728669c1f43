//! A client that comes back to a long replay and does not read it at once.

use super::SESSION;
use super::common::client::Client;
use super::common::flood::{message, numbered, publish_all, rows_behind, sized, with};
use super::common::json;
use super::common::server::TestServer;
use super::memory::Memory;
use simd_json::json;

/// Far more than any kernel takes from a socket that nobody reads, in messages of which a batch fills the queue.
const MESSAGES: usize = 4_000;
const PAYLOAD_BYTES: usize = 1_024;

/// Fewer than the queue takes.
const ANSWERS: usize = 40;

/// What is replayed does not count for the queue: it leaves it again when there is no room for something else.
#[test]
fn a_replay_of_high_messages_leaves_room_for_what_has_no_position() {
    let server = TestServer::spawn_process(&[
        ("HASHI_HISTORY_MESSAGES", "10000"),
        ("HASHI_HISTORY_BYTES", "64MiB"),
        ("HASHI_SLOW_MS", "60000"),
    ]);
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    let mut memory = Memory::default();
    memory.connect(&server).ws.tcp.abort();
    let high = numbered("high", 1..=MESSAGES);
    publish_all(&mut publisher, &high.iter().map(|id| sized(id, "high", PAYLOAD_BYTES)).collect::<Vec<_>>());
    let mut client = memory.connect(&server);
    let to = json!({"connectionId": client.connection_id()});
    let answers = numbered("answer", 1..=ANSWERS);
    for id in &answers {
        publisher.publish(with(message(id, "high"), "to", to.clone()));
        assert_eq!(rows_behind(&server), 1);
    }
    let mut came = Vec::new();
    while memory.ids.len() < MESSAGES || came.len() < ANSWERS {
        let message = client.receive();
        match json::find(&message, "sessionId") {
            Some(_) => memory.take(&message),
            None => came.push(json::string(&message, "id").to_owned()),
        }
    }
    assert!(memory.ids == high, "each once and in order");
    assert_eq!(came, answers);
    client.ws.close();
}
