//! A copy that is queued again has the time of its message: past it, it does not arrive any more.

use super::common::WS_PATH;
use super::common::flood::sized;
use super::common::tcp::Tcp;
use super::common::websocket::WebSocket;
use super::common::{frame::Frame, status};
use super::*;

/// No retry before a test is over, and a history that holds the backlog.
const SETTINGS: Env =
    &[("HASHI_ACK_TIMEOUT_MS", "60000"), ("HASHI_HISTORY_BYTES", "16MiB"), ("HASHI_SLOW_MS", "60000")];

/// Time enough to come back.
const EXPIRES_IN_MS: u64 = 3_000;

/// More than the kernel holds for a client that does not read.
const BACKLOG: usize = 200;
const BACKLOG_BYTES: usize = 8_192;

/// What the receiver has not confirmed, behind a backlog that it does not read.
struct Behind {
    server: TestServer,
    sender: Client,
    receiver: Client,
}

impl Behind {
    /// Sends `messages`, cuts the receiver off before it confirms, and lets it come back with more to read than it does.
    #[track_caller]
    fn new(messages: impl Fn(&Client) -> Vec<OwnedValue>) -> Self {
        let server = start(SETTINGS);
        let mut old = confirming(server.address, "receiver");
        let mut sender = plain(server.address, "sender");
        for client in [&mut old, &mut sender] {
            client.join("other");
        }
        for message in messages(&old) {
            sender.send(&message);
            old.receive();
        }
        let welcome = old.welcome.clone();
        old.ws.tcp.abort();
        status::expect(server.address, "history.departed", 1);
        for number in 0..BACKLOG {
            sender.send(&sized(&format!("backlog-{number}"), "high", BACKLOG_BYTES));
        }
        sender.publish(json!({"id": "end", "type": "custom", "priority": "low", "payload": {}}));
        let receiver = come_back(&server, &welcome);
        Self { server, sender, receiver }
    }

    /// The ids of what comes besides the backlog, and the payloads of gaps.
    #[track_caller]
    fn read(&mut self) -> (Vec<String>, Vec<OwnedValue>) {
        let (mut ids, mut gaps) = (Vec::new(), Vec::new());
        while ids.last().is_none_or(|id| id != "end") {
            let message = self.receiver.receive();
            match json::string(&message, "type") {
                "hashi:gap" => gaps.push(message["payload"].clone()),
                "custom" => ids.push(json::string(&message, "id").to_owned()),
                _ => {}
            }
        }
        ids.retain(|id| !id.starts_with("backlog"));
        (ids, gaps)
    }
}

/// Goes on for the connection of `welcome`, from the start of the session `s`, with a buffer that is soon full.
#[track_caller]
fn come_back(server: &TestServer, welcome: &OwnedValue) -> Client {
    let ws = WebSocket::upgrade(Tcp::connect_narrow(server.address, 4_096), server.address, WS_PATH, &[]);
    let mut client = Client { ws, welcome: OwnedValue::null() };
    let epoch = welcome["payload"]["positions"][0]["epoch"].clone();
    let resume = json!({
        "connectionId": welcome["payload"]["connectionId"].clone(),
        "positions": [{"sessionId": "s", "epoch": epoch, "seq": 0}],
    });
    let payload = json!({"token": "receiver", "features": ["ack"], "resume": resume});
    client.ws.send(&Frame::text(envelope("a", "authentication", payload).encode()));
    client
}

#[test]
fn what_waits_to_be_sent_again_expires_and_is_told() {
    let mut behind = Behind::new(|receiver| {
        let to = json!({"connectionId": receiver.connection_id()});
        let mark = |mut message: OwnedValue| {
            message.insert("expiresIn", EXPIRES_IN_MS).expect("ok because a message is an object");
            message.insert("priority", "low").expect("ok because a message is an object");
            message
        };
        let direct = json!({"id": "direct", "type": "custom", "to": to, "reliable": true, "payload": {}});
        let other = json!({"id": "other", "sessionId": "other", "type": "custom", "reliable": true, "payload": {}});
        vec![mark(direct), mark(other)]
    });
    status::expect(behind.server.address, "confirmation.inFlight", 2);
    status::expect(behind.server.address, "counters.expired", 2);
    let (ids, gaps) = behind.read();
    assert_eq!(ids, ["end"]);
    let told = [
        json!({"direct": 1, "reason": "expired"}),
        json!({"sessionId": "other", "from": 1, "to": 1, "reason": "expired"}),
    ];
    assert!(gaps.len() == told.len() && told.iter().all(|gap| gaps.contains(gap)), "{gaps:?}");
    status::expect(behind.server.address, "counters.expired", 2);
}

#[test]
fn what_waits_to_be_sent_again_goes_when_a_newer_one_of_its_key_is_published() {
    let keyed = |id: &str| {
        json!({"id": id, "sessionId": "other", "type": "custom", "key": "k", "priority": "low", "reliable": true,
               "payload": {}})
    };
    let mut behind = Behind::new(|_| vec![keyed("old")]);
    status::expect(behind.server.address, "confirmation.inFlight", 1);
    behind.sender.publish(keyed("new"));
    let (mut ids, gaps) = behind.read();
    ids.sort();
    assert_eq!((ids, gaps.len()), (vec!["end".to_owned(), "new".to_owned()], 0));
}
