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
    user: String,
    server: u64,
    since_ns: u64,
    until_ns: u64,
    is_open: bool,
    /// The connection that it goes on for.
    old_id: Option<String>,
    /// What its client said of its sessions then.
    stands: Vec<Stand>,
    /// Its public id, once the client knows it.
    id: Option<String>,
    acknowledged: BTreeSet<String>,
}

#[derive(Default)]
pub struct Confirmations {
    members: BTreeMap<Holder, Member>,
    /// Who has certainly confirmed a message in time, and how many certainly do not confirm it.
    sure: BTreeMap<Publication, BTreeSet<Holder>>,
    deaf: BTreeMap<Publication, u64>,
}

impl Confirmations {
    /// A connection of a user asks to be let in, perhaps in the place of another.
    pub fn enter(
        &mut self,
        (holder, user): (Holder, &str),
        server: u64,
        now_ns: u64,
        old_id: Option<&str>,
        stands: Vec<Stand>,
    ) {
        let (user, old_id) = (user.to_owned(), old_id.map(str::to_owned));
        let (since_ns, until_ns, is_open) = (now_ns, u64::MAX, true);
        let (id, acknowledged) = (None, BTreeSet::new());
        let member = Member { user, server, since_ns, until_ns, is_open, old_id, stands, id, acknowledged };
        self.members.insert(holder, member);
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
        let since_ns = self.members[&holder].since_ns;
        let has =
            |member: &Member| wanted.place.is_some_and(|place| member.stands.iter().any(|stand| stand.has(place)));
        self.members[&holder].acknowledged.contains(wanted.id)
            || self
                .family(holder)
                .into_iter()
                .any(|member| member.since_ns > since_ns && (member.acknowledged.contains(wanted.id) || has(member)))
    }

    /// The connections of its user that are linked by what they wanted to go on for. The server knows the one that is left by
    /// all their ids.
    fn family(&self, holder: Holder) -> Vec<&Member> {
        let first = &self.members[&holder];
        let mut others: Vec<&Member> = self.members.values().filter(|member| member.user == first.user).collect();
        let mut family = vec![first];
        let mut next = 0;
        while let Some(&member) = family.get(next) {
            let (near, far) = others.into_iter().partition(|other| member.is_near(other));
            others = far;
            family.extend::<Vec<&Member>>(near);
            next += 1;
        }
        family
    }

    /// Whether a connection perhaps goes on for the one with this id.
    pub fn is_heir(&self, holder: Holder, id: &str) -> bool {
        self.family(holder).into_iter().any(|member| member.id.as_deref() == Some(id))
    }

    /// Whether a connection has asked to go on for another.
    pub fn has_inherited(&self, holder: Holder) -> bool {
        self.members[&holder].old_id.is_some()
    }
}

impl Member {
    /// Whether one of the two has named the other, or both the same.
    fn is_near(&self, other: &Self) -> bool {
        let is_same = |one: &Option<String>, another: &Option<String>| one.is_some() && one == another;
        is_same(&self.id, &other.old_id) || is_same(&self.old_id, &other.id) || is_same(&self.old_id, &other.old_id)
    }
}
