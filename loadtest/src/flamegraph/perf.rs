//! `perf`: recording a process, and the recorded stacks as text.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

/// Recording begins this long after it was asked for: by then the load's connections are open.
pub const DELAY: Duration = Duration::from_secs(2);
/// Looks a second; not in step with anything that happens every millisecond.
const FREQUENCY: &str = "999";
/// The C library is built without frame pointers, so each look copies so much of the stack, which is followed later.
const CALL_GRAPH: &str = "dwarf,8192";

/// Records the stacks of a process for so long.
pub fn record(pid: u32, seconds: f64, data: &Path) -> io::Result<()> {
    let mut perf = Command::new("perf");
    // Virtual machines seldom have counters of cycles; a clock is everywhere.
    perf.args(["record", "--quiet", "--event", "cpu-clock", "--freq", FREQUENCY, "--call-graph", CALL_GRAPH]);
    perf.arg("--delay").arg(DELAY.as_millis().to_string());
    perf.arg("--pid").arg(pid.to_string()).arg("--output").arg(data);
    // It records for as long as this runs.
    perf.args(["--", "sleep"]).arg((DELAY.as_secs_f64() + seconds).to_string());
    run(&mut perf).map(|_| ())
}

/// The stacks of a recording: for each look the thread's name, then its functions from the innermost on, then an empty line.
pub fn stacks(data: &Path) -> io::Result<String> {
    let mut perf = Command::new("perf");
    perf.args(["script", "--no-inline", "--fields", "comm,ip,sym,dso", "--input"]).arg(data);
    Ok(String::from_utf8_lossy(&run(&mut perf)?.stdout).into_owned())
}

/// What to say when the kernel's functions are not among the stacks.
pub fn why_no_kernel() -> String {
    let setting = |name: &str| fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
    let (paranoid, restrict) = (setting("perf_event_paranoid"), setting("kptr_restrict"));
    format!(
        "the kernel's functions are not shown: perf_event_paranoid is {}, kptr_restrict is {}; root may see them",
        paranoid.trim(),
        restrict.trim()
    )
}

fn run(command: &mut Command) -> io::Result<Output> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(output);
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
