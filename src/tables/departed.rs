//! Connections that ended a short while ago: their memberships wait for a client that goes on with a new connection.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::SessionId;
use super::connections::Ended;

/// What waits for a connection's client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// Whose it was: the user's personal session.
    pub personal: SessionId,
    /// The sessions it was in, in the order of joining, without the personal one.
    pub sessions: Vec<SessionId>,
    /// The connection and those that it went on for, the last one first.
    pub lineage: Vec<Ended>,
}

/// The table. At its limit the oldest goes.
pub struct Departed {
    /// By public id. The ids are our own random bits, so a fast hasher is safe.
    by_id: FxHashMap<u128, Departure>,
    /// In the order of their ends, with the time in milliseconds. Those taken over are still here.
    order: VecDeque<(u64, u128)>,
    departures_max: usize,
}

impl Departed {
    /// An empty table.
    pub fn new(departures_max: usize) -> Self {
        Self { by_id: FxHashMap::default(), order: VecDeque::new(), departures_max }
    }

    /// Connections that wait.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// A connection ends.
    pub fn insert(&mut self, connection_id: u128, departure: Departure, now_ms: u64) {
        if self.order.len() >= self.departures_max
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.by_id.remove(&oldest);
        }
        self.order.push_back((now_ms, connection_id));
        self.by_id.insert(connection_id, departure);
    }

    /// A client of the user `personal` goes on for a connection.
    pub fn take(&mut self, connection_id: u128, personal: SessionId) -> Option<Departure> {
        self.find(connection_id, personal)?;
        self.by_id.remove(&connection_id)
    }

    /// The sessions that a client of the user `personal` would go on in.
    pub fn sessions_of(&self, connection_id: u128, personal: SessionId) -> &[SessionId] {
        self.find(connection_id, personal).map_or(&[], |departure| &departure.sessions)
    }

    fn find(&self, connection_id: u128, personal: SessionId) -> Option<&Departure> {
        self.by_id.get(&connection_id).filter(|departure| departure.personal == personal)
    }

    /// Forgets connections that ended at `since_ms` or before; at most `budget` of them.
    pub fn expire(&mut self, since_ms: u64, budget: usize) {
        for _ in 0..budget {
            match self.order.front() {
                Some(&(ended_ms, connection_id)) if ended_ms <= since_ms => {
                    self.by_id.remove(&connection_id);
                    self.order.pop_front();
                }
                _ => return,
            }
        }
    }

    /// When the oldest ended.
    pub fn oldest_ms(&self) -> Option<u64> {
        self.order.front().map(|(ended_ms, _)| *ended_ms)
    }

    /// Checks that every connection that waits has its time.
    pub fn invariants(&self) {
        assert!(self.order.len() <= self.departures_max);
        assert!(self.order.iter().is_sorted_by_key(|(ended_ms, _)| *ended_ms));
        let known = self.order.iter().filter(|(_, id)| self.by_id.contains_key(id)).count();
        assert_eq!(known, self.by_id.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn departure(user: u32) -> Departure {
        let personal = SessionId { slot: user, generation: 0 };
        Departure { personal, sessions: vec![SessionId { slot: 9, generation: 0 }], lineage: Vec::new() }
    }

    #[test]
    fn only_its_own_user_takes_a_connection_over_and_only_once() {
        let mut departed = Departed::new(10);
        departed.insert(7, departure(1), 0);
        assert_eq!(departed.take(7, departure(2).personal), None);
        assert_eq!(departed.take(8, departure(1).personal), None);
        assert_eq!(departed.sessions_of(7, departure(1).personal), departure(1).sessions);
        assert!(departed.sessions_of(7, departure(2).personal).is_empty());
        assert_eq!(departed.take(7, departure(1).personal), Some(departure(1)));
        assert_eq!(departed.take(7, departure(1).personal), None);
        departed.invariants();
    }

    #[test]
    fn they_age_and_the_oldest_goes_at_the_limit() {
        let mut departed = Departed::new(2);
        for id in 1..=3 {
            departed.insert(id, departure(1), id as u64);
            departed.invariants();
        }
        assert_eq!((departed.len(), departed.oldest_ms()), (2, Some(2)));
        departed.expire(2, 10);
        assert_eq!(departed.take(2, departure(1).personal), None);
        assert!(departed.take(3, departure(1).personal).is_some());
        departed.expire(3, 10);
        departed.invariants();
        assert_eq!((departed.is_empty(), departed.oldest_ms()), (true, None));
    }
}
