//! `to`: messages for a user or for one connection.

use super::common::client::{Client, envelope};
use super::common::json;
use super::{members_of, position_in, server};
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;

fn to_user(id: &str, user: &str) -> OwnedValue {
    json!({"id": id, "type": "custom", "to": {"userId": user}, "payload": {}})
}

fn to_connection(id: &str, connection: &str) -> OwnedValue {
    json!({"id": id, "type": "custom", "to": {"connectionId": connection}, "payload": {}})
}

/// Expects a message to be refused, with the same answer whether or not the addressee exists.
#[track_caller]
fn expect_forbidden(client: &mut Client, message: &OwnedValue) {
    let error = client.expect_error(&message.encode(), "forbidden");
    assert_eq!(error["replyTo"], message["id"]);
}

#[test]
fn a_message_to_a_user_reaches_each_of_its_connections() {
    let server = server();
    let mut sender = Client::connect(server.address, "user-1", "s1");
    let mut here = Client::connect(server.address, "user-2", "s1");
    let mut elsewhere = Client::connect(server.address, "user-2", "s2");
    let mut third = Client::connect(server.address, "user-3", "s1");
    let published = sender.publish(to_user("m1", "user-2"));
    assert_eq!((json::number(&published, "seq"), json::number(&published, "matched")), (1, 2));
    assert_eq!(json::number(&published, "queued"), 2);
    for client in [&mut here, &mut elsewhere] {
        let came = client.receive();
        assert_eq!(members_of(&came), ["from", "id", "payload", "priority", "seq", "sessionId", "timestamp", "type"]);
        assert!(json::is(&came, "id", "m1") && json::is(&came, "from", "user-1"), "{}", came.encode());
        assert!(json::is(&came, "sessionId", "@user-2"), "the user's personal session: {}", came.encode());
        assert_eq!(json::number(&came, "seq"), 1);
        assert_eq!(json::number(position_in(&client.welcome, "@user-2"), "seq"), 0);
    }
    sender.expect_nothing();
    third.expect_nothing();
}

#[test]
fn a_message_to_a_connection_reaches_it_alone_and_has_no_position() {
    let server = server();
    let mut sender = Client::connect(server.address, "user-1", "s1");
    let mut chosen = Client::connect(server.address, "user-2", "s1");
    let mut twin = Client::connect(server.address, "user-2", "s1");
    let published = sender.publish(to_connection("m1", chosen.connection_id()));
    assert!(published["seq"].is_null(), "{}", published.encode());
    assert_eq!((json::number(&published, "matched"), json::number(&published, "queued")), (1, 1));
    let came = chosen.receive();
    assert_eq!(members_of(&came), ["from", "id", "payload", "priority", "timestamp", "type"]);
    assert!(json::is(&came, "id", "m1") && json::is(&came, "from", "user-1"), "{}", came.encode());
    twin.expect_nothing();
    sender.expect_nothing();
    let published = sender.publish(envelope("m2", "custom", json!({})));
    assert_eq!(json::number(&published, "seq"), 1, "it took no position of a session either");
}

#[test]
fn oneself_may_always_be_addressed() {
    let server = server();
    let mut client = Client::connect_with(server.address, json!({"token": "user-1"}));
    client.send(&to_user("m1", "user-1"));
    assert!(json::is(&client.receive(), "id", "m1"));
    let own = client.connection_id().to_owned();
    client.send(&to_connection("m2", &own));
    assert!(json::is(&client.receive(), "id", "m2"));
    client.expect_nothing();
}

#[test]
fn a_user_addresses_only_whom_it_shares_a_session_with() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    let mut stranger = Client::connect(server.address, "user-2", "s2");
    for message in [
        to_user("m1", "user-2"),
        to_user("m2", "nobody"),
        to_connection("m3", stranger.connection_id()),
        to_connection("m4", "00000000000000000000000000000000"),
    ] {
        expect_forbidden(&mut client, &message);
    }
    stranger.expect_nothing();
    client.join("s2");
    client.publish(to_user("m5", "user-2"));
    assert!(json::is(&stranger.receive(), "id", "m5"));
    client.publish(to_connection("m6", stranger.connection_id()));
    assert!(json::is(&stranger.receive(), "id", "m6"));
    client.leave("s2");
    expect_forbidden(&mut client, &to_user("m7", "user-2"));
    stranger.expect_nothing();
}

/// It is the sending connection that must share a session, not another one of the same user.
#[test]
fn another_connection_of_the_user_does_not_help() {
    let server = server();
    let mut there = Client::connect(server.address, "user-1", "s2");
    let mut here = Client::connect(server.address, "user-1", "s1");
    let mut stranger = Client::connect(server.address, "user-2", "s2");
    expect_forbidden(&mut here, &to_user("m1", "user-2"));
    expect_forbidden(&mut here, &to_connection("m2", stranger.connection_id()));
    stranger.expect_nothing();
    there.publish(to_user("m3", "user-2"));
    assert!(json::is(&stranger.receive(), "id", "m3"));
}

/// Sharing a session with one connection of a user does not open the user's others by their ids.
#[test]
fn a_connection_is_addressed_by_the_sessions_it_is_in_itself() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    let _here = Client::connect(server.address, "user-2", "s1");
    let mut elsewhere = Client::connect(server.address, "user-2", "s2");
    expect_forbidden(&mut client, &to_connection("m1", elsewhere.connection_id()));
    elsewhere.expect_nothing();
    client.publish(to_user("m2", "user-2"));
    assert!(json::is(&elsewhere.receive(), "id", "m2"));
}

#[test]
fn a_service_addresses_anyone() {
    let server = server();
    let mut service = Client::connect_with(server.address, json!({"token": "service:worker"}));
    let mut user = Client::connect(server.address, "user-1", "s1");
    service.publish(to_user("m1", "user-1"));
    let came = user.receive();
    assert!(json::is(&came, "id", "m1") && json::is(&came, "from", "service:worker"), "{}", came.encode());
    service.publish(to_connection("m2", user.connection_id()));
    assert!(json::is(&user.receive(), "id", "m2"));
    let absent = service.publish(to_user("m3", "nobody"));
    assert_eq!((json::number(&absent, "seq"), json::number(&absent, "matched")), (1, 0));
    assert_eq!(json::number(&absent, "queued"), 0);
    let unknown = to_connection("m4", "00000000000000000000000000000000").encode();
    service.expect_error(&unknown, "not_found");
}

/// What was sent to an absent user took positions that the user's next connection starts behind.
#[test]
fn the_personal_session_has_a_position_of_its_own() {
    let server = server();
    let mut service = Client::connect_with(server.address, json!({"token": "service:worker"}));
    for id in ["m1", "m2"] {
        service.publish(to_user(id, "user-1"));
    }
    let mut user = Client::connect(server.address, "user-1", "s1");
    assert_eq!(json::number(position_in(&user.welcome, "@user-1"), "seq"), 2);
    service.publish(to_user("m3", "user-1"));
    assert_eq!(json::number(&user.receive(), "seq"), 3);
}

#[test]
fn a_closed_connection_is_addressed_no_more() {
    let server = server();
    let mut service = Client::connect_with(server.address, json!({"token": "service:worker"}));
    let user = Client::connect(server.address, "user-1", "s1");
    let id = user.connection_id().to_owned();
    user.ws.close();
    super::common::status::expect(server.address, "connections.websocket", 1);
    service.expect_error(&to_connection("m1", &id).encode(), "not_found");
    let absent = service.publish(to_user("m2", "user-1"));
    assert_eq!(json::number(&absent, "matched"), 0);
}
