//! Messages of WebSocket rows: the system's own are answered here, the application's go on to `handlers::submit`.

use super::Core;
use super::ending::Ending;
use crate::auth::Principal;
use crate::config::limits::{
    BAD_MESSAGE_WINDOW_MS, BAD_MESSAGES_MAX, BYTES_PER_WORK, WORK_PER_MESSAGE, WORK_PER_POSITION,
};
use crate::delivery::{Answer, Author, Resumed};
use crate::handlers::{Outcome, Sender};
use crate::message::decode::{DecodeError, Shape};
use crate::message::encode::{write_json_string, write_number};
use crate::message::system::{Join, parse_ack, parse_join};
use crate::message::timestamp::format_timestamp;
use crate::message::{Close, Decoder, Envelope, ErrorCode, MessageType, ProtocolError};
use crate::tables::{SessionId, State};
use crate::wire::websocket::Violation;

pub(super) const TOO_MANY_SESSIONS: ProtocolError =
    ProtocolError::with_message(ErrorCode::Forbidden, "The connection is in as many sessions as it may be.");

impl Core {
    /// Takes a text message of a message connection.
    pub(super) fn take_message(&mut self, slot: u32, text: &[u8], decoder: &mut Decoder) {
        self.metrics.messages_in += 1;
        self.delivery.work += WORK_PER_MESSAGE + text.len() / BYTES_PER_WORK;
        let (error, reply_to) = match decoder.decode(text, Shape { id_required: true }) {
            Ok(envelope) => match self.take_envelope(slot, &envelope) {
                Ok(()) => return,
                Err(error) => (error, envelope.id.map(str::to_owned)),
            },
            Err(DecodeError::InvalidUtf8) => return self.end(slot, Ending::Violation(Violation::InvalidUtf8)),
            Err(DecodeError::Rejected { error, reply_to }) => (error, reply_to),
        };
        self.delivery.send_error(slot, reply_to.as_deref(), &error);
        self.count_bad_message(slot, error.code);
    }

    fn take_envelope(&mut self, slot: u32, envelope: &Envelope<'_>) -> Result<(), ProtocolError> {
        let is_open = self.delivery.tables.connections.state(slot) == State::Open;
        match envelope.kind {
            MessageType::AUTHENTICATION if is_open => self.authenticate_again(slot, envelope),
            MessageType::AUTHENTICATION => self.authenticate(slot, envelope),
            _ if !is_open => Err(ErrorCode::AuthenticationRequired.into()),
            MessageType::HEARTBEAT => {
                self.answer_heartbeat(slot, envelope);
                Ok(())
            }
            MessageType::JOIN => self.join(slot, envelope),
            MessageType::LEAVE => self.leave(slot, envelope),
            MessageType::ACK => {
                let ids = parse_ack(envelope.payload.unwrap_or_default())?;
                self.delivery.totals.ignored_acks += self.delivery.confirm(slot, &ids);
                Ok(())
            }
            _ => self.submit(slot, envelope),
        }
    }

    /// Malformed messages are answered, but not without end.
    fn count_bad_message(&mut self, slot: u32, code: ErrorCode) {
        let is_counted = matches!(
            code,
            ErrorCode::BadMessage | ErrorCode::TooDeep | ErrorCode::AuthenticationRequired | ErrorCode::InvalidToken
        );
        if !is_counted {
            return;
        }
        let now_ms = self.now_ms();
        let profile = self.delivery.tables.connections.profile_mut(slot);
        if now_ms.saturating_sub(profile.bad_since_ms) > BAD_MESSAGE_WINDOW_MS {
            (profile.bad_messages, profile.bad_since_ms) = (0, now_ms);
        }
        profile.bad_messages += 1;
        if profile.bad_messages > BAD_MESSAGES_MAX {
            self.end(slot, Ending::Close(Close::TOO_MANY_ERRORS));
        }
    }

    fn submit(&mut self, slot: u32, envelope: &Envelope<'_>) -> Result<(), ProtocolError> {
        let connections = &self.delivery.tables.connections;
        let profile = connections.profile(slot);
        let is_service = profile.is_service;
        if !self.is_within_ticket(slot, envelope) {
            return Err(ErrorCode::SessionForbidden.into());
        }
        let mailbox = connections.id(slot);
        let author = profile.personal.map_or(Author::Server, Author::Personal); // an open row has one
        let sender = Sender { author, is_service, row: Some(slot), mailbox, is_request_with_id: false, content: None };
        let id = envelope.id.unwrap_or_default(); // ok because a WebSocket envelope has an id
        match self.handlers.submit(&mut self.delivery, &*self.policy, &sender, envelope, id)? {
            Outcome::Published(published) => self.delivery.answer_published(slot, id, envelope.ack, published, None),
            Outcome::Repeated(published, known) => {
                self.delivery.answer_published(slot, id, envelope.ack, published, known);
            }
            Outcome::Handled => {}
        }
        Ok(())
    }

    /// Whether the ticket that the connection was opened with, if it was, lets it publish there.
    fn is_within_ticket(&self, slot: u32, envelope: &Envelope<'_>) -> bool {
        let session_id = envelope.session_id.filter(|_| envelope.to.is_none());
        session_id.is_none_or(|name| self.delivery.tables.tickets.allows(slot, name))
    }

    pub(super) fn user_id(&self, slot: u32) -> String {
        let tables = &self.delivery.tables;
        let personal = tables.connections.profile(slot).personal;
        personal.and_then(|id| tables.sessions.user_of(id)).unwrap_or_default().to_owned()
    }

    /// The largest message of a user or a service, in bytes.
    pub(super) const fn message_bytes_max(&self, is_service: bool) -> u32 {
        if is_service { self.config.max_service_message_bytes } else { self.config.max_message_bytes }
    }

    /// A probe is answered; an answer is not.
    fn answer_heartbeat(&mut self, slot: u32, envelope: &Envelope<'_>) {
        if envelope.reply_to.is_some() {
            return;
        }
        let mut payload = b"{\"serverTime\":\"".to_vec();
        payload.extend_from_slice(&format_timestamp(self.delivery.now.unix_ms));
        payload.extend_from_slice(b"\"}");
        let answer =
            Answer { kind: MessageType::HEARTBEAT, reply_to: envelope.id, session_id: None, payload: &payload };
        self.delivery.answer(slot, &answer);
    }

    fn join(&mut self, slot: u32, envelope: &Envelope<'_>) -> Result<(), ProtocolError> {
        let Join { session_id: name, resume } = parse_join(envelope.payload.unwrap_or_default())?;
        let sessions = &self.delivery.tables.sessions;
        let was_in = sessions.find(&name).is_some_and(|id| sessions.is_member(slot, id));
        let id = self.join_session(slot, &name)?;
        self.delivery.pay_gaps(slot);
        let resumed = resume.map(|claim| {
            self.delivery.work += WORK_PER_POSITION;
            self.delivery.resume(slot, id, &claim)
        });
        let position = match resumed {
            Some(resumed) => resumed.seq,
            None if was_in => self.stand(slot, id),
            None => self.delivery.tables.sessions.head(id),
        };
        self.answer_membership(slot, MessageType::JOIN, envelope.id, id, position, resumed);
        if let Some(loss) = resumed.and_then(|resumed| resumed.loss) {
            self.delivery.send_gap(slot, &name, loss.range, loss.reason);
        }
        Ok(())
    }

    /// Where a row stands in a session that it is in, once its gaps are told. This may be behind what has overtaken, so it is told
    /// its position again later.
    pub(super) fn stand(&mut self, slot: u32, id: SessionId) -> u64 {
        self.delivery.work += WORK_PER_POSITION;
        let tables = &mut self.delivery.tables;
        let head = tables.sessions.head(id);
        let seq = tables.outputs.position(slot, id, head, &tables.messages);
        if seq < head {
            tables.outputs.owe_position(slot, id);
        }
        seq
    }

    /// Puts a row into a session, if its user may.
    pub(super) fn join_session(&mut self, slot: u32, name: &str) -> Result<SessionId, ProtocolError> {
        let is_service = self.delivery.tables.connections.profile(slot).is_service;
        let user_id = self.user_id(slot);
        let is_open = self.delivery.tables.tickets.allows(slot, name);
        if !is_open || !self.policy.may_join(Principal { user_id: &user_id, is_service }, name) {
            return Err(ErrorCode::SessionForbidden.into());
        }
        let sessions = &self.delivery.tables.sessions;
        let joined = sessions.find(name).is_some_and(|id| sessions.is_member(slot, id));
        if !joined && sessions.count_of(slot) > self.config.sessions_per_connection {
            return Err(TOO_MANY_SESSIONS); // the personal session is one of those counted
        }
        let id = self.delivery.open_session(name)?;
        self.delivery.tables.sessions.join(slot, id);
        Ok(id)
    }

    fn leave(&mut self, slot: u32, envelope: &Envelope<'_>) -> Result<(), ProtocolError> {
        const NOT_JOINED: ProtocolError =
            ProtocolError::with_message(ErrorCode::NotFound, "The connection is not in this session.");
        let name = parse_join(envelope.payload.unwrap_or_default())?.session_id;
        let now_ms = self.now_ms();
        let tables = &mut self.delivery.tables;
        let id = tables.sessions.find(&name).ok_or(NOT_JOINED)?;
        if !tables.sessions.leave(slot, id, now_ms) {
            return Err(NOT_JOINED);
        }
        self.delivery.pay_gaps(slot);
        let tables = &mut self.delivery.tables;
        tables.outputs.forget_session(slot, id, &mut tables.messages);
        self.delivery.abandon_session(slot, id);
        let head = self.delivery.tables.sessions.head(id);
        self.answer_membership(slot, MessageType::LEAVE, envelope.id, id, head, None);
        Ok(())
    }

    fn answer_membership(
        &mut self,
        slot: u32,
        kind: &str,
        reply_to: Option<&str>,
        id: SessionId,
        seq: u64,
        resumed: Option<Resumed>,
    ) {
        let mut payload = Vec::with_capacity(96);
        self.write_position(&mut payload, id, seq, resumed.map(|resumed| resumed.loss.is_none()));
        let name = self.delivery.tables.sessions.name(id).to_owned();
        self.delivery.answer(slot, &Answer { kind, reply_to, session_id: Some(&name), payload: &payload });
    }

    /// Writes `{"sessionId":…,"epoch":…,"seq":…}`, and whether a resume was possible if one was asked for.
    pub(super) fn write_position(&self, out: &mut Vec<u8>, id: SessionId, seq: u64, recovered: Option<bool>) {
        let sessions = &self.delivery.tables.sessions;
        out.extend_from_slice(b"{\"sessionId\":");
        write_json_string(out, sessions.name(id));
        out.extend_from_slice(b",\"epoch\":");
        write_json_string(out, &sessions.epoch(id));
        out.extend_from_slice(b",\"seq\":");
        write_number(out, seq);
        match recovered {
            Some(true) => out.extend_from_slice(b",\"recovered\":true"),
            Some(false) => out.extend_from_slice(b",\"recovered\":false"),
            None => {}
        }
        out.push(b'}');
    }

    /// Tells a client where it stands in the sessions it is owed that of, all that went before being written or queued.
    /// What it has lost up to there is told first.
    pub(super) fn tell_positions(&mut self, slot: u32) {
        self.delivery.pay_gaps(slot);
        let now_ms = self.now_ms();
        for (id, settled_by) in self.delivery.tables.outputs.take_positions(slot, now_ms) {
            let tables = &mut self.delivery.tables;
            if !tables.sessions.is_member(slot, id) {
                continue; // it has left, or the session is gone
            }
            let head = tables.sessions.head(id);
            let seq = tables.outputs.position(slot, id, head, &tables.messages);
            // What did not arrive may lie behind what is still queued: then this position does not help the client over it.
            let settled_by = if settled_by == 0 { head } else { settled_by };
            if seq < settled_by {
                tables.outputs.owe_position_still(slot, id, settled_by);
            }
            let mut payload = b"{\"sessionId\":".to_vec();
            write_json_string(&mut payload, tables.sessions.name(id));
            payload.extend_from_slice(b",\"seq\":");
            write_number(&mut payload, seq);
            payload.push(b'}');
            self.send_plain(slot, MessageType::POSITION, &payload);
        }
        if self.delivery.tables.outputs.position_due_ms(slot).is_some() {
            self.arm(slot);
        }
    }

    /// Sends a system message that answers nothing.
    pub(super) fn send_plain(&mut self, slot: u32, kind: &str, payload: &[u8]) {
        self.delivery.answer(slot, &Answer { kind, reply_to: None, session_id: None, payload });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::bench::Bench;

    #[test]
    fn a_join_that_looks_for_a_position_is_charged_for_it() {
        let mut bench = Bench::new(0);
        let core = &mut bench.reactor.core;
        let mut work_of = |payload: &str| {
            let before = core.delivery.work;
            let text = format!(r#"{{"id":"j","type":"hashi:join","payload":{payload}}}"#);
            core.take_message(0, text.as_bytes(), &mut Decoder::default());
            core.delivery.work - before - text.len() / BYTES_PER_WORK
        };
        let plain = work_of(r#"{"sessionId":"new"}"#);
        assert_eq!(work_of(r#"{"sessionId":"new"}"#), plain + WORK_PER_POSITION, "it is in that already");
        let claim = r#"{"sessionId":"newer","resume":{"epoch":"5030e1b89c1d343b","seq":0}}"#;
        assert_eq!(work_of(claim), plain + WORK_PER_POSITION + 1, "and a gap is queued");
    }
}
