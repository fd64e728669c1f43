//! Connections: who is there, in what state, and since when. Parallel columns indexed by slot.

use hashbrown::HashTable;
use slab::Slab;

use super::in_flight::Receiver;
use super::lineages::{Ended, Lineages};
use super::{ConnId, SessionId};
use crate::config::limits::PING_BURST;
use crate::message::system::Features;
use crate::wire::assembly::Assembly;
use crate::wire::http_body::BodyDecoder;

/// What a row is doing. It decides who reads its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Nobody's.
    Free,
    /// Speaks HTTP: waits for a head, or reads a body.
    Http,
    /// A WebSocket that has not authenticated.
    Joining,
    /// An authenticated WebSocket.
    Open,
    /// A raw echo WebSocket.
    Echo,
    /// A stream of server-sent events. Nothing is read from it.
    Events,
    /// An HTTP row whose poll waits for a message. What it sends waits, too.
    Poll,
    /// Its last bytes are being written; then it lingers until the peer closes.
    Closing,
}

impl State {
    /// Whether a user's connection is in this state: it is in sessions, and has a queue with limits.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Events)
    }

    /// Whether a row in this state counts for `WEBSOCKET_MAX_CONNECTIONS`.
    const fn is_counted(self) -> bool {
        matches!(self, Self::Joining | Self::Open | Self::Echo | Self::Events | Self::Poll)
    }
}

/// Why and how far a row is closing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Closing {
    /// Nothing more is expected from the peer: as soon as all is written, our side is shut.
    pub peer_done: bool,
    /// All is written, and the peer's time to close runs.
    pub is_written: bool,
    /// Our side is shut.
    pub is_shut: bool,
    /// What is queued goes out first, then the close frame of a drain.
    pub after_flush: bool,
}

/// Times of one row, in the loop's milliseconds. `NEVER` where there is none.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// When bytes last came in.
    pub activity_ms: u64,
    /// The deadline of the state: a head, a body, authentication, lingering.
    pub deadline_ms: u64,
    /// When the next ping goes out, or when the answer to the last one is due.
    pub heartbeat_ms: u64,
    /// Since when the socket takes nothing; `NEVER` while it does.
    pub blocked_since_ms: u64,
}

/// No deadline.
pub const NEVER: u64 = u64::MAX;

/// Flags of the read side.
#[derive(Clone, Copy, Debug, Default)]
pub struct InputFlags {
    /// The row is in the ready list.
    pub listed: bool,
    /// The socket may have bytes that were not read.
    pub readable: bool,
    /// Input waits until answers are written.
    pub held: bool,
    /// The heartbeat's time is when the answer to a ping is due, not when the next ping is.
    pub was_pinged: bool,
    /// A ping was sent and nothing came since.
    pub awaits_pong: bool,
    /// The peer sends no more: reading goes on until the end shows.
    pub hung_up: bool,
    /// The end was read: no more bytes come.
    pub ended: bool,
    /// The row is freed at the end of this tick.
    pub doomed: bool,
}

/// What a row keeps of bytes that are not a whole frame, head or body. An idle row has none.
#[derive(Default)]
pub struct Partial {
    /// Bytes not yet looked at, or not enough of them.
    pub bytes: Vec<u8>,
    /// A message that is not complete.
    pub assembly: Option<Box<Assembly>>,
    /// A request whose body is being read.
    pub request: Option<Box<PendingRequest>>,
    /// What of it is in the table's sum.
    reckoned_bytes: usize,
}

impl Partial {
    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.assembly.is_none() && self.request.is_none()
    }

    /// Bytes it holds.
    pub fn capacity(&self) -> usize {
        let assembly = self.assembly.as_ref().map_or(0, |a| a.capacity());
        let request = self.request.as_ref().map_or(0, |r| r.body.capacity() + r.head.len());
        self.bytes.capacity() + assembly + request
    }
}

/// A request's head, kept while its body comes in.
pub struct PendingRequest {
    /// The head's bytes; it is parsed again when the body is there.
    pub head: Vec<u8>,
    /// The body so far.
    pub body: Vec<u8>,
    /// Where the body ends.
    pub decoder: BodyDecoder,
}

/// Who a row is. Cold.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The public id, 128 random bits.
    pub connection_id: u128,
    /// When it was accepted, Unix milliseconds.
    pub connected_unix_ms: u64,
    /// When it was accepted, the loop's milliseconds.
    pub connected_ms: u64,
    /// The peer's address as text bytes, for logs.
    pub address: Address,
    /// The user's personal session; set once authenticated.
    pub personal: Option<SessionId>,
    /// Whether the user is a service.
    pub is_service: bool,
    /// What the client asked for.
    pub features: Features,
    /// Whether the client gets its own messages, unless a message says otherwise.
    pub echo: bool,
    /// Bad messages since `bad_since_ms`.
    pub bad_messages: u32,
    /// Start of the window in which bad messages are counted.
    pub bad_since_ms: u64,
    /// Pings that may still come at once, and when that was reckoned.
    pub ping_tokens: u32,
    /// See `ping_tokens`.
    pub ping_reckoned_ms: u64,
    /// How it is closing.
    pub closing: Closing,
    /// It has answered a request and waits for the first byte of the next; HTTP only.
    pub is_kept: bool,
    /// Requests whose answers are not written; HTTP only.
    pub pending_answers: u32,
}

impl Profile {
    /// Of a connection that was just accepted, at `connected_ms` of the loop and `connected_unix_ms` of the wall clock.
    pub fn new(connection_id: u128, address: Address, connected_ms: u64, connected_unix_ms: u64) -> Self {
        Self {
            connection_id,
            connected_unix_ms,
            connected_ms,
            address,
            personal: None,
            is_service: false,
            features: Features::default(),
            echo: true,
            bad_messages: 0,
            bad_since_ms: connected_ms,
            ping_tokens: PING_BURST,
            ping_reckoned_ms: connected_ms,
            closing: Closing::default(),
            is_kept: false,
            pending_answers: 0,
        }
    }
}

/// A peer's address: 16 bytes (IPv4 mapped) and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The IPv6 form.
    pub ip: [u8; 16],
    /// The port.
    pub port: u16,
}

impl Address {
    /// Whether the peer is on this machine: `::1` or `127.0.0.0/8`.
    pub fn is_loopback(&self) -> bool {
        let ip = core::net::Ipv6Addr::from(self.ip);
        ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback())
    }
}

/// The table.
#[derive(Default)]
pub struct Connections {
    profiles: Slab<Profile>,
    generations: Vec<u32>,
    /// What each row is doing.
    pub states: Vec<State>,
    /// Read side of each row.
    pub inputs: Vec<InputFlags>,
    /// Unfinished input of each row that has some.
    pub partials: Vec<Option<Box<Partial>>>,
    /// Times of each row.
    pub times: Vec<Times>,
    /// Rows by state.
    counts: [usize; 8],
    /// Slots by public id; the ids stand in `profiles`. They are our own random bits, so they are their own hash.
    by_public_id: HashTable<u32>,
    /// By slot: the connections that a row goes on for. Few rows have any.
    lineages: Lineages,
    /// Bytes that all unfinished input holds, as last reckoned by `settle_partial`.
    input_bytes: usize,
}

impl Connections {
    /// Takes a row for a new connection.
    pub fn insert(&mut self, profile: Profile, deadline_ms: u64) -> ConnId {
        let now_ms = profile.connected_ms;
        let connection_id = profile.connection_id;
        let slot = self.profiles.insert(profile);
        let profiles = &self.profiles;
        self.by_public_id
            .insert_unique(key_of(connection_id), slot as u32, |&other| key_of(profiles[other as usize].connection_id));
        if self.states.len() <= slot {
            self.generations.resize(slot + 1, 0);
            self.states.resize(slot + 1, State::Free);
            self.inputs.resize(slot + 1, InputFlags::default());
            self.partials.resize_with(slot + 1, || None);
            self.times.resize(slot + 1, UNUSED);
        }
        assert_eq!(self.states[slot], State::Free, "a row in use was handed out");
        self.inputs[slot] = InputFlags::default();
        self.times[slot] = Times { activity_ms: now_ms, deadline_ms, ..UNUSED };
        self.set_state(slot as u32, State::Http);
        ConnId { slot: slot as u32, generation: self.generations[slot] }
    }

    /// Frees a row; its ids find nothing from now on.
    pub fn remove(&mut self, slot: u32) -> Profile {
        let at = slot as usize;
        self.set_state(slot, State::Free);
        self.generations[at] = self.generations[at].wrapping_add(1);
        if let Some(partial) = self.partials[at].take() {
            self.input_bytes -= partial.reckoned_bytes;
        }
        let profile = self.profiles.remove(at);
        self.lineages.remove(slot);
        if let Ok(entry) = self.by_public_id.find_entry(key_of(profile.connection_id), |&other| other == slot) {
            entry.remove();
        }
        if self.by_public_id.is_empty() {
            self.by_public_id = HashTable::new();
        }
        profile
    }

    /// The row of a public id.
    pub fn find(&self, connection_id: u128) -> Option<u32> {
        let is_it = |&slot: &u32| self.profiles[slot as usize].connection_id == connection_id;
        self.by_public_id.find(key_of(connection_id), is_it).copied()
    }

    /// The open row of a connection of the user `personal`, or of the last one that went on for it: its own may be closing still.
    pub fn open_of(&self, connection_id: u128, personal: SessionId) -> Option<u32> {
        let is_open = |&slot: &u32| self.state(slot).is_open() && self.profile(slot).personal == Some(personal);
        let heir = || self.lineages.heir(key_of(connection_id)).filter(is_open);
        self.find(connection_id).filter(is_open).or_else(heir)
    }

    /// The row goes on for these: what is hidden from them is hidden from the row.
    pub fn inherit(&mut self, slot: u32, lineage: Vec<Ended>) {
        self.lineages.insert(slot, lineage);
    }

    /// Those that the row goes on for.
    pub fn lineage(&self, slot: u32) -> &[Ended] {
        self.lineages.of(slot)
    }

    /// Whether `key` is the row's connection, or one that it goes on for. No connection has the key zero.
    pub fn is_known_as(&self, slot: u32, key: u64) -> bool {
        let is_own = || key == key_of(self.profile(slot).connection_id);
        key != 0 && (is_own() || self.lineage(slot).iter().any(|ended| ended.key == key))
    }

    /// Rows from one address that count for `WEBSOCKET_MAX_CONNECTIONS`.
    /// O(rows): it is asked only where a policy limits connections by address.
    pub fn counted_from(&self, ip: [u8; 16]) -> usize {
        let is_counted = |slot: usize| self.states[slot].is_counted();
        self.profiles.iter().filter(|(slot, profile)| profile.address.ip == ip && is_counted(*slot)).count()
    }

    /// Changes what a row is doing.
    pub fn set_state(&mut self, slot: u32, state: State) {
        let old = std::mem::replace(&mut self.states[slot as usize], state);
        if old != State::Free {
            self.counts[old as usize] -= 1;
        }
        if state != State::Free {
            self.counts[state as usize] += 1;
        }
    }

    /// Rows in use.
    pub fn len(&self) -> usize {
        self.profiles.len()
    }

    /// Whether no row is in use.
    pub fn is_empty(&self) -> bool {
        self.profiles.is_empty()
    }

    /// Rows in a state.
    pub const fn count(&self, state: State) -> usize {
        self.counts[state as usize]
    }

    /// WebSocket rows that are not closing.
    pub const fn websockets(&self) -> usize {
        self.count(State::Joining) + self.count(State::Open) + self.count(State::Echo)
    }

    /// Rows that count for `WEBSOCKET_MAX_CONNECTIONS`.
    pub const fn counted(&self) -> usize {
        self.websockets() + self.count(State::Events) + self.count(State::Poll)
    }

    /// The row of an id, if it is still that connection's.
    pub fn slot(&self, id: ConnId) -> Option<u32> {
        let alive = self.profiles.contains(id.slot as usize) && self.generations[id.slot as usize] == id.generation;
        alive.then_some(id.slot)
    }

    /// The id of a row in use.
    pub fn id(&self, slot: u32) -> ConnId {
        ConnId { slot, generation: self.generations[slot as usize] }
    }

    /// What a row is doing.
    pub fn state(&self, slot: u32) -> State {
        self.states[slot as usize]
    }

    /// Who a row is.
    pub fn profile(&self, slot: u32) -> &Profile {
        &self.profiles[slot as usize]
    }

    /// The row as a receiver of reliable messages, if it is a user's connection.
    pub fn receiver(&self, slot: u32) -> Option<Receiver> {
        let profile = self.profile(slot);
        profile.personal.map(|user| Receiver { key: key_of(profile.connection_id), user, slot })
    }

    /// The same if its client confirms.
    pub fn confirming(&self, slot: u32) -> Option<Receiver> {
        self.receiver(slot).filter(|_| self.profile(slot).features.ack)
    }

    /// Who a row is.
    pub fn profile_mut(&mut self, slot: u32) -> &mut Profile {
        &mut self.profiles[slot as usize]
    }

    /// Rows in use.
    pub fn slots(&self) -> impl Iterator<Item = u32> + '_ {
        self.profiles.iter().map(|(slot, _)| slot as u32)
    }

    /// The row's unfinished input, made if there is none.
    pub fn partial_mut(&mut self, slot: u32) -> &mut Partial {
        self.partials[slot as usize].get_or_insert_default()
    }

    /// Gives the row's unfinished input back if nothing is in it, and reckons what it holds.
    pub fn settle_partial(&mut self, slot: u32) {
        let place = &mut self.partials[slot as usize];
        if let Some(gone) = place.take_if(|partial| partial.is_empty()) {
            self.input_bytes -= gone.reckoned_bytes;
        } else if let Some(partial) = place {
            let now = partial.capacity();
            self.input_bytes = self.input_bytes - partial.reckoned_bytes + now;
            partial.reckoned_bytes = now;
        }
    }

    /// Bytes that unfinished input holds.
    pub const fn input_bytes(&self) -> usize {
        self.input_bytes
    }

    /// Checks that the columns agree.
    pub fn invariants(&self) {
        let in_use = self.states.iter().filter(|&&state| state != State::Free).count();
        assert_eq!(in_use, self.profiles.len());
        assert_eq!(self.counts.iter().sum::<usize>(), in_use);
        assert_eq!(self.by_public_id.len(), in_use);
        for slot in 0..self.states.len() {
            assert_eq!(self.profiles.contains(slot), self.states[slot] != State::Free);
            assert!(self.states[slot] != State::Free || self.partials[slot].is_none());
            assert!(self.partials[slot].as_ref().is_none_or(|partial| !partial.is_empty()));
        }
        self.lineages.invariants();
        for (slot, profile) in &self.profiles {
            assert_eq!(self.find(profile.connection_id), Some(slot as u32));
            assert_eq!(profile.personal.is_some() && self.states[slot] != State::Closing, self.states[slot].is_open());
        }
    }
}

/// Tells connections apart in columns that have no room for the whole id: 64 of its random bits.
pub const fn key_of(connection_id: u128) -> u64 {
    connection_id as u64
}

const UNUSED: Times = Times { activity_ms: 0, deadline_ms: NEVER, heartbeat_ms: NEVER, blocked_since_ms: NEVER };

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        Profile::new(1, Address { ip: [0; 16], port: 0 }, 0, 0)
    }

    #[test]
    fn a_stale_id_never_reaches_the_next_owner_of_the_row() {
        let mut table = Connections::default();
        let first = table.insert(profile(), NEVER);
        assert_eq!(table.slot(first), Some(first.slot()));
        table.remove(first.slot());
        assert_eq!(table.slot(first), None);
        let second = table.insert(profile(), NEVER);
        assert_eq!(second.slot(), first.slot());
        assert_eq!(table.slot(first), None);
        assert_eq!(table.slot(second), Some(second.slot()));
        table.invariants();
    }

    #[test]
    fn loopback_is_told_in_both_families() {
        let address = |text: &str| Address { ip: text.parse::<core::net::Ipv6Addr>().unwrap().octets(), port: 1 };
        assert!(address("::1").is_loopback());
        assert!(address("::ffff:127.3.2.1").is_loopback());
        assert!(!address("::ffff:10.0.0.1").is_loopback());
        assert!(!address("fe80::1").is_loopback());
    }

    #[test]
    fn the_rows_stay_small() {
        assert!(size_of::<Times>() <= 32);
        assert!(size_of::<InputFlags>() <= 8);
        assert!(size_of::<Profile>() <= 144, "{}", size_of::<Profile>());
    }
}
