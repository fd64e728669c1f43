//! Row 38: `kill -9` under load, and another process in its place.

use super::SESSION;
use super::common::client::Client;
use super::common::flood::numbered;
use super::common::json;
use super::common::process::Process;
use super::common::status;
use super::common::wait::PATIENCE;
use super::common::websocket::Event;
use super::flood::Flood;
use libc::SIGKILL;
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;
use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

const SENDERS: usize = 6;
/// What each publishes, and how much of it is confirmed to it before the end.
const SENT: usize = 200;
const CONFIRMED: usize = 10;

/// The reader's queue takes all that is sent again.
const ROOMY: &[(&str, &str)] = &[("WEBSOCKET_MESSAGE_QUEUE_SIZE", "10000")];

/// More attempts than a restart takes.
const ATTEMPTS_MAX: u32 = 20;

/// A client that publishes with `ack`, and knows what it has not got confirmed.
struct Publisher {
    user: String,
    client: Client,
    unconfirmed: Vec<String>,
}

impl Publisher {
    #[track_caller]
    fn start(address: SocketAddr, number: usize) -> Self {
        let user = format!("sender-{number}");
        let mut client = Client::connect(address, &user, &user);
        let unconfirmed = numbered(&user, 1..=SENT);
        for id in &unconfirmed {
            client.send(&with_ack(id));
        }
        Self { user, client, unconfirmed }
    }

    /// Takes so many receipts. What comes after them is lost with the connection.
    #[track_caller]
    fn take_receipts(&mut self, count: usize) {
        for _ in 0..count {
            let receipt = self.client.receive_type("ack");
            let id = json::string(&receipt["payload"]["results"][0], "id").to_owned();
            self.unconfirmed.retain(|other| *other != id);
        }
    }

    /// Sends again what was not confirmed.
    #[track_caller]
    fn send_again(&mut self) -> Vec<OwnedValue> {
        for id in &self.unconfirmed {
            self.client.send(&with_ack(id));
        }
        self.unconfirmed.iter().map(|_| self.client.receive_type("ack")["payload"]["results"][0].clone()).collect()
    }
}

fn with_ack(id: &str) -> OwnedValue {
    json!({"id": id, "type": "custom", "sessionId": SESSION, "ack": true, "payload": {}})
}

/// Connects again as a client does that has lost its server: after a wait that doubles with each refusal, and begins with
/// what the last welcome said. Each refusal is told to `refused`.
fn come_back(address: SocketAddr, welcome: &OwnedValue, payload: OwnedValue, refused: &Sender<()>) -> Client {
    let mut wait_ms = json::number(welcome, "payload.reconnect.minMs");
    for _ in 0..ATTEMPTS_MAX {
        if TcpStream::connect(address).is_ok() {
            return Client::connect_with(address, payload);
        }
        // Ok because nobody listens any more once each client was refused.
        let _ = refused.send(());
        // The client's own pace, which the protocol asks for.
        thread::sleep(Duration::from_millis(wait_ms));
        wait_ms = (2 * wait_ms).min(json::number(welcome, "payload.reconnect.maxMs"));
    }
    panic!("no server after {ATTEMPTS_MAX} attempts");
}

#[test]
fn row_38_killed_under_load_and_started_again() {
    let mut server = Process::start(ROOMY);
    let address = server.address;
    let mut reader = Client::connect(address, "reader", SESSION);
    let flood = Flood::start(address);
    let mut publishers: Vec<_> = (0..SENDERS).map(|number| Publisher::start(address, number)).collect();
    publishers.iter_mut().for_each(|publisher| publisher.take_receipts(CONFIRMED));
    let last_seen = reader.receive_type("custom");
    server.signal(SIGKILL);
    assert!(!server.expect_exit(PATIENCE).success());
    flood.join();
    expect_cut(&mut reader);

    let resume = json!({
        "connectionId": reader.connection_id(),
        "positions": [{"sessionId": SESSION, "epoch": epoch_of(&reader.welcome), "seq": json::number(&last_seen, "seq")}],
    });
    let payload = json!({"token": "reader", "sessionId": SESSION, "resume": resume});
    let (server, reader_again) = restart(address, &mut publishers, &reader.welcome, payload);
    expect_not_recovered(reader_again, &reader.welcome, |reader| {
        let firsts: Vec<_> = publishers.iter_mut().map(Publisher::send_again).collect();
        let again: Vec<_> = publishers.iter_mut().map(Publisher::send_again).collect();
        assert_eq!(firsts, again, "a message that comes again gets the first answer");
        expect_each_once(reader, &publishers);
    });
    let unconfirmed = (SENDERS * (SENT - CONFIRMED)) as u64;
    status::expect(server.address, "counters.published", unconfirmed);
    status::expect(server.address, "counters.repeated", unconfirmed);
}

/// The end of the connection, behind what was on its way.
#[track_caller]
fn expect_cut(client: &mut Client) {
    loop {
        match client.ws.next() {
            Event::Text(_) => {}
            Event::Ended => return,
            event => panic!("a killed server says nothing, not {event:?}"),
        }
    }
}

/// Everybody tries to come back; a new server begins once each has been refused.
#[track_caller]
fn restart(
    address: SocketAddr,
    publishers: &mut [Publisher],
    welcome: &OwnedValue,
    reader: OwnedValue,
) -> (Process, Client) {
    thread::scope(|scope| {
        let (refused, refusals) = mpsc::channel();
        let own = refused.clone();
        let reader = scope.spawn(move || come_back(address, welcome, reader, &own));
        let publishers: Vec<_> = publishers
            .iter_mut()
            .map(|publisher| {
                let refused = refused.clone();
                scope.spawn(move || {
                    let payload = json!({"token": publisher.user.as_str(), "sessionId": publisher.user.as_str()});
                    publisher.client = come_back(address, &publisher.client.welcome.clone(), payload, &refused);
                })
            })
            .collect();
        for _ in 0..=SENDERS {
            refusals.recv_timeout(PATIENCE).expect("each client is refused while there is no server");
        }
        let server = Process::start_with(&["--websocket-port", &address.port().to_string()], ROOMY);
        for publisher in publishers {
            publisher.join().expect("the publisher is back");
        }
        (server, reader.join().expect("the reader is back"))
    })
}

fn epoch_of(welcome: &OwnedValue) -> String {
    json::string(&welcome["payload"]["positions"][0], "epoch").to_owned()
}

/// The reader is told that another life of the session has begun, before anything of it.
#[track_caller]
fn expect_not_recovered(mut reader: Client, before: &OwnedValue, then: impl FnOnce(&mut Client)) {
    let position = &reader.welcome["payload"]["positions"][0];
    assert!(json::is(position, "sessionId", SESSION) && !json::boolean(position, "recovered"), "{position:?}");
    assert_eq!(json::number(position, "seq"), 0);
    assert_ne!(epoch_of(&reader.welcome), epoch_of(before));
    let gap = reader.receive();
    let expected = json!({"sessionId": SESSION, "from": null, "to": null, "reason": "unknown_epoch"});
    assert!(json::is(&gap, "type", "hashi:gap") && gap["payload"] == expected, "{}", gap.encode());
    then(&mut reader);
}

#[track_caller]
fn expect_each_once(reader: &mut Client, publishers: &[Publisher]) {
    let sent: BTreeSet<_> = publishers.iter().flat_map(|publisher| publisher.unconfirmed.clone()).collect();
    let came: Vec<_> = reader.settle().iter().map(|message| json::string(message, "id").to_owned()).collect();
    assert_eq!(came.len(), sent.len(), "each once");
    assert_eq!(came.into_iter().collect::<BTreeSet<_>>(), sent);
}
