//! The ceiling of a tick: the sum of its stages when each of them uses up its whole budget in the same tick. A budget that
//! would break it does not compile.
//!
//! The costs are round figures for one slow server core. A tick that meets one budget and not the others stays near 1 ms.
//! One step may go beyond its budget: the message that uses up the work, or the bytes of writes, may be a large one.

use super::limits::{
    ACCEPTS_PER_TICK, BATCH_BYTES, COMMANDS_PER_TICK, DRAIN_BYTES_PER_TICK, DRAIN_LOW_WRITES_MIN,
    DRAIN_NORMAL_BYTES_MIN, DRAIN_NORMAL_WRITES_MIN, DRAIN_WRITES_PER_TICK, ENFORCE_WORK_PER_TICK, EVICTIONS_PER_TICK,
    EXPIRY_WORK_PER_TICK, FEED_WORK_PER_TICK, OUTCOMES_PER_TICK_MIN, POLLS_PER_TICK_MIN, READ_BYTES_PER_TICK,
    READS_PER_TICK, RELEASES_PER_TICK, TIMERS_PER_TICK, VAIN_VISITS_PER_LIST, WORK_PER_TICK,
};

/// What a tick may take, in nanoseconds: no client waits longer for its turn because of others.
pub const TICK_CEILING_NS: usize = 5_000_000;

/// `accept`: a socket, its options, its row.
const ACCEPT_NS: usize = 10_000;
/// `read`: a call of read without its bytes.
const READ_NS: usize = 1_500;
/// 1 KiB between a socket and memory, in either direction.
const KIB_NS: usize = 200;
/// `read`, `complete` and `expire` together: a unit of [`WORK_PER_TICK`].
const WORK_NS: usize = 15;
/// `complete`: a result or command without what it publishes.
const COMMAND_NS: usize = 1_000;
/// `expire`: the deadlines of a row.
const TIMER_NS: usize = 300;
/// A copy that is queued again, or a handler that is given up. Bytes that are copied for it are work.
const RETRY_NS: usize = 500;
/// Something that is old: a ticket, a session, a departed connection, a remembered id.
const AGED_NS: usize = 100;
/// Its kinds.
const AGED_KINDS: usize = 4;
/// A message that leaves history because it is old.
const EVICTION_NS: usize = 60;
/// A held message that is published, without its receivers.
const RELEASE_NS: usize = 1_000;
/// An answer to a poll that is given although the work is used up.
const POLL_NS: usize = 25_000;
/// An outcome that is told although the work is used up.
const OUTCOME_NS: usize = 1_000;
/// `drain`: a call of write without its bytes.
const WRITE_NS: usize = 6_000;
/// A row that is visited and has nothing to write.
const VAIN_VISIT_NS: usize = 500;
/// Its lists, one for each priority.
const LISTS: usize = 3;

const ACCEPT: usize = ACCEPTS_PER_TICK * ACCEPT_NS;
const READ: usize = READS_PER_TICK * READ_NS + READ_BYTES_PER_TICK / 1024 * KIB_NS;
const WORK: usize = WORK_PER_TICK * WORK_NS;
const COMPLETE: usize = COMMANDS_PER_TICK * COMMAND_NS;
const EXPIRE: usize = TIMERS_PER_TICK * (TIMER_NS + 2 * RETRY_NS + AGED_KINDS * AGED_NS)
    + EVICTIONS_PER_TICK * EVICTION_NS
    + RELEASES_PER_TICK * RELEASE_NS
    + EXPIRY_WORK_PER_TICK * WORK_NS
    + POLLS_PER_TICK_MIN * POLL_NS
    + OUTCOMES_PER_TICK_MIN * OUTCOME_NS;
const WRITES: usize = DRAIN_WRITES_PER_TICK + DRAIN_NORMAL_WRITES_MIN + DRAIN_LOW_WRITES_MIN;
const WRITTEN_BYTES: usize = DRAIN_BYTES_PER_TICK + DRAIN_NORMAL_BYTES_MIN + BATCH_BYTES;
const DRAIN: usize = WRITES * WRITE_NS
    + WRITTEN_BYTES / 1024 * KIB_NS
    + LISTS * VAIN_VISITS_PER_LIST * VAIN_VISIT_NS
    + (FEED_WORK_PER_TICK + ENFORCE_WORK_PER_TICK) * WORK_NS;

const _: () = assert!(ACCEPT + READ + WORK + COMPLETE + EXPIRE + DRAIN <= TICK_CEILING_NS);
