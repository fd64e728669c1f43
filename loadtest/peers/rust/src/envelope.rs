//! Envelopes: what a client sends, and what members of a session get for it.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

/// A message of a client. serde refuses what is missing or comes twice.
#[derive(Debug, Deserialize)]
pub struct Envelope<'a> {
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    #[serde(borrow)]
    pub payload: &'a RawValue,
    #[serde(default)]
    pub priority: Priority,
    #[serde(rename = "sessionId")]
    pub session: Option<String>,
    pub echo: Option<bool>,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    High,
    #[default]
    Normal,
    Low,
}

/// The payload of an `authentication`.
#[derive(Debug, Deserialize)]
pub struct Authentication {
    pub token: String,
    #[serde(rename = "sessionId")]
    pub session: Option<String>,
    #[serde(default = "yes")]
    pub echo: bool,
}

fn yes() -> bool {
    true
}

/// What the members of a session get.
#[derive(Debug, Serialize)]
struct Relayed<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    timestamp: String,
    priority: Priority,
    #[serde(rename = "sessionId")]
    session: &'a str,
    seq: u64,
    from: &'a str,
    payload: &'a RawValue,
}

/// A message of the server's own.
#[derive(Debug, Serialize)]
struct Own<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: &'a str,
    timestamp: String,
    priority: Priority,
    #[serde(rename = "replyTo", skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a str>,
    payload: &'a Value,
}

impl Envelope<'_> {
    /// The name of the first member whose value is not allowed.
    pub fn wrong_member(&self) -> Option<&'static str> {
        let checks = [
            ("id", (1..=128).contains(&self.id.len())),
            ("type", is_type(&self.kind)),
            ("sessionId", self.session.as_deref().is_none_or(is_session)),
        ];
        checks.into_iter().find(|(_, holds)| !holds).map(|(name, _)| name)
    }

    /// The text for the members of a session.
    pub fn relayed(&self, session: &str, seq: u64, from: &str) -> String {
        let relayed = Relayed {
            id: &self.id,
            kind: &self.kind,
            timestamp: now(),
            priority: self.priority,
            session,
            seq,
            from,
            payload: self.payload,
        };
        serde_json::to_string(&relayed).expect("ok because no part of it can fail to be written")
    }
}

fn is_type(kind: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:/-".contains(&byte);
    (1..=64).contains(&kind.len()) && kind.bytes().all(is_allowed)
}

/// Whether a session may have this name.
pub fn is_session(name: &str) -> bool {
    (1..=255).contains(&name.len()) && !name.starts_with('@') && !name.chars().any(char::is_control)
}

/// Whether a user may have this name.
pub fn is_user(name: &str) -> bool {
    (1..=254).contains(&name.len()) && !name.chars().any(char::is_control)
}

/// The answer to an `authentication`.
pub fn welcome(reply_to: &str, user: &str, session: &str) -> String {
    let payload = json!({ "success": true, "protocol": 1, "userId": user, "sessionId": session });
    own("authentication", Some(reply_to), &payload)
}

/// The answer to a message that is wrong.
pub fn error(code: &str, message: &str, reply_to: Option<&str>) -> String {
    own("error", reply_to, &json!({ "code": code, "message": message }))
}

fn own(kind: &str, reply_to: Option<&str>, payload: &Value) -> String {
    let own =
        Own { id: Uuid::now_v7().to_string(), kind, timestamp: now(), priority: Priority::High, reply_to, payload };
    serde_json::to_string(&own).expect("ok because no part of it can fail to be written")
}

/// The time in UTC, in milliseconds.
fn now() -> String {
    format!("{:.3}", Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> Option<&'static str> {
        serde_json::from_str::<Envelope>(text).map_or(Some("JSON"), |envelope| envelope.wrong_member())
    }

    #[test]
    fn required_members_are_checked() {
        assert_eq!(wrong(r#"{"id":"1","type":"custom","payload":null}"#), None);
        assert_eq!(wrong(r#"{"id":"1","type":"custom","priority":"low","sessionId":"s","x":1,"payload":{}}"#), None);
        assert_eq!(wrong(r#"{"id":"","type":"custom","payload":1}"#), Some("id"));
        assert_eq!(wrong(r#"{"id":"1","type":"no blanks","payload":1}"#), Some("type"));
        assert_eq!(wrong(r#"{"id":"1","type":"custom","sessionId":"@s","payload":1}"#), Some("sessionId"));
        for text in [
            "",
            r#"{"id":"1","type":"custom"}"#,
            r#"{"id":1,"type":"custom","payload":1}"#,
            r#"{"id":"1","type":"custom","priority":"urgent","payload":1}"#,
            r#"{"id":"1","type":"custom","payload":{"a":}}"#,
            r#"{"id":"1","type":"custom","payload":1} x"#,
        ] {
            assert_eq!(wrong(text), Some("JSON"), "{text}");
        }
    }

    #[test]
    fn a_relayed_message_keeps_its_payload_as_written() {
        let text = r#"{"id":"1","type":"custom","payload":{"a": 1.0}}"#;
        let relayed = serde_json::from_str::<Envelope>(text).unwrap().relayed("s", 7, "u");
        assert!(relayed.contains(r#""priority":"normal","sessionId":"s","seq":7,"from":"u","payload":{"a": 1.0}}"#));
        let value: Value = serde_json::from_str(&relayed).unwrap();
        assert_eq!(value["timestamp"].as_str().unwrap().len(), "2026-05-01T12:34:56.789Z".len());
    }
}
