//! A full mailbox and a full channel answer `overloaded`, and nothing is lost of what was accepted.

use super::common::client::Client;
use super::common::server::TestServer;
use super::common::steps::assert_error;
use super::common::{json, status};
use super::gate::{Keeper, gate};
use super::{answer_to, ask, builder, config, serve};
use hashi::config::limits::{JOBS_MAX, MAILBOX_MAX};
use hashi::{Config, Server};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn a_full_mailbox_answers_overloaded() {
    assert_eq!(MAILBOX_MAX, 32);
    let (gate, keeper) = gate();
    let server = serve(builder().on("task", move |message, context| {
        gate.pass(&message.id);
        context.reply("done", &()).expect("a reply");
    }));
    let mut client = Client::connect(server.address, "user-1", "s1");
    let mut other = Client::connect(server.address, "user-2", "s2");
    let accepted: Vec<String> = (0..=MAILBOX_MAX).map(|number| format!("m{number}")).collect();
    accepted.iter().for_each(|id| client.send(&ask(id, "task")));
    client.round_trip("routed");
    client.expect_nothing();
    for id in ["over-1", "over-2"] {
        client.send(&ask(id, "task"));
        assert_error(&answer_to(&mut client, id), "overloaded", id);
    }
    // Its other messages go on, and so do those of others.
    client.round_trip("relayed");
    other.send(&ask("of-another", "task"));
    let mut entered = [keeper.next(), keeper.next()];
    entered.sort();
    assert_eq!(entered, ["m0", "of-another"]);
    keeper.release(accepted.len() + 1);
    for id in &accepted {
        let done = client.receive();
        assert!(json::is(&done, "replyTo", id) && json::is(&done, "type", "done"), "{done:?} for {id}");
    }
    // There is room again.
    client.send(&ask("again", "task"));
    keeper.release(1);
    assert!(json::is(&answer_to(&mut client, "again"), "type", "done"));
    status::expect(server.address, "handlers.pending", 0);
    status::expect(server.address, "counters.handlersRefused", 2);
}

/// A server whose only worker is held in a handler, with so many observers waiting that the channel is full.
struct FullChannel {
    server: TestServer,
    keeper: Keeper,
    observed: Arc<AtomicUsize>,
    holder: Client,
    client: Client,
}

impl FullChannel {
    #[track_caller]
    fn new() -> Self {
        let (gate, keeper) = gate();
        let observed: Arc<AtomicUsize> = Arc::default();
        let count = Arc::clone(&observed);
        let builder = Server::builder(Config { workers: 1, ..config() })
            .on("hold", move |message, _| gate.pass(&message.id))
            .on("work", |_, context| context.reply("done", &()).expect("a reply"))
            .observe("seen", move |_, _| {
                count.fetch_add(1, Ordering::SeqCst);
            });
        let server = serve(builder);
        let mut holder = Client::connect(server.address, "holder", "s1");
        holder.send(&ask("held", "hold"));
        assert_eq!(keeper.next(), "held");
        let mut client = Client::connect(server.address, "user-1", "s2");
        for number in 0..JOBS_MAX {
            client.send(&ask(&format!("m{number}"), "seen"));
        }
        client.receive_where(|message| json::is(message, "id", &format!("m{}", JOBS_MAX - 1)));
        Self { server, keeper, observed, holder, client }
    }
}

#[test]
fn a_full_channel_answers_overloaded() {
    let mut full = FullChannel::new();
    for id in ["w1", "w2"] {
        full.client.send(&ask(id, "work"));
        assert_error(&answer_to(&mut full.client, id), "overloaded", id);
    }
    full.client.round_trip("relayed");
    full.holder.round_trip("relayed");
    full.keeper.release(1);
    status::expect(full.server.address, "handlers.pending", 0);
    let look = || match full.observed.load(Ordering::SeqCst) {
        JOBS_MAX => Ok(()),
        count => Err(count),
    };
    super::common::wait::until(super::common::wait::PATIENCE, look).expect("all observers ran, each once");
    full.client.send(&ask("w3", "work"));
    assert!(json::is(&answer_to(&mut full.client, "w3"), "type", "done"), "there is room again");
    status::expect(full.server.address, "counters.unobserved", 0);
    status::expect(full.server.address, "counters.handlersRefused", 2);
}

/// An observer that finds no room misses its copy; the message goes its way, and the miss is counted.
#[test]
fn a_full_channel_does_not_hold_up_what_is_only_observed() {
    let mut full = FullChannel::new();
    for id in ["x1", "x2", "x3"] {
        full.client.send(&ask(id, "seen"));
        assert!(json::is(&full.client.receive(), "id", id));
    }
    status::expect(full.server.address, "counters.unobserved", 3);
    full.keeper.release(1);
}

/// The next message of a connection that finds the channel full when its turn comes is answered, too.
#[test]
fn a_waiting_message_is_answered_when_its_turn_finds_no_room() {
    let (gate, keeper) = gate();
    let server = serve(
        Server::builder(Config { workers: 1, ..config() })
            .on("hold", move |message, context| {
                gate.pass(&message.id);
                context.reply("done", &()).expect("a reply");
            })
            .observe("seen", |_, _| {}),
    );
    let mut holder = Client::connect(server.address, "holder", "s1");
    holder.send(&ask("first", "hold"));
    holder.send(&ask("second", "hold"));
    holder.round_trip("routed");
    assert_eq!(keeper.next(), "first");
    let mut client = Client::connect(server.address, "user-1", "s2");
    for number in 0..JOBS_MAX {
        client.send(&ask(&format!("m{number}"), "seen"));
    }
    client.receive_where(|message| json::is(message, "id", &format!("m{}", JOBS_MAX - 1)));
    keeper.release(2);
    // The worker takes observers while the loop hears that the first is done: the second finds room, or its answer.
    assert!(json::is(&answer_to(&mut holder, "first"), "type", "done"));
    let answer = answer_to(&mut holder, "second");
    if !json::is(&answer, "type", "done") {
        assert_error(&answer, "overloaded", "second");
    }
    status::expect(server.address, "handlers.pending", 0);
}
