//! Waiting polls: a request's row waits for a message, for the end of its time, or for its client to go.

use super::Core;
use crate::config::limits::{POLL_WAIT_MS, POLLS_PER_TICK_MIN, WORK_PER_REQUEST};
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

    /// A session without members must outlive the wait and the way to the next poll.
    fn poll_wait_ms(&self) -> u64 {
        POLL_WAIT_MS.min(self.config.message_expiry_ms / 2)
    }

    /// Answers polls that messages have woken, as far as this tick's work goes.
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

    /// Answers with what history holds now. Where it lost something meanwhile the client goes on at the head, and a session that
    /// is gone is in its cursor no more.
    fn finish_poll(&mut self, slot: u32, poll: &Poll) {
        let (is_whole, tables) = (self.is_whole(poll), &self.delivery.tables);
        let mut stands = poll.stands.clone();
        stands.retain(|stand| tables.sessions.is_alive(stand.session));
        for Stand { session, seq } in &mut stands {
            if !tables.history.covers(*session, *seq) {
                *seq = tables.sessions.head(*session);
            }
        }
        let polled = self.delivery.read_after(&stands, poll.hidden_from);
        self.answer_poll(slot, poll, &polled, is_whole);
    }

    fn answer_poll(&mut self, slot: u32, poll: &Poll, polled: &Polled, is_whole: bool) {
        let now_ms = self.now_ms();
        for stand in &polled.stands {
            self.delivery.tables.sessions.touch(stand.session, now_ms);
        }
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
