//! Coming back to a session by `hashi:join`.

use super::common::client::{Client, envelope};
use super::common::flood::numbered;
use super::common::json;
use super::common::server::TestServer;
use super::{SESSION, all_until, epoch_of, expect_gap, publish, server};
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;

/// Joins with a position and returns the answer, which is the next message.
#[track_caller]
fn join_after(client: &mut Client, epoch: &str, seq: u64) -> OwnedValue {
    let payload = json!({"sessionId": SESSION, "resume": {"epoch": epoch, "seq": seq}});
    client.send(&envelope("j1", "hashi:join", payload));
    let answer = client.receive();
    assert!(json::is(&answer, "type", "hashi:join") && json::is(&answer, "replyTo", "j1"), "{}", answer.encode());
    answer["payload"].clone()
}

#[test]
fn the_answer_comes_first_and_then_what_was_missed() {
    let server = server();
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    let epoch = epoch_of(&publisher, SESSION);
    publish(&mut publisher, "m", 200);
    let mut client = Client::connect(server.address, "reader", "another");
    let answer = join_after(&mut client, &epoch, 50);
    assert_eq!(answer, json!({"sessionId": SESSION, "epoch": epoch.as_str(), "seq": 50, "recovered": true}));
    publish(&mut publisher, "live", 2);
    let expected = [numbered("m", 51..=200), numbered("live", 1..=2)].concat();
    assert_eq!(all_until(&mut client, "live-2"), expected);
}

#[test]
fn a_loss_is_told_behind_the_answer() {
    let server = TestServer::spawn_process(&[("HASHI_HISTORY_MESSAGES", "5")]);
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    let epoch = epoch_of(&publisher, SESSION);
    publish(&mut publisher, "m", 20);
    let mut client = Client::connect(server.address, "reader", "another");
    for (claimed, seq, range, reason) in
        [(epoch.as_str(), 2, Some((3, 20)), "history_evicted"), ("other", 2, None, "unknown_epoch")]
    {
        let answer = join_after(&mut client, claimed, seq);
        assert_eq!(answer, json!({"sessionId": SESSION, "epoch": epoch.as_str(), "seq": 20, "recovered": false}));
        expect_gap(&mut client, SESSION, range, reason);
        client.expect_nothing();
        client.leave(SESSION);
    }
}

/// A member that asks again gets it again, and each live message once.
#[test]
fn a_member_can_go_back() {
    let server = server();
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    let mut client = Client::connect(server.address, "reader", SESSION);
    let epoch = epoch_of(&client, SESSION);
    publish(&mut publisher, "m", 10);
    assert_eq!(all_until(&mut client, "m-10"), numbered("m", 1..=10));
    for seq in [7, 0] {
        let answer = join_after(&mut client, &epoch, seq as u64);
        assert!(json::boolean(&answer, "recovered"), "{}", answer.encode());
        assert_eq!(all_until(&mut client, "m-10"), numbered("m", seq + 1..=10));
    }
    join_after(&mut client, &epoch, 10);
    client.expect_nothing();
    publish(&mut publisher, "live", 2);
    assert_eq!(all_until(&mut client, "live-2"), numbered("live", 1..=2));
}

#[test]
fn without_a_position_there_is_no_recovered() {
    let server = server();
    let mut client = Client::connect(server.address, "reader", "another");
    let answer = client.join(SESSION);
    assert!(json::find(&answer, "payload.recovered").is_none(), "{}", answer.encode());
    client.expect_nothing();
}
