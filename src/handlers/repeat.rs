//! Messages that are sent again: what makes two of them the same, and who waits for the answer of the first.

use super::route::Sender;
use super::submit::Outcome;
use crate::config::limits::MAILBOX_MAX;
use crate::delivery::{Delivery, OVERLOADED, Published};
use crate::message::{Ack, Envelope, ErrorCode, Guarantee, ProtocolError, Target};
use crate::tables::ConnId;
use crate::tables::dedup::{Identifier, Seen};

/// What makes a message the same when it is sent again; `None` for one whose id is only a label, or that goes nowhere.
pub(super) fn identify(
    delivery: &Delivery,
    sender: &Sender<'_>,
    envelope: &Envelope<'_>,
    id: &str,
) -> Option<Identifier> {
    let is_marked = envelope.ack != Ack::Nothing || envelope.guarantee() > Guarantee::Once;
    if !is_marked && !sender.is_request_with_id {
        return None;
    }
    let sessions = &delivery.tables.sessions;
    let default = || sender.row.and_then(|slot| sessions.default_of(slot)).map(|id| sessions.name(id));
    let session = if envelope.to.is_some() { Some("") } else { envelope.session_id.or_else(default) }?;
    let to = match envelope.to {
        Some(Target::User(user_id)) => (1, user_id.to_owned()),
        Some(Target::Connection(id)) => (2, format!("{id:032x}")),
        None => (0, String::new()),
    };
    let user = sender.user_id(delivery);
    let content = (envelope.kind, session, to, envelope.key, sender.content.or(envelope.payload));
    Some(delivery.identifier(user, &(session, id), &content))
}

/// Looks at a marked message; `None` if it is new.
///
/// # Errors
/// `id_reused` for another message under a used id; `overloaded` where many wait for the same answer already.
pub(super) fn look_up(
    delivery: &mut Delivery,
    sender: &Sender<'_>,
    envelope: &Envelope<'_>,
    identifier: Identifier,
) -> Result<Option<Outcome>, ProtocolError> {
    Ok(match delivery.see(identifier) {
        Seen::New => None,
        Seen::Answered(published, _) if is_crowded(delivery, published) => return Err(OVERLOADED),
        Seen::Answered(published, counts) => Some(Outcome::Repeated(published, counts)),
        Seen::Pending => {
            let row = sender.row.filter(|_| envelope.ack != Ack::Nothing);
            if let Some(slot) = row {
                let connection = delivery.tables.connections.id(slot);
                if !delivery.tables.dedup.wait(identifier.memory, connection, MAILBOX_MAX) {
                    return Err(OVERLOADED);
                }
            }
            Some(Outcome::Handled)
        }
        Seen::Reused => return Err(ErrorCode::IdReused.into()),
    })
}

/// Whether as many connections wait for a message's outcome as may, the one that sent it first beside them.
fn is_crowded(delivery: &Delivery, published: Published) -> bool {
    let outcomes = &delivery.tables.in_flight.outcomes;
    published.outcome.is_some_and(|outcome| outcomes.watchers(outcome) > MAILBOX_MAX)
}

/// Remembers how a message ended that no handler had, so that nobody waits for its answer.
pub(super) fn remember(delivery: &mut Delivery, memory: u128, result: &Result<Outcome, ProtocolError>) {
    match result {
        Ok(Outcome::Published(published)) => drop(remember_published(delivery, memory, *published)),
        Ok(Outcome::Repeated(..) | Outcome::Handled) => {}
        Err(_) => drop(delivery.tables.dedup.forget(memory)),
    }
}

/// Remembers the answer of a message. Returns who waits for it.
pub(super) fn remember_published(delivery: &mut Delivery, memory: u128, published: Published) -> Vec<ConnId> {
    if let Some(outcome) = published.outcome {
        delivery.tables.in_flight.outcomes.remember(outcome, memory);
    }
    delivery.tables.dedup.answer(memory, published)
}

/// The row of a connection that is still open.
pub(super) fn open_row(delivery: &Delivery, connection: ConnId) -> Option<u32> {
    let slot = delivery.tables.connections.slot(connection)?;
    delivery.tables.connections.state(slot).is_open().then_some(slot)
}
