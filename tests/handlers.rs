//! The library as an application embeds it: handlers, observers, and the handle that publishes from any thread.

mod common;

#[path = "handlers/acks.rs"]
mod acks;
#[path = "handlers/closed.rs"]
mod closed;
#[path = "handlers/consume.rs"]
mod consume;
#[path = "handlers/full.rs"]
mod full;
#[path = "handlers/gate.rs"]
mod gate;
#[path = "handlers/order.rs"]
mod order;
#[path = "handlers/panics.rs"]
mod panics;
#[path = "handlers/publish.rs"]
mod publish;
#[path = "handlers/registration.rs"]
mod registration;
#[path = "handlers/repeats.rs"]
mod repeats;
#[path = "handlers/rest.rs"]
mod rest;
#[path = "handlers/stopped.rs"]
mod stopped;
#[path = "handlers/threads.rs"]
mod threads;
#[path = "handlers/timeouts.rs"]
mod timeouts;

use common::client::{Client, envelope};
use common::json;
use common::server::TestServer;
use hashi::{Config, Server, ServerBuilder};
use simd_json::OwnedValue;
use simd_json::json;

/// A configuration for one test: an ephemeral port, queues that take what a test sends.
fn config() -> Config {
    Config {
        port: 0,
        queue_messages: 20_000,
        queue_bytes: 64 << 20,
        history_bytes: 64 << 20,
        workers: 4,
        ..Config::default()
    }
}

fn builder() -> ServerBuilder {
    Server::builder(config())
}

fn serve(builder: ServerBuilder) -> TestServer {
    TestServer::serve(builder.bind().expect("the server binds"))
}

fn ask(id: &str, kind: &str) -> OwnedValue {
    envelope(id, kind, json!({}))
}

/// The next message that answers `id`.
#[track_caller]
fn answer_to(client: &mut Client, id: &str) -> OwnedValue {
    client.receive_where(|message| json::is(message, "replyTo", id))
}
