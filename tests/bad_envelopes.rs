//! BAD_INPUT.md, rows 25 to 30, and what row 10 says of permission and room: envelopes, authentication, permission. One
//! test per row or part of it, its variations in tables; what holds besides the answers is checked by `common::row`.

mod common;

#[path = "bad_envelopes/identity.rs"]
mod identity;
#[path = "bad_envelopes/members.rs"]
mod members;
#[path = "bad_envelopes/permission.rs"]
mod permission;
#[path = "bad_envelopes/reserved.rs"]
mod reserved;
#[path = "bad_envelopes/room.rs"]
mod room;
#[path = "bad_envelopes/syntax.rs"]
mod syntax;

use common::client::Client;
use common::json;
use common::server::TestServer;
use simd_json::OwnedValue;
use simd_json::prelude::*;

/// A session whose members must not notice what is refused.
struct Scene<'a> {
    server: &'a TestServer,
    watcher: Client,
}

const SESSION: &str = "scene";

impl<'a> Scene<'a> {
    #[track_caller]
    fn open(server: &'a TestServer) -> Self {
        Self { server, watcher: Client::connect(server.address, "watcher", SESSION) }
    }

    /// A new member of the session.
    #[track_caller]
    fn member(&self) -> Client {
        Client::connect(self.server.address, "user-1", SESSION)
    }

    /// Sends `text` on a new connection, expects this error and nothing else, and that the connection goes on.
    #[track_caller]
    fn refuse(&self, text: &str, code: &str) -> OwnedValue {
        let mut member = self.member();
        let error = member.expect_error(text, code);
        member.expect_nothing();
        member.ws.close();
        error
    }

    /// Nothing of all that was refused has reached the session.
    #[track_caller]
    fn end(mut self) {
        self.watcher.expect_nothing();
        self.watcher.ws.close();
    }
}

/// Checks the `replyTo` of an error.
#[track_caller]
fn assert_reply_to(error: &OwnedValue, expected: Option<&str>, sent: &str) {
    let reply_to = json::find(error, "replyTo").and_then(|id| id.as_str());
    assert_eq!(reply_to, expected, "replyTo of {} for {sent}", error.encode());
}

/// Whether a close reason is a code: a word for programs.
fn is_code(reason: &str) -> bool {
    !reason.is_empty() && reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
