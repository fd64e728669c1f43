//! Reliable messages for a client that stalls: what history loses meanwhile comes all the same.

use super::common::client::envelope;
use super::common::json;
use super::common::server::Env;
use super::common::status;
use super::received::numbered;
use super::stalled::{Stalled, counter, message, with};
use super::start;
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;
use std::collections::BTreeSet;

/// Far fewer than the test sends.
const FEW: Env = &[
    ("WEBSOCKET_MESSAGE_QUEUE_SIZE", "4"),
    ("HASHI_HISTORY_MESSAGES", "10"),
    ("HASHI_ACK_TIMEOUT_MS", "100"),
    ("HASHI_SLOW_MS", "60000"),
];

/// Messages that come one after the other from the reader, until each of these has come; all reliable ones are confirmed.
#[track_caller]
fn read_and_confirm(stalled: &mut Stalled, ids: &[String]) -> Vec<OwnedValue> {
    let mut missing: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    let mut came = Vec::new();
    while !missing.is_empty() {
        let message = stalled.slow.receive();
        if message.get("ack").is_some() {
            let id = json::string(&message, "id");
            stalled.slow.send(&envelope("confirm", "ack", json!({"ids": [id]})));
            missing.remove(id);
        }
        came.push(message);
    }
    came
}

/// More of them than queue and history hold: each arrives, those that history lost by their retries, in their order. No
/// attempt is spent on a copy that is not written, and none counts as lost.
#[test]
fn a_stalled_client_gets_all_reliable_messages() {
    let server = start(FEW);
    let mut stalled = Stalled::new_with(&server, "normal", &[], "ack");
    let ids = numbered("m", 1..=60);
    stalled.publish(&ids.iter().map(|id| with(message(id, "normal"), "reliable", true)).collect::<Vec<_>>());
    let came = read_and_confirm(&mut stalled, &ids);
    let direct = came.iter().filter(|message| json::find(message, "payload.direct").is_some()).count();
    assert_eq!(direct, 0, "nothing without a position was lost");
    let mut first = BTreeSet::new();
    let reliable =
        came.iter().filter(|message| message.get("ack").is_some()).map(|message| json::string(message, "id"));
    let order: Vec<&str> = reliable.filter(|id| first.insert(*id)).collect();
    assert_eq!(order[..10], ids[50..], "what history kept");
    assert_eq!(order[10..], ids[..50], "what it lost, by retries");
    status::expect(server.address, "counters.confirmed", 60);
    assert_eq!(counter(&server, "givenUp"), 0);
}
