//! What an answer to a poll must have: everything between its two cursors, or the statement that something is lost.

use super::audit::{Auditor, Claim, Entry};
use super::truth::{Sent, Truth};

/// A message of an answer.
pub struct Arrived {
    pub name: String,
    pub seq: u64,
    pub sent: Sent,
}

pub struct Answer {
    /// What its cursor says.
    pub places: Vec<(String, Claim)>,
    pub messages: Vec<Arrived>,
    /// It names all sessions that were asked for; the others are gone, or not for this client.
    pub is_complete: bool,
    pub is_recovered: bool,
}

/// How an answer goes on in one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// From its head, as nothing was claimed.
    Fresh,
    /// From what was claimed.
    Whole,
    /// It may have lost all that was published since.
    Doubtful,
    Stale,
}

/// An answer in one session.
struct Step<'a> {
    name: &'a str,
    /// Where the client stands after it.
    now: &'a Claim,
    claim: Option<&'a Claim>,
    progress: Progress,
}

impl Answer {
    fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Arrived> {
        self.messages.iter().filter(move |message| message.name == name)
    }

    fn progress(&self, name: &str, now: &Claim, claim: Option<&Claim>) -> Progress {
        match claim {
            None => Progress::Fresh,
            Some(claim) if claim.epoch != now.epoch || claim.seq > now.seq => Progress::Stale,
            Some(claim) if self.is_recovered || claim.seq == now.seq => Progress::Whole,
            Some(_) if self.of(name).next().is_some() => Progress::Whole,
            Some(_) => Progress::Doubtful,
        }
    }
}

impl Auditor {
    /// An answer has come to a poll with these claims.
    pub fn take_poll(&mut self, truth: &Truth, now_ns: u64, claims: &[(String, Claim)], answer: &Answer) {
        let claim_of = |name: &str| claims.iter().find(|(claimed, _)| claimed == name).map(|(_, claim)| claim);
        let steps: Vec<_> =
            answer.places.iter().map(|(name, now)| answer.progress(name, now, claim_of(name))).collect();
        let has_expired = answer.places.iter().any(|(name, now)| {
            let from = claim_of(name).filter(|claim| claim.epoch == now.epoch).map_or(0, |claim| claim.seq);
            truth.life(name, &now.epoch).is_some_and(|life| !life.expired(truth, from, now.seq, now_ns).is_empty())
        });
        let count = |step| steps.iter().filter(|&&other| other == step).count();
        // It may have lost what came while it waited, or the session itself.
        let has_waited = |(name, _): &(String, Claim)| claim_of(name).is_none() && !claims.is_empty();
        let has_lost = has_expired || answer.places.iter().any(has_waited);
        let is_excused = has_lost || count(Progress::Stale) > 0 || !answer.is_complete;
        let doubtful = count(Progress::Doubtful);
        assert!(answer.is_recovered || is_excused || doubtful > 0, "a poll was told of a loss, and nothing was lost");
        assert!(!answer.is_recovered || count(Progress::Stale) == 0, "a false claim of recovery");
        for ((name, now), progress) in answer.places.iter().zip(steps) {
            let is_sure = progress == Progress::Doubtful && doubtful == 1 && !is_excused;
            let progress = if is_sure { Progress::Stale } else { progress };
            self.take_place(truth, now_ns, answer, &Step { name, now, claim: claim_of(name), progress });
        }
        self.disconnect();
    }

    fn take_place(&mut self, truth: &Truth, now_ns: u64, answer: &Answer, step: &Step<'_>) {
        let &Step { name, now, claim, progress } = step;
        let first = answer.of(name).next().map_or(now.seq, |message| message.seq - 1);
        let (seq, recovered) = match progress {
            Progress::Fresh => (first, None),
            Progress::Whole | Progress::Doubtful => (claim.map_or(first, |claim| claim.seq), Some(true)),
            Progress::Stale => (now.seq, Some(false)),
        };
        self.join(truth, now_ns, name, &Entry { epoch: now.epoch.clone(), seq, recovered }, claim);
        match (progress, claim) {
            (Progress::Doubtful, _) => self.lose(name, Some((seq + 1, now.seq))),
            (Progress::Stale, Some(claim)) => {
                let is_known = claim.epoch == now.epoch && claim.seq <= now.seq;
                self.lose(name, is_known.then_some((claim.seq + 1, now.seq)));
            }
            _ => {}
        }
        if let Some(life) = truth.life(name, &now.epoch).filter(|_| !answer.is_recovered) {
            for expired in life.expired(truth, seq, now.seq, now_ns) {
                self.lose(name, Some((expired, expired)));
            }
        }
        let mut last = seq;
        for message in answer.of(name) {
            assert!(last < message.seq, "{name}: {} was polled after {last}", message.seq);
            last = message.seq;
            self.arrive(truth, name, message.seq, &message.sent, true);
        }
        assert!(last <= now.seq, "{name}: {last} was polled, and the cursor is at {}", now.seq);
        self.check_up_to(truth, name, now.seq);
    }
}
