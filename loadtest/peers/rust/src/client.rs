//! What one connection does with the messages of its client; no sockets.

use tokio::sync::mpsc::UnboundedSender;

use crate::envelope::{self, Authentication, Envelope};
use crate::sessions::Sessions;

/// A connection, as the others see it. It leaves its session on drop.
#[derive(Debug)]
pub struct Client<T: Clone> {
    sessions: Sessions<T>,
    outbox: UnboundedSender<T>,
    identity: Option<Identity>,
    /// Makes a text message of the library.
    text: fn(String) -> T,
}

#[derive(Debug)]
struct Identity {
    user: String,
    session: String,
    echo: bool,
}

impl<T: Clone> Client<T> {
    /// What is put into `outbox` is sent to the client.
    pub fn new(sessions: Sessions<T>, outbox: UnboundedSender<T>, text: fn(String) -> T) -> Self {
        Self { sessions, outbox, identity: None, text }
    }

    /// Takes a message, or what was wrong with its JSON.
    pub fn take(&mut self, parsed: serde_json::Result<Envelope>) {
        match parsed {
            Err(error) => self.refuse("bad_message", &error.to_string(), None),
            Ok(message) => match (message.wrong_member(), &self.identity) {
                (Some(member), _) => self.refuse("bad_message", member, Some(&message.id)),
                (None, _) if message.kind == "authentication" => self.authenticate(&message),
                (None, Some(identity)) => self.publish(&message, identity),
                (None, None) => self.refuse("authentication_required", "Authenticate first.", Some(&message.id)),
            },
        }
    }

    fn authenticate(&mut self, message: &Envelope) {
        match identity(message) {
            Some(identity) => {
                self.leave();
                self.sessions.join(&identity.session, &self.outbox);
                self.answer(envelope::welcome(&message.id, &identity.user, &identity.session));
                self.identity = Some(identity);
            }
            None => self.refuse("bad_message", "payload", Some(&message.id)),
        }
    }

    fn publish(&self, message: &Envelope, from: &Identity) {
        let session = message.session.as_deref().unwrap_or(&from.session);
        let excluded = (!message.echo.unwrap_or(from.echo)).then_some(&self.outbox);
        self.sessions.publish(session, excluded, |seq| (self.text)(message.relayed(session, seq, &from.user)));
    }

    fn refuse(&self, code: &str, message: &str, reply_to: Option<&str>) {
        self.answer(envelope::error(code, message, reply_to));
    }

    fn answer(&self, message: String) {
        // A connection that is ending sends nothing more.
        let _ = self.outbox.send((self.text)(message));
    }

    fn leave(&mut self) {
        if let Some(identity) = self.identity.take() {
            self.sessions.leave(&identity.session, &self.outbox);
        }
    }
}

impl<T: Clone> Drop for Client<T> {
    fn drop(&mut self) {
        self.leave();
    }
}

fn identity(message: &Envelope) -> Option<Identity> {
    let payload: Authentication = serde_json::from_str(message.payload.get()).ok()?;
    let session = payload.session.or_else(|| message.session.clone())?;
    let is_allowed = envelope::is_user(&payload.token) && envelope::is_session(&session);
    is_allowed.then_some(Identity { user: payload.token, session, echo: payload.echo })
}
