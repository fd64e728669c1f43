//! Stored messages: immutable frames, encoded once, with a plain reference count.
//!
//! Their bytes lie in buffers of a few sizes that are used again. The bytes in use have a limit: beyond it nothing more
//! is stored, and the answer is `overloaded`.

use slab::Slab;

use super::expiring::Expiring;
use super::fingerprints::Label;
use super::{History, MessageId, SessionId};
use crate::config::limits::{BUFFER_BYTES_MIN, BUFFER_SIZES, FREE_BYTES_KEPT, MEMORY_SHARE_DIVISOR};
use crate::config::memory::MESSAGE_ROW_BYTES;
use crate::message::Priority;

/// Where a message belongs and what replaces it.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The session it was published to.
    pub session: SessionId,
    /// Its position there.
    pub seq: u64,
}

/// What a message replaces older ones of: a hash of session, type and key. It is 128 bits wide under this server's own
/// seed, so that two topics never meet in practice and nobody can make them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Topic(pub(super) u128);

/// What is known of a stored message besides its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// The ring it travels in.
    pub priority: Priority,
    /// Its session and position; `None` for messages without a sequence.
    pub place: Option<Place>,
    /// Set for keyed messages.
    pub topic: Option<Topic>,
    /// When it was published, monotonic nanoseconds; zero for what is not measured.
    pub published_ns: u64,
    /// The [key](super::connections::key_of) of the connection that does not get it, zero for none.
    pub hidden_from: u64,
    /// When it expires, monotonic nanoseconds; zero for never.
    pub expires_ns: u64,
    /// The label of the id of a message that receivers are asked to confirm, zero for others.
    pub label: Label,
}

impl Description {
    /// Of a message that is in no session.
    pub const fn plain(priority: Priority, published_ns: u64) -> Self {
        Self { priority, place: None, topic: None, published_ns, hidden_from: 0, expires_ns: 0, label: 0 }
    }

    /// When nobody is asked to confirm it any more, in milliseconds: after `life_ms`, or at its own expiry before that, and not
    /// a part of a millisecond too early, or the copies in flight would end before the message has expired.
    pub fn end_ms(&self, life_ms: u64) -> u64 {
        let end_ms = self.published_ns / 1_000_000 + life_ms;
        if self.expires_ns == 0 { end_ms } else { end_ms.min(self.expires_ns.div_ceil(1_000_000)) }
    }

    /// Whether it is a copy of a reliable message that is sent again.
    pub const fn is_retry(&self) -> bool {
        self.label != 0 && self.place.is_none() && self.published_ns == 0
    }

    /// Whether it is past a time of its own.
    pub const fn is_expired(&self, now_ns: u64) -> bool {
        self.expires_ns != 0 && self.expires_ns <= now_ns
    }
}

struct Stored {
    frame: Vec<u8>,
    references: u32,
    /// How many of the references are not of queues: history and what is in flight keep messages, too.
    kept: u8,
    /// Whether everybody it was first queued for has it.
    is_delivered: bool,
    description: Description,
}

/// What dropping a reference led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Released {
    /// The message is gone; its id may come back as another one.
    pub is_freed: bool,
    /// For the first time, no queue holds it any more.
    pub is_delivered: bool,
}

/// The table.
pub struct Messages {
    rows: Slab<Stored>,
    expiring: Expiring,
    free: [Vec<Vec<u8>>; BUFFER_SIZES],
    free_bytes: usize,
    used_bytes: usize,
    bytes_max: usize,
}

/// The server holds as many bytes of messages as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

fn size_class(bytes: usize) -> usize {
    (bytes.next_power_of_two().max(BUFFER_BYTES_MIN) / BUFFER_BYTES_MIN).trailing_zeros() as usize
}

/// What a frame takes: a buffer of one of the sizes, or one of its own.
fn buffer_bytes(bytes: usize) -> usize {
    let class = size_class(bytes);
    if class < BUFFER_SIZES { BUFFER_BYTES_MIN << class } else { bytes }
}

/// What a message takes with a buffer of `buffer` bytes.
const fn charged_bytes(buffer: usize) -> usize {
    buffer + MESSAGE_ROW_BYTES as usize
}

// Its row in a table that may have grown to twice what is in it, and its shares of the other tables.
const _: () = assert!(
    2 * size_of::<Stored>() + History::BYTES_PER_MESSAGE + Expiring::BYTES_PER_MESSAGE <= MESSAGE_ROW_BYTES as usize
);

impl Messages {
    /// An empty table that stores at most `bytes_max` bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            rows: Slab::new(),
            expiring: Expiring::default(),
            free: Default::default(),
            free_bytes: 0,
            used_bytes: 0,
            bytes_max,
        }
    }

    /// Messages stored.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Most bytes that may be stored.
    pub const fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Bytes of the buffers in use, and of what all tables hold beside each.
    pub const fn used_bytes(&self) -> usize {
        self.used_bytes
    }

    /// What the message counts for in [`Messages::used_bytes`].
    pub fn charged(&self, id: MessageId) -> usize {
        charged_bytes(self.rows[id.0 as usize].frame.capacity())
    }

    /// Stores a copy of `frame` with one reference, the caller's. `elsewhere` is what other tables hold under the same
    /// limit, in bytes; it counts for half of the limit at most, so that input nobody finishes cannot stop all messages.
    ///
    /// # Errors
    /// [`OutOfMemory`] at the limit.
    pub fn store(
        &mut self,
        frame: &[u8],
        description: Description,
        elsewhere: usize,
    ) -> Result<MessageId, OutOfMemory> {
        self.check_room(frame.len(), elsewhere)?;
        Ok(self.store_small(frame, description))
    }

    /// As [`Messages::store`], with the bytes of another message.
    ///
    /// # Errors
    /// [`OutOfMemory`] at the limit.
    pub fn store_again(
        &mut self,
        id: MessageId,
        description: Description,
        elsewhere: usize,
    ) -> Result<MessageId, OutOfMemory> {
        let length = self.frame(id).len();
        self.check_room(length, elsewhere)?;
        let mut buffer = self.take_buffer(length);
        buffer.extend_from_slice(self.frame(id));
        Ok(self.insert(buffer, description))
    }

    fn check_room(&self, bytes: usize, elsewhere: usize) -> Result<(), OutOfMemory> {
        let elsewhere = elsewhere.min(self.bytes_max / MEMORY_SHARE_DIVISOR);
        let used_bytes = self.used_bytes + elsewhere + charged_bytes(buffer_bytes(bytes));
        if used_bytes > self.bytes_max { Err(OutOfMemory) } else { Ok(()) }
    }

    /// Stores what must go out even at the limit: the server's own short messages. The queue they go into bounds them.
    pub fn store_small(&mut self, frame: &[u8], description: Description) -> MessageId {
        let mut buffer = self.take_buffer(frame.len());
        buffer.extend_from_slice(frame);
        self.insert(buffer, description)
    }

    fn insert(&mut self, buffer: Vec<u8>, description: Description) -> MessageId {
        self.used_bytes += charged_bytes(buffer.capacity());
        let index =
            self.rows.insert(Stored { frame: buffer, references: 1, kept: 0, is_delivered: false, description });
        let id = MessageId(u32::try_from(index).expect("ok because memory ends before 2^32 messages"));
        if description.expires_ns != 0 {
            self.expiring.insert(description.expires_ns, id);
        }
        id
    }

    /// The message is for one connection: it is looked for there when it expires.
    pub fn address(&mut self, id: MessageId, slot: u32) {
        let expires_ns = self.description(id).expires_ns;
        if expires_ns != 0 {
            self.expiring.address(expires_ns, id, slot);
        }
    }

    /// Takes the next message that is past its expiry, and the row of the connection if it is for one.
    pub fn take_due(&mut self, now_ns: u64) -> Option<(MessageId, Option<u32>)> {
        self.expiring.take_due(now_ns)
    }

    /// The messages that expire.
    pub const fn expiring(&self) -> &Expiring {
        &self.expiring
    }

    /// The frame as it goes out.
    pub fn frame(&self, id: MessageId) -> &[u8] {
        &self.rows[id.0 as usize].frame
    }

    /// What is known of the message.
    pub fn description(&self, id: MessageId) -> &Description {
        &self.rows[id.0 as usize].description
    }

    /// Adds references.
    pub fn retain(&mut self, id: MessageId, count: u32) {
        self.rows[id.0 as usize].references += count;
    }

    /// One of the message's references is from now on of a table that keeps messages, not of a queue.
    pub(super) fn keep(&mut self, id: MessageId) {
        self.rows[id.0 as usize].kept += 1;
    }

    /// Takes back [`Messages::keep`].
    pub(super) fn let_go(&mut self, id: MessageId) {
        self.rows[id.0 as usize].kept -= 1;
    }

    /// How many of the message's references are of tables that keep messages.
    pub fn kept(&self, id: MessageId) -> u32 {
        u32::from(self.rows[id.0 as usize].kept)
    }

    /// Drops the reference of a queue that has written the message.
    #[inline]
    pub fn release_written(&mut self, id: MessageId) -> Released {
        let row = &mut self.rows[id.0 as usize];
        row.references -= 1;
        if row.references > u32::from(row.kept) {
            return Released { is_freed: false, is_delivered: false };
        }
        let is_delivered = !std::mem::replace(&mut row.is_delivered, true);
        let is_freed = row.kept == 0;
        if is_freed {
            self.free(id);
        }
        Released { is_freed, is_delivered }
    }

    /// Drops one reference; the last one frees the message. Returns whether it did.
    #[inline]
    pub fn release(&mut self, id: MessageId) -> bool {
        let row = &mut self.rows[id.0 as usize];
        row.references -= 1;
        let is_freed = row.references == 0;
        if is_freed {
            self.free(id);
        }
        is_freed
    }

    fn free(&mut self, id: MessageId) {
        let Stored { frame: buffer, description, .. } = self.rows.remove(id.0 as usize);
        if description.expires_ns != 0 {
            self.expiring.remove(description.expires_ns, id);
        }
        self.used_bytes -= charged_bytes(buffer.capacity());
        self.give_back(buffer);
    }

    fn take_buffer(&mut self, bytes: usize) -> Vec<u8> {
        let class = size_class(bytes);
        let Some(list) = self.free.get_mut(class) else {
            return Vec::with_capacity(bytes);
        };
        match list.pop() {
            Some(buffer) => {
                self.free_bytes -= buffer.capacity();
                buffer
            }
            None => Vec::with_capacity(BUFFER_BYTES_MIN << class),
        }
    }

    fn give_back(&mut self, mut buffer: Vec<u8>) {
        let bytes = buffer.capacity();
        if self.free_bytes + bytes > FREE_BYTES_KEPT {
            return;
        }
        if let Some(list) = self.free.get_mut(size_class(bytes)) {
            buffer.clear();
            self.free_bytes += bytes;
            list.push(buffer);
        }
    }

    /// Checks counts and sums.
    pub fn invariants(&self) {
        assert!(self.rows.iter().all(|(_, row)| row.references > 0 && row.references >= u32::from(row.kept)));
        for (expires_ns, id) in self.expiring.entries() {
            assert_eq!(self.description(id).expires_ns, expires_ns, "an expiry of a message that is gone");
        }
        assert_eq!(
            self.used_bytes,
            self.rows.iter().map(|(_, row)| charged_bytes(row.frame.capacity())).sum::<usize>()
        );
        assert_eq!(self.free_bytes, self.free.iter().flatten().map(Vec::capacity).sum::<usize>());
    }

    /// References of one message.
    pub fn references(&self, id: MessageId) -> u32 {
        self.rows[id.0 as usize].references
    }

    /// Every stored message; for the invariants of the tables that refer to them.
    pub fn ids(&self) -> impl Iterator<Item = MessageId> + '_ {
        self.rows.iter().map(|(index, _)| MessageId(index as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Description = Description::plain(Priority::Normal, 0);

    #[test]
    fn a_message_is_not_given_up_before_it_has_expired() {
        let description = Description { expires_ns: 1_500_000, ..Description::plain(Priority::Normal, 0) };
        assert_eq!((description.end_ms(10), description.end_ms(1)), (2, 1));
        assert!(description.is_expired(2_000_000) && !description.is_expired(1_000_000));
    }

    #[test]
    fn what_is_held_beside_a_message_counts_too() {
        let mut messages = Messages::new(3 * (BUFFER_BYTES_MIN + MESSAGE_ROW_BYTES as usize));
        let stored: Vec<_> = (0..4).map(|_| messages.store(b"1", PLAIN, 0)).collect();
        assert_eq!(stored.iter().filter(|id| id.is_ok()).count(), 3);
        assert_eq!(messages.used_bytes(), messages.bytes_max());
        messages.invariants();
    }

    #[test]
    fn the_last_reference_frees_and_the_buffer_is_used_again() {
        let mut messages = Messages::new(1 << 20);
        let id = messages.store(b"frame", PLAIN, 0).unwrap();
        messages.retain(id, 2);
        assert_eq!(messages.frame(id), b"frame");
        assert!(!messages.release(id));
        assert!(!messages.release(id));
        assert!(messages.release(id));
        messages.invariants();
        assert_eq!((messages.len(), messages.used_bytes(), messages.free_bytes), (0, 0, BUFFER_BYTES_MIN));
        let id = messages.store(b"other", PLAIN, 0).unwrap();
        assert_eq!((messages.frame(id), messages.free_bytes), (&b"other"[..], 0));
    }

    #[test]
    fn messages_that_expire_are_taken_in_their_order_unless_they_are_gone() {
        let mut messages = Messages::new(1 << 20);
        let mut store = |expires_ns| messages.store(b"m", Description { expires_ns, ..PLAIN }, 0).unwrap();
        let [late, gone, early, _never] = [30, 5, 10, 0].map(&mut store);
        messages.address(early, 7);
        messages.release(gone);
        messages.invariants();
        assert_eq!((messages.expiring().len(), messages.expiring().next_ns()), (2, Some(10)));
        assert_eq!(messages.take_due(9), None);
        assert_eq!(messages.take_due(30), Some((early, Some(7))));
        assert_eq!(messages.take_due(30), Some((late, None)));
        assert_eq!(messages.take_due(u64::MAX), None);
        messages.release(early);
        messages.invariants();
    }

    #[test]
    fn the_limit_refuses_and_large_buffers_are_not_kept() {
        let mut messages = Messages::new(100_000);
        let id = messages.store(&[7; 90_000], PLAIN, 0).unwrap();
        assert_eq!(messages.store(&[7; 20_000], PLAIN, 0), Err(OutOfMemory));
        assert_eq!(messages.store(b"x", PLAIN, 10_000), Err(OutOfMemory));
        assert!(messages.release(id));
        assert_eq!(messages.free_bytes, 0);
        messages.store(&[7; 20_000], PLAIN, 0).unwrap();
        messages.invariants();
    }
}
