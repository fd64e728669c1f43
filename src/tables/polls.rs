//! Polls that wait for a message: who waits for which sessions, and who is woken.
//!
//! A waiting poll is no member of a session. It is woken by the first message, and reads history, or when one of its sessions is
//! forgotten.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use super::SessionId;
use super::waits::Asker;

/// Where a reader of history stands in one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    /// The session.
    pub session: SessionId,
    /// It has everything up to this position.
    pub seq: u64,
}

/// A poll that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poll {
    /// Where it stands.
    pub stands: Vec<Stand>,
    /// The name of each of these sessions, which may be forgotten meanwhile.
    pub names: Box<[Box<str>]>,
    /// The [key](super::connections::key_of) of the connection whose hidden messages are hidden from it, too; zero for none.
    pub hidden_from: u64,
    /// Who asks.
    pub asker: Asker,
}

#[derive(Debug)]
struct Waiting {
    poll: Poll,
    /// It is among the woken, and on no session's list.
    is_woken: bool,
}

/// The table. A row has one poll at most, so it needs no limit of its own.
#[derive(Debug, Default)]
pub struct Polls {
    /// By connection slot.
    rows: FxHashMap<u32, Waiting>,
    /// Slots by session; no empty sets.
    by_session: FxHashMap<SessionId, FxHashSet<u32>>,
    /// Rows that are woken, in that order. Some may wait no longer.
    woken: VecDeque<u32>,
}

impl Polls {
    /// Polls that wait.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// A row waits.
    pub fn insert(&mut self, slot: u32, poll: Poll) {
        for stand in &poll.stands {
            self.by_session.entry(stand.session).or_default().insert(slot);
        }
        let before = self.rows.insert(slot, Waiting { poll, is_woken: false });
        assert!(before.is_none(), "a row has one poll");
    }

    /// A row waits no longer.
    pub fn remove(&mut self, slot: u32) -> Option<Poll> {
        let Waiting { poll, is_woken } = self.rows.remove(&slot)?;
        if !is_woken {
            unlist(&mut self.by_session, slot, &poll);
        }
        Some(poll)
    }

    /// A message has come, or the session is forgotten: whoever waits for it is woken.
    pub fn wake(&mut self, session: SessionId) {
        if self.rows.is_empty() {
            return;
        }
        for slot in self.by_session.remove(&session).into_iter().flatten() {
            let waiting = self.rows.get_mut(&slot).expect("ok because only rows that wait are listed");
            waiting.is_woken = true;
            unlist(&mut self.by_session, slot, &waiting.poll);
            self.woken.push_back(slot);
        }
    }

    /// Whether anybody is woken and not answered.
    pub fn has_woken(&self) -> bool {
        !self.woken.is_empty()
    }

    /// Takes the next poll that was woken. Rows that wait no longer are passed over.
    pub fn next_woken(&mut self) -> Option<(u32, Poll)> {
        while let Some(slot) = self.woken.pop_front() {
            if self.rows.get(&slot).is_some_and(|waiting| waiting.is_woken) {
                return self.remove(slot).map(|poll| (slot, poll));
            }
        }
        None
    }

    /// Checks that a poll is woken, or waits for each of its sessions.
    pub fn invariants(&self) {
        let listed: usize = self.by_session.values().map(FxHashSet::len).sum();
        let waiting = self.rows.values().filter(|waiting| !waiting.is_woken);
        assert_eq!(listed, waiting.map(|waiting| waiting.poll.stands.len()).sum::<usize>());
        assert!(self.by_session.values().all(|slots| !slots.is_empty()));
        assert!(self.by_session.values().flatten().all(|slot| !self.rows[slot].is_woken));
        let woken = self.rows.iter().filter(|(_, waiting)| waiting.is_woken);
        assert!(woken.into_iter().all(|(slot, _)| self.woken.contains(slot)));
    }
}

fn unlist(by_session: &mut FxHashMap<SessionId, FxHashSet<u32>>, slot: u32, poll: &Poll) {
    for stand in &poll.stands {
        if let Some(slots) = by_session.get_mut(&stand.session) {
            slots.remove(&slot);
            if slots.is_empty() {
                by_session.remove(&stand.session);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(slot: u32) -> SessionId {
        SessionId { slot, generation: 0 }
    }

    fn poll(sessions: &[u32]) -> Poll {
        let stands = sessions.iter().map(|&slot| Stand { session: session(slot), seq: 0 }).collect();
        let names = sessions.iter().map(|slot| slot.to_string().into()).collect();
        Poll { stands, names, hidden_from: 0, asker: Asker { keep_alive: true, origin: None } }
    }

    #[test]
    fn a_message_wakes_those_that_wait_for_its_session_once() {
        let mut polls = Polls::default();
        polls.insert(1, poll(&[10, 20]));
        polls.insert(2, poll(&[10, 30]));
        polls.insert(3, poll(&[30]));
        polls.wake(session(20));
        polls.wake(session(10));
        polls.wake(session(20));
        polls.invariants();
        assert_eq!(polls.next_woken(), Some((1, poll(&[10, 20]))));
        assert_eq!(polls.next_woken(), Some((2, poll(&[10, 30]))));
        assert_eq!((polls.next_woken(), polls.len()), (None, 1));
        polls.invariants();
    }

    #[test]
    fn a_row_that_is_gone_is_not_woken() {
        let mut polls = Polls::default();
        polls.insert(1, poll(&[10]));
        polls.wake(session(10));
        assert!(polls.has_woken());
        assert!(polls.remove(1).is_some());
        polls.invariants();
        assert_eq!(polls.next_woken(), None);
        polls.insert(1, poll(&[10]));
        assert!(polls.remove(1).is_some() && polls.remove(1).is_none());
        polls.wake(session(10));
        assert!(!polls.has_woken() && polls.is_empty());
        polls.invariants();
    }
}
