//! Row 24: clients that do not read what is sent to their session.

use super::common::ECHO_PATH;
use super::common::client::{Client, envelope};
use super::common::json;
use super::common::proc;
use super::common::row;
use super::common::server::{Env, TestServer};
use super::common::status;
use super::common::tcp::Tcp;
use super::common::websocket::{Event, WebSocket};
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;
use std::thread;
use std::time::{Duration, Instant};

/// Far more messages than a queue of 50 takes and more bytes than the buffers of the kernel.
const MESSAGES: usize = 1_500;
const PAYLOAD_BYTES: usize = 8 * 1_024;

/// Receive buffers of clients that do not read.
const NARROW_BYTES: usize = 4_096;

/// What the server may hold for one slow client and one flooding one: twice `HASHI_QUEUE_BYTES`, and the rest of it.
const MAX_QUEUED_BYTES: u64 = 4 << 20;
const MAX_QUEUED_ENTRIES: u64 = 500;

/// The control client and the flooding one.
const WITHOUT_THE_SLOW: u64 = 2;
const SOON: Duration = Duration::from_secs(6);

const PATIENT: Env = &[("HASHI_SLOW_MS", "60000")];
const IMPATIENT: Env = &[("HASHI_SLOW_MS", "1000")];

/// Publishes to the session of a slow client, until the server has taken all, and returns the publisher.
fn flood(server: &TestServer, priority: &str) -> Client {
    let mut client = Client::connect(server.address, "flooder", "slow-session");
    let payload = "x".repeat(PAYLOAD_BYTES);
    for number in 0..MESSAGES {
        let id = format!("flood-{number}");
        client.send(&json!({
            "id": id, "type": "custom", "priority": priority, "echo": false, "payload": payload.as_str()
        }));
    }
    // The answer comes after everything before it has been routed.
    client.send(&envelope("end-of-flood", "heartbeat", json!({})));
    client.receive_where(|message| json::is(message, "replyTo", "end-of-flood"));
    client
}

fn slow_client(server: &TestServer) -> Client {
    Client::connect_narrow(server.address, NARROW_BYTES, "slow", "slow-session")
}

#[track_caller]
fn expect_bounded_queue(server: &TestServer) {
    let status = status::read(server.address);
    let bytes = json::number(&status, "queues.bytes");
    let entries = json::number(&status, "queues.entries");
    assert!(
        bytes <= MAX_QUEUED_BYTES && entries <= MAX_QUEUED_ENTRIES,
        "{entries} entries of {bytes} bytes are queued"
    );
}

#[test]
fn row_24_never_reads_low() {
    row::run(PATIENT, |server| {
        let mut slow = slow_client(server);
        let flooder = flood(server, "low");
        expect_bounded_queue(server);
        expect_gap_before_each_hole(&mut slow);
        flooder.ws.close();
    });
}

/// Reads at last. Each hole in the flood must be declared before the message behind it (promise 2), and there are
/// holes, because nothing can hold the whole flood. Being closed with 4013 is an answer too.
fn expect_gap_before_each_hole(slow: &mut Client) {
    let deadline = Instant::now() + Duration::from_secs(10);
    let (mut next, mut gaps, mut declared) = (0, 0, false);
    while next < MESSAGES {
        let message = match slow.ws.next_by(deadline, true) {
            Event::Text(text) => json::parse(text),
            Event::Closed { code: Some(4013), .. } => return,
            event if gaps > 0 && event == Event::Nothing => break,
            event => panic!("expected messages, hashi:gap or 4013, not {event:?} after {next} messages"),
        };
        if json::is(&message, "type", "hashi:gap") {
            assert!(json::is(&message, "payload.sessionId", "slow-session"), "{}", message.encode());
            (gaps, declared) = (gaps + 1, true);
        } else if let Some(number) = flood_number(&message) {
            assert!(number == next || declared, "{next} to {number} are missing, and no gap was declared");
            (next, declared) = (number + 1, false);
        }
    }
    assert!(gaps > 0, "all of the flood arrived: it was too small to fill the queue");
}

fn flood_number(message: &OwnedValue) -> Option<usize> {
    json::find(message, "id")?.as_str()?.strip_prefix("flood-")?.parse().ok()
}

/// Messages of `high` are not dropped: the client is.
#[test]
fn row_24_never_reads_high() {
    row::run(PATIENT, |server| {
        let mut slow = slow_client(server);
        let flooder = flood(server, "high");
        expect_bounded_queue(server);
        status::expect_within(server.address, "connections.websocket", WITHOUT_THE_SLOW, SOON);
        expect_end_of_messages(&mut slow);
        flooder.ws.close();
    });
}

/// What was on its way still arrives, and at last the close frame or the end.
fn expect_end_of_messages(slow: &mut Client) {
    let deadline = Instant::now() + Duration::from_secs(5);
    let end = loop {
        match slow.ws.next_by(deadline, false) {
            Event::Text(_) => {}
            event => break event,
        }
    };
    assert!(
        matches!(end, Event::Ended | Event::Closed { code: Some(4013), .. }),
        "expected 4013 or the end, not {end:?}"
    );
}

#[test]
fn row_24_never_reads_and_stays() {
    row::run(IMPATIENT, |server| {
        let mut slow = slow_client(server);
        let flooder = flood(server, "low");
        expect_bounded_queue(server);
        status::expect_within(server.address, "connections.websocket", WITHOUT_THE_SLOW, SOON);
        expect_end_of_messages(&mut slow);
        flooder.ws.close();
    });
}

#[test]
fn row_24_reads_a_byte_a_second() {
    row::run_beside_others(IMPATIENT, |server| {
        let mut slow = slow_client(server);
        let flooder = flood(server, "low");
        let deadline = Instant::now() + SOON;
        while json::number(&status::read(server.address), "connections.websocket") > WITHOUT_THE_SLOW {
            expect_bounded_queue(server);
            assert!(Instant::now() < deadline, "the slow client is still connected");
            slow.ws.tcp.fill_at_most(1, Instant::now());
            // The pace of the row, not a wait for something.
            thread::sleep(Duration::from_secs(1));
        }
        flooder.ws.close();
    });
}

/// Echoes that do not fit into the narrow buffers, and how much of them is read.
const ECHOES: usize = 18;
const ECHO_BYTES: usize = 60_000;
const READ_BYTES: usize = 200_000;

/// A client that has said all, half-closes and stops reading: the kernel tells of its end with every bit of progress, and
/// the loop must not turn for that.
#[test]
fn row_24_half_closed_and_not_reading_costs_nothing() {
    row::run(PATIENT, |server| {
        let tcp = Tcp::connect_narrow(server.address, NARROW_BYTES);
        let mut ws = WebSocket::upgrade(tcp, server.address, ECHO_PATH, &[]);
        for _ in 0..ECHOES {
            ws.binary(&vec![7; ECHO_BYTES]);
        }
        ws.tcp.finish_sending();
        let deadline = Instant::now() + SOON;
        while ws.tcp.pending().len() < READ_BYTES && Instant::now() < deadline {
            ws.tcp.fill_at_most(NARROW_BYTES, deadline);
        }
        assert!(ws.tcp.pending().len() >= READ_BYTES, "only {} bytes came back", ws.tcp.pending().len());
        let spent = proc::loop_time_during(server.loop_id(), Duration::from_millis(300));
        assert!(spent < Duration::from_millis(60), "the loop was busy for {spent:?} of 300 ms");
        ws.tcp.abort();
    });
}
