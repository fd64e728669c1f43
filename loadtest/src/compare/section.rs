//! What is shown of one scenario: a table of medians and ratios, its bars, and what must be said beside them.

use super::bars::Bar;
use super::peers::{Peer, SUBJECT};
use super::plan::Figure;
use super::results::Results;
use super::statistics::Spread;
use super::table::Table;

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
        let mut remarks = vec![format!("{} rounds of {} s; {when}.", results.rounds.len(), results.seconds)];
        remarks.extend(noise(results));
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
