//! A slow client does not delay another one of its session.

use super::common::client::{Client, envelope};
use super::common::control::MAX_DELAY;
use super::common::json;
use super::common::proc;
use super::common::server::TestServer;
use super::received::numbered;
use super::stalled::{SESSION, Stalled, sized};
use super::{ROOMY, TEN, start};
use simd_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const ROUND_TRIPS: usize = 150;

/// The machine may stall for reasons of its own. A delay fails the test only if it shows every time.
const ATTEMPTS: usize = 3;

/// A queue that is over its limits again and again, and a row that stays behind.
#[test]
fn an_overflowing_client_delays_nobody() {
    expect_no_delay(|| start(TEN));
}

/// A queue that only grows.
#[test]
fn a_client_with_a_long_queue_delays_nobody() {
    expect_no_delay(|| start(ROOMY));
}

#[track_caller]
fn expect_no_delay(start: impl Fn() -> TestServer) {
    let mut slowest = Vec::new();
    while slowest.len() < ATTEMPTS {
        let delay = slowest_round_trip(&start());
        if delay < MAX_DELAY {
            return;
        }
        slowest.push(delay);
    }
    panic!("the peer of a slow client was delayed each time: {slowest:?}");
}

/// The peer's longest round trip while the other member of its session reads nothing and a flood goes on.
#[track_caller]
fn slowest_round_trip(server: &TestServer) -> Duration {
    let mut stalled = Stalled::new(server, "low");
    let address = server.address;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let peer = scope.spawn(|| {
            let _ends_the_flood = SetOnDrop(&done);
            let mut peer = Client::connect(address, "peer", SESSION);
            (0..ROUND_TRIPS).map(|number| round_trip(&mut peer, number, server.loop_id())).max()
        });
        let ids = numbered("flood", 1..=10);
        let flood: Vec<_> = ids.iter().map(|id| sized(id, "low", 1_024)).collect();
        while !done.load(Ordering::Relaxed) {
            stalled.publish(&flood);
        }
        peer.join().expect("the peer works").expect("round trips")
    })
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The time of one round trip, without the time in which the kernel gave this thread or the server no processor.
fn round_trip(peer: &mut Client, number: usize, loop_id: u32) -> Duration {
    let waited = || proc::run_delay(proc::OWN_SCHEDSTAT) + proc::run_delay(&proc::schedstat_of(loop_id));
    let id = format!("peer-{number}");
    let (waited_before, start) = (waited(), Instant::now());
    peer.send(&envelope(&id, "custom", json!({})));
    peer.receive_where(|message| json::is(message, "id", &id));
    start.elapsed().saturating_sub(waited() - waited_before)
}
