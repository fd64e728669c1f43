//! The data: every table of the server, as columns indexed by slots. No I/O, no clock, no threads.
//!
//! Each table owns its relations and can check itself with `invariants()`.

pub mod batch;
pub mod chains;
pub mod connections;
pub mod cursors;
pub mod dedup;
pub mod departed;
pub mod expired;
pub mod expiring;
pub mod fingerprints;
pub mod held;
pub mod history;
pub mod ids;
pub mod in_flight;
pub mod latest;
pub mod lineages;
pub mod messages;
pub mod outcomes;
pub mod outputs;
pub mod owed;
pub mod polls;
pub mod positions;
pub mod published;
pub mod rings;
pub mod sessions;
pub mod tickets;
pub mod waits;
pub mod wheel;

pub use connections::{Connections, State};
pub use dedup::Dedup;
pub use departed::Departed;
pub use fingerprints::Fingerprints;
pub use held::Held;
pub use history::History;
pub use ids::{ConnId, MessageId, OutcomeId, SessionId};
pub use in_flight::InFlight;
pub use messages::Messages;
pub use outputs::Outputs;
pub use polls::Polls;
pub use published::{Counts, Published};
pub use sessions::Sessions;
pub use tickets::Tickets;
pub use waits::Waits;
pub use wheel::Wheel;

use rustc_hash::FxHashMap;

/// All tables. Stages take the ones they need.
pub struct Tables {
    /// Who is connected: states, identities, times.
    pub connections: Connections,
    /// What waits to be written, by row.
    pub outputs: Outputs,
    /// Sessions and who is in them.
    pub sessions: Sessions,
    /// Connections that ended a short while ago.
    pub departed: Departed,
    /// Messages that are not published yet.
    pub held: Held,
    /// The newest messages of each session.
    pub history: History,
    /// Polls that wait for a message.
    pub polls: Polls,
    /// Requests that wait for an outcome.
    pub waits: Waits,
    /// What opens streams and polls in the place of a token.
    pub tickets: Tickets,
    /// What receivers have yet to confirm.
    pub in_flight: InFlight,
    /// Ids of messages that may be sent again.
    pub dedup: Dedup,
    /// Stored messages.
    pub messages: Messages,
    /// One timer per row.
    pub timers: Wheel,
}

impl Tables {
    /// Every reference to a message is held by somebody.
    fn check_references(&self) {
        let mut references = FxHashMap::default();
        self.outputs.count_references(&mut references);
        self.history.count_references(&mut references);
        self.in_flight.count_references(&mut references);
        for id in self.messages.ids() {
            assert_eq!(references.get(&id).copied().unwrap_or(0), self.messages.references(id));
        }
    }

    /// How much the tables hold, by name. When the last client has left and everything has aged, it is nothing. For
    /// simulation.
    pub fn holdings(&self) -> [(&'static str, usize); 18] {
        [
            ("connections", self.connections.len()),
            ("ring blocks", self.outputs.used_blocks()),
            ("rows with gaps owed", self.outputs.owing()),
            ("rows with positions", self.outputs.tracked()),
            ("rows behind", self.outputs.cursors().len()),
            ("sessions", self.sessions.len()),
            ("memberships", self.sessions.edge_count()),
            ("departed", self.departed.len()),
            ("held back", self.held.len()),
            ("history", self.history.len()),
            ("messages", self.messages.len()),
            ("timers", self.timers.armed()),
            ("polls", self.polls.len()),
            ("waiting requests", self.waits.len()),
            ("tickets", self.tickets.len()),
            ("copies in flight", self.in_flight.len()),
            ("outcomes", self.in_flight.outcomes.len()),
            ("remembered ids", self.dedup.len()),
        ]
    }

    /// Checks every table and what they must agree on. For tests and simulation.
    pub fn invariants(&self) {
        self.connections.invariants();
        self.outputs.invariants(&self.messages);
        self.sessions.invariants();
        self.departed.invariants();
        self.held.invariants();
        self.history.invariants(&self.messages);
        self.polls.invariants();
        self.waits.invariants(&self.in_flight.outcomes);
        self.tickets.invariants();
        self.in_flight.invariants(&self.messages);
        self.dedup.invariants();
        self.messages.invariants();
        self.timers.invariants();
        self.check_references();
    }
}
