//! Requests of HTTP rows: heads, bodies, answers, and the upgrade to WebSocket.

use std::time::{Duration, UNIX_EPOCH};

use tungstenite::handshake::derive_accept_key;

use super::Core;
use super::read::Step;
use super::turns::Turn;
use crate::config::limits::{BATCH_BYTES, BODY_DEADLINE_MS, BYTES_PER_WORK, HEAD_DEADLINE_MS, WORK_PER_REQUEST};
use crate::delivery::OVERLOADED;
use crate::message::{Decoder, ErrorCode, ProtocolError};
use crate::rest::{
    self, Plan, Reply, Request, Response, Services, allow_origin, check_host, check_origin, problem, refusal,
};
use crate::tables::State;
use crate::tables::connections::{NEVER, PendingRequest};
use crate::tables::waits::Asker;
use crate::wire::http::{BodyLength, Head, HttpError, header_slots, parse_head};
use crate::wire::http_body::BodyDecoder;
use crate::wire::http_response::{write_continue, write_response, write_switching_protocols};
use crate::wire::upgrade::check_upgrade;

/// The subprotocols this server speaks, in the order of preference.
const SUBPROTOCOLS: [&str; 1] = ["hashi.v1"];

impl Core {
    /// Takes one request, or part of one.
    pub(super) fn take_request(&mut self, slot: u32, bytes: &[u8], decoder: &mut Decoder) -> Step {
        if self.delivery.tables.waits.contains(slot) {
            return if bytes.is_empty() { Step::NeedsMore } else { Step::Held };
        }
        if self.has_unread_answers(slot) {
            return Step::Held;
        }
        let connections = &self.delivery.tables.connections;
        let has_head = connections.partials[slot as usize].as_ref().is_some_and(|partial| partial.request.is_some());
        if has_head { self.take_body(slot, bytes, decoder) } else { self.take_head(slot, bytes, decoder) }
    }

    fn take_head(&mut self, slot: u32, bytes: &[u8], decoder: &mut Decoder) -> Step {
        if bytes.is_empty() {
            return Step::NeedsMore;
        }
        let mut headers = header_slots();
        match parse_head(bytes, &mut headers) {
            Ok(None) => {
                self.expect_head_end(slot);
                Step::NeedsMore
            }
            Ok(Some(head)) => {
                self.begin_request(slot, &head, &bytes[..head.head_bytes], decoder);
                Step::Took(head.head_bytes)
            }
            Err(error) => {
                self.reject(slot, error);
                Step::Took(bytes.len())
            }
        }
    }

    /// A head has begun: it has one deadline, however slowly it drips. A new connection has it from its start, a kept one
    /// from the head's first byte.
    fn expect_head_end(&mut self, slot: u32) {
        let now_ms = self.now_ms();
        let connections = &mut self.delivery.tables.connections;
        let is_kept = std::mem::take(&mut connections.profile_mut(slot).is_kept);
        if is_kept {
            connections.times[slot as usize].deadline_ms = now_ms + HEAD_DEADLINE_MS;
            self.arm(slot);
        }
    }

    fn begin_request(&mut self, slot: u32, head: &Head<'_>, raw: &[u8], decoder: &mut Decoder) {
        let echo_path = self.config.echo_path.as_deref();
        if head.path == self.config.path || echo_path == Some(head.path) {
            self.upgrade(slot, head);
            return;
        }
        let mut services = self.services(slot);
        match rest::examine(&mut services, head) {
            Plan::Answer(response) if matches!(head.body, BodyLength::None | BodyLength::Sized(0)) => {
                self.respond(slot, head, response)
            }
            // The body is not read, so nothing can follow it.
            Plan::Answer(response) => self.respond_and_close(slot, response, head.method == "HEAD"),
            Plan::Read { body_bytes_max } => self.expect_body(slot, head, raw, body_bytes_max, decoder),
        }
    }

    fn expect_body(&mut self, slot: u32, head: &Head<'_>, raw: &[u8], limit: usize, decoder: &mut Decoder) {
        let body = match BodyDecoder::new(head.body, limit) {
            Ok(body) => body,
            Err(error) => return self.reject_body(slot, head, error),
        };
        if body.is_done() {
            return self.answer(slot, head, b"", decoder);
        }
        if head.expect_continue {
            let mut bytes = Vec::new();
            write_continue(&mut bytes);
            self.delivery.push_raw(slot, &bytes);
        }
        let request = PendingRequest { head: raw.to_vec(), body: Vec::new(), decoder: body };
        let deadline_ms = self.now_ms() + BODY_DEADLINE_MS;
        let connections = &mut self.delivery.tables.connections;
        connections.partial_mut(slot).request = Some(Box::new(request));
        connections.times[slot as usize].deadline_ms = deadline_ms;
        self.arm(slot);
    }

    fn take_body(&mut self, slot: u32, bytes: &[u8], decoder: &mut Decoder) -> Step {
        if bytes.is_empty() {
            return Step::NeedsMore;
        }
        let partial = self.delivery.tables.connections.partial_mut(slot);
        let Some(mut request) = partial.request.take() else {
            return Step::NeedsMore;
        };
        match request.decoder.decode(bytes, &mut request.body) {
            Ok(progress) if progress.done => {
                self.answer_whole(slot, &request, decoder);
                Step::Took(progress.consumed)
            }
            Ok(progress) => {
                self.delivery.tables.connections.partial_mut(slot).request = Some(request);
                if progress.consumed == 0 { Step::NeedsMore } else { Step::Took(progress.consumed) }
            }
            Err(error) => {
                self.with_head(slot, &request.head, |core, head| core.reject_body(slot, head, error));
                Step::Took(bytes.len())
            }
        }
    }

    fn answer_whole(&mut self, slot: u32, request: &PendingRequest, decoder: &mut Decoder) {
        self.with_head(slot, &request.head, |core, head| core.answer(slot, head, &request.body, decoder));
    }

    /// A head that was kept while its body came is parsed once more, as it was only borrowed the first time.
    fn with_head(&mut self, slot: u32, bytes: &[u8], action: impl FnOnce(&mut Self, &Head<'_>)) {
        let mut headers = header_slots();
        match parse_head(bytes, &mut headers) {
            Ok(Some(head)) => action(self, &head),
            Ok(None) | Err(_) => self.doom(slot), // cannot be: the same bytes were a head before
        }
    }

    /// The body cannot be read. The page that sent it may know why.
    fn reject_body(&mut self, slot: u32, head: &Head<'_>, error: HttpError) {
        let response = rest::with_cors(&self.services(slot), head, rejection(error));
        self.respond_and_close(slot, response, false);
    }

    fn answer(&mut self, slot: u32, head: &Head<'_>, body: &[u8], decoder: &mut Decoder) {
        let mut services = self.services(slot);
        match rest::answer(&mut services, decoder, &Request { head, body }) {
            Reply::Now(response) => self.respond(slot, head, response),
            Reply::Stream(listener) => self.open_stream(slot, head, *listener),
            Reply::Poll(poll) => self.wait_for_message(slot, head, poll),
            Reply::Wait(wait) => self.wait_for_outcome(slot, wait),
        }
    }

    pub(super) fn services(&mut self, slot: u32) -> Services<'_> {
        let connections = &self.delivery.tables.connections;
        let (connection, from_loopback) = (connections.id(slot), connections.profile(slot).address.is_loopback());
        Services {
            config: &self.config,
            delivery: &mut self.delivery,
            handlers: &mut self.handlers,
            policy: &*self.policy,
            metrics: &self.metrics,
            draining: self.draining.is_some(),
            commands_waiting: self.inbox.waiting(),
            connection,
            from_loopback,
        }
    }

    /// Answers, and waits for the next request where the client wants to go on.
    pub(super) fn respond(&mut self, slot: u32, head: &Head<'_>, response: Response) {
        self.reply(slot, response, head.keep_alive, head.method == "HEAD");
    }

    pub(super) fn reply(&mut self, slot: u32, response: Response, keep_alive: bool, head_only: bool) {
        if !keep_alive || self.draining.is_some() {
            return self.respond_and_close(slot, response, head_only);
        }
        self.push_response(slot, &response, true, head_only);
        self.delivery.tables.connections.profile_mut(slot).is_kept = true;
        // While the answer goes out only a socket that takes nothing counts; `settle` then gives time for a request.
        self.delivery.tables.connections.times[slot as usize].deadline_ms = NEVER;
    }

    /// Answers a request that has waited.
    pub(super) fn reply_late(&mut self, slot: u32, response: Response, asker: &Asker) {
        let response = match asker.origin.as_deref() {
            Some(origin) => allow_origin(response, origin),
            None => response,
        };
        self.reply(slot, response, asker.keep_alive, false);
        // Bytes of another request may have come meanwhile, or the end.
        self.delivery.tables.connections.inputs[slot as usize].held = false;
        self.list_readable(slot, Turn::Fresh);
    }

    /// Answers and takes no more requests.
    pub(super) fn respond_and_close(&mut self, slot: u32, response: Response, head_only: bool) {
        self.push_response(slot, &response, false, head_only);
        self.linger(slot, true);
    }

    fn push_response(&mut self, slot: u32, response: &Response, keep_alive: bool, head_only: bool) {
        let bytes = self.response_bytes(response, keep_alive, head_only);
        self.delivery.work += WORK_PER_REQUEST + bytes.len() / BYTES_PER_WORK;
        if bytes.len() <= BATCH_BYTES {
            self.delivery.push_raw(slot, &bytes);
        } else if self.delivery.push_large(slot, &bytes).is_err() {
            let refused = refusal(&mut self.delivery, &OVERLOADED);
            let bytes = self.response_bytes(&refused, keep_alive, head_only);
            self.delivery.push_raw(slot, &bytes);
        }
        self.delivery.tables.connections.profile_mut(slot).pending_answers += 1;
        self.metrics.count_answer(response.status);
    }

    /// A response as it goes out, with the time of this tick as its `Date` (RFC 9110 section 6.6.1).
    pub(super) fn response_bytes(&self, response: &Response, keep_alive: bool, head_only: bool) -> Vec<u8> {
        let date = self.http_date();
        let own = response.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let headers: Vec<_> = [("Date", date.as_str())].into_iter().chain(own).collect();
        let mut out = Vec::with_capacity(256 + response.body.len());
        let body = &response.body;
        write_response(&mut out, response.status, &headers, response.content_type, body, keep_alive, head_only);
        out
    }

    pub(super) fn http_date(&self) -> String {
        httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(self.delivery.now.unix_ms))
    }

    /// The request cannot be read: it is told why, and the connection closes.
    fn reject(&mut self, slot: u32, error: HttpError) {
        self.respond_and_close(slot, rejection(error), false);
    }

    /// The server has no memory left for this request.
    pub(super) fn refuse_request(&mut self, slot: u32) {
        self.metrics.refused += 1;
        let response = refusal(&mut self.delivery, &OVERLOADED);
        self.respond_and_close(slot, response, false);
    }

    /// Turns the row into a WebSocket, or says why not.
    fn upgrade(&mut self, slot: u32, head: &Head<'_>) {
        let is_echo = self.config.echo_path.as_deref() == Some(head.path);
        let head_only = head.method == "HEAD";
        let upgrade = match self.check_request(slot, head, is_echo) {
            Ok(()) => check_upgrade(head),
            Err(error) => {
                let response = refusal(&mut self.delivery, &error);
                return self.respond_and_close(slot, response, head_only);
            }
        };
        let upgrade = match upgrade {
            Ok(upgrade) => upgrade,
            Err(error) => {
                let mut response =
                    problem(error.status(), &ProtocolError::with_message(ErrorCode::BadMessage, error.message()));
                response.headers.extend(error.headers().iter().map(|(name, value)| (*name, (*value).to_owned())));
                return self.respond_and_close(slot, response, head_only);
            }
        };
        let ticket = match self.check_ticket(head) {
            Ok(ticket) => ticket,
            Err(error) => {
                let response = refusal(&mut self.delivery, &error);
                return self.respond_and_close(slot, response, head_only);
            }
        };
        if let Err(error) = self.check_room(slot) {
            self.metrics.refused += 1;
            let response = refusal(&mut self.delivery, &error);
            return self.respond_and_close(slot, response, head_only);
        }
        if let Some(code) = ticket.filter(|_| !is_echo) {
            let now_ms = self.now_ms();
            self.delivery.tables.tickets.hold(slot, code, now_ms);
        }
        let protocol = upgrade.protocols().find(|offered| SUBPROTOCOLS.contains(offered)).filter(|_| !is_echo);
        let mut answer = Vec::with_capacity(160);
        write_switching_protocols(&mut answer, &derive_accept_key(upgrade.key.as_bytes()), protocol);
        self.delivery.push_raw(slot, &answer);
        self.become_websocket(slot, is_echo);
    }

    fn check_request(&self, slot: u32, head: &Head<'_>, is_echo: bool) -> Result<(), ProtocolError> {
        let development = self.policy.is_development();
        check_host(&self.config, development, head)?;
        check_origin(&self.config, development, head)?;
        let address = self.delivery.tables.connections.profile(slot).address;
        if is_echo && !address.is_loopback() {
            return Err(ErrorCode::Forbidden.into());
        }
        Ok(())
    }

    /// A ticket that is void is told at once.
    fn check_ticket(&self, head: &Head<'_>) -> Result<Option<u128>, ProtocolError> {
        let code = rest::listen::ticket_of(head)?;
        code.map(|code| rest::listen::check(&self.delivery, code).map(|()| code)).transpose()
    }

    /// Whether one more connection fits.
    pub(super) fn check_room(&mut self, slot: u32) -> Result<(), ProtocolError> {
        if self.draining.is_some() {
            return Err(ErrorCode::Draining.into());
        }
        let tables = &self.delivery.tables;
        let ip = tables.connections.profile(slot).address.ip;
        let per_address = self.policy.connections_per_address_max();
        if per_address != usize::MAX && tables.connections.counted_from(ip) >= per_address {
            return Err(ProtocolError::with_message(ErrorCode::RateLimited, "Too many connections from this address."));
        }
        if self.delivery.used_bytes() as u64 >= self.config.memory_bytes {
            return Err(OVERLOADED);
        }
        let is_full = tables.connections.counted() >= self.config.max_connections as usize;
        if is_full && !self.make_room(&[State::Joining]) {
            self.warn_about_connections(true);
            return Err(OVERLOADED);
        }
        Ok(())
    }

    fn become_websocket(&mut self, slot: u32, is_echo: bool) {
        let now_ms = self.now_ms();
        self.metrics.upgrades += 1;
        self.metrics.count_answer(101);
        let connections = &mut self.delivery.tables.connections;
        let times = &mut connections.times[slot as usize];
        times.heartbeat_ms = now_ms + self.config.heartbeat_interval_ms;
        times.deadline_ms = if is_echo { NEVER } else { now_ms + self.config.auth_deadline_ms };
        connections.set_state(slot, if is_echo { State::Echo } else { State::Joining });
        self.arm(slot);
        self.warn_about_connections(false);
    }
}

fn rejection(error: HttpError) -> Response {
    let code = if error == HttpError::BodyTooLarge { ErrorCode::TooLarge } else { ErrorCode::BadMessage };
    problem(error.status(), &ProtocolError::with_message(code, error.message()))
}
