//! Steps that many protocol tests have in common.

use super::WS_PATH;
use super::client::{Client, envelope};
use super::json;
use super::tcp::Tcp;
use super::websocket::WebSocket;
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;
use std::net::SocketAddr;

/// The type of the messages that a connection sends itself to see what came before them.
pub const BARRIERS: &str = "settle";

/// Far more than any test leaves unread.
const SETTLE_MESSAGES_MAX: usize = 10_000;

impl Client {
    /// Connects without authenticating.
    #[track_caller]
    pub fn anonymous(address: SocketAddr) -> Self {
        Self { ws: WebSocket::open(address, WS_PATH), welcome: OwnedValue::null() }
    }

    /// The same with a small receive buffer, for a client that is going to be slow.
    #[track_caller]
    pub fn anonymous_narrow(address: SocketAddr, bytes: usize) -> Self {
        let tcp = Tcp::connect_narrow(address, bytes);
        Self { ws: WebSocket::upgrade(tcp, address, WS_PATH, &[]), welcome: OwnedValue::null() }
    }

    /// Connects and authenticates with this payload; the welcome is kept.
    #[track_caller]
    pub fn connect_with(address: SocketAddr, payload: OwnedValue) -> Self {
        let mut client = Self::anonymous(address);
        client.welcome = client.authenticate(payload);
        let welcome = &client.welcome;
        assert!(json::boolean(welcome, "payload.success"), "a success, not {}", welcome.encode());
        client
    }

    /// Sends an authentication with this payload and returns its answer, whatever it says.
    #[track_caller]
    pub fn authenticate(&mut self, payload: OwnedValue) -> OwnedValue {
        self.send(&envelope("auth", "authentication", payload));
        let answer = self.receive();
        assert!(json::is(&answer, "type", "authentication"), "an authentication, not {}", answer.encode());
        assert!(json::is(&answer, "replyTo", "auth"), "an answer to it, not {}", answer.encode());
        answer
    }

    /// Sends a message with a session of its own choice and returns what the server answers to `ack`.
    #[track_caller]
    pub fn publish(&mut self, message: OwnedValue) -> OwnedValue {
        let mut message = message;
        message.insert("ack", true).expect("ok because a message is an object");
        self.send(&message);
        let answer = self.receive_where(|answer| json::is(answer, "type", "ack") || json::is(answer, "type", "error"));
        assert!(json::is(&answer, "type", "ack"), "an ack, not {}", answer.encode());
        answer["payload"]["results"][0].clone()
    }

    /// Joins one more session and returns the answer.
    #[track_caller]
    pub fn join(&mut self, session: &str) -> OwnedValue {
        self.membership("hashi:join", session)
    }

    /// Leaves a session and returns the answer.
    #[track_caller]
    pub fn leave(&mut self, session: &str) -> OwnedValue {
        self.membership("hashi:leave", session)
    }

    #[track_caller]
    fn membership(&mut self, kind: &str, session: &str) -> OwnedValue {
        self.send(&envelope("membership", kind, json!({"sessionId": session})));
        let answer = self.receive_where(|answer| json::is(answer, "replyTo", "membership"));
        assert!(json::is(&answer, "type", kind), "{kind}, not {}", answer.encode());
        answer
    }

    /// Sends `text` as it is and expects an `error` with this code as the next message.
    #[track_caller]
    pub fn expect_error(&mut self, text: &str, code: &str) -> OwnedValue {
        self.ws.text(text);
        let answer = self.receive();
        assert_error(&answer, code, text);
        answer
    }

    /// Sends three messages to this connection, one of each priority, and returns how many that is.
    #[track_caller]
    pub fn send_barriers(&mut self) -> usize {
        let own = self.connection_id().to_owned();
        let priorities = ["high", "normal", "low"];
        for priority in priorities {
            let to = json!({"connectionId": own.as_str()});
            let id = format!("{BARRIERS}-{priority}");
            let message =
                json!({"id": id, "type": BARRIERS, "priority": priority, "to": to, "echo": true, "payload": {}});
            self.send(&message);
        }
        priorities.len()
    }

    /// What has come so far: everything before three messages to this connection, one of each priority.
    #[track_caller]
    pub fn settle(&mut self) -> Vec<OwnedValue> {
        let mut missing = self.send_barriers();
        let mut came = Vec::new();
        while missing > 0 {
            let message = self.receive();
            match json::is(&message, "type", BARRIERS) {
                true => missing -= 1,
                false => came.push(message),
            }
            assert!(came.len() < SETTLE_MESSAGES_MAX, "messages come without an end");
        }
        came
    }

    /// Expects that nothing has come that was not read yet.
    #[track_caller]
    pub fn expect_nothing(&mut self) {
        let came = self.settle();
        assert!(came.is_empty(), "nothing should have come, not {}", OwnedValue::from(came).encode());
    }
}

/// Checks that `answer` is an `error` message with this code and the members every error has.
#[track_caller]
pub fn assert_error(answer: &OwnedValue, code: &str, sent: &str) {
    let shown = answer.encode();
    assert!(json::is(answer, "type", "error"), "{sent}: an error, not {shown}");
    assert!(json::is(answer, "payload.code", code), "{sent}: {code}, not {shown}");
    assert!(json::is(answer, "priority", "high"), "{sent}: an error is high, {shown}");
    assert!(!json::string(answer, "payload.message").is_empty(), "{sent}: a message in {shown}");
    json::boolean(answer, "payload.temporary");
}
