//! Handlers that come and go while the server runs.

use super::common::client::Client;
use super::common::json;
use super::common::wait::PATIENCE;
use super::gate::gate;
use super::{answer_to, ask, builder, serve};
use hashi::{Handle, MessageOptions};

/// Waits until the server has carried out everything that this thread asked for: commands keep their order.
#[track_caller]
fn carried_out(handle: &Handle) {
    let message = handle.create_message("barrier", &(), MessageOptions::default()).expect("a message");
    handle.broadcast_to_session("nobody-is-here", message).wait(PATIENCE).expect("published");
}

/// Sends `kind` and says who answered: the handler's reply, or `relayed` when it came back as a message of the session.
#[track_caller]
fn who_answers(client: &mut Client, id: &str, kind: &str) -> String {
    client.send(&ask(id, kind));
    let answer = client.receive_where(|message| json::is(message, "replyTo", id) || json::is(message, "id", id));
    let kind = if json::is(&answer, "id", id) { "relayed" } else { json::string(&answer, "type") };
    kind.to_owned()
}

#[test]
fn a_handler_can_be_registered_and_forgotten_while_the_server_runs() {
    let server = serve(builder());
    let handle = server.handle();
    let mut client = Client::connect(server.address, "user-1", "s1");
    assert_eq!(who_answers(&mut client, "m1", "task"), "relayed");
    let id = handle.register_message_handler("task", |_, context| context.reply("done", &()).expect("a reply"));
    carried_out(handle);
    assert_eq!(who_answers(&mut client, "m2", "task"), "done");
    assert_eq!(who_answers(&mut client, "m3", "other"), "relayed");
    handle.unregister(id);
    carried_out(handle);
    assert_eq!(who_answers(&mut client, "m4", "task"), "relayed");
}

#[test]
fn the_newest_handler_of_a_type_counts() {
    let server = serve(builder().on("task", |_, context| context.reply("old", &()).expect("a reply")));
    let handle = server.handle();
    let mut client = Client::connect(server.address, "user-1", "s1");
    let id = handle.register_message_handler("task", |_, context| context.reply("new", &()).expect("a reply"));
    carried_out(handle);
    assert_eq!(who_answers(&mut client, "m1", "task"), "new");
    handle.unregister(id);
    carried_out(handle);
    assert_eq!(who_answers(&mut client, "m2", "task"), "old");
    handle.unregister(id);
    carried_out(handle);
    assert_eq!(who_answers(&mut client, "m3", "task"), "old", "forgetting twice forgets nothing else");
}

#[test]
fn observers_come_and_go_too() {
    let server = serve(builder());
    let handle = server.handle();
    let (gate, keeper) = gate();
    let id = handle.register_observer("seen", move |message, _| gate.note(&message.id));
    carried_out(handle);
    let mut client = Client::connect(server.address, "user-1", "s1");
    assert_eq!(who_answers(&mut client, "m1", "seen"), "relayed");
    assert_eq!(keeper.next(), "m1");
    handle.unregister(id);
    carried_out(handle);
    assert_eq!(who_answers(&mut client, "m2", "seen"), "relayed");
    assert_eq!(keeper.entered(), [""; 0]);
}

/// What is running when its handler is forgotten, ends; what waits behind it was accepted for that handler, too.
#[test]
fn what_was_accepted_is_still_handled() {
    let server = serve(builder());
    let handle = server.handle();
    let (gate, keeper) = gate();
    let id = handle.register_message_handler("task", move |message, context| {
        gate.pass(&message.id);
        context.reply("done", &()).expect("a reply");
    });
    carried_out(handle);
    let mut client = Client::connect(server.address, "user-1", "s1");
    client.send(&ask("m1", "task"));
    client.send(&ask("m2", "task"));
    client.round_trip("routed");
    assert_eq!(keeper.next(), "m1");
    handle.unregister(id);
    carried_out(handle);
    keeper.release(2);
    for id in ["m1", "m2"] {
        assert!(json::is(&answer_to(&mut client, id), "type", "done"), "{id}");
    }
}

/// A handler may itself register another one.
#[test]
fn a_handler_can_use_the_handle() {
    let server = serve(builder().on("teach", |_, context| {
        context
            .handle()
            .register_message_handler("taught", |_, context| context.reply("learned", &()).expect("a reply"));
        carried_out(context.handle());
        context.reply("ready", &()).expect("a reply");
    }));
    let mut client = Client::connect(server.address, "user-1", "s1");
    assert_eq!(who_answers(&mut client, "m1", "teach"), "ready");
    assert_eq!(who_answers(&mut client, "m2", "taught"), "learned");
}
