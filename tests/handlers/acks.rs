//! `ack: true` on a message that a handler consumes: answered after the handler, with what its relay came to.

use super::common::client::Client;
use super::common::json;
use super::gate::gate;
use super::{answer_to, builder, serve};
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;

fn with_ack(id: &str, kind: &str) -> OwnedValue {
    json!({"id": id, "type": kind, "ack": true, "payload": {}})
}

#[track_caller]
fn result(ack: &OwnedValue, id: &str) -> OwnedValue {
    assert!(json::is(ack, "type", "ack"), "{}", ack.encode());
    let result = &ack["payload"]["results"][0];
    assert!(json::is(result, "id", id), "{}", ack.encode());
    result.clone()
}

#[test]
fn the_ack_comes_after_the_handler_with_the_relay_s_result() {
    let (gate, keeper) = gate();
    let server = serve(builder().on("edit", move |message, context| {
        drop(context.relay());
        context.reply("seen", &()).expect("a reply");
        gate.pass(&message.id);
    }));
    let mut sender = Client::connect(server.address, "user-1", "s1");
    let _others = [2, 3].map(|number| Client::connect(server.address, &format!("user-{number}"), "s1"));
    sender.send(&with_ack("e1", "edit"));
    keeper.next();
    let before: Vec<String> = sender.settle().iter().map(|message| json::string(message, "type").to_owned()).collect();
    assert!(!before.contains(&"ack".to_owned()), "the handler still runs: {before:?}");
    keeper.release(1);
    let result = result(&sender.receive_type("ack"), "e1");
    assert_eq!((json::number(&result, "seq"), json::number(&result, "matched")), (1, 3));
    assert_eq!(json::number(&result, "queued"), 3);
}

#[test]
fn without_a_relay_nobody_was_reached() {
    let server = serve(builder().on("task", |_, _| {}));
    let mut sender = Client::connect(server.address, "user-1", "s1");
    sender.send(&with_ack("t1", "task"));
    let result = result(&sender.receive(), "t1");
    assert!(result["seq"].is_null(), "{}", result.encode());
    assert_eq!((json::number(&result, "matched"), json::number(&result, "queued")), (0, 0));
}

/// The reply comes before the ack: the ack says that the handler has ended.
#[test]
fn replies_come_before_the_ack() {
    let server = serve(builder().on("task", |_, context| {
        (0..3).for_each(|number| context.reply("step", &number).expect("a reply"));
    }));
    let mut sender = Client::connect(server.address, "user-1", "s1");
    // `high`, as the ack is: so nothing may overtake anything.
    sender.send(&json!({"id": "t1", "type": "task", "ack": true, "priority": "high", "payload": {}}));
    let came: Vec<OwnedValue> = (0..4).map(|_| sender.receive()).collect();
    let steps: Vec<u64> = came[..3].iter().map(|step| json::number(step, "payload")).collect();
    assert_eq!(steps, [0, 1, 2]);
    result(&came[3], "t1");
}

/// An error is the one answer: no ack follows.
#[test]
fn a_handler_that_panics_acknowledges_nothing() {
    let server = serve(builder().on("fail", |_, _| panic!("on purpose")));
    let mut sender = Client::connect(server.address, "user-1", "s1");
    sender.send(&with_ack("f1", "fail"));
    assert!(json::is(&answer_to(&mut sender, "f1"), "type", "error"));
    sender.round_trip("after");
    sender.expect_nothing();
}
