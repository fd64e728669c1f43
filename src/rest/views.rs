//! Routes that only look: index, status, metrics, who is in a session.

use serde_json::Value;

use super::{Response, Services, access};
use crate::auth::{Identity, Principal};
use crate::config::limits::LISTED_MAX;
use crate::message::encode::{write_json_string, write_number};
use crate::message::names::{BAD_SESSION, is_session_name};
use crate::message::timestamp::format_timestamp;
use crate::message::{ErrorCode, ProtocolError};
use crate::observe;
use crate::wire::http::Head;

/// `GET /`: what is here.
pub fn index(services: &Services<'_>) -> Response {
    let text = format!(
        "Hashi {}: real-time messages over WebSocket and REST.\n\n\
         GET  {} (WebSocket)\n\
         GET  /ws-api/status\n\
         POST /ws-api/send\n\
         POST /ws-api/broadcast\n\
         POST /ws-api/notify/operation\n\
         POST /ws-api/ticket\n\
         GET  /ws-api/events\n\
         GET  /ws-api/poll\n\
         GET  /ws-api/connections/session/:sessionId\n\
         GET  /healthz  /readyz  /metrics\n",
        env!("CARGO_PKG_VERSION"),
        services.config.path,
    );
    Response::text(200, &text)
}

/// `GET /ws-api/status`: all of it for services, and in development mode for everybody; otherwise the short form.
pub fn status(services: &Services<'_>, head: &Head<'_>) -> Response {
    let is_service = || access::authenticate(services.policy, head).is_ok_and(|identity| identity.is_service);
    if services.policy.is_development() || is_service() {
        json_answer(&observe::status(services.overview()))
    } else {
        json_answer(&observe::short_status(services.overview()))
    }
}

/// `GET /metrics`.
pub fn metrics(services: &Services<'_>) -> Response {
    let mut response = Response::text(200, &observe::prometheus(services.overview()));
    response.content_type = Some("text/plain; version=0.0.4; charset=utf-8");
    response
}

/// `GET /ws-api/connections/session/:sessionId`.
///
/// # Errors
/// `bad_message` for a name that cannot be one, `session_forbidden`.
pub fn session_connections(
    services: &Services<'_>,
    identity: &Identity,
    name: &str,
) -> Result<Response, ProtocolError> {
    if !is_session_name(name) {
        return Err(BAD_SESSION);
    }
    let user = Principal { user_id: &identity.user_id, is_service: identity.is_service };
    if !services.policy.may_join(user, name) {
        return Err(ErrorCode::SessionForbidden.into());
    }
    let sessions = &services.delivery.tables.sessions;
    let members = sessions.find(name).map_or(&[][..], |id| sessions.members(id));
    Ok(Response::json(200, list(services, name, members)))
}

/// Written by hand: this answer may list a thousand connections.
fn list(services: &Services<'_>, name: &str, members: &[u32]) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + members.len().min(LISTED_MAX) * 256);
    out.extend_from_slice(b"{\"sessionId\":");
    write_json_string(&mut out, name);
    out.extend_from_slice(b",\"count\":");
    write_number(&mut out, members.len() as u64);
    out.extend_from_slice(b",\"connections\":[");
    for (index, &slot) in members.iter().take(LISTED_MAX).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_connection(&mut out, services, slot);
    }
    out.extend_from_slice(b"]}");
    out
}

fn write_connection(out: &mut Vec<u8>, services: &Services<'_>, slot: u32) {
    let delivery = &services.delivery;
    let tables = &delivery.tables;
    let profile = tables.connections.profile(slot);
    let user_id = profile.personal.and_then(|id| tables.sessions.user_of(id)).unwrap_or_default();
    // Counted from the start, so that it is never before it, whatever the wall clock does meanwhile.
    let active_ms = tables.connections.times[slot as usize].activity_ms.saturating_sub(profile.connected_ms);
    out.extend_from_slice(format!("{{\"connectionId\":\"{:032x}\",\"userId\":", profile.connection_id).as_bytes());
    write_json_string(out, user_id);
    let transport = if tables.outputs.is_stream(slot) { "sse" } else { "websocket" };
    out.extend_from_slice(format!(",\"transport\":\"{transport}\",\"connectedAt\":\"").as_bytes());
    out.extend_from_slice(&format_timestamp(profile.connected_unix_ms));
    out.extend_from_slice(b"\",\"lastActivityAt\":\"");
    out.extend_from_slice(&format_timestamp(profile.connected_unix_ms + active_ms));
    out.extend_from_slice(b"\",\"queued\":");
    write_number(out, tables.outputs.len(slot) as u64);
    out.push(b'}');
}

fn json_answer(value: &Value) -> Response {
    Response::json(200, value.to_string().into_bytes())
}
