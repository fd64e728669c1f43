//! BAD_INPUT.md, rows 14 to 24: WebSocket frames. One test per row, its variations in tables; what holds besides the
//! close codes is checked by `common::row` for each of them.

mod common;

#[path = "bad_frames/closing.rs"]
mod closing;
#[path = "bad_frames/floods.rs"]
mod floods;
#[path = "bad_frames/fragments.rs"]
mod fragments;
#[path = "bad_frames/frames.rs"]
mod frames;
#[path = "bad_frames/heartbeats.rs"]
mod heartbeats;
#[path = "bad_frames/limits.rs"]
mod limits;
#[path = "bad_frames/slow.rs"]
mod slow;

use common::client::Client;
use common::frame::Frame;
use common::server::TestServer;
use common::websocket::{Event, WebSocket};
use common::{ECHO_PATH, WS_PATH};

/// A way to a connection that a row applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    /// `/ws` before authentication.
    Anonymous,
    /// `/ws` after authentication.
    Authenticated,
    /// The raw echo endpoint.
    Echo,
}

const DOORS: [Door; 3] = [Door::Anonymous, Door::Authenticated, Door::Echo];

impl Door {
    #[track_caller]
    fn open(self, server: &TestServer) -> WebSocket {
        match self {
            Self::Anonymous => WebSocket::open(server.address, WS_PATH),
            Self::Authenticated => Client::connect(server.address, "user-1", "s1").ws,
            Self::Echo => WebSocket::open(server.address, ECHO_PATH),
        }
    }
}

/// Sends `bytes` through every door and expects each connection to fail with `code` and then to end.
#[track_caller]
fn expect_failure(server: &TestServer, case: &str, bytes: &[u8], code: u16) {
    for door in DOORS {
        let mut ws = door.open(server);
        ws.send_bytes(bytes);
        match ws.next() {
            Event::Closed { code: Some(came), .. } if came == code => {}
            event => panic!("{case} ({door:?}): expected close {code}, not {event:?}"),
        }
        // Ok because the server may hang up without our answer (RFC 6455, 7.1.7).
        let _ = ws.tcp.try_send(Frame::close(code, "").encode());
        ws.tcp.expect_end(common::wait::PATIENCE);
    }
}
