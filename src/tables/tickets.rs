//! Tickets: what opens a stream, a poll or a WebSocket in the place of a token, where a client cannot send one.
//!
//! A ticket is for one user and one session. It must be used soon. From then on it is valid while a row holds it, and for a
//! while after its last use, for the stream that reconnects and the poll that comes again; in all not for longer than its life.
//!
//! Of those that no row holds, a user's newest replaces the oldest. A full table gives up the oldest of the user who asks, or
//! the oldest that waits to be used again, or at last the oldest that waits for its first use.

use std::collections::HashMap;

use ahash::RandomState;
use rustc_hash::FxHashMap;
use slab::Slab;

use super::chains::{Chain, Links};
use crate::config::limits::{TICKET_IDLE_MS, TICKET_LIFE_MS, TICKET_OPEN_MS, TICKETS_PER_USER_MAX};

/// Whom a ticket stands for. It has no rights of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// The user's id.
    pub user_id: String,
    /// The session that the ticket is for.
    pub session_id: String,
}

#[derive(Debug)]
struct Ticket {
    code: u128,
    bearer: Bearer,
    made_ms: u64,
    /// When it was made or last used.
    touched_ms: u64,
    is_used: bool,
    /// Connections that it has opened and that are still there.
    rows: u32,
}

impl Ticket {
    /// When its time is over, if it is not used until then and no row holds it.
    const fn due_ms(&self) -> u64 {
        self.touched_ms + if self.is_used { TICKET_IDLE_MS } else { TICKET_OPEN_MS }
    }

    const fn is_valid(&self, now_ms: u64) -> bool {
        (self.rows > 0 || now_ms < self.due_ms()) && now_ms < self.made_ms + TICKET_LIFE_MS
    }
}

/// The table. A ticket is known by its slot in here, and by its code outside.
pub struct Tickets {
    tickets: Slab<Ticket>,
    /// By code: 128 of our own random bits, so a fast hasher is safe.
    by_code: FxHashMap<u128, u32>,
    /// By connection slot: the ticket that it was opened with.
    by_row: FxHashMap<u32, u32>,
    /// Of each user, those that no row holds; no empty chains. In the order of their last use, as the next two. Names come from
    /// peers, so the hasher is seeded.
    by_user: HashMap<String, Chain, RandomState>,
    user_links: Links,
    /// Those that wait for their first use.
    fresh: Chain,
    /// Those that were used and that no row holds.
    idle: Chain,
    age_links: Links,
    tickets_max: usize,
    replaced: u64,
}

impl Tickets {
    /// An empty table. There must be room for a ticket of each connection, and for more. `seed` makes hashes this server's own.
    pub fn new(tickets_max: usize, seed: [u64; 4]) -> Self {
        Self {
            tickets: Slab::new(),
            by_code: FxHashMap::default(),
            by_row: FxHashMap::default(),
            by_user: HashMap::with_hasher(RandomState::with_seeds(seed[0], seed[1], seed[2], seed[3])),
            user_links: Links::default(),
            fresh: Chain::default(),
            idle: Chain::default(),
            age_links: Links::default(),
            tickets_max,
            replaced: 0,
        }
    }

    /// Tickets that are valid, or were a short while ago.
    pub fn len(&self) -> usize {
        self.tickets.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tickets.is_empty()
    }

    /// Tickets that newer ones have replaced before their time.
    pub const fn replaced(&self) -> u64 {
        self.replaced
    }

    /// Makes a ticket of this code.
    pub fn insert(&mut self, code: u128, bearer: Bearer, now_ms: u64) {
        self.make_room(&bearer.user_id);
        let ticket = Ticket { code, bearer, made_ms: now_ms, touched_ms: now_ms, is_used: false, rows: 0 };
        let at = self.tickets.insert(ticket) as u32;
        self.by_code.insert(code, at);
        self.list(at);
    }

    fn make_room(&mut self, user_id: &str) {
        let own = self.by_user.get(user_id).copied().unwrap_or_default();
        if own.len() >= TICKETS_PER_USER_MAX || self.tickets.len() >= self.tickets_max {
            let oldest = own.first().or_else(|| self.idle.first()).or_else(|| self.fresh.first());
            self.replace(oldest.expect("ok because there are fewer rows than tickets"));
        }
    }

    /// Whom a ticket stands for, if it is valid.
    pub fn find(&self, code: u128, now_ms: u64) -> Option<&Bearer> {
        self.find_valid(code, now_ms).map(|at| &self.tickets[at as usize].bearer)
    }

    fn find_valid(&self, code: u128, now_ms: u64) -> Option<u32> {
        self.by_code.get(&code).copied().filter(|&at| self.tickets[at as usize].is_valid(now_ms))
    }

    /// Uses a ticket; whom it stands for, if it is valid.
    pub fn redeem(&mut self, code: u128, now_ms: u64) -> Option<Bearer> {
        let at = self.find_valid(code, now_ms)?;
        self.unlist(at);
        self.touch(at, now_ms);
        self.list(at);
        Some(self.tickets[at as usize].bearer.clone())
    }

    /// Uses a ticket for a connection, which holds it from now on. Nothing happens if it is not valid.
    pub fn hold(&mut self, slot: u32, code: u128, now_ms: u64) {
        let Some(at) = self.find_valid(code, now_ms) else {
            return;
        };
        self.unlist(at);
        self.touch(at, now_ms);
        self.tickets[at as usize].rows += 1;
        let before = self.by_row.insert(slot, at);
        assert!(before.is_none(), "a row holds one ticket");
    }

    /// Whom the ticket stands for that a connection holds.
    pub fn bearer_of(&self, slot: u32) -> Option<&Bearer> {
        self.by_row.get(&slot).map(|&at| &self.tickets[at as usize].bearer)
    }

    /// Whether a connection may be in a session and publish to it, as far as its ticket goes, if it holds one.
    pub fn allows(&self, slot: u32, session_id: &str) -> bool {
        self.bearer_of(slot).is_none_or(|bearer| bearer.session_id == session_id)
    }

    /// A connection ends, or has shown a token.
    pub fn release(&mut self, slot: u32, now_ms: u64) {
        let Some(at) = self.by_row.remove(&slot) else {
            return;
        };
        self.tickets[at as usize].rows -= 1;
        self.touch(at, now_ms);
        self.list(at);
        let own = self.by_user.get(&self.tickets[at as usize].bearer.user_id).copied().unwrap_or_default();
        if own.len() > TICKETS_PER_USER_MAX {
            self.replace(own.first().expect("ok because it is not empty"));
        }
    }

    fn touch(&mut self, at: u32, now_ms: u64) {
        let ticket = &mut self.tickets[at as usize];
        (ticket.is_used, ticket.touched_ms) = (true, now_ms);
    }

    /// Forgets what is no longer valid; at most `budget` tickets.
    pub fn expire(&mut self, now_ms: u64, budget: usize) {
        for _ in 0..budget {
            let oldest = [self.fresh.first(), self.idle.first()].into_iter().flatten();
            let Some(due) = oldest.into_iter().find(|&at| self.tickets[at as usize].due_ms() <= now_ms) else {
                return;
            };
            self.forget(due);
        }
    }

    /// When the next ticket is looked at.
    pub fn next_due_ms(&self) -> Option<u64> {
        let oldest = [self.fresh.first(), self.idle.first()].into_iter().flatten();
        oldest.map(|at| self.tickets[at as usize].due_ms()).min()
    }

    fn replace(&mut self, at: u32) {
        self.replaced += 1;
        self.forget(at);
    }

    fn forget(&mut self, at: u32) {
        self.unlist(at);
        let ticket = self.tickets.remove(at as usize);
        self.by_code.remove(&ticket.code);
    }

    /// Puts a ticket that no row holds at the end of its lists.
    fn list(&mut self, at: u32) {
        let ticket = &self.tickets[at as usize];
        if ticket.rows > 0 {
            return;
        }
        let chain = if ticket.is_used { &mut self.idle } else { &mut self.fresh };
        self.age_links.append(chain, at);
        let own = self.by_user.entry(ticket.bearer.user_id.clone()).or_default();
        self.user_links.append(own, at);
    }

    /// Takes a ticket out of its lists, if no row holds it.
    fn unlist(&mut self, at: u32) {
        let ticket = &self.tickets[at as usize];
        if ticket.rows > 0 {
            return;
        }
        let chain = if ticket.is_used { &mut self.idle } else { &mut self.fresh };
        self.age_links.remove(chain, at);
        let user_id = &ticket.bearer.user_id;
        let own = self.by_user.get_mut(user_id).expect("ok because its user has a chain");
        self.user_links.remove(own, at);
        if own.is_empty() {
            self.by_user.remove(user_id);
        }
    }

    /// Checks that every ticket is held by its rows, or waits in its lists.
    pub fn invariants(&self) {
        assert!(self.tickets.len() <= self.tickets_max);
        assert_eq!(self.by_code.len(), self.tickets.len());
        assert!(self.by_code.iter().all(|(code, &at)| self.tickets[at as usize].code == *code));
        let held: u32 = self.tickets.iter().map(|(_, ticket)| ticket.rows).sum();
        assert_eq!(held as usize, self.by_row.len());
        assert!(self.by_row.values().all(|&at| self.tickets[at as usize].rows > 0));
        for (chain, is_used) in [(&self.fresh, false), (&self.idle, true)] {
            let tickets = || self.age_links.iter(*chain).map(|at| &self.tickets[at as usize]);
            assert!(tickets().all(|ticket| ticket.is_used == is_used && ticket.rows == 0));
            assert!(tickets().map(|ticket| ticket.touched_ms).is_sorted());
        }
        let waiting = self.tickets.iter().filter(|(_, ticket)| ticket.rows == 0).count();
        assert_eq!(self.fresh.len() + self.idle.len(), waiting);
        assert_eq!(self.by_user.values().map(Chain::len).sum::<usize>(), waiting);
        for (user_id, own) in &self.by_user {
            assert!((1..=TICKETS_PER_USER_MAX).contains(&own.len()));
            assert!(self.user_links.iter(*own).all(|at| self.tickets[at as usize].bearer.user_id == *user_id));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn table(tickets_max: usize) -> Tickets {
        Tickets::new(tickets_max, [1, 2, 3, 4])
    }

    fn bearer(user_id: &str) -> Bearer {
        Bearer { user_id: user_id.to_owned(), session_id: "s".to_owned() }
    }

    #[test]
    fn a_ticket_that_is_not_used_soon_is_void() {
        let mut tickets = table(10);
        tickets.insert(1, bearer("a"), 0);
        tickets.insert(2, bearer("a"), 0);
        assert_eq!(tickets.redeem(1, TICKET_OPEN_MS - 1), Some(bearer("a")));
        assert_eq!(tickets.redeem(2, TICKET_OPEN_MS), None);
        assert_eq!((tickets.redeem(3, 0), tickets.next_due_ms()), (None, Some(TICKET_OPEN_MS)));
        tickets.expire(TICKET_OPEN_MS, 10);
        tickets.invariants();
        assert_eq!(tickets.len(), 1);
    }

    #[test]
    fn a_used_ticket_is_valid_for_a_while_after_its_last_use() {
        let mut tickets = table(10);
        tickets.insert(1, bearer("a"), 0);
        assert!(tickets.redeem(1, 10).is_some() && tickets.redeem(1, 10 + TICKET_IDLE_MS - 1).is_some());
        let due_ms = 10 + 2 * TICKET_IDLE_MS - 1;
        assert_eq!((tickets.find(1, due_ms), tickets.next_due_ms()), (None, Some(due_ms)));
        tickets.expire(due_ms, 10);
        assert_eq!((tickets.is_empty(), tickets.next_due_ms()), (true, None));
    }

    #[test]
    fn a_ticket_that_a_row_holds_does_not_age_and_is_not_replaced() {
        let mut tickets = table(2);
        tickets.insert(1, bearer("a"), 0);
        tickets.hold(7, 1, 0);
        tickets.expire(TICKET_LIFE_MS - 1, 10);
        for code in 2..9 {
            tickets.insert(code, bearer("a"), TICKET_LIFE_MS - 1);
            tickets.invariants();
        }
        assert_eq!((tickets.bearer_of(7), tickets.find(1, TICKET_LIFE_MS)), (Some(&bearer("a")), None));
        assert!(tickets.allows(7, "s") && !tickets.allows(7, "t") && tickets.allows(8, "t"));
        assert!(tickets.find(1, TICKET_LIFE_MS - 1).is_some() && tickets.find(8, TICKET_LIFE_MS).is_some());
        tickets.release(7, TICKET_LIFE_MS);
        tickets.invariants();
        assert_eq!((tickets.bearer_of(7), tickets.len()), (None, 2));
        tickets.expire(TICKET_LIFE_MS + TICKET_IDLE_MS, 10);
        assert!(tickets.is_empty());
    }

    #[test]
    fn looking_is_not_using() {
        let mut tickets = table(10);
        tickets.insert(1, bearer("a"), 0);
        assert_eq!(tickets.find(1, 0), Some(&bearer("a")));
        assert_eq!(tickets.find(1, TICKET_OPEN_MS), None);
    }

    #[test]
    fn a_user_s_newest_replace_the_oldest() {
        let mut tickets = table(1000);
        tickets.insert(0, bearer("b"), 0);
        for code in 1..=TICKETS_PER_USER_MAX as u128 + 1 {
            tickets.insert(code, bearer("a"), code as u64);
            tickets.invariants();
        }
        assert_eq!((tickets.find(1, 50), tickets.replaced()), (None, 1));
        assert!(tickets.find(2, 50).is_some() && tickets.find(0, 50).is_some());
    }

    #[test]
    fn a_full_table_gives_up_one_s_own_first_and_then_what_was_used() {
        let mut tickets = table(3);
        for (code, user) in [(1, "a"), (2, "b"), (3, "c")] {
            tickets.insert(code, bearer(user), code as u64);
        }
        tickets.redeem(2, 5);
        tickets.insert(4, bearer("c"), 6);
        assert_eq!(tickets.find(3, 6), None);
        tickets.insert(5, bearer("d"), 6);
        assert_eq!(tickets.find(2, 6), None);
        tickets.insert(6, bearer("e"), 6);
        assert_eq!((tickets.find(1, 6), tickets.replaced()), (None, 3));
        tickets.invariants();
    }

    /// What a plain map says of a ticket.
    #[derive(Clone, Copy)]
    struct Known {
        made_ms: u64,
        touched_ms: u64,
        is_used: bool,
        is_held: bool,
    }

    impl Known {
        fn is_valid(self, now_ms: u64) -> bool {
            let time_ms = if self.is_used { TICKET_IDLE_MS } else { TICKET_OPEN_MS };
            (self.is_held || now_ms < self.touched_ms + time_ms) && now_ms < self.made_ms + TICKET_LIFE_MS
        }
    }

    proptest! {
        #[test]
        fn whatever_is_asked_a_ticket_lives_its_time(steps in proptest::collection::vec((0_u8..5, 0_u32..20, 0_u64..200_000), 0..200)) {
            let mut tickets = table(1000);
            let mut model = BTreeMap::<u32, Known>::new();
            let mut now_ms = 0;
            for (what, code, pause_ms) in steps {
                now_ms += pause_ms;
                let known = model.get_mut(&code);
                match what {
                    0 if known.is_none() => {
                        tickets.insert(code.into(), bearer(&code.to_string()), now_ms);
                        model.insert(code, Known { made_ms: now_ms, touched_ms: now_ms, is_used: false, is_held: false });
                    }
                    1 => {
                        let valid = known.as_ref().is_some_and(|known| known.is_valid(now_ms));
                        prop_assert_eq!(tickets.redeem(code.into(), now_ms).is_some(), valid);
                        if let Some(known) = known.filter(|_| valid) {
                            (known.is_used, known.touched_ms) = (true, now_ms);
                        }
                    }
                    2 => if let Some(known) = known.filter(|known| !known.is_held && known.is_valid(now_ms)) {
                        tickets.hold(code, code.into(), now_ms);
                        (known.is_used, known.is_held) = (true, true);
                    },
                    3 => {
                        tickets.release(code, now_ms);
                        if let Some(known) = known.filter(|known| known.is_held) {
                            (known.touched_ms, known.is_held) = (now_ms, false);
                        }
                    }
                    _ => tickets.expire(now_ms, 100),
                }
                let is_held = model.get(&code).is_some_and(|known| known.is_held);
                prop_assert_eq!(tickets.bearer_of(code).is_some(), is_held);
                tickets.invariants();
            }
        }
    }
}
