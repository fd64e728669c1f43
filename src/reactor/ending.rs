//! How message connections end, and what each is still told: the one place that decides it.
//!
//! | ending | gaps and positions | of what is queued | then |
//! |---|---|---|---|
//! | `Close` | told | `high` | the close frame; the peer's is waited for |
//! | `Violation` | told | `high` | the close frame; nothing more of the peer is looked at |
//! | `Answer` | told | `high` | the peer's code; it sends no more |
//! | `Flush` | told | everything | the close frame of a server that goes away |
//! | `Slow` | not told | nothing | the close frame, if the peer ever reads again |
//!
//! A loss is always told before a position that is past it. A row whose socket is gone is doomed and told nothing; its client
//! learns all of it when it resumes.

use tungstenite::protocol::frame::coding::{Control, OpCode};

use super::Core;
use crate::config::limits::LINGER_MS;
use crate::message::{Close, Priority};
use crate::tables::connections::NEVER;
use crate::wire::events;
use crate::wire::websocket::{Violation, write_close, write_frame};

/// Why a row ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    /// The server has a reason.
    Close(Close),
    /// The peer broke the rules of WebSocket (RFC 6455 section 7.1.7).
    Violation(Violation),
    /// The peer closes, with a code or without (RFC 6455 section 5.5.1).
    Answer(Option<u16>),
    /// The server goes away.
    Flush,
    /// The peer does not read what is queued for it.
    Slow,
}

impl Core {
    /// Ends a row: it takes part in nothing from now on, has some time to take what is queued, and then a little to close.
    pub(super) fn end(&mut self, slot: u32, ending: Ending) {
        match ending {
            Ending::Slow => self.forget_queued(slot, &Priority::ALL),
            _ => self.tell_positions(slot),
        }
        if matches!(ending, Ending::Close(_) | Ending::Violation(_) | Ending::Answer(_)) {
            self.forget_queued(slot, &[Priority::Normal, Priority::Low]);
        }
        match ending {
            Ending::Close(close) => self.push_close(slot, close),
            Ending::Slow => self.push_close(slot, Close::SLOW_CONSUMER),
            Ending::Violation(violation) => {
                self.push_close(slot, Close { code: violation.close_code(), reason: violation.reason() });
            }
            Ending::Answer(code) => self.answer_close(slot, code),
            Ending::Flush => {}
        }
        let peer_done = matches!(ending, Ending::Violation(_) | Ending::Answer(_)) || self.is_stream(slot);
        self.linger(slot, peer_done);
        match ending {
            Ending::Flush => self.close_after_flush(slot),
            Ending::Slow => self.give_little_time(slot),
            _ => {}
        }
    }

    /// The server's close frame follows what is queued.
    fn close_after_flush(&mut self, slot: u32) {
        if self.delivery.tables.outputs.is_idle(slot) {
            self.push_close(slot, Close::DRAINING);
        } else {
            self.delivery.tables.connections.profile_mut(slot).closing.after_flush = true;
        }
    }

    /// A peer that has read nothing for long is not waited for.
    fn give_little_time(&mut self, slot: u32) {
        let times = &mut self.delivery.tables.connections.times[slot as usize];
        (times.blocked_since_ms, times.deadline_ms) = (NEVER, self.delivery.now.ms() + LINGER_MS);
        self.arm(slot);
    }

    /// Forgets what is queued of these priorities, and all that is owed.
    fn forget_queued(&mut self, slot: u32, priorities: &[Priority]) {
        self.delivery.tables.outputs.forget(slot, priorities, &mut self.delivery.tables.messages);
    }

    /// The server's close frame, or the last event of a stream.
    pub(super) fn push_close(&mut self, slot: u32, Close { code, reason }: Close) {
        self.metrics.closed_by_server += 1;
        log::debug!(
            "closing connection={:032x} code={code} reason={reason:?}",
            self.delivery.tables.connections.profile(slot).connection_id
        );
        let mut bytes = Vec::with_capacity(64);
        if self.is_stream(slot) {
            events::write_close(&mut bytes, code, reason);
        } else {
            write_close(&mut bytes, code, reason);
        }
        self.delivery.push_raw(slot, &bytes);
    }

    /// The peer's code goes back to it.
    fn answer_close(&mut self, slot: u32, code: Option<u16>) {
        let mut frame = Vec::with_capacity(4);
        match code {
            Some(code) => write_close(&mut frame, code, ""),
            None => write_frame(&mut frame, OpCode::Control(Control::Close), b""),
        }
        self.delivery.push_raw(slot, &frame);
    }

    /// Whether the row is a stream of events, from which nothing more comes.
    fn is_stream(&self, slot: u32) -> bool {
        self.delivery.tables.outputs.is_stream(slot)
    }
}
