//! The payloads of system messages a client sends: `authentication`, `hashi:join`, `hashi:leave`, `ack`.
//!
//! They are rare, so clarity goes before speed. What a client says of its positions is taken leniently: a claim that cannot
//! be is answered like one that is too old, not with an error.

use simd_json::BorrowedValue;
use simd_json::prelude::*;

use super::ProtocolError;
use super::names::{BAD_SESSION, is_session_name, parse_connection_id};
use crate::config::limits::{IN_FLIGHT_PER_RECEIVER_MAX, RESUME_POSITIONS_MAX, SESSION_BYTES_MAX};

/// What a client may ask for beyond the plain protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Heartbeat messages besides the pings.
    pub heartbeat: bool,
    /// `hashi:position` where the client's own counting would stand still.
    pub resume: bool,
    /// Several messages in one frame, as a JSON array.
    pub batch: bool,
    /// It confirms reliable messages.
    pub ack: bool,
}

impl Features {
    /// Those of `names` that this version knows.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut features = Self::default();
        for name in names {
            match name {
                FEATURE_HEARTBEAT => features.heartbeat = true,
                FEATURE_RESUME => features.resume = true,
                FEATURE_BATCH => features.batch = true,
                FEATURE_ACK => features.ack = true,
                _ => {}
            }
        }
        features
    }

    /// The name of each feature, and whether it is on.
    pub const fn named(&self) -> [(&'static str, bool); 4] {
        [
            (FEATURE_HEARTBEAT, self.heartbeat),
            (FEATURE_RESUME, self.resume),
            (FEATURE_BATCH, self.batch),
            (FEATURE_ACK, self.ack),
        ]
    }
}

const FEATURE_HEARTBEAT: &str = "heartbeat";
const FEATURE_RESUME: &str = "resume";
const FEATURE_BATCH: &str = "batch";
const FEATURE_ACK: &str = "ack";

/// Where a client says it stands in a session. A member that cannot be what it should is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// The life of the session that the position counts in.
    pub epoch: Option<String>,
    /// The position.
    pub seq: Option<u64>,
}

/// What a client wants to go on with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resume {
    /// Session names and where the client stands in each.
    pub positions: Vec<(String, Claim)>,
    /// The connection that it goes on for.
    pub connection_id: Option<u128>,
}

/// A checked `hashi:join` payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// The session.
    pub session_id: String,
    /// Where the client stands in it.
    pub resume: Option<Claim>,
}

/// A checked `authentication` payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// The credential, never logged. `None` where a ticket stands for it.
    pub token: Option<String>,
    /// The session to join at once.
    pub session_id: Option<String>,
    /// Those of the asked features that exist.
    pub features: Features,
    /// Whether the client gets its own messages back, unless a message says otherwise.
    pub echo: bool,
    /// What to go on with.
    pub resume: Option<Resume>,
}

/// Reads an `authentication` payload.
///
/// # Errors
/// `bad_message` that names the member.
pub fn parse_authentication(payload: &[u8]) -> Result<Authentication, ProtocolError> {
    let mut copy = payload.to_vec();
    let value = parse_object(&mut copy)?;
    let token = optional(&value, "token").map(|v| v.as_str().map(str::to_owned).ok_or(BAD_TOKEN)).transpose()?;
    let session_id = optional(&value, "sessionId")
        .map(|v| v.as_str().filter(|s| is_session_name(s)).map(str::to_owned).ok_or(BAD_PAYLOAD_SESSION))
        .transpose()?;
    let echo = optional(&value, "echo").map_or(Ok(true), |v| v.as_bool().ok_or(BAD_ECHO))?;
    let features = optional(&value, "features").map_or(Ok(Features::default()), parse_features)?;
    let resume = optional(&value, "resume").map(parse_resume).transpose()?;
    Ok(Authentication { token, session_id, features, echo, resume })
}

/// Reads a `hashi:join` or `hashi:leave` payload.
///
/// # Errors
/// `bad_message` that names the member.
pub fn parse_join(payload: &[u8]) -> Result<Join, ProtocolError> {
    let mut copy = payload.to_vec();
    let value = parse_object(&mut copy)?;
    let name = value.get_str("sessionId").filter(|name| is_session_name(name));
    let session_id = name.map(str::to_owned).ok_or(BAD_PAYLOAD_SESSION)?;
    let resume =
        optional(&value, "resume").map(|v| v.as_object().map(|_| claim_of(v)).ok_or(BAD_RESUME)).transpose()?;
    Ok(Join { session_id, resume })
}

/// Reads an `ack` payload: the ids of the messages that its sender has handled, as many as can wait for it at most.
///
/// # Errors
/// `bad_message` that names the member.
pub fn parse_ack(payload: &[u8]) -> Result<Vec<String>, ProtocolError> {
    let mut copy = payload.to_vec();
    let value = parse_object(&mut copy)?;
    let list = value.get_array("ids").filter(|list| list.len() <= IN_FLIGHT_PER_RECEIVER_MAX).ok_or(BAD_IDS)?;
    list.iter().map(|id| id.as_str().map(str::to_owned).ok_or(BAD_IDS)).collect()
}

fn parse_resume(value: &BorrowedValue<'_>) -> Result<Resume, ProtocolError> {
    value.as_object().ok_or(BAD_RESUME)?;
    let positions = optional(value, "positions").map_or(Ok(Vec::new()), parse_positions)?;
    let connection_id = value.get_str("connectionId").and_then(parse_connection_id);
    Ok(Resume { positions, connection_id })
}

fn parse_positions(value: &BorrowedValue<'_>) -> Result<Vec<(String, Claim)>, ProtocolError> {
    let list = value.as_array().filter(|list| list.len() <= RESUME_POSITIONS_MAX).ok_or(BAD_POSITIONS)?;
    let named = |entry: &BorrowedValue<'_>| {
        let name = entry.get_str("sessionId").filter(|name| (1..=SESSION_BYTES_MAX).contains(&name.len()));
        name.map(|name| (name.to_owned(), claim_of(entry))).ok_or(BAD_POSITIONS)
    };
    list.iter().map(named).collect()
}

fn claim_of(value: &BorrowedValue<'_>) -> Claim {
    Claim { epoch: value.get_str("epoch").map(str::to_owned), seq: value.get_u64("seq") }
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
    let names: Option<Vec<&str>> = list.iter().map(|item| item.as_str()).collect();
    Ok(Features::from_names(names.ok_or(BAD_FEATURES)?))
}

const BAD_PAYLOAD: ProtocolError = ProtocolError::bad_field("payload", "payload must be an object.");
/// A token that is missing, or no text.
pub const BAD_TOKEN: ProtocolError = ProtocolError::bad_field("payload.token", "token must be a string.");
const BAD_ECHO: ProtocolError = ProtocolError::bad_field("payload.echo", "echo must be true or false.");
const BAD_FEATURES: ProtocolError =
    ProtocolError::bad_field("payload.features", "features must be an array of strings.");
const BAD_IDS: ProtocolError =
    ProtocolError::bad_field("payload.ids", "ids must be an array of at most 1,024 strings.");
// What the texts say.
const _: () = assert!(IN_FLIGHT_PER_RECEIVER_MAX == 1024 && RESUME_POSITIONS_MAX == 256);
const BAD_RESUME: ProtocolError = ProtocolError::bad_field("payload.resume", "resume must be an object.");
const BAD_POSITIONS: ProtocolError =
    ProtocolError::bad_field("payload.resume.positions", "positions must be an array of at most 256 named sessions.");
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
                token: Some("t".into()),
                session_id: Some("s".into()),
                features: Features { heartbeat: true, ack: true, ..Features::default() },
                echo: false,
                resume: None,
            })
        );
        let parsed = parse_authentication(br#"{"token":"t","sessionId":null}"#).unwrap();
        assert!(parsed.echo && parsed.session_id.is_none());
        assert_eq!(parse_authentication(b"{}").unwrap().token, None, "whether it may be missing is for others to say");
    }

    #[test]
    fn errors_name_the_member() {
        assert_eq!(bad("1"), "payload");
        assert_eq!(bad(r#"{"token":1}"#), "payload.token");
        assert_eq!(bad(r#"{"token":"t","sessionId":"@x"}"#), "payload.sessionId");
        assert_eq!(bad(r#"{"token":"t","echo":1}"#), "payload.echo");
        assert_eq!(bad(r#"{"token":"t","features":[1]}"#), "payload.features");
        assert_eq!(bad(r#"{"token":"t","resume":[]}"#), "payload.resume");
        assert_eq!(bad(r#"{"token":"t","resume":{"positions":{}}}"#), "payload.resume.positions");
        assert_eq!(bad(r#"{"token":"t","resume":{"positions":[{"seq":1}]}}"#), "payload.resume.positions");
        assert_eq!(parse_join(b"{}").unwrap_err().field.unwrap(), "payload.sessionId");
        assert_eq!(parse_join(br#"{"sessionId":"s","resume":7}"#).unwrap_err().field.unwrap(), "payload.resume");
    }

    #[test]
    fn reads_the_ids_of_an_ack() {
        assert_eq!(parse_ack(br#"{"ids":["a","b","a"],"more":1}"#).unwrap(), ["a", "b", "a"]);
        assert_eq!(parse_ack(br#"{"ids":[]}"#), Ok(Vec::new()));
        for bad in ["{}", r#"{"ids":"a"}"#, r#"{"ids":[1]}"#, r#"{"ids":null}"#] {
            assert_eq!(parse_ack(bad.as_bytes()).unwrap_err().field, Some("payload.ids"), "{bad}");
        }
        let many = |count| format!(r#"{{"ids":[{}]}}"#, vec![r#""a""#; count].join(","));
        assert_eq!(parse_ack(many(1024).as_bytes()).map(|ids| ids.len()), Ok(1024));
        assert_eq!(parse_ack(many(1025).as_bytes()), Err(BAD_IDS));
    }

    #[test]
    fn claims_that_cannot_be_are_empty_and_no_errors() {
        let claim =
            |text: &str| parse_join(format!(r#"{{"sessionId":"s","resume":{text}}}"#).as_bytes()).unwrap().resume;
        assert_eq!(claim("null"), None);
        assert_eq!(claim(r#"{"epoch":"e","seq":7}"#), Some(Claim { epoch: Some("e".into()), seq: Some(7) }));
        for impossible in ["-1", "18446744073709551616", "1.5", "\"7\"", "null"] {
            let text = format!(r#"{{"epoch":7,"seq":{impossible}}}"#);
            assert_eq!(claim(&text), Some(Claim::default()), "{impossible}");
        }
    }

    #[test]
    fn reads_what_to_go_on_with() {
        let parsed = parse_authentication(
            br#"{"token":"t","resume":{"connectionId":"000102030405060708090a0b0c0d0e0f",
                "positions":[{"sessionId":"s","epoch":"e","seq":3},{"sessionId":"@t"}]}}"#,
        );
        let resume = parsed.unwrap().resume.unwrap();
        assert_eq!(resume.connection_id, Some(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f));
        let known = Claim { epoch: Some("e".into()), seq: Some(3) };
        assert_eq!(resume.positions, [("s".to_owned(), known), ("@t".to_owned(), Claim::default())]);
        let unknown = parse_authentication(br#"{"token":"t","resume":{"connectionId":"no"}}"#).unwrap();
        assert_eq!(unknown.resume, Some(Resume::default()));
    }
}
