//! Conformance to RFC 6455, rule by rule, against the raw echo endpoint: one test per rule, named by what it says,
//! with its section in a comment. Where the RFC leaves the server a choice, the comment says which answers pass.

mod common;

#[path = "rfc6455/closing.rs"]
mod closing;
#[path = "rfc6455/control_frames.rs"]
mod control_frames;
#[path = "rfc6455/fragmentation.rs"]
mod fragmentation;
#[path = "rfc6455/framing.rs"]
mod framing;
#[path = "rfc6455/handshake.rs"]
mod handshake;
#[path = "rfc6455/large.rs"]
mod large;
#[path = "rfc6455/utf8.rs"]
mod utf8;

use common::ECHO_PATH;
use common::server::TestServer;
use common::websocket::WebSocket;

/// A server with the default settings.
#[track_caller]
fn server() -> TestServer {
    TestServer::spawn_process(&[])
}

/// A new connection to the echo endpoint.
#[track_caller]
fn echo(server: &TestServer) -> WebSocket {
    WebSocket::open(server.address, ECHO_PATH)
}

/// Waits until the server has read what was sent to it so far, on any connection.
///
/// One loop serves all connections and loopback delivers at once: what was sent before is readable when the witness's
/// message is, and is read in the same tick or an earlier one.
#[track_caller]
fn settle(witness: &mut WebSocket) {
    witness.text("settled?");
    witness.expect_text("settled?");
}
