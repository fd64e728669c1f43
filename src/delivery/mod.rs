//! Systems over the tables: publishing, answering, what happens when a queue overflows. No I/O; the time is an argument.

mod answer;
#[cfg(test)]
mod bench;
mod catch_up;
pub mod confirm;
mod debounce;
mod expiry;
mod gap;
pub mod overflow;
mod poll;
mod publish;
pub mod resume;
mod retry;

pub use crate::tables::Published;
pub use answer::Answer;
pub use poll::Polled;
pub use publish::{Author, Publication};
pub use resume::{Loss, Resumed};

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use uuid::Builder;

use self::overflow::QueueLimits;
use crate::config::Config;
use crate::config::limits::{
    DEBOUNCED_TOPICS_MAX, EVICTIONS_PER_TICK, HELD_BYTES_MAX, IN_FLIGHT_MAX, IN_FLIGHT_MEMORY_SHARE,
    IN_FLIGHT_PER_RECEIVER_MAX, IN_FLIGHT_PER_USER_MAX, MEMORY_SHARE_DIVISOR, OUTCOMES_MAX, OUTCOMES_PER_USER_MAX,
    REMEMBERED_IDS_MAX, RETRY_QUEUE_DIVISOR,
};
use crate::config::memory::TICKETS_PER_CONNECTION;
use crate::message::timestamp::{TIMESTAMP_BYTES, TimestampText};
use crate::message::{ErrorCode, ProtocolError};
use crate::tables::dedup::DedupLimits;
use crate::tables::departed::DepartedLimits;
use crate::tables::held::{Held, HeldLimits};
use crate::tables::history::HistoryLimits;
use crate::tables::in_flight::InFlightLimits;
use crate::tables::outcomes::OutcomeLimits;
use crate::tables::owed::Reason;
use crate::tables::{
    Connections, Dedup, Departed, Fingerprints, History, InFlight, Messages, Outputs, Polls, SessionId, Sessions,
    Tables, Tickets, Waits, Wheel,
};

/// The time of a tick, read once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Monotonic nanoseconds since the server started.
    pub ns: u64,
    /// Wall clock, Unix milliseconds. Only for what people read.
    pub unix_ms: u64,
}

impl Moment {
    /// Monotonic milliseconds since the server started.
    pub const fn ms(&self) -> u64 {
        self.ns / 1_000_000
    }

    /// The first whole millisecond at which so many have passed.
    pub const fn after_ms(&self, time_ms: u64) -> u64 {
        self.ns.div_ceil(1_000_000) + time_ms
    }
}

/// The tables and what it takes to make messages for them: the time, randomness and scratch memory.
pub struct Delivery {
    /// All tables.
    pub tables: Tables,
    /// The time of this tick.
    pub now: Moment,
    random: StdRng,
    fingerprints: Fingerprints,
    /// How long a message lives, in milliseconds.
    life_ms: u64,
    /// Most that retries may fill of one row's queue.
    retry_limits: QueueLimits,
    text: TimestampText,
    scratch: Vec<u8>,
    /// Work since the tick began, in ring pushes and what takes as long as so many.
    pub work: usize,
    /// Work of this tick that fed rows from history, and that told rows what they have lost.
    pub fed: usize,
    /// How long what must not come too often is held back; zero for not at all.
    debounce_ms: u64,
    /// Bytes of messages that handlers hold on to; worker threads give them back.
    pub held_bytes: Arc<AtomicUsize>,
    /// Messages published to sessions, and copies queued of them.
    pub totals: Totals,
}

/// Sums since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Messages that took a position in a session.
    pub published: u64,
    /// Copies put into rings.
    pub queued: u64,
    /// Messages left out because a newer one of their key was queued.
    pub conflated: u64,
    /// Messages without a sequence dropped by a full queue, each declared by a `hashi:gap`.
    pub dropped: u64,
    /// Messages replaced by a newer one of their key before they were published.
    pub debounced: u64,
    /// Messages that were past their own expiry while something still held them.
    pub expired: u64,
    /// Copies put into rings from history.
    pub replayed: u64,
    /// Messages given to polls.
    pub polled: u64,
    /// Polls answered.
    pub polls: u64,
    /// Tickets made.
    pub tickets: u64,
    /// Sessions in which a client went on where it had left off.
    pub resumed: u64,
    /// Rows that fell behind.
    pub catch_ups: u64,
    /// Gaps told, by reason.
    pub gaps: [u64; Reason::ALL.len()],
    /// Messages refused because too many copies are in flight.
    pub holds_refused: u64,
    /// Messages refused because too many outcomes are counted, over all or for their sender.
    pub outcomes_refused: u64,
    /// Ids in confirmations that confirmed nothing.
    pub ignored_acks: u64,
    /// Errors answered, by the code's place in its table.
    pub errors: [u64; ErrorCode::ALL.len()],
}

impl Delivery {
    /// Empty tables within the limits of `config`. All randomness comes from `seed`.
    pub fn new(config: &Config, seed: [u8; 32]) -> Self {
        let mut random = StdRng::from_seed(seed);
        let hash_seed = std::array::from_fn(|_| random.next_u64());
        let fingerprints = Fingerprints::new(std::array::from_fn(|_| random.next_u64()));
        Self {
            tables: Tables {
                connections: Connections::default(),
                outputs: Outputs::default(),
                sessions: Sessions::new(config.sessions as usize, hash_seed),
                departed: Departed::new(DepartedLimits {
                    connections: config.max_connections as usize,
                    outcomes: OUTCOMES_MAX,
                    outcomes_per_user: OUTCOMES_PER_USER_MAX,
                }),
                history: History::new(HistoryLimits {
                    messages: config.history_messages as usize,
                    bytes: u64::from(config.history_bytes),
                }),
                held: Held::new(HeldLimits { windows: DEBOUNCED_TOPICS_MAX, bytes: HELD_BYTES_MAX }),
                polls: Polls::default(),
                waits: Waits::default(),
                tickets: Tickets::new(config.max_connections as usize * TICKETS_PER_CONNECTION as usize, hash_seed),
                in_flight: InFlight::new(
                    InFlightLimits {
                        copies: IN_FLIGHT_MAX,
                        copies_per_receiver: IN_FLIGHT_PER_RECEIVER_MAX,
                        copies_per_user: IN_FLIGHT_PER_USER_MAX,
                        bytes: usize::try_from(config.memory_bytes / IN_FLIGHT_MEMORY_SHARE).unwrap_or(usize::MAX),
                        retries: config.retry_attempts,
                        timeout_ms: config.ack_timeout_ms,
                    },
                    OutcomeLimits { rows: OUTCOMES_MAX, rows_per_sender: OUTCOMES_PER_USER_MAX },
                ),
                dedup: Dedup::new(DedupLimits { ids_per_user: config.dedup_ids as usize, ids: REMEMBERED_IDS_MAX }),
                messages: Messages::new(usize::try_from(config.memory_bytes).unwrap_or(usize::MAX)),
                timers: Wheel::default(),
            },
            now: Moment::default(),
            random,
            fingerprints,
            life_ms: config.message_expiry_ms,
            retry_limits: QueueLimits {
                messages: (config.queue_messages / RETRY_QUEUE_DIVISOR) as usize,
                bytes: u64::from(config.queue_bytes / RETRY_QUEUE_DIVISOR),
            },
            text: TimestampText::default(),
            scratch: Vec::new(),
            work: 0,
            fed: 0,
            debounce_ms: config.debounce_ms,
            held_bytes: Arc::default(),
            totals: Totals::default(),
        }
    }

    /// The session of this name, made now if there is none. At the limit the one that has been without members longest
    /// goes.
    ///
    /// # Errors
    /// `overloaded` when all have members.
    pub fn open_session(&mut self, name: &str) -> Result<SessionId, ProtocolError> {
        if let Some(id) = self.tables.sessions.find(name) {
            return Ok(id);
        }
        if self.tables.sessions.is_full() && !self.forget_idle(u64::MAX) {
            return Err(OVERLOADED);
        }
        Ok(self.tables.sessions.open(name, self.now.ms()))
    }

    /// Forgets the session that has been without members longest, if that began at `since_ms` or before. Returns whether one is
    /// gone.
    fn forget_idle(&mut self, since_ms: u64) -> bool {
        let tables = &mut self.tables;
        let gone = tables.sessions.remove_idle(since_ms);
        if let Some(session) = gone {
            tables.history.forget(session, &mut tables.messages);
            tables.polls.wake(session);
        }
        gone.is_some()
    }

    /// Forgets messages that are older than `WEBSOCKET_MESSAGE_EXPIRY_TIME`, sessions that had no member for as long, and
    /// old tickets.
    pub fn age(&mut self, life_ms: u64, budget: usize) {
        let (now_ns, now_ms, tables) = (self.now.ns, self.now.ms(), &mut self.tables);
        tables.tickets.expire(now_ms, budget);
        let is_old = |published_ns: u64| published_ns.saturating_add(life_ms * 1_000_000) <= now_ns;
        for _ in 0..EVICTIONS_PER_TICK {
            if !tables.history.oldest_ns(&tables.messages).is_some_and(is_old) {
                break;
            }
            tables.history.evict_oldest(&mut tables.messages);
        }
        let Some(since_ms) = now_ms.checked_sub(life_ms) else {
            return;
        };
        for _ in 0..budget {
            if !self.forget_idle(since_ms) {
                break;
            }
        }
        let tables = &mut self.tables;
        tables.departed.expire(since_ms, budget);
        tables.dedup.expire(since_ms, budget);
    }

    /// When something ages or expires next, in the loop's milliseconds.
    pub fn next_ageing_ms(&self, life_ms: u64) -> Option<u64> {
        let tables = &self.tables;
        let message_ms = tables.history.oldest_ns(&tables.messages).map(|ns| ns.div_ceil(1_000_000) + life_ms);
        let departed_ms = tables.departed.oldest_ms().map(|ms| ms + life_ms);
        let expiry_ms = tables.messages.expiring().next_ns().map(|ns| ns.div_ceil(1_000_000));
        let ticket_ms = tables.tickets.next_due_ms();
        let remembered_ms = tables.dedup.oldest_ms().map(|ms| ms + life_ms);
        let session_ms = tables.sessions.next_expiry_ms(life_ms);
        let due_ms = [message_ms, expiry_ms, session_ms, departed_ms, remembered_ms, ticket_ms];
        due_ms.into_iter().flatten().min()
    }

    /// All that shares `HASHI_MEMORY_BYTES`: stored messages, unfinished input, what waits for handlers.
    pub fn used_bytes(&self) -> usize {
        self.tables.messages.used_bytes() + self.bytes_elsewhere()
    }

    /// As [`Delivery::used_bytes`], but unfinished input counts for half of the limit at most: input that nobody finishes
    /// must not stop everything else.
    pub fn settled_bytes(&self) -> usize {
        let input = self.tables.connections.input_bytes().min(self.tables.messages.bytes_max() / MEMORY_SHARE_DIVISOR);
        self.tables.messages.used_bytes() + self.held_bytes.load(Ordering::Relaxed) + input
    }

    fn bytes_elsewhere(&self) -> usize {
        self.tables.connections.input_bytes() + self.held_bytes.load(Ordering::Relaxed)
    }

    /// The wall clock as it is written.
    pub fn timestamp(&mut self) -> [u8; TIMESTAMP_BYTES] {
        *self.text.get(self.now.unix_ms)
    }

    /// 128 random bits, unguessable.
    pub fn random_u128(&mut self) -> u128 {
        u128::from(self.random.next_u64()) << 64 | u128::from(self.random.next_u64())
    }

    /// A number below `bound`, for jitter.
    pub fn random_below(&mut self, bound: u32) -> u32 {
        self.random.next_u32() % bound.max(1)
    }

    /// A UUIDv7 of now, for the server's own messages.
    pub fn new_id(&mut self) -> String {
        let mut bytes = [0; 10];
        self.random.fill_bytes(&mut bytes);
        Builder::from_unix_timestamp_millis(self.now.unix_ms, &bytes).into_uuid().to_string()
    }
}

/// The answer when memory or the session table is full.
pub const OVERLOADED: ProtocolError = ProtocolError::new(ErrorCode::Overloaded).retry_after(1000);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_over_once_all_of_it_has_passed() {
        let at = |ns| Moment { ns, ..Moment::default() };
        assert_eq!((at(1_000_000).after_ms(5), at(1_000_001).after_ms(5)), (6, 7));
        assert!(
            (1_000_001..=2_000_000_u64)
                .step_by(99_991)
                .all(|ns| at(at(ns).after_ms(5) * 1_000_000).ns - ns >= 5_000_000)
        );
    }
}
