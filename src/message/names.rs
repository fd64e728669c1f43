//! What may name a session, a user or a connection.

use super::ProtocolError;
use crate::config::limits::SESSION_BYTES_MAX;

/// What is wrong with a session name.
pub const BAD_SESSION: ProtocolError = ProtocolError::bad_field(
    "sessionId",
    "sessionId must be a string of 1 to 255 bytes without control characters or a leading @.",
);

/// Whether `name` may name a session: 1 to 255 bytes, no control characters, no leading `@`.
pub fn is_session_name(name: &str) -> bool {
    (1..=SESSION_BYTES_MAX).contains(&name.len()) && !name.starts_with('@') && !name.chars().any(char::is_control)
}

/// Whether `id` may name a user: 1 to 254 bytes, no control characters.
pub fn is_user_id(id: &str) -> bool {
    (1..SESSION_BYTES_MAX).contains(&id.len()) && !id.chars().any(char::is_control)
}

/// Reads a connection's public id: 32 hexadecimal digits.
pub fn parse_connection_id(text: &str) -> Option<u128> {
    let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    digits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_ids_are_32_hexadecimal_digits() {
        assert_eq!(parse_connection_id("0000000000000000000000000000000a"), Some(10));
        assert_eq!(parse_connection_id("a"), None);
        assert_eq!(parse_connection_id("+000000000000000000000000000000a"), None);
    }
}
