//! Event streams: a request becomes a row that receives, and what is queued for it goes out as server-sent events.
//!
//! A stream is a row like any other but for its bytes. They are made when a batch is written: frames become events, and the
//! last one of a batch gets the row's cursor as its id. What the socket does not take of them is kept as it is.

use super::admit::{Admitted, Legacy, Welcome};
use super::net::{Clock, Net};
use super::{Core, Reactor};
use crate::config::limits::{BATCH_SCRATCH_BYTES_KEPT, BYTES_PER_WORK, EVENTS_COMMENT_MS, WORK_PER_REQUEST};
use crate::delivery::Answer;
use crate::message::system::{Authentication, Resume};
use crate::message::{MessageType, ProtocolError};
use crate::rest::listen::Listener;
use crate::rest::{Response, refusal, with_cors};
use crate::tables::batch::Batch;
use crate::tables::{MessageId, SessionId, State};
use crate::wire::cursor::{Place, write_cursor};
use crate::wire::events::{COMMENT, CONTENT_TYPE, write_event};
use crate::wire::http::Head;
use crate::wire::http_response::write_stream_head;
use crate::wire::websocket::text_of;

/// The text of one batch. Used again from row to row.
#[derive(Default)]
pub(super) struct Text(Vec<u8>);

impl Text {
    /// Large ones are not kept.
    fn clear(&mut self) {
        if self.0.capacity() > BATCH_SCRATCH_BYTES_KEPT {
            self.0 = Vec::new();
        }
        self.0.clear();
    }
}

impl<N: Net, C: Clock> Reactor<N, C> {
    /// Writes the collected batch of a stream that has no text in progress. Returns how many bytes its socket took.
    pub(super) fn write_events(&mut self, slot: u32) -> usize {
        self.events.clear();
        self.core.write_batch_text(slot, &self.batch, &mut self.events.0);
        let offered = self.events.0.len();
        let result = self.net.write(slot, &self.events.0);
        let Some(written) = self.note_write(slot, result) else {
            return 0;
        };
        if written == offered {
            self.consume(slot, self.batch.bytes());
        } else if written > 0 && !self.keep_rest(slot, written) {
            return written;
        }
        self.note_progress(slot, written, offered);
        written
    }

    /// Keeps what the socket did not take. Without memory for it the stream is cut: its client comes back with the cursor of
    /// the last event that it has whole.
    fn keep_rest(&mut self, slot: u32, written: usize) -> bool {
        self.gathered.forget(); // storing may free what history keeps
        let core = &mut self.core;
        match core.delivery.store_text(&self.events.0[written..]) {
            Ok(text) => {
                let tables = &mut core.delivery.tables;
                tables.outputs.carry(slot, &self.batch, text, &tables.messages);
                true
            }
            Err(error) => {
                log::debug!("stream: {error}");
                core.doom(slot);
                false
            }
        }
    }
}

impl Core {
    /// Turns the row into a stream, or says why not. Nothing that the client sends is looked at from then on.
    pub(super) fn open_stream(&mut self, slot: u32, head: &Head<'_>, listener: Listener) {
        if head.method == "HEAD" {
            let bytes = self.stream_head(slot, head);
            self.metrics.count_answer(200);
            self.delivery.push_raw(slot, &bytes);
            return self.linger(slot, true);
        }
        let entered = self.check_room(slot).and_then(|()| self.enter_stream(slot, listener));
        match entered {
            Ok((welcome, legacy)) => {
                self.begin_stream(slot, head, &welcome);
                self.go_on_with(slot, &legacy, &welcome.recovery.resumed);
            }
            Err(error) => {
                self.metrics.refused += u64::from(error.code.is_temporary());
                let response = refusal(&mut self.delivery, &error);
                let response = with_cors(&self.services(slot), head, response);
                self.respond_and_close(slot, response, false);
            }
        }
    }

    fn enter_stream(&mut self, slot: u32, listener: Listener) -> Result<(Welcome, Legacy), ProtocolError> {
        if let Some(code) = listener.ticket {
            let now_ms = self.now_ms();
            self.delivery.tables.tickets.hold(slot, code, now_ms);
        }
        let resumes = listener.claims.is_some() || listener.connection_id.is_some();
        let resume = resumes
            .then(|| Resume { positions: listener.claims.unwrap_or_default(), connection_id: listener.connection_id });
        let request = Authentication {
            token: None,
            session_id: listener.session_id,
            features: listener.features,
            echo: true,
            resume,
        };
        let Admitted { session, legacy } = self.enter(slot, State::Events, &listener.identity, &request)?;
        let welcome = self.prepare_welcome(slot, session, request.resume.as_ref());
        Ok((welcome, legacy))
    }

    /// The head and the welcome are one piece, so that nothing comes between them.
    fn begin_stream(&mut self, slot: u32, head: &Head<'_>, welcome: &Welcome) {
        self.metrics.event_streams += 1;
        self.metrics.authenticated += 1;
        self.metrics.count_answer(200);
        let answer = Answer {
            kind: MessageType::AUTHENTICATION,
            reply_to: None,
            session_id: welcome.session.as_deref(),
            payload: &welcome.payload,
        };
        let text = self.delivery.answer_text(&answer);
        let mut bytes = self.stream_head(slot, head);
        self.write_id(slot, [0; 3], &mut bytes);
        write_event(&mut bytes, &text);
        self.delivery.tables.outputs.make_stream(slot);
        self.delivery.push_raw(slot, &bytes);
        self.delivery.work += WORK_PER_REQUEST + bytes.len() / BYTES_PER_WORK;
        for (name, loss) in &welcome.recovery.losses {
            self.delivery.send_gap(slot, name, loss.range, loss.reason);
        }
        self.delivery.tables.connections.times[slot as usize].heartbeat_ms = self.now_ms() + EVENTS_COMMENT_MS;
        self.arm(slot);
        self.warn_about_connections(false);
    }

    fn stream_head(&mut self, slot: u32, head: &Head<'_>) -> Vec<u8> {
        let response = Response { content_type: Some(CONTENT_TYPE), ..Response::empty(200) }
            .with("Date", self.http_date())
            .with("Cache-Control", "no-store")
            .with("X-Accel-Buffering", "no");
        let response = with_cors(&self.services(slot), head, response);
        let mut out = Vec::with_capacity(1024);
        write_stream_head(&mut out, &response.headers, CONTENT_TYPE);
        out
    }

    /// The text of a batch. The id of its last event says where the row stands behind it. Once the row is closing it stands
    /// nowhere: what was queued for it may be gone.
    fn write_batch_text(&self, slot: u32, batch: &Batch, out: &mut Vec<u8>) {
        let messages = &self.delivery.tables.messages;
        let has_id = self.delivery.tables.connections.state(slot) == State::Events;
        let is_message = |id: MessageId| text_of(messages.frame(id)).is_some();
        let messages_at = batch.ids().enumerate().filter(|(_, id)| is_message(*id)).map(|(index, _)| index);
        let last = messages_at.last().filter(|_| has_id);
        for (index, id) in batch.ids().enumerate() {
            let bytes = messages.frame(id);
            let Some(text) = text_of(bytes) else {
                out.extend_from_slice(bytes); // text already
                continue;
            };
            if Some(index) == last {
                self.write_id(slot, batch.taken(), out);
            }
            write_event(out, text);
        }
    }

    /// Writes an `id` with the row's cursor, in the order of a welcome's positions, once the first `taken` entries of each ring have left.
    fn write_id(&self, slot: u32, taken: [usize; 3], out: &mut Vec<u8>) {
        let tables = &self.delivery.tables;
        let sessions = &tables.sessions;
        out.extend_from_slice(b"id: ");
        let place = |id: SessionId| Place {
            name: sessions.user_of(id).is_none().then(|| sessions.name(id)),
            epoch: sessions.epoch(id),
            seq: tables.outputs.position_behind(slot, taken, id, sessions.head(id), &tables.messages),
        };
        let is_personal = |id: &SessionId| sessions.user_of(*id).is_some();
        let others = sessions.of_connection(slot).filter(|id| !is_personal(id));
        write_cursor(out, others.chain(sessions.of_connection(slot).filter(is_personal)).map(place));
        out.push(b'\n');
    }

    /// Shows a quiet stream's client, and what is in between, that the server lives.
    pub(super) fn comment(&mut self, slot: u32, now_ms: u64) {
        let connections = &mut self.delivery.tables.connections;
        connections.times[slot as usize].heartbeat_ms = now_ms + EVENTS_COMMENT_MS;
        let wants_message = connections.profile(slot).features.heartbeat;
        if self.delivery.tables.outputs.is_blocked(slot) {
            return; // it has more than enough to read
        }
        self.delivery.push_raw(slot, COMMENT);
        if wants_message {
            self.send_plain(slot, MessageType::HEARTBEAT, b"{}");
        }
    }
}
