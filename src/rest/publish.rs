//! `POST /ws-api/send` and `/ws-api/broadcast`: a message in, its place and its receivers out.

use super::{Response, Services};
use crate::auth::Identity;
use crate::delivery::{Author, Published};
use crate::handlers::{Outcome, Sender};
use crate::message::decode::{DecodeError, Shape};
use crate::message::kind::is_reserved;
use crate::message::{Decoder, Envelope, ErrorCode, MessageType, ProtocolError};

/// Who publishes over REST.
pub struct Caller {
    /// The token's user.
    pub identity: Identity,
    /// The user's own connection that `Hashi-Connection` names.
    pub row: Option<u32>,
}

/// What a route asks of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body {
    id_required: bool,
    may_address: bool,
}

/// An envelope as over WebSocket: `sessionId` or `to` is required.
pub const SEND: Body = Body { id_required: true, may_address: true };
/// A message for a session; its id may be left out.
pub const BROADCAST: Body = Body { id_required: false, may_address: false };

/// Publishes an envelope as the token's user.
///
/// # Errors
/// As over WebSocket.
pub fn publish(
    services: &mut Services<'_>,
    decoder: &mut Decoder,
    caller: &Caller,
    body: &[u8],
    kind: Body,
) -> Result<Response, ProtocolError> {
    match decoder.decode(body, Shape { id_required: kind.id_required }) {
        Ok(envelope) => submit(services, caller, &envelope, kind),
        Err(error) => Err(body_error(error, body)),
    }
}

/// What is wrong with a body that is not JSON. Bad UTF-8 is an error here like any other.
pub fn body_error(error: DecodeError, body: &[u8]) -> ProtocolError {
    match error {
        DecodeError::Rejected { error, .. } => error,
        DecodeError::InvalidUtf8 => {
            let at = std::str::from_utf8(body).err().map_or(0, |error| error.valid_up_to());
            let error = ProtocolError::with_message(ErrorCode::BadMessage, "The body is not UTF-8.");
            error.at(u32::try_from(at).unwrap_or(u32::MAX))
        }
    }
}

fn submit(
    services: &mut Services<'_>,
    caller: &Caller,
    envelope: &Envelope<'_>,
    body: Body,
) -> Result<Response, ProtocolError> {
    if envelope.kind == MessageType::ACK && body == SEND {
        // A confirmation, not a publishing. No receiver is asked to confirm by this version, so it confirms nothing.
        const MESSAGE: &str = "An ack over REST needs the Hashi-Connection header.";
        caller.row.ok_or(ProtocolError::with_message(ErrorCode::BadMessage, MESSAGE))?;
        return Ok(accepted(envelope.id.unwrap_or_default(), Published::default()));
    }
    if is_reserved(envelope.kind) {
        return Err(ErrorCode::ReservedType.into());
    }
    if envelope.session_id.is_none() && !(body.may_address && envelope.to.is_some()) {
        return Err(ProtocolError::new(ErrorCode::NoSession).in_field("sessionId"));
    }
    if envelope.to.is_some() && !body.may_address {
        return Err(ProtocolError::bad_field("to", "A broadcast goes to a session; use send."));
    }
    let id = envelope.id.map_or_else(|| services.delivery.new_id(), str::to_owned);
    submit_checked(services, caller, envelope, &id)
}

/// Hands a message on and answers where it is.
///
/// # Errors
/// As over WebSocket.
pub fn submit_checked(
    services: &mut Services<'_>,
    caller: &Caller,
    envelope: &Envelope<'_>,
    id: &str,
) -> Result<Response, ProtocolError> {
    let sender = Sender {
        author: Author::User(&caller.identity.user_id),
        is_service: caller.identity.is_service,
        row: caller.row,
        mailbox: services.connection,
    };
    let outcome = services.handlers.submit(services.delivery, services.policy, &sender, envelope, id)?;
    Ok(match outcome {
        Outcome::Published(published) => accepted(id, published),
        Outcome::Handled => accepted(id, Published::default()),
    })
}

fn accepted(id: &str, published: Published) -> Response {
    let mut body = Vec::with_capacity(96);
    published.write(&mut body, id);
    Response::json(202, body)
}
