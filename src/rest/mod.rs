//! The HTTP routes, as functions from a request and the tables to an answer. No sockets here.
//!
//! A request is looked at twice: [`examine`] decides from its head alone, before the body is read; [`answer`] does the work.

mod access;
pub mod listen;
mod operation;
pub mod poll;
mod publish;
mod response;
mod routes;
mod ticket;
mod views;
mod wait;

pub use access::{check_host, check_origin};
pub use response::{Response, problem, refusal};
pub use routes::{Plan, Reply, Request, Route, allow_origin, answer, examine, with_cors};
pub use wait::counts_response;

use crate::auth::Policy;
use crate::config::Config;
use crate::delivery::Delivery;
use crate::handlers::Handlers;
use crate::observe::{Metrics, Overview};
use crate::tables::ConnId;

/// What the routes may touch.
pub struct Services<'a> {
    /// The effective configuration.
    pub config: &'a Config,
    /// Tables and publishing.
    pub delivery: &'a mut Delivery,
    /// Handlers.
    pub handlers: &'a mut Handlers,
    /// Who may do what.
    pub policy: &'a dyn Policy,
    /// Counters.
    pub metrics: &'a Metrics,
    /// Whether the server is going away.
    pub draining: bool,
    /// Commands from other threads that wait for the loop.
    pub commands_waiting: usize,
    /// The connection the request came in by.
    pub connection: ConnId,
    /// Whether it comes from this machine.
    pub from_loopback: bool,
}

impl Services<'_> {
    /// What the status pages show.
    pub fn overview(&self) -> Overview<'_> {
        let counted = self.delivery.tables.connections.counted();
        Overview {
            metrics: self.metrics,
            delivery: self.delivery,
            handlers: self.handlers,
            accepting: !self.draining && counted < self.config.max_connections as usize,
            draining: self.draining,
            insecure: self.config.insecure_development,
            connections_max: self.config.max_connections,
            commands_waiting: self.commands_waiting,
        }
    }
}
