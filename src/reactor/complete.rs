//! Complete: finished handlers and commands of other threads are carried out.

use super::net::{Clock, Net};
use super::{Core, Reactor};
use crate::config::limits::{COMMANDS_PER_TICK, COMMANDS_PER_TICK_MIN};
use crate::handlers::Command;

impl<N: Net, C: Clock> Reactor<N, C> {
    pub(super) fn complete(&mut self) {
        let core = &mut self.core;
        core.inbox.expect_wakes();
        for done in 0..COMMANDS_PER_TICK {
            if done >= COMMANDS_PER_TICK_MIN && !core.may_route() {
                return;
            }
            match core.inbox.next() {
                Some(command) => core.carry_out(command),
                None => return,
            }
        }
    }
}

impl Core {
    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Shutdown => self.begin_shutdown(),
            other => self.handlers.command(&mut self.delivery, &*self.policy, other),
        }
    }
}
