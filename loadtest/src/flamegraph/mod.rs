//! `flamegraph`: where the server spends its time under the load of a scenario.
//!
//! In: a scenario. Out: an SVG, and a table by stage of the tick. The server runs on one processor and the load on another, as in
//! a comparison; `perf` looks at the server's stack 999 times a second. Stacks are found with the debug information of the release
//! build itself, so what is measured is what is served.

mod perf;
mod stacks;
mod symbols;
mod table;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use clap::Args;
use clap::builder::PossibleValuesParser;
use inferno::flamegraph::color::{MultiPalette, Palette};
use inferno::flamegraph::{self as drawing, Options};

use crate::compare::peers::{PEERS, SUBJECT};
use crate::compare::plan::{PLANS, Plan};
use crate::compare::rounds::{Bench, BenchArgs};
use crate::error::{LoadError, Result};

use stacks::Stack;
use symbols::Symbols;

/// The load runs longer than is recorded by the start of the recording and by this much at its end.
const MARGIN_SECONDS: f64 = 1.0;
/// Frames narrower than this share of the picture, in percent, are left out.
const WIDTH_MIN_PERCENT: f64 = 0.2;

/// The choices of a flame graph.
#[derive(Debug, Args)]
pub struct FlamegraphArgs {
    /// The load; of a scenario with several runs, the first
    #[arg(long, default_value = "echo-1", value_parser = PossibleValuesParser::new(PLANS.iter().map(|plan| plan.name)))]
    scenario: String,
    /// The picture to write
    #[arg(long)]
    out: PathBuf,
    /// Recorded time
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    #[command(flatten)]
    bench: BenchArgs,
}

/// Records, draws and prints.
pub fn flamegraph(args: &FlamegraphArgs) -> Result<bool> {
    let mut bench = Bench::new(&args.bench)?;
    let symbols = Symbols::of(&bench.places.hashi).map_err(|error| LoadError::System("the server's symbols", error))?;
    let plan = PLANS.iter().find(|plan| plan.name == args.scenario).expect("ok because clap has checked the name");
    let data = record(args, plan, &mut bench)?;
    let text = perf::stacks(&data).map_err(|error| LoadError::System("perf script", error))?;
    let stacks = stacks::parse(&text, &symbols);
    if !stacks.iter().any(Stack::is_in_kernel) {
        eprintln!("{}", perf::why_no_kernel());
    }
    draw(plan, &stacks, &args.out).map_err(|error| LoadError::System("--out", error))?;
    println!("{}", table::of(&stacks).markdown());
    Ok(true)
}

/// Loads a server and records it meanwhile; the file with the recording.
fn record(args: &FlamegraphArgs, plan: &Plan, bench: &mut Bench) -> Result<PathBuf> {
    let subject = PEERS.iter().find(|peer| peer.name == SUBJECT).expect("ok because the server is one of its peers");
    let server = bench.start(subject)?;
    let seconds = args.seconds + perf::DELAY.as_secs_f64() + MARGIN_SECONDS;
    let data = bench.logs.join("perf.data");
    let (loaded, recorded) = thread::scope(|scope| {
        let load = scope.spawn(|| bench.load(subject, &server, plan.steps[0], seconds));
        let recorded = perf::record(server.pid(), args.seconds, &data);
        (load.join().expect("ok because a run does not panic"), recorded)
    });
    recorded.map_err(|error| LoadError::System("perf record", error))?;
    loaded.map_err(|error| LoadError::Peer("the load", error))?;
    Ok(data)
}

fn draw(plan: &Plan, stacks: &[Stack], path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = Options::default();
    options.title = format!("Hashi: {}", plan.title);
    options.colors = Palette::Multi(MultiPalette::Java); // the kernel, inlined functions and others each have theirs
    options.deterministic = true;
    options.min_width = WIDTH_MIN_PERCENT;
    let lines: Vec<String> = stacks.iter().map(Stack::folded).collect();
    drawing::from_lines(&mut options, lines.iter().map(String::as_str), File::create(path)?)
        .map_err(|error| io::Error::other(error.to_string()))
}
