//! Limits that are not variables: what one tick, one row and one peer may take. Each has its unit, its reason and
//! the sum it takes part in.
//!
//! What one tick takes at most is summed up in [`ceiling`](super::ceiling), what the memory may take in
//! [`memory`](super::memory).

/// One tick in so many is measured by stage.
pub const MEASURED_TICKS: u64 = 16;
/// Sockets accepted in one tick. Protects connected clients from a reconnect storm.
pub const ACCEPTS_PER_TICK: usize = 32;
/// Rows read in one tick; the others wait for the next one, first come, first served.
pub const READS_PER_TICK: usize = 256;
/// Rows with something new are read first, and may use this part of a tick's reads, bytes and work while others carry
/// something over: one half.
pub const FRESH_DIVISOR: usize = 2;
/// Bytes read in one tick over all rows.
pub const READ_BYTES_PER_TICK: usize = 512 * 1024;
/// The read buffer, shared by all rows: the most one row brings in by one read.
pub const READ_BUFFER_BYTES: usize = 64 * 1024;
/// Work of one tick outside of system calls. Its unit is one ring push, about 15 ns: a message to 1,000 connections is
/// 1,000. What is not done stays unread.
pub const WORK_PER_TICK: usize = 64 * 1024;
/// Work of one row in one tick, so that no peer takes the others' share: with 100 rows that never stop, each has its turn
/// about every 12 ticks.
pub const WORK_PER_ROW: usize = 8 * 1024;
/// Work of a frame: its header, or a whole control frame.
pub const WORK_PER_FRAME: usize = 8;
/// Work of a message beyond its bytes: its envelope, where it goes, its answer.
pub const WORK_PER_MESSAGE: usize = 24;
/// Work of a copy of a reliable message when it is held, which pays for writing it, too, and when it ends or is sent again:
/// about four look-ups, three chains and a timer.
pub const WORK_PER_COPY: usize = 8;
/// Work of a position that a client comes back with or is told: its look-up, its part of the welcome, and the gap that it may
/// cost.
pub const WORK_PER_POSITION: usize = 128;
/// Work of a request beyond its answer's bytes.
pub const WORK_PER_REQUEST: usize = 256;
/// Bytes of a message or an answer that are worth one unit of work. JSON of nothing but small values, the worst case,
/// costs about 6 ns a byte.
pub const BYTES_PER_WORK: usize = 4;
/// Ring entries waiting for sockets that would take them; beyond it reading pauses until `drain` catches up.
pub const BACKLOG_ENTRIES_MAX: usize = 64 * 1024;
/// Bytes of these entries, each receiver's copy counted; beyond it reading pauses, too.
pub const BACKLOG_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Commands and handler results that are carried out in one tick even where reading has used up its work: what other
/// threads wait for, and the end of the server, must not starve.
pub const COMMANDS_PER_TICK_MIN: usize = 32;
/// Work that looking for connections that give way may take of one tick.
pub const WORK_PER_ACCEPT: usize = WORK_PER_ROW;
/// Commands and handler results taken from other threads in one tick.
pub const COMMANDS_PER_TICK: usize = 256;
/// Timers of rows looked at in one tick, and as many of each other kind: copies to be sent again, handlers that run too long,
/// tickets, sessions, departed connections and remembered ids that are old.
pub const TIMERS_PER_TICK: usize = 256;
/// Writes of one tick, those that carry high messages first. About a millisecond of system calls: what is read meanwhile waits
/// no longer for its turn.
pub const DRAIN_WRITES_PER_TICK: usize = 128;
/// Bytes of these writes.
pub const DRAIN_BYTES_PER_TICK: usize = 1024 * 1024;
/// Writes of rows that hold no high messages in one tick, at least: however many answers there are, others go on.
pub const DRAIN_NORMAL_WRITES_MIN: usize = DRAIN_WRITES_PER_TICK / 2;
/// Bytes of these writes, at least.
pub const DRAIN_NORMAL_BYTES_MIN: usize = DRAIN_BYTES_PER_TICK / 4;
/// Writes of rows that hold only low messages in one tick, at least: one in nine, so that low never starves.
pub const DRAIN_LOW_WRITES_MIN: usize = DRAIN_WRITES_PER_TICK / 8;
/// Rows of one dirty list that are visited in one tick and have nothing to write after all: history feeds them later.
pub const VAIN_VISITS_PER_LIST: usize = 64;
/// Work of one tick that brings stalled rows back within their limits. What is left over counts as backlog, so that the
/// queues of rows that do not read do not outgrow it.
pub const ENFORCE_WORK_PER_TICK: usize = WORK_PER_TICK / 4;
/// Work of one entry in the queue of a row that is over its limits: it is hashed, taken off and put back.
pub const WORK_PER_ENFORCED_ENTRY: usize = 4;
/// A row that conflation leaves with less free room than this part of its limits falls behind: it would be over them with
/// the next messages again, and each time its whole queue is looked through.
pub const ROOM_DIVISOR: u64 = 4;
/// One batch: the most one row writes in one tick, unless one message is larger.
pub const BATCH_BYTES: usize = 64 * 1024;
/// Messages up to this size are gathered into one buffer; a batch with a larger one is written with `writev`.
pub const GATHER_BYTES_MAX: usize = 4 * 1024;
/// Most messages of one array frame. Its bytes are those of one batch at most.
pub const ARRAY_MESSAGES_MAX: usize = 64;
/// Most results of one `ack`: [`OUTCOMES_PER_USER_MAX`] of them come in 16 messages, of about 16 KiB.
pub const RESULTS_MAX: usize = 128;
/// Most messages of one batch that is written with `writev`.
pub const WRITEV_SLICES_MAX: usize = 64;

/// Messages that history feeds to one row at once, and most work that feeding may take of one tick.
pub const FEED_MESSAGES: usize = 128;
/// See [`FEED_MESSAGES`]. Replay leaves the larger part of a tick to live messages.
pub const FEED_WORK_PER_TICK: usize = WORK_PER_TICK / 4;
/// Kept messages that may be evicted to make room for one new message.
pub const EVICTIONS_PER_MESSAGE: usize = 64;
/// Kept messages that may be evicted in one tick because they are old.
pub const EVICTIONS_PER_TICK: usize = 1024;
/// Topics that are held back at a time: sessions, types and keys. Further ones are published as they come.
pub const DEBOUNCED_TOPICS_MAX: usize = 8192;
/// Bytes of messages that are held back. What does not fit is published at once.
pub const HELD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Windows of held messages that end in one tick.
pub const RELEASES_PER_TICK: usize = 112;
/// Those that end in one tick even where reading has used up its work.
pub const RELEASES_PER_TICK_MIN: usize = 32;
/// Work of one tick that takes messages out which have expired.
pub const EXPIRY_WORK_PER_TICK: usize = WORK_PER_TICK / 8;
/// Ranges of expired positions that one session remembers for clients that come back.
pub const EXPIRED_RANGES_MAX: usize = 16;
/// Losses that one row is owed before those that could be told apart are told as one.
pub const OWED_APART_MAX: usize = 16;
/// Sessions whose positions one `authentication` may name.
pub const RESUME_POSITIONS_MAX: usize = 256;
/// Connections that a connection goes on for, one after the other, and knows: what is hidden from earlier ones may come back
/// to it.
pub const LINEAGE_MAX: usize = 16;
/// A client is told its positions at most so often, in milliseconds.
pub const POSITION_INTERVAL_MS: u64 = 1_000;

/// A quiet event stream gets a comment so often, in milliseconds: proxies cut what is silent for 30 s or more.
pub const EVENTS_COMMENT_MS: u64 = 15_000;
/// A poll waits so long for a message, in milliseconds: less than the 30 s that proxies wait for an answer.
pub const POLL_WAIT_MS: u64 = 25_000;
/// Messages in one answer to a poll.
pub const POLL_MESSAGES_MAX: usize = 256;
/// Bytes of messages in one answer to a poll; one message may be larger.
pub const POLL_BYTES_MAX: usize = 256 * 1024;
/// Polls that are answered in one tick even where reading has used up its work: they must not starve.
pub const POLLS_PER_TICK_MIN: usize = 4;
/// A ticket must be used within this, in milliseconds.
pub const TICKET_OPEN_MS: u64 = 60_000;
/// A ticket that was used, and that no connection holds, is valid so long after its last use, in milliseconds: who
/// comes back later asks for another.
pub const TICKET_IDLE_MS: u64 = 10 * 60_000;
/// No ticket is valid longer than this, in milliseconds: a day, as tokens of development mode have no end.
pub const TICKET_LIFE_MS: u64 = 24 * 3_600_000;
/// Tickets of one user that no connection holds; the newest replaces the oldest.
pub const TICKETS_PER_USER_MAX: usize = 16;

/// Copies of reliable messages that wait to be confirmed, over all receivers: a message to more of them than there is room
/// for is refused.
pub const IN_FLIGHT_MAX: usize = 128 * 1024;
/// Those of one receiver: beyond it its oldest is given up, so that one that never confirms does not take the others' room.
pub const IN_FLIGHT_PER_RECEIVER_MAX: usize = 1024;
/// Those of one user's connections together, ended ones included: a sixteenth of all, so that it takes many users to fill the
/// table.
pub const IN_FLIGHT_PER_USER_MAX: usize = IN_FLIGHT_MAX / 16;
/// The part of `HASHI_MEMORY_BYTES` that messages may take while copies of them are in flight, one over this: nothing evicts
/// them. Beyond it reliable messages are refused, and all others are not.
pub const IN_FLIGHT_MEMORY_SHARE: u64 = 4;
/// The part of a queue that retries fill at most, one over this: the rest is for what is new.
pub const RETRY_QUEUE_DIVISOR: u32 = 2;
/// Bytes of messages that are copied for their first retries in one tick, of what reading has left of its work, and as many for
/// one take-over: a quarter of that work. What is left is due at once.
pub const RETRY_BYTES_PER_TICK: usize = WORK_PER_TICK / 4 * BYTES_PER_WORK;
/// A copy that is due again while its receiver's queue is half full waits so long, in milliseconds: about as long as a socket
/// that takes bytes needs for that.
pub const RETRY_PAUSE_MS: u64 = 50;
/// Messages whose confirmations are counted for their senders; beyond it more are refused.
pub const OUTCOMES_MAX: usize = 16 * 1024;
/// Those of one user, and as many that are settled and wait for the user's clients: an eighth of all, so that one who asks for
/// everything leaves room for others.
pub const OUTCOMES_PER_USER_MAX: usize = OUTCOMES_MAX / 8;
/// Messages that tell senders of outcomes in one tick even where reading has used up its work: they must not starve.
pub const OUTCOMES_PER_TICK_MIN: usize = 16;
/// Ids remembered over all users: beyond it the oldest is forgotten.
pub const REMEMBERED_IDS_MAX: usize = 128 * 1024;
/// Longest time a request may ask to wait for confirmations, in milliseconds.
pub const OUTCOME_WAIT_MAX_MS: u64 = 25_000;
/// How long a request waits for confirmations if it does not say, in milliseconds.
pub const OUTCOME_WAIT_MS: u64 = 2_000;

/// Weight of normal against low messages, in bytes.
pub const NORMAL_WEIGHT: i32 = 8;

/// Sockets beyond `WEBSOCKET_MAX_CONNECTIONS` that stay free for short HTTP exchanges.
pub const HTTP_SOCKETS: u32 = 64;
/// Those of them that requests which wait for confirmations leave free: health checks are answered on a full server.
pub const HTTP_SOCKETS_AT_ONCE: u32 = HTTP_SOCKETS / 2;
/// A listener's queue of sockets not accepted yet.
pub const LISTEN_BACKLOG: i32 = 4096;
/// Bytes a socket holds that the network has not taken: `high` waits for these and one batch, not for megabytes.
pub const NOT_SENT_LOW_WATER_BYTES: u32 = 64 * 1024;
/// A warning comes when this share of the connections is used, in percent.
pub const WARN_CONNECTIONS_PERCENT: usize = 80;
/// Accept errors in one tick, other than a lack of descriptors, after which accepting pauses.
pub const ACCEPT_ERRORS_MAX: usize = 8;
/// Rows that are told in one tick that the server goes away. It comes before reading, so it must leave most of the work.
pub const ROWS_TOLD_PER_TICK: usize = 64;
/// Work of telling one.
pub const WORK_PER_ROW_TOLD: usize = 128;
/// The share of the drain window in which connections are closed, in percent; the rest is for what they have queued.
pub const DRAIN_CLOSES_PERCENT: u64 = 75;
/// How long accepting pauses when the process is out of file descriptors, in milliseconds.
pub const ACCEPT_PAUSE_MS: u64 = 100;

/// A request's head must be complete this long after its connection opened or its first byte came, in milliseconds.
pub const HEAD_DEADLINE_MS: u64 = 5_000;
/// A request's body must be complete this long after its head, in milliseconds.
pub const BODY_DEADLINE_MS: u64 = 15_000;
/// A kept-alive connection without a request closes after this, in milliseconds.
pub const KEEP_ALIVE_MS: u64 = 15_000;
/// Requests of one connection that may wait for their answers to be written.
pub const PIPELINE_MAX: u32 = 16;
/// A closing row's last bytes must be written after this, in milliseconds: a slow reader gets them, one that drips does
/// not keep its row.
pub const FLUSH_DEADLINE_MS: u64 = 30_000;
/// A close frame or last answer was sent and the peer does not close: the socket is dropped after this, in milliseconds.
pub const LINGER_MS: u64 = 3_000;
/// A fragmented message must be complete after this, in milliseconds.
pub const FRAGMENTED_DEADLINE_MS: u64 = 30_000;
/// Pings a client may send at once.
pub const PING_BURST: u32 = 20;
/// Pings a client may send per second, beyond the burst.
pub const PINGS_PER_SECOND: u64 = 10;
/// Bad messages a connection may send in [`BAD_MESSAGE_WINDOW_MS`].
pub const BAD_MESSAGES_MAX: u32 = 20;
/// The window in which bad messages are counted, in milliseconds.
pub const BAD_MESSAGE_WINDOW_MS: u64 = 60_000;
/// When the server is full, an unauthenticated connection older than this gives way, in milliseconds.
pub const UNAUTHENTICATED_GRACE_MS: u64 = 1_000;
/// Answers of an echo or HTTP row that wait to be written, in bytes, before reading pauses.
pub const UNREAD_ANSWERS_BYTES_MAX: u64 = 1024 * 1024;

/// Answers of a message connection that wait to be written before reading from it pauses, and the share of its queue that
/// they may take, in percent: what a client asks for must not bring it over `WEBSOCKET_MESSAGE_QUEUE_SIZE`. The rest is for
/// what one message more brings, and for what others publish.
pub const UNREAD_ANSWERS_MAX: usize = 256;
/// See [`UNREAD_ANSWERS_MAX`].
pub const UNREAD_ANSWERS_PERCENT: usize = 75;

/// Messages of one connection that wait for its handler.
pub const MAILBOX_MAX: usize = 32;
/// Messages of all connections that wait for a free worker.
pub const JOBS_MAX: usize = 1024;
/// Commands from other threads that wait for the loop.
pub const COMMANDS_MAX: usize = 4096;

/// The shortest and longest back-off a client is asked to keep, in milliseconds.
pub const RECONNECT_MIN_MS: u64 = 500;
/// See [`RECONNECT_MIN_MS`].
pub const RECONNECT_MAX_MS: u64 = 30_000;
/// `Retry-After` of a refusal: at least this, and up to twice as long by chance, in seconds.
pub const RETRY_AFTER_S: u32 = 2;

/// Resolution of the timing wheel in milliseconds.
pub const WHEEL_TICK_MS: u64 = 8;
/// Buckets of the timing wheel: one turn is 32.8 s, longer times take more turns.
pub const WHEEL_BUCKETS: usize = 4096;

/// Longest type name in bytes.
pub const TYPE_BYTES_MAX: usize = 64;
/// Longest `id` and `replyTo` in bytes.
pub const ID_BYTES_MAX: usize = 128;
/// Longest session name in bytes.
pub const SESSION_BYTES_MAX: usize = 255;
/// Longest `key` in bytes.
pub const KEY_BYTES_MAX: usize = 128;
/// Longest `meta` object in bytes, as written.
pub const META_BYTES_MAX: usize = 1024;
/// Deepest nesting of a payload; the envelope adds one.
pub const PAYLOAD_DEPTH_MAX: usize = 32;
/// Members an envelope may have that the protocol does not know. It bounds the search for duplicates.
pub const UNKNOWN_MEMBERS_MAX: usize = 32;
/// Scratch memory that grew beyond this for one large message is given back, in bytes.
pub const SCRATCH_BYTES_KEPT: usize = 128 * 1024;

/// Bytes of a whole request head, leading blank lines and the final CRLF included. What browsers send is under 4 KiB
/// with cookies; the kept bytes of all connections whose head is incomplete are bounded by this.
pub const HEAD_BYTES_MAX: usize = 8192;
/// Fields of a head. Browsers send about 20, proxies add about 10.
pub const HEADERS_MAX: usize = 64;
/// Bytes of one field line without its CRLF. A bearer token of 2 to 3 KiB must fit.
pub const LINE_BYTES_MAX: usize = 4096;
/// Bytes of the request target. The longest route carries a percent-encoded session id, 3 * 255 bytes.
pub const TARGET_BYTES_MAX: usize = 2048;
/// Bytes of a method. The longest registered one has 17; more is noise on the port.
pub const METHOD_BYTES_MAX: usize = 32;
/// Blank lines skipped before a request line: old clients end a body with one too many (RFC 9112 section 2.2).
pub const BLANK_LINES_MAX: usize = 2;
/// Bytes between a chunk's size and its CRLF. No extension has a meaning here; signed uploads use about 90.
pub const CHUNK_EXTENSION_BYTES_MAX: usize = 256;
/// Bytes of all trailer fields together. They are read and dropped.
pub const TRAILER_BYTES_MAX: usize = 4096;
/// Empty fragments in a row before the connection fails: they cost work and bring nothing.
pub const EMPTY_FRAGMENTS_MAX: u32 = 64;
/// Most connections that one answer lists; `count` always tells all. It bounds the time one request takes of the loop.
pub const LISTED_MAX: usize = 1000;
/// Entries of one block of a ring: with the link to the next block they fill a cache line.
pub const BLOCK_ENTRIES: usize = 15;
/// Free blocks of rings kept when all rings are empty; more are given back.
pub const BLOCKS_KEPT: usize = 4096;
/// Ticks between two checks of all tables in a debug build.
pub const CHECKED_TICKS: u64 = 64;
/// One half: the most of `HASHI_MEMORY_BYTES` that unfinished input, or raw bytes that wait to be written (echoes, large answers),
/// may make up. Input that nobody finishes, and answers that nobody reads, must not stop all messages.
pub const MEMORY_SHARE_DIVISOR: usize = 2;
/// One half of `WEBSOCKET_MESSAGE_EXPIRY_TIME`: a poll waits no longer, so that a session without members outlives the wait and
/// the way to the next poll.
pub const POLL_WAIT_DIVISOR: u64 = 2;
/// Scratch buffers for what one batch becomes are kept up to this size, in bytes: a batch, and as much again for the frame of an
/// array or the lines of events.
pub const BATCH_SCRATCH_BYTES_KEPT: usize = 2 * BATCH_BYTES;
/// Replaced entries that a session's log may hold beyond as many as it has kept ones, before they are swept out: a sweep is
/// O(log), so short logs are left alone for a while. They are counted for each log in `LOG_BYTES`.
pub const REPLACED_MAX: usize = 16;
/// The smallest buffer for a message, in bytes; the others double it. Most messages of an application fit.
pub const BUFFER_BYTES_MIN: usize = 256;
/// Sizes of buffers that are kept for reuse: 256 B to 64 KiB. Larger buffers are freed.
pub const BUFFER_SIZES: usize = 9;
/// Free buffers kept over all sizes, in bytes.
pub const FREE_BYTES_KEPT: usize = 8 * 1024 * 1024;

const _: () = assert!(IN_FLIGHT_PER_RECEIVER_MAX <= IN_FLIGHT_PER_USER_MAX);
const _: () = assert!(IN_FLIGHT_PER_USER_MAX <= IN_FLIGHT_MAX);
const _: () = assert!(BATCH_BYTES >= GATHER_BYTES_MAX);
const _: () = assert!(BATCH_BYTES <= DRAIN_BYTES_PER_TICK);
const _: () = assert!(TICKET_OPEN_MS <= TICKET_IDLE_MS && TICKET_IDLE_MS <= TICKET_LIFE_MS);
const _: () = assert!(ROWS_TOLD_PER_TICK * WORK_PER_ROW_TOLD <= WORK_PER_TICK / 4);
const _: () = assert!(WORK_PER_ROW <= WORK_PER_TICK);
const _: () = assert!(RESUME_POSITIONS_MAX * WORK_PER_POSITION <= WORK_PER_TICK);
const _: () = assert!(READ_BUFFER_BYTES <= READ_BYTES_PER_TICK);
const _: () = assert!(WHEEL_BUCKETS.is_power_of_two());
const _: () = assert!(BUFFER_BYTES_MIN.is_power_of_two() && BUFFER_BYTES_MIN << (BUFFER_SIZES - 1) <= FREE_BYTES_KEPT);
const _: () = assert!(METHOD_BYTES_MAX + TARGET_BYTES_MAX + " HTTP/1.1 \r\n".len() <= LINE_BYTES_MAX);
const _: () = assert!(LINE_BYTES_MAX + TARGET_BYTES_MAX < HEAD_BYTES_MAX);
