//! `ack` from a client: what it confirms, and what it cannot.

use super::common::status;
use super::*;

#[test]
fn one_ack_confirms_many() {
    let server = start(PATIENT);
    let mut receiver = confirming(server.address, "receiver");
    let mut sender = plain(server.address, "sender");
    let ids: Vec<String> = (0..200).map(|number| format!("m{number}")).collect();
    for id in &ids {
        sender.send(&reliable(id));
        receiver.receive();
    }
    status::expect(server.address, "confirmation.inFlight", 200);
    confirm(&mut receiver, &ids.iter().map(String::as_str).collect::<Vec<_>>());
    status::expect(server.address, "confirmation.inFlight", 0);
    status::expect(server.address, "counters.confirmed", 200);
    status::expect(server.address, "counters.ignoredAcks", 0);
}

/// BAD_INPUT 31.
#[test]
fn nobody_confirms_for_another() {
    let server = start(PATIENT);
    let [mut one, mut other] = ["one", "other"].map(|user| confirming(server.address, user));
    let mut sender = plain(server.address, "sender");
    let to = json!({"connectionId": one.connection_id()});
    sender.send(&json!({"id": "m", "type": "custom", "to": to, "ack": "delivered", "payload": {}}));
    one.receive();
    for ids in [&["m"][..], &["unknown", "m"], &[]] {
        confirm(&mut other, ids);
    }
    status::expect(server.address, "counters.ignoredAcks", 3);
    status::expect(server.address, "confirmation.inFlight", 1);
    confirm(&mut one, &["m"]);
    result(&mut sender, "m");
    assert_eq!(result(&mut sender, "m"), counts("m", 1, 1, 0, 0));
    other.expect_nothing();
}

#[test]
fn one_id_confirms_every_message_of_that_id() {
    let server = start(PATIENT);
    let mut receiver = confirming(server.address, "receiver");
    for user in ["a", "b", "c"] {
        let mut sender = plain(server.address, user);
        sender.send(&reliable("same"));
        receiver.receive();
    }
    confirm(&mut receiver, &["same"]);
    status::expect(server.address, "counters.confirmed", 3);
}

#[test]
fn over_rest_with_the_connection_s_id() {
    let server = start(PATIENT);
    let mut receiver = confirming(server.address, "sender");
    let mut sender = plain(server.address, "sender");
    sender.send(&delivered("m"));
    receiver.receive();
    let ack = envelope("a", "ack", json!({"ids": ["m"]}));
    let problem = post(&server, "/ws-api/send", &[], &ack).expect_problem(400);
    assert!(json::is(&problem, "code", "bad_message"));
    let connection = [("Hashi-Connection", receiver.connection_id())];
    assert_eq!(post(&server, "/ws-api/send", &connection, &ack).status, 202);
    let keyed = [connection[0], ("Idempotency-Key", "key")];
    let again = post(&server, "/ws-api/send", &keyed, &json!({"type": "ack", "payload": {"ids": ["m"]}}));
    assert_eq!((again.status, &again.json()["id"]), (202, &json!("key")));
    result(&mut sender, "m");
    assert_eq!(result(&mut sender, "m"), counts("m", 1, 1, 0, 0));
}

#[test]
fn a_malformed_one_is_named() {
    let server = start(PATIENT);
    let mut receiver = confirming(server.address, "receiver");
    let error = receiver.expect_error(r#"{"id":"a","type":"ack","payload":{"ids":"m"}}"#, "bad_message");
    assert!(json::is(&error, "payload.field", "payload.ids"), "{}", error.encode());
    receiver.ws.close();
}

#[test]
fn the_welcome_lists_the_feature() {
    let server = start(PATIENT);
    let receiver = confirming(server.address, "receiver");
    assert_eq!(receiver.welcome["payload"]["features"], json!(["resume", "ack"]));
}
