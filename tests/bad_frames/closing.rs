//! Rows 20 and 21: closing.

use super::common::frame::{BINARY, CLOSE, Frame, PING};
use super::common::json;
use super::common::row;
use super::common::server::TestServer;
use super::common::status;
use super::common::wait::PATIENCE;
use super::common::websocket::Event;
use super::{DOORS, Door, expect_failure};
use std::time::Duration;

#[test]
fn row_20_invalid_close_frames() {
    row::run(&[], |server| {
        for byte in [0, 3, 0xff] {
            expect_failure(server, &format!("the body {byte:#x}"), &Frame::new(CLOSE, [byte]).encode(), 1002);
        }
        let unused = [0, 1, 125, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 10_000, 65_535];
        for code in unused {
            expect_failure(server, &format!("the code {code}"), &Frame::close(code, "").encode(), 1002);
            expect_failure(server, &format!("the code {code} with a reason"), &Frame::close(code, "x").encode(), 1002);
        }
    });
}

#[test]
fn row_21_data_after_close() {
    row::run(&[], |server| {
        for door in DOORS {
            let message = r#"{"id":"late","type":"custom","payload":{}}"#;
            let late =
                [Frame::text(message), Frame::new(BINARY, "late"), Frame::new(PING, "late"), Frame::close(4000, "")];
            let mut ws = door.open(server);
            let bytes: Vec<u8> = late.iter().flat_map(Frame::encode).collect();
            ws.send_bytes([Frame::close(1000, "").encode(), bytes].concat());
            ws.expect_close(1000);
            ws.tcp.expect_end(PATIENCE);
            assert!(ws.tcp.pending().is_empty(), "{door:?}: something follows the server's close frame");
        }
    });
}

/// The control client, and when the other connections must be gone: after 3 s, and what timers and a busy machine add.
const ALONE: u64 = 1;
const DROPPED: Duration = Duration::from_millis(4_500);

#[test]
fn row_21_close_that_is_never_answered() {
    row::run_beside_others(&[("HASHI_AUTH_DEADLINE_MS", "300")], |server| {
        let mut held = vec![];
        for frame in [Frame::new(3, ""), Frame::text([0xff]), Frame::new(PING, "").unmasked()] {
            for door in DOORS {
                let mut ws = door.open(server);
                ws.send(&frame);
                held.push(ws);
            }
        }
        // This one is closed with 4004 because it does not authenticate.
        held.push(Door::Anonymous.open(server));
        for ws in &mut held {
            assert!(matches!(ws.next(), Event::Closed { .. }));
        }
        status::expect_within(server.address, "connections.websocket", ALONE, DROPPED);
        for ws in &mut held {
            ws.tcp.expect_end(PATIENCE);
        }
    });
}

#[test]
fn row_21_client_that_closes_and_stays() {
    row::run_beside_others(&[], |server| {
        for door in DOORS {
            let mut ws = door.open(server);
            ws.send(&Frame::close(1000, ""));
            ws.expect_close(1000);
            status::expect_within(server.address, "connections.websocket", ALONE, DROPPED);
            ws.tcp.expect_end(PATIENCE);
        }
        expect_rows(server, 2);
    });
}

/// The control client's row and that of the request which asks.
#[track_caller]
fn expect_rows(server: &TestServer, rows: u64) {
    status::expect_within(server.address, "connections.rows", rows, DROPPED);
    assert_eq!(json::number(&status::read(server.address), "connections.authenticated"), ALONE);
}
