//! `POST /ws-api/send` and `/ws-api/broadcast`: a message in, its place and its receivers out.

use super::wait::{Patience, answer_outcome};
use super::{Reply, Response, Services};
use crate::auth::Identity;
use crate::delivery::{Author, Published};
use crate::handlers::{Outcome, Sender};
use crate::message::decode::{DecodeError, Shape};
use crate::message::kind::is_reserved;
use crate::message::system::parse_ack;
use crate::message::{Ack, Decoder, Envelope, ErrorCode, MessageType, ProtocolError};

/// Who publishes over REST.
pub struct Caller {
    /// The token's user.
    pub identity: Identity,
    /// The user's own connection that `Hashi-Connection` names.
    pub row: Option<u32>,
    /// What `Idempotency-Key` says: the id of a message that has none.
    pub own_id: Option<String>,
    /// Whether the answer waits for confirmations.
    pub patience: Option<Patience>,
}

/// What a route asks of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body {
    id_required: bool,
    may_address: bool,
}

/// What the caller gave for a message.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// Its id, if it has one.
    pub id: Option<&'a str>,
    /// What makes its payload the same when it comes again, where the server has added to it.
    pub content: Option<&'a [u8]>,
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
) -> Result<Reply, ProtocolError> {
    match decoder.decode(body, Shape { id_required: kind.id_required && caller.own_id.is_none() }) {
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
) -> Result<Reply, ProtocolError> {
    if envelope.kind == MessageType::ACK && body == SEND {
        return confirm(services, caller, envelope);
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
    let given = Given { id: envelope.id.or(caller.own_id.as_deref()), content: None };
    submit_checked(services, caller, envelope, given)
}

/// A confirmation, not a publishing.
fn confirm(services: &mut Services<'_>, caller: &Caller, envelope: &Envelope<'_>) -> Result<Reply, ProtocolError> {
    const MESSAGE: &str = "An ack over REST needs the Hashi-Connection header.";
    let slot = caller.row.ok_or(ProtocolError::with_message(ErrorCode::BadMessage, MESSAGE))?;
    let ids = parse_ack(envelope.payload.unwrap_or_default())?;
    services.delivery.totals.ignored_acks += services.delivery.confirm(slot, &ids);
    let id = envelope.id.or(caller.own_id.as_deref()).unwrap_or_default(); // ok because one of them is required
    Ok(accepted(id, Published::default()))
}

/// Hands a message on and answers where it is. It gets an id where none is given.
///
/// # Errors
/// As over WebSocket.
pub fn submit_checked(
    services: &mut Services<'_>,
    caller: &Caller,
    envelope: &Envelope<'_>,
    given: Given<'_>,
) -> Result<Reply, ProtocolError> {
    let sender = Sender {
        author: Author::User(&caller.identity.user_id),
        is_service: caller.identity.is_service,
        row: caller.row,
        mailbox: services.connection,
        is_request_with_id: given.id.is_some(),
        content: given.content,
    };
    let id = given.id.map_or_else(|| services.delivery.new_id(), str::to_owned);
    let ack = if caller.patience.is_some() { Ack::Delivered } else { envelope.ack };
    let envelope = Envelope { ack, ..envelope.clone() };
    let outcome = services.handlers.submit(services.delivery, services.policy, &sender, &envelope, &id)?;
    let (published, known) = match outcome {
        Outcome::Published(published) => (published, None),
        Outcome::Repeated(published, known) => (published, known),
        Outcome::Handled => return Ok(accepted(&id, Published::default())),
    };
    if let Some(patience) = &caller.patience {
        return Ok(answer_outcome(services.delivery, &id, published, known, patience));
    }
    services.delivery.report_to(caller.row, published);
    Ok(accepted(&id, published))
}

fn accepted(id: &str, published: Published) -> Reply {
    let mut body = Vec::with_capacity(96);
    published.write(&mut body, id);
    Reply::Now(Response::json(202, body))
}
