//! Frames of WebSocket rows: messages go to the protocol or come back as echo; control frames are answered here.

use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::Core;
use super::ending::Ending;
use super::read::Step;
use crate::config::limits::{PING_BURST, PINGS_PER_SECOND, WORK_PER_FRAME};
use crate::message::{Close, Decoder};
use crate::tables::State;
use crate::wire::assembly::{self, Event, Limits, Payload};
use crate::wire::websocket::{SERVER_HEADER_BYTES_MAX, Violation, parse_close, write_frame};

impl Core {
    /// Takes one frame, or part of one.
    pub(super) fn take_frame(&mut self, slot: u32, bytes: &mut [u8], decoder: &mut Decoder) -> Step {
        if self.has_unread_answers(slot) {
            return Step::Held;
        }
        match self.next_event(slot, bytes) {
            Ok(step) => {
                if let Some(event) = step.event {
                    self.take_event(slot, event, bytes, decoder);
                } else if step.consumed == 0 {
                    return Step::NeedsMore;
                }
                Step::Took(step.consumed)
            }
            Err(violation) => {
                self.end(slot, Ending::Violation(violation));
                Step::Took(bytes.len())
            }
        }
    }

    /// Takes the next frame or part of one; what is incomplete of a message is kept for the row.
    fn next_event(&mut self, slot: u32, bytes: &mut [u8]) -> Result<assembly::Step, Violation> {
        let (limits, now_ms) = (self.frame_limits(slot), self.now_ms());
        let connections = &mut self.delivery.tables.connections;
        let mut open = connections.partials[slot as usize].as_mut().and_then(|partial| partial.assembly.take());
        let result = assembly::next(&mut open, bytes, limits, now_ms);
        if open.is_some() {
            connections.partial_mut(slot).assembly = open;
        }
        result
    }

    fn frame_limits(&self, slot: u32) -> Limits {
        let connections = &self.delivery.tables.connections;
        Limits {
            message_bytes_max: u64::from(self.message_bytes_max(connections.profile(slot).is_service)),
            fragments_max: self.config.max_fragments,
            takes_binary: matches!(connections.state(slot), State::Echo | State::Closing),
        }
    }

    fn take_event(&mut self, slot: u32, event: Event, bytes: &[u8], decoder: &mut Decoder) {
        self.delivery.work += WORK_PER_FRAME;
        let is_echo = self.delivery.tables.connections.state(slot) == State::Echo;
        match event {
            Event::Text(payload) if is_echo => self.echo_text(slot, &payload, bytes),
            Event::Binary(payload) if is_echo => self.echo(slot, Data::Binary, payload_bytes(&payload, bytes)),
            Event::Text(payload) => self.take_message(slot, payload_bytes(&payload, bytes), decoder),
            Event::Binary(_) => {} // refused at its header
            Event::Ping(range) => self.pong(slot, &bytes[range]),
            Event::Pong => {}
            Event::Close(range) => {
                self.end(slot, parse_close(&bytes[range]).map_or_else(Ending::Violation, Ending::Answer));
            }
        }
    }

    fn echo_text(&mut self, slot: u32, payload: &Payload, bytes: &[u8]) {
        let text = payload_bytes(payload, bytes);
        // Assembled text was checked as it came.
        if matches!(payload, Payload::Here(_)) && simdutf8::basic::from_utf8(text).is_err() {
            self.end(slot, Ending::Violation(Violation::InvalidUtf8));
            return;
        }
        self.echo(slot, Data::Text, text);
    }

    fn echo(&mut self, slot: u32, kind: Data, payload: &[u8]) {
        let mut frame = Vec::with_capacity(payload.len() + SERVER_HEADER_BYTES_MAX);
        write_frame(&mut frame, OpCode::Data(kind), payload);
        if self.delivery.push_large(slot, &frame).is_err() {
            self.end(slot, Ending::Close(Close::OVERLOADED));
        }
    }

    /// One pong for each ping, with its payload; too many pings end the connection.
    fn pong(&mut self, slot: u32, payload: &[u8]) {
        if !self.may_ping(slot) {
            self.end(slot, Ending::Violation(Violation::Policy("too many pings")));
            return;
        }
        let mut frame = Vec::with_capacity(payload.len() + 2);
        write_frame(&mut frame, OpCode::Control(Control::Pong), payload);
        self.delivery.push_raw(slot, &frame);
    }

    /// A bucket of `PING_BURST` that refills by `PINGS_PER_SECOND`.
    fn may_ping(&mut self, slot: u32) -> bool {
        let now_ms = self.now_ms();
        let profile = self.delivery.tables.connections.profile_mut(slot);
        let refill = now_ms.saturating_sub(profile.ping_reckoned_ms) * PINGS_PER_SECOND / 1000;
        if refill > 0 {
            profile.ping_reckoned_ms += refill * 1000 / PINGS_PER_SECOND;
            let tokens = u64::from(profile.ping_tokens).saturating_add(refill).min(u64::from(PING_BURST));
            profile.ping_tokens = tokens as u32;
        }
        match profile.ping_tokens.checked_sub(1) {
            Some(tokens) => {
                profile.ping_tokens = tokens;
                true
            }
            None => false,
        }
    }

    /// While a row is closing only the peer's close frame matters; after it, or after a violation, nothing does.
    pub(super) fn take_while_closing(&mut self, slot: u32, bytes: &mut [u8]) -> Step {
        if self.delivery.tables.connections.profile(slot).closing.peer_done {
            return Step::Took(bytes.len());
        }
        match self.next_event(slot, bytes) {
            Ok(step) if matches!(step.event, Some(Event::Close(_))) => {
                self.end_of_peer(slot);
                Step::Took(bytes.len())
            }
            Ok(step) if step.consumed == 0 => Step::NeedsMore,
            Ok(step) => Step::Took(step.consumed),
            Err(_) => {
                self.end_of_peer(slot);
                Step::Took(bytes.len())
            }
        }
    }

    fn end_of_peer(&mut self, slot: u32) {
        self.delivery.tables.connections.profile_mut(slot).closing.peer_done = true;
        if self.delivery.tables.outputs.is_idle(slot) {
            self.doom(slot); // both close frames have passed: the server closes first (RFC 6455 section 7.1.1)
        }
    }
}

fn payload_bytes<'a>(payload: &'a Payload, bytes: &'a [u8]) -> &'a [u8] {
    match payload {
        Payload::Here(range) => &bytes[range.clone()],
        Payload::Assembled(bytes) => bytes,
    }
}
