//! Tests of the whole harness, against a stand-in for the server: tungstenite, one thread per connection, with faults on
//! request.

use std::collections::HashMap;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use tungstenite::handshake::server::{Request, Response};
use tungstenite::http::HeaderValue;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::{Message, Utf8Bytes, WebSocket};

use crate::bare_echo::BareEcho;
use crate::envelope::MIN_BYTES;
use crate::error::Result;
use crate::reactor::{self, Dialect, Target};
use crate::report::Report;
use crate::scenarios::{Connect, Idle, Layout, Pace, Scenario, Timing, Traffic};

/// What the stand-in does wrong, to every 50th message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Lose,
    LoseAndDeclare,
    Repeat,
    Swap,
    AnswerError,
    Die,
}

const EVERY: u64 = 50;

/// One session: its members (with whether they want their own messages back) and its last position.
#[derive(Default)]
struct Session {
    members: Vec<(TcpStream, u64, bool)>,
    seq: u64,
    held_back: Option<Vec<u8>>,
}

type Sessions = Arc<Mutex<HashMap<String, Session>>>;

fn start(fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let sessions = Sessions::default();
    thread::spawn(move || {
        for (number, socket) in listener.incoming().enumerate() {
            let sessions = sessions.clone();
            thread::spawn(move || serve(socket.unwrap(), number as u64, &sessions, fault));
        }
    });
    address
}

// The size of tungstenite's error response is its own affair.
#[allow(clippy::result_large_err)]
fn serve(socket: TcpStream, number: u64, sessions: &Sessions, fault: Fault) {
    socket.set_nodelay(true).unwrap();
    let subprotocol = |_: &Request, mut response: Response| {
        response.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("hashi.v1"));
        Ok(response)
    };
    let mut client: WebSocket<TcpStream> = tungstenite::accept_hdr(socket, subprotocol).unwrap();
    let mut name = String::new();
    while let Ok(message) = client.read() {
        let Message::Text(text) = message else {
            continue;
        };
        if text.contains(r#""type":"authentication""#) {
            name = after(&text, r#""sessionId":""#).into();
            let echo = !text.contains(r#""echo":false"#);
            let welcome = r#"{"id":"1","type":"authentication","payload":{"success":true}}"#;
            let mut sessions = sessions.lock().unwrap();
            client.send(Message::text(welcome)).unwrap();
            let socket = client.get_ref().try_clone().unwrap();
            sessions.entry(name.clone()).or_default().members.push((socket, number, echo));
        } else {
            sessions.lock().unwrap().get_mut(&name).unwrap().publish(&text, number, fault);
        }
    }
}

impl Session {
    fn publish(&mut self, text: &str, sender: u64, fault: Fault) {
        self.seq += 1;
        let seq = self.seq;
        let faulty = seq.is_multiple_of(EVERY);
        let relayed = frame(&text.replacen('{', &format!(r#"{{"seq":{seq},"#), 1));
        let lost = format!(r#"{{"id":"2","type":"hashi:gap","payload":{{"from":{seq},"to":{seq}}}}}"#);
        let error = r#"{"id":"3","type":"error","payload":{"code":"overloaded"}}"#;
        match fault {
            Fault::Lose if faulty => {}
            Fault::LoseAndDeclare if faulty => self.send(&frame(&lost), sender),
            Fault::Repeat if faulty => self.send(&[&relayed[..], &relayed].concat(), sender),
            Fault::Swap if faulty => self.held_back = Some(relayed),
            Fault::AnswerError if faulty => self.send(&[&frame(error)[..], &relayed].concat(), sender),
            Fault::Die if faulty => self.members.iter().for_each(|(socket, ..)| {
                socket.shutdown(std::net::Shutdown::Both).ok();
            }),
            _ => {
                let late = self.held_back.take().unwrap_or_default();
                self.send(&[relayed, late].concat(), sender);
            }
        }
    }

    fn send(&mut self, bytes: &[u8], sender: u64) {
        for (socket, number, echo) in &mut self.members {
            if *echo || *number != sender {
                // A client that has gone is no concern.
                socket.write_all(bytes).ok();
            }
        }
    }
}

fn frame(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let frame = Frame::message(Utf8Bytes::from(text), OpCode::Data(Data::Text), true);
    frame.format(&mut out).unwrap();
    out
}

fn after<'a>(text: &'a str, name: &str) -> &'a str {
    let rest = &text[text.find(name).unwrap() + name.len()..];
    &rest[..rest.find('"').unwrap()]
}

pub const TIMING: Timing = Timing { warmup_ns: 20_000_000, measured_ns: 200_000_000 };

pub fn target(address: SocketAddr, dialect: Dialect) -> Target {
    Target {
        address,
        host: address.to_string(),
        path: "/ws".into(),
        dialect,
        message_bytes: 256,
        opening_at_once: 16,
        timeout_ns: 10_000_000_000,
        server_pid: Some(std::process::id()),
        run: "test".into(),
    }
}

fn run(scenario: impl Scenario, fault: Fault) -> Result<Report> {
    reactor::run(scenario, target(start(fault), Dialect::Hashi))
}

fn rooms(fault: Fault) -> Result<Report> {
    run(Traffic::new("rooms", Layout::rooms(2, 3), Pace::InAll(20), TIMING), fault)
}

#[test]
fn a_correct_server_passes_in_every_scenario() {
    let traffic = |layout, pace| run(Traffic::new("test", layout, pace, TIMING), Fault::None).unwrap();
    for report in [
        traffic(Layout::alone(5), Pace::PerPublisher(4)),
        traffic(Layout::alone(5), Pace::PerSecond { rate: 5000.0, most_under_way: 1000 }),
        traffic(Layout::fanout(7), Pace::InAll(8)),
        rooms(Fault::None).unwrap(),
        run(Connect::new(4, TIMING), Fault::None).unwrap(),
        run(Idle::new(20, 100_000_000), Fault::None).unwrap(),
    ] {
        assert!(report.passed(), "{}", report.text());
        assert!(report.json().contains(r#""errors":0"#), "{}", report.text());
        assert!(!report.json().contains(r#""messages":0,"#), "{}", report.text());
    }
}

#[test]
fn a_server_that_misbehaves_does_not() {
    for (fault, words) in
        [(Fault::Lose, "lost without a gap"), (Fault::Repeat, "arrived twice"), (Fault::Swap, "arrived out of order")]
    {
        let report = rooms(fault).unwrap();
        assert!(!report.passed() && report.text().contains(words), "{fault:?}: {}", report.text());
    }
}

#[test]
fn declared_losses_and_errors_are_counted_and_pass() {
    let report = rooms(Fault::LoseAndDeclare).unwrap();
    assert!(report.passed(), "{}", report.text());
    assert!(!report.json().contains(r#""lost_declared":0"#), "{}", report.text());
    let report = rooms(Fault::AnswerError).unwrap();
    assert!(report.passed() && report.text().contains("overloaded"), "{}", report.text());
}

#[test]
fn a_server_that_dies_ends_the_run() {
    assert!(rooms(Fault::Die).is_err());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let scenario = Traffic::new("echo", Layout::alone(2), Pace::PerPublisher(1), TIMING);
    let error = reactor::run(scenario, target(closed, Dialect::Hashi)).unwrap_err();
    assert!(error.to_string().contains("cannot connect"), "{error}");
}

#[test]
fn a_server_that_says_nothing_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let scenario = Connect::new(1, TIMING);
    let mut target = target(listener.local_addr().unwrap(), Dialect::Hashi);
    target.timeout_ns = 50_000_000;
    let error = reactor::run(scenario, target).unwrap_err();
    assert!(error.to_string().contains("no answer to the upgrade in time"), "{error}");
}

#[test]
fn the_bare_loop_serves_both_kinds_of_echo() {
    let server = BareEcho::bind(0).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], server.port().unwrap()));
    thread::spawn(move || server.run());
    for dialect in [Dialect::Hashi, Dialect::Raw] {
        for (message_bytes, window) in [(MIN_BYTES, 1), (256, 50), (300_000, 3)] {
            let scenario = Traffic::new("echo", Layout::alone(5), Pace::PerPublisher(window), TIMING);
            let target = Target { message_bytes, ..target(address, dialect) };
            let report = reactor::run(scenario, target).unwrap();
            assert!(report.passed(), "{}", report.text());
        }
    }
    let report = reactor::run(Connect::new(4, TIMING), target(address, Dialect::Hashi)).unwrap();
    assert!(report.passed(), "{}", report.text());
}
