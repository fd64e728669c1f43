//! A handler that panics answers its sender and harms nothing else.

use super::common::client::Client;
use super::common::steps::assert_error;
use super::common::{json, status};
use super::gate::gate;
use super::{answer_to, ask, builder, config, serve};
use hashi::{Config, Server};
use simd_json::prelude::*;

#[test]
fn a_panic_is_answered_and_harms_nothing_else() {
    let server = serve(
        builder()
            .on("fail", |_, _| panic!("on purpose"))
            .on("work", |_, context| context.reply("done", &()).expect("a reply")),
    );
    let mut client = Client::connect(server.address, "user-1", "s1");
    let mut other = Client::connect(server.address, "user-2", "s1");
    client.send(&ask("f1", "fail"));
    client.send(&ask("w1", "work"));
    let answer = answer_to(&mut client, "f1");
    assert_error(&answer, "internal", "fail");
    assert!(!answer.encode().contains("on purpose"), "what the panic says is nobody's business: {}", answer.encode());
    assert!(json::is(&answer_to(&mut client, "w1"), "type", "done"), "its next message goes on");
    other.send(&ask("w2", "work"));
    assert!(json::is(&answer_to(&mut other, "w2"), "type", "done"));
    client.round_trip("relayed");
}

/// More panics than workers: none of them is lost.
#[test]
fn workers_survive_panics() {
    const PANICS: usize = 40;
    let builder = Server::builder(Config { workers: 2, ..config() })
        .on("fail", |_, _| panic!("on purpose"))
        .on("work", |_, context| context.reply("done", &()).expect("a reply"));
    let server = serve(builder);
    let mut client = Client::connect(server.address, "user-1", "s1");
    for number in 0..PANICS {
        let id = format!("f{number}");
        client.send(&ask(&id, "fail"));
        assert_error(&answer_to(&mut client, &id), "internal", "fail");
    }
    client.send(&ask("w1", "work"));
    assert!(json::is(&answer_to(&mut client, "w1"), "type", "done"));
    status::expect(server.address, "counters.handlersPanicked", PANICS as u64);
    status::expect(server.address, "handlers.lostWorkers", 0);
    status::expect(server.address, "handlers.pending", 0);
}

#[test]
fn an_observer_that_panics_harms_nobody() {
    let (gate, keeper) = gate();
    let server = serve(
        builder()
            .observe("seen", |_, _| panic!("on purpose"))
            .observe("seen", move |message, _| gate.note(&message.id)),
    );
    let mut client = Client::connect(server.address, "user-1", "s1");
    for id in ["m1", "m2", "m3", "m4", "m5", "m6"] {
        client.send(&ask(id, "seen"));
        let came = client.receive();
        assert!(json::is(&came, "id", id), "the message goes its way: {}", came.encode());
        assert_eq!(keeper.next(), id);
    }
    client.expect_nothing();
}

/// What the handler did before it panicked stays done.
#[test]
fn replies_before_a_panic_arrive() {
    let server = serve(builder().on("fail", |_, context| {
        context.reply("begun", &()).expect("a reply");
        panic!("on purpose");
    }));
    let mut client = Client::connect(server.address, "user-1", "s1");
    client.send(&ask("f1", "fail"));
    let answers = [answer_to(&mut client, "f1"), answer_to(&mut client, "f1")];
    let mut types = answers.each_ref().map(|answer| json::string(answer, "type"));
    types.sort_unstable();
    assert_eq!(types, ["begun", "error"]);
}
