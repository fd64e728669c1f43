//! The load generator of Hashi.
//!
//! `settings` says what a run is, and comes from flags (`cli`) or from a file. A scenario (a state machine without
//! sockets, in `scenarios`) says what to do; the reactor does it on one thread with all connections as rows of one table.
//! `meter` and `check` count beside it, the `observer` watches from a thread of its own, and `outcome` is what is known
//! at the end.
//!
//! `compare` starts servers and runs this program against each.

mod bare_echo;
mod baseline;
mod bottleneck;
mod check;
mod cli;
mod compare;
#[cfg(test)]
mod conformance;
mod connection;
mod envelope;
mod environment;
mod error;
mod flamegraph;
mod format;
mod frame;
mod gaps;
mod handshake;
mod hdr;
mod html;
mod http;
mod junit;
mod limits;
mod live;
mod measure;
mod meter;
mod observer;
mod outcome;
mod output;
mod procfs;
mod reactor;
mod report;
mod run;
mod scenarios;
mod server;
mod settings;
mod socket_io;
#[cfg(test)]
mod stand_in;
mod sys;
mod threshold;
mod wording;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use bare_echo::BareEcho;
use baseline::Comparison;
use cli::{BareEchoArgs, Cli, Command, RunArgs};
use error::{LoadError, Result};
use settings::Settings;

fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("hashi-loadtest: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Does what was asked for; whether all checks passed.
fn dispatch(command: Command) -> Result<bool> {
    match command {
        Command::Scenario(scenario) => {
            let (settings, args) = scenario.settings();
            execute(&settings, &args)
        }
        Command::Run(file) => {
            let (settings, args) = file.settings()?;
            execute(&settings, &args)
        }
        Command::BareEcho(args) => bare_echo(&args),
        Command::Compare(args) => compare::compare(&args),
        Command::Flamegraph(args) => flamegraph::flamegraph(&args),
    }
}

/// Runs, prints and writes the result, and compares it.
fn execute(settings: &Settings, args: &RunArgs) -> Result<bool> {
    let outcome = run::run(settings, args)?;
    let output = &args.output;
    print(&if output.json { outcome.json() + "\n" } else { outcome.text() })?;
    if let Some(folder) = &output.out {
        output::write(&outcome, folder)?;
    }
    let Some(path) = &output.compare else {
        return Ok(outcome.passed());
    };
    let comparison = Comparison::with_file(&outcome.report.figures, path, output.tolerance)?;
    match output.json {
        // What is printed stays one JSON object.
        true => eprint!("{comparison}"),
        false => print(&format!("\n{comparison}"))?,
    }
    Ok(outcome.passed() && comparison.passed())
}

fn print(text: &str) -> Result<()> {
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| LoadError::System("stdout", error))
}

fn bare_echo(args: &BareEchoArgs) -> Result<bool> {
    run::prepare(args.pin)?;
    let serve = || {
        let server = BareEcho::bind(args.port)?;
        println!("listening on {}", server.port()?);
        std::io::stdout().flush()?;
        server.run()
    };
    serve().map_err(|error| LoadError::System("bare-echo", error))?;
    Ok(true)
}
