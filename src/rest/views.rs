//! Routes that only look: index, status, metrics, who is in a session.

use serde_json::{Value, json};

use super::{Response, Services, access};
use crate::auth::{Identity, Principal};
use crate::config::limits::LISTED_MAX;
use crate::message::decode::{BAD_SESSION, is_session_name};
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
    let listed: Vec<Value> = members.iter().take(LISTED_MAX).map(|&slot| connection(services, slot)).collect();
    Ok(json_answer(&json!({ "sessionId": name, "count": members.len(), "connections": listed })))
}

fn connection(services: &Services<'_>, slot: u32) -> Value {
    let delivery = &services.delivery;
    let tables = &delivery.tables;
    let profile = tables.connections.profile(slot);
    let idle_ms = delivery.now.ms().saturating_sub(tables.connections.times[slot as usize].activity_ms);
    json!({
        "connectionId": format!("{:032x}", profile.connection_id),
        "userId": profile.personal.and_then(|id| tables.sessions.user_of(id)),
        "transport": "websocket",
        "connectedAt": time(profile.connected_unix_ms),
        "lastActivityAt": time(delivery.now.unix_ms.saturating_sub(idle_ms)),
        "queued": tables.outputs.len(slot),
    })
}

fn time(unix_ms: u64) -> String {
    String::from_utf8_lossy(&format_timestamp(unix_ms)).into_owned()
}

fn json_answer(value: &Value) -> Response {
    Response::json(200, value.to_string().into_bytes())
}
