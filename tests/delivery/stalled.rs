//! A client that does not read, brought to the point where its socket takes no more and its queue begins to fill.

use super::common::client::Client;
use super::common::json;
use super::common::server::TestServer;
use super::common::status;
use super::common::wait::{self, PATIENCE};
use simd_json::OwnedValue;
use simd_json::json;

pub use super::common::flood::{counter, gaps_told, message, publish_all, rows_behind, sized, with};

pub const SESSION: &str = "stalled-session";

/// The receive buffer of the client that does not read.
const NARROW_BYTES: usize = 4_096;

/// Each filler takes a good part of what the kernel holds, so that few are needed.
const FILLER_BYTES: usize = 8 * 1_024;

/// Far more fillers than any kernel takes from a socket with a limit of 64 KiB on what is not sent.
const FILLERS_MAX: usize = 500;

/// The queue counts as blocked when it has stayed the same over this many looks.
const EQUAL_LOOKS: usize = 3;

/// A slow client whose socket takes no more, and a publisher in the same session.
pub struct Stalled {
    pub slow: Client,
    pub publisher: Client,
    /// Fillers sent; they have the positions from 1 on.
    pub sent: usize,
    /// Those of them that are still in the queue of the slow client.
    pub queued: usize,
}

impl Stalled {
    /// Sends fillers of `priority` until one waits in the queue.
    #[track_caller]
    pub fn new(server: &TestServer, priority: &str) -> Self {
        Self::new_in(server, priority, &[])
    }

    /// The same with a slow client that is in more sessions.
    #[track_caller]
    pub fn new_in(server: &TestServer, priority: &str, sessions: &[&str]) -> Self {
        let slow = Client::connect_narrow(server.address, NARROW_BYTES, "slow", SESSION);
        Self::fill(server, slow, priority, sessions)
    }

    /// The same with one that has a feature.
    #[track_caller]
    pub fn new_with(server: &TestServer, priority: &str, sessions: &[&str], feature: &str) -> Self {
        let mut slow = Client::anonymous_narrow(server.address, NARROW_BYTES);
        slow.welcome = slow.authenticate(json!({"token": "slow", "sessionId": SESSION, "features": [feature]}));
        Self::fill(server, slow, priority, sessions)
    }

    #[track_caller]
    fn fill(server: &TestServer, mut slow: Client, priority: &str, sessions: &[&str]) -> Self {
        for session in sessions {
            slow.join(session);
        }
        slow.expect_nothing();
        let mut publisher = Client::connect(server.address, "publisher", SESSION);
        let mut sent = 0;
        let queued = loop {
            assert!(sent < FILLERS_MAX, "the kernel takes everything from a client that does not read");
            let filler = sized(&format!("filler-{}", sent + 1), priority, FILLER_BYTES);
            publisher.publish(filler);
            sent += 1;
            if entries(server) > 0 {
                break stable_entries(server);
            }
        };
        assert!(queued > 0, "the queue was blocked and is empty again");
        Self { slow, publisher, sent, queued }
    }

    /// Fillers that the kernel has taken, a part of the last one perhaps.
    pub fn taken(&self) -> usize {
        self.sent - self.queued
    }

    /// Publishes these in one write, so that the server reads and routes them in one turn of its loop if they are small.
    /// Returns when they are routed.
    #[track_caller]
    pub fn publish(&mut self, messages: &[OwnedValue]) {
        publish_all(&mut self.publisher, messages);
    }
}

/// Messages in all queues of the server.
#[track_caller]
pub fn entries(server: &TestServer) -> usize {
    json::number(&status::read(server.address), "queues.entries") as usize
}

/// Messages in all queues, once their number does not change any more.
#[track_caller]
pub fn stable_entries(server: &TestServer) -> usize {
    let (mut last, mut looks) = (usize::MAX, 0);
    let look = || {
        let now = entries(server);
        looks = if now == last { looks + 1 } else { 1 };
        last = now;
        if looks == EQUAL_LOOKS { Ok(now) } else { Err(now) }
    };
    wait::until(PATIENCE, look).unwrap_or_else(|entries| panic!("the queue does not settle, last at {entries}"))
}
