//! The bars: what a comparison should show.

use super::peers::SUBJECT;
use super::plan::{Figure, Plan};
use super::results::Results;

use Bound::{AtLeast, AtMost};

/// One bar: a figure of the subject, or its ratio to a peer's, and where it should be.
#[derive(Debug)]
pub struct Bar {
    pub scenario: &'static str,
    pub figure: &'static str,
    pub against: Option<&'static str>,
    pub bound: Bound,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// All bars, in the order of the scenarios.
pub const BARS: &[Bar] = &[
    bar("echo-1", "messages/s", Some("node-ws"), AtLeast(2.2)),
    bar("echo-1", "messages/s", Some("bun"), AtLeast(1.05)),
    bar("echo-1", "CPU µs/message", Some("bare"), AtMost(1.15)),
    bar("echo-32", "messages/s", Some("node-ws"), AtLeast(15.0)),
    bar("echo-32", "messages/s", Some("bun"), AtLeast(3.0)),
    bar("echo-32", "CPU µs/message", Some("bare"), AtMost(2.8)),
    bar("fanout-2", "deliveries/s", Some("node-ws"), AtLeast(2.0)),
    bar("fanout-2", "CPU µs/delivery", Some("bun"), AtMost(1.0)),
    bar("fanout-32", "deliveries/s", Some("node-ws"), AtLeast(25.0)),
    bar("fanout-32", "deliveries/s", Some("bun"), AtLeast(1.0)),
    bar("rooms", "deliveries/s", Some("node-ws"), AtLeast(2.2)),
    bar("rooms", "deliveries/s", Some("bun"), AtLeast(1.0)),
    bar("echo-open", "p50 µs", Some("node-ws"), AtMost(0.6)),
    bar("echo-open", "p99 µs", Some("node-ws"), AtMost(0.6)),
    bar("echo-open", "p50 µs", Some("bun"), AtMost(1.05)),
    bar("echo-open", "p99 µs", Some("bun"), AtMost(1.5)),
    bar("echo-open", "p50 µs", Some("bare"), AtMost(1.3)),
    bar("connect", "connections/s", Some("node-ws"), AtLeast(4.0)),
    bar("connect", "connections/s", Some("bun"), AtLeast(1.0)),
    bar("connect", "CPU µs/connection", Some("bare"), AtMost(1.25)),
    bar("idle", "bytes/connection", None, AtMost(512.0)),
    // What the clock of processes can show: one tick of 10 ms in the time that connections are held.
    bar("idle", "CPU %", None, AtMost(0.1)),
    bar("mixed-priority", "high p99 : low p50", None, AtMost(0.1)),
    bar("mixed-priority", "high p99 µs", None, AtMost(10_000.0)),
    bar("slow", "with : without", None, AtMost(1.2)),
    bar("cost-curve", "growth", None, AtMost(1.2)),
];

const fn bar(scenario: &'static str, figure: &'static str, against: Option<&'static str>, bound: Bound) -> Bar {
    Bar { scenario, figure, against, bound }
}

impl Bar {
    pub fn of(plan: &Plan) -> impl Iterator<Item = &'static Bar> {
        BARS.iter().filter(|bar| bar.scenario == plan.name)
    }

    /// What the results say: the figure or ratio, a median; `None` where it was not measured.
    pub fn measured(&self, results: &Results) -> Option<f64> {
        let figure = self.figure(results.plan)?;
        let spread = match self.against {
            Some(peer) => results.ratio(peer, figure),
            None => results.spread(SUBJECT, figure),
        };
        spread.map(|spread| spread.median)
    }

    fn figure(&self, plan: &'static Plan) -> Option<&'static Figure> {
        plan.figures.iter().find(|figure| figure.name == self.figure)
    }
}

impl Bound {
    pub fn is_reached(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, "at least {bound}"),
            Self::AtMost(bound) => write!(f, "at most {bound}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::peers::PEERS;
    use super::super::plan::PLANS;
    use super::*;

    #[test]
    fn bars_name_what_exists() {
        for bar in BARS {
            let plan = PLANS.iter().find(|plan| plan.name == bar.scenario).expect(bar.scenario);
            assert!(bar.figure(plan).is_some(), "{bar:?}");
            let Some(name) = bar.against else { continue };
            let peer = PEERS.iter().find(|peer| peer.name == name).expect(name);
            assert!(peer.can_run(plan), "{bar:?}");
        }
    }

    #[test]
    fn a_bound_is_reached_at_its_value() {
        assert!(AtLeast(2.0).is_reached(2.0) && !AtLeast(2.0).is_reached(1.99));
        assert!(AtMost(2.0).is_reached(2.0) && !AtMost(2.0).is_reached(2.01));
    }
}
