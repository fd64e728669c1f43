//! What a client got, in order, and the promise of no silent hole checked on it.

use super::common::client::Client;
use super::common::json;
use simd_json::OwnedValue;
use simd_json::prelude::*;
use std::collections::BTreeSet;

pub use super::common::flood::numbered;

/// More messages than any test sends.
const MESSAGES_MAX: usize = 100_000;

/// Messages in the order of their arrival.
pub struct Received(pub Vec<OwnedValue>);

impl Received {
    /// Reads up to and including the message with this id.
    #[track_caller]
    pub fn until(client: &mut Client, id: &str) -> Self {
        let mut messages = Vec::new();
        while messages.len() < MESSAGES_MAX {
            let message = client.receive();
            let is_last = json::is(&message, "id", id);
            messages.push(message);
            if is_last {
                return Self(messages);
            }
        }
        panic!("{id} does not come");
    }

    /// Reads until each of these messages has come.
    #[track_caller]
    pub fn until_each(client: &mut Client, ids: &[&str]) -> Self {
        let mut messages = Vec::new();
        let mut missing: BTreeSet<_> = ids.iter().copied().collect();
        while !missing.is_empty() {
            assert!(messages.len() < MESSAGES_MAX, "{missing:?} do not come");
            let message = client.receive();
            missing.remove(json::string(&message, "id"));
            messages.push(message);
        }
        Self(messages)
    }

    /// Reads up to this message, and checks that nothing more comes.
    #[track_caller]
    pub fn all_until(client: &mut Client, id: &str) -> Self {
        let received = Self::until(client, id);
        client.expect_nothing();
        received
    }

    /// The ids of all messages but system ones.
    pub fn ids(&self) -> Vec<&str> {
        self.published().map(|message| json::string(message, "id")).collect()
    }

    /// The ids that start with `prefix`.
    pub fn ids_of(&self, prefix: &str) -> Vec<&str> {
        self.ids().into_iter().filter(|id| id.starts_with(prefix)).collect()
    }

    /// The ids, and the word `gap` for each declared loss, without the fillers.
    pub fn story(&self) -> Vec<&str> {
        let word = |message| if is_gap(message) { "gap" } else { json::string(message, "id") };
        self.0.iter().map(word).filter(|word| !word.starts_with("filler-")).collect()
    }

    /// The payloads of all declared losses.
    pub fn gaps(&self) -> Vec<&OwnedValue> {
        self.0.iter().filter(|message| is_gap(message)).map(|message| &message["payload"]).collect()
    }

    pub fn published(&self) -> impl Iterator<Item = &OwnedValue> {
        self.0.iter().filter(|message| !json::string(message, "type").starts_with("hashi:"))
    }

    /// Checks promise 2 for one session in which all messages have one priority: positions only grow, and every missing
    /// one was declared before the message behind it. Returns how many are missing.
    #[track_caller]
    pub fn expect_declared_holes(&self, session: &str) -> usize {
        let mut declared = BTreeSet::new();
        let (mut next, mut missing) = (1, 0);
        for message in &self.0 {
            if is_gap(message) {
                declared.extend(gap_range(&message["payload"], session).into_iter().flatten());
            } else if json::is(message, "sessionId", session) {
                let seq = json::number(message, "seq");
                assert!(seq >= next, "{seq} after {next}");
                let hole = next..seq;
                assert!(hole.clone().all(|seq| declared.contains(&seq)), "{hole:?} is missing and was not declared");
                missing += (seq - next) as usize;
                next = seq + 1;
            }
        }
        missing
    }
}

/// The positions that a declared loss of this session covers. Only history loses messages of a session.
#[track_caller]
pub fn gap_range(gap: &OwnedValue, session: &str) -> Option<std::ops::RangeInclusive<u64>> {
    if !json::is(gap, "sessionId", session) {
        return None;
    }
    assert!(json::is(gap, "reason", "history_evicted"), "{}", gap.encode());
    Some(json::number(gap, "from")..=json::number(gap, "to"))
}

pub fn is_gap(message: &OwnedValue) -> bool {
    json::is(message, "type", "hashi:gap")
}
