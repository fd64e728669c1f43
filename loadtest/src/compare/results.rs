//! What the rounds of one scenario gave: figures by round and peer, and the ratios of the subject to each peer.
//!
//! Ratios are taken inside a round and only then summed up, so that a drift of the machine from round to round cancels.

use serde_json::{Value, json};

use super::peers::{Peer, SUBJECT};
use super::plan::{Figure, Plan, Source, StepFigure};
use super::statistics::Spread;

/// The figures of the steps of one round, or why they do not count.
pub type Outcome = Result<Vec<Value>, String>;

/// The results of one scenario.
#[derive(Debug)]
pub struct Results {
    pub plan: &'static Plan,
    pub peers: Vec<&'static Peer>,
    /// By round, then in the order of `peers`.
    pub rounds: Vec<Vec<Outcome>>,
    pub seconds: f64,
}

impl Results {
    /// A figure of a peer over all rounds that count.
    pub fn spread(&self, peer: &str, figure: &Figure) -> Option<Spread> {
        let at = self.position(peer)?;
        Spread::of(self.rounds.iter().filter_map(|round| value(&round[at], figure)).collect())
    }

    /// The subject's figure by the peer's, over the rounds in which both count.
    pub fn ratio(&self, peer: &str, figure: &Figure) -> Option<Spread> {
        let (subject, peer) = (self.position(SUBJECT)?, self.position(peer)?);
        let ratio = |round: &Vec<Outcome>| {
            let (ours, theirs) = (value(&round[subject], figure)?, value(&round[peer], figure)?);
            (theirs != 0.0).then(|| ours / theirs)
        };
        Spread::of(self.rounds.iter().filter_map(ratio).collect())
    }

    /// The runs that do not count, each with its peer, its round and why.
    pub fn failures(&self) -> impl Iterator<Item = String> {
        self.rounds.iter().zip(1..).flat_map(|(round, number)| {
            self.peers.iter().zip(round).filter_map(move |(peer, outcome)| {
                let why = outcome.as_ref().err()?;
                Some(format!("{} in round {number}: {why}", peer.name))
            })
        })
    }

    /// Whether every run of the subject counts.
    pub fn has_passed(&self) -> bool {
        let subject = self.position(SUBJECT);
        subject.is_some_and(|at| self.rounds.iter().all(|round| round[at].is_ok()))
    }

    /// All figures of all runs.
    pub fn json(&self) -> Value {
        let run = |(peer, outcome): (&&Peer, &Outcome)| match outcome {
            Ok(steps) => json!({ "peer": peer.name, "steps": steps }),
            Err(why) => json!({ "peer": peer.name, "failure": why }),
        };
        let round = |round: &Vec<Outcome>| self.peers.iter().zip(round).map(run).collect::<Vec<Value>>();
        let rounds: Vec<Vec<Value>> = self.rounds.iter().map(round).collect();
        json!({ "scenario": self.plan.name, "seconds": self.seconds, "rounds": rounds })
    }

    fn position(&self, peer: &str) -> Option<usize> {
        self.peers.iter().position(|found| found.name == peer)
    }
}

fn value(outcome: &Outcome, figure: &Figure) -> Option<f64> {
    let steps = outcome.as_ref().ok()?;
    let find = |(step, name): StepFigure| steps.get(step)?[name].as_f64();
    match figure.source {
        Source::Of(of) => find(of),
        Source::Quotient(of, by) => find(by).filter(|by| *by != 0.0).and_then(|by| Some(find(of)? / by)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::peers::PEERS;
    use super::super::plan::PLANS;
    use super::*;

    fn results(rounds: &[(f64, Option<f64>)]) -> Results {
        let outcome = |rate: f64| Ok(vec![json!({ "messages_per_second": rate })]);
        let round = |(ours, theirs): &(f64, Option<f64>)| {
            vec![outcome(*ours), theirs.map_or_else(|| Err("2 lost".into()), outcome)]
        };
        let rounds = rounds.iter().map(round).collect();
        Results { plan: &PLANS[0], peers: PEERS[..2].iter().collect(), rounds, seconds: 1.0 }
    }

    #[test]
    fn ratios_are_taken_inside_a_round() {
        let results = results(&[(10.0, Some(5.0)), (100.0, Some(100.0)), (3.0, Some(2.0))]);
        let rate = &PLANS[0].figures[0];
        let ratio = results.ratio(PEERS[1].name, rate).unwrap();
        assert_eq!(ratio, Spread { median: 1.5, lowest: 1.0, highest: 2.0 });
        assert_eq!(results.spread(SUBJECT, rate).unwrap().median, 10.0);
        assert!(results.has_passed() && results.failures().next().is_none());
    }

    #[test]
    fn a_run_that_failed_does_not_count() {
        let results = results(&[(10.0, None), (8.0, Some(4.0))]);
        let rate = &PLANS[0].figures[0];
        assert_eq!(results.ratio(PEERS[1].name, rate).unwrap().median, 2.0);
        assert_eq!(results.failures().collect::<Vec<_>>(), ["bare in round 1: 2 lost"]);
        assert!(results.has_passed());
    }

    #[test]
    fn a_quotient_is_of_two_steps() {
        let growth = Figure { name: "growth", source: Source::Quotient((1, "cpu"), (0, "cpu")), decimals: 2 };
        let outcome = |first: f64| Ok(vec![json!({ "cpu": first }), json!({ "cpu": 6.0 })]);
        assert_eq!(value(&outcome(4.0), &growth), Some(1.5));
        assert_eq!(value(&outcome(0.0), &growth), None);
    }
}
