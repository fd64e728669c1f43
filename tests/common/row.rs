//! One row of BAD_INPUT.md: the bad input, and what holds for every row besides its answer.
//!
//! A healthy client sees no disconnect and no delay over 50 ms; no row of a table and no queued byte stays; the loop
//! does not spin; the log stays short; the process neither ends nor panics (`TestServer` checks that on drop).

use super::control::{ControlClient, MAX_DELAY, Report};
use super::proc;
use super::server::{Env, TestServer};
use super::status;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A row may log this much: some lines for each of its cases, not one for each frame of a flood.
const MAX_LOG_LINES: usize = 400;

/// Pools and the allocator may keep a little of what a row needed.
const MEMORY_SLACK_BYTES: u64 = 24 << 20;

/// How long the loop is watched after a row, and what it may take in that time with nothing to do.
const IDLE_WINDOW: Duration = Duration::from_millis(200);
const IDLE_LOOP_TIME: Duration = Duration::from_millis(40);

/// The machine may stall for reasons that the kernel does not account to a thread (its host takes the processor away,
/// say). A delay therefore fails a row only if the whole row, repeated, shows one every time.
const ATTEMPTS: usize = 3;

/// Rows that compute run one at a time, so that one does not delay another's control client.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs a row against a server with `env`.
#[track_caller]
pub fn run(env: Env, body: impl Fn(&TestServer)) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    run_beside_others(env, body);
}

/// Runs a row that mostly waits, beside others.
#[track_caller]
pub fn run_beside_others(env: Env, body: impl Fn(&TestServer)) {
    run_on(|| TestServer::spawn_process(env), body);
}

/// Runs a row that computes against the server that `start` gives.
#[track_caller]
pub fn run_alone_on(start: impl Fn() -> TestServer, body: impl Fn(&TestServer)) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    run_on(start, body);
}

/// Runs a row against the server that `start` gives.
#[track_caller]
pub fn run_on(start: impl Fn() -> TestServer, body: impl Fn(&TestServer)) {
    let mut delays = Vec::new();
    while delays.len() < ATTEMPTS {
        let report = attempt(start(), &body);
        if report.slowest < MAX_DELAY {
            return;
        }
        eprintln!("the control client was delayed, the row is repeated: {report:?}");
        delays.push(report);
    }
    panic!("the control client was delayed each time: {delays:?}");
}

#[track_caller]
fn attempt(server: TestServer, body: impl Fn(&TestServer)) -> Report {
    let pid = server.loop_id();
    let control = ControlClient::start(server.address, Some(pid));
    let memory_before = proc::resident_bytes(pid);
    body(&server);
    let report = control.finish();
    status::expect_empty(server.address);
    expect_idle(pid);
    let grown = proc::resident_bytes(pid).saturating_sub(memory_before);
    assert!(grown < MEMORY_SLACK_BYTES, "the server keeps {grown} bytes more than before");
    let log = server.log();
    assert!(log.len() < MAX_LOG_LINES, "{} lines in the log, the last: {:?}", log.len(), log.last());
    report
}

#[track_caller]
fn expect_idle(pid: u32) {
    let taken = proc::loop_time_during(pid, IDLE_WINDOW);
    assert!(taken < IDLE_LOOP_TIME, "the loop took {taken:?} in {IDLE_WINDOW:?} with nothing to do");
}
