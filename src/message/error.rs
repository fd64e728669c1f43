//! The one table of errors: it feeds the `error` message, REST answers, authentication failures and close reasons.

use std::fmt;

use super::encode::{write_json_string, write_number};

macro_rules! error_table {
    ($($variant:ident $name:literal $status:literal $close:expr, $temporary:literal, $message:literal;)*) => {
        /// A stable error code. Its name, HTTP status and default text stand in one table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum ErrorCode {
            $(#[doc = $message] $variant,)*
        }

        impl ErrorCode {
            /// Every code, in the order of its status.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The code's stable name on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(ErrorCode::$variant => $name,)* }
            }

            /// The HTTP status REST answers with.
            pub const fn status(self) -> u16 {
                match self { $(ErrorCode::$variant => $status,)* }
            }

            /// The close code of an authentication that fails with this error, if it ends the connection.
            pub const fn close_code(self) -> Option<u16> {
                match self { $(ErrorCode::$variant => $close,)* }
            }

            /// Whether the same request may succeed later.
            pub const fn is_temporary(self) -> bool {
                match self { $(ErrorCode::$variant => $temporary,)* }
            }

            /// What the code means, for people.
            pub const fn default_message(self) -> &'static str {
                match self { $(ErrorCode::$variant => $message,)* }
            }
        }
    };
}

error_table! {
    BadMessage "bad_message" 400 None, false, "The message is malformed.";
    TooDeep "too_deep" 400 None, false, "The payload is nested too deep.";
    ReservedType "reserved_type" 400 None, false, "This type is the server's own and cannot be published.";
    NoSession "no_session" 400 None, false, "The message names no session and the connection has joined none.";
    AuthenticationRequired "authentication_required" 401 None, false, "Authenticate first.";
    InvalidToken "invalid_token" 401 Some(4501), false, "The token was rejected.";
    Forbidden "forbidden" 403 Some(4503), false, "This is not allowed.";
    SessionForbidden "session_forbidden" 403 Some(4503), false, "This session is not open to this user.";
    NotFound "not_found" 404 None, false, "There is nothing here.";
    IdReused "id_reused" 409 None, false, "This id was used for another message a short while ago.";
    TooLarge "too_large" 413 None, false, "The message is larger than the limit.";
    RateLimited "rate_limited" 429 Some(4029), true, "Too many at once.";
    Internal "internal" 500 Some(1011), true, "Something failed inside the server.";
    NoHandler "no_handler" 501 None, false, "Nothing handles this.";
    Overloaded "overloaded" 503 Some(1013), true, "The server is at one of its limits.";
    Draining "draining" 503 Some(4000), true, "The server is going away.";
    Timeout "timeout" 504 Some(1013), true, "It took too long.";
}

/// How the server closes a WebSocket. The reason is a code's name; the number's range says what the client must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close {
    /// The close code: below 4000 as RFC 6455 says, 4000 to 4499 reconnect with back-off, from 4500 on do not reconnect.
    pub code: u16,
    /// The stable name that goes out as the close reason; an error's, where there is one of that meaning.
    pub reason: &'static str,
}

impl Close {
    /// This server goes away.
    pub const DRAINING: Self = Self::new(4000, ErrorCode::Draining);
    /// No authentication in time.
    pub const NOT_AUTHENTICATED: Self = Self::new(4004, ErrorCode::AuthenticationRequired);
    /// No sign of life after a ping.
    pub const HEARTBEAT_MISSED: Self = Self::new(4008, ErrorCode::Timeout);
    /// The client does not read what is queued for it.
    pub const SLOW_CONSUMER: Self = Self::new(4013, ErrorCode::Overloaded);
    /// The client goes on with another connection.
    pub const TAKEN_OVER: Self = Self { code: 4509, reason: "taken_over" };
    /// Too many bad messages.
    pub const TOO_MANY_ERRORS: Self = Self::new(4529, ErrorCode::BadMessage);
    /// The server has no memory left for this connection.
    pub const OVERLOADED: Self = Self::new(1013, ErrorCode::Overloaded);

    const fn new(code: u16, reason: ErrorCode) -> Self {
        Self { code, reason: reason.name() }
    }

    /// How an authentication that fails with this code ends. One that no code of its own says anything of ends for good.
    pub fn of_authentication(reason: ErrorCode) -> Self {
        Self::new(reason.close_code().unwrap_or(4501), reason)
    }
}

/// What is wrong with something a peer sent, in the words of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtocolError {
    /// The stable code.
    pub code: ErrorCode,
    /// A sentence for people.
    pub message: &'static str,
    /// The member that is wrong, as a path of member names.
    pub field: Option<&'static str>,
    /// The byte in the message or body where reading stopped.
    pub offset: Option<u32>,
    /// After how many milliseconds a retry makes sense.
    pub retry_after_ms: Option<u32>,
}

impl ProtocolError {
    /// An error with the code's own sentence.
    pub const fn new(code: ErrorCode) -> Self {
        Self::with_message(code, code.default_message())
    }

    /// An error with a sentence of its own.
    pub const fn with_message(code: ErrorCode, message: &'static str) -> Self {
        Self { code, message, field: None, offset: None, retry_after_ms: None }
    }

    /// `bad_message` that names a member.
    pub const fn bad_field(field: &'static str, message: &'static str) -> Self {
        Self::with_message(ErrorCode::BadMessage, message).in_field(field)
    }

    /// Names the member that is wrong.
    pub const fn in_field(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }

    /// Adds the offset at which reading stopped.
    pub const fn at(mut self, offset: u32) -> Self {
        self.offset = Some(offset);
        self
    }

    /// Adds a hint when to try again.
    pub const fn retry_after(mut self, ms: u32) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }

    /// Writes the error's members without the braces, so that callers can add members of their own.
    pub fn write_members(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\"code\":\"");
        out.extend_from_slice(self.code.name().as_bytes());
        out.extend_from_slice(b"\",\"message\":");
        write_json_string(out, self.message);
        out.extend_from_slice(b",\"temporary\":");
        out.extend_from_slice(if self.code.is_temporary() { b"true" } else { b"false" });
        if let Some(field) = self.field {
            out.extend_from_slice(b",\"field\":");
            write_json_string(out, field);
        }
        Self::write_optional_number(out, "offset", self.offset);
        Self::write_optional_number(out, "retryAfterMs", self.retry_after_ms);
    }

    /// The error object: the payload of an `error` message.
    pub fn to_payload(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        out.push(b'{');
        self.write_members(&mut out);
        out.push(b'}');
        out
    }

    fn write_optional_number(out: &mut Vec<u8>, name: &str, value: Option<u32>) {
        if let Some(value) = value {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            write_number(out, u64::from(value));
        }
    }
}

impl From<ErrorCode> for ProtocolError {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl std::error::Error for ProtocolError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_statuses_are_errors() {
        for (i, code) in ErrorCode::ALL.iter().enumerate() {
            assert!((400..600).contains(&code.status()));
            assert!(ErrorCode::ALL[i + 1..].iter().all(|other| other.name() != code.name()));
        }
    }

    #[test]
    fn the_object_holds_every_member_that_is_set() {
        let error = ProtocolError::bad_field("id", "id is missing").at(7).retry_after(50);
        assert_eq!(
            String::from_utf8(error.to_payload()).unwrap(),
            r#"{"code":"bad_message","message":"id is missing","temporary":false,"field":"id","offset":7,"retryAfterMs":50}"#
        );
    }
}
