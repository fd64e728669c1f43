//! `expiresIn`: a message past its time leaves queues and history, and who has not got it is told.

use super::common::client::{Client, envelope};
use super::common::json;
use super::common::server::TestServer;
use super::common::status;
use super::received::{Received, numbered};
use super::stalled::{SESSION, Stalled, counter, entries, gaps_told, message, publish_all, rows_behind, with};
use super::{ROOMY, TEN, start};
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;

/// Long enough to be published and short enough to wait for.
const SHORT_MS: u64 = 100;

fn expiring(id: &str, priority: &str) -> OwnedValue {
    with(message(id, priority), "expiresIn", SHORT_MS)
}

/// Waits until so many messages have expired.
#[track_caller]
fn expect_expired(server: &TestServer, count: u64) {
    status::expect(server.address, "counters.expired", count);
}

fn expired_in_session(from: u64, to: u64) -> OwnedValue {
    json!({"sessionId": SESSION, "from": from, "to": to, "reason": "expired"})
}

#[test]
fn a_queued_message_that_expires_is_told_as_a_gap() {
    let server = start(ROOMY);
    let mut stalled = Stalled::new(&server, "normal");
    stalled.publish(&[message("before", "normal"), expiring("late", "normal"), message("behind", "normal")]);
    let queued = entries(&server);
    expect_expired(&server, 1);
    assert_eq!(entries(&server), queued - 1);
    let received = Received::all_until(&mut stalled.slow, "behind");
    assert_eq!(received.story(), ["gap", "before", "behind"], "the loss is told before all that leaves after it");
    let seq = stalled.sent as u64 + 2;
    assert_eq!(received.gaps(), [&expired_in_session(seq, seq)]);
    assert_eq!((gaps_told(&server, "expired"), counter(&server, "dropped")), (1, 0));
}

/// A connection that ends while it is owed both: first the loss, then the position that is past it.
#[test]
fn a_loss_is_told_before_the_last_position() {
    let server = start(ROOMY);
    let mut stalled = Stalled::new_with(&server, "high", &["second-session"], "resume");
    let other = |message| with(message, "sessionId", "second-session");
    stalled.publish(&[other(expiring("late", "normal"))]);
    let before = counter(&server, "published");
    stalled.slow.send(&other(message("own", "normal")));
    status::expect(server.address, "counters.published", before as u64 + 1);
    expect_expired(&server, 1);
    let resume = json!({"connectionId": stalled.slow.connection_id()});
    Client::connect_with(server.address, json!({"token": "slow", "resume": resume}));
    let gap = stalled.slow.receive_type("hashi:gap");
    assert_eq!(gap["payload"], json!({"sessionId": "second-session", "from": 1, "to": 1, "reason": "expired"}));
    let position = stalled.slow.receive();
    assert_eq!(position["payload"], json!({"sessionId": "second-session", "seq": 2}));
    stalled.slow.ws.expect_close(4509);
}

/// Nothing of a session comes behind the answer to its leave, losses included.
#[test]
fn a_loss_is_told_before_the_answer_to_a_leave() {
    let server = start(ROOMY);
    let mut stalled = Stalled::new_in(&server, "high", &["second-session"]);
    stalled.publish(&[with(expiring("late", "normal"), "sessionId", "second-session")]);
    expect_expired(&server, 1);
    stalled.slow.send(&envelope("l1", "hashi:leave", json!({"sessionId": "second-session"})));
    stalled.slow.receive_type("hashi:gap");
    stalled.slow.receive_type("hashi:leave");
    stalled.slow.expect_nothing();
}

/// Neighbours are one loss, others are told apart: what lies between arrives.
#[test]
fn losses_that_are_apart_are_told_apart() {
    let server = start(ROOMY);
    let mut stalled = Stalled::new(&server, "low");
    let first = stalled.sent as u64 + 1;
    stalled.publish(&[expiring("a", "low"), expiring("b", "high"), message("c", "low"), expiring("d", "normal")]);
    expect_expired(&server, 3);
    let received = Received::all_until(&mut stalled.slow, "c");
    let apart = [expired_in_session(first, first + 1), expired_in_session(first + 3, first + 3)];
    assert_eq!(received.gaps(), apart.iter().collect::<Vec<_>>());
    assert_eq!(received.story(), ["gap", "gap", "c"]);
}

/// A row that history feeds has not got it either.
#[test]
fn a_message_that_expires_in_history_is_told_to_who_is_behind() {
    let server = start(TEN);
    let mut stalled = Stalled::new(&server, "low");
    let plain = |numbers| numbered("l", numbers).iter().map(|id| message(id, "low")).collect::<Vec<_>>();
    stalled.publish(&[plain(1..=12), vec![expiring("late", "low")], plain(13..=15)].concat());
    assert_eq!(rows_behind(&server), 1);
    expect_expired(&server, 1);
    let received = Received::all_until(&mut stalled.slow, "l-15");
    assert_eq!(received.ids_of("l"), numbered("l", 1..=15));
    let seq = stalled.sent as u64 + 13;
    assert_eq!(received.gaps(), [&expired_in_session(seq, seq)]);
}

#[test]
fn a_message_to_a_connection_is_told_by_number() {
    let server = start(ROOMY);
    let mut stalled = Stalled::new(&server, "low");
    let to = json!({"connectionId": stalled.slow.connection_id()});
    let direct = |id: &str| with(expiring(id, "normal"), "to", to.clone());
    let messages = [direct("d-1"), direct("d-2"), message("end", "low")];
    stalled.publish(&messages);
    expect_expired(&server, 2);
    let received = Received::all_until(&mut stalled.slow, "end");
    assert_eq!(received.story(), ["gap", "end"]);
    assert_eq!(received.gaps(), [&json!({"direct": 2, "reason": "expired"})]);
}

/// Who has got it is told nothing, and nothing of it stays.
#[test]
fn a_message_that_has_arrived_expires_in_silence() {
    let server = start(&[]);
    let mut reader = Client::connect(server.address, "reader", SESSION);
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    publish_all(&mut publisher, &[expiring("m", "normal"), message("n", "normal")]);
    let came = [reader.receive(), reader.receive()];
    assert_eq!(came.each_ref().map(|message| json::string(message, "id")), ["m", "n"]);
    assert!(came[0].get("expiresIn").is_none(), "{}", came[0].encode());
    status::expect(server.address, "history.messages", 1);
    status::expect(server.address, "queues.messages", 1);
    expect_expired(&server, 1);
    reader.expect_nothing();
    publisher.expect_nothing();
    assert_eq!(gaps_told(&server, "expired"), 0);
}

/// Its own messages that a client does not get are no loss to it.
#[test]
fn the_sender_without_echo_has_lost_nothing() {
    let server = start(TEN);
    let mut stalled = Stalled::new(&server, "low");
    stalled.slow.send(&expiring("own", "low"));
    let plain: Vec<_> = numbered("l", 1..=12).iter().map(|id| message(id, "low")).collect();
    stalled.publish(&plain);
    expect_expired(&server, 1);
    let received = Received::all_until(&mut stalled.slow, "l-12");
    assert_eq!((received.gaps().len(), received.ids_of("l").len()), (0, 12));
}

/// Nothing waits longer than history, so nobody may ask for that; and no time at all is nonsense.
#[test]
fn the_time_has_a_limit() {
    let server = start(&[("WEBSOCKET_MESSAGE_EXPIRY_TIME", "5000")]);
    let mut client = Client::connect(server.address, "user-1", SESSION);
    for time in ["5001", "18446744073709551615", "0", "-1", "1.5", "\"1000\"", "null", "true"] {
        let text = format!(r#"{{"id":"m1","type":"custom","expiresIn":{time},"payload":{{}}}}"#);
        let error = client.expect_error(&text, "bad_message");
        assert!(json::is(&error, "payload.field", "expiresIn"), "{time}: {}", error.encode());
    }
    client.send(&json!({"id": "m2", "type": "custom", "expiresIn": 5000, "payload": {}}));
    assert!(json::is(&client.receive(), "id", "m2"));
}
