//! A client that reads nothing for 30 seconds while very much is published.

use super::SESSION;
use super::common::client::Client;
use super::common::flood::{counter, gaps_told, numbered, publish_all, sized};
use super::common::json;
use super::common::proc;
use super::common::server::{Env, TestServer};
use super::common::status;
use super::memory::Memory;
use hashi::Config;
use hashi::config::memory::worst_case_memory;
use simd_json::OwnedValue;
use std::thread;
use std::time::{Duration, Instant};

/// So long it reads nothing. The publisher takes this time for its messages.
const SILENCE: Duration = Duration::from_secs(30);
const MESSAGES: usize = 100_000;
/// After so many low messages, a high one.
const HIGH_EVERY: usize = 5_000;
const BURST: usize = 500;
const PAYLOAD_BYTES: usize = 300;
/// What the session's history keeps by default.
const KEPT: usize = 256;

/// The history and the queue of one session and one row, twice, and what the allocator keeps; a fifth of what is published.
const GROWTH_BYTES_MAX: u64 = 8 << 20;

/// Little memory for messages, and nothing else than the queue may end the connection.
const MEMORY_BYTES: u64 = 4 << 20;
const SETTINGS: Env = &[
    ("HASHI_MEMORY_BYTES", "4MiB"),
    ("HASHI_SLOW_MS", "600000"),
    ("WEBSOCKET_HEARTBEAT_TIMEOUT", "600000"),
    ("WEBSOCKET_MESSAGE_EXPIRY_TIME", "600000"),
];

#[test]
fn thirty_seconds_and_a_hundred_thousand_messages_for_a_client_that_reads_nothing() {
    let server = TestServer::spawn_process(SETTINGS);
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    let mut memory = Memory::default();
    let mut client = memory.connect(&server);
    let start = Instant::now();
    let before = proc::resident_bytes(server.loop_id());
    for burst in 0..MESSAGES / BURST {
        publish_all(&mut publisher, &messages(burst));
        expect_bounded(&server, before);
        // The pace of the publisher: evenly over the silence.
        let due = start + SILENCE * (burst as u32 + 1) / (MESSAGES / BURST) as u32;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    assert_eq!((counter(&server, "catchUps"), gaps_told(&server, "history_evicted")), (1, 0));

    memory.read_until(&mut client, &format!("low-{MESSAGES}"));
    expect_story(&memory);
    assert_eq!(gaps_told(&server, "history_evicted"), 1);
    let more = client.settle();
    assert!(more.iter().all(|message| json::is(message, "type", "hashi:position")), "{more:?}");
}

fn messages(burst: usize) -> Vec<OwnedValue> {
    let numbers = burst * BURST + 1..=(burst + 1) * BURST;
    let one = |number: usize| match number % HIGH_EVERY {
        0 => vec![
            sized(&format!("high-{}", number / HIGH_EVERY), "high", PAYLOAD_BYTES),
            sized(&format!("low-{number}"), "low", PAYLOAD_BYTES),
        ],
        _ => vec![sized(&format!("low-{number}"), "low", PAYLOAD_BYTES)],
    };
    numbers.flat_map(one).collect()
}

/// What is queued, what the kernel counts, and the sum that the configuration allows (`hashi check`).
#[track_caller]
fn expect_bounded(server: &TestServer, before: u64) {
    let queued = json::number(&status::read(server.address), "queues.bytes");
    assert!(queued <= 2 << 20, "{queued} bytes are queued");
    let resident = proc::resident_bytes(server.loop_id());
    let grown = resident.saturating_sub(before);
    assert!(grown < GROWTH_BYTES_MAX, "{grown} bytes more for a client that does not read");
    let config = Config { memory_bytes: MEMORY_BYTES, ..Config::default() };
    let bound: u64 = worst_case_memory(&config).iter().map(|(_, bytes)| bytes).sum();
    assert!(resident < bound, "{resident} bytes where the configuration allows {bound}");
}

/// What the kernel had, then all of `high`, then what history kept; and one loss between the two, which says all.
#[track_caller]
fn expect_story(memory: &Memory) {
    let highs = MESSAGES / HIGH_EVERY;
    let high_at = memory.ids.iter().position(|id| id.starts_with("high")).expect("high messages");
    assert_eq!(memory.ids[..high_at], numbered("low", 1..=high_at), "what was on its way");
    assert_eq!(memory.ids[high_at..high_at + highs], numbered("high", 1..=highs));
    let rest = &memory.ids[high_at + highs..];
    // The newest high message is among what history keeps.
    assert_eq!(rest, numbered("low", MESSAGES + 2 - KEPT..=MESSAGES));
    let [gap] = &memory.gaps[..] else { panic!("one loss is told, not {:?}", memory.gaps) };
    let lost_low = MESSAGES + 1 - KEPT;
    let highs_before = lost_low / HIGH_EVERY;
    assert_eq!(*gap, high_at as u64 + 1..=(lost_low + highs_before) as u64);
    assert_eq!(memory.seq, (MESSAGES + highs) as u64);
}
