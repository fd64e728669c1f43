//! A client that speaks the message protocol (docs/PROTOCOL.md).

use super::WS_PATH;
use super::json;
use super::tcp::Tcp;
use super::wait::PATIENCE;
use super::websocket::{Event, WebSocket};
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;
use std::net::SocketAddr;
use std::time::Instant;

/// An authenticated connection.
pub struct Client {
    pub ws: WebSocket,
    /// The server's answer to the authentication.
    pub welcome: OwnedValue,
}

impl Client {
    /// Connects as `user` and joins `session`.
    #[track_caller]
    pub fn connect(address: SocketAddr, user: &str, session: &str) -> Self {
        Self::over(WebSocket::open(address, WS_PATH), user, session)
    }

    /// The same with a small receive buffer, for a client that is going to be slow.
    #[track_caller]
    pub fn connect_narrow(address: SocketAddr, bytes: usize, user: &str, session: &str) -> Self {
        let tcp = Tcp::connect_narrow(address, bytes);
        Self::over(WebSocket::upgrade(tcp, address, WS_PATH, &[]), user, session)
    }

    /// Authenticates on an open connection.
    #[track_caller]
    pub fn over(mut ws: WebSocket, user: &str, session: &str) -> Self {
        let payload = json!({"token": user, "sessionId": session});
        ws.text(&envelope("a1", "authentication", payload).encode());
        let mut client = Self { ws, welcome: OwnedValue::null() };
        let welcome = client.receive();
        assert!(json::is(&welcome, "type", "authentication"), "a welcome, not {}", welcome.encode());
        assert!(json::boolean(&welcome, "payload.success"), "a success, not {}", welcome.encode());
        client.welcome = welcome;
        client
    }

    pub fn connection_id(&self) -> &str {
        json::string(&self.welcome, "payload.connectionId")
    }

    #[track_caller]
    pub fn send(&mut self, message: &OwnedValue) {
        self.ws.text(&message.encode());
    }

    /// The next message.
    #[track_caller]
    pub fn receive(&mut self) -> OwnedValue {
        match self.ws.next() {
            Event::Text(text) => json::parse(text),
            event => panic!("expected a message, not {event:?}"),
        }
    }

    /// The next message of `kind`; others before it are passed over.
    #[track_caller]
    pub fn receive_type(&mut self, kind: &str) -> OwnedValue {
        self.receive_where(|message| json::is(message, "type", kind))
    }

    /// The next message that `wanted` accepts; others before it are passed over.
    #[track_caller]
    pub fn receive_where(&mut self, wanted: impl Fn(&OwnedValue) -> bool) -> OwnedValue {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.ws.next_by(deadline, true) {
                Event::Text(text) => {
                    let message = json::parse(text);
                    if wanted(&message) {
                        return message;
                    }
                }
                event => panic!("the wanted message did not come, but {event:?}"),
            }
        }
    }

    /// Sends a message to the own session and waits until it is back: the connection works.
    #[track_caller]
    pub fn round_trip(&mut self, id: &str) {
        self.send(&envelope(id, "custom", json!({})));
        self.receive_where(|message| json::is(message, "id", id));
    }
}

/// A message with the required members.
pub fn envelope(id: &str, kind: &str, payload: OwnedValue) -> OwnedValue {
    json!({"id": id, "type": kind, "payload": payload})
}
