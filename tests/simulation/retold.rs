//! What senders are told, and what it must be: receipts, outcomes, and messages that come again.

use std::collections::BTreeMap;

use hashi::Config;
use serde_json::Value;

use super::confirmations::{Confirmations, Counts, Wanted};
use super::network::START_UNIX_MS;
use super::run::{HISTORY_LARGE, HISTORY_LONG, SESSIONS_MANY};
use super::sent::Wish;
use super::truth::{Receipt, Sent, Target, Truth};

/// A message that was taken: which, by how manieth server, when, and where.
#[derive(Clone, Copy, Debug)]
struct Taken<'t> {
    number: usize,
    server: u64,
    unix_ms: u64,
    place: Option<(&'t str, &'t str, u64)>,
}

/// Whether what is published without a key is still there when a stage is over.
fn sees_all(config: &Config) -> bool {
    config.sessions == SESSIONS_MANY && config.history_messages == HISTORY_LONG && config.history_bytes == HISTORY_LARGE
}

impl Counts {
    /// Of a result; `None` where it is a receipt.
    pub fn of(result: &Value) -> Option<Self> {
        let count = |name: &str| result[name].as_u64();
        let (confirmed, expired) = (count("confirmed")?, count("expired")?);
        let (matched, unconfirmable) = (count("matched")?, count("unconfirmable")?);
        Some(Self { matched, confirmed, expired, unconfirmable })
    }
}

impl Truth {
    /// The author was told where its message is. What is said again is kept once.
    pub fn take_receipt(&mut self, number: usize, server: u64, result: &Value) {
        let count = |name: &str| result[name].as_u64().unwrap_or_else(|| panic!("{name} of {result} is a number"));
        let receipt =
            Receipt { server, seq: result["seq"].as_u64(), matched: count("matched"), queued: count("queued") };
        let known = self.receipts.entry(number).or_default();
        if !known.contains(&receipt) {
            known.push(receipt);
        }
    }

    /// The message of a user whose outcome is told under this id. Other messages under one id do not ask for theirs.
    pub fn delivered(&self, user: &str, id: &str) -> usize {
        let is_wanted = |sent: &Sent| sent.user == user && sent.id == id && sent.wish == Wish::Delivered;
        let wanted = self.sent.iter().position(is_wanted);
        wanted.unwrap_or_else(|| panic!("nobody asked {user} for the outcome of {id}"))
    }

    /// The author was told how its message was confirmed in the end.
    pub fn take_outcome(&mut self, number: usize, server: u64, counts: Counts) {
        assert_eq!(counts.sum(), counts.matched, "message {number}: {counts:?}");
        self.outcomes.entry(number).or_default().push((server, counts));
    }

    /// Whether a message that was sent again may have been published again: its user has sent more ids than are remembered.
    pub fn may_be_forgotten(&self, number: usize, config: &Config) -> bool {
        let sent = &self.sent[number];
        sent.is_repeated && self.ids_of(&sent.user) > config.dedup_ids as usize
    }

    /// Whether its user has sent another message under the same id.
    pub fn may_be_reused(&self, number: usize) -> bool {
        let Sent { user, id, .. } = &self.sent[number];
        let is_same =
            |other: &Sent| (&other.user, &other.id) == (user, id) && other.scope() == self.sent[number].scope();
        self.sent.iter().filter(|other| is_same(other)).count() > 1
    }

    /// All that was taken, by what the server remembers it by.
    fn taken(&self) -> BTreeMap<(u64, &str, &str, &str), Vec<Taken<'_>>> {
        let placed = self.lives().flat_map(|(name, epoch, life)| {
            let server = life.server;
            life.messages.iter().map(move |(&seq, seen)| Taken {
                number: seen.number,
                server,
                unix_ms: seen.unix_ms,
                place: Some((name, epoch, seq)),
            })
        });
        let direct = self.direct.iter().flat_map(|(&number, times)| {
            times.iter().map(move |&(server, unix_ms)| Taken { number, server, unix_ms, place: None })
        });
        let mut taken: BTreeMap<_, Vec<Taken<'_>>> = BTreeMap::new();
        for one in placed.chain(direct) {
            let sent = &self.sent[one.number];
            taken.entry((one.server, &*sent.user, sent.scope(), &*sent.id)).or_default().push(one);
        }
        for all in taken.values_mut() {
            all.sort_by_key(|one| one.unix_ms);
        }
        taken
    }

    /// Checks that what came again was not taken again while it was remembered, and what senders were told of the rest.
    pub fn check_taken(&self, confirmations: &Confirmations, config: &Config) {
        for ((server, user, ..), all) in self.taken() {
            if self.ids_of(user) <= config.dedup_ids as usize {
                all.windows(2).for_each(|two| self.check_apart(two[0], two[1], config));
            }
            let [one] = all[..] else {
                continue; // what was told may be of any of them
            };
            let sent = &self.sent[one.number];
            if sent.is_repeated && (sent.key.is_some() || !sees_all(config)) {
                continue; // perhaps it was taken before, and nobody saw it
            }
            let is_told = |receipt: &&Receipt| receipt.server == server && receipt.seq.is_some();
            let receipts: Vec<_> = self.receipts.get(&one.number).into_iter().flatten().filter(is_told).collect();
            assert!(receipts.len() <= 1, "message {} was taken once and has the receipts {receipts:?}", one.number);
            let outcomes = self.outcomes.get(&one.number).into_iter().flatten().filter(|(of, _)| *of == server);
            for (_, counts) in outcomes {
                let at_ns = (one.unix_ms - START_UNIX_MS) * 1_000_000;
                let wanted = Wanted { id: &sent.id, at_ns, server, place: one.place };
                confirmations.check((one.number, one.unix_ms, one.place.map_or(0, |(.., seq)| seq)), &wanted, *counts);
            }
        }
    }

    fn ids_of(&self, user: &str) -> usize {
        self.sent.iter().filter(|sent| sent.user == user && sent.is_remembered()).count()
    }

    fn check_apart(&self, first: Taken<'_>, second: Taken<'_>, config: &Config) {
        let is_held = self.sent[first.number].is_debounced();
        let held_ms = if is_held { config.debounce_ms } else { 0 };
        let remembered_ms = config.message_expiry_ms.saturating_sub(held_ms);
        assert!(
            second.unix_ms >= first.unix_ms + remembered_ms,
            "message {} was taken as {first:?} and again as {second:?}",
            first.number
        );
    }

    /// Checks that receipts name the positions that messages took.
    pub fn check_receipts(&self) {
        let receipts = self.receipts.iter().flat_map(|(number, all)| all.iter().map(move |receipt| (*number, receipt)));
        for (number, receipt) in receipts {
            match (&self.sent[number].target, receipt.seq) {
                (Target::Session(name), Some(seq)) => {
                    let lives = self.lives().filter(|(of, _, life)| of == name && life.head >= seq);
                    let mut known = lives.map(|(.., life)| life.messages.get(&seq).map(|seen| seen.number));
                    assert!(
                        known.any(|known| known.is_none_or(|known| known == number)),
                        "message {number} is not at position {seq} of {name}, as its receipt says"
                    );
                }
                (Target::Connection(_), None) => assert_eq!(receipt.matched, 1),
                (Target::Session(_), None) if self.sent[number].is_debounced() => {}
                (target, seq) => panic!("a receipt with position {seq:?} for a message to {target:?}"),
            }
        }
    }
}
