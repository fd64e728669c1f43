//! A message from a client, checked.

use super::{Ack, Guarantee, Priority};

/// Whom a message is addressed to, when not to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// Every connection of a user.
    User(&'a str),
    /// One connection, by its public id.
    Connection(u128),
}

/// A checked message from a client. Text is unescaped; `payload` and `meta` are the bytes as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The sender's label, 1 to 128 bytes; `None` only where [`Shape::id_required`](super::decode::Shape::id_required) is false.
    pub id: Option<&'a str>,
    /// The type's name.
    pub kind: &'a str,
    /// How urgent it is.
    pub priority: Priority,
    /// The session it names, if any.
    pub session_id: Option<&'a str>,
    /// The payload's bytes; `None` only for a `heartbeat` without one.
    pub payload: Option<&'a [u8]>,
    /// What it replaces; an operation's `operationId` if it has no key of its own.
    pub key: Option<&'a str>,
    /// What its sender wants to be told of it.
    pub ack: Ack,
    /// Whether it is held and sent again to those that confirm; `ack` may imply it.
    pub reliable: bool,
    /// A user or connection instead of a session.
    pub to: Option<Target<'a>>,
    /// Whether the sender gets it too; `None` for the connection's default.
    pub echo: Option<bool>,
    /// The id it answers.
    pub reply_to: Option<&'a str>,
    /// A flat object of scalars.
    pub meta: Option<&'a [u8]>,
    /// How long it is worth anything.
    pub expires_in_ms: Option<u64>,
}

impl Envelope<'_> {
    /// How far the server goes for it.
    pub const fn guarantee(&self) -> Guarantee {
        Guarantee::of(self.ack, self.reliable)
    }
}
