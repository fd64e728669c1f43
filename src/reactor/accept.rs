//! Accept: new sockets become rows, or are refused politely. Before that, rows are told that the server goes away, if it does.

use std::io::ErrorKind;

use super::net::{Clock, Net};
use super::{Core, Reactor};
use crate::config::limits::{
    ACCEPT_ERRORS_MAX, ACCEPT_PAUSE_MS, ACCEPTS_PER_TICK, HEAD_DEADLINE_MS, HTTP_SOCKETS, UNAUTHENTICATED_GRACE_MS,
    WARN_CONNECTIONS_PERCENT, WORK_PER_ACCEPT,
};
use crate::delivery::OVERLOADED;
use crate::rest::refusal;
use crate::tables::State;
use crate::tables::connections::{Address, Profile};

/// Errors that mean: no file descriptor is left (`EMFILE`, `ENFILE`), or no memory for one (`ENOBUFS`, `ENOMEM`).
const OUT_OF_DESCRIPTORS: [i32; 4] = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];

impl<N: Net, C: Clock> Reactor<N, C> {
    pub(super) fn accept(&mut self) {
        self.core.tell_of_end();
        if !self.core.accept_ready || self.core.now_ms() < self.core.accept_not_before_ms {
            return;
        }
        let mut errors = 0;
        for _ in 0..ACCEPTS_PER_TICK {
            match self.net.accept() {
                Ok((socket, address)) => self.admit(socket, address),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.core.accept_ready = false;
                    return;
                }
                Err(error) if error.raw_os_error().is_some_and(|code| OUT_OF_DESCRIPTORS.contains(&code)) => {
                    self.pause_accepting();
                    return;
                }
                // A connection that was gone before it was taken concerns nobody; the same error again and again does.
                Err(error) => {
                    log::debug!("accept: {error}");
                    errors += 1;
                    if errors == ACCEPT_ERRORS_MAX {
                        self.core.accept_not_before_ms = self.core.now_ms() + ACCEPT_PAUSE_MS;
                        return;
                    }
                }
            }
        }
    }

    fn admit(&mut self, socket: N::Socket, address: Address) {
        self.core.metrics.accepted += 1;
        let rows_max = (self.core.config.max_connections + HTTP_SOCKETS) as usize;
        if self.core.delivery.tables.connections.len() >= rows_max {
            // The row that gives way is freed at the end of the tick, so one more fits.
            if self.core.make_room(&[State::Http, State::Joining, State::Closing]) {
                self.insert(socket, address);
                return;
            }
            let answer = self.core.refusal_bytes();
            self.net.refuse(socket, &answer);
            return;
        }
        self.insert(socket, address);
    }

    fn insert(&mut self, socket: N::Socket, address: Address) {
        let slot = self.core.insert_row(address);
        if let Err(error) = self.net.attach(slot, socket) {
            log::debug!("attach: {error}");
            self.core.doom(slot);
        }
    }

    /// One connection is told, the others wait in the kernel's queue until descriptors come back.
    fn pause_accepting(&mut self) {
        let answer = self.core.refusal_bytes();
        self.net.refuse_without_descriptor(&answer);
        if self.core.metrics.accept_pauses == 0 {
            log::warn!("out of file descriptors: accepting pauses; raise the limit of open files");
        }
        self.core.metrics.accept_pauses += 1;
        self.core.accept_not_before_ms = self.core.now_ms() + ACCEPT_PAUSE_MS;
    }
}

impl Core {
    fn insert_row(&mut self, address: Address) -> u32 {
        let now_ms = self.now_ms();
        let (connection_id, unix_ms) = (self.delivery.random_u128(), self.delivery.now.unix_ms);
        let profile = Profile::new(connection_id, address, now_ms, unix_ms);
        let slot = self.delivery.tables.connections.insert(profile, now_ms + HEAD_DEADLINE_MS).slot();
        self.delivery.tables.outputs.open(slot);
        self.arm(slot);
        slot
    }

    fn refusal_bytes(&mut self) -> Vec<u8> {
        self.metrics.refused += 1;
        self.metrics.count_answer(503);
        let response = refusal(&mut self.delivery, &OVERLOADED);
        self.response_bytes(&response, false, false)
    }

    /// Closes the oldest connection in one of `states` that has had its time and shown no user. One whose request waits for
    /// confirmations has shown one. The room is there from the next tick on.
    /// O(rows), so it has a budget, and is done only on a full server.
    pub(super) fn make_room(&mut self, states: &[State]) -> bool {
        // One look is always allowed; more only while they are cheap.
        if self.seeking_work >= WORK_PER_ACCEPT {
            return false;
        }
        self.seeking_work += self.delivery.tables.connections.len();
        let now_ms = self.now_ms();
        let (connections, waits) = (&self.delivery.tables.connections, &self.delivery.tables.waits);
        let oldest = connections
            .slots()
            .filter(|&slot| states.contains(&connections.state(slot)) && !connections.inputs[slot as usize].doomed)
            .filter(|&slot| !waits.contains(slot))
            .filter(|&slot| {
                let profile = connections.profile(slot);
                match connections.state(slot) {
                    State::Closing => profile.closing.is_written,
                    // Both times are cut to milliseconds: strictly later, so that it had all of its time.
                    _ => profile.connected_ms + UNAUTHENTICATED_GRACE_MS < now_ms,
                }
            })
            .min_by_key(|&slot| (connections.state(slot) != State::Closing, connections.profile(slot).connected_ms));
        let Some(slot) = oldest else {
            return false;
        };
        self.metrics.evicted += 1;
        log::debug!("evicted connection={:032x}", connections.profile(slot).connection_id);
        self.doom(slot);
        true
    }

    /// Says once that the server is filling up, and once that it is full.
    pub(super) fn warn_about_connections(&mut self, refused: bool) {
        let used = self.delivery.tables.connections.counted();
        let max = self.config.max_connections as usize;
        if refused && !self.warned_full {
            self.warned_full = true;
            log::warn!("connections are refused: WEBSOCKET_MAX_CONNECTIONS={max} are open");
        } else if used * 100 >= max * WARN_CONNECTIONS_PERCENT && !self.warned_nearly_full {
            self.warned_nearly_full = true;
            log::warn!("{used} of WEBSOCKET_MAX_CONNECTIONS={max} connections are open");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Moment;
    use crate::reactor::bench::Bench;
    use crate::tables::Counts;
    use crate::tables::waits::{Asker, Wait};

    #[test]
    fn a_request_that_waits_for_confirmations_does_not_give_way() {
        let mut bench = Bench::new(0);
        let core = &mut bench.reactor.core;
        let [waiting, idle] = [1, 2].map(|port| core.insert_row(Address { ip: [0; 16], port }));
        let outcomes = &mut core.delivery.tables.in_flight.outcomes;
        let outcome = outcomes.open(1, "m", None, Counts { matched: 1, ..Counts::default() });
        let asker = Asker { keep_alive: true, origin: None };
        core.wait_for_outcome(waiting, Wait { outcome, timeout_ms: 25_000, id: "m".into(), seq: None, asker });
        core.delivery.now = Moment { ns: 2 * UNAUTHENTICATED_GRACE_MS * 1_000_000, ..Moment::default() };
        assert!(core.make_room(&[State::Http]));
        assert!(core.delivery.tables.connections.inputs[idle as usize].doomed);
        core.seeking_work = 0;
        assert!(!core.make_room(&[State::Http]), "only the one that waits is left");
    }
}
