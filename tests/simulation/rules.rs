//! The rules a client follows to know where it stands in a session (docs/PROTOCOL.md, "Positions").
//!
//! In: what the server says. Out: the position to resume from, and whether a message is new. Nothing is checked here.

use std::collections::BTreeSet;

/// A client's place in one life of a session.
#[derive(Clone, Debug, Default)]
pub struct Place {
    pub epoch: String,
    /// Everything up to here is handled, or lost and told, or not for this client.
    pub position: u64,
    /// All that was handled. A real client forgets those up to its position, and some more than it needs for that.
    handled: BTreeSet<u64>,
    /// Gaps that begin beyond the position.
    gaps: Vec<(u64, u64)>,
}

impl Place {
    /// The server names the position from which it goes on.
    pub fn start(&mut self, epoch: &str, seq: u64) {
        if self.epoch != epoch {
            *self = Self { epoch: epoch.to_owned(), ..Self::default() };
        }
        self.position = seq;
        self.gaps.clear();
        self.step();
    }

    /// A message has come; whether it is to be handled.
    pub fn arrive(&mut self, seq: u64) -> bool {
        let is_new = self.handled.insert(seq);
        self.step();
        is_new
    }

    /// `hashi:gap`.
    pub fn lose(&mut self, from: u64, to: u64) {
        self.gaps.push((from, to));
        self.step();
    }

    /// `hashi:position`.
    pub fn jump(&mut self, seq: u64) {
        self.position = self.position.max(seq);
        self.step();
    }

    /// All that was handled of this life.
    pub const fn handled(&self) -> &BTreeSet<u64> {
        &self.handled
    }

    fn step(&mut self) {
        loop {
            let reached = self.gaps.iter().filter(|(from, _)| *from <= self.position + 1).map(|(_, to)| *to).max();
            if self.handled.contains(&(self.position + 1)) {
                self.position += 1;
            } else if let Some(to) = reached.filter(|&to| to > self.position) {
                self.position = to;
            } else {
                return;
            }
        }
    }
}
