//! `POST /ws-api/ticket`: a token in the header in, a ticket for the query of a request out.

use serde::Deserialize;

use super::publish::body_error;
use super::{Response, Services};
use crate::auth::{Identity, Principal};
use crate::config::limits::TICKET_OPEN_MS;
use crate::message::names::{BAD_SESSION, is_session_name};
use crate::message::{Decoder, ErrorCode, ProtocolError};
use crate::tables::tickets::Bearer;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    session_id: String,
}

/// Makes a ticket for the token's user and a session. It has no rights of a service, whoever asks: what stands in a query is
/// seen by many.
///
/// # Errors
/// `bad_message`, `session_forbidden`.
pub fn make(
    services: &mut Services<'_>,
    decoder: &mut Decoder,
    identity: Identity,
    bytes: &[u8],
) -> Result<Response, ProtocolError> {
    decoder.validate(bytes).map_err(|error| body_error(error, bytes))?;
    let body: Option<Body> = serde_json::from_slice(bytes).ok();
    let session_id = body.map(|body| body.session_id).filter(|name| is_session_name(name)).ok_or(BAD_SESSION)?;
    let user_id = identity.user_id;
    if !services.policy.may_join(Principal { user_id: &user_id, is_service: false }, &session_id) {
        return Err(ErrorCode::SessionForbidden.into());
    }
    let delivery = &mut *services.delivery;
    let (code, now_ms) = (delivery.random_u128(), delivery.now.ms());
    delivery.tables.tickets.insert(code, Bearer { user_id, session_id }, now_ms);
    delivery.totals.tickets += 1;
    let body = format!("{{\"ticket\":\"{code:032x}\",\"expiresInMs\":{TICKET_OPEN_MS}}}");
    Ok(Response::json(201, body.into_bytes()))
}
