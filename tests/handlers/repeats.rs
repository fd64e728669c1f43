//! A message that is sent again while its handler runs, or after that: handled once, and answered as the first was.

use super::common::client::Client;
use super::common::http;
use super::common::json;
use super::common::status;
use super::gate::gate;
use super::{answer_to, builder, serve};
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;

fn task() -> OwnedValue {
    json!({"id": "t", "type": "task", "sessionId": "s1", "priority": "high", "ack": true, "payload": {}})
}

#[test]
fn while_its_handler_runs_the_second_waits_for_the_first_one_s_answer() {
    let (gate, keeper) = gate();
    let server = serve(builder().on("task", move |message, context| {
        gate.pass(&message.id);
        context.relay();
    }));
    let mut clients = [0, 1].map(|_| Client::connect(server.address, "user-1", "s1"));
    clients[0].send(&task());
    keeper.next();
    clients[1].send(&task());
    status::expect(server.address, "counters.repeated", 1);
    let body = task().encode();
    let headers = [("Authorization", "Bearer user-1"), ("Content-Type", "application/json")];
    let response = http::request(server.address, "POST", "/ws-api/send", &headers, body.as_bytes());
    assert_eq!(response.json(), json!({"id": "t", "seq": null, "matched": 0, "queued": 0}));
    keeper.release(1);
    let answers = clients.each_mut().map(|client| client.receive_type("ack")["payload"].clone());
    assert_eq!(answers[0], json!({"results": [{"id": "t", "seq": 1, "matched": 2, "queued": 2}]}));
    assert_eq!(answers[0], answers[1]);
    clients[0].send(&task());
    assert_eq!(clients[0].receive_type("ack")["payload"], answers[0]);
    assert!(keeper.entered().is_empty(), "handled once");
}

#[test]
fn a_reply_finds_who_has_sent_it_again() {
    let (gate, keeper) = gate();
    let server = serve(builder().on("task", move |message, context| {
        gate.pass(&message.id);
        context.reply("seen", &1).expect("a reply");
    }));
    let mut first = Client::connect(server.address, "user-1", "s1");
    first.send(&task());
    keeper.next();
    first.ws.close();
    let mut again = Client::connect(server.address, "user-1", "s1");
    again.send(&task());
    status::expect(server.address, "counters.repeated", 1);
    keeper.release(1);
    assert!(json::is(&answer_to(&mut again, "t"), "type", "seen"));
    assert!(json::is(&answer_to(&mut again, "t"), "type", "ack"));
}

#[test]
fn a_failure_answers_both_and_is_not_remembered() {
    let (gate, keeper) = gate();
    let server = serve(builder().on("task", move |message, _| {
        gate.pass(&message.id);
        panic!("on purpose");
    }));
    let mut clients = [0, 1].map(|_| Client::connect(server.address, "user-1", "s1"));
    clients[0].send(&task());
    keeper.next();
    clients[1].send(&task());
    status::expect(server.address, "counters.repeated", 1);
    keeper.release(1);
    for client in &mut clients {
        assert!(json::is(&answer_to(client, "t"), "payload.code", "internal"));
    }
    clients[0].send(&task());
    assert_eq!(keeper.next(), "t", "it is handled again");
    keeper.release(1);
}

#[test]
fn the_outcome_of_a_relay_is_told_after_the_handler_s_end() {
    let server = serve(builder().on("task", |_, context| drop(context.relay())).on("silent", |_, _| {}));
    let mut sender = Client::connect(server.address, "user-1", "s1");
    for kind in ["task", "silent"] {
        sender.send(&json!({"id": kind, "type": kind, "ack": "delivered", "payload": {}}));
        let first = sender.receive_type("ack")["payload"]["results"][0].clone();
        let matched = first["matched"].clone();
        assert!(first.get("queued").is_some(), "{}", first.encode());
        let second = sender.receive_type("ack")["payload"]["results"][0].clone();
        assert_eq!((&second["matched"], &second["unconfirmable"]), (&matched, &matched));
        assert_eq!((&second["confirmed"], &second["expired"]), (&json!(0), &json!(0)));
    }
}
