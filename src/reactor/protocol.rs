//! Messages of WebSocket rows: the system's own are answered here, the application's go on to `handlers::submit`.

use super::Core;
use crate::auth::{Identity, Principal};
use crate::config::limits::{
    BAD_MESSAGE_WINDOW_MS, BAD_MESSAGES_MAX, BYTES_PER_WORK, RECONNECT_MAX_MS, RECONNECT_MIN_MS, WORK_PER_MESSAGE,
};
use crate::delivery::{Answer, Author, OVERLOADED};
use crate::handlers::{Outcome, Sender};
use crate::message::decode::{DecodeError, Shape};
use crate::message::encode::{write_json_string, write_number};
use crate::message::system::{Authentication, FEATURE_HEARTBEAT, Features, parse_authentication, parse_session};
use crate::message::timestamp::format_timestamp;
use crate::message::{Close, Decoder, Envelope, ErrorCode, MessageType, ProtocolError};
use crate::tables::connections::NEVER;
use crate::tables::sessions::PERSONAL_PREFIX;
use crate::tables::{SessionId, State};
use crate::wire::websocket::Violation;

/// The version of the protocol that a welcome names.
const PROTOCOL_VERSION: u64 = 1;

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
            Err(DecodeError::InvalidUtf8) => return self.fail(slot, Violation::InvalidUtf8),
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
                self.metrics.ignored_acks += 1; // no receiver is asked to confirm by this version
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
            self.close(slot, Close::TOO_MANY_ERRORS);
        }
    }

    fn submit(&mut self, slot: u32, envelope: &Envelope<'_>) -> Result<(), ProtocolError> {
        let connections = &self.delivery.tables.connections;
        let profile = connections.profile(slot);
        let is_service = profile.is_service;
        let mailbox = connections.id(slot);
        let author = profile.personal.map_or(Author::Server, Author::Personal); // an open row has one
        let sender = Sender { author, is_service, row: Some(slot), mailbox };
        let id = envelope.id.unwrap_or_default(); // ok because a WebSocket envelope has an id
        match self.handlers.submit(&mut self.delivery, &*self.policy, &sender, envelope, id)? {
            Outcome::Published(published) if envelope.ack => self.delivery.send_ack(slot, id, published),
            Outcome::Published(_) | Outcome::Handled => {}
        }
        Ok(())
    }

    fn user_id(&self, slot: u32) -> String {
        let tables = &self.delivery.tables;
        let personal = tables.connections.profile(slot).personal;
        personal.and_then(|id| tables.sessions.user_of(id)).unwrap_or_default().to_owned()
    }

    fn authenticate(&mut self, slot: u32, envelope: &Envelope<'_>) -> Result<(), ProtocolError> {
        let request = parse_request(envelope)?;
        match self.admit_user(slot, &request) {
            Ok(session) => {
                self.metrics.authenticated += 1;
                self.welcome(slot, envelope.id, session);
            }
            Err(error) => {
                self.metrics.authentication_failures += 1;
                self.delivery.totals.errors[error.code as usize] += 1;
                self.send_failure(slot, envelope.id, &error);
                self.finish(slot, Close::of_authentication(error.code));
            }
        }
        Ok(())
    }

    /// Checks who it is and what it may, and opens the row.
    fn admit_user(&mut self, slot: u32, request: &Authentication) -> Result<Option<SessionId>, ProtocolError> {
        if self.draining.is_some() {
            return Err(ErrorCode::Draining.into());
        }
        let identity = self.policy.authenticate(&request.token)?;
        self.check_user_room(&identity)?;
        let name = request.session_id.as_deref();
        let user = Principal { user_id: &identity.user_id, is_service: identity.is_service };
        if name.is_some_and(|name| !self.policy.may_join(user, name)) {
            return Err(ErrorCode::SessionForbidden.into());
        }
        let now_ms = self.now_ms();
        let sessions = &mut self.delivery.tables.sessions;
        let personal =
            sessions.open(&format!("{PERSONAL_PREFIX}{}", identity.user_id), now_ms).map_err(|_| OVERLOADED)?;
        sessions.join(slot, personal);
        let session = name.map(|name| sessions.open(name, now_ms)).transpose();
        let Ok(session) = session else {
            sessions.leave_all(slot, now_ms);
            return Err(OVERLOADED);
        };
        if let Some(session) = session {
            sessions.join(slot, session);
        }
        self.open_row(slot, personal, identity.is_service, request);
        Ok(session)
    }

    fn check_user_room(&self, identity: &Identity) -> Result<(), ProtocolError> {
        let sessions = &self.delivery.tables.sessions;
        let personal = sessions.find(&format!("{PERSONAL_PREFIX}{}", identity.user_id));
        let open = personal.map_or(0, |id| sessions.members(id).len());
        if open >= self.policy.connections_per_user_max() {
            return Err(ProtocolError::with_message(ErrorCode::RateLimited, "Too many connections of this user."));
        }
        Ok(())
    }

    fn open_row(&mut self, slot: u32, personal: SessionId, is_service: bool, request: &Authentication) {
        let connections = &mut self.delivery.tables.connections;
        connections.times[slot as usize].deadline_ms = NEVER;
        connections.set_state(slot, State::Open);
        let profile = connections.profile_mut(slot);
        profile.personal = Some(personal);
        profile.is_service = is_service;
        profile.features = request.features;
        profile.echo = request.echo;
        self.arm_anew(slot);
    }

    /// Again on a live connection: it refreshes the token, and nothing else may change.
    fn authenticate_again(&mut self, slot: u32, envelope: &Envelope<'_>) -> Result<(), ProtocolError> {
        const OTHER_USER: ProtocolError =
            ProtocolError::bad_field("payload.token", "This connection belongs to another user.");
        const OTHER_SESSION: ProtocolError =
            ProtocolError::bad_field("payload.sessionId", "This connection is not in that session; use hashi:join.");
        let request = parse_request(envelope)?;
        let identity = self.policy.authenticate(&request.token)?;
        if identity.user_id != self.user_id(slot) {
            return Err(OTHER_USER);
        }
        let sessions = &self.delivery.tables.sessions;
        let session = request.session_id.as_deref().map(|name| sessions.find(name));
        let is_joined = |id: Option<SessionId>| id.is_some_and(|id| sessions.is_member(slot, id));
        if session.is_some_and(|id| !is_joined(id)) {
            return Err(OTHER_SESSION);
        }
        let default = sessions.default_of(slot);
        self.delivery.tables.connections.profile_mut(slot).is_service = identity.is_service;
        self.welcome(slot, envelope.id, default);
        Ok(())
    }

    fn welcome(&mut self, slot: u32, reply_to: Option<&str>, session: Option<SessionId>) {
        let payload = self.welcome_payload(slot, session);
        let tables = &self.delivery.tables;
        let name = session.map(|id| tables.sessions.name(id).to_owned());
        log::debug!(
            "authenticated connection={:032x} user={:?} session={:?}",
            tables.connections.profile(slot).connection_id,
            self.user_id(slot),
            name.as_deref().unwrap_or("")
        );
        let answer =
            Answer { kind: MessageType::AUTHENTICATION, reply_to, session_id: name.as_deref(), payload: &payload };
        self.delivery.answer(slot, &answer);
    }

    fn welcome_payload(&self, slot: u32, session: Option<SessionId>) -> Vec<u8> {
        let sessions = &self.delivery.tables.sessions;
        let profile = self.delivery.tables.connections.profile(slot);
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(b"{\"success\":true,\"protocol\":");
        write_number(&mut out, PROTOCOL_VERSION);
        out.extend_from_slice(b",\"server\":");
        write_json_string(&mut out, concat!("hashi/", env!("CARGO_PKG_VERSION")));
        out.extend_from_slice(format!(",\"connectionId\":\"{:032x}\",\"userId\":", profile.connection_id).as_bytes());
        write_json_string(&mut out, &self.user_id(slot));
        if let Some(session) = session {
            out.extend_from_slice(b",\"sessionId\":");
            write_json_string(&mut out, sessions.name(session));
        }
        out.extend_from_slice(b",\"features\":");
        out.extend_from_slice(features_json(profile.features).as_bytes());
        out.extend_from_slice(b",\"positions\":[");
        let personal = profile.personal;
        for (index, id) in sessions.of_connection(slot).filter(|id| Some(*id) != personal).chain(personal).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            self.write_position(&mut out, id);
        }
        out.extend_from_slice(b"],\"heartbeatInterval\":");
        write_number(&mut out, self.config.heartbeat_interval_ms);
        out.extend_from_slice(b",\"maxMessageBytes\":");
        write_number(&mut out, u64::from(self.message_bytes_max(profile.is_service)));
        out.extend_from_slice(b",\"serverTime\":\"");
        out.extend_from_slice(&format_timestamp(self.delivery.now.unix_ms));
        let reconnect = format!("\",\"reconnect\":{{\"minMs\":{RECONNECT_MIN_MS},\"maxMs\":{RECONNECT_MAX_MS}}}}}");
        out.extend_from_slice(reconnect.as_bytes());
        out
    }

    /// The largest message of a user or a service, in bytes.
    pub(super) const fn message_bytes_max(&self, is_service: bool) -> u32 {
        if is_service { self.config.max_service_message_bytes } else { self.config.max_message_bytes }
    }

    /// Writes `{"sessionId":…,"epoch":…,"seq":…}`.
    fn write_position(&self, out: &mut Vec<u8>, id: SessionId) {
        let sessions = &self.delivery.tables.sessions;
        out.extend_from_slice(b"{\"sessionId\":");
        write_json_string(out, sessions.name(id));
        out.extend_from_slice(b",\"epoch\":");
        write_json_string(out, &sessions.epoch(id));
        out.extend_from_slice(b",\"seq\":");
        write_number(out, sessions.head(id));
        out.push(b'}');
    }

    fn send_failure(&mut self, slot: u32, reply_to: Option<&str>, error: &ProtocolError) {
        let mut payload = b"{\"success\":false,".to_vec();
        error.write_members(&mut payload);
        payload.push(b'}');
        let answer = Answer { kind: MessageType::AUTHENTICATION, reply_to, session_id: None, payload: &payload };
        self.delivery.answer(slot, &answer);
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
        const TOO_MANY: ProtocolError =
            ProtocolError::with_message(ErrorCode::Forbidden, "The connection is in as many sessions as it may be.");
        let name = parse_session(envelope.payload.unwrap_or_default())?;
        let profile = self.delivery.tables.connections.profile(slot);
        let (user_id, is_service) = (self.user_id(slot), profile.is_service);
        if !self.policy.may_join(Principal { user_id: &user_id, is_service }, &name) {
            return Err(ErrorCode::SessionForbidden.into());
        }
        let now_ms = self.now_ms();
        let sessions = &mut self.delivery.tables.sessions;
        let joined = sessions.find(&name).is_some_and(|id| sessions.is_member(slot, id));
        if !joined && sessions.count_of(slot) > self.config.sessions_per_connection {
            return Err(TOO_MANY); // the personal session is one of those counted
        }
        let id = sessions.open(&name, now_ms).map_err(|_| OVERLOADED)?;
        sessions.join(slot, id);
        self.answer_membership(slot, MessageType::JOIN, envelope.id, id);
        Ok(())
    }

    fn leave(&mut self, slot: u32, envelope: &Envelope<'_>) -> Result<(), ProtocolError> {
        const NOT_JOINED: ProtocolError =
            ProtocolError::with_message(ErrorCode::NotFound, "The connection is not in this session.");
        let name = parse_session(envelope.payload.unwrap_or_default())?;
        let now_ms = self.now_ms();
        let sessions = &mut self.delivery.tables.sessions;
        let id = sessions.find(&name).ok_or(NOT_JOINED)?;
        if !sessions.leave(slot, id, now_ms) {
            return Err(NOT_JOINED);
        }
        self.answer_membership(slot, MessageType::LEAVE, envelope.id, id);
        Ok(())
    }

    fn answer_membership(&mut self, slot: u32, kind: &str, reply_to: Option<&str>, id: SessionId) {
        let mut payload = Vec::with_capacity(96);
        self.write_position(&mut payload, id);
        let name = self.delivery.tables.sessions.name(id).to_owned();
        self.delivery.answer(slot, &Answer { kind, reply_to, session_id: Some(&name), payload: &payload });
    }

    /// Sends a system message that answers nothing.
    pub(super) fn send_plain(&mut self, slot: u32, kind: &str, payload: &[u8]) {
        self.delivery.answer(slot, &Answer { kind, reply_to: None, session_id: None, payload });
    }
}

/// The payload of an `authentication`; the envelope's session counts where the payload has none.
fn parse_request(envelope: &Envelope<'_>) -> Result<Authentication, ProtocolError> {
    let mut request = parse_authentication(envelope.payload.unwrap_or_default())?;
    if request.session_id.is_none() {
        request.session_id = envelope.session_id.map(str::to_owned);
    }
    Ok(request)
}

fn features_json(features: Features) -> String {
    if features.heartbeat { format!("[\"{FEATURE_HEARTBEAT}\"]") } else { "[]".to_owned() }
}
