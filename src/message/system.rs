//! The payloads of system messages a client sends: `authentication`, `hashi:join`, `hashi:leave`.
//!
//! They are rare, so clarity goes before speed.

use simd_json::BorrowedValue;
use simd_json::prelude::*;

use super::ProtocolError;
use super::decode::{BAD_SESSION, is_session_name};

/// What a client may ask for beyond the plain protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Heartbeat messages besides the pings.
    pub heartbeat: bool,
}

/// The name of the one feature this version knows.
pub const FEATURE_HEARTBEAT: &str = "heartbeat";

/// A checked `authentication` payload.
#[derive(Debug, PartialEq, Eq)]
pub struct Authentication {
    /// The credential, never logged.
    pub token: String,
    /// The session to join at once.
    pub session_id: Option<String>,
    /// Those of the asked features that exist.
    pub features: Features,
    /// Whether the client gets its own messages back, unless a message says otherwise.
    pub echo: bool,
}

/// Reads an `authentication` payload.
///
/// # Errors
/// `bad_message` that names the member.
pub fn parse_authentication(payload: &[u8]) -> Result<Authentication, ProtocolError> {
    let mut copy = payload.to_vec();
    let value = parse_object(&mut copy)?;
    if value.contains_key("resume") {
        return Err(ProtocolError::bad_field("payload.resume", "resume is not offered by this version."));
    }
    let token = value.get_str("token").ok_or(BAD_TOKEN)?.to_owned();
    let session_id = optional(&value, "sessionId")
        .map(|v| v.as_str().filter(|s| is_session_name(s)).map(str::to_owned).ok_or(BAD_PAYLOAD_SESSION))
        .transpose()?;
    let echo = optional(&value, "echo").map_or(Ok(true), |v| v.as_bool().ok_or(BAD_ECHO))?;
    let features = optional(&value, "features").map_or(Ok(Features::default()), parse_features)?;
    Ok(Authentication { token, session_id, features, echo })
}

/// Reads the session name of a `hashi:join` or `hashi:leave` payload.
///
/// # Errors
/// `bad_message` that names the member.
pub fn parse_session(payload: &[u8]) -> Result<String, ProtocolError> {
    let mut copy = payload.to_vec();
    let value = parse_object(&mut copy)?;
    if value.contains_key("resume") {
        return Err(ProtocolError::bad_field("payload.resume", "resume is not offered by this version."));
    }
    let name = value.get_str("sessionId").filter(|name| is_session_name(name));
    name.map(str::to_owned).ok_or(BAD_PAYLOAD_SESSION)
}

fn parse_object(bytes: &mut [u8]) -> Result<BorrowedValue<'_>, ProtocolError> {
    simd_json::to_borrowed_value(bytes).ok().filter(|value| value.as_object().is_some()).ok_or(BAD_PAYLOAD)
}

/// A member that is there and not `null`.
fn optional<'v, 'a>(value: &'v BorrowedValue<'a>, name: &str) -> Option<&'v BorrowedValue<'a>> {
    value.get(name).filter(|member| !member.is_null())
}

fn parse_features(value: &BorrowedValue<'_>) -> Result<Features, ProtocolError> {
    let list = value.as_array().ok_or(BAD_FEATURES)?;
    let mut features = Features::default();
    for item in list {
        features.heartbeat |= item.as_str().ok_or(BAD_FEATURES)? == FEATURE_HEARTBEAT;
    }
    Ok(features)
}

const BAD_PAYLOAD: ProtocolError = ProtocolError::bad_field("payload", "payload must be an object.");
const BAD_TOKEN: ProtocolError = ProtocolError::bad_field("payload.token", "token must be a string.");
const BAD_ECHO: ProtocolError = ProtocolError::bad_field("payload.echo", "echo must be true or false.");
const BAD_FEATURES: ProtocolError =
    ProtocolError::bad_field("payload.features", "features must be an array of strings.");
const BAD_PAYLOAD_SESSION: ProtocolError = BAD_SESSION.in_field("payload.sessionId");

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(payload: &str) -> String {
        parse_authentication(payload.as_bytes()).unwrap_err().field.unwrap().to_owned()
    }

    #[test]
    fn reads_an_authentication() {
        let parsed = parse_authentication(
            br#"{"token":"t","sessionId":"s","features":["heartbeat","ack","new"],"echo":false,"more":1}"#,
        );
        assert_eq!(
            parsed,
            Ok(Authentication {
                token: "t".into(),
                session_id: Some("s".into()),
                features: Features { heartbeat: true },
                echo: false
            })
        );
        let parsed = parse_authentication(br#"{"token":"t","sessionId":null}"#).unwrap();
        assert!(parsed.echo && parsed.session_id.is_none());
    }

    #[test]
    fn errors_name_the_member() {
        assert_eq!(bad("1"), "payload");
        assert_eq!(bad("{}"), "payload.token");
        assert_eq!(bad(r#"{"token":1}"#), "payload.token");
        assert_eq!(bad(r#"{"token":"t","sessionId":"@x"}"#), "payload.sessionId");
        assert_eq!(bad(r#"{"token":"t","echo":1}"#), "payload.echo");
        assert_eq!(bad(r#"{"token":"t","features":[1]}"#), "payload.features");
        assert_eq!(bad(r#"{"token":"t","resume":{}}"#), "payload.resume");
        assert_eq!(parse_session(b"{}").unwrap_err().field.unwrap(), "payload.sessionId");
        assert_eq!(parse_session(br#"{"sessionId":"s"}"#).unwrap(), "s");
    }
}
