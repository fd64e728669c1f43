//! Row 39: the wall clock steps by an hour, in both directions. The server is the real one over real sockets; only its wall
//! clock is the test's. Monotonic time alone drives timers; the wall clock is what people read.

use super::SESSION;
use super::common::client::{Client, envelope};
use super::common::http;
use super::common::json;
use super::common::status;
use super::common::tcp::Tcp;
use hashi::auth::Development;
use hashi::config::Config;
use hashi::delivery::Moment;
use hashi::handlers::{Handle, Handlers, Registry, channel};
use hashi::reactor::{Clock, MioNet, Parts, Reactor, SystemClock};
use simd_json::OwnedValue;
use simd_json::json;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const HOUR_MS: i64 = 3_600_000;
const STEPS_MS: [i64; 2] = [HOUR_MS, -HOUR_MS];

/// Long enough to tell it from at once.
const SOON: Duration = Duration::from_millis(400);

/// The system's clocks, with a wall clock that can be moved.
struct MovedClock {
    system: SystemClock,
    moved_ms: Arc<AtomicI64>,
}

impl Clock for MovedClock {
    fn now(&mut self) -> Moment {
        let Moment { ns, unix_ms } = self.system.now();
        Moment { ns, unix_ms: unix_ms.saturating_add_signed(self.moved_ms.load(Ordering::SeqCst)) }
    }

    fn now_ns(&mut self) -> u64 {
        self.system.now_ns()
    }
}

/// A server with such a clock, on a thread of the test.
struct Server {
    address: SocketAddr,
    moved_ms: Arc<AtomicI64>,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    #[track_caller]
    fn start() -> Self {
        let soon_ms = SOON.as_millis() as u64;
        let config = Config {
            ack_timeout_ms: soon_ms,
            debounce_ms: soon_ms,
            heartbeat_interval_ms: soon_ms,
            drain_ms: 100,
            ..Config::default()
        };
        let net = MioNet::bind(&[SocketAddr::from(([127, 0, 0, 1], 0))]).expect("the server binds");
        let (address, waker) = (net.local_addresses()[0], net.waker());
        let (handle, inbox) = channel(Arc::new(move || waker.wake()));
        let moved_ms = Arc::new(AtomicI64::new(0));
        let clock = MovedClock { system: SystemClock::start(), moved_ms: Arc::clone(&moved_ms) };
        let handlers = Handlers::new(Registry::default(), handle.clone(), &config);
        let policy = Box::new(Development);
        let mut reactor = Reactor::new(Parts { net, clock, config, policy, handlers, inbox, seed: [7; 32] });
        let run = move || reactor.run().expect("the loop does not fail");
        let thread = Some(thread::Builder::new().name("server under test".into()).spawn(run).expect("a thread"));
        Self { address, moved_ms, handle, thread }
    }

    fn step(&self, by_ms: i64) {
        self.moved_ms.fetch_add(by_ms, Ordering::SeqCst);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.handle.shutdown();
        let ended = self.thread.take().expect("ok because only this takes it").join();
        assert!(ended.is_ok() || thread::panicking(), "the server panicked");
    }
}

/// Sends a reliable message and two that are debounced, moves the clock at once, and returns when the retry and the second
/// one of those have come.
#[track_caller]
fn retry_and_release(server: &Server, step_ms: i64) -> [Duration; 2] {
    let features = json!(["ack"]);
    let mut receiver =
        Client::connect_with(server.address, json!({"token": "receiver", "sessionId": SESSION, "features": features}));
    let mut sender = Client::connect(server.address, "sender", SESSION);
    let begin = Instant::now();
    sender.send(&json!({"id": "reliable", "type": "custom", "reliable": true, "payload": {}}));
    for id in ["progress-1", "progress-2"] {
        sender.send(&json!({"id": id, "type": "operation_progress", "key": "k", "payload": {}}));
    }
    for id in ["reliable", "progress-1"] {
        receiver.receive_where(|message| json::is(message, "id", id));
    }
    server.step(step_ms);
    let mut times = [None, None];
    while times.contains(&None) {
        let message = receiver.receive();
        let place = usize::from(json::is(&message, "id", "progress-2"));
        times[place].get_or_insert(begin.elapsed());
    }
    times.map(|time| time.expect("ok because both are there"))
}

#[test]
fn row_39_timers_are_neither_early_nor_late() {
    for step_ms in STEPS_MS {
        let server = Server::start();
        let mut quiet = Client::connect(server.address, "quiet", "another");
        for elapsed in retry_and_release(&server, step_ms) {
            // That it came at all shows that it was not an hour late.
            assert!(elapsed >= SOON, "{elapsed:?} after a step of {step_ms} ms");
        }
        // It was sent a ping and has answered none, which is in time for ten seconds.
        quiet.round_trip("still-there");
        assert_eq!(json::number(&status::read(server.address), "counters.closedByServer"), 0);
    }
}

/// A step forward is no age, and a step back gives nobody more time.
#[test]
fn row_39_history_positions_and_polls_survive() {
    for step_ms in STEPS_MS {
        let server = Server::start();
        let mut first = Client::connect(server.address, "reader", SESSION);
        first.send(&json!({"id": "m-1", "type": "custom", "expiresIn": 60_000, "payload": {}}));
        first.receive_where(|message| json::is(message, "id", "m-1"));
        let position = first.welcome["payload"]["positions"][0].clone();
        let epoch = json::string(&position, "epoch").to_owned();
        let mut waiting = poll(&server, &format!("{SESSION}:{epoch}:1"));
        status::expect(server.address, "connections.poll", 1);
        server.step(step_ms);

        let resume = json!({"connectionId": first.connection_id(), "positions": [position]});
        let mut again = Client::connect_with(server.address, json!({"token": "reader", "resume": resume}));
        assert!(json::boolean(&again.welcome["payload"]["positions"][0], "recovered"));
        assert!(json::is(&again.receive(), "id", "m-1"), "neither too old nor expired");
        again.round_trip("m-2");
        let answer = http::read_response(&mut waiting).json();
        assert!(json::boolean(&answer, "recovered"));
        assert!(json::is(&answer["messages"][0], "id", "m-2"), "it waited until there was something");
        let status = status::read(server.address);
        assert_eq!(json::number(&status, "counters.expired"), 0);
        assert_eq!(json::number(&status, "history.departed"), 0, "the old connection was taken over");
    }
}

/// Asks for what comes after a cursor, and does not read the answer.
#[track_caller]
fn poll(server: &Server, cursor: &str) -> Tcp {
    let mut tcp = Tcp::connect(server.address);
    let target = format!("/ws-api/poll?sessionId={SESSION}&cursor={}", cursor.replace(':', "%3A"));
    tcp.send(http::encode(server.address, "GET", &target, &[("Authorization", "Bearer poller")], b""));
    tcp
}

/// Timestamps follow the wall clock, and the server's own ids are still those of different messages.
#[test]
fn row_39_ids_stay_unique_and_timestamps_follow() {
    let server = Server::start();
    let mut client = Client::connect(server.address, "user", SESSION);
    let (mut ids, mut times) = (BTreeSet::new(), Vec::new());
    let steps_ms = [0, HOUR_MS, -HOUR_MS, -HOUR_MS, HOUR_MS];
    for step_ms in steps_ms {
        server.step(step_ms);
        let answers: Vec<OwnedValue> = (0..50).map(|_| heartbeat(&mut client)).collect();
        times.push(json::string(&answers[0], "timestamp").to_owned());
        for answer in &answers {
            let id = json::string(answer, "id");
            assert_eq!((id.len(), id.as_bytes()[14]), (36, b'7'), "{id} is a UUID of version 7");
            assert!(ids.insert(id.to_owned()), "{id} came twice");
        }
    }
    assert_eq!(ids.len(), 50 * steps_ms.len());
    assert!(times[1] > times[0] && times[2] < times[1] && times[3] < times[2] && times[4] > times[3], "{times:?}");
    assert!(times[3] < times[0], "back by an hour: {times:?}");
}

#[track_caller]
fn heartbeat(client: &mut Client) -> OwnedValue {
    client.send(&envelope("beat", "heartbeat", json!({})));
    client.receive_where(|message| json::is(message, "replyTo", "beat"))
}
