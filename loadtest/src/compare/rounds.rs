//! The rounds of one scenario: each peer has its turn in each, beginning with another one each time, so that a drift of the
//! machine favours none.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::peers::{Peer, Places};
use super::plan::Plan;
use super::process::{self, Server};
use super::results::{Outcome, Results};
use crate::error::{LoadError, Result};
use crate::limits::REST_TIMEOUT;
use crate::sys;

/// What runs where.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Processor of the servers
    #[arg(long, default_value_t = 0)]
    server_cpu: usize,
    /// Processor of the harness
    #[arg(long, default_value_t = 1)]
    harness_cpu: usize,
    /// Another build of the server
    #[arg(long)]
    server_bin: Option<PathBuf>,
}

/// How a comparison runs.
#[derive(Debug)]
pub struct Bench {
    pub places: Places,
    pub server_cpu: usize,
    pub harness_cpu: usize,
    /// A folder that is removed with it.
    pub logs: PathBuf,
    last_port: u16,
    /// Set when the process is asked to end: servers must not outlive it.
    stop: Arc<AtomicBool>,
}

/// One peer during a scenario.
struct Turn {
    peer: &'static Peer,
    server: Option<Server>,
}

impl Bench {
    pub fn new(args: &BenchArgs) -> Result<Self> {
        sys::raise_open_files().map_err(|error| LoadError::System("the limit of open files", error))?;
        let places = Places::find(args.server_bin.clone()).map_err(|error| LoadError::System("this program", error))?;
        let logs = std::env::temp_dir().join(format!("hashi-compare-{}", std::process::id()));
        fs::create_dir_all(&logs).map_err(|error| LoadError::System("the folder of logs", error))?;
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register(signal, stop.clone()).map_err(|error| LoadError::System("signals", error))?;
        }
        let &BenchArgs { server_cpu, harness_cpu, .. } = args;
        Ok(Self { places, server_cpu, harness_cpu, logs, last_port: 0, stop })
    }

    /// Runs so many rounds of a scenario.
    pub fn run(
        &mut self,
        plan: &'static Plan,
        peers: Vec<&'static Peer>,
        rounds: usize,
        seconds: f64,
    ) -> Result<Results> {
        let mut turns: Vec<Turn> = peers.iter().map(|peer| Turn { peer, server: None }).collect();
        let mut results = Results { plan, peers, rounds: Vec::new(), seconds };
        for round in 0..rounds {
            results.rounds.push(self.round(plan, &mut turns, round, seconds)?);
            eprintln!("{}: round {} of {rounds}", plan.name, round + 1);
        }
        Ok(results)
    }

    fn round(&mut self, plan: &Plan, turns: &mut [Turn], round: usize, seconds: f64) -> Result<Vec<Outcome>> {
        let count = turns.len();
        let mut outcomes = vec![Outcome::Ok(Vec::new()); count];
        for at in (0..count).map(|turn| (turn + round) % count) {
            outcomes[at] = self.turn(plan, &mut turns[at], seconds)?;
        }
        Ok(outcomes)
    }

    /// All steps of one peer, with the server that an earlier turn has kept or a new one.
    fn turn(&mut self, plan: &Plan, turn: &mut Turn, seconds: f64) -> Result<Outcome> {
        let server = match turn.server.take() {
            Some(server) => server,
            None => self.start(turn.peer)?,
        };
        let run = |args: &&[&str]| self.load(turn.peer, &server, args, seconds);
        let outcome: Outcome = plan.steps.iter().map(run).collect();
        if self.stop.load(Ordering::Relaxed) {
            return Err(LoadError::Interrupted);
        }
        // One that failed may have ended, or be busy still with what it was sent.
        turn.server = (!plan.is_fresh && outcome.is_ok()).then_some(server);
        Ok(outcome)
    }

    /// Starts a server.
    pub fn start(&mut self, peer: &'static Peer) -> Result<Server> {
        self.last_port = process::free_port(self.last_port).map_err(|error| LoadError::System("a port", error))?;
        let log = self.logs.join(format!("{}.log", peer.name));
        let command = peer.command(&self.places, self.last_port);
        Server::start(command, self.last_port, self.server_cpu, log).map_err(|error| LoadError::Peer(peer.name, error))
    }

    /// Runs the harness against a server; its figures, or why there are none that count.
    pub fn load(
        &self,
        peer: &Peer,
        server: &Server,
        args: &[&str],
        seconds: f64,
    ) -> std::result::Result<Value, String> {
        process::run_harness(self.harness(peer, server, args, seconds), limit(seconds), &self.stop)
    }

    fn harness(&self, peer: &Peer, server: &Server, args: &[&str], seconds: f64) -> Command {
        let mut command = Command::new(&self.places.harness);
        command.args(args).args(peer.dialect).args(["--json", "--connect-timeout-seconds", "30"]);
        command.arg("--url").arg(format!("ws://127.0.0.1:{}/ws", server.port));
        command.arg("--server-pid").arg(server.pid().to_string());
        command.arg("--pin").arg(self.harness_cpu.to_string());
        command.arg("--seconds").arg(seconds.to_string());
        command
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // What is left behind in the folder of temporary files harms nobody.
        let _ = fs::remove_dir_all(&self.logs);
    }
}

fn limit(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds) + REST_TIMEOUT
}
