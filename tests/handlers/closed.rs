//! A connection that closes while its messages are in handlers: whoever gets its row gets nothing of it.

use super::common::client::Client;
use super::common::{json, status};
use super::gate::gate;
use super::{answer_to, ask, builder, serve};
use simd_json::json;
use simd_json::prelude::*;

#[test]
fn replies_do_not_reach_the_next_owner_of_the_row() {
    let (gate, keeper) = gate();
    let server = serve(
        builder()
            .on("task", move |message, context| {
                gate.pass(&message.id);
                (0..5).for_each(|number| context.reply("done", &number).expect("a reply"));
                gate.note("ended");
            })
            .on("other", |_, context| context.reply("fine", &()).expect("a reply")),
    );
    let mut first = Client::connect(server.address, "first", "s1");
    first.send(&json!({"id": "t1", "type": "task", "ack": true, "payload": {}}));
    first.send(&json!({"id": "t2", "type": "task", "ack": true, "payload": {}}));
    first.round_trip("routed");
    assert_eq!(keeper.next(), "t1");
    first.ws.close();
    status::expect(server.address, "memberships", 0);
    // Several, so that one of them has the row.
    let mut next: Vec<Client> =
        (0..3).map(|number| Client::connect(server.address, &format!("next-{number}"), "s1")).collect();
    for client in &mut next {
        client.send(&ask("o1", "other"));
        assert!(json::is(&answer_to(client, "o1"), "type", "fine"), "the old row's mailbox is not theirs");
    }
    keeper.release(2);
    assert_eq!(keeper.next(), "ended");
    status::expect(server.address, "handlers.pending", 0);
    for client in &mut next {
        client.expect_nothing();
        client.send(&ask("o2", "other"));
        assert!(json::is(&answer_to(client, "o2"), "type", "fine"));
    }
}

/// Errors and acks go the way of replies.
#[test]
fn errors_do_not_reach_the_next_owner_of_the_row() {
    let (gate, keeper) = gate();
    let server = serve(builder().on("fail", move |message, _| {
        gate.pass(&message.id);
        panic!("on purpose");
    }));
    let mut first = Client::connect(server.address, "first", "s1");
    first.send(&ask("f1", "fail"));
    assert_eq!(keeper.next(), "f1");
    first.ws.tcp.abort();
    status::expect(server.address, "memberships", 0);
    let mut next: Vec<Client> = (0..3).map(|_| Client::connect(server.address, "next", "s1")).collect();
    keeper.release(1);
    status::expect(server.address, "handlers.pending", 0);
    next.iter_mut().for_each(Client::expect_nothing);
}

/// A relay after the sender left still reaches its session, under the sender's name.
#[test]
fn a_relay_does_not_need_its_sender() {
    let (gate, keeper) = gate();
    let server = serve(builder().on("edit", move |message, context| {
        gate.pass(&message.id);
        drop(context.relay());
    }));
    let mut first = Client::connect(server.address, "first", "s1");
    let mut stays = Client::connect(server.address, "stays", "s1");
    first.send(&json!({"id": "e1", "type": "edit", "echo": false, "payload": {}}));
    assert_eq!(keeper.next(), "e1");
    first.ws.close();
    status::expect(server.address, "memberships", 2);
    keeper.release(1);
    let edit = stays.receive();
    assert!(json::is(&edit, "id", "e1") && json::is(&edit, "from", "first"), "{}", edit.encode());
}
