//! 200 clients in 20 sessions, all of them publishing at the same time.

use super::common::client::Client;
use super::common::json;
use super::common::server::{Env, TestServer};
use super::common::status;
use simd_json::OwnedValue;
use simd_json::json;
use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;

const SESSIONS: usize = 20;
const MEMBERS: usize = 10;
const CLIENTS: usize = SESSIONS * MEMBERS;

/// Messages that each client publishes.
const EACH: usize = 20;

/// What each member sees of its session.
const IN_A_SESSION: usize = MEMBERS * EACH;

/// Room for all messages of a session, so that nothing can be lost whatever the machine does.
const ROOMY: Env = &[("WEBSOCKET_MAX_CONNECTIONS", "210"), ("WEBSOCKET_MESSAGE_QUEUE_SIZE", "1000")];

/// A message as a member saw it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    seq: u64,
    id: String,
    from: String,
    priority: String,
}

impl Seen {
    #[track_caller]
    fn new(message: &OwnedValue, session: &str) -> Self {
        assert!(json::is(message, "sessionId", session), "a message of another session came");
        let text = |path| json::string(message, path).to_owned();
        Self { seq: json::number(message, "seq"), id: text("id"), from: text("from"), priority: text("priority") }
    }
}

fn session_name(session: usize) -> String {
    format!("session-{session}")
}

fn user_name(session: usize, member: usize) -> String {
    format!("user-{session}-{member}")
}

/// Each of the members' views, by session.
fn exchange(server: &TestServer, priority: impl Fn(usize) -> &'static str + Sync) -> Vec<Vec<Vec<Seen>>> {
    let (start, priority) = (Barrier::new(CLIENTS), &priority);
    let (start, address) = (&start, server.address);
    thread::scope(|scope| {
        let member = |session, member| {
            scope.spawn(move || {
                let name = session_name(session);
                let mut client = Client::connect(address, &user_name(session, member), &name);
                start.wait();
                let seen = take_part(&mut client, &name, priority);
                client.expect_nothing();
                client.ws.close();
                seen
            })
        };
        let threads: Vec<Vec<_>> = (0..SESSIONS).map(|s| (0..MEMBERS).map(|m| member(s, m)).collect()).collect();
        let join = |threads: Vec<thread::ScopedJoinHandle<'_, Vec<Seen>>>| {
            threads.into_iter().map(|thread| thread.join().expect("a member is content")).collect()
        };
        threads.into_iter().map(join).collect()
    })
}

/// Publishes its messages and reads those of all members.
#[track_caller]
fn take_part(client: &mut Client, session: &str, priority: impl Fn(usize) -> &'static str) -> Vec<Seen> {
    for number in 0..EACH {
        let id = format!("m-{number}");
        client.send(&json!({"id": id, "type": "custom", "priority": priority(number), "payload": {"number": number}}));
    }
    (0..IN_A_SESSION).map(|_| Seen::new(&client.receive(), session)).collect()
}

/// Who must have sent what: each member `m-0` to `m-19`.
fn expected_messages(session: usize) -> BTreeSet<(String, String)> {
    let of_member = |member| (0..EACH).map(move |number| (user_name(session, member), format!("m-{number}")));
    (0..MEMBERS).flat_map(of_member).collect()
}

fn messages(view: &[Seen]) -> BTreeSet<(String, String)> {
    view.iter().map(|seen| (seen.from.clone(), seen.id.clone())).collect()
}

#[track_caller]
fn expect_counts(server: &TestServer) {
    let status = status::read(server.address);
    let counter = |name: &str| json::number(&status, &format!("counters.{name}")) as usize;
    assert_eq!(counter("published"), SESSIONS * IN_A_SESSION);
    assert_eq!((counter("dropped"), counter("conflated")), (0, 0));
    status::expect_empty(server.address);
    status::expect(server.address, "memberships", 0);
}

/// All of one priority: every member sees the same messages at the same positions, in order, from 1, without a hole.
#[test]
fn all_members_see_one_order() {
    let server = TestServer::spawn_process(ROOMY);
    for (session, views) in exchange(&server, |_| "normal").into_iter().enumerate() {
        let first = &views[0];
        let seqs: Vec<u64> = first.iter().map(|seen| seen.seq).collect();
        assert_eq!(seqs, (1..=IN_A_SESSION as u64).collect::<Vec<_>>());
        assert_eq!(messages(first), expected_messages(session));
        assert!(views.iter().all(|view| view == first), "the members of {session} saw different orders");
        expect_order_of_senders(first);
    }
    expect_counts(&server);
}

/// What one member published comes in the order in which it did.
#[track_caller]
fn expect_order_of_senders(view: &[Seen]) {
    let senders: BTreeSet<_> = view.iter().map(|seen| &seen.from).collect();
    for sender in senders {
        let ids: Vec<_> = view.iter().filter(|seen| seen.from == *sender).map(|seen| seen.id.as_str()).collect();
        assert_eq!(ids, (0..EACH).map(|number| format!("m-{number}")).collect::<Vec<_>>(), "of {sender}");
    }
}

/// All three priorities mixed: positions still mean the same message to everybody, all arrive exactly once, and within a
/// priority all see one order.
#[test]
fn priorities_may_pass_each_other_and_nothing_else_may() {
    let server = TestServer::spawn_process(ROOMY);
    let priority = |number: usize| ["low", "normal", "high"][number % 3];
    for (session, views) in exchange(&server, priority).into_iter().enumerate() {
        let mut by_position = views[0].clone();
        by_position.sort();
        let seqs: Vec<u64> = by_position.iter().map(|seen| seen.seq).collect();
        assert_eq!(seqs, (1..=IN_A_SESSION as u64).collect::<Vec<_>>());
        assert_eq!(messages(&by_position), expected_messages(session));
        for mut view in views {
            for priority in ["high", "normal", "low"] {
                let of_priority = view.iter().filter(|seen| seen.priority == priority);
                assert!(of_priority.map(|seen| seen.seq).is_sorted(), "{priority} in session {session}");
            }
            view.sort();
            assert_eq!(view, by_position);
        }
    }
    expect_counts(&server);
}
