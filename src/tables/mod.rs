//! The data: every table of the server, as columns indexed by slots. No I/O, no clock, no threads.
//!
//! Each table owns its relations and can check itself with `invariants()`.

pub mod connections;
pub mod ids;
pub mod messages;
pub mod outputs;
pub mod rings;
pub mod sessions;
pub mod wheel;

pub use connections::{Connections, State};
pub use ids::{ConnId, MessageId, SessionId};
pub use messages::Messages;
pub use outputs::Outputs;
pub use sessions::Sessions;
pub use wheel::Wheel;

/// All tables. Stages take the ones they need.
pub struct Tables {
    /// Who is connected: states, identities, times.
    pub connections: Connections,
    /// What waits to be written, by row.
    pub outputs: Outputs,
    /// Sessions and who is in them.
    pub sessions: Sessions,
    /// Stored messages.
    pub messages: Messages,
    /// One timer per row.
    pub timers: Wheel,
}

impl Tables {
    /// Checks every table and what they must agree on. For tests and simulation.
    pub fn invariants(&self) {
        self.connections.invariants();
        self.outputs.invariants(&self.messages);
        self.sessions.invariants();
        self.messages.invariants();
        self.timers.invariants();
    }
}
