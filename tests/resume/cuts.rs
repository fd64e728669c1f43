//! Connections that are cut again and again: each message is handled once, in order.

use super::SESSION;
use super::common::client::Client;
use super::common::flood::{message, numbered, publish_all, sized};
use super::common::server::{Env, TestServer};
use super::memory::Memory;
use std::time::{Duration, Instant};

/// A history that holds what one absence misses, and a queue that a burst overflows.
const SETTINGS: Env = &[
    ("HASHI_HISTORY_MESSAGES", "2000"),
    ("HASHI_HISTORY_BYTES", "16MiB"),
    ("WEBSOCKET_MESSAGE_QUEUE_SIZE", "50"),
    ("HASHI_SLOW_MS", "60000"),
];

/// Takes a few more bytes off the connection, in the middle of a frame most times, and resets it.
fn cut(mut client: Client, bytes: usize) {
    client.ws.tcp.fill_at_most(1 + bytes, Instant::now() + Duration::from_millis(1));
    client.ws.tcp.abort();
}

#[track_caller]
fn publish(publisher: &mut Client, numbers: std::ops::RangeInclusive<usize>) {
    let messages: Vec<_> = numbers.map(|number| message(&format!("m-{number}"), "normal")).collect();
    publish_all(publisher, &messages);
}

#[test]
fn ten_thousand_messages_and_twenty_cuts() {
    const MESSAGES: usize = 10_000;
    const CUTS: usize = 20;
    const PART: usize = MESSAGES / CUTS / 2;
    let server = TestServer::spawn_process(SETTINGS);
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    let mut memory = Memory::default();
    let mut client = memory.connect(&server);
    for round in 0..CUTS {
        let first = 2 * round * PART + 1;
        publish(&mut publisher, first..=first + PART - 1);
        // Some rounds read nothing, others nearly all of the round before, too.
        if round % 3 == 2 {
            memory.read_until(&mut client, &format!("m-{}", first - 1));
        }
        memory.read(&mut client, round * PART / CUTS);
        cut(client, 97 * round);
        publish(&mut publisher, first + PART..=first + 2 * PART - 1);
        client = memory.connect(&server);
    }
    memory.read_until(&mut client, &format!("m-{MESSAGES}"));
    assert!(memory.ids == numbered("m", 1..=MESSAGES), "each once and in order");
    assert_eq!((memory.gaps.len(), memory.repeated, memory.seq), (0, 0, MESSAGES as u64));
    client.ws.close();
}

/// Cut anywhere in the replay itself, down to its first bytes.
#[test]
fn cuts_during_the_replay() {
    const MESSAGES: usize = 600;
    const CUTS: usize = 60;
    let server = TestServer::spawn_process(SETTINGS);
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    let mut memory = Memory::default();
    let client = memory.connect(&server);
    cut(client, 0);
    publish(&mut publisher, 1..=MESSAGES);
    for round in 0..CUTS {
        let mut client = memory.connect(&server);
        memory.read(&mut client, round % 10);
        cut(client, 13 * round);
    }
    let mut client = memory.connect(&server);
    memory.read_until(&mut client, &format!("m-{MESSAGES}"));
    assert_eq!(memory.ids, numbered("m", 1..=MESSAGES));
    assert_eq!((memory.gaps.len(), memory.repeated), (0, 0));
}

/// All three priorities: each message once, and each priority in its order.
#[test]
fn cuts_with_all_priorities() {
    const ROUNDS: usize = 20;
    const IN_A_ROUND: usize = 30;
    let server = TestServer::spawn_process(SETTINGS);
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    let mut memory = Memory::default();
    let mut client = memory.connect(&server);
    for round in 0..ROUNDS {
        let numbers = round * IN_A_ROUND + 1..=(round + 1) * IN_A_ROUND;
        let mixed = numbers.flat_map(|number| {
            ["low", "normal", "high"].map(|priority| sized(&format!("{priority}-{number}"), priority, 700))
        });
        publish_all(&mut publisher, &mixed.collect::<Vec<_>>());
        memory.read(&mut client, 4 * round % IN_A_ROUND);
        cut(client, 211 * round);
        client = memory.connect(&server);
    }
    publish_all(&mut publisher, &[message("end", "low")]);
    memory.read_until(&mut client, "end");
    for priority in ["low", "normal", "high"] {
        let of_priority: Vec<_> = memory.ids.iter().filter(|id| id.starts_with(priority)).collect();
        assert_eq!(of_priority, numbered(priority, 1..=ROUNDS * IN_A_ROUND).iter().collect::<Vec<_>>());
    }
    assert_eq!((memory.gaps.len(), memory.ids.len()), (0, 3 * ROUNDS * IN_A_ROUND + 1));
}

/// The client got a `high` message before `low` ones that were queued first, and then the connection was cut: the low
/// ones follow, and the high one is not handled twice.
#[test]
fn a_high_message_that_overtook_before_the_cut() {
    const LOW: usize = 400;
    let server = TestServer::spawn_process(&[
        ("HASHI_HISTORY_MESSAGES", "2000"),
        ("WEBSOCKET_MESSAGE_QUEUE_SIZE", "10000"),
        ("HASHI_SLOW_MS", "60000"),
    ]);
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    let mut memory = Memory::default();
    let mut client = memory.connect(&server);
    let low: Vec<_> = numbered("low", 1..=LOW).iter().map(|id| sized(id, "low", 2_048)).collect();
    publish_all(&mut publisher, &low);
    publish_all(&mut publisher, &[message("high", "high")]);
    memory.read_until(&mut client, "high");
    let before = memory.ids.len();
    assert!(before < LOW, "nothing was overtaken");
    memory.read(&mut client, 5);
    cut(client, 5_000);
    let mut client = memory.connect(&server);
    memory.read_until(&mut client, &format!("low-{LOW}"));
    let of_low: Vec<_> = memory.ids.iter().filter(|id| id.starts_with("low")).collect();
    assert_eq!(of_low, numbered("low", 1..=LOW).iter().collect::<Vec<_>>());
    assert_eq!((memory.ids.len(), memory.repeated, memory.gaps.len()), (LOW + 1, 1, 0));
}
