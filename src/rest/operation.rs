//! `POST /ws-api/notify/operation`: the state of an operation in, the matching `operation_*` message out.
//!
//! What the body holds is passed on byte for byte; only the times and the progress that the status implies are added.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::publish::{self, Caller, Given, body_error};
use super::{Reply, Services};
use crate::config::limits::{ID_BYTES_MAX, KEY_BYTES_MAX, PAYLOAD_DEPTH_MAX};
use crate::message::decode::{BAD_ACK, BAD_EXPIRES_IN, BAD_RELIABLE};
use crate::message::encode::write_json_string;
use crate::message::names::{BAD_SESSION, is_session_name};
use crate::message::timestamp::{format_timestamp, is_rfc3339};
use crate::message::{Ack, Decoder, Envelope, ErrorCode, MessageType, Priority, ProtocolError};

/// The body's members, each as it was written. A member that comes twice is an error.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(borrow)]
    session_id: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    priority: Option<&'a RawValue>,
    operation_id: Option<&'a RawValue>,
    operation_type: Option<&'a RawValue>,
    status: Option<&'a RawValue>,
    progress: Option<&'a RawValue>,
    stage: Option<&'a RawValue>,
    details: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
    started_at: Option<&'a RawValue>,
    updated_at: Option<&'a RawValue>,
    eta_ms: Option<&'a RawValue>,
    ack: Option<&'a RawValue>,
    reliable: Option<&'a RawValue>,
    expires_in: Option<&'a RawValue>,
    version: Option<&'a RawValue>,
    base: Option<&'a RawValue>,
    encoding: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(rename = "code")]
    _code: String,
    #[serde(rename = "message")]
    _message: String,
}

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
pub fn notify(
    services: &mut Services<'_>,
    decoder: &mut Decoder,
    caller: &Caller,
    bytes: &[u8],
) -> Result<Reply, ProtocolError> {
    let body = parse(decoder, bytes)?;
    refuse_members(&body)?;
    let session_id = text(body.session_id).filter(|name| is_session_name(name)).ok_or(BAD_SESSION)?;
    let operation_id = text(body.operation_id).filter(|id| is_within(id, KEY_BYTES_MAX)).ok_or(BAD_OPERATION_ID)?;
    let kind = kind_of(&body)?;
    let payload = payload(&body, services.delivery.now.unix_ms)?;
    let id = match body.id {
        None => caller.own_id.clone(),
        id => Some(text(id).filter(|id| is_within(id, ID_BYTES_MAX)).ok_or(BAD_ID)?),
    };
    let envelope = Envelope {
        id: id.as_deref(),
        kind,
        priority: priority(&body)?,
        session_id: Some(&session_id),
        payload: Some(&payload),
        key: Some(&operation_id),
        ack: ack(&body)?,
        reliable: reliable(&body)?,
        to: None,
        echo: None,
        reply_to: None,
        meta: None,
        expires_in_ms: expires_in_ms(&body)?,
    };
    let given = Given { id: id.as_deref(), content: Some(&written(&body)) };
    publish::submit_checked(services, caller, &envelope, given)
}

fn parse<'a>(decoder: &mut Decoder, bytes: &'a [u8]) -> Result<Body<'a>, ProtocolError> {
    decoder.validate(bytes).map_err(|error| body_error(error, bytes))?;
    serde_json::from_slice(bytes).map_err(|_| {
        let message = "The body must be one JSON object that holds each member once.";
        ProtocolError::with_message(ErrorCode::BadMessage, message).at(0)
    })
}

fn read<T: DeserializeOwned>(member: Option<&RawValue>) -> Option<T> {
    serde_json::from_str(member?.get()).ok()
}

fn text(member: Option<&RawValue>) -> Option<String> {
    read(member)
}

fn is_within(text: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&text.len())
}

/// What this version does not offer is refused here as in any other message.
fn refuse_members(body: &Body<'_>) -> Result<(), ProtocolError> {
    const NOT_OFFERED: &str = "This member is not offered by this version.";
    let refused =
        [("version", body.version.is_some()), ("base", body.base.is_some()), ("encoding", body.encoding.is_some())];
    let refused = refused.into_iter().find(|(_, is_refused)| *is_refused);
    refused.map_or(Ok(()), |(name, _)| Err(ProtocolError::bad_field(name, NOT_OFFERED)))
}

fn ack(body: &Body<'_>) -> Result<Ack, ProtocolError> {
    match body.ack.map(RawValue::get) {
        None | Some("false") => Ok(Ack::Nothing),
        Some("true") => Ok(Ack::Published),
        Some("\"delivered\"") => Ok(Ack::Delivered),
        Some(_) => Err(BAD_ACK),
    }
}

fn reliable(body: &Body<'_>) -> Result<bool, ProtocolError> {
    body.reliable.map_or(Ok(false), |value| read(Some(value)).ok_or(BAD_RELIABLE))
}

fn kind_of(body: &Body<'_>) -> Result<&'static str, ProtocolError> {
    text(body.operation_type).filter(|kind| !kind.is_empty()).ok_or(BAD_OPERATION_TYPE)?;
    match text(body.status).as_deref() {
        Some("started") => Ok(MessageType::OPERATION_STARTED),
        Some("progress") => Ok(MessageType::OPERATION_PROGRESS),
        Some("completed") => Ok(MessageType::OPERATION_COMPLETED),
        Some("failed") => Ok(MessageType::OPERATION_FAILED),
        _ => Err(BAD_STATUS),
    }
}

fn priority(body: &Body<'_>) -> Result<Priority, ProtocolError> {
    match body.priority {
        None => Ok(Priority::Normal),
        priority => text(priority).and_then(|name| Priority::from_name(&name)).ok_or(BAD_PRIORITY),
    }
}

fn expires_in_ms(body: &Body<'_>) -> Result<Option<u64>, ProtocolError> {
    match body.expires_in {
        None => Ok(None),
        time => read(time).filter(|time_ms| *time_ms > 0).map(Some).ok_or(BAD_EXPIRES_IN),
    }
}

/// The operation's members in a fixed order, with the times and the progress that the status implies.
fn payload(body: &Body<'_>, unix_ms: u64) -> Result<Vec<u8>, ProtocolError> {
    check_members(body)?;
    let mut now = Vec::with_capacity(32);
    write_json_string(&mut now, &String::from_utf8_lossy(&format_timestamp(unix_ms)));
    let status = text(body.status);
    let (implied_progress, implied_start) = match status.as_deref() {
        Some("started") => (Some(&b"0"[..]), Some(&now[..])),
        Some("completed") => (Some(&b"1"[..]), None),
        _ => (None, None),
    };
    let out = object(body, Implied { progress: implied_progress, started_at: implied_start, updated_at: Some(&now) });
    if nesting(&out) > PAYLOAD_DEPTH_MAX {
        return Err(ProtocolError::new(ErrorCode::TooDeep).in_field("details"));
    }
    Ok(out)
}

/// The operation's members without what the server adds: the same again when the request comes again, at another time.
fn written(body: &Body<'_>) -> Vec<u8> {
    object(body, Implied::default())
}

/// What stands for members that are not given.
#[derive(Clone, Copy, Default)]
struct Implied<'a> {
    progress: Option<&'a [u8]>,
    started_at: Option<&'a [u8]>,
    updated_at: Option<&'a [u8]>,
}

fn object(body: &Body<'_>, implied: Implied<'_>) -> Vec<u8> {
    let members = [
        ("operationId", body.operation_id, None),
        ("operationType", body.operation_type, None),
        ("status", body.status, None),
        ("progress", body.progress, implied.progress),
        ("stage", body.stage, None),
        ("details", body.details, None),
        ("error", body.error, None),
        ("startedAt", body.started_at, implied.started_at),
        ("updatedAt", body.updated_at, implied.updated_at),
        ("etaMs", body.eta_ms, None),
    ];
    let mut out = vec![b'{'];
    for (name, given, implied) in members {
        if let Some(value) = given.map(|raw| raw.get().as_bytes()).or(implied) {
            let separator = if out.len() > 1 { "," } else { "" };
            out.extend_from_slice(format!("{separator}\"{name}\":").as_bytes());
            out.extend_from_slice(value);
        }
    }
    out.push(b'}');
    out
}

fn check_members(body: &Body<'_>) -> Result<(), ProtocolError> {
    let is_time = |member: Option<&RawValue>| member.is_none() || text(member).is_some_and(|time| is_rfc3339(&time));
    let number = |member: Option<&RawValue>| member.map(|_| read::<f64>(member));
    let checks = [
        (number(body.progress).is_none_or(|p| p.is_some_and(|p| (0.0..=1.0).contains(&p))), BAD_PROGRESS),
        (body.stage.is_none() || text(body.stage).is_some(), BAD_STAGE),
        (body.error.is_none() || read::<Failure>(body.error).is_some(), BAD_ERROR),
        (number(body.eta_ms).is_none_or(|eta| eta.is_some_and(|eta| eta >= 0.0)), BAD_ETA),
        (is_time(body.started_at), ProtocolError::bad_field("startedAt", "startedAt must be an RFC 3339 date-time.")),
        (is_time(body.updated_at), ProtocolError::bad_field("updatedAt", "updatedAt must be an RFC 3339 date-time.")),
    ];
    checks.into_iter().find(|(good, _)| !good).map_or(Ok(()), |(_, error)| Err(error))
}

/// The deepest nesting of valid JSON.
fn nesting(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth -= 1,
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn made(body: Value) -> Result<Value, ProtocolError> {
        let text = body.to_string();
        let body = parse(&mut Decoder::default(), text.as_bytes())?;
        Ok(serde_json::from_slice(&payload(&body, 0)?).unwrap())
    }

    #[test]
    fn nesting_is_counted_outside_strings() {
        assert_eq!(nesting(br#"{"a":"[[\"[[","b":[{}]}"#), 3);
        assert_eq!(nesting(b"1"), 0);
    }

    #[test]
    fn a_member_twice_is_an_error() {
        let body = br#"{"sessionId":"a","sessionId":"b"}"#;
        assert_eq!(parse(&mut Decoder::default(), body).err().unwrap().code, ErrorCode::BadMessage);
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
