//! The memory that a configuration allows at worst, as sums that can be followed by hand.
//!
//! The constants are upper bounds for one row of a table with its share of the index, padding and spare capacity
//! included. Not counted: the kernel's socket buffers, the allocator's own overhead, and the program itself.

use super::Config;
use super::limits::{
    BACKLOG_ENTRIES_MAX, BATCH_BYTES, BLOCK_ENTRIES, DEBOUNCED_TOPICS_MAX, FREE_BYTES_KEPT, HEAD_BYTES_MAX,
    HELD_BYTES_MAX, HTTP_SOCKETS, IN_FLIGHT_MAX, LINEAGE_MAX, OUTCOMES_MAX, OWED_APART_MAX, REMEMBERED_IDS_MAX,
    WORK_PER_TICK,
};

/// One stored message beside its buffer: its row, its links and entries in history, its topic, its time to expire. Counted
/// with `HASHI_MEMORY_BYTES`.
pub const MESSAGE_ROW_BYTES: u64 = 544;

/// One connection: hot and cold columns, its entries in side tables, its timers. Input that is not complete is counted with
/// `HASHI_MEMORY_BYTES`.
pub const ROW_BYTES: u64 = 1024;

/// What one row is owed in one of its sessions: three cursors and their entry in the index, a position, and a range of losses for
/// each reason.
pub const CATCH_UP_BYTES: u64 = 592;

/// One more loss that is told apart.
pub const LOSS_BYTES: u64 = 64;

/// The history of one session besides its messages: its row, replaced entries, ranges that have expired.
pub const LOG_BYTES: u64 = 1536;

/// One session: its name, its row, its entry in the index.
pub const SESSION_BYTES: u64 = 512;

/// One connection that has ended and that a client may go on for: its row, its entry in the index, its lineage.
pub const DEPARTURE_BYTES: u64 = 1024;

/// The lineage of one connection.
pub const LINEAGE_BYTES: u64 = 640;

const _: () = assert!(LINEAGE_MAX * size_of::<(u64, u64)>() < LINEAGE_BYTES as usize);

/// One session in the list of a connection that has ended.
pub const LISTED_SESSION_BYTES: u64 = 16;

/// One edge between a connection and a session, seen from both sides.
pub const MEMBERSHIP_BYTES: u64 = 32;

/// One copy of a reliable message in flight: its row, four chains, a timer, and its shares of the rows of its message, its
/// receiver, its user and its label, as if it were the only one of each.
pub const IN_FLIGHT_BYTES: u64 = 512;

/// One outcome: its row, the message's id, who is to be told; and one that is settled and waits for its sender.
pub const OUTCOME_BYTES: u64 = 384 + 256;

/// One remembered id: its row, two chains, and its share of the indexes.
pub const REMEMBERED_ID_BYTES: u64 = 320;

/// One block of a ring: [`RING_BLOCK_ENTRIES`] ids of four bytes and the link to the next block.
pub const RING_BLOCK_BYTES: u64 = 64;

/// Messages in one block of a ring.
pub const RING_BLOCK_ENTRIES: u64 = BLOCK_ENTRIES as u64;

const _: () = assert!(RING_BLOCK_ENTRIES * 4 + 4 == RING_BLOCK_BYTES);

/// Blocks that are only partly used: the first and the last one of each of the three rings.
pub const RING_PARTIAL_BLOCKS: u64 = 6;

/// Ring entries that rows whose sockets are open may have before reading pauses; one fan-out may go beyond it.
const OPEN_ENTRIES: u64 = (BACKLOG_ENTRIES_MAX + WORK_PER_TICK) as u64;

/// The read buffer, the gather buffer, and what else the loop has once.
pub const SHARED_BUFFERS_BYTES: u64 = 1 << 20;

/// The JSON parser's buffers per byte of the largest message: a copy, unescaped strings, an index of four bytes and a
/// node of 24 bytes, as if every byte were a value of its own.
pub const PARSER_BYTES_PER_BYTE: u64 = 32;

/// One topic that is held back: its window, and a message without its payload and `meta`.
pub const HELD_TOPIC_BYTES: u64 = 1024;

/// The text of a stream's batch per byte of its messages, as if every byte were a line end: each line begins with `data: `.
pub const EVENT_BYTES_PER_BYTE: u64 = 7;

/// One ticket: its user and session, its entries in the index and the lists.
pub const TICKET_BYTES: u64 = 1024;

/// Tickets for one connection.
pub const TICKETS_PER_CONNECTION: u64 = 2;

/// One request that waits for a message or an outcome: its page's origin and the names of its sessions, which came in one head,
/// where it stands, its entries in the index.
pub const WAITING_REQUEST_BYTES: u64 = 12 * 1024;

/// Threads besides the workers: the loop and signals.
pub const OTHER_THREADS: u64 = 2;

/// Workers that may exist at a time for one that is configured: it, and one given up whose handler still runs.
pub const THREADS_PER_WORKER: u64 = 2;

/// The stack of a thread, as the standard library reserves it. Only what is touched becomes memory.
pub const STACK_BYTES: u64 = 2 << 20;

/// What each part may take at most: the sum written out, and its result in bytes.
pub fn worst_case_memory(config: &Config) -> Vec<(String, u64)> {
    let rows = u64::from(config.max_connections) + u64::from(HTTP_SOCKETS);
    vec![
        connections(config, rows),
        rings(config, rows),
        pushes(rows),
        memberships(config, rows),
        catch_up(config, rows),
        departures(config, rows),
        sessions(config),
        ("messages, unfinished input and what waits for handlers: HASHI_MEMORY_BYTES".to_owned(), config.memory_bytes),
        small_input(rows),
        held(),
        confirmation(),
        remembered(),
        ("buffers of messages kept for the next ones".to_owned(), FREE_BYTES_KEPT as u64),
        parser(config),
        event_text(config),
        tickets(config),
        waiting_requests(rows),
        ("shared buffers of the loop".to_owned(), SHARED_BUFFERS_BYTES),
        stacks(config),
    ]
}

fn connections(config: &Config, rows: u64) -> (String, u64) {
    let sum = format!("({} + {HTTP_SOCKETS} sockets for HTTP) x {ROW_BYTES}", config.max_connections);
    (format!("connections: {sum}"), rows * ROW_BYTES)
}

fn rings(config: &Config, rows: u64) -> (String, u64) {
    let blocks = u64::from(config.queue_messages).div_ceil(RING_BLOCK_ENTRIES) + RING_PARTIAL_BLOCKS;
    let sum = format!(
        "{rows} sockets x ({} / {RING_BLOCK_ENTRIES} rounded up + {RING_PARTIAL_BLOCKS}) blocks x {RING_BLOCK_BYTES}",
        config.queue_messages
    );
    (format!("queues: {sum}"), rows * blocks * RING_BLOCK_BYTES)
}

fn pushes(rows: u64) -> (String, u64) {
    let entries = OPEN_ENTRIES + rows;
    let sum = format!("{entries} / {RING_BLOCK_ENTRIES} rounded up x {RING_BLOCK_BYTES}");
    let bytes = entries.div_ceil(RING_BLOCK_ENTRIES) * RING_BLOCK_BYTES;
    (format!("queues between two looks at their limits: {sum}"), bytes)
}

fn memberships(config: &Config, rows: u64) -> (String, u64) {
    let edges = u64::from(config.sessions_per_connection) + 1;
    let sum = format!("{rows} sockets x ({} + the personal one) x {MEMBERSHIP_BYTES}", config.sessions_per_connection);
    (format!("memberships: {sum}"), rows * edges * MEMBERSHIP_BYTES)
}

fn departures(config: &Config, rows: u64) -> (String, u64) {
    let listed = u64::from(config.sessions_per_connection);
    let one = DEPARTURE_BYTES + listed * LISTED_SESSION_BYTES;
    let sum = format!(
        "{} x ({DEPARTURE_BYTES} + {listed} x {LISTED_SESSION_BYTES}) + {rows} sockets x {LINEAGE_BYTES}",
        config.max_connections
    );
    (format!("take-over of connections: {sum}"), u64::from(config.max_connections) * one + rows * LINEAGE_BYTES)
}

fn catch_up(config: &Config, rows: u64) -> (String, u64) {
    let (sessions, losses) = (u64::from(config.sessions_per_connection) + 1, OWED_APART_MAX as u64);
    let each = sessions * CATCH_UP_BYTES + losses * LOSS_BYTES;
    let sum = format!("{rows} sockets x ({sessions} sessions x {CATCH_UP_BYTES} + {losses} losses x {LOSS_BYTES})");
    (format!("what rows are owed: {sum}"), rows * each)
}

fn sessions(config: &Config) -> (String, u64) {
    let sum = format!("{} x ({SESSION_BYTES} + {LOG_BYTES} for its history)", config.sessions);
    (format!("sessions: {sum}"), u64::from(config.sessions) * (SESSION_BYTES + LOG_BYTES))
}

/// Input this small stays even at the limit of memory.
fn small_input(rows: u64) -> (String, u64) {
    let bytes = HEAD_BYTES_MAX as u64;
    (format!("small unfinished input: {rows} sockets x {bytes}"), rows * bytes)
}

fn held() -> (String, u64) {
    let sum = format!("{DEBOUNCED_TOPICS_MAX} x {HELD_TOPIC_BYTES} + {HELD_BYTES_MAX}");
    (
        format!("messages that are held back: {sum}"),
        DEBOUNCED_TOPICS_MAX as u64 * HELD_TOPIC_BYTES + HELD_BYTES_MAX as u64,
    )
}

fn confirmation() -> (String, u64) {
    let (copies, outcomes) = (IN_FLIGHT_MAX as u64, OUTCOMES_MAX as u64);
    let sum = format!("{copies} copies x {IN_FLIGHT_BYTES} + {outcomes} outcomes x {OUTCOME_BYTES}");
    (format!("confirmation: {sum}"), copies * IN_FLIGHT_BYTES + outcomes * OUTCOME_BYTES)
}

fn remembered() -> (String, u64) {
    let ids = REMEMBERED_IDS_MAX as u64;
    (format!("remembered ids: {ids} x {REMEMBERED_ID_BYTES}"), ids * REMEMBERED_ID_BYTES)
}

fn parser(config: &Config) -> (String, u64) {
    let largest = u64::from(config.max_service_message_bytes);
    let sum = format!("largest message of {largest} x {PARSER_BYTES_PER_BYTE}");
    (format!("JSON parser: {sum}"), largest * PARSER_BYTES_PER_BYTE)
}

fn event_text(config: &Config) -> (String, u64) {
    let largest = u64::from(config.max_service_message_bytes).max(BATCH_BYTES as u64);
    let sum = format!("batch or message of {largest} x {EVENT_BYTES_PER_BYTE}");
    (format!("text of an event stream: {sum}"), largest * EVENT_BYTES_PER_BYTE)
}

fn tickets(config: &Config) -> (String, u64) {
    let sum = format!("{} x {TICKETS_PER_CONNECTION} x {TICKET_BYTES}", config.max_connections);
    (format!("tickets: {sum}"), u64::from(config.max_connections) * TICKETS_PER_CONNECTION * TICKET_BYTES)
}

/// A row has one at most.
fn waiting_requests(rows: u64) -> (String, u64) {
    (format!("waiting requests: {rows} sockets x {WAITING_REQUEST_BYTES}"), rows * WAITING_REQUEST_BYTES)
}

fn stacks(config: &Config) -> (String, u64) {
    let threads = u64::from(config.workers) * THREADS_PER_WORKER + OTHER_THREADS;
    let sum = format!("({} workers x {THREADS_PER_WORKER} + {OTHER_THREADS}) x {STACK_BYTES}", config.workers);
    (format!("stacks of threads: {sum}"), threads * STACK_BYTES)
}

#[cfg(test)]
mod tests {
    use super::super::table::VARIABLES;
    use super::super::variable::Kind;
    use super::*;

    #[test]
    fn the_sums_of_the_default() {
        let bytes: Vec<u64> = worst_case_memory(&Config::default()).into_iter().map(|(_, bytes)| bytes).collect();
        let expected = [
            164 * 1024,
            164 * (4 + 6) * 64,
            8750 * 64,
            164 * 17 * 32,
            164 * (17 * 592 + 16 * 64),
            100 * (1024 + 16 * 16) + 164 * 640,
            100_000 * (512 + 1536),
            256 << 20,
            164 * 8192,
            8192 * 1024 + (8 << 20),
            131_072 * 512 + 16_384 * 640,
            131_072 * 320,
            8 << 20,
            (1 << 20) * 32,
            (1 << 20) * 7,
            100 * 2 * 1024,
            164 * 12 * 1024,
            1 << 20,
            (4 * 2 + 2) * (2 << 20),
        ];
        assert_eq!(bytes, expected);
    }

    #[test]
    fn the_largest_configuration_does_not_overflow() {
        let mut config = Config::default();
        for variable in &VARIABLES {
            if let Kind::Number(_, range, _) = &variable.kind {
                variable.read(&mut config, &range.end().to_string()).expect(variable.name);
            }
        }
        let rows = worst_case_memory(&config);
        let total = rows.iter().try_fold(0u64, |sum, (_, bytes)| sum.checked_add(*bytes));
        assert!(total.is_some_and(|total| total > config.memory_bytes));
    }
}
