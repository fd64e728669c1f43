//! Who listens by HTTP: the query of `GET /ws-api/events` and `GET /ws-api/poll`, and what may stand for a token.

use std::borrow::Cow;

use super::{Services, access};
use crate::auth::{Identity, Principal};
use crate::delivery::Delivery;
use crate::message::names::{BAD_SESSION, is_session_name, parse_connection_id};
use crate::message::system::{Claim, Features};
use crate::message::{ErrorCode, ProtocolError};
use crate::tables::sessions::PERSONAL_PREFIX;
use crate::tables::tickets::Bearer;
use crate::wire::cursor::parse_cursor;
use crate::wire::http::Head;

const BAD_TICKET: ProtocolError =
    ProtocolError::with_message(ErrorCode::InvalidToken, "The ticket is unknown, or its time is over.")
        .in_field("ticket");
const BAD_CONNECTION: ProtocolError =
    ProtocolError::bad_field("connectionId", "connectionId must be 32 hexadecimal digits.");
const BAD_CURSOR: &str = "This is not a cursor: session:epoch:seq, joined by commas.";

/// A client that wants to listen.
#[derive(Debug, PartialEq, Eq)]
pub struct Listener {
    /// Who it is.
    pub identity: Identity,
    /// The session it wants to be in, besides the personal one.
    pub session_id: Option<String>,
    /// The ticket that it came with: it may be in no other session then.
    pub ticket: Option<u128>,
    /// What it asked for.
    pub features: Features,
    /// Where it stands in its sessions, if it says so.
    pub claims: Option<Vec<(String, Claim)>>,
    /// The connection it goes on for.
    pub connection_id: Option<u128>,
}

impl Listener {
    /// The user as a policy sees it.
    pub fn principal(&self) -> Principal<'_> {
        Principal { user_id: &self.identity.user_id, is_service: self.identity.is_service }
    }

    /// The name of the user's personal session.
    pub fn personal(&self) -> String {
        format!("{PERSONAL_PREFIX}{}", self.identity.user_id)
    }
}

/// Checks, before the body is read, that somebody known asks.
///
/// # Errors
/// `authentication_required`, `invalid_token`, `bad_message` that names the member of the query.
pub fn check_listener(services: &Services<'_>, head: &Head<'_>) -> Result<(), ProtocolError> {
    if access::has_token(head) {
        return access::authenticate(services.policy, head).map(drop);
    }
    check(services.delivery, ticket_of(head)?.ok_or(ErrorCode::AuthenticationRequired)?)
}

/// Reads who wants to listen to what, and uses the ticket if there is one.
///
/// # Errors
/// As [`check_listener`], and `session_forbidden`.
pub fn listener(services: &mut Services<'_>, head: &Head<'_>) -> Result<Listener, ProtocolError> {
    let asked = session_of(head)?;
    let (identity, session_id, ticket) = if access::has_token(head) {
        (access::authenticate(services.policy, head)?, asked, None)
    } else {
        let code = ticket_of(head)?.ok_or(ErrorCode::AuthenticationRequired)?;
        let bearer = redeem(services.delivery, code)?;
        let session_id = bound_session(&bearer, asked)?;
        (Identity { user_id: bearer.user_id, is_service: false }, Some(session_id), Some(code))
    };
    let names = access::member(head.query, "features")?.unwrap_or_default();
    let connection_id = access::member(head.query, "connectionId")?;
    let connection_id = connection_id.map(|text| parse_connection_id(&text).ok_or(BAD_CONNECTION)).transpose()?;
    // Events are one message each: there is nothing to put into arrays.
    let features = Features { batch: false, ..Features::from_names(names.split(',')) };
    let mut listener = Listener { identity, session_id, ticket, features, claims: None, connection_id };
    listener.claims = claims(head, &listener.personal())?;
    Ok(listener)
}

/// The ticket of a request, whether it is valid or not.
///
/// # Errors
/// `bad_message` if it came twice, `invalid_token` for what cannot be one.
pub fn ticket_of(head: &Head<'_>) -> Result<Option<u128>, ProtocolError> {
    access::member(head.query, "ticket")?.map(|text| parse_connection_id(&text).ok_or(BAD_TICKET)).transpose()
}

/// Checks that a ticket is valid, and does not use it.
///
/// # Errors
/// `invalid_token`.
pub fn check(delivery: &Delivery, code: u128) -> Result<(), ProtocolError> {
    delivery.tables.tickets.find(code, delivery.now.ms()).map(drop).ok_or(BAD_TICKET)
}

/// Uses a ticket.
///
/// # Errors
/// `invalid_token`.
pub fn redeem(delivery: &mut Delivery, code: u128) -> Result<Bearer, ProtocolError> {
    let now_ms = delivery.now.ms();
    delivery.tables.tickets.redeem(code, now_ms).ok_or(BAD_TICKET)
}

/// The session that a ticket is for, which must be the one asked for, if any is.
///
/// # Errors
/// `session_forbidden`.
pub fn bound_session(bearer: &Bearer, asked: Option<String>) -> Result<String, ProtocolError> {
    match asked {
        Some(name) if name != bearer.session_id => Err(ErrorCode::SessionForbidden.into()),
        _ => Ok(bearer.session_id.clone()),
    }
}

fn session_of(head: &Head<'_>) -> Result<Option<String>, ProtocolError> {
    let name = access::member(head.query, "sessionId")?;
    name.map(|name| if is_session_name(&name) { Ok(name.into_owned()) } else { Err(BAD_SESSION) }).transpose()
}

/// What the client says of its positions. `Last-Event-ID` is newer than the query of a stream that reconnects by itself.
fn claims(head: &Head<'_>, personal: &str) -> Result<Option<Vec<(String, Claim)>>, ProtocolError> {
    let last = access::single(head, "Last-Event-ID")?.filter(|text| !text.is_empty());
    let (field, text) = match last {
        Some(text) => ("Last-Event-ID", Some(Cow::Borrowed(text))),
        None => ("cursor", access::member(head.query, "cursor")?.filter(|text| !text.is_empty())),
    };
    text.map(|text| parse_cursor(&text, personal).ok_or(ProtocolError::bad_field(field, BAD_CURSOR))).transpose()
}
