//! A connection that goes on for another one goes on with what that has not confirmed.

use super::common::WS_PATH;
use super::common::flood::{message, numbered, publish_all, sized, with};
use super::common::status;
use super::common::tcp::Tcp;
use super::common::websocket::WebSocket;
use super::*;

/// Comes back as `receiver` for its old connection, at `seq` of the session, or without a position.
#[track_caller]
fn come_back(server: &TestServer, welcome: &OwnedValue, seq: Option<u64>) -> Client {
    let positions = welcome["payload"]["positions"].as_array().expect("positions");
    let own = positions.iter().find(|entry| json::is(entry, "sessionId", "s")).expect("the session");
    let claim = seq.map(|seq| json!([{"sessionId": "s", "epoch": own["epoch"].clone(), "seq": seq}]));
    let resume =
        json!({"connectionId": welcome["payload"]["connectionId"].clone(), "positions": claim.unwrap_or(json!([]))});
    let payload = json!({"token": "receiver", "sessionId": "s", "features": ["ack", "resume"], "resume": resume});
    Client::connect_with(server.address, payload)
}

#[test]
fn what_lies_at_or_below_the_position_counts_as_confirmed() {
    let server = start(PATIENT);
    let mut receiver = confirming(server.address, "receiver");
    let mut sender = plain(server.address, "sender");
    for id in ["m1", "m2", "m3"] {
        sender.send(&delivered(id));
        receiver.receive();
        result(&mut sender, id);
    }
    let mut again = come_back(&server, &receiver.welcome, Some(2));
    assert_eq!(results(&mut sender), json!([counts("m1", 1, 1, 0, 0), counts("m2", 1, 1, 0, 0)]));
    let replayed = again.receive_type("custom");
    assert!(json::is(&replayed, "id", "m3"), "{}", replayed.encode());
    confirm(&mut again, &["m3"]);
    assert_eq!(result(&mut sender, "m3"), counts("m3", 1, 1, 0, 0));
    status::expect(server.address, "confirmation.inFlight", 0);
}

/// A confirmation that was on its way when the connection was lost may be given again on the next one.
#[test]
fn what_the_old_connection_was_sent_may_be_confirmed_on_the_new_one() {
    let server = start(PATIENT);
    let mut receiver = confirming(server.address, "receiver");
    let mut sender = plain(server.address, "sender");
    sender.send(&delivered("m"));
    receiver.receive();
    result(&mut sender, "m");
    let mut again = come_back(&server, &receiver.welcome, Some(0));
    confirm(&mut again, &["m"]);
    assert_eq!(result(&mut sender, "m"), counts("m", 1, 1, 0, 0));
}

#[test]
fn a_message_that_is_replayed_is_retried_as_before() {
    let server = start(HASTY);
    let mut receiver = confirming(server.address, "receiver");
    let mut sender = plain(server.address, "sender");
    sender.send(&delivered("m"));
    receiver.receive();
    let mut again = come_back(&server, &receiver.welcome, Some(0));
    for _ in 0..2 {
        assert!(json::is(&again.receive_type("custom"), "id", "m"));
    }
    confirm(&mut again, &["m"]);
    result(&mut sender, "m");
    assert_eq!(result(&mut sender, "m"), counts("m", 1, 1, 0, 0));
}

#[test]
fn without_a_position_it_is_sent_again_at_once() {
    let server = start(PATIENT);
    let mut receiver = confirming(server.address, "receiver");
    let mut sender = plain(server.address, "sender");
    let to = json!({"connectionId": receiver.connection_id()});
    sender.send(&delivered("session"));
    sender.send(&json!({"id": "direct", "type": "custom", "to": to, "ack": "delivered", "payload": {}}));
    receiver.receive();
    receiver.receive();
    let mut again = come_back(&server, &receiver.welcome, None);
    for id in ["session", "direct"] {
        assert!(json::is(&again.receive_type("custom"), "id", id));
        confirm(&mut again, &[id]);
    }
    result(&mut sender, "session");
    result(&mut sender, "direct");
    status::expect(server.address, "counters.confirmed", 2);
}

/// A position also passes what a `hashi:gap` has told of. What lies in it was perhaps never written, or was: nobody knows.
#[test]
fn what_lies_in_a_gap_does_not_count_as_confirmed() {
    let server = start(&[
        ("HASHI_ACK_TIMEOUT_MS", "60000"),
        ("HASHI_SLOW_MS", "60000"),
        ("HASHI_HISTORY_MESSAGES", "5"),
        ("WEBSOCKET_MESSAGE_QUEUE_SIZE", "10"),
    ]);
    let ws = WebSocket::upgrade(Tcp::connect_narrow(server.address, 4_096), server.address, WS_PATH, &[]);
    let mut receiver = Client { ws, welcome: OwnedValue::null() };
    let payload = json!({"token": "receiver", "sessionId": "s", "features": ["ack", "resume"]});
    receiver.welcome = receiver.authenticate(payload);
    let mut sender = plain(server.address, "sender");
    sender.send(&delivered("kept"));
    result(&mut sender, "kept");
    // More than the kernel takes, so that the receiver falls behind; of what follows, history keeps only the end.
    let fillers: Vec<_> = numbered("filler", 1..=500).iter().map(|id| sized(id, "normal", 8_192)).collect();
    publish_all(&mut sender, &fillers);
    sender.send(&with(delivered("overtaking"), "priority", "high"));
    sender.send(&delivered("lost"));
    publish_all(&mut sender, &numbered("last", 1..=10).iter().map(|id| message(id, "normal")).collect::<Vec<_>>());

    let mut gaps = Vec::new();
    let mut came = Vec::new();
    while came.last().is_none_or(|id| id != "last-10") {
        let message = receiver.receive();
        match json::string(&message, "type") {
            "hashi:gap" => gaps.push(json::number(&message, "payload.from")..=json::number(&message, "payload.to")),
            "custom" => came.push(json::string(&message, "id").to_owned()),
            _ => {}
        }
    }
    let [gap] = &gaps[..] else { panic!("one loss is told, not {gaps:?}") };
    assert!(gap.contains(&502) && gap.contains(&503) && !gap.contains(&1), "{gap:?}");
    assert!(came.iter().any(|id| id == "overtaking") && !came.iter().any(|id| id == "lost"));

    let mut again = come_back(&server, &receiver.welcome, Some(513));
    assert_eq!(result(&mut sender, "kept"), counts("kept", 1, 1, 0, 0));
    for id in ["overtaking", "lost"] {
        assert!(json::is(&again.receive_type("custom"), "id", id), "{id} is sent again");
    }
    confirm(&mut again, &["overtaking", "lost"]);
    assert_eq!(results(&mut sender), json!([counts("overtaking", 1, 1, 0, 0), counts("lost", 1, 1, 0, 0)]));
}

/// Nothing is sent to nobody, and no attempt is spent.
#[test]
fn while_nobody_goes_on_it_waits() {
    let server = start(HASTY);
    let mut receiver = confirming(server.address, "receiver");
    let mut sender = plain(server.address, "sender");
    sender.send(&delivered("m"));
    let message = receiver.receive();
    let welcome = receiver.welcome.clone();
    drop(receiver);
    status::expect(server.address, "history.departed", 1);
    let mut again = come_back(&server, &welcome, Some(0));
    let copies: Vec<_> = (0..4).map(|_| again.receive_type("custom")).collect();
    assert!(copies.iter().all(|copy| *copy == message), "the first copy and three retries");
}
