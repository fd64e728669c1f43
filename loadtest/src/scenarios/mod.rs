//! The scenarios: small state machines without sockets or clock. Events come in as calls with the time, what must be done
//! goes out as [`Command`]s; the reactor carries them out.

mod calibration;
mod connect;
mod flights;
mod idle;
mod layout;
mod mixed;
mod operations;
mod plan;
mod rest;
mod schedule;
mod slow;
mod stages;
mod storm;
#[cfg(test)]
mod testing;
mod traffic;

pub use connect::Connect;
pub use idle::Idle;
pub use layout::Layout;
pub use mixed::{Flood, Mixed};
pub use operations::{Operations, OperationsSize};
pub use plan::{Course, OpenLoop, Pace, Phase, Plan, Ramp};
pub use rest::Rest;
pub use slow::Slow;
pub use storm::Storm;
pub use traffic::Traffic;

use crate::envelope::{Gap, Stamp};
use crate::error::ConnectionError;
use crate::http::Route;
use crate::measure::Sample;
use crate::meter::Meter;
use crate::report::Report;
use crate::wording::Wording;

/// What kind of connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    User,
    /// A user whose socket holds little that was not read, so that it is soon noticed when it stops reading.
    Slow,
    /// A service, which may publish to every session.
    Service,
    /// A user that publishes over HTTP and receives nothing. It is open when its socket is.
    Rest(Route),
}

/// Who a connection is once it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pub session: u32,
    /// Whether it wants its own messages back.
    pub echo: bool,
    pub role: Role,
}

impl Identity {
    /// A user in a session, with its own messages back.
    pub fn user(session: u32) -> Self {
        Self { session, echo: true, role: Role::User }
    }
}

/// What a scenario asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Connect and authenticate; answered by `on_ready`.
    Open { conn: usize, identity: Identity },
    /// Send one message on a connection that is ready.
    Publish { conn: usize, stamp: Stamp, wording: Wording },
    /// Read nothing more from a connection.
    Pause { conn: usize },
    /// Read from a paused connection again.
    Resume { conn: usize },
    /// Close a connection that is ready; answered by `on_closed`.
    Close { conn: usize },
    /// Cut a connection off, without a word and without an answer.
    Cut { conn: usize },
    /// Sample what server and harness have used; all samples are given to `report`, in order.
    Sample,
}

/// A scenario. Every method may append commands; `now` never goes back.
pub trait Scenario {
    /// How many connections it uses; their numbers are below.
    fn connections(&self) -> usize;

    /// The run begins; no connection is open.
    fn on_start(&mut self, now: u64, out: &mut Vec<Command>);

    /// A connection is open and authenticated.
    fn on_ready(&mut self, conn: usize, now: u64, out: &mut Vec<Command>);

    /// A published message arrived at `conn`.
    fn on_message(&mut self, _conn: usize, _stamp: Stamp, _now: u64, _out: &mut Vec<Command>) {}

    /// A request that published over HTTP was answered.
    fn on_answer(&mut self, _conn: usize, _status: u16, _now: u64, _out: &mut Vec<Command>) {}

    /// The server declared a loss to `conn`.
    fn on_gap(&mut self, _conn: usize, _gap: Gap, _now: u64, _out: &mut Vec<Command>) {}

    /// A connection is closed, as asked.
    fn on_closed(&mut self, _conn: usize, _now: u64, _out: &mut Vec<Command>) {}

    /// A connection failed, or the server closed it. Whether that was to be expected; if not, it ends the run.
    fn on_failed(&mut self, _conn: usize, _error: &ConnectionError, _now: u64) -> bool {
        false
    }

    /// The time of `due` has come.
    fn on_time(&mut self, now: u64, out: &mut Vec<Command>);

    /// When `on_time` must be called next; `u64::MAX` for not before another event.
    fn due(&self) -> u64;

    /// Whether the run is over.
    fn is_done(&self) -> bool;

    /// Its meter, from which the reactor takes what happened each second.
    fn meter(&mut self) -> &mut Meter;

    /// The figures and failed checks; called once, at the end.
    fn report(&mut self, samples: &[Sample]) -> Report;
}
