//! Admission: authentication, what a client goes on with, and the welcome.

use super::Core;
use super::ending::Ending;
use super::protocol::TOO_MANY_SESSIONS;
use crate::auth::{Identity, Principal};
use crate::config::limits::{RECONNECT_MAX_MS, RECONNECT_MIN_MS, WORK_PER_MESSAGE, WORK_PER_POSITION};
use crate::delivery::{Answer, Loss, Resumed};
use crate::message::encode::{write_json_string, write_number};
use crate::message::system::{Authentication, BAD_TOKEN, Features, Resume, parse_authentication};
use crate::message::timestamp::format_timestamp;
use crate::message::{Close, Envelope, ErrorCode, MessageType, ProtocolError};
use crate::rest::listen::bound_session;
use crate::tables::connections::{NEVER, key_of};
use crate::tables::in_flight::CopyKey;
use crate::tables::lineages::{Ended, inherited};
use crate::tables::owed::Reason;
use crate::tables::sessions::PERSONAL_PREFIX;
use crate::tables::tickets::Bearer;
use crate::tables::{Counts, SessionId, State};

/// The version of the protocol that a welcome names.
const PROTOCOL_VERSION: u64 = 1;

/// What shows who somebody is. Never logged.
enum Credential {
    Token(String),
    Ticket(Bearer),
}

/// What a new connection is told.
pub(super) struct Welcome {
    /// The session it has joined.
    pub(super) session: Option<String>,
    /// The payload of the answer.
    pub(super) payload: Vec<u8>,
    /// What became of its claims.
    pub(super) recovery: Recovery,
}

/// What a client starts with.
pub(super) struct Admitted {
    /// The session that it asked for.
    pub(super) session: Option<SessionId>,
    /// What the connection that it goes on for has left to it.
    pub(super) legacy: Legacy,
}

/// What a client goes on with once it has its welcome.
#[derive(Default)]
pub(super) struct Legacy {
    /// What it has not confirmed.
    in_flight: Vec<CopyKey>,
    /// How its messages were confirmed while it was away.
    outcomes: Vec<(Box<str>, Counts)>,
}

/// What became of a client's claims.
#[derive(Default)]
pub(super) struct Recovery {
    /// By session.
    pub(super) resumed: Vec<(SessionId, Resumed)>,
    /// By the name of a session, whether there is such a session or not.
    pub(super) losses: Vec<(String, Loss)>,
}

impl Core {
    pub(super) fn authenticate(&mut self, slot: u32, envelope: &Envelope<'_>) -> Result<(), ProtocolError> {
        let mut request = parse_request(envelope)?;
        let credential = self.credential(slot, &mut request)?;
        match self.admit_user(slot, credential, &mut request) {
            Ok(Admitted { session, legacy }) => {
                self.metrics.authenticated += 1;
                let recovery = self.welcome(slot, envelope.id, session, request.resume.as_ref());
                for (name, loss) in recovery.losses {
                    self.delivery.send_gap(slot, &name, loss.range, loss.reason);
                }
                self.go_on_with(slot, &legacy, &recovery.resumed);
            }
            Err(error) => {
                self.metrics.authentication_failures += 1;
                self.delivery.totals.errors[error.code as usize] += 1;
                self.send_failure(slot, envelope.id, &error);
                self.end(slot, Ending::Close(Close::of_authentication(error.code)));
            }
        }
        Ok(())
    }

    /// The token, or the ticket that the upgrade came with.
    fn credential(&mut self, slot: u32, request: &mut Authentication) -> Result<Credential, ProtocolError> {
        let (now_ms, tickets) = (self.now_ms(), &mut self.delivery.tables.tickets);
        match (request.token.take(), tickets.bearer_of(slot)) {
            (Some(token), _) => {
                tickets.release(slot, now_ms);
                Ok(Credential::Token(token))
            }
            (None, Some(bearer)) => Ok(Credential::Ticket(bearer.clone())),
            (None, None) => Err(BAD_TOKEN),
        }
    }

    /// Checks who it is and what it may, and opens the row.
    fn admit_user(
        &mut self,
        slot: u32,
        credential: Credential,
        request: &mut Authentication,
    ) -> Result<Admitted, ProtocolError> {
        if self.draining.is_some() {
            return Err(ErrorCode::Draining.into());
        }
        let identity = match credential {
            Credential::Token(token) => self.policy.authenticate(&token)?,
            Credential::Ticket(bearer) => {
                request.session_id = Some(bound_session(&bearer, request.session_id.take())?);
                Identity { user_id: bearer.user_id, is_service: false }
            }
        };
        self.enter(slot, State::Open, &identity, request)
    }

    /// Opens the row for a user whose identity is known, and joins what it asks for.
    pub(super) fn enter(
        &mut self,
        slot: u32,
        state: State,
        identity: &Identity,
        request: &Authentication,
    ) -> Result<Admitted, ProtocolError> {
        let old = request.resume.as_ref().and_then(|resume| resume.connection_id);
        self.check_user_room(identity, old)?;
        let name = request.session_id.as_deref();
        let user = Principal { user_id: &identity.user_id, is_service: identity.is_service };
        if name.is_some_and(|name| !self.policy.may_join(user, name)) {
            return Err(ErrorCode::SessionForbidden.into());
        }
        let personal = self.delivery.open_session(&format!("{PERSONAL_PREFIX}{}", identity.user_id))?;
        self.delivery.tables.sessions.join(slot, personal);
        let session = name.map(|name| self.open_named(slot, name, personal, old)).transpose()?;
        // From here on nothing may fail: what is taken over cannot be given back.
        self.open_row(slot, state, personal, identity.is_service, request);
        let legacy = old.map_or(Legacy::default(), |connection_id| self.take_over(slot, personal, connection_id));
        if let Some(session) = session {
            self.delivery.tables.sessions.join(slot, session);
        }
        Ok(Admitted { session, legacy })
    }

    /// The connection `old` that a client goes on for gives way, if it is still there.
    fn check_user_room(&self, identity: &Identity, old: Option<u128>) -> Result<(), ProtocolError> {
        let sessions = &self.delivery.tables.sessions;
        let Some(personal) = sessions.find(&format!("{PERSONAL_PREFIX}{}", identity.user_id)) else {
            return Ok(());
        };
        let gives_way = old.is_some_and(|connection_id| self.find_open(personal, connection_id).is_some());
        if sessions.members(personal).len() - usize::from(gives_way) >= self.policy.connections_per_user_max() {
            return Err(ProtocolError::with_message(ErrorCode::RateLimited, "Too many connections of this user."));
        }
        Ok(())
    }

    /// The session that a client names; there must be room for it beside those of the connection `old` that it goes on for.
    fn open_named(
        &mut self,
        slot: u32,
        name: &str,
        personal: SessionId,
        old: Option<u128>,
    ) -> Result<SessionId, ProtocolError> {
        let others = old.map_or(Vec::new(), |connection_id| self.sessions_to_take_over(slot, personal, connection_id));
        let is_one_of_them = self.delivery.tables.sessions.find(name).is_some_and(|id| others.contains(&id));
        if !is_one_of_them && others.len() >= self.config.sessions_per_connection as usize {
            return Err(TOO_MANY_SESSIONS);
        }
        self.delivery.open_session(name)
    }

    /// The sessions of a connection of the user, living or ended, without the personal one and those not open to the row.
    fn sessions_to_take_over(&self, slot: u32, personal: SessionId, connection_id: u128) -> Vec<SessionId> {
        let tables = &self.delivery.tables;
        let ids: Vec<SessionId> = match self.find_open(personal, connection_id) {
            Some(old) => tables.sessions.of_connection(old).filter(|&id| id != personal).collect(),
            None => tables.departed.sessions_of(connection_id, personal).to_vec(),
        };
        let is_open = |id| tables.sessions.is_alive(id) && tables.tickets.allows(slot, tables.sessions.name(id));
        ids.into_iter().filter(|&id| is_open(id)).collect()
    }

    /// The open row of a connection, or of the last one that went on for it, if it is one of the user's.
    fn find_open(&self, personal: SessionId, connection_id: u128) -> Option<u32> {
        self.delivery.tables.connections.open_of(connection_id, personal)
    }

    fn open_row(&mut self, slot: u32, state: State, personal: SessionId, is_service: bool, request: &Authentication) {
        let connections = &mut self.delivery.tables.connections;
        connections.times[slot as usize].deadline_ms = NEVER;
        connections.set_state(slot, state);
        let profile = connections.profile_mut(slot);
        profile.personal = Some(personal);
        profile.is_service = is_service;
        profile.features = request.features;
        profile.echo = request.echo;
        self.arm_anew(slot);
        if request.features.resume {
            self.delivery.tables.outputs.track(slot);
        }
        if request.features.batch {
            self.delivery.tables.outputs.make_batched(slot);
        }
    }

    /// The row goes on for another connection of its user, living or ended: in its sessions, where it still may be in
    /// them. Whoever asks for another's, or for one that nobody knows, gets nothing. What it has not confirmed comes out.
    fn take_over(&mut self, slot: u32, personal: SessionId, connection_id: u128) -> Legacy {
        if let Some(old) = self.find_open(personal, connection_id).filter(|&old| old != slot) {
            self.end(old, Ending::Close(Close::TAKEN_OVER));
        }
        let (now_ms, life_ms) = (self.now_ms(), self.config.message_expiry_ms);
        let tables = &mut self.delivery.tables;
        let Some(departure) = tables.departed.take(connection_id, personal) else {
            return Legacy::default();
        };
        self.metrics.takeovers += 1;
        let own = Ended { key: key_of(departure.connection_id), ended_ms: now_ms };
        let line: Vec<Ended> = [own].into_iter().chain(departure.lineage).collect();
        tables.connections.inherit(slot, inherited(&line, key_of(connection_id), now_ms, life_ms));
        let in_flight = self.delivery.adopt_in_flight(slot, own.key);
        for id in departure.sessions {
            if self.delivery.tables.sessions.is_alive(id) {
                let name = self.delivery.tables.sessions.name(id).to_owned();
                if let Err(error) = self.join_session(slot, &name) {
                    log::debug!("a session of connection={connection_id:032x} is not joined again: {error}");
                }
            }
        }
        Legacy { in_flight, outcomes: departure.outcomes }
    }

    /// The client of a row has its welcome: it is told what it missed of its own messages, and gets what it has not confirmed.
    pub(super) fn go_on_with(&mut self, slot: u32, legacy: &Legacy, resumed: &[(SessionId, Resumed)]) {
        self.delivery.work += legacy.outcomes.len() * WORK_PER_MESSAGE;
        self.delivery.tell_outcomes(slot, &legacy.outcomes);
        self.delivery.continue_in_flight(slot, &legacy.in_flight, resumed);
    }

    /// Again on a live connection: it refreshes the token, or takes the place of a ticket. Nothing else may change.
    pub(super) fn authenticate_again(&mut self, slot: u32, envelope: &Envelope<'_>) -> Result<(), ProtocolError> {
        const OTHER_USER: ProtocolError =
            ProtocolError::bad_field("payload.token", "This connection belongs to another user.");
        const OTHER_SESSION: ProtocolError =
            ProtocolError::bad_field("payload.sessionId", "This connection is not in that session; use hashi:join.");
        let request = parse_request(envelope)?;
        let identity = self.policy.authenticate(request.token.as_deref().ok_or(BAD_TOKEN)?)?;
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
        let now_ms = self.now_ms();
        self.delivery.tables.connections.profile_mut(slot).is_service = identity.is_service;
        self.delivery.tables.tickets.release(slot, now_ms);
        self.delivery.pay_gaps(slot);
        self.welcome(slot, envelope.id, default, None);
        Ok(())
    }

    /// Answers an authentication. Lets the client go on where it asks to; what it has lost is for the caller to tell it.
    fn welcome(
        &mut self,
        slot: u32,
        reply_to: Option<&str>,
        session: Option<SessionId>,
        resume: Option<&Resume>,
    ) -> Recovery {
        let Welcome { session, payload, recovery } = self.prepare_welcome(slot, session, resume);
        let name = session.as_deref();
        let answer = Answer { kind: MessageType::AUTHENTICATION, reply_to, session_id: name, payload: &payload };
        self.delivery.answer(slot, &answer);
        recovery
    }

    /// Lets the client go on where it asks to; what to tell it.
    pub(super) fn prepare_welcome(
        &mut self,
        slot: u32,
        session: Option<SessionId>,
        resume: Option<&Resume>,
    ) -> Welcome {
        let (positions, recovery) = self.positions(slot, resume);
        let payload = self.welcome_payload(slot, session, &positions);
        let tables = &self.delivery.tables;
        let name = session.map(|id| tables.sessions.name(id).to_owned());
        log::debug!(
            "authenticated connection={:032x} user={:?} session={:?}",
            tables.connections.profile(slot).connection_id,
            self.user_id(slot),
            name.as_deref().unwrap_or("")
        );
        Welcome { session: name, payload, recovery }
    }

    /// The positions of a welcome as JSON, and what became of the client's claims. Claims to sessions that the row is not in are
    /// answered as lost, whether there is such a session or not.
    fn positions(&mut self, slot: u32, resume: Option<&Resume>) -> (Vec<u8>, Recovery) {
        let claims = resume.map_or(&[][..], |resume| &resume.positions);
        self.delivery.work += claims.len() * WORK_PER_POSITION;
        let personal = self.delivery.tables.connections.profile(slot).personal;
        let sessions = &self.delivery.tables.sessions;
        let others = sessions.of_connection(slot).filter(|id| Some(*id) != personal);
        let joined: Vec<SessionId> = others.chain(personal).collect();
        let mut out = Vec::new();
        let mut recovery = Recovery::default();
        for &id in &joined {
            let name = self.delivery.tables.sessions.name(id).to_owned();
            let claim = claims.iter().find(|(claimed, _)| *claimed == name).map(|(_, claim)| claim);
            let resumed = claim.map(|claim| self.delivery.resume(slot, id, claim));
            let seq = resumed.map_or_else(|| self.stand(slot, id), |resumed| resumed.seq);
            separate(&mut out);
            self.write_position(&mut out, id, seq, resumed.map(|resumed| resumed.loss.is_none()));
            recovery.resumed.extend(resumed.map(|resumed| (id, resumed)));
            recovery.losses.extend(resumed.and_then(|resumed| resumed.loss).map(|loss| (name, loss)));
        }
        let sessions = &self.delivery.tables.sessions;
        for (name, _) in claims.iter().filter(|(name, _)| !joined.iter().any(|&id| sessions.name(id) == name)) {
            separate(&mut out);
            out.extend_from_slice(b"{\"sessionId\":");
            write_json_string(&mut out, name);
            out.extend_from_slice(b",\"epoch\":null,\"seq\":null,\"recovered\":false}");
            recovery.losses.push((name.clone(), Loss { range: None, reason: Reason::UnknownEpoch }));
        }
        (out, recovery)
    }

    fn welcome_payload(&self, slot: u32, session: Option<SessionId>, positions: &[u8]) -> Vec<u8> {
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
        out.extend_from_slice(positions);
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

    fn send_failure(&mut self, slot: u32, reply_to: Option<&str>, error: &ProtocolError) {
        let mut payload = b"{\"success\":false,".to_vec();
        error.write_members(&mut payload);
        payload.push(b'}');
        let answer = Answer { kind: MessageType::AUTHENTICATION, reply_to, session_id: None, payload: &payload };
        self.delivery.answer(slot, &answer);
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
    let on: Vec<String> =
        features.named().iter().filter(|(_, is_on)| *is_on).map(|(name, _)| format!("\"{name}\"")).collect();
    format!("[{}]", on.join(","))
}

fn separate(list: &mut Vec<u8>) {
    if !list.is_empty() {
        list.push(b',');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::system::Claim;
    use crate::reactor::bench::Bench;

    /// Those of sessions that the client is not in cost a gap each.
    #[test]
    fn every_position_that_is_claimed_is_charged() {
        let mut bench = Bench::new(0);
        let core = &mut bench.reactor.core;
        let names = ["s", "unknown", "unknown too"];
        let positions = names.map(|name| (name.to_owned(), Claim::default())).to_vec();
        let before = core.delivery.work;
        core.positions(0, Some(&Resume { positions, connection_id: None }));
        assert_eq!(core.delivery.work - before, names.len() * WORK_PER_POSITION);
        core.positions(0, None);
        assert_eq!(core.delivery.work - before, (names.len() + 1) * WORK_PER_POSITION, "one that is told unasked");
    }
}
