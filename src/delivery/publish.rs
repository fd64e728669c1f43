//! Publishing: making messages and putting them into rings. Every door ends here: WebSocket, REST, handlers and `Handle`.

use super::{Delivery, OVERLOADED};
use crate::config::limits::{EVICTIONS_PER_MESSAGE, SCRATCH_BYTES_KEPT};
use crate::message::timestamp::TIMESTAMP_BYTES;
use crate::message::{Guarantee, Outgoing, Priority, ProtocolError};
use crate::tables::connections::key_of;
use crate::tables::messages::{Description, Place};
use crate::tables::{MessageId, Published, SessionId, Sessions, Tables};
use crate::wire::websocket::{SERVER_HEADER_BYTES_MAX, prepend_text_header};

/// Who sends a message.
#[derive(Clone, Copy, Debug)]
pub enum Author<'a> {
    /// The server, or a service inside it.
    Server,
    /// A user by id.
    User(&'a str),
    /// A user by personal session.
    Personal(SessionId),
}

impl<'a> Author<'a> {
    /// The user's id; the server has none.
    pub fn user_id<'s>(self, sessions: &'s Sessions) -> Option<&'s str>
    where
        'a: 's,
    {
        match self {
            Author::Server => None,
            Author::User(user_id) => Some(user_id),
            Author::Personal(session) => sessions.user_of(session),
        }
    }
}

/// A message on its way to a session or a connection. All of it was checked.
#[derive(Clone, Copy, Debug)]
pub struct Publication<'a> {
    /// 1 to 128 bytes.
    pub id: &'a str,
    /// Its type.
    pub kind: &'a str,
    /// Its ring.
    pub priority: Priority,
    /// Who sends it.
    pub from: Author<'a>,
    /// What it replaces.
    pub key: Option<&'a str>,
    /// What it answers.
    pub reply_to: Option<&'a str>,
    /// A flat JSON object.
    pub meta: Option<&'a [u8]>,
    /// How long it is worth anything.
    pub expires_in_ms: Option<u64>,
    /// How far the server goes for it.
    pub guarantee: Guarantee,
    /// Any JSON.
    pub payload: &'a [u8],
}

impl Publication<'_> {
    /// Whether its receivers are asked to confirm it.
    pub fn is_reliable(&self) -> bool {
        self.guarantee > Guarantee::Once
    }
}

#[cfg(test)]
impl<'a> Publication<'a> {
    /// The server's message with nothing that is optional.
    pub(crate) const fn plain(priority: Priority, payload: &'a [u8]) -> Self {
        Self {
            id: "m",
            kind: "t",
            priority,
            from: Author::Server,
            key: None,
            reply_to: None,
            meta: None,
            expires_in_ms: None,
            guarantee: Guarantee::Once,
            payload,
        }
    }
}

/// Who does not get a publication: its sender's connection, where `echo` is false.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Exclusion {
    /// The row.
    pub(super) row: Option<u32>,
    /// The [key](crate::tables::connections::key_of) of the connection, zero for none.
    pub(super) hidden_from: u64,
}

impl Delivery {
    /// Publishes to a session, to every member but `exclude`; what must not come too often is held back first.
    ///
    /// # Errors
    /// `overloaded` when the memory for messages, or for those that wait to be confirmed, is used up; no position is taken
    /// then.
    pub fn publish(
        &mut self,
        session: SessionId,
        exclude: Option<u32>,
        publication: &Publication<'_>,
    ) -> Result<Published, ProtocolError> {
        let hidden_from = exclude.map_or(0, |slot| key_of(self.tables.connections.profile(slot).connection_id));
        let exclusion = Exclusion { row: exclude, hidden_from };
        if let Some(key) = publication.key
            && self.debounce(session, exclusion, publication, key)
        {
            return Ok(Published { seq: None, matched: self.matched(session, exclude), ..Published::default() });
        }
        self.publish_now(session, exclusion, publication)
    }

    /// Takes the next position, encodes once, pushes to every member that is not excluded.
    pub(super) fn publish_now(
        &mut self,
        session: SessionId,
        exclusion: Exclusion,
        publication: &Publication<'_>,
    ) -> Result<Published, ProtocolError> {
        let Exclusion { row: exclude, hidden_from } = exclusion;
        let matched = self.matched(session, exclude);
        self.check_room_to_hold(publication, matched)?;
        let seq = self.tables.sessions.head(session) + 1;
        let id = self.store_session_message(session, seq, publication, hidden_from)?;
        self.tables.sessions.advance(session, self.now.ms());
        self.push_to_members(session, exclude, id, publication.priority);
        self.tables.history.append(id, &mut self.tables.messages);
        self.tables.polls.wake(session);
        self.end_replaced(id);
        let outcome =
            publication.is_reliable().then(|| self.hold_for_members(session, exclude, id, publication)).flatten();
        self.work += matched as usize;
        self.totals.published += 1;
        self.totals.queued += u64::from(matched);
        Ok(Published { seq: Some(seq), matched, queued: matched, outcome })
    }

    /// Members without the excluded one.
    fn matched(&self, session: SessionId, exclude: Option<u32>) -> u32 {
        let sessions = &self.tables.sessions;
        let excluded = exclude.is_some_and(|slot| sessions.is_member(slot, session));
        sessions.members(session).len() as u32 - u32::from(excluded)
    }

    fn store_session_message(
        &mut self,
        session: SessionId,
        seq: u64,
        publication: &Publication<'_>,
        hidden_from: u64,
    ) -> Result<MessageId, ProtocolError> {
        let sessions = &self.tables.sessions;
        let topic = publication.key.map(|key| sessions.topic(session, publication.kind, key));
        let timestamp = *self.text.get(self.now.unix_ms);
        let session_id = Some(sessions.name(session));
        let from = publication.from.user_id(sessions);
        encode(&mut self.scratch, &outgoing(publication, from, &timestamp, session_id, Some(seq)));
        let description = Description {
            priority: publication.priority,
            place: Some(Place { session, seq }),
            topic,
            published_ns: self.now.ns,
            hidden_from,
            expires_ns: self.expires_ns(publication.expires_in_ms),
            label: self.label_of(publication),
        };
        self.store_scratch(description)
    }

    /// Pushes to every member but `exclude`. A member that is behind will get it from history.
    fn push_to_members(&mut self, session: SessionId, exclude: Option<u32>, id: MessageId, priority: Priority) {
        let tables = &mut self.tables;
        let bytes = tables.messages.frame(id).len() as u32;
        let mut pushed = 0;
        for &slot in tables.sessions.members(session) {
            if Some(slot) == exclude {
                tables.outputs.owe_position(slot, session);
            } else {
                pushed += u32::from(tables.outputs.push_of_session(slot, session, priority, id, bytes));
            }
        }
        tables.messages.retain(id, pushed);
    }

    /// Sends to one connection, without a sequence.
    ///
    /// # Errors
    /// `overloaded` as for [`Delivery::publish`].
    pub fn send_direct(&mut self, slot: u32, publication: &Publication<'_>) -> Result<Published, ProtocolError> {
        self.check_room_to_hold(publication, 1)?;
        let timestamp = self.timestamp();
        let from = publication.from.user_id(&self.tables.sessions);
        encode(&mut self.scratch, &outgoing(publication, from, &timestamp, None, None));
        let expires_ns = self.expires_ns(publication.expires_in_ms);
        let label = self.label_of(publication);
        let message = self.store_scratch(Description { expires_ns, label, ..self.plain(publication.priority) })?;
        self.tables.messages.address(message, slot);
        self.push_stored(slot, publication.priority, message);
        let outcome = publication.is_reliable().then(|| self.hold_for(&[slot], message, publication)).flatten();
        Ok(Published { seq: None, matched: 1, queued: 1, outcome })
    }

    pub(super) fn plain(&self, priority: Priority) -> Description {
        Description::plain(priority, self.now.ns)
    }

    pub(super) fn push_stored(&mut self, slot: u32, priority: Priority, message: MessageId) {
        let bytes = self.tables.messages.frame(message).len() as u32;
        self.tables.outputs.push(slot, priority, message, bytes);
        self.work += 1;
        self.totals.queued += 1;
    }

    /// Stores what was encoded last, as a WebSocket text frame.
    fn store_scratch(&mut self, description: Description) -> Result<MessageId, ProtocolError> {
        let frame = prepend_text_header(&mut self.scratch);
        let elsewhere = self.bytes_elsewhere();
        let stored = store_evicting(&mut self.tables, &self.scratch[frame], description, elsewhere);
        if self.scratch.capacity() > SCRATCH_BYTES_KEPT {
            self.scratch = Vec::new();
        }
        stored
    }
}

/// Stores `bytes`. What is kept for clients that may come back gives way to what is new.
pub(super) fn store_evicting(
    tables: &mut Tables,
    bytes: &[u8],
    description: Description,
    elsewhere: usize,
) -> Result<MessageId, ProtocolError> {
    let mut stored = tables.messages.store(bytes, description, elsewhere);
    for _ in 0..EVICTIONS_PER_MESSAGE {
        if stored.is_ok() || !tables.history.evict_oldest(&mut tables.messages) {
            break;
        }
        stored = tables.messages.store(bytes, description, elsewhere);
    }
    stored.map_err(|_| OVERLOADED)
}

/// Encodes behind room for a frame header.
pub(super) fn encode(scratch: &mut Vec<u8>, outgoing: &Outgoing<'_>) {
    scratch.clear();
    scratch.resize(SERVER_HEADER_BYTES_MAX, 0);
    outgoing.encode(scratch);
}

fn outgoing<'a>(
    publication: &Publication<'a>,
    from: Option<&'a str>,
    timestamp: &'a [u8; TIMESTAMP_BYTES],
    session_id: Option<&'a str>,
    seq: Option<u64>,
) -> Outgoing<'a> {
    Outgoing {
        id: publication.id,
        kind: publication.kind,
        timestamp,
        priority: publication.priority,
        session_id,
        seq,
        from,
        key: publication.key,
        ack: publication.is_reliable(),
        reply_to: publication.reply_to,
        meta: publication.meta,
        payload: publication.payload,
    }
}
