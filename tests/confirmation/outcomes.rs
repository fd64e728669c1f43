//! `ack: "delivered"`: the sender learns how its receivers have confirmed.

use super::common::status;
use super::*;

#[test]
fn the_result_comes_once_all_have_confirmed() {
    let server = start(PATIENT);
    let mut receivers = ["a", "b"].map(|user| confirming(server.address, user));
    let mut sender = plain(server.address, "sender");
    sender.send(&delivered("m"));
    assert_eq!(result(&mut sender, "m"), json!({"id": "m", "seq": 1, "matched": 2, "queued": 2}));
    for receiver in &mut receivers {
        sender.expect_nothing();
        receiver.receive_where(|message| json::is(message, "id", "m"));
        confirm(receiver, &["m"]);
    }
    assert_eq!(result(&mut sender, "m"), counts("m", 2, 2, 0, 0));
    status::expect(server.address, "confirmation.outcomes", 0);
}

#[test]
fn where_nobody_confirms_it_comes_at_once() {
    let server = start(PATIENT);
    let mut sender = plain(server.address, "sender");
    sender.send(&delivered("alone"));
    result(&mut sender, "alone");
    assert_eq!(result(&mut sender, "alone"), counts("alone", 0, 0, 0, 0));
    let _other = plain(server.address, "other");
    sender.send(&delivered("m"));
    result(&mut sender, "m");
    assert_eq!(result(&mut sender, "m"), counts("m", 1, 0, 0, 1));
}

#[test]
fn a_receiver_that_goes_for_good_is_counted_when_the_message_expires() {
    let server = start(&[("HASHI_ACK_TIMEOUT_MS", "60000"), ("WEBSOCKET_MESSAGE_EXPIRY_TIME", "500")]);
    let mut receiver = confirming(server.address, "receiver");
    let mut sender = plain(server.address, "sender");
    sender.send(&delivered("m"));
    receiver.receive();
    receiver.ws.close();
    result(&mut sender, "m");
    assert_eq!(result(&mut sender, "m"), counts("m", 1, 0, 1, 0));
    status::expect(server.address, "confirmation.rememberedIds", 0);
}

/// The result finds the sender on the connection that goes on for its own.
#[test]
fn a_sender_that_comes_back_is_told() {
    let server = start(PATIENT);
    let mut receiver = confirming(server.address, "receiver");
    let mut sender = confirming(server.address, "sender");
    sender.send(&delivered("m"));
    receiver.receive();
    result(&mut sender, "m");
    let resume = json!({"connectionId": sender.connection_id()});
    let mut again = Client::connect_with(server.address, json!({"token": "sender", "resume": resume}));
    confirm(&mut receiver, &["m"]);
    assert_eq!(result(&mut again, "m"), counts("m", 1, 1, 0, 0));
}

/// What is settled while its sender is away waits for it, after the welcome.
#[test]
fn a_sender_that_was_away_is_told_when_it_comes_back() {
    let server = start(PATIENT);
    let mut receiver = confirming(server.address, "receiver");
    let mut sender = confirming(server.address, "sender");
    sender.send(&delivered("m"));
    receiver.receive();
    result(&mut sender, "m");
    let resume = json!({"connectionId": sender.connection_id()});
    drop(sender);
    status::expect(server.address, "history.departed", 1);
    confirm(&mut receiver, &["m"]);
    status::expect(server.address, "confirmation.outcomes", 0);
    let come_back = || Client::connect_with(server.address, json!({"token": "sender", "resume": resume.clone()}));
    let mut again = come_back();
    assert_eq!(result(&mut again, "m"), counts("m", 1, 1, 0, 0));
    come_back().expect_nothing();
}

#[test]
fn a_message_past_its_own_time_is_counted_as_expired() {
    let server = start(PATIENT);
    let _receiver = confirming(server.address, "receiver");
    let mut sender = plain(server.address, "sender");
    sender.send(&json!({"id": "m", "type": "custom", "ack": "delivered", "expiresIn": 200, "payload": {}}));
    result(&mut sender, "m");
    assert_eq!(result(&mut sender, "m"), counts("m", 1, 0, 1, 0));
    status::expect(server.address, "confirmation.inFlight", 0);
}

#[test]
fn a_reliable_message_is_not_held_and_goes_behind_the_one_that_was() {
    let server = start(&[("HASHI_DEBOUNCE_MS", "60000")]);
    let mut receiver = confirming(server.address, "receiver");
    let mut sender = plain(server.address, "sender");
    for id in ["p1", "p2"] {
        sender.send(&json!({"id": id, "type": "operation_progress", "key": "k", "payload": {}}));
    }
    sender.send(&json!({"id": "p3", "type": "operation_progress", "key": "k", "ack": "delivered", "payload": {}}));
    assert_eq!(result(&mut sender, "p3"), json!({"id": "p3", "seq": 3, "matched": 1, "queued": 1}));
    receiver.receive_where(|message| json::is(message, "id", "p3"));
    confirm(&mut receiver, &["p3"]);
    assert_eq!(result(&mut sender, "p3"), counts("p3", 1, 1, 0, 0));
}
