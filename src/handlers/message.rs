//! What handlers see and what embedders make: owned messages, options, contexts.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::handle::{Closed, Command, Handle, Receipt};
use crate::message::{Envelope, Priority, ProtocolError};

/// A message that reached a handler.
#[derive(Clone, Debug)]
pub struct Message {
    /// The sender's label.
    pub id: String,
    /// The type.
    pub kind: String,
    /// How urgent it is.
    pub priority: Priority,
    /// The session it was published to, if any.
    pub session_id: Option<String>,
    /// The sender's user id.
    pub from: String,
    /// What it replaces.
    pub key: Option<String>,
    /// What it answers.
    pub reply_to: Option<String>,
    /// A flat JSON object, as it came.
    pub meta: Option<Vec<u8>>,
    /// JSON, as it came.
    pub payload: Vec<u8>,
}

impl Message {
    pub(super) fn new(envelope: &Envelope<'_>, id: &str, from: &str, session_id: Option<&str>) -> Self {
        Self {
            id: id.to_owned(),
            kind: envelope.kind.to_owned(),
            priority: envelope.priority,
            session_id: session_id.map(str::to_owned),
            from: from.to_owned(),
            key: envelope.key.map(str::to_owned),
            reply_to: envelope.reply_to.map(str::to_owned),
            meta: envelope.meta.map(<[u8]>::to_vec),
            payload: envelope.payload.unwrap_or(b"{}").to_vec(),
        }
    }

    /// Reads the payload as a type of your own.
    ///
    /// # Errors
    /// When the payload is not such a value.
    pub fn payload_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.payload)
    }
}

/// What a message made by [`Handle::create_message`] has besides its type and payload.
#[derive(Clone, Debug, Default)]
pub struct MessageOptions {
    /// Its id; a UUIDv7 if there is none.
    pub id: Option<String>,
    /// The session it is for; `broadcast_to_session` says it, too.
    pub session_id: Option<String>,
    /// How urgent it is.
    pub priority: Priority,
    /// What it replaces; an operation's `operationId` if there is none.
    pub key: Option<String>,
    /// What it answers.
    pub reply_to: Option<String>,
    /// How long it is worth anything, at most `WEBSOCKET_MESSAGE_EXPIRY_TIME`; for ever if there is none.
    pub expires_in: Option<Duration>,
    /// Whether it is held and sent again to each receiver that confirms messages, until that has confirmed it.
    pub reliable: bool,
}

/// What a handler can do besides its own work. It is valid while the handler runs.
pub struct Context<'a> {
    pub(super) handle: &'a Handle,
    pub(super) job: u64,
    pub(super) message: &'a Message,
}

impl Context<'_> {
    /// Answers the sender with a message of type `kind` whose `replyTo` is the handled message's id.
    ///
    /// # Errors
    /// `reserved_type`, or `bad_message` for a type or payload that cannot be sent.
    pub fn reply(&self, kind: &str, payload: &impl Serialize) -> Result<(), ProtocolError> {
        let options = MessageOptions {
            priority: self.message.priority,
            reply_to: Some(self.message.id.clone()),
            ..MessageOptions::default()
        };
        let message = self.handle.create_message(kind, payload, options)?;
        // A server that has stopped has nobody left to answer.
        let _ = self.handle.send(Command::Reply { job: self.job, message });
        Ok(())
    }

    /// Publishes the handled message as if there were no handler: to its session, or to whom it was addressed.
    pub fn relay(&self) -> Receipt {
        let (receipt, sender) = Receipt::pair();
        if let Err(Closed) = self.handle.send(Command::Relay { job: self.job, receipt: sender }) {
            log::debug!("relay after the server stopped");
        }
        receipt
    }

    /// The server's handle, to publish anything else.
    pub fn handle(&self) -> &Handle {
        self.handle
    }
}
