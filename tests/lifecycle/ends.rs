//! How soon the process ends, and with what code.

use super::common::client::Client;
use super::common::http;
use super::common::process::Process;
use super::common::tcp::Tcp;
use super::common::websocket::WebSocket;
use super::common::{ECHO_PATH, WS_PATH};
use libc::{SIGINT, SIGTERM};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

/// With nothing to wait for, far less than the window.
const PROMPT: Duration = Duration::from_millis(1_500);
const LONG_DRAIN: &[(&str, &str)] = &[("HASHI_DRAIN_MS", "60000"), ("HASHI_ECHO_PATH", ECHO_PATH)];

#[test]
fn with_no_connections_it_ends_promptly() {
    for signal in [SIGTERM, SIGINT] {
        let mut server = Process::start(LONG_DRAIN);
        assert_eq!(http::request(server.address, "GET", "/healthz", &[], b"").status, 200);
        server.signal(signal);
        assert_eq!(server.expect_exit(PROMPT).code(), Some(0), "{:?}", server.log());
    }
}

/// A supervisor may change its mind as soon as the log says that the server listens: it ends as gracefully as later.
#[test]
fn a_signal_right_after_the_start_is_not_too_early() {
    const STARTS: usize = 30;
    for number in 0..STARTS {
        let mut server = Process::start(LONG_DRAIN);
        server.signal([SIGTERM, SIGINT][number % 2]);
        let status = server.expect_exit(PROMPT);
        assert_eq!(status.code(), Some(0), "start {number}: {status:?} {:?}", server.log());
    }
}

/// Kept-alive HTTP connections, connections that have said nothing, and those that left are no reason to wait.
#[test]
fn idle_http_connections_do_not_hold_it_up() {
    let mut server = Process::start(LONG_DRAIN);
    let mut kept_alive = Tcp::connect(server.address);
    kept_alive.send(http::encode(server.address, "GET", "/healthz", &[], b""));
    assert_eq!(http::read_response(&mut kept_alive).status, 200);
    let _silent = Tcp::connect(server.address);
    Client::connect(server.address, "left", "s1").ws.close();
    server.signal(SIGTERM);
    assert_eq!(server.expect_exit(PROMPT).code(), Some(0), "{:?}", server.log());
}

/// A connection that has not authenticated and one to the echo endpoint have nothing to be told: they close at once.
#[test]
fn connections_without_a_user_close_at_once() {
    let mut server = Process::start(LONG_DRAIN);
    let mut open = [WS_PATH, ECHO_PATH].map(|path| WebSocket::open(server.address, path));
    server.signal(SIGTERM);
    for ws in &mut open {
        ws.expect_failure(4000);
    }
    assert_eq!(server.expect_exit(PROMPT).code(), Some(0), "{:?}", server.log());
}

/// A client that neither reads nor answers cannot hold the server longer than the window.
#[test]
fn the_window_is_the_end_whatever_clients_do() {
    const WINDOW: Duration = Duration::from_millis(1_000);
    let mut server = Process::start(&[("HASHI_DRAIN_MS", "1000")]);
    let _deaf = [1, 2, 3].map(|number| Client::connect(server.address, &format!("deaf-{number}"), "s1"));
    let start = Instant::now();
    server.signal(SIGTERM);
    assert_eq!(server.expect_exit(WINDOW + PROMPT).code(), Some(0), "{:?}", server.log());
    assert!(start.elapsed() <= WINDOW + PROMPT, "it took {:?}", start.elapsed());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (first, second) in [(SIGTERM, SIGTERM), (SIGINT, SIGINT), (SIGTERM, SIGINT), (SIGINT, SIGTERM)] {
        let mut server = Process::start(LONG_DRAIN);
        let mut client = Client::connect(server.address, "stays", "s1");
        server.signal(first);
        // The first one has been taken, so that the second one is not merged with it.
        client.receive_type("hashi:drain");
        server.expect_running();
        server.signal(second);
        let status = server.expect_exit(PROMPT);
        assert!(!status.success(), "{status:?}");
        assert_eq!(status.signal(), None, "it exits, it is not killed");
    }
}
