//! Expire: deadlines of rows, heartbeats, sessions without members, handlers that run too long. Then polls are answered that
//! a message of this tick has woken.
//!
//! A row has one timer for all its deadlines. It is armed for the earliest; what was put off meanwhile is seen when it
//! fires, and the timer is armed again.

use super::ending::Ending;
use super::net::{Clock, Net};
use super::{Core, Reactor};
use crate::config::limits::{FRAGMENTED_DEADLINE_MS, TIMERS_PER_TICK};
use crate::message::{Close, ErrorCode, MessageType, ProtocolError};
use crate::rest::problem;
use crate::tables::State;
use crate::tables::connections::NEVER;
use crate::wire::websocket::{Violation, write_frame};
use tungstenite::protocol::frame::coding::{Control, OpCode};

impl<N: Net, C: Clock> Reactor<N, C> {
    pub(super) fn expire(&mut self) {
        let core = &mut self.core;
        let now_ms = core.now_ms();
        let mut fired = Vec::new();
        core.delivery.tables.timers.expire(now_ms, TIMERS_PER_TICK, &mut fired);
        for slot in fired {
            core.check_deadlines(slot, now_ms);
            if !core.delivery.tables.connections.inputs[slot as usize].doomed {
                core.arm(slot);
            }
        }
        core.delivery.release_held();
        core.delivery.expire_messages();
        core.delivery.retry_due(TIMERS_PER_TICK);
        core.delivery.age(core.config.message_expiry_ms, TIMERS_PER_TICK);
        core.handlers.expire(&mut core.delivery);
        core.answer_polls();
        core.report_outcomes();
    }
}

impl Core {
    /// Arms the row's timer for its earliest deadline, unless it fires before that anyway.
    pub(super) fn arm(&mut self, slot: u32) {
        let due_ms = self.next_deadline_ms(slot);
        let timers = &mut self.delivery.tables.timers;
        if due_ms != NEVER && timers.due_ms(slot).is_none_or(|armed| armed > due_ms) {
            timers.arm(slot, due_ms);
        }
    }

    /// Arms the row's timer for its earliest deadline, also if that is later than before: a row that has just been opened
    /// need not be looked at when the time for its handshake would have ended.
    pub(super) fn arm_anew(&mut self, slot: u32) {
        let due_ms = self.next_deadline_ms(slot);
        let timers = &mut self.delivery.tables.timers;
        if due_ms == NEVER {
            timers.disarm(slot);
        } else {
            timers.arm(slot, due_ms);
        }
    }

    fn next_deadline_ms(&self, slot: u32) -> u64 {
        let times = self.delivery.tables.connections.times[slot as usize];
        let slow_ms = times.blocked_since_ms.saturating_add(self.config.slow_ms);
        let position_ms = self.delivery.tables.outputs.position_due_ms(slot).unwrap_or(NEVER);
        let soonest_ms = times.deadline_ms.min(times.heartbeat_ms).min(slow_ms);
        soonest_ms.min(position_ms).min(self.fragment_deadline_ms(slot))
    }

    fn fragment_deadline_ms(&self, slot: u32) -> u64 {
        let connections = &self.delivery.tables.connections;
        if connections.state(slot) == State::Closing {
            return NEVER;
        }
        connections.partials[slot as usize]
            .as_ref()
            .and_then(|partial| partial.assembly.as_ref())
            .filter(|assembly| assembly.is_fragmented())
            .map_or(NEVER, |assembly| assembly.started_ms + FRAGMENTED_DEADLINE_MS)
    }

    fn check_deadlines(&mut self, slot: u32, now_ms: u64) {
        let connections = &self.delivery.tables.connections;
        let times = connections.times[slot as usize];
        let state = connections.state(slot);
        self.delivery.tables.outputs.mark_position(slot);
        if times.deadline_ms <= now_ms {
            self.miss_deadline(slot, state);
        } else if times.blocked_since_ms.saturating_add(self.config.slow_ms) <= now_ms {
            self.give_up_slow(slot, state);
        } else if self.fragment_deadline_ms(slot) <= now_ms {
            self.end(slot, Ending::Violation(Violation::Policy("message not finished in time")));
        } else if times.heartbeat_ms <= now_ms && state == State::Events {
            self.comment(slot, now_ms);
        } else if times.heartbeat_ms <= now_ms {
            self.heartbeat(slot, now_ms);
        }
    }

    fn miss_deadline(&mut self, slot: u32, state: State) {
        match state {
            State::Http if self.stop_waiting(slot) => {}
            State::Http => self.miss_request(slot),
            State::Joining => self.end(slot, Ending::Close(Close::NOT_AUTHENTICATED)),
            State::Open | State::Events | State::Echo => self.end(slot, Ending::Flush),
            State::Poll => self.end_poll(slot),
            State::Closing | State::Free => self.doom(slot),
        }
    }

    /// A request did not come in time: 408 if a byte of it came, else silence (RFC 9110 section 15.5.9).
    fn miss_request(&mut self, slot: u32) {
        let has_begun = self.delivery.tables.connections.partials[slot as usize].is_some();
        if !has_begun {
            self.doom(slot);
            return;
        }
        self.metrics.http_timeouts += 1;
        let error = ProtocolError::with_message(ErrorCode::Timeout, "The request did not come in time.");
        self.respond_and_close(slot, problem(408, &error), false);
    }

    /// The socket took nothing for too long.
    fn give_up_slow(&mut self, slot: u32, state: State) {
        match state {
            State::Open | State::Events => self.end(slot, Ending::Slow),
            _ => self.doom(slot),
        }
    }

    /// Sends a ping, or finds that the last one was not answered.
    fn heartbeat(&mut self, slot: u32, now_ms: u64) {
        let (interval_ms, timeout_ms) = (self.config.heartbeat_interval_ms, self.config.heartbeat_timeout_ms);
        let connections = &mut self.delivery.tables.connections;
        let wants_message = connections.profile(slot).features.heartbeat;
        let input = &mut connections.inputs[slot as usize];
        let times = &mut connections.times[slot as usize];
        if input.was_pinged {
            if input.awaits_pong && (input.held || input.readable) {
                times.heartbeat_ms = now_ms + timeout_ms; // the pong may lie in what this server has not read yet
                return;
            }
            if input.awaits_pong {
                self.end(slot, Ending::Close(Close::HEARTBEAT_MISSED));
                return;
            }
            // The next ping is due one interval after the last one.
            input.was_pinged = false;
            times.heartbeat_ms = times.heartbeat_ms - timeout_ms + interval_ms;
            if times.heartbeat_ms > now_ms {
                return;
            }
        }
        (input.was_pinged, input.awaits_pong) = (true, true);
        times.heartbeat_ms = now_ms + timeout_ms;
        let mut frame = Vec::with_capacity(2);
        write_frame(&mut frame, OpCode::Control(Control::Ping), b"");
        self.delivery.push_raw(slot, &frame);
        if wants_message {
            self.send_plain(slot, MessageType::HEARTBEAT, b"{}");
        }
    }

    /// Bytes came from a row: it lives.
    pub(super) fn note_activity(&mut self, slot: u32) {
        let connections = &mut self.delivery.tables.connections;
        connections.times[slot as usize].activity_ms = self.delivery.now.ms();
        connections.inputs[slot as usize].awaits_pong = false;
    }
}
