//! The simulated network: connections between clients and the server, readiness as the kernel tells it, and the time.
//!
//! Readiness is edge-triggered. An edge arises when bytes, an end or a reset arrive, and when there is room again after a
//! write that was cut short; it is told once, with everything that is true of the socket then.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use hashi::reactor::Ready;

use super::dice::Dice;
use super::pipe::Pipe;

/// The server's clock reads this at the start of a run, Unix milliseconds.
pub const START_UNIX_MS: u64 = 1_800_000_000_000;
/// Polls one after the other that find nothing to do although the loop does not want to wait.
const IDLE_POLLS_MAX: u32 = 5_000;

pub type LinkId = usize;

/// A connection.
struct Link {
    /// From the client to the server.
    up: Pipe,
    down: Pipe,
    /// The row it has at the server.
    slot: Option<u32>,
    is_reset: bool,
    /// The server has closed it.
    is_closed: bool,
    /// An edge that was not told yet.
    edge: bool,
    /// The last write was cut short.
    wants_room: bool,
}

/// What a client finds when it reads.
pub struct Received {
    pub bytes: Vec<u8>,
    /// Nothing more will come.
    pub is_over: bool,
}

pub struct Network {
    links: Vec<Link>,
    /// Those that something may still happen to.
    live: Vec<LinkId>,
    /// Connections that the server has not accepted.
    backlog: VecDeque<LinkId>,
    accept_edge: bool,
    slots: BTreeMap<u32, LinkId>,
    now_ns: u64,
    dice: Dice,
    idle_polls: u32,
    pub resets: u64,
}

impl Network {
    pub fn new(dice: Dice) -> Self {
        Self {
            links: Vec::new(),
            live: Vec::new(),
            backlog: VecDeque::new(),
            accept_edge: false,
            slots: BTreeMap::new(),
            now_ns: 1_000_000,
            dice,
            idle_polls: 0,
            resets: 0,
        }
    }

    pub const fn now_ns(&self) -> u64 {
        self.now_ns
    }

    pub const fn unix_ms(&self) -> u64 {
        START_UNIX_MS + self.now_ns / 1_000_000
    }

    /// Work takes time.
    pub fn spend(&mut self) -> u64 {
        let spent_ns = self.dice.between(0, 2_000);
        self.advance_to(self.now_ns + spent_ns);
        self.now_ns
    }

    /// Lets arrive what is due.
    pub fn settle(&mut self) {
        self.advance_to(self.now_ns);
    }

    fn advance_to(&mut self, target_ns: u64) {
        self.now_ns = target_ns;
        let links = &mut self.links;
        self.live.retain(|&id| {
            let link = &mut links[id];
            link.down.arrive(target_ns);
            link.edge |= link.up.arrive(target_ns);
            !link.is_over()
        });
    }

    /// When bytes arrive next, at either end.
    pub fn next_arrival_ns(&self) -> Option<u64> {
        let pipes = self.live.iter().map(|&id| &self.links[id]).flat_map(|link| [&link.up, &link.down]);
        pipes.filter_map(|pipe| pipe.next_ns()).min()
    }

    // What clients do.

    pub fn connect(&mut self, down_capacity: usize) -> LinkId {
        self.links.push(Link {
            up: Pipe::new(4096),
            down: Pipe::new(down_capacity),
            slot: None,
            is_reset: false,
            is_closed: false,
            edge: true,
            wants_room: false,
        });
        let id = self.links.len() - 1;
        self.live.push(id);
        self.backlog.push_back(id);
        self.accept_edge = true;
        id
    }

    /// Sends what there is room for; how many bytes it was.
    pub fn send(&mut self, id: LinkId, bytes: &[u8]) -> usize {
        let link = &mut self.links[id];
        if link.is_reset || link.is_closed || link.up.is_finished() {
            return bytes.len(); // it goes nowhere, and the client will see why
        }
        link.up.send(bytes, self.now_ns, &mut self.dice)
    }

    /// Reads at most `bytes_max` bytes.
    pub fn receive(&mut self, id: LinkId, bytes_max: usize) -> Received {
        let link = &mut self.links[id];
        let mut bytes = vec![0; bytes_max.min(link.down.waiting())];
        link.down.read(&mut bytes);
        if link.wants_room && link.down.is_roomy() {
            (link.edge, link.wants_room) = (true, false);
        }
        let is_over = link.down.waiting() == 0 && (link.is_reset || link.down.is_ended());
        Received { bytes, is_over }
    }

    /// Whether something waits to be read by the client.
    pub fn has_news(&self, id: LinkId) -> bool {
        let link = &self.links[id];
        link.down.waiting() > 0 || link.is_reset || link.down.is_ended()
    }

    /// Whether nothing of this connection is on its way in either direction.
    pub fn is_quiet(&self, id: LinkId) -> bool {
        self.links[id].up.is_empty() && self.links[id].down.is_empty()
    }

    /// Whether the server has read all that the client has sent.
    pub fn is_read(&self, id: LinkId) -> bool {
        let link = &self.links[id];
        link.up.is_empty() && !link.is_reset && !link.is_closed && !link.up.is_finished()
    }

    /// The client sends no more, and still reads.
    pub fn finish(&mut self, id: LinkId) {
        self.links[id].up.finish(self.now_ns, &mut self.dice);
    }

    /// The connection breaks.
    pub fn reset(&mut self, id: LinkId) {
        if !self.links[id].is_reset {
            self.resets += 1;
            self.cut(id);
        }
    }

    fn cut(&mut self, id: LinkId) {
        let (up_too, down_too) = (self.dice.chance(50), self.dice.chance(50));
        let link = &mut self.links[id];
        link.is_reset = true;
        link.edge = true;
        link.up.lose(up_too);
        link.down.lose(down_too);
    }

    /// The server's process is gone, and all its connections with it.
    pub fn reset_all(&mut self) {
        for id in 0..self.links.len() {
            if !self.links[id].is_closed {
                self.cut(id);
                (self.links[id].is_closed, self.links[id].slot) = (true, None);
            }
        }
        self.slots.clear();
        self.backlog.clear();
    }

    /// The server's process ends: what it has written still arrives.
    pub fn close_all(&mut self) {
        for id in 0..self.links.len() {
            if !self.links[id].is_closed {
                self.close(id);
            }
        }
        self.slots.clear();
        self.backlog.clear();
    }

    // What the server asks for.

    pub fn poll(&mut self, timeout: Duration, ready: &mut Vec<Ready>) {
        if !self.has_edges() {
            self.sleep(timeout);
        }
        let edges = self.tell(ready);
        self.idle_polls = if edges == 0 && timeout.is_zero() { self.idle_polls + 1 } else { 0 };
        assert!(self.idle_polls < IDLE_POLLS_MAX, "the loop spins: it has nothing to do and does not wait");
    }

    fn has_edges(&self) -> bool {
        self.accept_edge || self.slots.values().any(|&id| self.links[id].edge)
    }

    fn sleep(&mut self, timeout: Duration) {
        let latest_ns = self.now_ns + timeout.as_nanos() as u64;
        let arrivals = self.slots.values().filter_map(|&id| self.links[id].up.next_ns());
        self.advance_to(arrivals.min().unwrap_or(u64::MAX).clamp(self.now_ns, latest_ns));
    }

    /// Tells edges in any order; some of them wait for the next poll.
    fn tell(&mut self, ready: &mut Vec<Ready>) -> usize {
        if std::mem::take(&mut self.accept_edge) {
            ready.push(Ready::Accept);
        }
        for (&slot, &id) in &self.slots {
            if self.links[id].edge && (ready.is_empty() || self.dice.chance(80)) {
                let link = &mut self.links[id];
                link.edge = false;
                ready.push(link.readiness(slot));
            }
        }
        self.dice.shuffle(ready);
        ready.len()
    }

    /// The next connection that waits; `None` inside for one that is gone already.
    pub fn accept(&mut self) -> Option<Option<LinkId>> {
        let id = self.backlog.pop_front()?;
        Some((!self.links[id].is_reset || self.dice.chance(50)).then_some(id))
    }

    pub fn attach(&mut self, slot: u32, id: LinkId) {
        self.links[id].slot = Some(slot);
        self.links[id].edge = true;
        let before = self.slots.insert(slot, id);
        assert_eq!(before, None, "row {slot} got a socket while it had one");
    }

    /// The connection of a row. One that the server has closed has none.
    pub fn link_of(&self, slot: u32) -> LinkId {
        *self.slots.get(&slot).unwrap_or_else(|| panic!("row {slot} has no socket"))
    }

    /// `None` would block; zero bytes are the end.
    pub fn read(&mut self, id: LinkId, buffer: &mut [u8]) -> Result<Option<usize>, Broken> {
        let link = &mut self.links[id];
        if link.up.waiting() > 0 {
            return Ok(Some(link.up.read(buffer)));
        }
        if link.is_reset {
            return Err(Broken);
        }
        Ok(link.up.is_ended().then_some(0))
    }

    pub fn write(&mut self, id: LinkId, bytes: &[u8]) -> Result<Option<usize>, Broken> {
        let is_cut_short = self.dice.chance(5);
        let link = &mut self.links[id];
        if link.is_reset {
            return Err(Broken);
        }
        let offered = if is_cut_short { self.dice.below(bytes.len()) } else { bytes.len() };
        let taken = link.down.send(&bytes[..offered], self.now_ns, &mut self.dice);
        if taken < bytes.len() {
            link.edge |= link.down.is_roomy();
            link.wants_room = !link.down.is_roomy();
        }
        Ok((taken > 0).then_some(taken))
    }

    pub fn finish_down(&mut self, id: LinkId) {
        self.links[id].down.finish(self.now_ns, &mut self.dice);
    }

    /// The server closes. What it has not read makes a reset of it (RFC 9293 section 3.6.1).
    pub fn close(&mut self, id: LinkId) {
        let loses = self.dice.chance(50);
        let link = &mut self.links[id];
        link.is_closed = true;
        if let Some(slot) = link.slot.take() {
            self.slots.remove(&slot);
        }
        if link.up.is_empty() {
            link.down.finish(self.now_ns, &mut self.dice);
        } else {
            link.is_reset = true;
            link.down.lose(loses);
        }
        link.up.lose(true);
    }
}

/// The connection is reset.
pub struct Broken;

impl Link {
    /// Whether the server is done with it, and nothing is on its way.
    fn is_over(&self) -> bool {
        self.is_closed && self.up.next_ns().is_none() && self.down.next_ns().is_none()
    }

    /// Everything that is true of the socket now, as epoll reports it with each edge.
    fn readiness(&self, slot: u32) -> Ready {
        let hung_up = self.is_reset || self.up.is_ended();
        Ready::Socket {
            slot,
            readable: hung_up || self.up.waiting() > 0,
            writable: self.is_reset || self.down.is_roomy(),
            hung_up,
        }
    }
}
