//! Coming back with a position in the authentication.

use super::common::client::Client;
use super::common::flood::{numbered, publish_all, with};
use super::common::json;
use super::common::server::TestServer;
use super::common::status;
use super::{SESSION, all_until, come_back, entry, epoch_of, expect_gap, message, position, publish, server};
use simd_json::OwnedValue;
use simd_json::json;

#[track_caller]
fn expect_position(client: &Client, session: &str, seq: u64, recovered: bool) {
    let position = entry(&client.welcome, session);
    assert_eq!((json::number(position, "seq"), json::boolean(position, "recovered")), (seq, recovered));
}

#[test]
fn what_was_missed_follows_and_then_what_is_live() {
    let server = server();
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    let mut first = Client::connect(server.address, "reader", SESSION);
    let epoch = epoch_of(&first, SESSION);
    publish(&mut publisher, "m", 5);
    first.receive_where(|message| json::is(message, "id", "m-5"));
    first.ws.tcp.abort();
    publish(&mut publisher, "missed", 200);
    // From a position in the middle of what has arrived: all after it comes, once more or for the first time.
    let mut second = come_back(&server, "reader", &[position(SESSION, &epoch, 2)]);
    expect_position(&second, SESSION, 2, true);
    publish(&mut publisher, "live", 3);
    let expected = [numbered("m", 3..=5), numbered("missed", 1..=200), numbered("live", 1..=3)].concat();
    assert_eq!(all_until(&mut second, "live-3"), expected);
}

#[test]
fn nothing_follows_where_nothing_was_missed() {
    let server = server();
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    publish(&mut publisher, "m", 5);
    let first = Client::connect(server.address, "reader", SESSION);
    let mut second = come_back(&server, "reader", &[position(SESSION, &epoch_of(&first, SESSION), 5)]);
    expect_position(&second, SESSION, 5, true);
    second.expect_nothing();
    publish(&mut publisher, "live", 1);
    assert_eq!(all_until(&mut second, "live-1"), ["live-1"]);
}

/// Positions say nothing of recovery where none was asked for.
#[test]
fn without_a_resume_there_is_no_recovered() {
    let server = server();
    let first = Client::connect(server.address, "reader", SESSION);
    let second = come_back(&server, "reader", &[position(SESSION, &epoch_of(&first, SESSION), 0)]);
    for (client, session) in [(&first, SESSION), (&first, "@reader"), (&second, "@reader")] {
        assert!(json::find(entry(&client.welcome, session), "recovered").is_none(), "{session}");
    }
}

/// The personal session is named by positions alone, and only one's own.
#[test]
fn messages_to_the_user_are_recovered_too() {
    let server = server();
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    let first = Client::connect(server.address, "reader", SESSION);
    let personal = position("@reader", &epoch_of(&first, "@reader"), 0);
    let session = position(SESSION, &epoch_of(&first, SESSION), 0);
    let direct = |id: &str| with(message(id, "normal"), "to", json!({"userId": "reader"}));
    publish_all(&mut publisher, &[direct("d-1"), message("m-1", "normal"), direct("d-2")]);
    first.ws.tcp.abort();
    let mut second = come_back(&server, "reader", &[personal.clone(), session]);
    expect_position(&second, "@reader", 0, true);
    let mut came: Vec<_> = (0..3).map(|_| second.receive()).collect();
    came.sort_by_key(|message| json::string(message, "sessionId").to_owned());
    let told: Vec<_> = came.iter().map(|m| (json::string(m, "sessionId"), json::string(m, "id"))).collect();
    assert_eq!(told, [("@reader", "d-1"), ("@reader", "d-2"), (SESSION, "m-1")]);
    second.expect_nothing();

    let mut stranger = come_back(&server, "stranger", &[personal]);
    assert_eq!(*entry(&stranger.welcome, "@reader"), not_joined("@reader"));
    expect_gap(&mut stranger, "@reader", None, "unknown_epoch");
    stranger.expect_nothing();
}

fn not_joined(session: &str) -> OwnedValue {
    json!({"sessionId": session, "epoch": null, "seq": null, "recovered": false})
}

#[test]
fn another_epoch_is_not_recovered() {
    let server = server();
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    publish(&mut publisher, "m", 5);
    let mut client = come_back(&server, "reader", &[position(SESSION, "another-life", 2)]);
    expect_position(&client, SESSION, 5, false);
    expect_gap(&mut client, SESSION, None, "unknown_epoch");
    publish(&mut publisher, "live", 1);
    assert_eq!(all_until(&mut client, "live-1"), ["live-1"], "only what comes after the head");
}

/// A session that was made again is another one, although it has the same name.
#[test]
fn a_session_that_ended_meanwhile_is_not_recovered() {
    let server = TestServer::spawn_process(&[("WEBSOCKET_MESSAGE_EXPIRY_TIME", "150")]);
    let mut first = Client::connect(server.address, "reader", SESSION);
    first.round_trip("m-1");
    let old = position(SESSION, &epoch_of(&first, SESSION), 1);
    first.ws.close();
    status::expect(server.address, "sessions", 0);
    let mut second = come_back(&server, "reader", &[old]);
    expect_position(&second, SESSION, 0, false);
    expect_gap(&mut second, SESSION, None, "unknown_epoch");
}

/// `recovered` is true exactly as long as nothing after the position was evicted.
#[test]
fn the_window_of_history_ends_exactly() {
    let server = TestServer::spawn_process(&[("HASHI_HISTORY_MESSAGES", "5")]);
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    let epoch = epoch_of(&publisher, SESSION);
    publish(&mut publisher, "m", 20);
    let mut inside = come_back(&server, "reader", &[position(SESSION, &epoch, 15)]);
    expect_position(&inside, SESSION, 15, true);
    assert_eq!(all_until(&mut inside, "m-20"), numbered("m", 16..=20));
    let mut outside = come_back(&server, "reader", &[position(SESSION, &epoch, 14)]);
    expect_position(&outside, SESSION, 20, false);
    expect_gap(&mut outside, SESSION, Some((15, 20)), "history_evicted");
    publish(&mut publisher, "live", 1);
    assert_eq!(all_until(&mut outside, "live-1"), ["live-1"]);
}

#[test]
fn what_is_too_old_is_not_recovered() {
    let server = TestServer::spawn_process(&[("WEBSOCKET_MESSAGE_EXPIRY_TIME", "150")]);
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    let epoch = epoch_of(&publisher, SESSION);
    publish(&mut publisher, "m", 3);
    status::expect(server.address, "history.messages", 0);
    let mut client = come_back(&server, "reader", &[position(SESSION, &epoch, 1)]);
    expect_position(&client, SESSION, 3, false);
    expect_gap(&mut client, SESSION, Some((2, 3)), "history_evicted");
    let at_the_head = come_back(&server, "reader", &[position(SESSION, &epoch, 3)]);
    expect_position(&at_the_head, SESSION, 3, true);
}

/// A message that a newer one of its key has replaced is no loss.
#[test]
fn of_a_key_only_the_newest_follows() {
    let server = TestServer::spawn_process(&[("HASHI_HISTORY_MESSAGES", "5")]);
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    let epoch = epoch_of(&publisher, SESSION);
    let keyed = |id: &String| with(message(id, "normal"), "key", "k");
    publish(&mut publisher, "m", 2);
    publish_all(&mut publisher, &numbered("k", 1..=100).iter().map(keyed).collect::<Vec<_>>());
    publish(&mut publisher, "n", 2);
    let mut client = come_back(&server, "reader", &[position(SESSION, &epoch, 1)]);
    expect_position(&client, SESSION, 1, true);
    assert_eq!(all_until(&mut client, "n-2"), ["m-2", "k-100", "n-1", "n-2"]);
}

/// All of `high` first, then the others: within each priority by position.
#[test]
fn high_is_replayed_first() {
    let server = server();
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    let epoch = epoch_of(&publisher, SESSION);
    for number in 1..=40 {
        let mixed = ["low", "normal", "high"].map(|priority| message(&format!("{priority}-{number}"), priority));
        publish_all(&mut publisher, &mixed);
    }
    let mut client = come_back(&server, "reader", &[position(SESSION, &epoch, 0)]);
    let all: Vec<_> = (0..120).map(|_| json::string(&client.receive(), "id").to_owned()).collect();
    assert_eq!(all[..40], numbered("high", 1..=40));
    for priority in ["low", "normal"] {
        let of_priority: Vec<_> = all.iter().filter(|id| id.starts_with(priority)).cloned().collect();
        assert_eq!(of_priority, numbered(priority, 1..=40));
    }
    client.expect_nothing();
}

/// A session that the client does not join by this authentication says nothing, whether it exists or not.
#[test]
fn positions_join_nothing() {
    let server = server();
    let mut publisher = Client::connect(server.address, "publisher", "other");
    let epoch = epoch_of(&publisher, "other");
    publish(&mut publisher, "m", 3);
    let claims = [position("other", &epoch, 1), position("nowhere", "e", 1)];
    let mut client = come_back(&server, "reader", &claims);
    assert_eq!(*entry(&client.welcome, "other"), not_joined("other"));
    assert_eq!(*entry(&client.welcome, "nowhere"), not_joined("nowhere"));
    expect_gap(&mut client, "other", None, "unknown_epoch");
    expect_gap(&mut client, "nowhere", None, "unknown_epoch");
    publish(&mut publisher, "live", 1);
    client.expect_nothing();
}
