//! The load generator of Hashi.
//!
//! A scenario (a state machine without sockets, in `scenarios`) says what to do; the reactor does it on one thread with
//! all connections as rows of one table; `measure`, `check` and `report` are apart from both.
//! `compare` starts servers and runs this program against each.

mod bare_echo;
mod check;
mod cli;
mod compare;
#[cfg(test)]
mod conformance;
mod connection;
mod envelope;
mod error;
mod frame;
mod handshake;
mod measure;
mod procfs;
mod reactor;
mod report;
mod scenarios;
mod socket_io;
#[cfg(test)]
mod stand_in;
mod sys;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use bare_echo::BareEcho;
use cli::{BareEchoArgs, Cli, Command, TargetArgs, TrafficArgs, check_connections, check_layout};
use envelope::MIN_BYTES;
use error::{LoadError, Result};
use reactor::{Dialect, Target};
use report::Report;
use scenarios::{Connect, Idle, Layout, Pace, Scenario, Traffic};

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

/// Runs what was asked for; whether all checks passed.
fn dispatch(command: Command) -> Result<bool> {
    match command {
        Command::Echo(args) => {
            let layout = Layout::alone(args.connections);
            traffic("echo", &args.target, &args.traffic, layout, Pace::PerPublisher, Dialect::Hashi)
        }
        Command::RawEcho(args) => {
            let layout = Layout::alone(args.connections);
            traffic("raw-echo", &args.target, &args.traffic, layout, Pace::PerPublisher, Dialect::Raw)
        }
        Command::Fanout(args) => {
            let layout = Layout::fanout(check_connections(args.connections, 1)?);
            traffic("fanout", &args.target, &args.traffic, layout, Pace::InAll, Dialect::Hashi)
        }
        Command::Rooms(args) => {
            check_connections(args.members, 1)?;
            let layout = Layout::rooms(check_connections(args.rooms, 1)?, args.members);
            traffic("rooms", &args.target, &args.traffic, layout, Pace::InAll, Dialect::Hashi)
        }
        Command::Idle(args) => {
            let scenario = Idle::new(check_connections(args.connections, 5)?, args.held_ns()?);
            run(scenario, args.target.target(Dialect::Hashi, MIN_BYTES)?, &args.target)
        }
        Command::Connect(args) => {
            let scenario = Connect::new(check_connections(args.connections, 1)?, args.timing()?);
            let mut target = args.target.target(Dialect::Hashi, MIN_BYTES)?;
            target.opening_at_once = args.connections;
            run(scenario, target, &args.target)
        }
        Command::BareEcho(args) => bare_echo(&args),
        Command::Compare(args) => compare::compare(&args),
    }
}

fn traffic(
    name: &'static str,
    args: &TargetArgs,
    traffic: &TrafficArgs,
    layout: Layout,
    closed: fn(usize) -> Pace,
    dialect: Dialect,
) -> Result<bool> {
    let scenario = Traffic::new(name, check_layout(layout)?, traffic.pace(closed)?, traffic.timing()?);
    run(scenario, args.target(dialect, traffic.message_bytes()?)?, args)
}

fn run(scenario: impl Scenario, target: Target, args: &TargetArgs) -> Result<bool> {
    prepare(args.pin)?;
    let report = reactor::run(scenario, target)?;
    print(&report, args.json)?;
    Ok(report.passed())
}

fn bare_echo(args: &BareEchoArgs) -> Result<bool> {
    prepare(args.pin)?;
    let serve = || {
        let server = BareEcho::bind(args.port)?;
        println!("listening on {}", server.port()?);
        std::io::stdout().flush()?;
        server.run()
    };
    serve().map_err(|error| LoadError::System("bare-echo", error))?;
    Ok(true)
}

fn prepare(pin: Option<usize>) -> Result<()> {
    sys::raise_open_files().map_err(|error| LoadError::System("the limit of open files", error))?;
    match pin {
        Some(cpu) => sys::pin_to_cpu(cpu).map_err(|error| LoadError::System("--pin", error)),
        None => Ok(()),
    }
}

fn print(report: &Report, json: bool) -> Result<()> {
    let text = if json { report.json() + "\n" } else { report.text() };
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| LoadError::System("stdout", error))
}
