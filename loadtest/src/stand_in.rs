//! Tests of the whole harness, against a stand-in for the server: tungstenite, one thread per connection, with faults on
//! request.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::{env, fs, mem, thread};

use clap::Parser;
use tungstenite::handshake::server::{Request, Response};
use tungstenite::http::HeaderValue;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::{Message, Utf8Bytes};

use crate::bare_echo::BareEcho;
use crate::cli::{Cli, Command};
use crate::envelope::MIN_BYTES;
use crate::error::Result;
use crate::http::Route;
use crate::output;
use crate::reactor::{self, Dialect, Target};
use crate::report::Report;
use crate::scenarios::{
    Connect, Flood, Idle, Layout, Mixed, OpenLoop, Operations, OperationsSize, Pace, Plan, Rest, Scenario, Slow, Storm,
    Traffic,
};
use crate::wording::Keying;

/// What the stand-in does wrong, to every 50th message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Lose,
    /// Queues the first 99 messages, and drops those that a newer one of their type and key replaces.
    Conflate,
    LoseAndDeclare,
    /// Declares what it sends.
    DeclareOnly,
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
    queue: Vec<(Option<String>, Vec<u8>)>,
}

type Sessions = Arc<Mutex<HashMap<String, Session>>>;

fn start(fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let sessions = Sessions::default();
    thread::spawn(move || {
        for (number, socket) in listener.incoming().enumerate() {
            let sessions = sessions.clone();
            thread::spawn(move || {
                let socket = socket.unwrap();
                socket.set_nodelay(true).unwrap();
                let mut method = [0; 4];
                // Who says nothing is served like a client that never asks.
                socket.peek(&mut method).ok();
                match &method {
                    b"POST" => serve_http(socket, number as u64, &sessions, fault),
                    _ => serve(socket, number as u64, &sessions, fault),
                }
            });
        }
    });
    address
}

// The size of tungstenite's error response is its own affair.
#[allow(clippy::result_large_err)]
fn serve(socket: TcpStream, number: u64, sessions: &Sessions, fault: Fault) {
    let subprotocol = |_: &Request, mut response: Response| {
        response.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("hashi.v1"));
        Ok(response)
    };
    // The harness also asks for the status of the server, which this one has not.
    let Ok(mut client) = tungstenite::accept_hdr(socket, subprotocol) else {
        return;
    };
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
            let name = if text.contains("sessionId") { after(&text, r#""sessionId":""#) } else { &name };
            sessions.lock().unwrap().get_mut(name).unwrap().publish(&text, number, fault);
        }
    }
    if let Some(session) = sessions.lock().unwrap().get_mut(&name) {
        session.members.retain(|(_, member, _)| *member != number);
    }
}

/// Publishes the bodies of requests; refuses every 50th where errors are asked for.
fn serve_http(socket: TcpStream, number: u64, sessions: &Sessions, fault: Fault) {
    let mut input = BufReader::new(&socket);
    for count in 1.. {
        let Some(body) = read_body(&mut input) else {
            return;
        };
        let status = if fault == Fault::AnswerError && count % EVERY == 0 {
            "503 Service Unavailable"
        } else {
            let session = after(&body, r#""sessionId":""#);
            sessions.lock().unwrap().get_mut(session).unwrap().publish(&body, number, fault);
            "202 Accepted"
        };
        // A client that has gone is noticed at the next read.
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n{{}}");
        (&socket).write_all(answer.as_bytes()).ok();
    }
}

/// The body of the next request; `None` when there is none.
fn read_body(input: &mut impl BufRead) -> Option<String> {
    let mut length = 0;
    let mut line = String::new();
    while input.read_line(&mut line).ok()? > 2 {
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body).ok()?;
    String::from_utf8(body).ok().filter(|body| !body.is_empty())
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
            Fault::Conflate if seq < 100 => self.queue(topic(text), relayed),
            Fault::Conflate => {
                self.queue(None, relayed);
                let queued: Vec<u8> = mem::take(&mut self.queue).into_iter().flat_map(|(_, frame)| frame).collect();
                self.send(&queued, sender);
            }
            Fault::LoseAndDeclare if faulty => self.send(&frame(&lost), sender),
            Fault::DeclareOnly if faulty => self.send(&[&frame(&lost)[..], &relayed].concat(), sender),
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

    fn queue(&mut self, topic: Option<String>, frame: Vec<u8>) {
        self.queue.retain(|(queued, _)| topic.is_none() || *queued != topic);
        self.queue.push((topic, frame));
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

/// The type and key of a message with a key.
fn topic(text: &str) -> Option<String> {
    let key = [r#""key":""#, r#""operationId":""#].into_iter().find(|name| text.contains(name))?;
    Some(format!("{} {}", after(text, r#""type":""#), after(text, key)))
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

pub fn plan(pace: Pace) -> Plan {
    Plan::simple(20_000_000, 200_000_000, pace)
}

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

pub fn run_at(scenario: impl Scenario, target: Target) -> Result<Report> {
    reactor::run(scenario, target, mpsc::channel().0)
}

fn run(scenario: impl Scenario, fault: Fault) -> Result<Report> {
    run_at(scenario, target(start(fault), Dialect::Hashi))
}

fn rooms(fault: Fault) -> Result<Report> {
    run(Traffic::new("rooms", Layout::rooms(2, 3), plan(Pace::InAll(20))), fault)
}

/// The plan of a scenario that has one load.
fn one_load() -> Plan {
    plan(Pace::InAll(1))
}

fn mixed(flood: Flood, fault: Fault) -> Report {
    run(Mixed::new(4, flood, 500.0, 1000, one_load()), fault).unwrap()
}

fn slow(keying: Keying, fault: Fault) -> Report {
    run(Slow::new(8, 2, keying, OpenLoop::level(2000.0, 1000), one_load()), fault).unwrap()
}

fn operations(fault: Fault) -> Report {
    let size = OperationsSize { sessions: 3, members: 2, places: 1, steps: 6, reloads_per_second: 50.0 };
    run(Operations::new(size, OpenLoop::level(3000.0, 1000), one_load()), fault).unwrap()
}

fn rest(fault: Fault) -> Report {
    run(Rest::new(3, 4, Route::Send, one_load()), fault).unwrap()
}

#[test]
fn a_correct_server_passes_in_every_scenario() {
    let traffic = |layout, pace| run(Traffic::new("test", layout, plan(pace)), Fault::None).unwrap();
    for report in [
        traffic(Layout::alone(5), Pace::PerPublisher(4)),
        traffic(Layout::alone(5), Pace::Scheduled(OpenLoop::level(5000.0, 1000))),
        traffic(Layout::fanout(7), Pace::InAll(8)),
        rooms(Fault::None).unwrap(),
        mixed(Flood::Rate(2000.0), Fault::None),
        slow(Keying::None, Fault::None),
        operations(Fault::None),
        rest(Fault::None),
        run(Storm::new(20, 2, 10_000_000), Fault::None).unwrap(),
        run(Connect::new(4, one_load()), Fault::None).unwrap(),
        run(Idle::new(20, 100_000_000), Fault::None).unwrap(),
    ] {
        assert!(report.passed(), "{}", report.text());
        assert!(report.figures.number("errors") == Some(0.0), "{}", report.text());
        assert!(report.figures.number("messages") != Some(0.0), "{}", report.text());
    }
}

#[test]
fn a_scenario_file_becomes_a_judged_result_with_all_its_files() {
    let folder = env::temp_dir().join(format!("hashi-loadtest-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("run.toml");
    let text = r#"
        thresholds = ["lost == 0"]
        [scenario.rooms]
        rooms = 2
        members = 3
        [load]
        warmup_seconds = 0.05
        [[phases]]
        name = "level"
        seconds = 0.1
        rate = 1000
        thresholds = ["messages > 1e9"]
        [[phases]]
        name = "closed"
        seconds = 0.1
        in_flight = 4
    "#;
    fs::write(&file, text).unwrap();
    let url = format!("ws://{}/ws", start(Fault::None));
    let line = ["x", "run", file.to_str().unwrap(), "--url", &url, "--json"];
    let Command::Run(file) = Cli::parse_from(line).command else { panic!("a file was named") };
    let (settings, args) = file.settings().unwrap();
    let outcome = crate::run::run(&settings, &args).unwrap();
    assert!(outcome.report.passed(), "{}", outcome.text());
    let passed: Vec<bool> = outcome.verdicts.iter().map(|verdict| verdict.passed).collect();
    assert_eq!((passed, outcome.passed()), (vec![true, false], false));
    let seen: Vec<&str> = outcome.recording.series.iter().map(|point| point.phase.as_str()).collect();
    assert_eq!(seen, ["warm-up", "level", "closed"]);
    output::write(&outcome, &folder).unwrap();
    for name in ["result.json", "report.html", "junit.xml", "latency.hgrm", "latency.hlog"] {
        assert!(fs::metadata(folder.join(name)).unwrap().len() > 500, "{name}");
    }
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_server_that_misbehaves_does_not() {
    for (fault, words) in
        [(Fault::Lose, "lost without a gap"), (Fault::Repeat, "arrived twice"), (Fault::Swap, "arrived out of order")]
    {
        let reports = [
            rooms(fault).unwrap(),
            mixed(Flood::Rate(2000.0), fault),
            slow(Keying::None, fault),
            operations(fault),
            rest(fault),
        ];
        for report in reports {
            assert!(!report.passed() && report.text().contains(words), "{fault:?}: {}", report.text());
        }
    }
}

#[test]
fn declared_losses_and_errors_are_counted_and_pass() {
    for report in [
        rooms(Fault::LoseAndDeclare).unwrap(),
        mixed(Flood::Rate(2000.0), Fault::LoseAndDeclare),
        slow(Keying::None, Fault::LoseAndDeclare),
        rest(Fault::LoseAndDeclare),
    ] {
        assert!(report.passed(), "{}", report.text());
        assert!(report.figures.number("lost_declared") > Some(0.0), "{}", report.text());
    }
    let report = rooms(Fault::AnswerError).unwrap();
    assert!(report.passed() && report.text().contains("overloaded"), "{}", report.text());
}

#[test]
fn a_gap_without_a_loss_fails_where_positions_are_known() {
    for report in [slow(Keying::None, Fault::DeclareOnly), rest(Fault::DeclareOnly)] {
        assert!(!report.passed() && report.text().contains("named nothing that was lost"), "{}", report.text());
    }
    assert!(rooms(Fault::DeclareOnly).unwrap().passed());
}

#[test]
fn a_request_that_is_refused_fails() {
    let report = rest(Fault::AnswerError);
    assert!(!report.passed() && report.text().contains("requests were not accepted"), "{}", report.text());
}

#[test]
fn what_a_newer_message_replaced_is_conflated() {
    for report in [operations(Fault::Conflate), slow(Keying::Cycle(3), Fault::Conflate)] {
        assert!(report.passed(), "{}", report.text());
        assert!(report.figures.number("conflated") > Some(0.0), "{}", report.text());
    }
}

#[test]
fn a_server_that_dies_ends_the_run() {
    assert!(rooms(Fault::Die).is_err());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let scenario = Traffic::new("echo", Layout::alone(2), plan(Pace::PerPublisher(1)));
    let error = run_at(scenario, target(closed, Dialect::Hashi)).unwrap_err();
    assert!(error.to_string().contains("cannot connect"), "{error}");
}

#[test]
fn a_server_that_says_nothing_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let scenario = Connect::new(1, plan(Pace::InAll(1)));
    let mut target = target(listener.local_addr().unwrap(), Dialect::Hashi);
    target.timeout_ns = 50_000_000;
    let error = run_at(scenario, target).unwrap_err();
    assert!(error.to_string().contains("no answer to the upgrade in time"), "{error}");
}

#[test]
fn the_bare_loop_serves_both_kinds_of_echo() {
    let server = BareEcho::bind(0).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], server.port().unwrap()));
    thread::spawn(move || server.run());
    for dialect in [Dialect::Hashi, Dialect::Raw] {
        for (message_bytes, window) in [(MIN_BYTES, 1), (256, 50), (300_000, 3)] {
            let scenario = Traffic::new("echo", Layout::alone(5), plan(Pace::PerPublisher(window)));
            let target = Target { message_bytes, ..target(address, dialect) };
            let report = run_at(scenario, target).unwrap();
            assert!(report.passed(), "{}", report.text());
        }
    }
    let report = run_at(Connect::new(4, plan(Pace::InAll(1))), target(address, Dialect::Hashi)).unwrap();
    assert!(report.passed(), "{}", report.text());
}
