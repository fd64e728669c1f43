//! Tickets: what opens a stream, a poll or a WebSocket in the place of a token, where a client cannot send one.
//!
//! A ticket is for one user and one session. It must be used soon; once used it is valid for its life, for the stream that
//! reconnects. A user's newest replace the oldest; when the table is full, there are no more until some have aged.

use std::collections::{HashMap, VecDeque};

use ahash::RandomState;
use rustc_hash::FxHashMap;

use crate::config::limits::{TICKET_LIFE_MS, TICKET_OPEN_MS, TICKETS_PER_USER_MAX};

/// Whom a ticket stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// The user's id.
    pub user_id: String,
    /// Whether the user is a service.
    pub is_service: bool,
    /// The session that the ticket is for.
    pub session_id: String,
}

#[derive(Debug)]
struct Ticket {
    bearer: Bearer,
    made_ms: u64,
    is_used: bool,
}

impl Ticket {
    const fn is_valid(&self, now_ms: u64) -> bool {
        let life_ms = if self.is_used { TICKET_LIFE_MS } else { TICKET_OPEN_MS };
        now_ms < self.made_ms + life_ms
    }
}

/// The table.
pub struct Tickets {
    /// By code: 128 of our own random bits, so a fast hasher is safe.
    by_code: FxHashMap<u128, Ticket>,
    /// The codes of each user, in the order of their making. Names come from peers, so the hasher is seeded.
    by_user: HashMap<String, Vec<u128>, RandomState>,
    /// Codes in the order of their making, with its time: those made a short while ago, and those used that are older.
    /// Tickets that were replaced may still be here.
    fresh: VecDeque<(u64, u128)>,
    used: VecDeque<(u64, u128)>,
    /// By connection slot: the ticket that an upgrade came with, until its authentication.
    held: FxHashMap<u32, u128>,
    tickets_max: usize,
}

impl Tickets {
    /// An empty table. `seed` makes hashes this server's own.
    pub fn new(tickets_max: usize, seed: [u64; 4]) -> Self {
        Self {
            by_code: FxHashMap::default(),
            by_user: HashMap::with_hasher(RandomState::with_seeds(seed[0], seed[1], seed[2], seed[3])),
            fresh: VecDeque::new(),
            used: VecDeque::new(),
            held: FxHashMap::default(),
            tickets_max,
        }
    }

    /// Tickets that are valid, or were a short while ago.
    pub fn len(&self) -> usize {
        self.by_code.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_code.is_empty()
    }

    /// Makes a ticket of this code. Returns false when the table is full.
    pub fn insert(&mut self, code: u128, bearer: Bearer, now_ms: u64) -> bool {
        // Those that were replaced count until their time comes.
        if self.fresh.len() + self.used.len() >= self.tickets_max {
            return false;
        }
        let own = self.by_user.entry(bearer.user_id.clone()).or_default();
        own.push(code);
        if own.len() > TICKETS_PER_USER_MAX {
            self.forget(self.by_user[&bearer.user_id][0]);
        }
        self.fresh.push_back((now_ms, code));
        self.by_code.insert(code, Ticket { bearer, made_ms: now_ms, is_used: false });
        true
    }

    /// Whom a ticket stands for, if it is valid.
    pub fn find(&self, code: u128, now_ms: u64) -> Option<&Bearer> {
        self.by_code.get(&code).filter(|ticket| ticket.is_valid(now_ms)).map(|ticket| &ticket.bearer)
    }

    /// Uses a ticket; whom it stands for, if it is valid.
    pub fn redeem(&mut self, code: u128, now_ms: u64) -> Option<Bearer> {
        let ticket = self.by_code.get_mut(&code).filter(|ticket| ticket.is_valid(now_ms))?;
        ticket.is_used = true;
        Some(ticket.bearer.clone())
    }

    /// A connection has come with a ticket and will authenticate by it.
    pub fn hold(&mut self, slot: u32, code: u128) {
        self.held.insert(slot, code);
    }

    /// The ticket that a connection has come with, once.
    pub fn take_held(&mut self, slot: u32) -> Option<u128> {
        self.held.remove(&slot)
    }

    /// Forgets what is no longer valid; at most `budget` tickets.
    pub fn expire(&mut self, now_ms: u64, budget: usize) {
        for _ in 0..budget {
            if let Some((made_ms, code)) = pop_due(&mut self.fresh, TICKET_OPEN_MS, now_ms) {
                match self.by_code.get(&code) {
                    Some(ticket) if ticket.is_used => self.used.push_back((made_ms, code)),
                    Some(_) | None => self.forget(code),
                }
            } else if let Some((_, code)) = pop_due(&mut self.used, TICKET_LIFE_MS, now_ms) {
                self.forget(code);
            } else {
                return;
            }
        }
    }

    fn forget(&mut self, code: u128) {
        let Some(ticket) = self.by_code.remove(&code) else {
            return;
        };
        if let Some(own) = self.by_user.get_mut(&ticket.bearer.user_id) {
            own.retain(|other| *other != code);
            if own.is_empty() {
                self.by_user.remove(&ticket.bearer.user_id);
            }
        }
    }

    /// When the next ticket is looked at.
    pub fn next_due_ms(&self) -> Option<u64> {
        let fresh = self.fresh.front().map(|(made_ms, _)| made_ms + TICKET_OPEN_MS);
        let used = self.used.front().map(|(made_ms, _)| made_ms + TICKET_LIFE_MS);
        fresh.into_iter().chain(used).min()
    }

    /// Checks that every ticket has its time and its user.
    pub fn invariants(&self) {
        assert!(self.fresh.len() + self.used.len() <= self.tickets_max);
        for list in [&self.fresh, &self.used] {
            assert!(list.iter().is_sorted_by_key(|(made_ms, _)| *made_ms));
        }
        let known = self.fresh.iter().chain(&self.used).filter(|(_, code)| self.by_code.contains_key(code)).count();
        assert_eq!(known, self.by_code.len());
        assert_eq!(self.by_user.values().map(Vec::len).sum::<usize>(), self.by_code.len());
        for (user_id, codes) in &self.by_user {
            assert!((1..=TICKETS_PER_USER_MAX).contains(&codes.len()));
            assert!(codes.iter().all(|code| self.by_code[code].bearer.user_id == *user_id));
        }
    }
}

fn pop_due(list: &mut VecDeque<(u64, u128)>, life_ms: u64, now_ms: u64) -> Option<(u64, u128)> {
    let is_due = list.front().is_some_and(|(made_ms, _)| made_ms + life_ms <= now_ms);
    if is_due { list.pop_front() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(tickets_max: usize) -> Tickets {
        Tickets::new(tickets_max, [1, 2, 3, 4])
    }

    fn bearer(user_id: &str) -> Bearer {
        Bearer { user_id: user_id.to_owned(), is_service: false, session_id: "s".to_owned() }
    }

    #[test]
    fn a_ticket_that_is_not_used_soon_is_void() {
        let mut tickets = table(10);
        assert!(tickets.insert(1, bearer("a"), 0) && tickets.insert(2, bearer("a"), 0));
        assert_eq!(tickets.redeem(1, TICKET_OPEN_MS - 1), Some(bearer("a")));
        assert_eq!(tickets.redeem(1, TICKET_LIFE_MS - 1), Some(bearer("a")));
        assert_eq!(tickets.redeem(1, TICKET_LIFE_MS), None);
        assert_eq!(tickets.redeem(2, TICKET_OPEN_MS), None);
        assert_eq!((tickets.redeem(3, 0), tickets.next_due_ms()), (None, Some(TICKET_OPEN_MS)));
        tickets.expire(TICKET_OPEN_MS, 10);
        tickets.invariants();
        assert_eq!((tickets.len(), tickets.next_due_ms()), (1, Some(TICKET_LIFE_MS)));
        tickets.expire(TICKET_LIFE_MS, 10);
        assert_eq!((tickets.is_empty(), tickets.next_due_ms()), (true, None));
    }

    #[test]
    fn looking_is_not_using() {
        let mut tickets = table(10);
        assert!(tickets.insert(1, bearer("a"), 0));
        assert_eq!(tickets.find(1, 0), Some(&bearer("a")));
        assert_eq!(tickets.find(1, TICKET_OPEN_MS), None);
    }

    #[test]
    fn a_user_s_newest_replace_the_oldest() {
        let mut tickets = table(1000);
        assert!(tickets.insert(0, bearer("b"), 0));
        for code in 1..=TICKETS_PER_USER_MAX as u128 + 1 {
            assert!(tickets.insert(code, bearer("a"), code as u64));
            tickets.invariants();
        }
        assert_eq!(tickets.find(1, 50), None);
        assert!(tickets.find(2, 50).is_some() && tickets.find(0, 50).is_some());
    }

    #[test]
    fn a_full_table_takes_no_more() {
        let mut tickets = table(2);
        assert!(tickets.insert(1, bearer("a"), 0) && tickets.insert(2, bearer("b"), 1));
        assert!(!tickets.insert(3, bearer("c"), 2));
        tickets.expire(TICKET_OPEN_MS, 10);
        assert!(tickets.insert(3, bearer("c"), TICKET_OPEN_MS));
        tickets.invariants();
    }

    proptest! {
        #[test]
        fn whatever_is_asked_a_ticket_lives_its_time(steps in proptest::collection::vec((0_u8..3, 0_u128..20, 0_u64..60_000), 0..100)) {
            let mut tickets = table(1000);
            let mut model = std::collections::BTreeMap::new();
            let mut now_ms = 0;
            for (what, code, pause_ms) in steps {
                now_ms += pause_ms;
                let is_valid = |&(made_ms, is_used): &(u64, bool)| {
                    now_ms < made_ms + if is_used { TICKET_LIFE_MS } else { TICKET_OPEN_MS }
                };
                match what {
                    0 if !model.contains_key(&code) => {
                        tickets.insert(code, bearer(&code.to_string()), now_ms);
                        model.insert(code, (now_ms, false));
                    }
                    1 => {
                        let valid = model.get(&code).is_some_and(is_valid);
                        prop_assert_eq!(tickets.redeem(code, now_ms).is_some(), valid);
                        if valid {
                            model.entry(code).and_modify(|(_, is_used)| *is_used = true);
                        }
                    }
                    _ => tickets.expire(now_ms, 100),
                }
                tickets.invariants();
            }
        }
    }
}
