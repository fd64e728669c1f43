//! Rows on their way out: what a closing row does next, what it leaves behind, and the one place where rows are freed.
//! What one is still told before that stands in `ending`.

use super::net::{Clock, Net};
use super::{Core, Reactor};
use crate::config::limits::{FLUSH_DEADLINE_MS, LINGER_MS};
use crate::message::Close;
use crate::tables::State;
use crate::tables::connections::{Closing, NEVER, key_of};
use crate::tables::departed::Departure;

/// What a closing row that has written everything does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It waits for the peer.
    Wait,
    /// It tells the peer that nothing more comes.
    ShutWrite,
}

impl Core {
    /// All that a closing row had queued is written: what comes next?
    pub(super) fn advance_closing(&mut self, slot: u32) -> Next {
        let closing = &mut self.delivery.tables.connections.profile_mut(slot).closing;
        let peer_done = closing.peer_done;
        if std::mem::take(&mut closing.after_flush) {
            self.push_close(slot, Close::DRAINING);
            return Next::Wait;
        }
        let shuts = peer_done && !closing.is_shut;
        closing.is_shut |= peer_done;
        self.begin_linger(slot);
        if shuts { Next::ShutWrite } else { Next::Wait }
    }

    /// All is written: the peer has a little time to close.
    fn begin_linger(&mut self, slot: u32) {
        let deadline_ms = self.now_ms() + LINGER_MS;
        let connections = &mut self.delivery.tables.connections;
        if !std::mem::replace(&mut connections.profile_mut(slot).closing.is_written, true) {
            connections.times[slot as usize].deadline_ms = deadline_ms;
            self.arm(slot);
        }
    }

    /// Nothing more of what the peer sends is looked at, and what is kept of it is given back.
    pub(super) fn end_input(&mut self, slot: u32) {
        let connections = &mut self.delivery.tables.connections;
        connections.profile_mut(slot).closing.peer_done = true;
        if let Some(partial) = &mut connections.partials[slot as usize] {
            (partial.bytes, partial.assembly, partial.request) = (Vec::new(), None, None);
        }
        connections.settle_partial(slot);
    }

    /// The row's last bytes are queued: it leaves its sessions, has some time to take them, and then a little to close.
    pub(super) fn linger(&mut self, slot: u32, peer_done: bool) {
        let deadline_ms = self.now_ms() + FLUSH_DEADLINE_MS;
        self.depart(slot);
        let connections = &mut self.delivery.tables.connections;
        connections.set_state(slot, State::Closing);
        connections.profile_mut(slot).closing = Closing { peer_done, ..Closing::default() };
        let times = &mut connections.times[slot as usize];
        (times.deadline_ms, times.heartbeat_ms) = (deadline_ms, NEVER);
        if let Some(partial) = &mut connections.partials[slot as usize] {
            partial.request = None;
        }
        connections.settle_partial(slot);
        self.arm(slot);
    }

    /// The row leaves its sessions, and nothing waits for it any more. Its client may go on with another connection.
    fn depart(&mut self, slot: u32) {
        self.leave_outcome(slot);
        let now_ms = self.now_ms();
        let tables = &mut self.delivery.tables;
        tables.polls.remove(slot);
        tables.tickets.release(slot, now_ms);
        if tables.connections.state(slot).is_open() {
            let profile = tables.connections.profile(slot);
            let personal = profile.personal.expect("ok because an open row has a user");
            let sessions = tables.sessions.of_connection(slot).filter(|&id| id != personal).collect();
            let lineage = tables.connections.lineage(slot).to_vec();
            let connection_id = profile.connection_id;
            tables.in_flight.park(key_of(connection_id));
            tables
                .departed
                .insert(Departure { connection_id, personal, sessions, lineage, outcomes: Vec::new() }, now_ms);
            tables.outputs.end_feeding(slot, &tables.sessions);
        }
        tables.sessions.leave_all(slot, now_ms);
    }

    /// The socket is gone or of no use: the row is freed at the end of the tick.
    pub(super) fn doom(&mut self, slot: u32) {
        let tables = &mut self.delivery.tables;
        let input = &mut tables.connections.inputs[slot as usize];
        if input.doomed {
            return;
        }
        input.doomed = true;
        self.end_input(slot);
        self.depart(slot);
        let tables = &mut self.delivery.tables;
        tables.connections.set_state(slot, State::Closing);
        tables.outputs.clear(slot, &mut tables.messages);
        tables.timers.disarm(slot);
        self.doomed.push(slot);
    }
}

impl<N: Net, C: Clock> Reactor<N, C> {
    /// Frees the rows that were doomed during the tick. Nowhere else is a row freed.
    pub(super) fn reap(&mut self) {
        while let Some(slot) = self.core.doomed.pop() {
            let tables = &mut self.core.delivery.tables;
            assert!(tables.outputs.is_idle(slot), "a row with queued messages was freed");
            assert_eq!(tables.sessions.count_of(slot), 0, "a row in a session was freed");
            self.net.close(slot);
            let profile = tables.connections.remove(slot);
            self.core.metrics.closed += 1;
            log::debug!("closed connection={:032x}", profile.connection_id);
        }
    }
}
