//! One direction of a connection: bytes on their way, and bytes that have arrived and wait to be read. Both together
//! are bounded, as the kernel's buffers are.

use std::collections::VecDeque;

use super::dice::Dice;

/// Longest delay of a piece, in nanoseconds.
pub const DELAY_NS_MAX: u64 = 30_000_000;

pub struct Pipe {
    /// Pieces with the time of their arrival, which never decreases.
    transit: VecDeque<(u64, Vec<u8>)>,
    arrived: VecDeque<u8>,
    capacity: usize,
    used: usize,
    /// When the end arrives, once the writer has sent it, and whether it has.
    end_ns: Option<u64>,
    has_ended: bool,
    /// When the last piece arrives.
    last_ns: u64,
}

impl Pipe {
    pub fn new(capacity: usize) -> Self {
        Self {
            transit: VecDeque::new(),
            arrived: VecDeque::new(),
            capacity,
            used: 0,
            end_ns: None,
            has_ended: false,
            last_ns: 0,
        }
    }

    pub fn room(&self) -> usize {
        self.capacity - self.used
    }

    /// Whether so much is free that a writer that waits is told of it.
    pub fn is_roomy(&self) -> bool {
        self.room() * 3 >= self.capacity
    }

    /// Sends as much of `bytes` as there is room for, in pieces that arrive one after the other.
    pub fn send(&mut self, bytes: &[u8], now_ns: u64, dice: &mut Dice) -> usize {
        let taken = bytes.len().min(self.room());
        self.used += taken;
        let mut rest = &bytes[..taken];
        while !rest.is_empty() {
            let cut = if dice.chance(60) { rest.len() } else { 1 + dice.below(rest.len()) };
            let (piece, others) = rest.split_at(cut);
            self.last_ns = arrival(self.last_ns, now_ns, dice);
            self.transit.push_back((self.last_ns, piece.to_vec()));
            rest = others;
        }
        taken
    }

    /// The writer sends no more.
    pub fn finish(&mut self, now_ns: u64, dice: &mut Dice) {
        if self.end_ns.is_none() {
            self.last_ns = arrival(self.last_ns, now_ns, dice);
            self.end_ns = Some(self.last_ns);
        }
    }

    pub fn is_finished(&self) -> bool {
        self.end_ns.is_some()
    }

    /// Lets arrive what is due; whether something did.
    pub fn arrive(&mut self, now_ns: u64) -> bool {
        let is_end_due = self.end_ns.is_some_and(|end_ns| end_ns <= now_ns);
        let mut any = is_end_due && !std::mem::replace(&mut self.has_ended, is_end_due);
        while self.transit.front().is_some_and(|(due_ns, _)| *due_ns <= now_ns) {
            let (_, piece) = self.transit.pop_front().expect("ok because there is a first piece");
            self.arrived.extend(piece);
            any = true;
        }
        any
    }

    /// When something arrives next.
    pub fn next_ns(&self) -> Option<u64> {
        let piece_ns = self.transit.front().map(|(due_ns, _)| *due_ns);
        piece_ns.or(self.end_ns.filter(|_| !self.has_ended))
    }

    /// Whether everything has arrived, and no more comes.
    pub fn is_ended(&self) -> bool {
        self.transit.is_empty() && self.has_ended
    }

    pub fn waiting(&self) -> usize {
        self.arrived.len()
    }

    /// Whether nothing is on its way or waits.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let count = buffer.len().min(self.arrived.len());
        for (place, byte) in buffer.iter_mut().zip(self.arrived.drain(..count)) {
            *place = byte;
        }
        self.used -= count;
        count
    }

    /// A reset loses what is on its way; what has arrived may still be read, or not.
    pub fn lose(&mut self, arrived_too: bool) {
        self.transit.clear();
        if arrived_too {
            self.arrived.clear();
        }
        self.used = self.arrived.len();
    }
}

/// A time after now and not before what was sent earlier.
fn arrival(last_ns: u64, now_ns: u64, dice: &mut Dice) -> u64 {
    let delay_ns = if dice.chance(50) { 0 } else { dice.between(0, DELAY_NS_MAX) };
    last_ns.max(now_ns + delay_ns)
}
