//! A server under test: as a process of its own, or on a thread of the test.

use super::ECHO_PATH;
use super::proc;
use super::wait::{self, PATIENCE};
use crossbeam_channel::Receiver;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Variables and their values.
pub type Env<'a> = &'a [(&'a str, &'a str)];

/// Longer than any drain that a test configures.
const STOP_PATIENCE: Duration = Duration::from_secs(15);

const LISTENING: &str = "listening on 127.0.0.1:";

/// A running server, stopped on drop.
pub struct TestServer {
    /// The loopback address of IPv4.
    pub address: SocketAddr,
    running: Running,
}

enum Running {
    Process { child: Child, log: Log },
    Thread { handle: hashi::Handle, result: Receiver<std::io::Result<()>>, thread_id: u32 },
}

impl TestServer {
    /// Starts the `hashi` command on an ephemeral port with the echo endpoint open, and waits until it listens.
    #[track_caller]
    pub fn spawn_process(env: Env) -> Self {
        Self::spawn_command(Command::new(env!("CARGO_BIN_EXE_hashi")), env)
    }

    /// Starts `command`, which must become the `hashi` command.
    #[track_caller]
    pub fn spawn_command(mut command: Command, env: Env) -> Self {
        for (name, _) in std::env::vars_os() {
            if is_setting(&name.to_string_lossy()) {
                command.env_remove(name);
            }
        }
        command.env("WEBSOCKET_PORT", "0").env("HASHI_ECHO_PATH", ECHO_PATH).envs(env.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let log = Log::capture(child.stderr.take().expect("ok because stderr is a pipe"));
        let address = log.wait_for_address().unwrap_or_else(|| {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the server did not say that it listens; its log:\n{}", log.text());
        });
        Self { address, running: Running::Process { child, log } }
    }

    /// Runs the server on a thread of the test.
    #[track_caller]
    pub fn start(config: hashi::Config) -> Self {
        Self::serve(hashi::Server::builder(config).bind().expect("the server binds"))
    }

    /// Runs a server that is built already on a thread of the test.
    #[track_caller]
    pub fn serve(server: hashi::Server) -> Self {
        let address = server.local_addresses().iter().copied().find(SocketAddr::is_ipv4).expect("an IPv4 address");
        let handle = server.handle();
        let (done, result) = crossbeam_channel::bounded(1);
        let (started, thread_id) = crossbeam_channel::bounded(1);
        let run = move || {
            // Ok because the channel has room for it.
            let _ = started.send(proc::own_thread_id());
            // Ok because nobody waits for the result once the test has given up.
            let _ = done.send(server.run());
        };
        thread::Builder::new().name("server under test".into()).spawn(run).expect("a thread");
        let thread_id = thread_id.recv_timeout(PATIENCE).expect("the thread starts");
        Self { address, running: Running::Thread { handle, result, thread_id } }
    }

    /// The server's process, if it has one of its own.
    pub fn pid(&self) -> Option<u32> {
        match &self.running {
            Running::Process { child, .. } => Some(child.id()),
            Running::Thread { .. } => None,
        }
    }

    /// The kernel's id of the thread that runs the loop.
    pub fn loop_id(&self) -> u32 {
        match &self.running {
            Running::Process { child, .. } => child.id(),
            Running::Thread { thread_id, .. } => *thread_id,
        }
    }

    /// The handle of a server on a thread of the test.
    #[track_caller]
    pub fn handle(&self) -> &hashi::Handle {
        match &self.running {
            Running::Process { .. } => panic!("a server of its own process has no handle here"),
            Running::Thread { handle, .. } => handle,
        }
    }

    /// The lines that the process has logged so far.
    pub fn log(&self) -> Vec<String> {
        match &self.running {
            Running::Process { log, .. } => log.lines(),
            Running::Thread { .. } => Vec::new(),
        }
    }

    /// Waits for a line of the process's log that contains `part`.
    #[track_caller]
    pub fn wait_for_log(&self, part: &str) -> String {
        let find = || self.log().into_iter().find(|line| line.contains(part)).ok_or(());
        wait::until(PATIENCE, find)
            .unwrap_or_else(|()| panic!("{part:?} is not in the log:\n{}", self.log().join("\n")))
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let stopped = match &mut self.running {
            Running::Process { child, log } => stop_process(child, log),
            Running::Thread { handle, result, .. } => stop_thread(handle, result),
        };
        if let Err(problem) = stopped
            && !thread::panicking()
        {
            panic!("{problem}");
        }
    }
}

/// A server that a test leaves must still be alive and must not have panicked on any of its threads.
fn stop_process(child: &mut Child, log: &Log) -> Result<(), String> {
    let ended = child.try_wait().map_err(|error| error.to_string())?;
    // Ok because both fail only for a process that is gone, and whether it is has just been asked.
    let _ = child.kill();
    let _ = child.wait();
    if let Some(status) = ended {
        return Err(format!("the server ended by itself, {status}; its log:\n{}", log.text()));
    }
    match log.lines().iter().any(|line| line.contains("panicked at")) {
        true => Err(format!("the server panicked; its log:\n{}", log.text())),
        false => Ok(()),
    }
}

fn stop_thread(handle: &hashi::Handle, result: &Receiver<std::io::Result<()>>) -> Result<(), String> {
    handle.shutdown();
    match result.recv_timeout(STOP_PATIENCE) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("the server failed: {error}")),
        Err(_) => Err(format!("the server panicked, or did not stop within {STOP_PATIENCE:?}")),
    }
}

fn is_setting(name: &str) -> bool {
    name.starts_with("WEBSOCKET_") || name.starts_with("HASHI_") || name == "RUST_LOG"
}

/// The lines that a process writes to stderr, read on a thread that ends with the process.
#[derive(Clone)]
struct Log {
    lines: Arc<Mutex<Vec<String>>>,
}

impl Log {
    fn capture(stderr: ChildStderr) -> Self {
        let log = Self { lines: Arc::default() };
        let lines = log.lines.clone();
        let read = move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        };
        thread::Builder::new().name("log of the server".into()).spawn(read).expect("a thread");
        log
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn text(&self) -> String {
        self.lines().join("\n")
    }

    fn wait_for_address(&self) -> Option<SocketAddr> {
        wait::until(PATIENCE, || self.lines().iter().find_map(|line| parse_address(line)).ok_or(())).ok()
    }
}

fn parse_address(line: &str) -> Option<SocketAddr> {
    let (_, port) = line.split_once(LISTENING)?;
    let digits = port.split(|digit: char| !digit.is_ascii_digit()).next()?;
    Some(SocketAddr::from(([127, 0, 0, 1], digits.parse().ok()?)))
}
