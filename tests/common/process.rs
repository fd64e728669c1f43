//! The `hashi` command as a process that a test may signal and whose end it waits for.

use super::wait::{self, PATIENCE};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A running server that is stopped on drop.
pub struct Process {
    pub address: SocketAddr,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts a server on an ephemeral port and waits until it listens.
    #[track_caller]
    pub fn start(env: &[(&str, &str)]) -> Self {
        Self::start_with(&["--websocket-port", "0"], env)
    }

    #[track_caller]
    pub fn start_with(arguments: &[&str], env: &[(&str, &str)]) -> Self {
        let mut child = command(arguments, env).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("hashi");
        let lines = collect_lines(child.stderr.take().expect("ok because stderr is a pipe"));
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut process = Self { address: unknown, child, lines };
        process.address = process.wait_for_address();
        process
    }

    #[track_caller]
    fn wait_for_address(&self) -> SocketAddr {
        let line = self.wait_for_log("listening on 127.0.0.1:");
        let after = line.split("127.0.0.1:").nth(1).unwrap_or_default();
        let port = after.split(|digit: char| !digit.is_ascii_digit()).next().and_then(|port| port.parse().ok());
        SocketAddr::from(([127, 0, 0, 1], port.unwrap_or_else(|| panic!("a port in {line:?}"))))
    }

    /// Sends a signal to this process.
    pub fn signal(&self, signal: libc::c_int) {
        let pid = libc::pid_t::try_from(self.child.id()).expect("ok because the kernel gave it as a pid_t");
        // SAFETY: kill touches no memory, and the process is ours and not reaped yet, so the id is still its own.
        let result = unsafe { libc::kill(pid, signal) };
        assert_eq!(result, 0, "kill({pid}, {signal}): {}", std::io::Error::last_os_error());
    }

    /// Waits until the process has ended.
    #[track_caller]
    pub fn expect_exit(&mut self, within: Duration) -> ExitStatus {
        let look = || self.child.try_wait().expect("the process is ours").ok_or(());
        wait::until(within, look)
            .unwrap_or_else(|()| panic!("still running after {within:?}:\n{}", self.log().join("\n")))
    }

    #[track_caller]
    pub fn expect_running(&mut self) {
        let ended = self.child.try_wait().expect("the process is ours");
        assert!(ended.is_none(), "ended with {ended:?}:\n{}", self.log().join("\n"));
    }

    pub fn log(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a line of the log that contains `part`.
    #[track_caller]
    pub fn wait_for_log(&self, part: &str) -> String {
        let find = || self.log().into_iter().find(|line| line.contains(part)).ok_or(());
        wait::until(PATIENCE, find)
            .unwrap_or_else(|()| panic!("{part:?} is not in the log:\n{}", self.log().join("\n")))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Ok because both fail only for a process that is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command that ends by itself left.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

/// Runs the command to its end. One that goes on serving is stopped, and fails the test.
#[track_caller]
pub fn run(arguments: &[&str], env: &[(&str, &str)]) -> Finished {
    let mut child = command(arguments, env).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("hashi");
    let out = collect_text(child.stdout.take().expect("ok because stdout is a pipe"));
    let err = collect_text(child.stderr.take().expect("ok because stderr is a pipe"));
    let status = wait::until(PATIENCE, || child.try_wait().expect("the process is ours").ok_or(()));
    // Ok because both fail only for a process that is gone.
    let _ = child.kill();
    let _ = child.wait();
    let text = |thread: JoinHandle<String>| thread.join().expect("the output is read");
    let (out, err) = (text(out), text(err));
    let status = status.unwrap_or_else(|()| panic!("{arguments:?} with {env:?} does not end:\n{out}\n{err}"));
    Finished { status, out, err }
}

/// The command with these settings and no others.
fn command(arguments: &[&str], env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hashi"));
    command.args(arguments).env_clear().envs(env.iter().copied()).stdin(Stdio::null());
    command
}

fn collect_lines(from: impl Read + Send + 'static) -> Arc<Mutex<Vec<String>>> {
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let shared = Arc::clone(&lines);
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            shared.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    });
    lines
}

fn collect_text(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        from.read_to_string(&mut text).expect("the output is text");
        text
    })
}
