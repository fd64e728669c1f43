//! Systems over the tables: publishing, answering, what happens when a queue overflows. No I/O; the time is an argument.

pub mod overflow;
mod publish;

pub use publish::{Answer, Author, Publication, Published};

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use uuid::Builder;

use crate::config::Config;
use crate::message::timestamp::{TIMESTAMP_BYTES, TimestampText};
use crate::message::{ErrorCode, ProtocolError};
use crate::tables::{Connections, Messages, Outputs, Sessions, Tables, Wheel};

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
}

/// The tables and what it takes to make messages for them: the time, randomness and scratch memory.
pub struct Delivery {
    /// All tables.
    pub tables: Tables,
    /// The time of this tick.
    pub now: Moment,
    random: StdRng,
    text: TimestampText,
    scratch: Vec<u8>,
    /// Work since the tick began, in ring pushes and what takes as long as so many.
    pub work: usize,
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
    /// Copies dropped by a full queue, each declared by a `hashi:gap`.
    pub dropped: u64,
    /// Errors answered, by the code's place in its table.
    pub errors: [u64; ErrorCode::ALL.len()],
}

impl Delivery {
    /// Empty tables within the limits of `config`. All randomness comes from `seed`.
    pub fn new(config: &Config, seed: [u8; 32]) -> Self {
        let mut random = StdRng::from_seed(seed);
        let hash_seed = std::array::from_fn(|_| random.next_u64());
        Self {
            tables: Tables {
                connections: Connections::default(),
                outputs: Outputs::default(),
                sessions: Sessions::new(config.sessions as usize, hash_seed),
                messages: Messages::new(usize::try_from(config.memory_bytes).unwrap_or(usize::MAX)),
                timers: Wheel::default(),
            },
            now: Moment::default(),
            random,
            text: TimestampText::default(),
            scratch: Vec::new(),
            work: 0,
            held_bytes: Arc::default(),
            totals: Totals::default(),
        }
    }

    /// All that shares `HASHI_MEMORY_BYTES`: stored messages, unfinished input, what waits for handlers.
    pub fn used_bytes(&self) -> usize {
        self.tables.messages.used_bytes() + self.bytes_elsewhere()
    }

    /// As [`Delivery::used_bytes`], but unfinished input counts for half of the limit at most: input that nobody finishes
    /// must not stop everything else.
    pub fn settled_bytes(&self) -> usize {
        let input = self.tables.connections.input_bytes().min(self.tables.messages.bytes_max() / 2);
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
