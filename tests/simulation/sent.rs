//! What a sender asks for its message, and the message as it is written.

use serde_json::{Value, json};

use super::truth::{Sent, Target};

/// What a sender wants to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Nothing,
    /// That it was published.
    Published,
    /// That, and how its receivers have confirmed it.
    Delivered,
}

impl Sent {
    /// Whether it is sent again to receivers that confirm, until they have.
    pub fn is_reliable(&self) -> bool {
        self.reliable || self.wish == Wish::Delivered
    }

    /// Whether the server knows it again, at whatever door it came.
    pub fn is_remembered(&self) -> bool {
        self.is_reliable() || self.wish != Wish::Nothing || self.is_posted
    }

    /// Whether the server may hold it back, and publish a newer one in its place.
    pub fn is_debounced(&self) -> bool {
        self.key.is_some() && !self.is_reliable() && matches!(self.kind, "operation_progress" | "selection_update")
    }

    /// Among which of its user's ids its own counts: those for one session, or those with `to`.
    pub fn scope(&self) -> &str {
        match &self.target {
            Target::Session(name) if !name.starts_with('@') => name,
            Target::Session(_) | Target::Connection(_) => "",
        }
    }

    /// The message with this number as its author writes it.
    pub fn envelope(&self, number: usize) -> Value {
        let mut envelope = json!({ "id": self.id, "type": self.kind, "priority": self.priority.name() });
        match &self.target {
            Target::Session(name) => match name.strip_prefix('@') {
                Some(user) => envelope["to"] = json!({ "userId": user }),
                None => envelope["sessionId"] = name.as_str().into(),
            },
            Target::Connection(id) => envelope["to"] = json!({ "connectionId": id }),
        }
        match self.wish {
            Wish::Nothing => {}
            Wish::Published => envelope["ack"] = true.into(),
            Wish::Delivered => envelope["ack"] = "delivered".into(),
        }
        if self.reliable {
            envelope["reliable"] = true.into();
        }
        if !self.echo {
            envelope["echo"] = false.into();
        }
        if let Some(key) = self.key {
            envelope["key"] = key.into();
        }
        if let Some(time_ms) = self.expires_in_ms {
            envelope["expiresIn"] = time_ms.into();
        }
        envelope["payload"] = json!({ "n": number, "pad": "x".repeat(self.padding) });
        envelope
    }
}
