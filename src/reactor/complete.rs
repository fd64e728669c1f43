//! Complete: finished handlers and commands of other threads are carried out.

use super::Reactor;
use super::net::{Clock, Net};
use crate::config::limits::COMMANDS_PER_TICK;
use crate::handlers::Command;

impl<N: Net, C: Clock> Reactor<N, C> {
    pub(super) fn complete(&mut self) {
        self.core.inbox.take(COMMANDS_PER_TICK, &mut self.commands);
        for command in self.commands.drain(..) {
            let core = &mut self.core;
            match command {
                Command::Shutdown => core.begin_shutdown(),
                other => core.handlers.command(&mut core.delivery, &*core.policy, other),
            }
        }
    }
}
