//! Processes of a comparison: servers that are started, waited for and ended, and runs of the harness itself.
//!
//! A server is ended without asking it: none has anything to save, and a graceful end may take seconds.

use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::limits::START_TIMEOUT;
use crate::sys;

/// How often a process is looked at that is waited for.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Ports for servers: below those that Linux gives to clients (32768 and up), so that no client of an earlier run holds one.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// Lines at the end of a log that are shown when its server does not start.
const SHOWN_LINES: usize = 20;

/// A running server, ended on drop.
#[derive(Debug)]
pub struct Server {
    pub port: u16,
    process: Process,
    log: PathBuf,
}

/// A process that does not outlive its owner.
#[derive(Debug)]
struct Process(Child);

impl Server {
    /// Starts a server on one processor and waits until its log, which takes all it prints, says `listening`.
    pub fn start(mut command: Command, port: u16, cpu: usize, log: PathBuf) -> Result<Self, String> {
        let fault = |error: io::Error| format!("{:?}: {error}", command.get_program());
        let output = File::create(&log).map_err(fault)?;
        let errors = output.try_clone().map_err(fault)?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let process = start_on(&mut command, cpu).map_err(|error| format!("{:?}: {error}", command.get_program()))?;
        let mut server = Self { port, process, log };
        server.wait_until_it_listens()?;
        Ok(server)
    }

    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }

    fn is_running(&mut self) -> bool {
        matches!(self.process.0.try_wait(), Ok(None))
    }

    fn wait_until_it_listens(&mut self) -> Result<(), String> {
        let limit = Instant::now() + START_TIMEOUT;
        while Instant::now() < limit && self.is_running() {
            if read(&self.log).contains("listening on") {
                return Ok(());
            }
            thread::sleep(LOOK_INTERVAL);
        }
        Err(format!("it does not listen:\n{}", self.last_words()))
    }

    fn last_words(&self) -> String {
        let log = read(&self.log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }
}

fn read(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a process that has ended and was waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a process on one processor: it inherits that of the thread which starts it.
fn start_on(command: &mut Command, cpu: usize) -> io::Result<Process> {
    let start = || {
        sys::pin_to_cpu(cpu)?;
        command.spawn().map(Process)
    };
    thread::scope(|scope| scope.spawn(start).join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked"))))
}

/// A port on which nothing listens: the next behind the last one, so that a port rests between two servers.
pub fn free_port(last: u16) -> io::Result<u16> {
    let next = last.max(PORTS.start) + 1;
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    (next..PORTS.end).chain(PORTS).find(is_free).ok_or_else(|| io::Error::other("no port is free"))
}

/// Runs the harness to its end, at most for so long and until `stop`; the figures it printed, or why there are none that count.
pub fn run_harness(mut command: Command, limit: Duration, stop: &AtomicBool) -> Result<Value, String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().map(Process).map_err(|error| error.to_string())?;
    wait(&mut process.0, limit, stop)?;
    // What it prints is far smaller than a pipe holds, so it could end without being read.
    let (printed, complaint) = (rest(process.0.stdout.take()), rest(process.0.stderr.take()));
    let Ok(figures) = serde_json::from_str::<Value>(&printed) else {
        return Err(complaint.trim().to_owned());
    };
    if figures["passed"] == true { Ok(figures) } else { Err(failures(&figures)) }
}

fn wait(child: &mut Child, limit: Duration, stop: &AtomicBool) -> Result<(), String> {
    let limit = Instant::now() + limit;
    while Instant::now() < limit && !stop.load(Ordering::Relaxed) {
        match child.try_wait() {
            Ok(None) => thread::sleep(LOOK_INTERVAL),
            Ok(Some(_)) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        }
    }
    Err("the run did not end in time".into())
}

fn rest(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // What could be read before an error is still of use.
        let _ = pipe.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn failures(figures: &Value) -> String {
    let texts = figures["failures"].as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn log(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("hashi-compare-test-{}-{name}", std::process::id()))
    }

    #[test]
    fn a_server_is_waited_for_and_ended() {
        let log = log("listens");
        let mut server = Server::start(shell("echo listening on 1; exec sleep 60"), 1, 0, log.clone()).unwrap();
        assert!(server.is_running());
        let process = PathBuf::from(format!("/proc/{}", server.pid()));
        assert!(process.exists());
        drop(server);
        assert!(!process.exists());
        fs::remove_file(log).unwrap();
    }

    #[test]
    fn a_server_that_ends_at_once_says_why() {
        let log = log("ends");
        let error = Server::start(shell("echo no such module; exit 1"), 1, 0, log.clone()).unwrap_err();
        assert!(error.contains("no such module"), "{error}");
        fs::remove_file(log).unwrap();
    }

    #[test]
    fn only_figures_of_a_run_that_passed_count() {
        let run = |script: &str| run_harness(shell(script), Duration::from_secs(60), &AtomicBool::new(false));
        assert_eq!(run(r#"echo '{"messages":7,"passed":true}'"#).unwrap()["messages"], 7);
        let failed = run(r#"echo '{"passed":false,"failures":["2 lost","1 twice"]}'; exit 1"#);
        assert_eq!(failed.unwrap_err(), "2 lost, 1 twice");
        assert_eq!(run("echo refused >&2; exit 1").unwrap_err(), "refused");
        for (limit_ms, stopped) in [(1, false), (60_000, true)] {
            let endless = shell("exec sleep 60");
            let outcome = run_harness(endless, Duration::from_millis(limit_ms), &AtomicBool::new(stopped));
            assert!(outcome.unwrap_err().contains("in time"));
        }
    }

    #[test]
    fn ports_are_free_and_differ() {
        let first = free_port(0).unwrap();
        let second = free_port(first).unwrap();
        assert!(PORTS.contains(&first) && PORTS.contains(&second) && first != second);
        assert!(PORTS.contains(&free_port(PORTS.end - 1).unwrap()));
    }
}
