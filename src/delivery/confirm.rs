//! Confirmation: reliable messages are held for their receivers, and senders are told the outcome.

use std::collections::BTreeMap;
use std::hash::Hash;

use super::{Delivery, OVERLOADED, Publication};
use crate::config::limits::{OUTCOMES_PER_TICK_MIN, RESULTS_MAX, WORK_PER_COPY, WORK_PER_MESSAGE, WORK_PER_TICK};
use crate::message::{Ack, ErrorCode, Guarantee, ProtocolError};
use crate::tables::connections::key_of;
use crate::tables::dedup::{Identifier, Seen};
use crate::tables::fingerprints::Label;
use crate::tables::in_flight::Receiver;
use crate::tables::outcomes::{Outcome, Verdict, Watcher};
use crate::tables::{ConnId, Counts, MessageId, OutcomeId, Published, SessionId};

const TOO_MANY_OUTCOMES: ProtocolError =
    ProtocolError::with_message(ErrorCode::RateLimited, "Too many messages of this user wait to be confirmed.")
        .retry_after(1000);

impl Delivery {
    /// Checks that so many more copies can be held, and their outcome counted.
    ///
    /// # Errors
    /// `overloaded`, or `rate_limited` where its sender has too many outcomes.
    pub(super) fn check_room_to_hold(
        &mut self,
        publication: &Publication<'_>,
        copies: u32,
    ) -> Result<(), ProtocolError> {
        if !publication.is_reliable() {
            return Ok(());
        }
        if !self.tables.in_flight.has_room(copies as usize) {
            self.totals.holds_refused += 1;
            return Err(OVERLOADED);
        }
        if publication.guarantee == Guarantee::Reported {
            self.check_room_to_count(publication).inspect_err(|_| self.totals.outcomes_refused += 1)?;
        }
        Ok(())
    }

    fn check_room_to_count(&self, publication: &Publication<'_>) -> Result<(), ProtocolError> {
        let outcomes = &self.tables.in_flight.outcomes;
        if outcomes.is_full() {
            Err(OVERLOADED)
        } else if outcomes.is_full_for(self.sender_of(publication)) {
            Err(TOO_MANY_OUTCOMES)
        } else {
            Ok(())
        }
    }

    /// The label of the user who publishes; the server has zero.
    fn sender_of(&self, publication: &Publication<'_>) -> Label {
        let user_id = publication.from.user_id(&self.tables.sessions);
        user_id.map_or(0, |user_id| self.fingerprints.label(user_id))
    }

    /// The label of a message that is to be confirmed, zero for others.
    pub(super) fn label_of(&self, publication: &Publication<'_>) -> Label {
        if publication.is_reliable() { self.fingerprints.label(publication.id) } else { 0 }
    }

    /// Holds a message for the members of its session but `exclude`.
    pub(super) fn hold_for_members(
        &mut self,
        session: SessionId,
        exclude: Option<u32>,
        id: MessageId,
        publication: &Publication<'_>,
    ) -> Option<OutcomeId> {
        let members = self.tables.sessions.members(session).iter().copied();
        let slots: Vec<u32> = members.filter(|&slot| Some(slot) != exclude).collect();
        self.hold_for(&slots, id, publication)
    }

    /// Holds a message for those of its receivers that confirm, and counts the others.
    pub(super) fn hold_for(
        &mut self,
        slots: &[u32],
        id: MessageId,
        publication: &Publication<'_>,
    ) -> Option<OutcomeId> {
        let sender = self.sender_of(publication);
        let tables = &mut self.tables;
        let confirming = |&slot: &u32| tables.connections.confirming(slot);
        let receivers: Vec<Receiver> = slots.iter().filter_map(confirming).collect();
        let unconfirmable = (slots.len() - receivers.len()) as u32;
        self.work += receivers.len() * WORK_PER_COPY;
        let description = *tables.messages.description(id);
        let seq = description.place.map(|place| place.seq);
        let counts = Counts { matched: slots.len() as u32, unconfirmable, ..Counts::default() };
        let in_flight = &mut tables.in_flight;
        let outcome = (publication.guarantee == Guarantee::Reported)
            .then(|| in_flight.outcomes.open(sender, publication.id, seq, counts));
        in_flight.note(Verdict::Unconfirmable, u64::from(unconfirmable));
        let given_up = in_flight.hold(id, receivers, outcome, description.end_ms(self.life_ms), &mut tables.messages);
        self.withdraw(&given_up, true);
        outcome
    }

    /// A message was published: if it has a key, an older one of its topic is not sent again.
    pub(super) fn end_replaced(&mut self, id: MessageId) {
        let tables = &mut self.tables;
        if tables.in_flight.is_empty() {
            return;
        }
        if let Some(topic) = tables.messages.description(id).topic {
            let given_up = tables.in_flight.replace(topic, &mut tables.messages);
            self.withdraw(&given_up, false);
        }
    }

    /// A receiver has handled these messages. Returns how many of the ids confirm nothing: unknown ones, and those of
    /// messages that its connection has not written.
    pub fn confirm(&mut self, slot: u32, ids: &[String]) -> u64 {
        let tables = &mut self.tables;
        let receiver = key_of(tables.connections.profile(slot).connection_id);
        let mut ignored = 0;
        for id in ids {
            let label = self.fingerprints.label(id);
            let confirmed = tables.in_flight.confirm(receiver, label, &mut tables.messages);
            ignored += u64::from(confirmed == 0);
            self.work += confirmed.max(1) * WORK_PER_COPY;
        }
        ignored
    }

    /// What a message is remembered by: its user, what it is called and what is in it.
    pub fn identifier(&self, user_id: &str, name: &impl Hash, content: &impl Hash) -> Identifier {
        Identifier {
            memory: self.fingerprints.of(&(user_id, name)),
            user: self.fingerprints.label(user_id),
            content: self.fingerprints.of(content),
        }
    }

    /// Looks whether a message was sent before, as long ago as messages live.
    pub fn see(&mut self, identifier: Identifier) -> Seen {
        let now_ms = self.now.ms();
        self.tables.dedup.see(identifier, now_ms, now_ms.checked_sub(self.life_ms))
    }

    /// Tells the client of a row what it asked to be told of its message, the outcome once that is settled. `known` is that
    /// of a message that was sent before.
    pub fn answer_published(&mut self, slot: u32, id: &str, ack: Ack, published: Published, known: Option<Counts>) {
        if ack == Ack::Nothing {
            return;
        }
        self.send_ack(slot, id, published);
        if ack == Ack::Delivered && !self.watch(slot, published) {
            // What nobody has counted was published for a sender that did not ask.
            let uncounted =
                Counts { unconfirmable: published.matched, matched: published.matched, ..Counts::default() };
            let counts = known.unwrap_or(uncounted);
            self.tell_outcome(slot, id, counts);
        }
    }

    /// Tells the client of a row, if there is one, the outcome of what was published by a request that does not wait for it.
    pub fn report_to(&mut self, row: Option<u32>, published: Published) {
        let is_told = row.is_some_and(|slot| self.watch(slot, published));
        if let Some(outcome) = published.outcome.filter(|_| !is_told) {
            self.tables.in_flight.outcomes.abandon(outcome);
        }
    }

    /// Tells the client of a row an outcome once it is settled. Returns whether there is one to be told.
    fn watch(&mut self, slot: u32, published: Published) -> bool {
        let profile = self.tables.connections.profile(slot);
        let personal = profile.personal.expect("ok because a row that publishes has a user");
        let watcher = Watcher::Client(personal, profile.connection_id);
        published.outcome.is_some_and(|outcome| self.tables.in_flight.outcomes.watch(outcome, watcher))
    }

    /// Tells who waits for outcomes that are settled, as far as this tick's work goes. Those of requests come out.
    pub fn report_outcomes(&mut self) -> Vec<(ConnId, Outcome)> {
        let mut requests = Vec::new();
        let mut rows: BTreeMap<u32, Vec<(Box<str>, Counts)>> = BTreeMap::new();
        let mut told = 0;
        while told < OUTCOMES_PER_TICK_MIN || self.work < WORK_PER_TICK {
            let Some(outcome) = self.tables.in_flight.outcomes.next_finished() else {
                break;
            };
            let results = outcome.watchers.len().max(1);
            told += results;
            self.work += results * WORK_PER_MESSAGE;
            if let Some(memory) = outcome.memory {
                self.tables.dedup.settle(memory, outcome.counts);
            }
            for &watcher in &outcome.watchers {
                match watcher {
                    Watcher::Client(personal, connection_id) => {
                        if let Some(slot) = self.find_or_keep(personal, connection_id, &outcome) {
                            rows.entry(slot).or_default().push((outcome.id.clone(), outcome.counts));
                        }
                    }
                    Watcher::Request(connection) => requests.push((connection, outcome.clone())),
                }
            }
        }
        for (slot, outcomes) in rows {
            self.tell_outcomes(slot, &outcomes);
        }
        requests
    }

    /// The row of a client that is to be told. It may have gone on with another connection, or do so later: then the outcome
    /// waits for it.
    fn find_or_keep(&mut self, personal: SessionId, connection_id: u128, outcome: &Outcome) -> Option<u32> {
        let tables = &mut self.tables;
        let row = tables.connections.open_of(connection_id, personal);
        if row.is_none() {
            tables.departed.keep_outcome(connection_id, personal, &outcome.id, outcome.counts);
        }
        row
    }

    /// Tells the client of a row how the receivers of its message have confirmed it.
    pub fn tell_outcome(&mut self, slot: u32, id: &str, counts: Counts) {
        self.send_result(slot, id, |out| counts.write(out, id, None));
    }

    /// Tells the client of a row what was settled at once, or while it was away. There may be more of that than its queue takes
    /// messages, so many come in one.
    pub fn tell_outcomes(&mut self, slot: u32, outcomes: &[(Box<str>, Counts)]) {
        for some in outcomes.chunks(RESULTS_MAX) {
            let reply_to = if let [(id, _)] = some { Some(&**id) } else { None };
            self.send_results(slot, reply_to, |out| {
                for (at, (id, counts)) in some.iter().enumerate() {
                    out.extend_from_slice(if at > 0 { b"," } else { b"" });
                    counts.write(out, id, None);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::limits::{OUTCOMES_PER_USER_MAX, WORK_PER_ROW};
    use crate::delivery::Author;
    use crate::delivery::bench::Bench;
    use crate::message::Priority;
    use crate::tables::State;

    fn work_of<T>(bench: &mut Bench, does: impl FnOnce(&mut Bench) -> T) -> usize {
        let before = bench.delivery.work;
        does(bench);
        bench.delivery.work - before
    }

    /// A peer must not get the loop's time for nothing.
    #[test]
    fn holding_replacing_and_confirming_are_charged_by_the_copy() {
        let mut bench = Bench::new();
        let slots: Vec<u32> = (1..=10).map(|id| bench.connect(id)).collect();
        let publish = |bench: &mut Bench| bench.publish("m", Some("k"));
        assert_eq!(work_of(&mut bench, publish), 10 + 10 * WORK_PER_COPY);
        assert_eq!(work_of(&mut bench, publish), 10 + 20 * WORK_PER_COPY, "ten end and ten begin");
        bench.write_last(slots[0]);
        let mut confirm = |ids: &[String]| work_of(&mut bench, |bench| bench.delivery.confirm(slots[0], ids));
        assert_eq!(confirm(&["m".to_owned(), "unknown".to_owned()]), 2 * WORK_PER_COPY);
        assert_eq!(confirm(&vec![String::new(); 1024]), WORK_PER_ROW, "the longest takes a row's share of a tick");
    }

    /// Many messages may be settled at once: when a receiver of all of them goes, or when they expire.
    #[test]
    fn outcomes_are_told_as_far_as_the_work_goes_and_never_starve() {
        let mut bench = Bench::new();
        let count = 2 * WORK_PER_TICK / WORK_PER_MESSAGE;
        for sender in 0..count {
            let outcomes = &mut bench.delivery.tables.in_flight.outcomes;
            let id = outcomes.open(sender as Label, "m", None, Counts::default());
            outcomes.abandon(id);
        }
        let mut left_after = |work| {
            bench.delivery.work = work;
            bench.delivery.report_outcomes();
            bench.delivery.tables.in_flight.outcomes.len()
        };
        assert_eq!(left_after(WORK_PER_TICK), count - OUTCOMES_PER_TICK_MIN);
        assert!((1..=count / 2).contains(&left_after(0)));
        assert_eq!(left_after(0), 0);
    }

    /// A queue takes fewer messages than a user has outcomes.
    #[test]
    fn what_was_settled_together_comes_in_few_messages() {
        let mut bench = Bench::new();
        let slot = bench.connect(1);
        bench.delivery.tables.connections.set_state(slot, State::Open);
        let personal = bench.delivery.tables.connections.profile(slot).personal.unwrap();
        for number in 0..=RESULTS_MAX {
            let outcomes = &mut bench.delivery.tables.in_flight.outcomes;
            let id = outcomes.open(1, &format!("m{number}"), None, Counts::default());
            outcomes.watch(id, Watcher::Client(personal, 1));
        }
        assert!(bench.delivery.report_outcomes().is_empty());
        let tables = &bench.delivery.tables;
        let texts = tables.outputs.ring(slot, Priority::High).map(|id| tables.messages.frame(id));
        let texts: Vec<String> = texts.map(|frame| String::from_utf8_lossy(frame).into_owned()).collect();
        assert_eq!(texts.iter().map(|text| text.matches("\"matched\"").count()).collect::<Vec<_>>(), [RESULTS_MAX, 1]);
        assert!(texts[0].contains("0},{\"id\":\"m1\",") && !texts[0].contains("replyTo"), "{}", texts[0]);
        assert!(texts[1].contains("\"replyTo\":\"m128\""), "{}", texts[1]);
    }

    /// One user who asks for the outcome of everything does not deny it to others.
    #[test]
    fn a_user_s_outcomes_have_a_limit_of_their_own() {
        let mut bench = Bench::new();
        bench.connect(1);
        let ask = |bench: &mut Bench, user| {
            let publication = Publication {
                from: Author::User(user),
                guarantee: Guarantee::Reported,
                ..Publication::plain(Priority::Normal, b"1")
            };
            bench.delivery.publish(bench.session, None, &publication).map(drop).map_err(|error| error.code)
        };
        for _ in 0..OUTCOMES_PER_USER_MAX {
            assert_eq!(ask(&mut bench, "greedy"), Ok(()));
        }
        assert_eq!(ask(&mut bench, "greedy"), Err(ErrorCode::RateLimited));
        assert_eq!((ask(&mut bench, "other"), bench.delivery.totals.outcomes_refused), (Ok(()), 1));
    }
}
