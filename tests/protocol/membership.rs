//! `hashi:join` and `hashi:leave`, and the default session.

use super::common::client::{Client, envelope};
use super::common::json;
use super::common::server::TestServer;
use super::common::status;
use super::common::steps::assert_error;
use super::{assert_epoch, members_of, server};
use simd_json::json;
use simd_json::prelude::*;

#[test]
fn a_join_is_answered_with_the_position() {
    let server = server();
    let mut member = Client::connect(server.address, "user-1", "s2");
    for id in ["one", "two", "three"] {
        member.round_trip(id);
    }
    let mut client = Client::connect(server.address, "user-2", "s1");
    let answer = client.join("s2");
    assert!(json::is(&answer, "priority", "high"), "{}", answer.encode());
    assert_eq!(members_of(&answer["payload"]), ["epoch", "seq", "sessionId"]);
    assert!(json::is(&answer, "payload.sessionId", "s2"));
    assert_eq!(json::number(&answer, "payload.seq"), 3);
    assert_epoch(json::string(&answer, "payload.epoch"));
    member.send(&envelope("four", "custom", json!({})));
    let came = client.receive();
    assert_eq!((json::string(&came, "id"), json::number(&came, "seq")), ("four", 4));
    client.ws.close();
    member.ws.close();
}

#[test]
fn the_answer_precedes_everything_of_the_session() {
    let server = server();
    let mut flood = Client::connect_with(server.address, json!({"token": "user-1", "sessionId": "s2", "echo": false}));
    let mut client = Client::connect(server.address, "user-2", "s1");
    for round in 0..20 {
        let batch: Vec<u8> = (0..30).flat_map(|index| flood_frame(round * 30 + index)).collect();
        flood.ws.send_bytes(&batch[..batch.len() / 2]);
        client.send(&envelope("join", "hashi:join", json!({"sessionId": "s2"})));
        flood.ws.send_bytes(&batch[batch.len() / 2..]);
        let answer = client.receive();
        assert!(json::is(&answer, "type", "hashi:join"), "the answer comes first: {}", answer.encode());
        flood.settle();
        let mut seq = json::number(&answer, "payload.seq");
        let end = (round + 1) * 30;
        while seq < end {
            seq += 1;
            assert_eq!(json::number(&client.receive(), "seq"), seq, "nothing between the position and what comes");
        }
        client.leave("s2");
        client.expect_nothing();
    }
    client.ws.close();
    flood.ws.close();
}

fn flood_frame(index: u64) -> Vec<u8> {
    let priority = ["high", "normal", "normal"][(index / 30 % 3) as usize];
    let message = json!({"id": format!("f{index}"), "type": "custom", "priority": priority, "payload": {}});
    super::common::frame::Frame::text(message.encode()).encode()
}

#[test]
fn a_second_join_changes_nothing() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    let first = client.join("s2");
    let second = client.join("s2");
    assert_eq!(first["payload"], second["payload"]);
    let own = client.join("s1");
    assert!(json::is(&own, "payload.sessionId", "s1"));
    status::expect(server.address, "memberships", 3);
    client.send(&json!({"id": "once", "type": "custom", "sessionId": "s2", "payload": {}}));
    assert!(json::is(&client.receive(), "id", "once"));
    client.expect_nothing();
    client.leave("s2");
    let again = json!({"id": "gone", "type": "custom", "sessionId": "s2", "payload": {}});
    client.publish(again);
    client.expect_nothing();
    client.ws.close();
}

#[test]
fn a_leave_is_answered_with_the_position_and_ends_delivery() {
    let server = server();
    let mut member = Client::connect(server.address, "user-1", "s2");
    let mut client = Client::connect(server.address, "user-2", "s1");
    let joined = client.join("s2");
    member.round_trip("one");
    client.receive_where(|message| json::is(message, "id", "one"));
    let left = client.leave("s2");
    assert_eq!(members_of(&left["payload"]), ["epoch", "seq", "sessionId"]);
    assert_eq!(json::number(&left, "payload.seq"), 1);
    assert_eq!(left["payload"]["epoch"], joined["payload"]["epoch"]);
    member.round_trip("two");
    client.expect_nothing();
    let back = client.join("s2");
    assert_eq!(json::number(&back, "payload.seq"), 2);
    client.ws.close();
    member.ws.close();
}

#[test]
fn leaving_a_session_that_is_not_joined() {
    let server = server();
    let _member = Client::connect(server.address, "user-2", "s2");
    let mut client = Client::connect(server.address, "user-1", "s1");
    client.join("s3");
    client.leave("s3");
    for session in ["s2", "s3", "unknown"] {
        let text = envelope("leave", "hashi:leave", json!({"sessionId": session})).encode();
        let error = client.expect_error(&text, "not_found");
        assert!(json::is(&error, "replyTo", "leave"), "{}", error.encode());
    }
    client.round_trip("the connection stays");
    client.ws.close();
}

#[test]
fn a_connection_is_in_so_many_sessions() {
    let server = TestServer::spawn_process(&[("HASHI_SESSIONS_PER_CONNECTION", "3")]);
    let mut client = Client::connect(server.address, "user-1", "s1");
    client.join("s2");
    client.join("s3");
    let text = envelope("join", "hashi:join", json!({"sessionId": "s4"})).encode();
    for _ in 0..2 {
        let error = client.expect_error(&text, "forbidden");
        assert!(json::is(&error, "replyTo", "join"), "{}", error.encode());
    }
    client.join("s3");
    // It is not in it: what is published there does not come.
    client.publish(json!({"id": "elsewhere", "type": "custom", "sessionId": "s4", "payload": {}}));
    client.expect_nothing();
    client.leave("s1");
    client.join("s4");
    client.ws.text(&text.replace("s4", "s5"));
    assert_error(&client.receive(), "forbidden", "one more");
    client.ws.close();
}

#[test]
fn without_an_authenticated_session_there_is_room_for_one_more() {
    let server = TestServer::spawn_process(&[("HASHI_SESSIONS_PER_CONNECTION", "1")]);
    let mut client = Client::connect_with(server.address, json!({"token": "user-1"}));
    client.join("s1");
    let text = envelope("join", "hashi:join", json!({"sessionId": "s2"})).encode();
    client.expect_error(&text, "forbidden");
    client.ws.close();
}

/// Publishes without naming a session, and returns the session it went to.
#[track_caller]
fn default_session(client: &mut Client) -> String {
    client.send(&envelope("default", "custom", json!({})));
    let came = client.receive();
    assert!(json::is(&came, "id", "default"), "{}", came.encode());
    json::string(&came, "sessionId").to_owned()
}

#[test]
fn the_default_is_the_oldest_session_that_is_still_joined() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    client.join("s2");
    client.join("s3");
    assert_eq!(default_session(&mut client), "s1");
    client.leave("s1");
    assert_eq!(default_session(&mut client), "s2");
    client.join("s1");
    assert_eq!(default_session(&mut client), "s2", "who comes back is the newest");
    client.join("s2");
    client.leave("s2");
    assert_eq!(default_session(&mut client), "s3");
    client.leave("s3");
    assert_eq!(default_session(&mut client), "s1");
    client.leave("s1");
    expect_no_session(&mut client);
    client.join("s4");
    assert_eq!(default_session(&mut client), "s4");
    client.ws.close();
}

/// The personal session is never the default one.
#[track_caller]
fn expect_no_session(client: &mut Client) {
    for more in ["", r#","ack":true"#, r#","echo":false"#] {
        let text = format!(r#"{{"id":"m1","type":"custom"{more},"payload":{{}}}}"#);
        let error = client.expect_error(&text, "no_session");
        assert!(json::is(&error, "replyTo", "m1"), "{}", error.encode());
    }
    client.expect_nothing();
}

#[test]
fn without_a_session_there_is_no_default() {
    let server = server();
    let mut client = Client::connect_with(server.address, json!({"token": "user-1"}));
    expect_no_session(&mut client);
    client.join("s1");
    assert_eq!(default_session(&mut client), "s1");
    client.ws.close();
}

#[test]
fn whoever_disconnects_has_left() {
    let server = server();
    let mut stays = Client::connect(server.address, "user-1", "s1");
    let leaves = Client::connect(server.address, "user-2", "s1");
    let breaks = Client::connect(server.address, "user-3", "s1");
    status::expect(server.address, "memberships", 6);
    leaves.ws.close();
    breaks.ws.tcp.abort();
    status::expect(server.address, "memberships", 2);
    let published = stays.publish(envelope("m1", "custom", json!({})));
    assert_eq!(json::number(&published, "matched"), 1);
    stays.ws.close();
}
