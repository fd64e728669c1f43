//! Messages that are sent again: handled once (BAD_INPUT 33).

use super::common::status;
use super::*;

const SEND: &str = "/ws-api/send";
const BROADCAST: &str = "/ws-api/broadcast";
const NOTIFY: &str = "/ws-api/notify/operation";

fn to_session(id: &str, payload: u64) -> OwnedValue {
    json!({"id": id, "sessionId": "s", "type": "custom", "payload": payload})
}

fn with_ack(mut message: OwnedValue) -> OwnedValue {
    message.insert("ack", true).expect("an object");
    message
}

#[test]
fn a_request_that_repeats_a_message_of_a_websocket_is_handled_once() {
    let server = start(&[]);
    let mut receiver = plain(server.address, "receiver");
    let mut sender = plain(server.address, "sender");
    let first = sender.publish(to_session("m", 1));
    let response = post(&server, SEND, &[], &to_session("m", 1));
    assert_eq!((response.status, response.json()), (202, first.clone()));
    assert_eq!(sender.publish(to_session("m", 1)), first);
    assert!(json::is(&receiver.receive(), "id", "m"));
    receiver.expect_nothing();
    status::expect(server.address, "counters.published", 1);
    status::expect(server.address, "counters.repeated", 2);
}

#[test]
fn another_content_is_refused_at_every_door() {
    let server = start(&[]);
    let mut sender = plain(server.address, "sender");
    let first = sender.publish(to_session("m", 1));
    let error = sender.expect_error(&with_ack(to_session("m", 2)).encode(), "id_reused");
    assert!(json::is(&error, "replyTo", "m"));
    let others = [
        json!({"id": "m", "sessionId": "s", "type": "other", "payload": 1}),
        json!({"id": "m", "sessionId": "s", "type": "custom", "key": "k", "payload": 1}),
    ];
    for other in others {
        let problem = post(&server, SEND, &[], &other).expect_problem(409);
        assert!(json::is(&problem, "code", "id_reused"), "{}", problem.encode());
    }
    assert_eq!(sender.publish(to_session("m", 1)), first, "the first one stays");
    status::expect(server.address, "counters.published", 1);
}

#[test]
fn only_the_content_counts() {
    let server = start(&[]);
    let mut sender = plain(server.address, "sender");
    let first = sender.publish(to_session("m", 1));
    let same = [
        json!({"id": "m", "type": "custom", "priority": "high", "payload": 1}),
        json!({"id": "m", "type": "custom", "echo": true, "meta": {"a": 1}, "replyTo": "x", "reliable": true, "payload": 1}),
    ];
    for message in same {
        assert_eq!(sender.publish(message), first, "the default session is the same session");
    }
    status::expect(server.address, "counters.published", 1);
}

#[test]
fn users_and_sessions_have_ids_of_their_own() {
    let server = start(&[]);
    let [mut one, mut other] = ["one", "other"].map(|user| plain(server.address, user));
    for (seq, client) in [(1, &mut one), (2, &mut other)] {
        assert_eq!(json::number(&client.publish(to_session("m", seq)), "seq"), seq);
    }
    let elsewhere = json!({"id": "m", "sessionId": "elsewhere", "type": "custom", "payload": 7});
    assert_eq!(json::number(&one.publish(elsewhere), "seq"), 1);
}

#[test]
fn the_addressed_one_is_part_of_the_content() {
    let server = start(&[]);
    let [mut one, other] = ["one", "other"].map(|user| plain(server.address, user));
    let to = |client: &Client| json!({"connectionId": client.connection_id()});
    let message = |to| json!({"id": "m", "type": "custom", "to": to, "ack": true, "payload": 1});
    let (own, others) = (to(&one), to(&other));
    one.publish(message(own));
    one.receive_where(|message| json::is(message, "id", "m"));
    one.expect_error(&message(others).encode(), "id_reused");
}

#[test]
fn without_a_mark_an_id_is_a_label() {
    let server = start(&[]);
    let mut sender = plain(server.address, "sender");
    let mut receiver = plain(server.address, "receiver");
    for payload in [1, 1, 2] {
        sender.send(&to_session("m", payload));
        assert_eq!(receiver.receive()["payload"], payload);
    }
    status::expect(server.address, "confirmation.rememberedIds", 0);
}

#[test]
fn an_error_is_not_remembered() {
    let server = start(&[]);
    let mut sender = Client::connect_with(server.address, json!({"token": "sender"}));
    let message = r#"{"id":"m","type":"custom","ack":true,"payload":1}"#;
    sender.expect_error(message, "no_session");
    let to = r#"{"id":"m","type":"custom","to":{"userId":"nobody"},"ack":true,"payload":1}"#;
    sender.expect_error(to, "forbidden");
    sender.expect_error(to, "forbidden");
    sender.join("s");
    assert_eq!(json::number(&sender.publish(json!({"id": "m", "type": "custom", "payload": 1})), "seq"), 1);
}

#[test]
fn the_newest_ids_are_remembered() {
    let server = start(&[("HASHI_DEDUP_IDS", "2")]);
    let mut sender = plain(server.address, "sender");
    for (id, seq) in [("a", 1), ("b", 2), ("c", 3), ("c", 3), ("b", 2), ("a", 4)] {
        assert_eq!(json::number(&sender.publish(to_session(id, 0)), "seq"), seq, "{id}");
    }
    status::expect(server.address, "confirmation.rememberedIds", 2);
}

#[test]
fn an_id_is_forgotten_when_messages_expire() {
    let server = start(&[("WEBSOCKET_MESSAGE_EXPIRY_TIME", "300")]);
    let mut sender = plain(server.address, "sender");
    assert_eq!(json::number(&sender.publish(to_session("m", 0)), "seq"), 1);
    status::expect(server.address, "confirmation.rememberedIds", 0);
    assert_eq!(json::number(&sender.publish(to_session("m", 1)), "seq"), 2);
}

#[test]
fn an_idempotency_key_stands_for_an_id() {
    let server = start(&[]);
    let mut receiver = plain(server.address, "receiver");
    let body = json!({"sessionId": "s", "type": "custom", "payload": 1});
    let key = [("Idempotency-Key", "k1")];
    let first = post(&server, BROADCAST, &key, &body);
    assert_eq!((first.status, &first.json()["id"]), (202, &json!("k1")));
    assert_eq!(post(&server, BROADCAST, &key, &body).json(), first.json());
    assert_eq!(post(&server, SEND, &key, &body).json(), first.json());
    assert!(json::is(&receiver.receive(), "id", "k1"));
    receiver.expect_nothing();
    let other = json!({"sessionId": "s", "type": "custom", "payload": 2});
    post(&server, BROADCAST, &key, &other).expect_problem(409);
    let long = "x".repeat(129);
    let problem = post(&server, BROADCAST, &[("Idempotency-Key", &long)], &body).expect_problem(400);
    assert!(json::is(&problem, "field", "Idempotency-Key"));
}

/// The times that the server fills in are not what the client sent.
#[test]
fn a_notification_of_an_operation_may_be_sent_again() {
    let server = start(&[]);
    let mut receiver = plain(server.address, "receiver");
    for status in ["started", "progress", "completed", "failed"] {
        let key = [("Idempotency-Key", status)];
        let body = json!({"sessionId": "s", "operationId": "o", "operationType": "t", "status": status});
        let first = post(&server, NOTIFY, &key, &body).json();
        for _ in 0..20 {
            let again = post(&server, NOTIFY, &key, &body);
            assert_eq!((again.status, again.json()), (202, first.clone()));
        }
        assert!(json::is(&receiver.receive(), "id", status));
    }
    let other = json!({"sessionId": "s", "operationId": "o", "operationType": "t", "status": "started", "stage": "x"});
    post(&server, NOTIFY, &[("Idempotency-Key", "started")], &other).expect_problem(409);
    receiver.expect_nothing();
}

#[test]
fn so_many_may_ask_for_an_outcome_and_no_more() {
    let server = start(PATIENT);
    let mut receiver = confirming(server.address, "receiver");
    for _ in 0..33 {
        let mut sender = plain(server.address, "sender");
        sender.send(&delivered("m"));
        result(&mut sender, "m");
    }
    let mut last = plain(server.address, "sender");
    last.expect_error(&delivered("m").encode(), "overloaded");
    confirm(&mut receiver, &["m"]);
    status::expect(server.address, "confirmation.outcomes", 0);
    last.send(&delivered("m"));
    result(&mut last, "m");
    assert_eq!(result(&mut last, "m"), counts("m", 1, 1, 0, 0));
}

#[test]
fn the_outcome_is_told_to_who_asks_again() {
    let server = start(PATIENT);
    let mut receiver = confirming(server.address, "receiver");
    let mut sender = plain(server.address, "sender");
    sender.send(&delivered("m"));
    receiver.receive();
    result(&mut sender, "m");
    drop(sender);
    let mut again = plain(server.address, "sender");
    again.send(&delivered("m"));
    assert_eq!(result(&mut again, "m")["seq"], 1);
    confirm(&mut receiver, &["m"]);
    assert_eq!(result(&mut again, "m"), counts("m", 1, 1, 0, 0));
    again.send(&delivered("m"));
    result(&mut again, "m");
    assert_eq!(result(&mut again, "m"), counts("m", 1, 1, 0, 0), "also when it is settled");
    receiver.expect_nothing();
}
