//! What the tests of several scenarios do: open all connections, let time come, read what was published, end the run.

use super::{Command, Scenario};
use crate::envelope::Stamp;
use crate::measure::{SECOND_NS, Sample};
use crate::report::Report;

/// Starts a run at time 0 and returns what it asks for first.
pub fn started(scenario: &mut impl Scenario) -> Vec<Command> {
    let mut out = Vec::new();
    scenario.on_start(0, &mut out);
    out
}

/// All connections are ready, at time 0.
pub fn all_ready(scenario: &mut impl Scenario) -> Vec<Command> {
    let mut out = Vec::new();
    (0..scenario.connections()).for_each(|conn| scenario.on_ready(conn, 0, &mut out));
    out
}

/// A time has come.
pub fn at(scenario: &mut impl Scenario, now: u64) -> Vec<Command> {
    let mut out = Vec::new();
    scenario.on_time(now, &mut out);
    out
}

/// What is published by these commands.
pub fn stamps(out: &[Command]) -> Vec<Stamp> {
    let stamp = |command: &Command| match command {
        Command::Publish { stamp, .. } => Some(*stamp),
        _ => None,
    };
    out.iter().filter_map(stamp).collect()
}

/// Samples at these seconds, without figures.
pub fn samples(seconds: &[u64]) -> Vec<Sample> {
    seconds.iter().map(|second| Sample { at: second * SECOND_NS, server: None, harness: None }).collect()
}

/// The report of a run of a warm-up and a measured phase, once its time is over.
pub fn finished(mut scenario: impl Scenario) -> Report {
    while !scenario.is_done() {
        let due = scenario.due();
        at(&mut scenario, due);
    }
    scenario.report(&samples(&[0, 0, 1]))
}
