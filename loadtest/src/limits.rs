//! The limits of the harness that are no settings: what a run may be, what one row of work may take, how much is kept, and
//! how long something is waited for. Each has its unit and its reason. What belongs to one scenario's shape stands there.

use std::time::Duration;

use crate::measure::SECOND_NS;

// What a run may be.

/// Connections of a run.
pub const CONNECTIONS_MAX: usize = 1_000_000;
/// Pairs of receiver and publisher that are followed: about 32 bytes each, so 640 MB.
pub const LANES_MAX: usize = 20_000_000;
/// Messages per second of a schedule.
pub const RATE_MAX: f64 = 1e8;
/// Reloads per second.
pub const RELOADS_MAX: f64 = 1e6;
/// Storms of a run.
pub const ROUNDS_MAX: usize = 1000;
/// What is offered, in multiples of what was carried.
pub const OVERLOAD_MAX: f64 = 100.0;
/// The longest phase, and the longest time-out.
pub const SECONDS_MAX: f64 = 86_400.0;
/// Bytes of messages that an open loop may have under way, as bound for `max_under_way`.
pub const UNDER_WAY_BYTES_MAX: usize = 256 << 20;

// What is done in a row. A schedule is looked at, and arrivals are timed, between such rows: neither must wait for what the
// harness does for others.

/// Events taken from the poll at once.
pub const EVENTS: usize = 128;
/// Reads of one connection.
pub const READS_IN_A_ROW: usize = 4;
/// Connections opened.
pub const OPENS_IN_A_ROW: usize = 16;
/// Connections cut off.
pub const CUTS_IN_A_ROW: usize = 16;
/// Messages of a schedule that is behind.
pub const SCHEDULED_IN_A_ROW: usize = 1024;

// Bytes.

/// The longest payload of a frame, and the longest body of an answer.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// The longest head of a handshake or an answer.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Header fields of an answer.
pub const FIELDS_MAX: usize = 32;
/// What one `read` asks for: large enough for hundreds of messages, small enough for the second-level cache.
pub const READ_CHUNK_BYTES: usize = 64 * 1024;
/// The receive buffer of a slow connection: some ten messages.
pub const SLOW_RECEIVE_BYTES: usize = 4096;

// What is kept.

/// Write buffers for the next connection that needs one.
pub const SPARE_BUFFERS: usize = 64;
/// `error` messages, to be shown.
pub const SHOWN_ERRORS: usize = 5;
/// Latencies above this are recorded as this.
pub const LATENCY_NS_MAX: u64 = 60 * SECOND_NS;

// How long something is waited for.

/// The poll rounds up to milliseconds; whatever is due sooner than this is waited for by polling without a timeout, so
/// that a schedule is kept to microseconds. The harness is meant to have a processor of its own.
pub const SPIN_NS: u64 = 2_000_000;
/// How often connections are looked through for time-outs.
pub const TIMEOUT_SCAN_NS: u64 = SECOND_NS / 4;
/// What is under way at the end of a run: a server that is behind a schedule has queued much.
pub const DRAIN_NS: u64 = 60 * SECOND_NS;
/// But only while something arrives at least this often.
pub const STALL_NS: u64 = 5 * SECOND_NS;
/// And then for what should not come, such as duplicates.
pub const LINGER_NS: u64 = SECOND_NS / 20;
/// Connections under way at the end of a run that publishes nothing.
pub const CONNECT_DRAIN_NS: u64 = 5 * SECOND_NS;
/// All clients after a storm; one that lasts longer has failed.
pub const STORM_NS: u64 = 60 * SECOND_NS;
/// A server's status. One that does not answer in this time is not asked again.
pub const STATUS_TIMEOUT: Duration = Duration::from_millis(500);
/// A server until it listens. Half a second is usual for Node.
pub const START_TIMEOUT: Duration = Duration::from_secs(20);
/// A run besides its warm-up and its measured time: opening 15,000 connections, and waiting for what is under way.
pub const REST_TIMEOUT: Duration = Duration::from_secs(120);

// Every connection may have a lane, the longest message may be under way, and a run that drains ends by itself.
const _: () = assert!(LANES_MAX >= CONNECTIONS_MAX);
const _: () = assert!(UNDER_WAY_BYTES_MAX >= PAYLOAD_BYTES_MAX);
const _: () = assert!(LINGER_NS < STALL_NS && STALL_NS < DRAIN_NS);
const _: () = assert!(REST_TIMEOUT.as_nanos() > (DRAIN_NS + LINGER_NS) as u128);
