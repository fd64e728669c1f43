//! Row 13: no file descriptor is left.

use super::common::http;
use super::common::proc;
use super::common::row;
use super::common::server::TestServer;
use super::common::status;
use super::common::tcp::Tcp;
use super::common::wait::{self, PATIENCE};
use std::process::Command;
use std::time::Duration;

/// Descriptors of the server's process, and sockets that want one each.
const DESCRIPTORS: u32 = 32;
const SOCKETS: usize = 100;

/// How long the loop is watched while it has no descriptor, and what it may take: the control client needs a little.
const WINDOW: Duration = Duration::from_millis(500);
const LOOP_TIME: Duration = Duration::from_millis(200);

fn few_descriptors() -> TestServer {
    let mut command = Command::new("sh");
    let script = format!("ulimit -n {DESCRIPTORS}; exec \"$0\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_hashi")]);
    TestServer::spawn_command(command, &[])
}

#[test]
fn row_13_out_of_descriptors() {
    row::run_on(few_descriptors, |server| {
        let mut sockets: Vec<Tcp> = (0..SOCKETS).map(|_| Tcp::connect(server.address)).collect();
        let refused = || sockets.iter_mut().find_map(refusal).ok_or(());
        let refusal = wait::until(PATIENCE, refused).expect("at least one socket is refused politely");
        refusal.expect_problem(503);
        let taken = proc::loop_time_during(server.pid().expect("a process"), WINDOW);
        assert!(taken < LOOP_TIME, "the loop took {taken:?} of {WINDOW:?} without a descriptor");
        drop(sockets);
        wait::until(PATIENCE, || answers(server)).expect("the server answers again");
        status::expect(server.address, "connections.rows", 2);
    });
}

/// The answer that came on a socket without any request.
fn refusal(tcp: &mut Tcp) -> Option<http::Response> {
    http::try_read_response(tcp, Duration::from_millis(1)).ok()
}

fn answers(server: &TestServer) -> Result<(), Option<u16>> {
    let mut tcp = Tcp::connect(server.address);
    // Ok because a server without descriptors may hang up.
    let _ = tcp.try_send(http::encode(server.address, "GET", "/healthz", &[], b""));
    match http::try_read_response(&mut tcp, PATIENCE) {
        Ok(response) if response.status == 200 => Ok(()),
        Ok(response) => Err(Some(response.status)),
        Err(_) => Err(None),
    }
}
