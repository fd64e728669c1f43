//! A graceful end flushes what is queued, also to clients that read slowly.

use super::common::client::Client;
use super::common::json;
use super::common::process::Process;
use super::common::status;
use super::common::tcp::Arrival;
use super::common::wait::PATIENCE;
use super::common::websocket::Event;
use libc::SIGTERM;
use simd_json::json;
use std::thread;
use std::time::{Duration, Instant};

/// Four times what the reading takes, so that a busy machine does not cut it off: order and ids decide, not the time.
const WINDOW: Duration = Duration::from_millis(20_000);
const ROOMY: &[(&str, &str)] =
    &[("HASHI_DRAIN_MS", "20000"), ("WEBSOCKET_MESSAGE_QUEUE_SIZE", "10000"), ("HASHI_QUEUE_BYTES", "16MiB")];

/// What each slow client has waiting: far more than its small receive buffer and the server's socket take.
const MESSAGES: usize = 300;
const PAYLOAD_BYTES: usize = 4_096;

/// Each is closed at a moment of its own; several make it likely that some of them come while it is still reading.
const SLOW_CLIENTS: usize = 12;

/// Read in so many portions over this time.
const PORTIONS: u32 = 40;
const READING: Duration = Duration::from_millis(5_000);

#[test]
fn a_slow_reader_gets_its_queue() {
    let mut server = Process::start(ROOMY);
    let mut slow: Vec<Client> = (0..SLOW_CLIENTS)
        .map(|number| Client::connect_narrow(server.address, 4_096, &format!("slow-{number}"), "s1"))
        .collect();
    publish(&server);
    assert!(json::number(&status::read(server.address), "queues.entries") > (SLOW_CLIENTS * MESSAGES / 2) as u64);
    let start = Instant::now();
    server.signal(SIGTERM);
    read_slowly(&mut slow, start);
    for (number, client) in slow.iter_mut().enumerate() {
        expect_everything(client, number);
    }
    drop(slow);
    let status = server.expect_exit(WINDOW);
    assert_eq!(status.code(), Some(0), "{:?}", server.log());
}

#[track_caller]
fn publish(server: &Process) {
    let mut publisher = Client::connect(server.address, "publisher", "s1");
    let payload = "x".repeat(PAYLOAD_BYTES);
    for number in 0..MESSAGES {
        publisher
            .send(&json!({"id": format!("m{number}"), "type": "custom", "echo": false, "payload": payload.as_str()}));
    }
    publisher.publish(json!({"id": "last", "type": "custom", "echo": false, "payload": {}}));
    publisher.ws.close();
}

/// Takes what is there in portions, with pauses.
fn read_slowly(slow: &mut [Client], start: Instant) {
    let portion = MESSAGES * PAYLOAD_BYTES / PORTIONS as usize;
    for number in 1..=PORTIONS {
        for client in &mut *slow {
            let wanted = client.ws.tcp.pending().len() + portion;
            while client.ws.tcp.pending().len() < wanted
                && client.ws.tcp.fill_at_most(portion, Instant::now() + PATIENCE) == Arrival::Bytes
            {}
        }
        // The pace of the clients: evenly over the time they take.
        let due = start + READING * number / PORTIONS;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

/// All messages in order, the announcement somewhere among them, and at last 4000.
#[track_caller]
fn expect_everything(client: &mut Client, number: usize) {
    let (mut ids, mut announced) = (Vec::new(), false);
    let end = loop {
        match client.ws.next_within(WINDOW) {
            Event::Text(text) => {
                let message = json::parse(&text);
                match json::string(&message, "type") {
                    "hashi:drain" => announced = true,
                    "custom" => ids.push(json::string(&message, "id").to_owned()),
                    other => panic!("{other} among the messages of client {number}"),
                }
            }
            end => break end,
        }
    };
    assert!(announced, "client {number} was not told");
    assert!(
        matches!(end, Event::Closed { code: Some(4000), .. }),
        "client {number}: {end:?} instead of 4000 after {} of {} messages",
        ids.len(),
        MESSAGES + 1
    );
    let expected: Vec<String> = (0..MESSAGES).map(|number| format!("m{number}")).chain(["last".to_owned()]).collect();
    assert_eq!(ids, expected, "client {number}");
}
