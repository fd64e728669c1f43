//! The healthy client that must not notice what others do.

use super::client::{Client, envelope};
use super::proc;
use simd_json::json;
use std::net::SocketAddr;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What a message of a healthy client may take, there and back (BAD_INPUT.md).
pub const MAX_DELAY: Duration = Duration::from_millis(50);

/// Between two round trips: a stall of `MAX_DELAY` cannot hide in it.
const PACE: Duration = Duration::from_millis(10);

/// A connection in a session of its own that sends messages to itself, on its own thread.
pub struct ControlClient {
    stop: Sender<()>,
    thread: JoinHandle<Report>,
}

/// What the client saw. A disconnect is no part of it: it panics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    pub round_trips: usize,
    /// The longest round trip, without the time in which the kernel gave the client or the server no processor.
    pub slowest: Duration,
    /// The longest round trip by the clock.
    pub slowest_by_clock: Duration,
}

impl ControlClient {
    /// Connects, and goes on until `finish`. `server` is the server's process, if it is one of its own.
    #[track_caller]
    pub fn start(address: SocketAddr, server: Option<u32>) -> Self {
        let mut client = Client::connect(address, "control", "control-session");
        client.round_trip("control-warm-up");
        let (stop, stopped) = mpsc::channel();
        let probe = move || {
            let mut report = Report::default();
            loop {
                round_trip(&mut client, &mut report, server);
                match stopped.recv_timeout(PACE) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) => break client.ws.close(),
                    // The test has failed already and stops the server.
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            report
        };
        let thread = thread::Builder::new().name("control client".into()).spawn(probe).expect("a thread");
        Self { stop, thread }
    }

    /// Stops. Panics if the client was disconnected or an answer did not come; delays are in the report.
    #[track_caller]
    pub fn finish(self) -> Report {
        // Ok because a thread that has panicked no longer listens; the join tells why.
        let _ = self.stop.send(());
        self.thread.join().unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map_or("no text", String::as_str);
            panic!("the control client was disturbed: {text}")
        })
    }

    /// Stops, and checks that nothing was noticed.
    #[track_caller]
    pub fn assert_undisturbed(self) {
        let report = self.finish();
        assert!(report.slowest < MAX_DELAY, "the control client was delayed: {report:?}");
    }
}

fn round_trip(client: &mut Client, report: &mut Report, server: Option<u32>) {
    report.round_trips += 1;
    let waited_before = waited(server);
    let start = Instant::now();
    let id = format!("control-{}", report.round_trips);
    client.send(&envelope(&id, "custom", json!({})));
    client.receive_where(|message| super::json::is(message, "id", &id));
    let by_clock = start.elapsed();
    let delay = by_clock.saturating_sub(waited(server) - waited_before);
    report.slowest_by_clock = report.slowest_by_clock.max(by_clock);
    report.slowest = report.slowest.max(delay);
}

/// How long the kernel has made this thread and the server's loop wait for a processor so far.
fn waited(server: Option<u32>) -> Duration {
    let loop_waited = server.map(|pid| proc::run_delay(&proc::schedstat_of(pid)));
    proc::run_delay(proc::OWN_SCHEDSTAT) + loop_waited.unwrap_or_default()
}
