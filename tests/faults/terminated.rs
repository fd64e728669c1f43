//! Row 37 under load: SIGTERM while messages are published without a pause, and a second one.

use super::SESSION;
use super::common::client::Client;
use super::common::json;
use super::common::process::Process;
use super::common::wait::PATIENCE;
use super::common::websocket::Event;
use super::flood::Flood;
use libc::SIGTERM;
use std::os::unix::process::ExitStatusExt;

/// Nothing is lost to a slow machine: the window is longer than reading takes, and the queue than what is published.
const ROOMY: &[(&str, &str)] = &[
    ("HASHI_DRAIN_MS", "3000"),
    ("WEBSOCKET_MESSAGE_QUEUE_SIZE", "100000"),
    ("HASHI_QUEUE_BYTES", "64MiB"),
    ("HASHI_HISTORY_BYTES", "64MiB"),
];

/// Published and read before the signal: the load is there.
const BEFORE: usize = 100;

#[test]
fn row_37_sigterm_under_load() {
    let mut server = Process::start(ROOMY);
    let mut reader = Client::connect(server.address, "reader", SESSION);
    let flood = Flood::start(server.address);
    let mut seqs: Vec<u64> = (0..BEFORE).map(|_| json::number(&reader.receive(), "seq")).collect();
    server.signal(SIGTERM);
    let mut announced = false;
    let end = loop {
        match reader.ws.next() {
            Event::Text(text) => match json::parse(text) {
                message if json::is(&message, "type", "hashi:drain") => announced = true,
                message => seqs.push(json::number(&message, "seq")),
            },
            end => break end,
        }
    };
    assert!(announced && matches!(end, Event::Closed { code: Some(4000), .. }), "{announced} {end:?}");
    assert!(seqs.iter().copied().eq(1..=seqs.len() as u64), "what was published before the end came in one piece");
    drop(reader);
    assert_eq!(server.expect_exit(2 * PATIENCE).code(), Some(0), "{:?}", server.log());
    flood.join();
}

#[test]
fn row_37_a_second_sigterm_under_load() {
    let mut server = Process::start(&[("HASHI_DRAIN_MS", "60000")]);
    let mut reader = Client::connect(server.address, "reader", SESSION);
    let flood = Flood::start(server.address);
    server.signal(SIGTERM);
    // The first one has been taken, so that the second one is not merged with it.
    reader.receive_type("hashi:drain");
    server.signal(SIGTERM);
    let status = server.expect_exit(PATIENCE);
    assert!(!status.success() && status.signal().is_none(), "it exits at once, and is not killed: {status:?}");
    flood.join();
}
