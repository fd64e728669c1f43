//! What a client must get, checked as it gets it: the promise of DESIGN.md section 1, seen from one client.
//!
//! An auditor keeps, for each session, from which position on everything is owed to the client. When a message arrives,
//! everything owed before it that could not be behind it must have come, or have been declared lost, or have been replaced by
//! a newer message of its key, or be the client's own with `echo: false`.

use std::collections::{BTreeMap, BTreeSet};

use hashi::Priority;

use super::truth::{Life, Sent, Truth};

/// A position that a client claims, as it wrote it.
#[derive(Clone, Debug)]
pub struct Claim {
    pub epoch: String,
    pub seq: u64,
}

/// An entry of a welcome, or the answer to a join.
#[derive(Clone, Debug)]
pub struct Entry {
    pub epoch: String,
    pub seq: u64,
    pub recovered: Option<bool>,
}

/// What must be told before the next message of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Debt {
    Nothing,
    /// A gap with these ends.
    Gap(u64, u64),
    /// A gap whose ends nobody knows.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Membership {
    Out,
    In,
}

/// What one client knows of one life of a session.
struct Record {
    epoch: String,
    membership: Membership,
    /// When the client learned that it is in.
    joined_ns: u64,
    /// Everything after this position is owed.
    floor: u64,
    debt: Debt,
    handled: BTreeSet<u64>,
    lost: Vec<(u64, u64)>,
    /// By priority: the newest position that came over this connection since it joined.
    newest: [u64; 3],
    /// By priority: the newest position handled.
    newest_handled: [u64; 3],
    /// The client went back behind what it had been given: the order in which it handles is its own doing.
    is_rewound: bool,
}

/// How long and how much the server must keep.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    pub messages: u64,
    pub bytes: u64,
    pub life_ns: u64,
}

pub struct Auditor {
    user: String,
    client: usize,
    records: BTreeMap<String, Record>,
    kept: Kept,
}

impl Auditor {
    pub const fn new(client: usize, user: String, kept: Kept) -> Self {
        Self { user, client, records: BTreeMap::new(), kept }
    }

    /// The connection is gone: the next one is in no session until it is told so.
    pub fn disconnect(&mut self) {
        for record in self.records.values_mut() {
            (record.membership, record.debt, record.newest) = (Membership::Out, Debt::Nothing, [0; 3]);
        }
    }

    /// The client is in a session from now on. Joining again without a claim changes nothing; returns whether it did.
    pub fn join(&mut self, truth: &Truth, now_ns: u64, name: &str, entry: &Entry, claim: Option<&Claim>) -> bool {
        let record = self.records.entry(name.to_owned()).or_insert_with(|| Record::new(&entry.epoch));
        let is_in = record.membership == Membership::In;
        assert!(!is_in || record.epoch == entry.epoch, "{name} has died under its member {}", self.user);
        if is_in && claim.is_none() {
            return false;
        }
        if record.epoch != entry.epoch {
            *record = Record::new(&entry.epoch);
        }
        let debt = debt_of(name, entry, claim);
        if let (Debt::Gap(from, to), Some(life)) = (debt, truth.life(name, &entry.epoch)) {
            assert!(
                !life.surely_keeps(from, to, now_ns, self.kept),
                "{name} {from}..{to} was not recovered although history must have it"
            );
        }
        let floor = if let Debt::Gap(from, _) = debt { from - 1 } else { entry.seq };
        record.is_rewound |= claim.is_some() && record.newest_handled.iter().any(|&seq| seq > floor);
        if claim.is_some() {
            record.newest = [0; 3];
        }
        if !is_in {
            record.joined_ns = now_ns;
        }
        (record.membership, record.floor, record.debt) = (Membership::In, floor, debt);
        true
    }

    /// Nothing more of the session comes behind the answer.
    pub fn leave(&mut self, name: &str) {
        if let Some(record) = self.records.get_mut(name) {
            record.membership = Membership::Out;
        }
    }

    /// A claim to a session that the client is not in must be told as lost.
    pub fn deny(&mut self, name: &str) {
        let record = self.records.entry(name.to_owned()).or_insert_with(|| Record::new(""));
        record.debt = Debt::Unknown;
    }

    /// Since when the client knows that it is in a session.
    pub fn joined_ns(&self, name: &str) -> Option<u64> {
        let record = self.records.get(name).filter(|record| record.membership == Membership::In);
        record.map(|record| record.joined_ns)
    }

    /// The sessions the client is in.
    pub fn joined(&self) -> impl Iterator<Item = &str> {
        self.records.iter().filter(|(_, record)| record.membership == Membership::In).map(|(name, _)| name.as_str())
    }

    /// A message of a session has come; `is_first` if it is the first copy over this connection.
    pub fn arrive(&mut self, truth: &Truth, name: &str, seq: u64, sent: &Sent, is_first: bool) {
        let record = self.records.get_mut(name).unwrap_or_else(|| panic!("a message of {name} before it was joined"));
        match record.membership {
            Membership::In => {}
            Membership::Out => panic!("message {seq} of {name}, which was not joined"),
        }
        if !is_first {
            return; // it was sent again
        }
        assert_eq!(record.debt, Debt::Nothing, "message {seq} of {name} came before the gap");
        if sent.is_reliable() && record.is_late(seq) {
            record.handled.insert(seq);
            return;
        }
        let newest = &mut record.newest[sent.priority.index()];
        assert!(*newest < seq, "{:?} {seq} of {name} came after {newest}", sent.priority);
        *newest = seq;
        if record.membership == Membership::In && seq > record.floor {
            let life = truth.life(name, &record.epoch).expect("ok because a message of it has come");
            let overtaken = (record.floor + 1..seq).find(|&before| {
                life.at(truth, before).is_some_and(|missed| {
                    let may_be_behind = missed.priority != sent.priority && missed.priority != Priority::High;
                    !may_be_behind && !record.is_excused(life, before, missed, &self.user)
                })
            });
            assert_eq!(overtaken, None, "{name}: {:?} {seq} came, this position did not", sent.priority);
        }
        record.handle(name, seq, sent.priority);
    }

    /// `hashi:gap`.
    pub fn lose(&mut self, name: &str, range: Option<(u64, u64)>) {
        let record = self.records.get_mut(name).unwrap_or_else(|| panic!("a gap in {name}, which was never joined"));
        match (record.debt, range) {
            (Debt::Unknown, None) => record.debt = Debt::Nothing,
            (Debt::Gap(from, to), range) => {
                assert_eq!(Some((from, to)), range, "the gap of {name}");
                record.debt = Debt::Nothing;
            }
            (Debt::Nothing, Some(_)) => {}
            (debt, range) => panic!("{name}: a gap {range:?} where {debt:?} is owed"),
        }
        record.lost.extend(range);
    }

    /// `hashi:position`: everything up to it must have come or be accounted for.
    pub fn place(&mut self, truth: &Truth, name: &str, seq: u64) {
        let record = self.records.get(name).unwrap_or_else(|| panic!("a position in {name}, which was never joined"));
        assert_eq!(record.debt, Debt::Nothing, "position {seq} of {name} came before the gap");
        self.check_up_to(truth, name, seq);
    }

    /// Checks that everything owed up to a position has come or is accounted for.
    pub fn check_up_to(&self, truth: &Truth, name: &str, seq: u64) {
        let record = &self.records[name];
        let Some(life) = truth.life(name, &record.epoch) else {
            return;
        };
        assert!(seq <= life.head, "{name}: position {seq} is beyond the head {}", life.head);
        let missing = (record.floor + 1..=seq)
            .find(|&seq| life.at(truth, seq).is_some_and(|missed| !record.is_excused(life, seq, missed, &self.user)));
        assert_eq!(missing, None, "client {} is at {seq} in {name}, and this position never came", self.client);
    }

    /// The cursor of a stream: it names the sessions that the client is in, and is behind all that is owed up to it.
    pub fn check_cursor(&self, truth: &Truth, claims: &[(String, Claim)]) {
        let names: BTreeSet<&str> = claims.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, self.joined().collect(), "the sessions of a cursor and those of its client");
        for (name, claim) in claims {
            let record = &self.records[name];
            assert_eq!(record.epoch, claim.epoch, "{name} has another life in a cursor");
            // What the welcome does not recover is told behind it.
            if record.debt == Debt::Nothing {
                self.check_up_to(truth, name, claim.seq);
            }
        }
    }

    /// Whether a message in a range of a session may be past its time: one that nobody has seen may be, and so is a copy to be
    /// confirmed once its message is as old as any may be.
    pub fn may_have_expired(&self, truth: &Truth, name: &str, from: u64, to: u64, now_ns: u64) -> bool {
        let Some(life) = truth.life(name, &self.records[name].epoch) else {
            return true;
        };
        let is_unseen = (from..=to).any(|seq| life.at(truth, seq).is_none());
        is_unseen
            || !life.expired(truth, from - 1, to, now_ns).is_empty()
            || life.has_old_copies(truth, from, to, now_ns, self.kept.life_ns)
    }

    /// At rest the last id of a stream with positions is behind everything that has come by it.
    pub fn check_last_cursor(&self, claims: &[(String, Claim)]) {
        for (name, claim) in claims {
            let newest = self.records[name].newest.iter().copied().max().unwrap_or_default();
            assert!(newest <= claim.seq, "{newest} of {name} has come, and the last id is {}", claim.seq);
        }
    }

    /// The server says that it has sent all that was queued: there are no holes.
    pub fn check_flushed(&self, truth: &Truth) {
        for name in self.joined() {
            let newest = self.records[name].newest.iter().copied().max().unwrap_or_default();
            self.check_up_to(truth, name, newest);
        }
    }

    /// The head of a session in its life that the client knows.
    pub fn head(&self, truth: &Truth, name: &str) -> u64 {
        truth.life(name, &self.records[name].epoch).map_or(0, |life| life.head)
    }
}

impl Record {
    fn new(epoch: &str) -> Self {
        Self {
            epoch: epoch.to_owned(),
            membership: Membership::Out,
            joined_ns: 0,
            floor: 0,
            debt: Debt::Nothing,
            handled: BTreeSet::new(),
            lost: Vec::new(),
            newest: [0; 3],
            newest_handled: [0; 3],
            is_rewound: false,
        }
    }

    fn is_excused(&self, life: &Life, seq: u64, sent: &Sent, user: &str) -> bool {
        self.handled.contains(&seq)
            || self.lost.iter().any(|(from, to)| (*from..=*to).contains(&seq))
            || life.is_replaced(seq, sent)
            || (!sent.echo && sent.user == user)
    }

    /// Whether the position is behind where this connection began, or was lost to it: if it comes, then not in its order.
    fn is_late(&self, seq: u64) -> bool {
        seq <= self.floor || self.lost.iter().any(|(from, to)| (*from..=*to).contains(&seq))
    }

    /// The client's own de-duplication: what it has handled it ignores.
    fn handle(&mut self, name: &str, seq: u64, priority: Priority) {
        if self.handled.insert(seq) {
            let newest = &mut self.newest_handled[priority.index()];
            assert!(self.is_rewound || *newest < seq, "{priority:?} {seq} of {name} was handled after {newest}");
            *newest = seq.max(*newest);
        }
    }
}

/// What the server must tell before the next message, by its answer to a claim.
fn debt_of(name: &str, entry: &Entry, claim: Option<&Claim>) -> Debt {
    let Some(claim) = claim else {
        assert_eq!(entry.recovered, None, "{name}: nobody asked for a resume");
        return Debt::Nothing;
    };
    let is_possible = claim.epoch == entry.epoch && claim.seq <= entry.seq;
    let is_at_head = claim.epoch == entry.epoch && claim.seq == entry.seq;
    assert!(!is_at_head || entry.recovered == Some(true), "{name}: nothing was missed, and that was not recovered");
    match entry.recovered {
        Some(true) => {
            assert_eq!((&claim.epoch, claim.seq), (&entry.epoch, entry.seq), "{name}: resumed somewhere else");
            Debt::Nothing
        }
        Some(false) if is_possible => Debt::Gap(claim.seq + 1, entry.seq),
        Some(false) => Debt::Unknown,
        None => panic!("{name}: a resume was asked for and not answered"),
    }
}

impl Life {
    /// Whether history must still have all that was published in a range, because its limits cannot have been reached.
    fn surely_keeps(&self, from: u64, to: u64, now_ns: u64, kept: Kept) -> bool {
        let seen: Vec<_> = self.messages.range(from..=self.head).map(|(_, seen)| seen).collect();
        let is_known = seen.len() as u64 == self.head + 1 - from;
        is_known
            && from <= to
            && seen.len() as u64 <= kept.messages
            && seen.iter().fold(0_u64, |sum, seen| sum.saturating_add(seen.bytes)) <= kept.bytes
            && seen.iter().all(|seen| now_ns < seen.at_ns + kept.life_ns)
    }
}
