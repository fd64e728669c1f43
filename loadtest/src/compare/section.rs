//! What is shown of one scenario: a table of medians and ratios, its bars, and what must be said beside them.

use super::bars::Bar;
use super::peers::{Peer, SUBJECT};
use super::plan::{CPU_PERCENT, Figure, HARNESS_CPU_PERCENT};
use super::results::Results;
use super::statistics::Spread;
use super::table::Table;

/// A process that used more than this of its processor was busy all the time.
const BUSY_PERCENT: f64 = 95.0;
/// Ratios that lie further apart than this, in parts of their median, are called noise.
const NOISE: f64 = 0.15;

/// The table, the bars and the remarks of one scenario.
#[derive(Debug)]
pub struct Section {
    title: String,
    figures: Table,
    bars: Option<Table>,
    remarks: Vec<String>,
}

impl Section {
    /// `when` says of which day and which build the results are.
    pub fn new(results: &Results, when: &str) -> Self {
        let mut remarks = vec![format!("Rounds: {} of {} s; {when}.", results.rounds.len(), results.seconds)];
        remarks.extend(noise(results));
        remarks.extend(harness_limit(results));
        remarks.extend(results.failures().map(|failed| format!("Does not count: {failed}.")));
        Self { title: results.plan.title.into(), figures: figures(results), bars: bars(results), remarks }
    }

    pub fn text(&self) -> String {
        let bars = self.bars.as_ref().map(|bars| format!("\n{}", bars.text())).unwrap_or_default();
        format!("\n{}\n{}\n{}{bars}", self.title, self.remarks.join("\n"), self.figures.text())
    }

    pub fn markdown(&self) -> String {
        let bars = self.bars.as_ref().map(|bars| format!("\n{}", bars.markdown())).unwrap_or_default();
        format!("### {}\n\n{}\n\n{}{bars}", self.title, self.remarks.join("\n"), self.figures.markdown())
    }
}

/// A row for each peer; for each figure its median and what the subject's is of it.
fn figures(results: &Results) -> Table {
    let plan = results.plan;
    let columns = plan.figures.iter().flat_map(|figure| [figure.name.to_owned(), format!("{SUBJECT} : it")]);
    let mut table = Table::new(std::iter::once("server".to_owned()).chain(columns).collect());
    for peer in &results.peers {
        let cells =
            plan.figures.iter().flat_map(|figure| [median(results, peer, figure), ratio(results, peer, figure)]);
        table.push(std::iter::once(peer.title.to_owned()).chain(cells).collect());
    }
    table
}

fn median(results: &Results, peer: &Peer, figure: &Figure) -> String {
    let decimals = figure.decimals;
    results.spread(peer.name, figure).map_or_else(|| "-".into(), |spread| format!("{:.decimals$}", spread.median))
}

fn ratio(results: &Results, peer: &Peer, figure: &Figure) -> String {
    let found = results.ratio(peer.name, figure).filter(|_| peer.name != SUBJECT);
    found.map_or_else(String::new, |Spread { median, lowest, highest }| {
        format!("{median:.2} ({lowest:.2} to {highest:.2})")
    })
}

fn bars(results: &Results) -> Option<Table> {
    let headings = ["figure", "against", "should be", "is", ""].map(str::to_owned);
    let mut table = Table::new(headings.into());
    Bar::of(results.plan).for_each(|bar| table.push(bar_row(bar, results)));
    (!table.is_empty()).then_some(table)
}

fn bar_row(bar: &Bar, results: &Results) -> Vec<String> {
    let (value, verdict) = match bar.measured(results) {
        Some(value) if bar.bound.is_reached(value) => (format!("{value:.2}"), "reached"),
        Some(value) => (format!("{value:.2}"), "**missed**"),
        None => ("-".into(), "not measured"),
    };
    let against = bar.against.unwrap_or("-");
    vec![bar.figure.into(), against.into(), bar.bound.to_string(), value, verdict.into()]
}

/// Names the ratios that are too far apart to tell more than a direction.
fn noise(results: &Results) -> Option<String> {
    let peers = results.peers.iter().filter(|peer| peer.name != SUBJECT);
    let pairs = peers.flat_map(|peer| results.plan.figures.iter().map(move |figure| (peer, figure)));
    let is_wide = |spread: Spread| spread.width() > NOISE;
    let wide = pairs.filter(|(peer, figure)| results.ratio(peer.name, figure).is_some_and(is_wide));
    let names: Vec<String> = wide.map(|(peer, figure)| format!("{} to {}", figure.name, peer.name)).collect();
    let percent = NOISE * 100.0;
    (!names.is_empty()).then(|| format!("Noise, the ratios lie more than {percent:.0} % apart: {}.", names.join(", ")))
}

/// Names the servers that were not busy while the harness was: they can carry more than it could send.
fn harness_limit(results: &Results) -> Option<String> {
    let is_busy = |peer: &Peer, figure| results.spread(peer.name, figure).is_some_and(|cpu| cpu.median > BUSY_PERCENT);
    let is_limited = |peer: &&&Peer| is_busy(peer, &HARNESS_CPU_PERCENT) && !is_busy(peer, &CPU_PERCENT);
    let limited = results.peers.iter().filter(|_| results.plan.seeks_limit).filter(is_limited);
    let names: Vec<&str> = limited.map(|peer| peer.name).collect();
    (!names.is_empty()).then(|| format!("The harness, not the server, was the limit of: {}.", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::peers::PEERS;
    use super::super::plan::PLANS;
    use super::*;
    use serde_json::json;

    /// Rounds of the first scenario; each gives messages per second and CPU of the server and of the harness, of the subject and
    /// of the peer that is compared last.
    fn section(rounds: &[[(f64, f64, f64); 2]]) -> Section {
        let outcome = |(rate, server, harness): &(f64, f64, f64)| {
            Ok(vec![json!({
                "messages_per_second": rate,
                "server_cpu_percent": server,
                "harness_cpu_percent": harness,
            })])
        };
        let rounds = rounds.iter().map(|round| round.iter().map(outcome).collect()).collect();
        let peers = PEERS.iter().filter(|peer| [SUBJECT, "bun"].contains(&peer.name)).collect();
        Section::new(&Results { plan: &PLANS[0], peers, rounds, seconds: 4.0 }, "some day")
    }

    #[test]
    fn medians_ratios_and_bars_are_shown() {
        let text =
            section(&[[(210.0, 99.0, 50.0), (100.0, 99.0, 50.0)], [(190.0, 99.0, 50.0), (100.0, 99.0, 50.0)]]).text();
        assert!(text.contains("Rounds: 2 of 4 s; some day.\n"), "{text}");
        assert!(text.contains("2.00 (1.90 to 2.10)"), "{text}");
        assert!(text.contains("bun      at least 1.05  2.00  reached"), "{text}");
        assert!(text.contains("node-ws  at least 2.2   -     not measured"), "{text}");
        assert!(!text.contains("Noise") && !text.contains("limit of"), "{text}");
    }

    #[test]
    fn what_must_be_known_beside_a_figure_is_said() {
        let text = section(&[[(50.0, 60.0, 99.0), (100.0, 99.0, 50.0)], [(100.0, 60.0, 99.0), (100.0, 99.0, 50.0)]])
            .markdown();
        assert!(text.contains("Noise, the ratios lie more than 15 % apart: messages/s to bun.\n"), "{text}");
        assert!(text.contains("The harness, not the server, was the limit of: hashi.\n"), "{text}");
        assert!(text.contains("| at least 1.05 | 0.75 | **missed** |"), "{text}");
    }
}
