//! Who may connect, join and publish.
//!
//! A [`Policy`] is asked inside the loop, so it must answer from memory, without waiting.

use crate::message::names::is_user_id;
use crate::message::{ErrorCode, ProtocolError};

/// The prefix of a service's user id in development mode.
pub const SERVICE_PREFIX: &str = "service:";

/// Who a token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user's id: 1 to 254 bytes, no control characters.
    pub user_id: String,
    /// A service may address anyone and send larger messages.
    pub is_service: bool,
}

/// An authenticated user, as a policy sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Principal<'a> {
    /// The user's id.
    pub user_id: &'a str,
    /// See [`Identity::is_service`].
    pub is_service: bool,
}

/// What a server lets its users do.
pub trait Policy: Send {
    /// Whom the token stands for.
    ///
    /// # Errors
    /// `invalid_token`.
    fn authenticate(&self, token: &str) -> Result<Identity, ProtocolError>;

    /// Whether the user may join the session.
    fn may_join(&self, user: Principal<'_>, session_id: &str) -> bool;

    /// Whether the user may publish this type, to this session or, without one, to a user or connection.
    fn may_publish(&self, user: Principal<'_>, session_id: Option<&str>, kind: &str) -> bool;

    /// Whether a token proves nothing, as in development mode. Then the server listens on loopback only, takes pages of
    /// loopback origins, refuses hosts that are not loopback, and shows everybody its whole status.
    fn is_development(&self) -> bool {
        false
    }

    /// Most connections of one user at a time.
    fn connections_per_user_max(&self) -> usize {
        usize::MAX
    }

    /// Most WebSocket connections from one address at a time.
    fn connections_per_address_max(&self) -> usize {
        usize::MAX
    }
}

/// Development mode: the token is the user id, and everybody may do everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Development;

impl Policy for Development {
    fn is_development(&self) -> bool {
        true
    }

    fn authenticate(&self, token: &str) -> Result<Identity, ProtocolError> {
        if !is_user_id(token) {
            return Err(ErrorCode::InvalidToken.into());
        }
        Ok(Identity { user_id: token.to_owned(), is_service: token.starts_with(SERVICE_PREFIX) })
    }

    fn may_join(&self, _: Principal<'_>, _: &str) -> bool {
        true
    }

    fn may_publish(&self, _: Principal<'_>, _: Option<&str>, _: &str) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_development_the_token_is_the_user_id() {
        let identity = Development.authenticate("user-1").unwrap();
        assert_eq!(identity, Identity { user_id: "user-1".into(), is_service: false });
        assert!(Development.authenticate("service:worker").unwrap().is_service);
        assert!(Development.authenticate(&"x".repeat(254)).is_ok());
        for bad in ["", "a\nb", &"x".repeat(255)] {
            assert_eq!(Development.authenticate(bad).unwrap_err().code, ErrorCode::InvalidToken);
        }
    }
}
