//! A handler consumes its message; it may answer and relay. An observer only sees.

use super::common::client::Client;
use super::common::json;
use super::common::steps::assert_error;
use super::gate::gate;
use super::{answer_to, ask, builder, serve};
use hashi::{ErrorCode, Priority};
use simd_json::json;
use simd_json::prelude::*;

#[test]
fn a_handler_consumes_its_message() {
    let (gate, keeper) = gate();
    let server = serve(builder().on("task", move |message, _| gate.note(&message.id)));
    let mut sender = Client::connect(server.address, "user-1", "s1");
    let mut other = Client::connect(server.address, "user-2", "s1");
    sender.send(&ask("t1", "task"));
    assert_eq!(keeper.next(), "t1");
    // Behind it, so everything that the task could have caused has happened.
    sender.round_trip("after");
    other.receive_where(|message| json::is(message, "id", "after"));
    sender.expect_nothing();
    other.expect_nothing();
    let position = other.publish(ask("next", "custom"));
    assert_eq!(json::number(&position, "seq"), 2, "a consumed message takes no position");
}

#[test]
fn a_handler_sees_the_whole_message() {
    let (sender, receiver) = crossbeam_channel::bounded(1);
    let server = serve(builder().on("task", move |message, _| sender.try_send(message.clone()).expect("one message")));
    let mut client = Client::connect(server.address, "user-1", "s1");
    client.ws.text(
        r#"{"id":"t1","type":"task","priority":"high","key":"k","replyTo":"q","meta":{"trace":"abc"},"payload":{"a": [1, 2.50]}}"#,
    );
    let message = receiver.recv_timeout(super::common::wait::PATIENCE).expect("the message");
    assert_eq!((message.id.as_str(), message.kind.as_str(), message.from.as_str()), ("t1", "task", "user-1"));
    assert_eq!(message.session_id.as_deref(), Some("s1"), "the default session");
    assert_eq!(message.priority, Priority::High);
    assert_eq!((message.key.as_deref(), message.reply_to.as_deref()), (Some("k"), Some("q")));
    assert_eq!(message.meta.as_deref(), Some(&br#"{"trace":"abc"}"#[..]));
    assert_eq!(message.payload, br#"{"a": [1, 2.50]}"#, "byte for byte");
    let payload: std::collections::HashMap<String, Vec<f64>> = message.payload_as().expect("an object of lists");
    assert_eq!(payload["a"], [1.0, 2.5]);
}

#[test]
fn a_reply_goes_to_the_sender_alone() {
    let server = serve(builder().on("ask", |message, context| {
        context.reply("told", &serde_json::json!({"to": message.from})).expect("a reply");
    }));
    let mut sender = Client::connect(server.address, "user-1", "s1");
    let mut same_user = Client::connect(server.address, "user-1", "s1");
    sender.send(&ask("q1", "ask"));
    let told = answer_to(&mut sender, "q1");
    assert!(json::is(&told, "type", "told") && json::is(&told, "payload.to", "user-1"), "{}", told.encode());
    assert!(told.get("seq").is_none() && told.get("sessionId").is_none(), "{}", told.encode());
    same_user.expect_nothing();
}

#[test]
fn a_relayed_message_reaches_its_session_as_it_was() {
    let server = serve(builder().on("edit", |_, context| drop(context.relay())));
    let mut sender = Client::connect(server.address, "user-1", "s1");
    let mut other = Client::connect(server.address, "user-2", "s1");
    sender.ws.text(r#"{"id":"e1","type":"edit","priority":"low","key":"k","meta":{"n":1},"payload":{"x": 1.0}}"#);
    for client in [&mut sender, &mut other] {
        let edit = client.receive();
        assert!(json::is(&edit, "id", "e1") && json::is(&edit, "from", "user-1"), "{}", edit.encode());
        assert!(json::is(&edit, "priority", "low") && json::is(&edit, "key", "k"), "{}", edit.encode());
        assert_eq!((json::number(&edit, "seq"), json::number(&edit, "meta.n")), (1, 1));
    }
}

/// `echo: false` and `to` hold for a relayed message as for any other.
#[test]
fn a_relayed_message_goes_where_it_was_meant_to() {
    let server = serve(builder().on("edit", |_, context| drop(context.relay())));
    let mut sender = Client::connect(server.address, "user-1", "s1");
    let mut other = Client::connect(server.address, "user-2", "s1");
    let mut third = Client::connect(server.address, "user-3", "s1");
    sender.send(&json!({"id": "e1", "type": "edit", "echo": false, "payload": {}}));
    assert!(json::is(&other.receive(), "id", "e1"));
    assert!(json::is(&third.receive(), "id", "e1"));
    sender.send(&json!({"id": "e2", "type": "edit", "to": {"userId": "user-2"}, "payload": {}}));
    let to_user = other.receive();
    assert!(json::is(&to_user, "id", "e2") && json::is(&to_user, "sessionId", "@user-2"), "{}", to_user.encode());
    let id = other.connection_id().to_owned();
    sender.send(&json!({"id": "e3", "type": "edit", "to": {"connectionId": id}, "payload": {}}));
    assert!(json::is(&other.receive(), "id", "e3"));
    sender.expect_nothing();
    third.expect_nothing();
}

/// The receipt of a relay tells the handler what became of it.
#[test]
fn a_relay_can_be_waited_for() {
    let (gate, keeper) = gate();
    let server = serve(builder().on("edit", move |_, context| {
        let published = context.relay().wait(super::common::wait::PATIENCE).expect("published");
        gate.note(&format!("{:?} {} {}", published.seq, published.matched, published.queued));
    }));
    let mut sender = Client::connect(server.address, "user-1", "s1");
    let _other = Client::connect(server.address, "user-2", "s1");
    sender.send(&ask("e1", "edit"));
    assert_eq!(keeper.next(), "Some(1) 2 2");
}

#[test]
fn observers_see_without_consuming() {
    let (gate, keeper) = gate();
    let second = gate.clone();
    let server = serve(
        builder()
            .observe("seen", move |message, _| gate.note(&format!("first {}", message.id)))
            .observe("seen", move |message, _| second.note(&format!("second {}", message.id))),
    );
    let mut sender = Client::connect(server.address, "user-1", "s1");
    let mut other = Client::connect(server.address, "user-2", "s1");
    sender.send(&ask("m1", "seen"));
    assert!(json::is(&sender.receive(), "id", "m1"));
    assert_eq!(json::number(&other.receive(), "seq"), 1);
    let mut seen = [keeper.next(), keeper.next()];
    seen.sort();
    assert_eq!(seen, ["first m1", "second m1"]);
    sender.send(&ask("m2", "not-seen"));
    sender.round_trip("after");
    assert_eq!(keeper.entered(), [""; 0]);
}

/// Both at once: the handler consumes, the observer sees it nevertheless.
#[test]
fn an_observer_beside_a_handler_sees_what_is_consumed() {
    let (observed, observer) = gate();
    let server = serve(
        builder()
            .on("task", |_, context| context.reply("done", &()).expect("a reply"))
            .observe("task", move |message, _| observed.note(&message.id)),
    );
    let mut client = Client::connect(server.address, "user-1", "s1");
    client.send(&ask("t1", "task"));
    assert!(json::is(&answer_to(&mut client, "t1"), "type", "done"));
    assert_eq!(observer.next(), "t1");
    client.expect_nothing();
}

/// The server's own types cannot be sent by a handler, nor what is no type at all.
#[test]
fn replies_of_reserved_types_are_refused() {
    const REFUSED: [(&str, ErrorCode); 7] = [
        ("hashi:anything", ErrorCode::ReservedType),
        ("hashi:gap", ErrorCode::ReservedType),
        ("authentication", ErrorCode::ReservedType),
        ("heartbeat", ErrorCode::ReservedType),
        ("ack", ErrorCode::ReservedType),
        ("error", ErrorCode::ReservedType),
        ("not a type", ErrorCode::BadMessage),
    ];
    let (gate, keeper) = gate();
    let server = serve(builder().on("try", move |_, context| {
        for (kind, code) in REFUSED {
            let refused = context.reply(kind, &()).expect_err(kind);
            gate.note(&format!("{kind} {}", refused.code == code));
        }
    }));
    let mut client = Client::connect(server.address, "user-1", "s1");
    client.send(&ask("t1", "try"));
    for (kind, _) in REFUSED {
        assert_eq!(keeper.next(), format!("{kind} true"));
    }
    client.round_trip("after");
    client.expect_nothing();
}

/// Clients cannot reach a handler through a reserved name, even if an application registers one.
#[test]
fn handlers_of_reserved_types_are_never_run() {
    let (gate, keeper) = gate();
    let server = serve(builder().on("hashi:mine", move |message, _| gate.note(&message.id)));
    let mut client = Client::connect(server.address, "user-1", "s1");
    client.send(&ask("t1", "hashi:mine"));
    assert_error(&answer_to(&mut client, "t1"), "reserved_type", "hashi:mine");
    client.round_trip("after");
    assert_eq!(keeper.entered(), [""; 0]);
}
