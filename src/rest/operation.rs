//! `POST /ws-api/notify/operation`: the state of an operation in, the matching `operation_*` message out.

use serde_json::{Map, Value};

use super::publish::{self, Caller};
use super::{Response, Services};
use crate::config::limits::{ID_BYTES_MAX, KEY_BYTES_MAX, PAYLOAD_DEPTH_MAX};
use crate::message::decode::{BAD_SESSION, depth_of, error_offset, is_session_name};
use crate::message::timestamp::{format_timestamp, is_rfc3339};
use crate::message::{Envelope, ErrorCode, MessageType, Priority, ProtocolError};

/// Members of the body that say where the message goes; the others of [`PAYLOAD_MEMBERS`] are its payload.
const PAYLOAD_MEMBERS: [&str; 10] = [
    "operationId",
    "operationType",
    "status",
    "progress",
    "stage",
    "details",
    "error",
    "startedAt",
    "updatedAt",
    "etaMs",
];

const BAD_OPERATION_ID: ProtocolError =
    ProtocolError::bad_field("operationId", "operationId must be a string of 1 to 128 bytes.");
const BAD_OPERATION_TYPE: ProtocolError =
    ProtocolError::bad_field("operationType", "operationType must be a string that is not empty.");
const BAD_STATUS: ProtocolError =
    ProtocolError::bad_field("status", "status must be started, progress, completed or failed.");
const BAD_PROGRESS: ProtocolError = ProtocolError::bad_field("progress", "progress must be a number from 0 to 1.");
const BAD_STAGE: ProtocolError = ProtocolError::bad_field("stage", "stage must be a string.");
const BAD_ERROR: ProtocolError =
    ProtocolError::bad_field("error", "error must be an object with the strings code and message.");
const BAD_ETA: ProtocolError = ProtocolError::bad_field("etaMs", "etaMs must be a number that is not negative.");
const BAD_ID: ProtocolError = ProtocolError::bad_field("id", "id must be a string of 1 to 128 bytes.");
const BAD_PRIORITY: ProtocolError = ProtocolError::bad_field("priority", "priority must be high, normal or low.");

/// Publishes the state of an operation to its session.
///
/// # Errors
/// `bad_message` that names the member, and all that publishing may answer.
pub fn notify(services: &mut Services<'_>, caller: &Caller, body: &[u8]) -> Result<Response, ProtocolError> {
    let body = parse(body)?;
    refuse_members(&body)?;
    let session_id = text(&body, "sessionId").filter(|name| is_session_name(name)).ok_or(BAD_SESSION)?;
    let operation_id =
        text(&body, "operationId").filter(|id| (1..=KEY_BYTES_MAX).contains(&id.len())).ok_or(BAD_OPERATION_ID)?;
    let kind = kind_of(&body)?;
    let payload = payload(&body, services.delivery.now.unix_ms)?;
    let id = match body.get("id") {
        None => services.delivery.new_id(),
        Some(_) => text(&body, "id").filter(|id| (1..=ID_BYTES_MAX).contains(&id.len())).ok_or(BAD_ID)?.to_owned(),
    };
    let envelope = Envelope {
        id: Some(&id),
        kind,
        priority: priority(&body)?,
        session_id: Some(session_id),
        payload: Some(&payload),
        key: Some(operation_id),
        ack: false,
        to: None,
        echo: None,
        reply_to: None,
        meta: None,
    };
    publish::submit_checked(services, caller, &envelope, &id)
}

fn parse(body: &[u8]) -> Result<Map<String, Value>, ProtocolError> {
    let message = "The body must be one JSON object.";
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(ProtocolError::with_message(ErrorCode::BadMessage, message).at(0)),
        Err(_) => {
            let offset = error_offset(body).unwrap_or(0);
            Err(ProtocolError::with_message(ErrorCode::BadMessage, message)
                .at(u32::try_from(offset).unwrap_or(u32::MAX)))
        }
    }
}

/// What this version does not offer is refused here as in any other message.
fn refuse_members(body: &Map<String, Value>) -> Result<(), ProtocolError> {
    const NOT_OFFERED: &str = "This member is not offered by this version.";
    if body.get("reliable").is_some_and(|value| *value != Value::Bool(false)) {
        return Err(ProtocolError::bad_field("reliable", NOT_OFFERED));
    }
    let refused = ["expiresIn", "version", "base", "encoding"].into_iter().find(|name| body.contains_key(*name));
    refused.map_or(Ok(()), |name| Err(ProtocolError::bad_field(name, NOT_OFFERED)))
}

fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    body.get(name).and_then(Value::as_str)
}

fn kind_of(body: &Map<String, Value>) -> Result<&'static str, ProtocolError> {
    text(body, "operationType").filter(|kind| !kind.is_empty()).ok_or(BAD_OPERATION_TYPE)?;
    match text(body, "status") {
        Some("started") => Ok(MessageType::OPERATION_STARTED),
        Some("progress") => Ok(MessageType::OPERATION_PROGRESS),
        Some("completed") => Ok(MessageType::OPERATION_COMPLETED),
        Some("failed") => Ok(MessageType::OPERATION_FAILED),
        _ => Err(BAD_STATUS),
    }
}

fn priority(body: &Map<String, Value>) -> Result<Priority, ProtocolError> {
    match body.get("priority") {
        None => Ok(Priority::Normal),
        Some(value) => value.as_str().and_then(Priority::from_name).ok_or(BAD_PRIORITY),
    }
}

/// The operation's members in their order, with the times and the progress that the status implies.
fn payload(body: &Map<String, Value>, unix_ms: u64) -> Result<Vec<u8>, ProtocolError> {
    check_members(body)?;
    let mut payload: Map<String, Value> = Map::new();
    for name in PAYLOAD_MEMBERS {
        if let Some(value) = body.get(name) {
            payload.insert(name.to_owned(), value.clone());
        }
    }
    let now = String::from_utf8_lossy(&format_timestamp(unix_ms)).into_owned();
    let implied = match text(body, "status") {
        Some("started") => Some(0),
        Some("completed") => Some(1),
        _ => None,
    };
    if let Some(progress) = implied {
        payload.entry("progress").or_insert_with(|| progress.into());
    }
    if implied == Some(0) {
        payload.entry("startedAt").or_insert_with(|| now.clone().into());
    }
    payload.entry("updatedAt").or_insert_with(|| now.into());
    let payload = Value::Object(payload);
    if depth_of(&payload) > PAYLOAD_DEPTH_MAX {
        return Err(ProtocolError::new(ErrorCode::TooDeep).in_field("details"));
    }
    Ok(payload.to_string().into_bytes())
}

fn check_members(body: &Map<String, Value>) -> Result<(), ProtocolError> {
    let holds = |name: &str, test: fn(&Value) -> bool| body.get(name).is_none_or(test);
    let is_time = |name: &str| body.get(name).is_none_or(|v| v.as_str().is_some_and(is_rfc3339));
    let checks = [
        (holds("progress", |v| v.as_f64().is_some_and(|p| (0.0..=1.0).contains(&p))), BAD_PROGRESS),
        (holds("stage", Value::is_string), BAD_STAGE),
        (holds("error", |v| v["code"].is_string() && v["message"].is_string()), BAD_ERROR),
        (holds("etaMs", |v| v.as_f64().is_some_and(|eta| eta >= 0.0)), BAD_ETA),
        (is_time("startedAt"), ProtocolError::bad_field("startedAt", "startedAt must be an RFC 3339 date-time.")),
        (is_time("updatedAt"), ProtocolError::bad_field("updatedAt", "updatedAt must be an RFC 3339 date-time.")),
    ];
    checks.into_iter().find(|(good, _)| !good).map_or(Ok(()), |(_, error)| Err(error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn made(body: Value) -> Result<Value, ProtocolError> {
        let Value::Object(body) = body else { panic!("an object") };
        Ok(serde_json::from_slice(&payload(&body, 0)?).unwrap())
    }

    #[test]
    fn the_payload_has_the_operation_s_members_only() {
        let body = json!({"sessionId": "s", "operationId": "o", "operationType": "t", "status": "progress",
            "progress": 0.5, "details": {"a": 1}, "other": 1});
        let now = "1970-01-01T00:00:00.000Z";
        assert_eq!(
            made(body).unwrap(),
            json!({"operationId": "o", "operationType": "t", "status": "progress", "progress": 0.5,
                "details": {"a": 1}, "updatedAt": now})
        );
        assert_eq!(
            made(json!({"operationId": "o", "operationType": "t", "status": "started"})).unwrap(),
            json!({"operationId": "o", "operationType": "t", "status": "started", "progress": 0,
                "startedAt": now, "updatedAt": now})
        );
    }

    #[test]
    fn wrong_members_are_named() {
        for (member, value) in [
            ("progress", json!(1.5)),
            ("progress", json!("x")),
            ("stage", json!(1)),
            ("error", json!("x")),
            ("etaMs", json!(-1)),
            ("startedAt", json!("now")),
        ] {
            let error = made(json!({"status": "progress", member: value})).unwrap_err();
            assert_eq!(error.field, Some(member));
        }
    }
}
