//! How messages wait for a client and leave to it: priorities, the limits of its queue, conflation, catch-up from history,
//! declared losses, and what a slow client must not do to others (DESIGN.md, sections 1 and 3).

mod common;

#[path = "delivery/answers.rs"]
mod answers;
#[path = "delivery/batch.rs"]
mod batch;
#[path = "delivery/conflation.rs"]
mod conflation;
#[path = "delivery/direct.rs"]
mod direct;
#[path = "delivery/expiry.rs"]
mod expiry;
#[path = "delivery/overflow.rs"]
mod overflow;
#[path = "delivery/peers.rs"]
mod peers;
#[path = "delivery/priorities.rs"]
mod priorities;
#[path = "delivery/queues.rs"]
mod queues;
#[path = "delivery/received.rs"]
mod received;
#[path = "delivery/reliable.rs"]
mod reliable;
#[path = "delivery/slow.rs"]
mod slow;
#[path = "delivery/stalled.rs"]
mod stalled;

use common::server::{Env, TestServer};

/// Queues that take all that a test sends, and patience with a client that does not read.
const ROOMY: Env = &[
    ("WEBSOCKET_MESSAGE_QUEUE_SIZE", "100000"),
    ("HASHI_QUEUE_BYTES", "64MiB"),
    ("HASHI_SLOW_MS", "60000"),
    ("HASHI_MAX_MESSAGE_BYTES", "65536"),
];

/// Queues of ten messages.
const TEN: Env = &[("WEBSOCKET_MESSAGE_QUEUE_SIZE", "10"), ("HASHI_SLOW_MS", "60000")];

/// Queues of ten messages, and histories of as many.
const FORGETFUL: Env =
    &[("WEBSOCKET_MESSAGE_QUEUE_SIZE", "10"), ("HASHI_HISTORY_MESSAGES", "10"), ("HASHI_SLOW_MS", "60000")];

fn start(env: Env) -> TestServer {
    TestServer::spawn_process(env)
}
