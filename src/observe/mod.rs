//! Counters, histograms, and the two pages that show them: status as JSON, metrics as Prometheus text.

mod pages;
mod stages;

pub use pages::{Overview, prometheus, short_status, status};
pub use stages::{Stage, StageTimes};

use hdrhistogram::Histogram;

/// Longest time a histogram tells apart, in nanoseconds: one minute.
const LONGEST_NS: u64 = 60_000_000_000;

/// What the reactor counts. Sums since the start, unless they say otherwise.
pub struct Metrics {
    /// Sockets accepted.
    pub accepted: u64,
    /// Sockets and upgrades refused because the server was full, draining or out of memory.
    pub refused: u64,
    /// Unauthenticated connections that gave way on a full server.
    pub evicted: u64,
    /// Times accepting paused because the process was out of file descriptors.
    pub accept_pauses: u64,
    /// HTTP requests answered, by the hundreds of their status.
    pub http_answers: [u64; 6],
    /// Requests whose head or body did not come in time.
    pub http_timeouts: u64,
    /// WebSocket handshakes completed.
    pub upgrades: u64,
    /// Event streams opened.
    pub event_streams: u64,
    /// Authentications that succeeded.
    pub authenticated: u64,
    /// Authentications that failed.
    pub authentication_failures: u64,
    /// Connections that a client's next one went on for.
    pub takeovers: u64,
    /// WebSocket connections closed by the server.
    pub closed_by_server: u64,
    /// Rows freed.
    pub closed: u64,
    /// Text messages received on message connections.
    pub messages_in: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Calls of `write` and `writev`.
    pub writes: u64,
    /// Writes that began an array frame.
    pub arrays: u64,
    /// Calls of `read`.
    pub reads: u64,
    /// Ticks of the loop.
    pub ticks: u64,
    /// From publication to the last write of a message, in nanoseconds.
    pub latency_ns: Histogram<u64>,
    /// Length of a tick without its wait, in nanoseconds.
    pub tick_ns: Histogram<u64>,
    /// Lengths of its stages, for some of the ticks.
    pub stages: StageTimes,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            accepted: 0,
            refused: 0,
            evicted: 0,
            accept_pauses: 0,
            http_answers: [0; 6],
            http_timeouts: 0,
            upgrades: 0,
            event_streams: 0,
            authenticated: 0,
            authentication_failures: 0,
            takeovers: 0,
            closed_by_server: 0,
            closed: 0,
            messages_in: 0,
            bytes_in: 0,
            bytes_out: 0,
            writes: 0,
            arrays: 0,
            reads: 0,
            ticks: 0,
            latency_ns: histogram(),
            tick_ns: histogram(),
            stages: StageTimes::default(),
        }
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, 2).expect("ok because the bounds and precision are constants that fit")
}

impl Metrics {
    /// Counts an HTTP answer.
    pub fn count_answer(&mut self, status: u16) {
        self.http_answers[usize::from(status / 100).min(5)] += 1;
    }
}
