//! An idle server uses no processor time.

use super::common::client::Client;
use super::common::server::TestServer;
use super::common::status;
use super::common::wait::{self, PATIENCE};
use std::fs;
use std::thread;
use std::time::Duration;

const CLIENTS: usize = 50;

/// How long the process is watched, and how many clock ticks of the kernel it may take in that time.
const WINDOW: Duration = Duration::from_secs(2);
const TICKS_MAX: u64 = 1;

#[test]
fn fifty_idle_clients_cost_no_processor_time() {
    let server = TestServer::spawn_process(&[]);
    let pid = server.loop_id();
    let clients: Vec<Client> =
        (0..CLIENTS).map(|number| Client::connect(server.address, &format!("user-{number}"), "s1")).collect();
    status::expect(server.address, "connections.authenticated", CLIENTS as u64);
    // What the last requests left to do is done when a look finds nothing new.
    let mut last = 0;
    let settle = || if std::mem::replace(&mut last, clock_ticks(pid)) == last { Ok(()) } else { Err(()) };
    wait::until(PATIENCE, settle).expect("the server comes to rest");

    let before = clock_ticks(pid);
    // The window is what is measured.
    thread::sleep(WINDOW);
    let taken = clock_ticks(pid) - before;
    assert!(taken <= TICKS_MAX, "{taken} clock ticks in {WINDOW:?} with nothing to do");
    for mut client in clients {
        client.round_trip("still-there");
        client.ws.close();
    }
}

/// A loop that looks for events without sleeping uses a processor for as long as it was told.
#[test]
fn a_busy_poll_keeps_the_loop_awake() {
    const TICKS_SEEN: u64 = 5;
    let server = TestServer::spawn_process(&[("HASHI_BUSY_POLL_US", "1000000")]);
    let pid = server.loop_id();
    let mut client = Client::connect(server.address, "ada", "s1");
    let before = clock_ticks(pid);
    let is_awake = || if clock_ticks(pid) >= before + TICKS_SEEN { Ok(()) } else { Err(clock_ticks(pid) - before) };
    wait::until(PATIENCE, is_awake).expect("the loop does not sleep");
    client.round_trip("as-ever");
    client.ws.close();
}

/// The processor time of all threads of the process so far, in user mode and in the kernel, as `/proc` counts it.
fn clock_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    // The command's name, the only field that may hold spaces, is in parentheses.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let field = |place: usize| fields[place].parse::<u64>().expect("a number");
    // Fields 14 and 15 of proc(5), counted from the third, which is the first after the name.
    field(11) + field(12)
}
