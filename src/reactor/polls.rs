//! Waiting polls: a request's row waits for a message, for the loss of a session, for the end of its time, or for its client to go.

use super::Core;
use crate::config::limits::{POLL_WAIT_DIVISOR, POLL_WAIT_MS, POLLS_PER_TICK_MIN, WORK_PER_REQUEST};
use crate::delivery::Polled;
use crate::rest::poll::answer;
use crate::rest::{refusal, with_cors};
use crate::tables::State;
use crate::tables::polls::{Poll, Stand};
use crate::wire::http::Head;

impl Core {
    /// The row waits, if there is room for one that stays.
    pub(super) fn wait_for_message(&mut self, slot: u32, head: &Head<'_>, poll: Poll) {
        if let Err(error) = self.check_room(slot) {
            self.metrics.refused += 1;
            let response = refusal(&mut self.delivery, &error);
            let response = with_cors(&self.services(slot), head, response);
            return self.respond(slot, head, response);
        }
        let deadline_ms = self.now_ms() + self.poll_wait_ms();
        let tables = &mut self.delivery.tables;
        tables.connections.set_state(slot, State::Poll);
        tables.connections.times[slot as usize].deadline_ms = deadline_ms;
        tables.polls.insert(slot, poll);
        self.arm(slot);
        self.warn_about_connections(false);
    }

    /// How long a poll waits.
    fn poll_wait_ms(&self) -> u64 {
        POLL_WAIT_MS.min(self.config.message_expiry_ms / POLL_WAIT_DIVISOR)
    }

    /// Answers polls that are woken, as far as this tick's work goes.
    pub(super) fn answer_polls(&mut self) {
        for done in 0.. {
            if done >= POLLS_PER_TICK_MIN && !self.may_route() {
                return;
            }
            let Some((slot, poll)) = self.delivery.tables.polls.next_woken() else {
                return;
            };
            self.delivery.work += WORK_PER_REQUEST;
            self.try_poll(slot, poll);
        }
    }

    /// Answers if there is something to tell; else the row waits on, behind what was not for it.
    fn try_poll(&mut self, slot: u32, poll: Poll) {
        if !self.is_whole(&poll) {
            return self.finish_poll(slot, &poll);
        }
        let polled = self.delivery.read_after(&poll.stands, poll.hidden_from);
        if polled.has_news() {
            self.answer_poll(slot, &poll, &polled, true);
        } else {
            self.delivery.tables.polls.insert(slot, Poll { stands: polled.stands, ..poll });
        }
    }

    /// The time of a waiting poll is over, or the server's.
    pub(super) fn end_poll(&mut self, slot: u32) {
        if let Some(poll) = self.delivery.tables.polls.remove(slot) {
            self.finish_poll(slot, &poll);
        }
    }

    /// Answers with what history holds now. Where it lost something meanwhile the client goes on at the head.
    fn finish_poll(&mut self, slot: u32, poll: &Poll) {
        let is_whole = self.is_whole(poll);
        let stands = self.stands_now(poll);
        let polled = self.delivery.read_after(&stands, poll.hidden_from);
        self.answer_poll(slot, poll, &polled, is_whole);
    }

    /// Where the client goes on. A session that is gone is made again, so that it is in the cursor.
    fn stands_now(&mut self, poll: &Poll) -> Vec<Stand> {
        self.touch_all(&poll.stands);
        let delivery = &mut self.delivery;
        let mut stands = Vec::with_capacity(poll.stands.len());
        for (&Stand { session, seq }, name) in poll.stands.iter().zip(&poll.names) {
            let Ok(now) = delivery.open_session(name) else {
                continue; // all others have members
            };
            let is_covered = now == session && delivery.tables.history.covers(session, seq);
            let seq = if is_covered { seq } else { delivery.tables.sessions.head(now) };
            stands.push(Stand { session: now, seq });
        }
        // A session that was made may have taken the place of another one.
        stands.retain(|stand| delivery.tables.sessions.is_alive(stand.session));
        stands
    }

    /// Those that are alive are kept for the next poll.
    fn touch_all(&mut self, stands: &[Stand]) {
        let (now_ms, sessions) = (self.now_ms(), &mut self.delivery.tables.sessions);
        for &Stand { session, .. } in stands {
            if sessions.is_alive(session) {
                sessions.touch(session, now_ms);
            }
        }
    }

    fn answer_poll(&mut self, slot: u32, poll: &Poll, polled: &Polled, is_whole: bool) {
        self.touch_all(&polled.stands);
        let response = answer(&mut self.delivery, polled, is_whole);
        self.delivery.tables.connections.set_state(slot, State::Http);
        self.reply_late(slot, response, &poll.asker);
    }

    /// Whether history still has all that the poll has not.
    fn is_whole(&self, poll: &Poll) -> bool {
        let tables = &self.delivery.tables;
        poll.stands
            .iter()
            .all(|stand| tables.sessions.is_alive(stand.session) && tables.history.covers(stand.session, stand.seq))
    }
}
