//! The command line.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{ArgMatches, Args, FromArgMatches, Parser, Subcommand};

use crate::compare::CompareArgs;
use crate::error::Result;
use crate::flamegraph::FlamegraphArgs;
use crate::settings::{LoadArgs, ScenarioArgs, Settings, TargetArgs};
use crate::threshold::Threshold;

/// The load generator of Hashi: many client connections in one thread. Every run checks that each publisher's messages
/// arrive in order, none twice, and none is lost without a `hashi:gap`; it exits with 1 if a check or a threshold fails.
#[derive(Debug, Parser)]
#[command(name = "hashi-loadtest")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    #[command(flatten)]
    Scenario(ScenarioCommand),
    /// Run a scenario file
    Run(FileArgs),
    /// Serve: a bare loop that echoes frames without parsing them; the limit to compare with
    BareEcho(BareEchoArgs),
    /// The server beside its peers, each on one processor, in alternating rounds; prints ratios
    Compare(CompareArgs),
    /// Where the server spends its time under the load of a scenario, as a picture and as a table
    Flamegraph(FlamegraphArgs),
}

/// A scenario described by flags: its own parameters, and those that every scenario has.
#[derive(Debug)]
pub struct ScenarioCommand {
    scenario: ScenarioArgs,
    target: TargetArgs,
    load: LoadArgs,
    pub run: RunArgs,
}

/// A scenario described by a file.
#[derive(Debug, Args)]
pub struct FileArgs {
    /// The scenario file (TOML)
    file: PathBuf,
    /// The server, instead of the file's
    #[arg(long)]
    url: Option<String>,
    #[command(flatten)]
    pub run: RunArgs,
}

/// How a run is observed and reported.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Process id of the server: its CPU and memory are reported
    #[arg(long)]
    pub server_pid: Option<u32>,
    /// Processor to bind the harness to
    #[arg(long)]
    pub pin: Option<usize>,
    /// A condition on a figure, such as 'p99_us < 500' or 'lost == 0'; may be repeated
    #[arg(long = "threshold", value_name = "CONDITION")]
    thresholds: Vec<Threshold>,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Where results go.
#[derive(Debug, Args)]
pub struct OutputArgs {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Write result.json, report.html, junit.xml, latency.hgrm and latency.hlog into this folder
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// An earlier result.json to compare with; a regression fails the run
    #[arg(long, value_name = "FILE")]
    pub compare: Option<PathBuf>,
    /// Percent by which a figure may be worse
    #[arg(long, default_value_t = 5.0)]
    pub tolerance: f64,
    /// Show the run while it goes on; the default when stderr is a terminal, except with --json
    #[arg(long)]
    live: bool,
}

#[derive(Debug, Args)]
pub struct BareEchoArgs {
    /// 0 takes a free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Processor to bind it to
    #[arg(long)]
    pub pin: Option<usize>,
}

impl ScenarioCommand {
    pub fn settings(self) -> (Settings, RunArgs) {
        let Self { scenario, target, load, mut run } = self;
        let thresholds = std::mem::take(&mut run.thresholds);
        (Settings { target, scenario, load, phases: Vec::new(), thresholds }, run)
    }
}

impl FileArgs {
    /// Reads the file; flags go before what it says.
    pub fn settings(mut self) -> Result<(Settings, RunArgs)> {
        let mut settings = Settings::read(&self.file)?;
        settings.thresholds.append(&mut self.run.thresholds);
        if let Some(url) = self.url {
            settings.target.url = url;
        }
        Ok((settings, self.run))
    }
}

impl OutputArgs {
    /// Whether the run is shown while it goes on.
    pub fn is_live(&self) -> bool {
        self.live || (!self.json && std::io::stderr().is_terminal())
    }
}

/// By hand, so that a scenario's own parameters are one type for flags and files and the common flags are named once.
impl Subcommand for ScenarioCommand {
    fn augment_subcommands(command: clap::Command) -> clap::Command {
        let scenarios = ScenarioArgs::augment_subcommands(clap::Command::new("scenarios"));
        let with_common = |scenario: &clap::Command| {
            RunArgs::augment_args(LoadArgs::augment_args(TargetArgs::augment_args(scenario.clone())))
        };
        command.subcommands(scenarios.get_subcommands().map(with_common))
    }

    fn augment_subcommands_for_update(command: clap::Command) -> clap::Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        ScenarioArgs::has_subcommand(name)
    }
}

impl FromArgMatches for ScenarioCommand {
    fn from_arg_matches(matches: &ArgMatches) -> std::result::Result<Self, clap::Error> {
        let scenario = ScenarioArgs::from_arg_matches(matches)?;
        let (_, flags) = matches.subcommand().expect("ok because a scenario was found");
        Ok(Self {
            scenario,
            target: TargetArgs::from_arg_matches(flags)?,
            load: LoadArgs::from_arg_matches(flags)?,
            run: RunArgs::from_arg_matches(flags)?,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> std::result::Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::Pace;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_scenario_takes_its_own_flags_and_the_common_ones() {
        let line = "x rooms --rooms 3 --rate 50 --threshold p99_us<5 --pin 1 --json";
        let Command::Scenario(command) = Cli::parse_from(line.split(' ')).command else {
            panic!("a scenario was named");
        };
        let (settings, run) = command.settings();
        assert!(matches!(&settings.scenario, ScenarioArgs::Rooms(rooms) if rooms.rooms == 3 && rooms.members == 10));
        assert!(matches!(settings.plan(Pace::InAll).unwrap().0[1].pace, Pace::Scheduled(load) if load.ramp.to == 50.0));
        assert_eq!((settings.thresholds.len(), run.pin, run.output.json), (1, Some(1), true));
        assert!(Cli::try_parse_from("x rooms --connections 3".split(' ')).is_err());
    }
}
