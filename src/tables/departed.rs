//! Connections that ended a short while ago: their memberships wait for a client that goes on with a new connection, and so does
//! what it is to be told of its messages meanwhile.

use rustc_hash::FxHashMap;
use slab::Slab;

use super::chains::{Chain, Links};
use super::connections::key_of;
use super::lineages::{Ended, Lineages};
use super::{Counts, SessionId};

/// What waits for a connection's client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// Its public id.
    pub connection_id: u128,
    /// Whose it was: the user's personal session.
    pub personal: SessionId,
    /// The sessions it was in, in the order of joining, without the personal one.
    pub sessions: Vec<SessionId>,
    /// Those that it went on for.
    pub lineage: Vec<Ended>,
    /// How the receivers of its messages have confirmed them since it ended: the messages' ids and the sums.
    pub outcomes: Vec<(Box<str>, Counts)>,
}

/// How much waits.
#[derive(Clone, Copy, Debug)]
pub struct DepartedLimits {
    /// Connections.
    pub connections: usize,
    /// Outcomes over all of them.
    pub outcomes: usize,
    /// Those of one user.
    pub outcomes_per_user: usize,
}

#[derive(Debug)]
struct Row {
    connection_id: u128,
    personal: SessionId,
    sessions: Vec<SessionId>,
    outcomes: Vec<(Box<str>, Counts)>,
    ended_ms: u64,
}

/// The table. At its limits the oldest connection goes, and no further outcome is kept.
pub struct Departed {
    rows: Slab<Row>,
    /// By public id. The ids are our own random bits, so a fast hasher is safe.
    by_id: FxHashMap<u128, u32>,
    /// By row: those that it went on for.
    lineages: Lineages,
    /// In the order of their ends.
    order: Chain,
    links: Links,
    /// Outcomes over all rows.
    outcomes: usize,
    /// Those of each user, by the personal session; none has zero. Ids are our own, so a fast hasher is safe.
    outcomes_by_user: FxHashMap<SessionId, usize>,
    limits: DepartedLimits,
    /// Connections that went because of the limit.
    displaced: u64,
    /// Outcomes that were not kept because of a limit.
    unkept: u64,
}

impl Departed {
    /// An empty table.
    pub fn new(limits: DepartedLimits) -> Self {
        Self {
            rows: Slab::new(),
            by_id: FxHashMap::default(),
            lineages: Lineages::default(),
            order: Chain::default(),
            links: Links::default(),
            outcomes: 0,
            outcomes_by_user: FxHashMap::default(),
            limits,
            displaced: 0,
            unkept: 0,
        }
    }

    /// Connections that wait.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Connections that newer ones have displaced before their time.
    pub const fn displaced(&self) -> u64 {
        self.displaced
    }

    /// Outcomes that were not kept because too many waited.
    pub const fn unkept(&self) -> u64 {
        self.unkept
    }

    /// A connection ends. At the limit it takes the place of the oldest.
    pub fn insert(&mut self, departure: Departure, now_ms: u64) {
        if self.rows.len() >= self.limits.connections
            && let Some(oldest) = self.order.first()
        {
            self.remove(oldest);
            self.displaced += 1;
        }
        let Departure { connection_id, personal, sessions, lineage, outcomes } = departure;
        self.count_outcomes(personal, outcomes.len());
        let at = self.rows.insert(Row { connection_id, personal, sessions, outcomes, ended_ms: now_ms }) as u32;
        self.links.append(&mut self.order, at);
        self.by_id.insert(connection_id, at);
        self.lineages.insert(at, lineage);
    }

    /// It is settled how the receivers of a message have confirmed it that a client of the user `personal` sent over a connection,
    /// or over one that the connection which waits went on for.
    pub fn keep_outcome(&mut self, connection_id: u128, personal: SessionId, id: &str, counts: Counts) {
        let Some(at) = self.find(connection_id, personal) else {
            return;
        };
        let of_user = self.outcomes_by_user.get(&personal).copied().unwrap_or_default();
        if self.outcomes >= self.limits.outcomes || of_user >= self.limits.outcomes_per_user {
            self.unkept += 1;
            return;
        }
        self.count_outcomes(personal, 1);
        self.rows[at as usize].outcomes.push((id.into(), counts));
    }

    fn count_outcomes(&mut self, personal: SessionId, count: usize) {
        if count > 0 {
            self.outcomes += count;
            *self.outcomes_by_user.entry(personal).or_default() += count;
        }
    }

    fn discount_outcomes(&mut self, personal: SessionId, count: usize) {
        if let Some(left) = self.outcomes_by_user.get_mut(&personal) {
            self.outcomes -= count;
            *left -= count;
            if *left == 0 {
                self.outcomes_by_user.remove(&personal);
            }
        }
    }

    /// A client of the user `personal` goes on for a connection, or for the last one that went on for that.
    pub fn take(&mut self, connection_id: u128, personal: SessionId) -> Option<Departure> {
        self.find(connection_id, personal).map(|at| self.remove(at))
    }

    /// The sessions that a client of the user `personal` would go on in.
    pub fn sessions_of(&self, connection_id: u128, personal: SessionId) -> &[SessionId] {
        self.find(connection_id, personal).map_or(&[], |at| &self.rows[at as usize].sessions)
    }

    fn find(&self, connection_id: u128, personal: SessionId) -> Option<u32> {
        let own = self.by_id.get(&connection_id).copied();
        let at = own.or_else(|| self.lineages.heir(key_of(connection_id)));
        at.filter(|&at| self.rows[at as usize].personal == personal)
    }

    fn remove(&mut self, at: u32) -> Departure {
        self.links.remove(&mut self.order, at);
        let Row { connection_id, personal, sessions, outcomes, .. } = self.rows.remove(at as usize);
        self.by_id.remove(&connection_id);
        self.discount_outcomes(personal, outcomes.len());
        Departure { connection_id, personal, sessions, lineage: self.lineages.remove(at), outcomes }
    }

    /// Forgets connections that ended at `since_ms` or before; at most `budget` of them.
    pub fn expire(&mut self, since_ms: u64, budget: usize) {
        for _ in 0..budget {
            match self.order.first() {
                Some(oldest) if self.rows[oldest as usize].ended_ms <= since_ms => self.remove(oldest),
                _ => return,
            };
        }
    }

    /// When the oldest ended.
    pub fn oldest_ms(&self) -> Option<u64> {
        self.order.first().map(|oldest| self.rows[oldest as usize].ended_ms)
    }

    /// Checks that every connection that waits has its place in the order.
    pub fn invariants(&self) {
        assert!(self.rows.len() <= self.limits.connections);
        let mut by_user = FxHashMap::default();
        for (_, row) in self.rows.iter().filter(|(_, row)| !row.outcomes.is_empty()) {
            *by_user.entry(row.personal).or_default() += row.outcomes.len();
        }
        assert!(self.outcomes == by_user.values().sum::<usize>() && self.outcomes <= self.limits.outcomes);
        assert!(by_user.values().all(|&outcomes| outcomes <= self.limits.outcomes_per_user));
        assert_eq!(self.outcomes_by_user, by_user);
        self.lineages.invariants();
        assert_eq!(self.order.len(), self.rows.len());
        assert_eq!(self.by_id.len(), self.rows.len());
        assert!(self.by_id.iter().all(|(id, &at)| self.rows[at as usize].connection_id == *id));
        assert!(self.links.iter(self.order).map(|at| self.rows[at as usize].ended_ms).is_sorted());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn departure(connection_id: u128, user: u32) -> Departure {
        let personal = SessionId { slot: user, generation: 0 };
        let sessions = vec![SessionId { slot: 9, generation: 0 }];
        Departure { connection_id, personal, sessions, lineage: Vec::new(), outcomes: Vec::new() }
    }

    #[test]
    fn only_its_own_user_takes_a_connection_over_and_only_once() {
        let mut departed = Departed::new(DepartedLimits { connections: 10, outcomes: 2, outcomes_per_user: 2 });
        departed.insert(departure(7, 1), 0);
        assert_eq!(departed.take(7, departure(7, 2).personal), None);
        assert_eq!(departed.take(8, departure(8, 1).personal), None);
        assert_eq!(departed.sessions_of(7, departure(7, 1).personal), departure(7, 1).sessions);
        assert!(departed.sessions_of(7, departure(7, 2).personal).is_empty());
        assert_eq!(departed.take(7, departure(7, 1).personal), Some(departure(7, 1)));
        assert_eq!(departed.take(7, departure(7, 1).personal), None);
        departed.invariants();
    }

    #[test]
    fn one_that_was_taken_over_leads_to_its_heir() {
        let mut departed = Departed::new(DepartedLimits { connections: 10, outcomes: 2, outcomes_per_user: 2 });
        let heir = Departure { lineage: vec![Ended { key: 7, ended_ms: 0 }], ..departure(8, 1) };
        departed.insert(heir.clone(), 0);
        departed.invariants();
        assert_eq!(departed.take(7, departure(7, 2).personal), None);
        assert_eq!(departed.take(7, heir.personal), Some(heir.clone()));
        assert_eq!(departed.take(7, heir.personal), None);
        departed.invariants();
    }

    #[test]
    fn those_that_were_taken_over_need_no_room() {
        let mut departed = Departed::new(DepartedLimits { connections: 2, outcomes: 2, outcomes_per_user: 2 });
        departed.insert(departure(1, 1), 0);
        for id in 2..20 {
            departed.insert(departure(id, 2), 0);
            assert!(departed.take(id, departure(id, 2).personal).is_some());
            departed.invariants();
        }
        assert_eq!(departed.take(1, departure(1, 1).personal), Some(departure(1, 1)));
    }

    #[test]
    fn they_age_and_the_oldest_goes_at_the_limit() {
        let mut departed = Departed::new(DepartedLimits { connections: 2, outcomes: 2, outcomes_per_user: 2 });
        for id in 1..=3 {
            departed.insert(departure(id, 1), id as u64);
            departed.invariants();
        }
        assert_eq!((departed.len(), departed.oldest_ms(), departed.displaced()), (2, Some(2), 1));
        departed.expire(2, 10);
        assert_eq!(departed.take(2, departure(2, 1).personal), None);
        assert!(departed.take(3, departure(3, 1).personal).is_some());
        departed.expire(3, 10);
        departed.invariants();
        assert_eq!((departed.is_empty(), departed.oldest_ms()), (true, None));
    }

    #[test]
    fn outcomes_wait_with_the_connection_or_its_heir_as_far_as_there_is_room() {
        let mut departed = Departed::new(DepartedLimits { connections: 10, outcomes: 2, outcomes_per_user: 2 });
        let heir = Departure { lineage: vec![Ended { key: 7, ended_ms: 0 }], ..departure(8, 1) };
        let personal = heir.personal;
        departed.insert(heir, 0);
        departed.keep_outcome(8, departure(9, 2).personal, "of another user", Counts::default());
        for (connection_id, id) in [(8, "own"), (7, "inherited"), (8, "one too many")] {
            departed.keep_outcome(connection_id, personal, id, Counts::default());
            departed.invariants();
        }
        assert_eq!(departed.unkept(), 1);
        let outcomes = departed.take(8, personal).unwrap().outcomes;
        assert_eq!(outcomes, ["own", "inherited"].map(|id| (id.into(), Counts::default())));
        departed.keep_outcome(8, personal, "too late", Counts::default());
        departed.invariants();
    }
    #[test]
    fn one_user_s_outcomes_leave_room_for_others() {
        let mut departed = Departed::new(DepartedLimits { connections: 10, outcomes: 3, outcomes_per_user: 2 });
        for connection in [departure(1, 1), departure(2, 1), departure(3, 2)] {
            departed.insert(connection, 0);
        }
        let [one, other] = [1, 2].map(|user| departure(0, user).personal);
        for (connection_id, personal) in [(1, one), (2, one), (1, one), (3, other), (3, other)] {
            departed.keep_outcome(connection_id, personal, "m", Counts::default());
            departed.invariants();
        }
        assert_eq!(departed.unkept(), 2, "the third of one user, and the fourth of all");
        departed.expire(0, 10);
        departed.invariants();
    }
}
