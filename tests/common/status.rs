//! What the server says about itself: `GET /ws-api/status`.

use super::http;
use super::json;
use super::wait::{self, PATIENCE};
use simd_json::OwnedValue;
use simd_json::prelude::*;
use std::net::SocketAddr;
use std::time::Duration;

/// The whole status document.
#[track_caller]
pub fn read(address: SocketAddr) -> OwnedValue {
    // With a policy only services see all of it.
    let headers = [("Authorization", "Bearer service:status"), ("Connection", "close")];
    let response = http::request(address, "GET", "/ws-api/status", &headers, b"");
    assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
    response.json()
}

/// Waits until the number at `path` is `expected`.
#[track_caller]
pub fn expect(address: SocketAddr, path: &str, expected: u64) {
    expect_within(address, path, expected, PATIENCE);
}

#[track_caller]
pub fn expect_within(address: SocketAddr, path: &str, expected: u64, within: Duration) {
    let look = || match json::number(&read(address), path) {
        number if number == expected => Ok(()),
        number => Err(number),
    };
    if let Err(number) = wait::until(within, look) {
        panic!("{path} in the status is {number} after {within:?}, not {expected}");
    }
}

/// Waits until the server holds nothing for anybody: no row but the one that asks, no message but what history keeps.
#[track_caller]
pub fn expect_empty(address: SocketAddr) {
    let look = || {
        let status = read(address);
        if is_empty(&status) { Ok(()) } else { Err(status) }
    };
    if let Err(status) = wait::until(PATIENCE, look) {
        panic!("rows or queued messages stay: {}", status.encode());
    }
}

fn is_empty(status: &OwnedValue) -> bool {
    let zero =
        ["connections.websocket", "connections.authenticated", "queues.entries", "queues.blocks", "history.rowsBehind"];
    zero.iter().all(|path| json::number(status, path) == 0)
        && json::number(status, "connections.rows") <= 1
        && json::number(status, "queues.messages") == json::number(status, "history.messages")
}
