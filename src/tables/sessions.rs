//! Sessions and who is in them: names, positions, and the edge table of memberships.
//!
//! A user's personal session is a session like any other, named `@` and the user id. An edge is a connection in a session;
//! it is in the session's member list and in the connection's list of edges, and only this table touches either.

use ahash::RandomState;
use hashbrown::HashTable;
use slab::Slab;
use smallvec::SmallVec;

use super::SessionId;
use super::messages::Topic;

const NONE: u32 = u32::MAX;
/// What a personal session's name starts with.
pub const PERSONAL_PREFIX: char = '@';

struct Session {
    name: Box<str>,
    /// Tells this life of the session from others of the same name.
    epoch: u64,
    /// The position of the newest message; zero before the first.
    head: u64,
    /// Slots of the connections in it, in no order. A few stand in the row itself: most personal sessions have one.
    members: SmallVec<[u32; 4]>,
    /// When the last member left or the last message came, in milliseconds. Valid while there are no members.
    idle_since_ms: u64,
    /// Neighbours in the list of sessions without members, oldest first.
    idle_previous: u32,
    idle_next: u32,
}

struct Edge {
    session: u32,
    connection: u32,
    /// The place of `connection` in the session's member list.
    place: u32,
    /// The connection's next edge.
    next: u32,
}

#[derive(Clone, Copy)]
struct EdgeList {
    first: u32,
    count: u32,
}

/// The table.
pub struct Sessions {
    rows: Slab<Session>,
    /// By session slot; survives the row.
    generations: Vec<u32>,
    /// Session slots by name. Names come from peers, so the hasher is seeded.
    by_name: HashTable<u32>,
    hasher: RandomState,
    edges: Slab<Edge>,
    /// By connection slot: its edges in the order of joining.
    by_connection: Vec<EdgeList>,
    idle_first: u32,
    idle_last: u32,
    next_epoch: u64,
    sessions_max: usize,
}

impl Sessions {
    /// An empty table. `seed` makes epochs and hashes this server's own.
    pub fn new(sessions_max: usize, seed: [u64; 4]) -> Self {
        Self {
            rows: Slab::new(),
            generations: Vec::new(),
            by_name: HashTable::new(),
            hasher: RandomState::with_seeds(seed[0], seed[1], seed[2], seed[3]),
            edges: Slab::new(),
            by_connection: Vec::new(),
            idle_first: NONE,
            idle_last: NONE,
            next_epoch: seed[0] ^ seed[3],
            sessions_max,
        }
    }

    /// Sessions, with members or not.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Memberships.
    pub fn edge_count(&self) -> usize {
        self.edges.len()
    }

    /// The topic of a session, type and key. No peer can aim at another one's.
    pub fn topic(&self, session: SessionId, kind: &str, key: &str) -> Topic {
        let half = |salt: u8| u128::from(self.hasher.hash_one((salt, session.slot, session.generation, kind, key)));
        Topic(half(0) << 64 | half(1))
    }

    /// The session of this name.
    pub fn find(&self, name: &str) -> Option<SessionId> {
        let hash = self.hasher.hash_one(name);
        let slot = *self.by_name.find(hash, |&slot| &*self.rows[slot as usize].name == name)?;
        Some(self.id(slot))
    }

    /// Whether there are as many sessions as are allowed.
    pub fn is_full(&self) -> bool {
        self.rows.len() >= self.sessions_max
    }

    /// The session of this name, made now if there is none. There must be room for it.
    pub fn open(&mut self, name: &str, now_ms: u64) -> SessionId {
        if let Some(id) = self.find(name) {
            return id;
        }
        assert!(!self.is_full(), "a session was made beyond the limit");
        let epoch = self.next_epoch;
        self.next_epoch = self.next_epoch.wrapping_add(1);
        let slot = self.rows.insert(Session {
            name: name.into(),
            epoch,
            head: 0,
            members: SmallVec::new(),
            idle_since_ms: now_ms,
            idle_previous: NONE,
            idle_next: NONE,
        }) as u32;
        if self.generations.len() <= slot as usize {
            self.generations.resize(slot as usize + 1, 0);
        }
        let hash = self.hasher.hash_one(name);
        let (hasher, rows) = (&self.hasher, &self.rows);
        self.by_name.insert_unique(hash, slot, |&other| hasher.hash_one(&*rows[other as usize].name));
        self.link_idle(slot, now_ms);
        self.id(slot)
    }

    /// The session's name.
    pub fn name(&self, id: SessionId) -> &str {
        &self.row(id).name
    }

    /// The user a personal session belongs to.
    pub fn user_of(&self, id: SessionId) -> Option<&str> {
        self.row(id).name.strip_prefix(PERSONAL_PREFIX)
    }

    /// Whether the id still finds its session.
    pub fn is_alive(&self, id: SessionId) -> bool {
        self.rows.contains(id.slot as usize) && self.generations[id.slot as usize] == id.generation
    }

    /// The session's epoch as it is written: 16 hexadecimal digits.
    pub fn epoch(&self, id: SessionId) -> String {
        format!("{:016x}", self.row(id).epoch)
    }

    /// The position of the newest message.
    pub fn head(&self, id: SessionId) -> u64 {
        self.row(id).head
    }

    /// Takes the next position.
    pub fn advance(&mut self, id: SessionId, now_ms: u64) -> u64 {
        let row = &mut self.rows[id.slot as usize];
        row.head += 1;
        let head = row.head;
        self.touch(id, now_ms);
        head
    }

    /// Somebody without a connection is interested in the session: if it has no members, its time begins anew.
    pub fn touch(&mut self, id: SessionId, now_ms: u64) {
        if self.row(id).members.is_empty() {
            self.unlink_idle(id.slot);
            self.link_idle(id.slot, now_ms);
        }
    }

    /// The slots of the connections in the session; none once it is gone.
    pub fn members(&self, id: SessionId) -> &[u32] {
        if self.is_alive(id) { &self.row(id).members } else { &[] }
    }

    /// How many sessions the connection is in.
    pub fn count_of(&self, connection: u32) -> u32 {
        self.by_connection.get(connection as usize).map_or(0, |list| list.count)
    }

    /// The connection's sessions in the order of joining, the personal one among them.
    pub fn of_connection(&self, connection: u32) -> impl Iterator<Item = SessionId> + '_ {
        self.edges_of(connection).map(|edge| self.id(self.edges[edge as usize].session))
    }

    /// The oldest joined session still joined, without the personal one.
    pub fn default_of(&self, connection: u32) -> Option<SessionId> {
        self.of_connection(connection).find(|&id| self.user_of(id).is_none())
    }

    /// Whether the connection is in the session.
    pub fn is_member(&self, connection: u32, id: SessionId) -> bool {
        self.of_connection(connection).any(|other| other == id)
    }

    /// Whether two connections are in a session together, personal ones aside.
    pub fn share_one(&self, a: u32, b: u32) -> bool {
        self.of_connection(a).any(|id| self.user_of(id).is_none() && self.is_member(b, id))
    }

    /// Puts a connection into a session. Returns false if it was there.
    pub fn join(&mut self, connection: u32, id: SessionId) -> bool {
        if self.is_member(connection, id) {
            return false;
        }
        if self.row(id).members.is_empty() {
            self.unlink_idle(id.slot);
        }
        let members = &mut self.rows[id.slot as usize].members;
        let place = members.len() as u32;
        members.push(connection);
        let edge = self.edges.insert(Edge { session: id.slot, connection, place, next: NONE }) as u32;
        self.append_edge(connection, edge);
        true
    }

    /// Takes a connection out of a session. Returns false if it was not there.
    pub fn leave(&mut self, connection: u32, id: SessionId, now_ms: u64) -> bool {
        let mut previous = NONE;
        let found = self.edges_of(connection).find(|&edge| {
            let found = self.edges[edge as usize].session == id.slot;
            if !found {
                previous = edge;
            }
            found
        });
        let Some(edge) = found else {
            return false;
        };
        let next = self.edges[edge as usize].next;
        let list = &mut self.by_connection[connection as usize];
        list.count -= 1;
        if previous == NONE {
            list.first = next;
        } else {
            self.edges[previous as usize].next = next;
        }
        self.remove_member(edge, now_ms);
        true
    }

    /// Takes a connection out of all its sessions.
    pub fn leave_all(&mut self, connection: u32, now_ms: u64) {
        let Some(list) = self.by_connection.get_mut(connection as usize) else {
            return;
        };
        let mut edge = list.first;
        *list = EdgeList { first: NONE, count: 0 };
        while edge != NONE {
            let next = self.edges[edge as usize].next;
            self.remove_member(edge, now_ms);
            edge = next;
        }
    }

    /// Forgets the session that has been without members and messages longest, if that began at `since_ms` or before.
    pub fn remove_idle(&mut self, since_ms: u64) -> Option<SessionId> {
        let oldest = self.rows.get(self.idle_first as usize)?;
        if oldest.idle_since_ms > since_ms {
            return None;
        }
        let id = self.id(self.idle_first);
        self.remove(id.slot);
        Some(id)
    }

    /// When the next session may be forgotten.
    pub fn next_expiry_ms(&self, life_ms: u64) -> Option<u64> {
        let oldest = self.rows.get(self.idle_first as usize)?;
        Some(oldest.idle_since_ms + life_ms)
    }

    fn id(&self, slot: u32) -> SessionId {
        SessionId { slot, generation: self.generations[slot as usize] }
    }

    fn row(&self, id: SessionId) -> &Session {
        debug_assert!(self.is_alive(id), "a session that is gone");
        &self.rows[id.slot as usize]
    }

    fn edges_of(&self, connection: u32) -> impl Iterator<Item = u32> + '_ {
        let mut edge = self.by_connection.get(connection as usize).map_or(NONE, |list| list.first);
        std::iter::from_fn(move || {
            let current = edge;
            edge = self.edges.get(current as usize)?.next;
            Some(current)
        })
    }

    /// O(edges of the connection), at most `HASHI_SESSIONS_PER_CONNECTION` and one.
    fn append_edge(&mut self, connection: u32, edge: u32) {
        let at = connection as usize;
        if self.by_connection.len() <= at {
            self.by_connection.resize(at + 1, EdgeList { first: NONE, count: 0 });
        }
        match self.edges_of(connection).last() {
            Some(last) => self.edges[last as usize].next = edge,
            None => self.by_connection[at].first = edge,
        }
        self.by_connection[at].count += 1;
    }

    /// Frees an edge that is out of its connection's list. The last member takes the empty place.
    fn remove_member(&mut self, edge: u32, now_ms: u64) {
        let Edge { session, place, .. } = self.edges.remove(edge as usize);
        let members = &mut self.rows[session as usize].members;
        members.swap_remove(place as usize);
        if let Some(&moved) = members.get(place as usize) {
            let edge = self.edges_of(moved).find(|&e| self.edges[e as usize].session == session);
            self.edges[edge.expect("ok because a member has an edge") as usize].place = place;
        }
        let members = &mut self.rows[session as usize].members;
        if members.is_empty() {
            *members = SmallVec::new();
            self.link_idle(session, now_ms);
        }
    }

    fn link_idle(&mut self, slot: u32, now_ms: u64) {
        let last = self.idle_last;
        let row = &mut self.rows[slot as usize];
        (row.idle_since_ms, row.idle_previous, row.idle_next) = (now_ms, last, NONE);
        if last == NONE {
            self.idle_first = slot;
        } else {
            self.rows[last as usize].idle_next = slot;
        }
        self.idle_last = slot;
    }

    fn unlink_idle(&mut self, slot: u32) {
        let row = &self.rows[slot as usize];
        let (previous, next) = (row.idle_previous, row.idle_next);
        if previous == NONE {
            self.idle_first = next;
        } else {
            self.rows[previous as usize].idle_next = next;
        }
        if next == NONE {
            self.idle_last = previous;
        } else {
            self.rows[next as usize].idle_previous = previous;
        }
    }

    /// Forgets a session without members.
    fn remove(&mut self, slot: u32) {
        self.unlink_idle(slot);
        let session = self.rows.remove(slot as usize);
        assert!(session.members.is_empty(), "a session with members was forgotten");
        self.generations[slot as usize] = self.generations[slot as usize].wrapping_add(1);
        let hash = self.hasher.hash_one(&*session.name);
        if let Ok(entry) = self.by_name.find_entry(hash, |&other| other == slot) {
            entry.remove();
        }
        if self.by_name.is_empty() {
            self.by_name = HashTable::new();
        }
    }

    /// Checks that both sides of every relation agree.
    pub fn invariants(&self) {
        let mut idle = 0;
        for (slot, session) in &self.rows {
            assert_eq!(self.find(&session.name), Some(self.id(slot as u32)));
            idle += usize::from(session.members.is_empty());
            for (place, &member) in session.members.iter().enumerate() {
                let edge = self.edges_of(member).find(|&e| self.edges[e as usize].session == slot as u32).unwrap();
                let edge = &self.edges[edge as usize];
                assert_eq!((edge.place as usize, edge.connection), (place, member));
            }
        }
        assert_eq!(self.by_name.len(), self.rows.len());
        assert_eq!(self.rows.iter().map(|(_, s)| s.members.len()).sum::<usize>(), self.edges.len());
        let counted: usize = (0..self.by_connection.len() as u32).map(|c| self.edges_of(c).count()).sum();
        assert_eq!(counted, self.edges.len());
        assert_eq!(self.by_connection.iter().map(|list| list.count as usize).sum::<usize>(), self.edges.len());
        let mut listed = 0;
        let mut slot = self.idle_first;
        let mut since = 0;
        while slot != NONE {
            let row = &self.rows[slot as usize];
            assert!(row.members.is_empty() && row.idle_since_ms >= since);
            (since, slot) = (row.idle_since_ms, row.idle_next);
            listed += 1;
        }
        assert_eq!(listed, idle);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn sessions(max: usize) -> Sessions {
        Sessions::new(max, [1, 2, 3, 4])
    }

    #[test]
    fn a_session_made_again_has_another_epoch_and_the_old_id_is_dead() {
        let mut table = sessions(10);
        let first = table.open("a", 0);
        let epoch = table.epoch(first);
        assert_eq!(table.advance(first, 5), 1);
        assert_eq!(table.remove_idle(4), None, "a message keeps it alive");
        assert_eq!(table.remove_idle(5), Some(first));
        assert!(!table.is_alive(first) && table.is_empty());
        let second = table.open("a", 200);
        assert_ne!(table.epoch(second), epoch);
        assert_eq!(table.head(second), 0);
    }

    #[test]
    fn only_sessions_without_members_are_removed_the_oldest_first() {
        let mut table = sessions(2);
        let [a, b] = [table.open("a", 0), table.open("b", 1)];
        assert!(table.is_full());
        table.join(7, a);
        assert_eq!(table.remove_idle(u64::MAX), Some(b));
        assert_eq!(table.remove_idle(u64::MAX), None);
        assert!(!table.is_full() && table.is_alive(a));
        table.invariants();
    }

    #[test]
    fn the_default_is_the_oldest_still_joined_and_never_the_personal_one() {
        let mut table = sessions(10);
        let [me, a, b] = ["@u", "a", "b"].map(|name| table.open(name, 0));
        table.join(1, me);
        assert_eq!(table.default_of(1), None);
        table.join(1, a);
        table.join(1, b);
        assert!(!table.join(1, b));
        assert_eq!(table.default_of(1), Some(a));
        table.leave(1, a, 0);
        assert_eq!(table.default_of(1), Some(b));
        table.join(2, b);
        assert!(table.share_one(1, 2) && !table.share_one(2, 3));
        assert_eq!(table.user_of(me), Some("u"));
    }

    proptest! {
        #[test]
        fn memberships_are_those_of_a_plain_set(
            operations in proptest::collection::vec((0_u8..4, 0_u32..6, 0_usize..5), 0..200),
        ) {
            let mut table = sessions(100);
            let mut model: BTreeMap<usize, BTreeSet<u32>> = BTreeMap::new();
            for (now, (operation, connection, which)) in operations.into_iter().enumerate() {
                let id = table.open(&format!("s{which}"), now as u64);
                match operation {
                    0 | 1 => {
                        let new = model.entry(which).or_default().insert(connection);
                        prop_assert_eq!(table.join(connection, id), new);
                    }
                    2 => {
                        let was = model.entry(which).or_default().remove(&connection);
                        prop_assert_eq!(table.leave(connection, id, now as u64), was);
                    }
                    _ => {
                        table.leave_all(connection, now as u64);
                        model.values_mut().for_each(|set| { set.remove(&connection); });
                    }
                }
                table.remove_idle((now as u64).saturating_sub(20));
                table.invariants();
                for (which, set) in &model {
                    let members: BTreeSet<u32> = table.find(&format!("s{which}"))
                        .map(|id| table.members(id).iter().copied().collect()).unwrap_or_default();
                    prop_assert_eq!(&members, set);
                }
            }
        }
    }
}
