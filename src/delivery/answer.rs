//! What the server itself has to say to one connection: answers, errors, gaps, and bytes that are no message.
//!
//! In: a row and what to tell it. Out: an entry in its `high` ring. Short messages of the server are queued even where the memory
//! is used up; what reads requests sees to it that they do not pile up.

use super::publish::{encode, store_evicting};
use super::{Delivery, OVERLOADED};
use crate::config::limits::MEMORY_SHARE_DIVISOR;
use crate::message::{MessageType, Outgoing, Priority, ProtocolError};
use crate::tables::messages::Description;
use crate::tables::{MessageId, Published, SessionId};
use crate::wire::websocket::{SERVER_HEADER_BYTES_MAX, prepend_text_header};

/// Bytes that are no message: they go first and their latency is not measured.
const RAW: Description = Description::plain(Priority::High, 0);

/// An answer of the server to one connection.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// A system type.
    pub kind: &'a str,
    /// The message it answers.
    pub reply_to: Option<&'a str>,
    /// The session it speaks of.
    pub session_id: Option<&'a str>,
    /// A JSON object.
    pub payload: &'a [u8],
}

impl Delivery {
    /// Answers one connection.
    pub fn answer(&mut self, slot: u32, answer: &Answer<'_>) {
        self.encode_answer(answer);
        let message = self.store_system();
        self.push_stored(slot, Priority::High, message);
    }

    /// Answers with an error.
    pub fn send_error(&mut self, slot: u32, reply_to: Option<&str>, error: &ProtocolError) {
        self.totals.errors[error.code as usize] += 1;
        let payload = error.to_payload();
        self.answer(slot, &Answer { kind: MessageType::ERROR, reply_to, session_id: None, payload: &payload });
    }

    /// Tells a sender what became of its message.
    pub fn send_ack(&mut self, slot: u32, id: &str, published: Published) {
        self.send_result(slot, id, |out| published.write(out, id));
    }

    /// Sends an `ack` with one result.
    pub(super) fn send_result(&mut self, slot: u32, id: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.send_results(slot, Some(id), write);
    }

    /// Sends an `ack` with what `write` writes: results that are separated by commas.
    pub(super) fn send_results(&mut self, slot: u32, reply_to: Option<&str>, write: impl FnOnce(&mut Vec<u8>)) {
        let mut payload = Vec::with_capacity(96);
        payload.extend_from_slice(b"{\"results\":[");
        write(&mut payload);
        payload.extend_from_slice(b"]}");
        self.answer(slot, &Answer { kind: MessageType::ACK, reply_to, session_id: None, payload: &payload });
    }

    /// The text of an answer that is not queued as a message.
    pub fn answer_text(&mut self, answer: &Answer<'_>) -> Vec<u8> {
        self.encode_answer(answer);
        self.scratch[SERVER_HEADER_BYTES_MAX..].to_vec()
    }

    fn encode_answer(&mut self, answer: &Answer<'_>) {
        let (id, timestamp) = (self.new_id(), self.timestamp());
        let outgoing = Outgoing {
            id: &id,
            kind: answer.kind,
            timestamp: &timestamp,
            priority: Priority::High,
            session_id: answer.session_id,
            seq: None,
            from: None,
            key: None,
            ack: false,
            reply_to: answer.reply_to,
            meta: None,
            payload: answer.payload,
        };
        encode(&mut self.scratch, &outgoing);
    }

    /// Queues bytes as they are: a control frame or an HTTP response.
    pub fn push_raw(&mut self, slot: u32, bytes: &[u8]) {
        let message = self.tables.messages.store_small(bytes, RAW);
        self.tables.outputs.push(slot, Priority::High, message, bytes.len() as u32);
    }

    /// Queues bytes that may be many: an echo, or a large HTTP response. They may take half of the memory, so that clients
    /// that do not read them cannot stop all messages.
    ///
    /// # Errors
    /// `overloaded` when the memory for messages is used up.
    pub fn push_large(&mut self, slot: u32, frame: &[u8]) -> Result<(), ProtocolError> {
        if self.used_bytes() + frame.len() > self.tables.messages.bytes_max() / MEMORY_SHARE_DIVISOR {
            return Err(OVERLOADED);
        }
        let message = self.tables.messages.store_small(frame, RAW);
        self.tables.outputs.push(slot, Priority::High, message, frame.len() as u32);
        Ok(())
    }

    /// Encodes a gap and puts it where it is told in time.
    pub fn push_gap(&mut self, slot: u32, session: Option<SessionId>, payload: &[u8]) {
        self.encode_answer(&Answer { kind: MessageType::GAP, reply_to: None, session_id: None, payload });
        let message = self.store_system();
        self.tables.outputs.push_gap(slot, session, message, &self.tables.messages);
    }

    /// Stores an encoded system message, also at the memory limit.
    fn store_system(&mut self) -> MessageId {
        let frame = prepend_text_header(&mut self.scratch);
        self.tables.messages.store_small(&self.scratch[frame], self.plain(Priority::High))
    }

    /// Stores what a socket did not take of a text that was made when it was written.
    ///
    /// # Errors
    /// `overloaded` when the memory for messages is used up.
    pub fn store_text(&mut self, text: &[u8]) -> Result<MessageId, ProtocolError> {
        let elsewhere = self.bytes_elsewhere();
        store_evicting(&mut self.tables, text, RAW, elsewhere)
    }
}
