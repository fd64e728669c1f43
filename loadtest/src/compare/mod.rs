//! `compare`: the server beside its peers in one run. Every server has one processor, the harness another; rounds alternate
//! between them, and what counts is the ratio inside a round.
//!
//! In: the choice of scenarios, peers and rounds. Out: tables as text, as JSON and as parts of a document. The measuring itself is
//! done by runs of this same program, each a process of its own, so that none inherits memory or a schedule from another.

mod bars;
mod document;
mod machine;
pub mod peers;
pub mod plan;
mod process;
mod results;
pub mod rounds;
mod section;
mod statistics;
pub mod table;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use bars::Bar;
use peers::{PEERS, Peer, SUBJECT};
use plan::{PLANS, Plan};
use results::Results;
use rounds::{Bench, BenchArgs};
use section::Section;

use crate::error::{LoadError, Result};

/// The choices of a comparison.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Only these scenarios
    #[arg(long, value_parser = PossibleValuesParser::new(PLANS.iter().map(|plan| plan.name)))]
    scenario: Vec<String>,
    /// Only these peers
    #[arg(long, value_parser = PossibleValuesParser::new(PEERS.iter().map(|peer| peer.name)))]
    peer: Vec<String>,
    /// Rounds of each scenario, instead of its usual number
    #[arg(long)]
    rounds: Option<usize>,
    /// Measured time of each run, instead of the scenario's usual
    #[arg(long)]
    seconds: Option<f64>,
    #[command(flatten)]
    bench: BenchArgs,
    /// Write all figures of all runs into this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Replace the parts of these scenarios in this document
    #[arg(long)]
    write: Option<PathBuf>,
    /// Fail when a bar is missed
    #[arg(long)]
    strict: bool,
}

/// Runs the comparison; whether all runs of the server passed and, with `--strict`, every bar is reached.
pub fn compare(args: &CompareArgs) -> Result<bool> {
    let mut bench = Bench::new(&args.bench)?;
    let mut all = Vec::new();
    write_machine(args)?;
    for plan in PLANS.iter().filter(|plan| is_chosen(&args.scenario, plan.name)) {
        let results = bench.run(
            plan,
            chosen_peers(args, plan),
            args.rounds.unwrap_or(plan.rounds),
            args.seconds.unwrap_or(plan.seconds),
        )?;
        show(args, &results)?;
        all.push(results);
    }
    write_json(args, &all)?;
    Ok(all.iter().all(|results| results.has_passed() && (!args.strict || reaches_bars(results))))
}

fn is_chosen(chosen: &[String], name: &str) -> bool {
    chosen.is_empty() || chosen.iter().any(|found| found == name)
}

fn chosen_peers(args: &CompareArgs, plan: &Plan) -> Vec<&'static Peer> {
    let is_wanted = |peer: &&Peer| peer.name == SUBJECT || is_chosen(&args.peer, peer.name);
    PEERS.iter().filter(is_wanted).filter(|peer| peer.can_run(plan)).collect()
}

fn reaches_bars(results: &Results) -> bool {
    Bar::of(results.plan).all(|bar| bar.measured(results).is_none_or(|value| bar.bound.is_reached(value)))
}

/// Prints a scenario's results, and writes them into the document at once: a later failure does not lose them.
fn show(args: &CompareArgs, results: &Results) -> Result<()> {
    let when = format!("measured on {} with build {}", machine::today(), machine::commit());
    let section = Section::new(results, &when);
    println!("{}", section.text());
    write_part(args, results.plan.name, &section.markdown())
}

fn write_machine(args: &CompareArgs) -> Result<()> {
    let lines = machine::description(PEERS.iter());
    println!("{}", lines.join("\n"));
    let items: String = lines.iter().map(|line| format!("- {line}\n")).collect();
    write_part(args, "machine", &items)
}

fn write_part(args: &CompareArgs, name: &str, text: &str) -> Result<()> {
    let Some(path) = &args.write else {
        return Ok(());
    };
    let document = fs::read_to_string(path).map_err(|error| LoadError::System("--write", error))?;
    let changed = document::with_part(&document, name, text);
    let changed = changed.map_err(|problem| LoadError::Settings(format!("{}: {problem}", path.display())))?;
    write_file("--write", path, &changed)
}

fn write_json(args: &CompareArgs, all: &[Results]) -> Result<()> {
    let Some(path) = &args.json else {
        return Ok(());
    };
    let value = json!({
        "date": machine::today(),
        "commit": machine::commit(),
        "machine": machine::description(PEERS.iter()),
        "scenarios": all.iter().map(Results::json).collect::<Vec<Value>>(),
    });
    write_file("--json", path, &format!("{value:#}\n"))
}

fn write_file(option: &'static str, path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| LoadError::System(option, error))
}
