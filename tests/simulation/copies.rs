//! The copies of reliable messages that one connection got: how often, when, and what was confirmed of them.
//!
//! In: copies as they come, and confirmations that the server has surely read. A copy that comes too soon, too often, or
//! although it was confirmed, is a defect.

use std::collections::BTreeMap;

use super::pipe::DELAY_NS_MAX;

/// What is taken for the same time: the server's clock is read once a tick and counts milliseconds.
const SLACK_NS: u64 = 2_000_000;

/// How the server retries.
#[derive(Clone, Copy, Debug)]
pub struct Retries {
    pub attempts: u32,
    pub timeout_ns: u64,
}

impl Retries {
    /// The shortest time between a copy and the next, after so many.
    fn wait_ns(self, copies: u32) -> u64 {
        self.timeout_ns << (copies - 1)
    }

    /// How long the server waits for a confirmation in all.
    pub fn patience_ns(self) -> u64 {
        (0..=self.attempts).map(|attempt| self.timeout_ns << attempt).sum()
    }
}

/// A message as it was published: its number, its timestamp, and its position, zero for none.
pub type Publication = (usize, u64, u64);

/// When something came, and whether that is at most the network's delay after it was written.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    pub at_ns: u64,
    pub is_prompt: bool,
}

struct Copy {
    session: Option<String>,
    text: String,
    count: u32,
    first: Arrival,
    last: Arrival,
    /// History was asked for again, and may have given it once more.
    is_replayed: bool,
    /// Since when the server has the confirmation.
    confirmed_ns: Option<u64>,
    /// How often it came since then.
    since_confirmed: u32,
}

/// Those of one connection.
#[derive(Default)]
pub struct Copies(BTreeMap<Publication, Copy>);

impl Copies {
    /// A copy has come; whether it is the first.
    pub fn arrive(
        &mut self,
        publication: Publication,
        session: Option<&str>,
        text: &str,
        arrival: Arrival,
        retries: Retries,
    ) -> bool {
        let Some(copy) = self.0.get_mut(&publication) else {
            self.0.insert(publication, Copy::new(session, text, arrival));
            return true;
        };
        assert_eq!(copy.text, text, "a copy has other bytes");
        if !copy.is_replayed {
            copy.check_next(publication, arrival, retries);
        }
        copy.count += 1;
        copy.last = arrival;
        false
    }

    /// The client went back in a session: what it had comes again, and is held for it again.
    pub fn replay(&mut self, name: &str) {
        for copy in self.0.values_mut().filter(|copy| copy.session.as_deref() == Some(name)) {
            copy.is_replayed = true;
        }
    }

    /// All of which a copy came.
    pub fn all(&self) -> impl Iterator<Item = Publication> {
        self.0.keys().copied()
    }

    pub fn text(&self, publication: Publication) -> &str {
        &self.0[&publication].text
    }

    pub fn is_replayed(&self, publication: Publication) -> bool {
        self.0[&publication].is_replayed
    }

    /// The server has read the first confirmation of it. Returns whether it was certainly still in flight.
    pub fn confirm(&mut self, publication: Publication, now_ns: u64, retries: Retries) -> bool {
        let copy = self.0.get_mut(&publication).expect("ok because it was here when it was confirmed");
        let is_first = copy.confirmed_ns.replace(copy.confirmed_ns.unwrap_or(now_ns)).is_none();
        let sent_ns = copy.first.at_ns.saturating_sub(DELAY_NS_MAX + SLACK_NS);
        is_first && copy.first.is_prompt && !copy.is_replayed && now_ns < sent_ns + retries.patience_ns()
    }
}

impl Copy {
    fn new(session: Option<&str>, text: &str, arrival: Arrival) -> Self {
        Self {
            session: session.map(str::to_owned),
            text: text.to_owned(),
            count: 1,
            first: arrival,
            last: arrival,
            is_replayed: false,
            confirmed_ns: None,
            since_confirmed: 0,
        }
    }

    fn check_next(&mut self, (number, ..): Publication, arrival: Arrival, retries: Retries) {
        let count = self.count;
        assert!(count <= retries.attempts, "message {number} came after {} retries", retries.attempts);
        let soonest_ns = self.last.at_ns + retries.wait_ns(count);
        assert!(
            !self.last.is_prompt || arrival.at_ns + DELAY_NS_MAX + SLACK_NS >= soonest_ns,
            "copy {} of message {number} came too soon",
            count + 1
        );
        if arrival.is_prompt && self.confirmed_ns.is_some_and(|at_ns| arrival.at_ns > at_ns + DELAY_NS_MAX + SLACK_NS) {
            // One may have been in the queue.
            assert!(self.since_confirmed == 0, "message {number} is sent again although it was confirmed");
            self.since_confirmed += 1;
        }
    }
}
