//! What the kernel knows about a process: processor time, time spent waiting for a processor, memory.

use std::fs;
use std::thread;
use std::time::Duration;

/// The time that a thread was ready to run but had no processor: the noise of the machine, not of the program.
pub fn run_delay(schedstat: &str) -> Duration {
    Duration::from_nanos(schedstat_field(schedstat, 1))
}

/// The processor time of the main thread of `pid`, which is the server's loop.
pub fn loop_time(pid: u32) -> Duration {
    Duration::from_nanos(schedstat_field(&schedstat_of(pid), 0))
}

/// The file in which the kernel keeps these times for the main thread of `pid`.
pub fn schedstat_of(pid: u32) -> String {
    format!("/proc/{pid}/task/{pid}/schedstat")
}

/// The same file for the calling thread.
pub const OWN_SCHEDSTAT: &str = "/proc/thread-self/schedstat";

/// The kernel's id of the calling thread. For the files above it does what a process's id does.
pub fn own_thread_id() -> u32 {
    let link = fs::read_link("/proc/thread-self").unwrap_or_else(|error| panic!("/proc/thread-self: {error}"));
    let last = link.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
    last.unwrap_or_else(|| panic!("/proc/thread-self leads to {}", link.display()))
}

/// The processor time that the loop of `pid` takes in a window of `length`. The window is what is measured.
pub fn loop_time_during(pid: u32, length: Duration) -> Duration {
    let before = loop_time(pid);
    thread::sleep(length);
    loop_time(pid) - before
}

/// Resident memory, in bytes.
pub fn resident_bytes(pid: u32) -> u64 {
    status_kib(pid, "VmRSS:") * 1024
}

/// The largest address space the process ever had, in bytes: shows an allocation that was never touched.
pub fn peak_address_space_bytes(pid: u32) -> u64 {
    status_kib(pid, "VmPeak:") * 1024
}

fn schedstat_field(path: &str, index: usize) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let field = text.split_whitespace().nth(index);
    field.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{path} holds {text:?}"))
}

fn status_kib(pid: u32, member: &str) -> u64 {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let line = text.lines().find_map(|line| line.strip_prefix(member));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or_else(|| panic!("{path} has no number for {member}"))
}
