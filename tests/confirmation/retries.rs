//! Retries to a receiver that does not confirm.

use super::common::status;
use super::*;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_millis(200);

#[test]
fn three_retries_at_their_times_and_no_fourth() {
    let server = start(HASTY);
    let mut receiver = confirming(server.address, "receiver");
    let mut sender = plain(server.address, "sender");
    let begin = Instant::now();
    sender.send(&delivered("m"));
    let copies: Vec<_> = (0..4).map(|_| (receiver.receive(), begin.elapsed())).collect();
    for (times, (copy, elapsed)) in [0, 1, 3, 7].into_iter().zip(&copies) {
        assert_eq!(copy, &copies[0].0, "the same bytes");
        assert!(*elapsed >= TIMEOUT * times, "{elapsed:?} is too early for {times} times {TIMEOUT:?}");
    }
    assert!(json::boolean(&copies[0].0, "ack"), "{}", copies[0].0.encode());
    assert_eq!(result(&mut sender, "m"), json!({"id": "m", "seq": 1, "matched": 1, "queued": 1}));
    assert_eq!(result(&mut sender, "m"), counts("m", 1, 0, 1, 0));
    assert!(begin.elapsed() >= TIMEOUT * 15);
    receiver.expect_nothing();
    status::expect(server.address, "counters.retries", 3);
    status::expect(server.address, "counters.givenUp", 1);
    status::expect(server.address, "confirmation.inFlight", 0);
}

#[test]
fn a_confirmation_ends_them() {
    let server = start(HASTY);
    let mut receiver = confirming(server.address, "receiver");
    let mut sender = plain(server.address, "sender");
    sender.send(&delivered("m"));
    receiver.receive();
    receiver.receive();
    confirm(&mut receiver, &["m"]);
    result(&mut sender, "m");
    assert_eq!(result(&mut sender, "m"), counts("m", 1, 1, 0, 0));
    status::expect(server.address, "confirmation.inFlight", 0);
}

#[test]
fn attempts_of_zero_send_it_once() {
    let server = start(&[("HASHI_ACK_TIMEOUT_MS", "100"), ("WEBSOCKET_MESSAGE_RETRY_ATTEMPTS", "0")]);
    let mut receiver = confirming(server.address, "receiver");
    let mut sender = plain(server.address, "sender");
    sender.send(&delivered("m"));
    receiver.receive();
    result(&mut sender, "m");
    assert_eq!(result(&mut sender, "m"), counts("m", 1, 0, 1, 0));
    receiver.expect_nothing();
}

#[test]
fn a_receiver_that_does_not_confirm_gets_it_once_in_the_same_bytes() {
    let server = start(HASTY);
    let mut one = confirming(server.address, "one");
    let mut other = plain(server.address, "other");
    let mut sender = plain(server.address, "sender");
    sender.send(&delivered("m"));
    let copies = [one.receive(), other.receive()];
    assert_eq!(copies[0], copies[1]);
    one.receive();
    confirm(&mut one, &["m"]);
    result(&mut sender, "m");
    assert_eq!(result(&mut sender, "m"), counts("m", 2, 1, 0, 1));
    other.expect_nothing();
    status::expect(server.address, "counters.unconfirmable", 1);
}

#[test]
fn a_message_that_a_newer_one_of_its_key_replaces_is_not_sent_again() {
    let server = start(HASTY);
    let mut receiver = confirming(server.address, "receiver");
    let mut sender = plain(server.address, "sender");
    for id in ["m1", "m2"] {
        sender.send(&json!({"id": id, "type": "custom", "key": "k", "ack": "delivered", "payload": {}}));
        assert!(json::is(&receiver.receive(), "id", id));
    }
    confirm(&mut receiver, &["m2"]);
    result(&mut sender, "m1");
    result(&mut sender, "m2");
    assert_eq!(result(&mut sender, "m1"), counts("m1", 1, 0, 1, 0));
    assert_eq!(result(&mut sender, "m2"), counts("m2", 1, 1, 0, 0));
    status::expect(server.address, "confirmation.inFlight", 0);
    status::expect(server.address, "counters.retries", 0);
}

#[test]
fn direct_and_personal_messages_are_sent_again_too() {
    let server = start(HASTY);
    let mut receiver = confirming(server.address, "receiver");
    let mut sender = plain(server.address, "sender");
    let to = [json!({"connectionId": receiver.connection_id()}), json!({"userId": "receiver"})];
    for (id, to) in ["direct", "personal"].into_iter().zip(to) {
        sender.send(&json!({"id": id, "type": "custom", "to": to, "reliable": true, "payload": {}}));
        let first = receiver.receive_where(|message| json::is(message, "id", id));
        let again = receiver.receive_where(|message| json::is(message, "id", id));
        assert_eq!(first, again);
        confirm(&mut receiver, &[id]);
    }
    status::expect(server.address, "confirmation.inFlight", 0);
}

#[test]
fn who_has_left_the_session_gets_no_more() {
    let server = start(HASTY);
    let mut receiver = confirming(server.address, "receiver");
    let mut sender = plain(server.address, "sender");
    sender.send(&delivered("m"));
    receiver.receive();
    receiver.leave("s");
    result(&mut sender, "m");
    assert_eq!(result(&mut sender, "m"), counts("m", 1, 0, 1, 0));
    status::expect(server.address, "counters.retries", 0);
}
