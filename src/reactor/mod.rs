//! The loop: one thread, one tick after the other, each a fixed order of stages over the tables.
//!
//! The tick itself stands in [`Reactor::tick`]; each stage is a file. Sockets and clocks are behind traits, so that a
//! simulation runs the same loop over its own.

mod accept;
mod admit;
mod arrays;
#[cfg(test)]
mod bench;
mod close;
mod complete;
mod drain;
mod ending;
mod events;
mod expire;
mod http;
mod mio_net;
mod net;
mod outcomes;
mod polls;
mod protocol;
mod read;
mod shutdown;
mod stalled;
mod turns;
mod websocket;

use std::io;
use std::time::Duration;

pub use mio_net::{MioNet, SystemClock, resolve};
pub use net::{Clock, Net, Ready};

use self::read::ReadBuffer;
use self::shutdown::Draining;
use self::turns::{Turn, Turns};
use crate::auth::Policy;
use crate::config::Config;
use crate::config::limits::{BACKLOG_BYTES_MAX, BACKLOG_ENTRIES_MAX, CHECKED_TICKS, WORK_PER_TICK};
use crate::delivery::Delivery;
use crate::handlers::{Handlers, Inbox};
use crate::message::Decoder;
use crate::observe::{Metrics, Stage};
use crate::tables::Tables;
use crate::tables::batch::Batch;

/// The server: all tables, and what the stages need besides.
pub struct Reactor<N: Net, C: Clock> {
    net: N,
    clock: C,
    core: Core,
    /// Read into by every row in turn.
    buffer: ReadBuffer,
    /// Memory to decode envelopes with.
    decoder: Decoder,
    /// What one row writes next.
    batch: Batch,
    /// The bytes of a batch, put together; used again for rows with the same batch.
    gathered: drain::Gathered,
    /// The text that a stream writes next.
    events: events::Text,
    ready: Vec<Ready>,
}

/// Everything but sockets and buffers: what the protocol works on.
pub(crate) struct Core {
    config: Config,
    delivery: Delivery,
    handlers: Handlers,
    policy: Box<dyn Policy>,
    metrics: Metrics,
    inbox: Inbox,
    /// Rows to read.
    turns: Turns,
    /// Rows to free at the end of the tick.
    doomed: Vec<u32>,
    /// New connections may wait; `accept_not_before_ms` says from when on they are taken.
    accept_ready: bool,
    accept_not_before_ms: u64,
    /// Rows looked at in this tick for one that gives way.
    seeking_work: usize,
    /// The warnings about a full server come once each.
    warned_full: bool,
    warned_nearly_full: bool,
    draining: Option<Draining>,
}

/// What a reactor is made of.
pub struct Parts<N, C> {
    /// Sockets.
    pub net: N,
    /// Time.
    pub clock: C,
    /// The effective configuration.
    pub config: Config,
    /// Who may do what.
    pub policy: Box<dyn Policy>,
    /// The application's code.
    pub handlers: Handlers,
    /// Commands of other threads.
    pub inbox: Inbox,
    /// Where all randomness comes from.
    pub seed: [u8; 32],
}

impl<N: Net, C: Clock> Reactor<N, C> {
    /// A reactor without connections.
    pub fn new(parts: Parts<N, C>) -> Self {
        let core = Core {
            delivery: Delivery::new(&parts.config, parts.seed),
            config: parts.config,
            handlers: parts.handlers,
            policy: parts.policy,
            metrics: Metrics::default(),
            inbox: parts.inbox,
            turns: Turns::default(),
            doomed: Vec::new(),
            accept_ready: true,
            accept_not_before_ms: 0,
            seeking_work: 0,
            warned_full: false,
            warned_nearly_full: false,
            draining: None,
        };
        Self {
            net: parts.net,
            clock: parts.clock,
            core,
            buffer: ReadBuffer::default(),
            decoder: Decoder::default(),
            batch: Batch::default(),
            gathered: drain::Gathered::default(),
            events: events::Text::default(),
            ready: Vec::new(),
        }
    }

    /// Ticks until a graceful end is complete.
    ///
    /// # Errors
    /// What the loop cannot survive: the poll itself failing.
    pub fn run(&mut self) -> io::Result<()> {
        while !self.has_ended() {
            self.tick(None)?;
        }
        Ok(())
    }

    /// Whether a graceful end is complete.
    pub fn has_ended(&self) -> bool {
        self.core.has_ended()
    }

    /// One turn of the loop. It waits at most `timeout`, and not at all while work is left over.
    ///
    /// # Errors
    /// What the loop cannot survive: the poll itself failing.
    pub fn tick(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.tick_watched(timeout, |_| {})
    }

    /// A turn of the loop that shows the tables after every stage. For simulation.
    ///
    /// # Errors
    /// As [`Reactor::tick`].
    pub fn tick_watched(&mut self, timeout: Option<Duration>, mut watch: impl FnMut(&Tables)) -> io::Result<()> {
        self.wait(timeout)?; // sockets, the waker, the next timer; the clock is read once
        self.stage(Stage::Accept, Self::accept, &mut watch); // new sockets -> rows
        self.stage(Stage::Read, Self::read, &mut watch); // readable rows -> requests and messages -> routed
        self.stage(Stage::Complete, Self::complete, &mut watch); // handlers and other threads -> routed
        self.stage(Stage::Expire, Self::expire, &mut watch); // heartbeats, deadlines, time to live
        self.stage(Stage::Drain, Self::drain, &mut watch); // rings -> sockets, high before normal before low
        self.stage(Stage::Reap, Self::reap, &mut watch); // closed rows -> free list
        self.measure();
        Ok(())
    }

    /// All tables, and what was done with them. For simulation.
    pub const fn delivery(&self) -> &Delivery {
        &self.core.delivery
    }

    /// What was counted. For simulation.
    pub const fn metrics(&self) -> &Metrics {
        &self.core.metrics
    }

    /// Every table's invariants. For tests and simulation.
    pub fn invariants(&self) {
        self.core.delivery.tables.invariants();
    }

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let own = self.core.patience();
        let timeout = match (timeout, own) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.ready.clear();
        let busy = self.busy_poll(timeout)?;
        if self.ready.is_empty() {
            self.net.poll(timeout.map(|timeout| timeout - busy), &mut self.ready)?;
        }
        self.core.delivery.now = self.clock.now();
        self.core.delivery.work = 0;
        self.core.delivery.fed = 0;
        self.core.seeking_work = 0;
        for index in 0..self.ready.len() {
            self.core.note(self.ready[index]);
        }
        let metrics = &mut self.core.metrics;
        metrics.stages.begin(metrics.ticks, || self.clock.now_ns());
        Ok(())
    }

    /// Runs a stage, measures it in some ticks, and shows the tables.
    fn stage(&mut self, stage: Stage, run: impl FnOnce(&mut Self), watch: &mut impl FnMut(&Tables)) {
        run(self);
        self.core.metrics.stages.end(stage, || self.clock.now_ns());
        watch(&self.core.delivery.tables);
    }

    /// Looks for events without sleeping for `HASHI_BUSY_POLL_US`, or for all of `timeout`; how much of it that took, if
    /// nothing came.
    fn busy_poll(&mut self, timeout: Option<Duration>) -> io::Result<Duration> {
        let configured = Duration::from_micros(self.core.config.busy_poll_us);
        let time = timeout.map_or(configured, |timeout| timeout.min(configured));
        if !time.is_zero() {
            let end_ns = self.clock.now_ns() + time.as_nanos() as u64;
            while self.ready.is_empty() && self.clock.now_ns() < end_ns {
                self.net.poll(Some(Duration::ZERO), &mut self.ready)?;
            }
        }
        Ok(time)
    }

    /// The clock is read once more to know how long the tick took.
    fn measure(&mut self) {
        let now_ns = self.clock.now_ns();
        let metrics = &mut self.core.metrics;
        metrics.ticks += 1;
        metrics.tick_ns.saturating_record(now_ns.saturating_sub(self.core.delivery.now.ns).max(1));
        // So that every test checks the tables, too.
        if cfg!(debug_assertions) && metrics.ticks.is_multiple_of(CHECKED_TICKS) {
            self.invariants();
        }
    }
}

impl Core {
    /// How long the loop may wait; `None` until something happens. Times are rounded up, so that the loop does not spin
    /// before them.
    fn patience(&self) -> Option<Duration> {
        if self.has_work_left() {
            return Some(Duration::ZERO);
        }
        let tables = &self.delivery.tables;
        let due_ms = [
            tables.timers.next_due_ms(),
            tables.in_flight.next_due_ms(),
            self.delivery.next_ageing_ms(self.config.message_expiry_ms),
            self.delivery.tables.held.next_end_ms(),
            self.handlers.next_deadline_ms(),
            self.accept_ready.then_some(self.accept_not_before_ms),
            self.draining.map(|draining| draining.deadline_ms),
        ];
        let next_ms = due_ms.into_iter().flatten().min()?;
        let now_ns = self.delivery.now.ns;
        let wait_ns = next_ms.saturating_mul(1_000_000).saturating_sub(now_ns);
        Some(Duration::from_millis(wait_ns.div_ceil(1_000_000)))
    }

    fn has_work_left(&self) -> bool {
        let can_accept = self.accept_ready && self.accept_not_before_ms <= self.delivery.now.ms();
        can_accept
            || !self.turns.is_empty()
            || self.delivery.tables.outputs.is_dirty()
            || self.delivery.tables.polls.has_woken()
            || self.inbox.waiting() > 0
            || self.has_untold()
            || self.delivery.tables.in_flight.outcomes.has_finished()
            || !self.doomed.is_empty()
    }

    /// Takes down what the poll told. Rows are freed only in `reap`, so a slot still means the row it meant to the poll.
    fn note(&mut self, ready: Ready) {
        match ready {
            Ready::Accept => self.accept_ready = true,
            Ready::Wake => {}
            Ready::Socket { slot, readable, writable, hung_up } => {
                let tables = &mut self.delivery.tables;
                if writable && tables.outputs.is_blocked(slot) {
                    tables.outputs.unblock(slot);
                }
                if readable {
                    let input = &mut tables.connections.inputs[slot as usize];
                    input.readable = true;
                    input.hung_up |= hung_up;
                    self.list_readable(slot, Turn::Fresh);
                }
            }
        }
    }

    /// Gives a row a turn to be read, once.
    fn list_readable(&mut self, slot: u32, turn: Turn) {
        let input = &mut self.delivery.tables.connections.inputs[slot as usize];
        if !input.listed {
            input.listed = true;
            self.turns.push(slot, turn);
        }
    }

    /// Whether this tick may take on more work, and the rings that wait for this server may grow.
    fn may_route(&self) -> bool {
        self.may_route_within(WORK_PER_TICK)
    }

    fn may_route_within(&self, work: usize) -> bool {
        let outputs = &self.delivery.tables.outputs;
        self.delivery.work < work
            && outputs.backlog() < BACKLOG_ENTRIES_MAX
            && outputs.backlog_bytes() < BACKLOG_BYTES_MAX
    }

    fn now_ms(&self) -> u64 {
        self.delivery.now.ms()
    }
}
