//! A policy that is stricter than development mode.

use super::server::TestServer;
use hashi::{Config, ErrorCode, Identity, Policy, Principal, ProtocolError, Server};

/// The only user who may join sessions whose name starts with `private`.
pub const OWNER: &str = "owner";

/// A user who may receive, but publish nothing except `settle`.
pub const READER: &str = "reader";

/// Nobody may publish this type.
pub const FORBIDDEN_TYPE: &str = "forbidden";

/// Tokens that start with `bad` are rejected, those that start with `service:` are a service's; the others are user ids.
#[derive(Clone, Copy)]
pub struct Strict {
    pub per_user: usize,
    pub per_address: usize,
}

impl Default for Strict {
    fn default() -> Self {
        Self { per_user: usize::MAX, per_address: usize::MAX }
    }
}

impl Strict {
    /// A server with this policy on a thread of the test.
    #[track_caller]
    pub fn serve(self) -> TestServer {
        let config = Config { port: 0, ..Config::default() };
        TestServer::serve(Server::builder(config).policy(self).bind().expect("the server binds"))
    }
}

impl Policy for Strict {
    fn authenticate(&self, token: &str) -> Result<Identity, ProtocolError> {
        if token.starts_with("bad") {
            return Err(ErrorCode::InvalidToken.into());
        }
        Ok(Identity { user_id: token.to_owned(), is_service: token.starts_with("service:") })
    }

    fn may_join(&self, user: Principal<'_>, session_id: &str) -> bool {
        !session_id.starts_with("private") || user.user_id == OWNER
    }

    fn may_publish(&self, user: Principal<'_>, session_id: Option<&str>, kind: &str) -> bool {
        let may_write = user.user_id != READER || kind == "settle";
        may_write && kind != FORBIDDEN_TYPE && session_id.is_none_or(|session_id| self.may_join(user, session_id))
    }

    fn connections_per_user_max(&self) -> usize {
        self.per_user
    }

    fn connections_per_address_max(&self) -> usize {
        self.per_address
    }
}
