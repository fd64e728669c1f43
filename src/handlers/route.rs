//! Where a message goes, and whether its sender may send it there.

use crate::auth::{Policy, Principal};
use crate::delivery::{Author, Delivery, Publication, Published};
use crate::message::{Envelope, ErrorCode, MessageType, ProtocolError, Target};
use crate::tables::sessions::PERSONAL_PREFIX;
use crate::tables::{ConnId, SessionId};

/// Who sends a message.
#[derive(Clone, Debug)]
pub struct Sender<'a> {
    /// The user.
    pub author: Author<'a>,
    /// Whether the user is a service.
    pub is_service: bool,
    /// The user's connection it comes from, or that REST names: it has the default session, gets answers, and is left out
    /// where `echo` is false.
    pub row: Option<u32>,
    /// Whose mailbox orders it: the connection it came in by.
    pub mailbox: ConnId,
    /// It came as a request that names its id, and may come again, whatever its members say.
    pub is_request_with_id: bool,
    /// What stands for the payload when the message is compared with one that came before; without it the payload itself.
    pub content: Option<&'a [u8]>,
}

impl Sender<'_> {
    /// The user's id.
    pub fn user_id<'s>(&'s self, delivery: &'s Delivery) -> &'s str {
        self.author.user_id(&delivery.tables.sessions).unwrap_or_default()
    }
}

/// Where a message goes.
enum Destination {
    Session(SessionId),
    Connection(u32),
}

/// Publishes an application message past the handlers.
pub fn publish(
    delivery: &mut Delivery,
    policy: &dyn Policy,
    sender: &Sender<'_>,
    envelope: &Envelope<'_>,
    id: &str,
) -> Result<Published, ProtocolError> {
    check_permission(delivery, policy, sender, envelope)?;
    let destination = resolve(delivery, sender, envelope)?;
    let own_key = key_of_selection(delivery, sender, envelope);
    let publication = Publication {
        id,
        kind: envelope.kind,
        priority: envelope.priority,
        from: sender.author,
        key: envelope.key.or(own_key.as_deref()),
        reply_to: envelope.reply_to,
        meta: envelope.meta,
        expires_in_ms: envelope.expires_in_ms,
        guarantee: envelope.guarantee(),
        payload: envelope.payload.unwrap_or(b"{}"),
    };
    match destination {
        Destination::Connection(slot) => delivery.send_direct(slot, &publication),
        Destination::Session(session) => {
            let excluded = sender
                .row
                .filter(|&slot| !envelope.echo.unwrap_or_else(|| delivery.tables.connections.profile(slot).echo));
            delivery.publish(session, excluded, &publication)
        }
    }
}

/// What a selection without a key replaces: its user's last one.
fn key_of_selection(delivery: &Delivery, sender: &Sender<'_>, envelope: &Envelope<'_>) -> Option<String> {
    let is_keyless = envelope.kind == MessageType::SELECTION_UPDATE && envelope.key.is_none();
    is_keyless.then(|| sender.user_id(delivery).to_owned())
}

/// Whether the policy lets the sender publish this.
///
/// # Errors
/// `forbidden`, or `no_session` for a message that goes nowhere.
pub fn check_permission(
    delivery: &Delivery,
    policy: &dyn Policy,
    sender: &Sender<'_>,
    envelope: &Envelope<'_>,
) -> Result<(), ProtocolError> {
    let user = Principal { user_id: sender.user_id(delivery), is_service: sender.is_service };
    let sessions = &delivery.tables.sessions;
    let session = match (envelope.to, envelope.session_id) {
        (Some(_), _) => None,
        (None, Some(name)) => Some(name),
        (None, None) => {
            let default = sender.row.and_then(|slot| sessions.default_of(slot)).ok_or(ErrorCode::NoSession)?;
            Some(sessions.name(default))
        }
    };
    if policy.may_publish(user, session, envelope.kind) { Ok(()) } else { Err(ErrorCode::Forbidden.into()) }
}

fn resolve(
    delivery: &mut Delivery,
    sender: &Sender<'_>,
    envelope: &Envelope<'_>,
) -> Result<Destination, ProtocolError> {
    match envelope.to {
        Some(Target::User(user_id)) => {
            delivery.work += rows_looked_at(delivery, sender, user_id);
            if !sender.is_service && !shares_with_user(delivery, sender, user_id) {
                return Err(ErrorCode::Forbidden.into());
            }
            open_personal(delivery, user_id).map(Destination::Session)
        }
        Some(Target::Connection(id)) => {
            let found = find_open(delivery, id);
            let allowed = found.filter(|&slot| sender.is_service || shares_with_row(delivery, sender, slot));
            let error = if sender.is_service { ErrorCode::NotFound } else { ErrorCode::Forbidden };
            allowed.map(Destination::Connection).ok_or(error.into())
        }
        None => session_of(delivery, sender, envelope).map(Destination::Session),
    }
}

fn session_of(
    delivery: &mut Delivery,
    sender: &Sender<'_>,
    envelope: &Envelope<'_>,
) -> Result<SessionId, ProtocolError> {
    let default = sender.row.and_then(|slot| delivery.tables.sessions.default_of(slot));
    match (envelope.session_id, default) {
        (None, None) => Err(ErrorCode::NoSession.into()),
        (None, Some(id)) => Ok(id),
        (Some(name), Some(id)) if delivery.tables.sessions.name(id) == name => Ok(id),
        (Some(name), _) => delivery.open_session(name),
    }
}

pub fn open_personal(delivery: &mut Delivery, user_id: &str) -> Result<SessionId, ProtocolError> {
    delivery.open_session(&format!("{PERSONAL_PREFIX}{user_id}"))
}

pub fn find_open(delivery: &Delivery, connection_id: u128) -> Option<u32> {
    let slot = delivery.tables.connections.find(connection_id)?;
    delivery.tables.connections.state(slot).is_open().then_some(slot)
}

/// The rows that count as the sender's: the one it speaks for, or over REST any of the user's.
fn rows_of<'a>(delivery: &'a Delivery, sender: &'a Sender<'_>) -> impl Iterator<Item = u32> + 'a {
    let of_user = match sender.row {
        Some(_) => &[],
        None => members_of_user(delivery, sender.user_id(delivery)),
    };
    sender.row.into_iter().chain(of_user.iter().copied())
}

fn members_of_user<'a>(delivery: &'a Delivery, user_id: &str) -> &'a [u32] {
    let sessions = &delivery.tables.sessions;
    sessions.find(&format!("{PERSONAL_PREFIX}{user_id}")).map_or(&[], |id| sessions.members(id))
}

fn shares_with_user(delivery: &Delivery, sender: &Sender<'_>, user_id: &str) -> bool {
    user_id == sender.user_id(delivery)
        || members_of_user(delivery, user_id).iter().any(|&slot| shares_with_row(delivery, sender, slot))
}

/// Comparing two users' rows is work like routing to them, and counts as such.
fn rows_looked_at(delivery: &Delivery, sender: &Sender<'_>, user_id: &str) -> usize {
    if sender.is_service {
        return 0;
    }
    members_of_user(delivery, user_id).len() * rows_of(delivery, sender).count()
}

fn shares_with_row(delivery: &Delivery, sender: &Sender<'_>, slot: u32) -> bool {
    rows_of(delivery, sender).any(|own| own == slot || delivery.tables.sessions.share_one(own, slot))
}
