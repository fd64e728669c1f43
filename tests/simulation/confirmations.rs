//! Who may have confirmed what, and what senders were told of it.
//!
//! Every connection of every client is here with the ids it has confirmed, and the connections that wanted to go on for it.
//! A message can be counted as confirmed for a connection only if one of these has confirmed it, or has come back with a
//! position at or past it.

use std::collections::{BTreeMap, BTreeSet};

use super::audit::Claim;
use super::copies::Publication;

/// A client and which of its connections.
pub type Holder = (usize, u32);

/// What may lie between what a client and what the server knows of the end of a connection.
const SLACK_NS: u64 = 20_000_000;

/// The counts of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub matched: u64,
    pub confirmed: u64,
    pub expired: u64,
    pub unconfirmable: u64,
}

impl Counts {
    pub const fn sum(&self) -> u64 {
        self.confirmed + self.expired + self.unconfirmable
    }
}

/// What a message is looked for by.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub id: &'a str,
    pub at_ns: u64,
    /// How many servers there had been before.
    pub server: u64,
    /// Its session, the epoch and its position.
    pub place: Option<(&'a str, &'a str, u64)>,
}

/// What a client said about a session when it came back.
#[derive(Clone, Debug)]
pub struct Stand {
    pub name: String,
    pub claim: Claim,
    /// What it had handled then; `None` for a client that lies, or has lied, about this session.
    pub handled: Option<BTreeSet<u64>>,
}

impl Stand {
    /// Whether it says that the client has the message.
    fn has(&self, (name, epoch, seq): (&str, &str, u64)) -> bool {
        let is_past = self.name == name && self.claim.epoch == epoch && seq <= self.claim.seq;
        is_past && self.handled.as_ref().is_none_or(|handled| handled.contains(&seq))
    }
}

struct Member {
    server: u64,
    since_ns: u64,
    until_ns: u64,
    is_open: bool,
    /// The connection that it goes on for.
    old_id: Option<String>,
    /// Its public id, once the client knows it.
    id: Option<String>,
    acknowledged: BTreeSet<String>,
}

struct Heir {
    holder: Holder,
    stands: Vec<Stand>,
}

#[derive(Default)]
pub struct Confirmations {
    members: BTreeMap<Holder, Member>,
    /// By public id.
    heirs: BTreeMap<String, Vec<Heir>>,
    /// Who has certainly confirmed a message in time, and how many certainly do not confirm it.
    sure: BTreeMap<Publication, BTreeSet<Holder>>,
    deaf: BTreeMap<Publication, u64>,
}

impl Confirmations {
    /// A connection asks to be let in, perhaps in the place of another.
    pub fn enter(&mut self, holder: Holder, server: u64, now_ns: u64, old_id: Option<&str>, stands: Vec<Stand>) {
        let (since_ns, until_ns) = (now_ns, u64::MAX);
        let member = Member {
            server,
            since_ns,
            until_ns,
            is_open: true,
            old_id: old_id.map(str::to_owned),
            id: None,
            acknowledged: BTreeSet::new(),
        };
        self.members.insert(holder, member);
        if let Some(old_id) = old_id {
            self.heirs.entry(old_id.to_owned()).or_default().push(Heir { holder, stands });
        }
    }

    pub fn name(&mut self, holder: Holder, id: &str) {
        self.members.get_mut(&holder).expect("ok because it has asked to be let in").id = Some(id.to_owned());
    }

    pub fn end(&mut self, holder: Holder, now_ns: u64) {
        if let Some(member) = self.members.get_mut(&holder) {
            (member.until_ns, member.is_open) = (now_ns, false);
        }
    }

    /// Its client has left it as it is, and the server may take it for a living one.
    pub fn haunt(&mut self, holder: Holder) {
        if let Some(member) = self.members.get_mut(&holder) {
            member.until_ns = u64::MAX;
        }
    }

    pub fn acknowledge(&mut self, holder: Holder, ids: &[String]) {
        self.members.get_mut(&holder).expect("ok because it is open").acknowledged.extend(ids.iter().cloned());
    }

    pub fn note_sure(&mut self, publication: Publication, holder: Holder) {
        self.sure.entry(publication).or_default().insert(holder);
    }

    pub fn note_deaf(&mut self, publication: Publication) {
        *self.deaf.entry(publication).or_default() += 1;
    }

    /// Checks what a sender was told of a message.
    pub fn check(&self, publication: Publication, wanted: &Wanted<'_>, counts: Counts) {
        let (number, ..) = publication;
        // One that has ended since may have been closed already.
        let is_open = |holder: &&Holder| self.members[*holder].is_open;
        let sure = self.sure.get(&publication).into_iter().flatten();
        let confirmed_min = sure.filter(is_open).count() as u64;
        let confirmed_max = self.confirmed_max(wanted);
        let deaf = self.deaf.get(&publication).copied().unwrap_or(0);
        assert!(
            counts.confirmed <= confirmed_max,
            "message {number}: {counts:?}, but {confirmed_max} may be confirmed"
        );
        assert!(
            counts.confirmed >= confirmed_min,
            "message {number}: {counts:?}, but {confirmed_min} have confirmed it"
        );
        assert!(counts.unconfirmable >= deaf, "message {number}: {counts:?}, but {deaf} do not confirm");
    }

    /// How many connections were perhaps there for a message, and have perhaps confirmed it.
    fn confirmed_max(&self, wanted: &Wanted<'_>) -> u64 {
        let was_there = |member: &Member| {
            member.server == wanted.server
                && member.since_ns <= wanted.at_ns + SLACK_NS
                && wanted.at_ns <= member.until_ns.saturating_add(SLACK_NS)
        };
        let there = self.members.iter().filter(|(_, member)| was_there(member));
        there.filter(|(holder, _)| self.may_have_confirmed(**holder, wanted)).count() as u64
    }

    fn may_have_confirmed(&self, holder: Holder, wanted: &Wanted<'_>) -> bool {
        let member = &self.members[&holder];
        member.acknowledged.contains(wanted.id)
            || self.heirs_of(holder).any(|heir| {
                let has = |place| heir.stands.iter().any(|stand| stand.has(place));
                wanted.place.is_some_and(has) || self.may_have_confirmed(heir.holder, wanted)
            })
    }

    /// Those that perhaps go on for a connection: they came later and named it, or one that it had gone on for itself.
    fn heirs_of(&self, holder: Holder) -> impl Iterator<Item = &Heir> {
        let since_ns = self.members[&holder].since_ns;
        let heirs = self.names_of(holder).into_iter().filter_map(|name| self.heirs.get(name)).flatten();
        heirs.filter(move |heir| self.members[&heir.holder].since_ns > since_ns)
    }

    /// The ids by which the server may know a connection.
    fn names_of(&self, holder: Holder) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        let mut next = vec![holder];
        while let Some(member) = next.pop().and_then(|holder| self.members.get(&holder)) {
            for name in [&member.id, &member.old_id].into_iter().flatten() {
                if !names.contains(&&**name) {
                    names.push(name);
                    next.extend(self.holder_of(name));
                }
            }
        }
        names
    }

    fn holder_of(&self, id: &str) -> Option<Holder> {
        self.members.iter().find(|(_, member)| member.id.as_deref() == Some(id)).map(|(holder, _)| *holder)
    }

    /// Whether a connection perhaps goes on for the one with this id.
    pub fn is_heir(&self, holder: Holder, id: &str) -> bool {
        self.names_of(holder).contains(&id)
    }

    /// Whether a connection has asked to go on for another.
    pub fn has_inherited(&self, holder: Holder) -> bool {
        self.heirs.values().flatten().any(|heir| heir.holder == holder)
    }
}
