//! Messages past their own expiry: a client that comes back is told of them, and all others follow.

use super::common::client::Client;
use super::common::flood::{gaps_told, message, publish_all, with};
use super::common::json;
use super::common::status;
use super::{SESSION, all_until, come_back, entry, epoch_of, expect_gap, position, publish, server};
use simd_json::OwnedValue;

fn expiring(id: &str) -> OwnedValue {
    with(message(id, "normal"), "expiresIn", 100)
}

#[test]
fn what_has_expired_is_told_and_the_rest_is_recovered() {
    let server = server();
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    let epoch = epoch_of(&publisher, SESSION);
    publish_all(
        &mut publisher,
        &[message("m-1", "normal"), expiring("e-2"), expiring("e-3"), message("m-4", "normal")],
    );
    publish_all(&mut publisher, &[expiring("e-5"), message("m-6", "high")]);
    status::expect(server.address, "counters.expired", 3);

    let mut client = come_back(&server, "reader", &[position(SESSION, &epoch, 0)]);
    assert!(json::boolean(entry(&client.welcome, SESSION), "recovered"));
    expect_gap(&mut client, SESSION, Some((2, 3)), "expired");
    expect_gap(&mut client, SESSION, Some((5, 5)), "expired");
    assert_eq!(all_until(&mut client, "m-4"), ["m-6", "m-1", "m-4"]);

    // From behind some of them, only the others are told.
    let mut client = come_back(&server, "reader", &[position(SESSION, &epoch, 2)]);
    expect_gap(&mut client, SESSION, Some((3, 3)), "expired");
    expect_gap(&mut client, SESSION, Some((5, 5)), "expired");
    assert_eq!(all_until(&mut client, "m-4"), ["m-6", "m-4"]);
    let mut client = come_back(&server, "reader", &[position(SESSION, &epoch, 6)]);
    client.expect_nothing();
    assert_eq!(gaps_told(&server, "expired"), 4);
}

/// It was not for the client: its own, over a connection that it has taken over.
#[test]
fn what_was_never_for_the_client_is_no_loss() {
    let server = server();
    let mut first = Client::connect(server.address, "reader", SESSION);
    let positions = [position(SESSION, &epoch_of(&first, SESSION), 0)];
    publish_all(&mut first, &[expiring("own")]);
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    publish(&mut publisher, "m", 1);
    status::expect(server.address, "counters.expired", 1);
    let mut second = super::take_over::take_over(&server, "reader", first.connection_id(), &positions);
    assert_eq!(all_until(&mut second, "m-1"), ["m-1"]);
}

/// Behind what was evicted there is nothing to tell in detail.
#[test]
fn an_eviction_says_all() {
    let server = super::common::server::TestServer::spawn_process(&[("HASHI_HISTORY_MESSAGES", "3")]);
    let mut publisher = Client::connect(server.address, "publisher", SESSION);
    let epoch = epoch_of(&publisher, SESSION);
    publish_all(&mut publisher, &[message("m-1", "normal"), expiring("e-2")]);
    status::expect(server.address, "counters.expired", 1);
    publish(&mut publisher, "n", 5);
    let mut client = come_back(&server, "reader", &[position(SESSION, &epoch, 0)]);
    expect_gap(&mut client, SESSION, Some((1, 7)), "history_evicted");
    client.expect_nothing();
}
