//! 4013: `high` alone is over the limit, or nothing was taken for `HASHI_SLOW_MS`.

use super::common::client::Client;
use super::common::server::TestServer;
use super::common::status;
use super::common::tcp::Arrival;
use super::common::wait::PATIENCE;
use super::common::websocket::Event;
use super::received::{Received, numbered};
use super::stalled::{Stalled, counter, message, publish_all, sized};
use super::{TEN, start};
use simd_json::OwnedValue;
use std::thread;
use std::time::{Duration, Instant};

const LIMIT: usize = 10;

fn high(count: usize) -> Vec<OwnedValue> {
    numbered("high", 1..=count).iter().map(|id| message(id, "high")).collect()
}

/// Reads what was on its way, up to the server's close frame, and returns its code.
#[track_caller]
fn close_code(slow: &mut Client) -> Option<u16> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match slow.ws.next_by(deadline, true) {
            Event::Text(_) => {}
            Event::Closed { code, .. } => return code,
            event => panic!("a close frame, not {event:?}"),
        }
    }
}

#[test]
fn a_queue_full_of_high_messages_is_kept() {
    let server = start(TEN);
    let mut stalled = Stalled::new(&server, "low");
    stalled.publish(&high(LIMIT));
    let received = Received::until_each(&mut stalled.slow, &["high-10", &format!("filler-{}", stalled.sent)]);
    assert_eq!(received.ids_of("filler"), numbered("filler", 1..=stalled.sent));
    assert_eq!(received.story(), numbered("high", 1..=LIMIT), "and nothing is lost");
    assert_eq!(received.ids_of("high"), numbered("high", 1..=LIMIT));
    assert_eq!(counter(&server, "catchUps"), 1, "all that is not high made room");
}

#[test]
fn one_high_message_too_many_ends_the_connection() {
    let server = start(TEN);
    let mut stalled = Stalled::new(&server, "low");
    stalled.publish(&high(LIMIT + 1));
    // It is out of its session at once, whether or not it reads the news.
    status::expect(server.address, "memberships", 2);
    assert_eq!(close_code(&mut stalled.slow), Some(4013));
    stalled.publisher.round_trip("still-there");
}

/// The limit in bytes holds for `high`, too.
#[test]
fn too_many_bytes_of_high_end_the_connection() {
    let server = start(&[("HASHI_QUEUE_BYTES", "32768"), ("HASHI_SLOW_MS", "60000")]);
    let mut stalled = Stalled::new(&server, "low");
    let bytes = numbered("high", 1..=5).iter().map(|id| sized(id, "high", 8_192)).collect::<Vec<_>>();
    stalled.publish(&bytes);
    assert_eq!(close_code(&mut stalled.slow), Some(4013));
}

const SLOW_MS: u64 = 1_000;
const IMPATIENT: &[(&str, &str)] = &[
    ("HASHI_SLOW_MS", "1000"),
    ("WEBSOCKET_MESSAGE_QUEUE_SIZE", "100000"),
    ("HASHI_QUEUE_BYTES", "16MiB"),
    ("HASHI_MAX_MESSAGE_BYTES", "65536"),
];

/// Far from its limits, but nothing is taken: closed when the time is over, and not before.
#[test]
fn nothing_taken_for_too_long_ends_the_connection() {
    let server = start(IMPATIENT);
    let before = Instant::now();
    let mut stalled = Stalled::new(&server, "low");
    let blocked = Instant::now();
    status::expect_within(server.address, "memberships", 2, PATIENCE);
    assert!(before.elapsed() >= Duration::from_millis(SLOW_MS), "closed after {:?}", before.elapsed());
    assert!(blocked.elapsed() <= Duration::from_millis(SLOW_MS + 1_000), "closed after {:?}", blocked.elapsed());
    assert_eq!(close_code(&mut stalled.slow), Some(4013));
}

/// A client that takes something now and then stays, however long its queue is.
#[test]
fn a_slow_reader_is_not_one_that_stopped() {
    let server = start(IMPATIENT);
    let mut slow = Client::connect_narrow(server.address, 4_096, "slow", super::stalled::SESSION);
    let mut publisher = Client::connect(server.address, "publisher", super::stalled::SESSION);
    let ids = numbered("low", 1..=400);
    publish_all(&mut publisher, &ids.iter().map(|id| sized(id, "low", 4_096)).collect::<Vec<_>>());
    read_slowly(&mut slow, Duration::from_millis(3 * SLOW_MS));
    assert!(super::stalled::entries(&server) > 0, "the client was fast after all");
    let received = Received::all_until(&mut slow, &ids[399]);
    assert_eq!(received.ids(), ids);
}

/// Takes about 32 KiB every 100 ms.
fn read_slowly(slow: &mut Client, during: Duration) {
    const PORTION: usize = 32 << 10;
    const PACE: Duration = Duration::from_millis(100);
    let end = Instant::now() + during;
    while Instant::now() < end {
        let wanted = slow.ws.tcp.pending().len() + PORTION;
        while slow.ws.tcp.pending().len() < wanted {
            assert_eq!(slow.ws.tcp.fill_at_most(PORTION, Instant::now() + PATIENCE), Arrival::Bytes);
        }
        // The pace of the client, not a wait for something.
        thread::sleep(PACE);
    }
}

/// A client that is closed for its slowness leaves nothing behind, although it never reads.
#[test]
fn what_was_queued_for_it_is_gone() {
    let server: TestServer = start(TEN);
    let mut stalled = Stalled::new(&server, "low");
    stalled.publish(&high(LIMIT + 1));
    status::expect(server.address, "connections.rows", 2);
    stalled.publisher.ws.close();
    status::expect_empty(server.address);
}
