//! The handle from several threads at once, with exact counts.

use super::common::client::Client;
use super::common::server::TestServer;
use super::common::wait::PATIENCE;
use super::common::{json, status};
use super::{builder, serve};
use hashi::{Handle, MessageOptions, NewMessage};
use simd_json::OwnedValue;
use std::collections::BTreeSet;
use std::thread;

const THREADS: usize = 4;
const EACH: usize = 250;

/// More than the channel to the loop takes at once.
const MANY: usize = 5_000;

fn numbered(handle: &Handle, number: usize) -> NewMessage {
    handle.create_message("count", &number, MessageOptions::default()).expect("a message")
}

fn read(client: &mut Client, count: usize) -> Vec<OwnedValue> {
    (0..count).map(|_| client.receive()).collect()
}

fn payloads(messages: &[OwnedValue]) -> Vec<usize> {
    messages.iter().map(|message| json::number(message, "payload") as usize).collect()
}

#[track_caller]
fn expect_contiguous(messages: &[OwnedValue]) {
    let seqs: Vec<u64> = messages.iter().map(|message| json::number(message, "seq")).collect();
    assert_eq!(seqs, (1..=messages.len() as u64).collect::<Vec<_>>());
}

/// Runs `work` with its number on each of the threads and gathers what they return.
fn on_threads<T: Send>(server: &TestServer, work: impl Fn(&Handle, usize) -> T + Sync) -> Vec<T> {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|number| {
                let handle = server.handle().clone();
                scope.spawn(move || work(&handle, number))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("the thread is content")).collect()
    })
}

/// Every receipt is waited for: each position is given to exactly one message, and each thread's keep their order.
#[test]
fn receipts_from_several_threads_agree_with_what_arrives() {
    let server = serve(builder());
    let mut client = Client::connect(server.address, "user-1", "s1");
    let positions = on_threads(&server, |handle, thread| {
        let publish = |number| {
            let receipt = handle.broadcast_to_session("s1", numbered(handle, thread * EACH + number));
            let published = receipt.wait(PATIENCE).expect("published");
            assert_eq!((published.matched, published.queued), (1, 1));
            published.seq.expect("a position")
        };
        (0..EACH).map(publish).collect::<Vec<u64>>()
    });
    let came = read(&mut client, THREADS * EACH);
    client.expect_nothing();
    expect_contiguous(&came);
    let numbers = payloads(&came);
    for (thread, positions) in positions.iter().enumerate() {
        for (number, seq) in positions.iter().enumerate() {
            assert_eq!(numbers[*seq as usize - 1], thread * EACH + number, "at {seq}");
        }
        assert!(positions.is_sorted());
    }
}

/// Receipts that nobody waits for cost nothing, and nothing is lost: more are sent than the channel takes at once.
#[test]
fn five_thousand_broadcasts_go_through_the_bounded_channel() {
    const { assert!(MANY > hashi::config::limits::COMMANDS_MAX) };
    let server = serve(builder());
    let mut clients = [1, 2].map(|number| Client::connect(server.address, &format!("user-{number}"), "s1"));
    let handle = server.handle();
    for number in 0..MANY {
        drop(handle.broadcast_to_session("s1", numbered(handle, number)));
    }
    for client in &mut clients {
        let came = read(client, MANY);
        client.expect_nothing();
        expect_contiguous(&came);
        assert_eq!(payloads(&came), (0..MANY).collect::<Vec<_>>());
    }
    let status = status::read(server.address);
    assert_eq!(json::number(&status, "counters.published"), MANY as u64);
    assert_eq!(json::number(&status, "counters.dropped"), 0);
}

/// All ways to send at once, half of the receipts dropped.
#[test]
fn all_recipients_at_once_with_exact_counts() {
    let server = serve(builder());
    let mut client = Client::connect(server.address, "user-1", "s1");
    let id = client.connection_id().to_owned();
    on_threads(&server, |handle, thread| {
        for number in 0..EACH {
            let message = numbered(handle, thread * EACH + number);
            let receipt = match thread % 3 {
                0 => handle.broadcast_to_session("s1", message),
                1 => handle.send_to_user("user-1", message),
                _ => handle.send_to_connection(&id, message),
            };
            if number % 2 == 0 {
                receipt.wait(PATIENCE).expect("published");
            }
        }
    });
    let numbers = payloads(&read(&mut client, THREADS * EACH));
    client.expect_nothing();
    assert_eq!(numbers.iter().copied().collect::<BTreeSet<_>>(), (0..THREADS * EACH).collect());
    for thread in 0..THREADS {
        let of_thread: Vec<usize> = numbers.iter().copied().filter(|number| number / EACH == thread).collect();
        assert!(of_thread.is_sorted(), "the order of thread {thread}");
    }
}

/// Clients and threads publish to one session at the same time.
#[test]
fn threads_and_clients_share_one_order() {
    let server = serve(builder());
    let mut watcher = Client::connect(server.address, "watcher", "s1");
    let address = server.address;
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = Client::connect(address, "client", "s1");
            for number in 0..EACH {
                client.send(&simd_json::json!({"id": format!("c{number}"), "type": "count", "payload": number}));
            }
            read(&mut client, 2 * EACH);
        });
        scope.spawn(|| {
            // Not before the client is a member, so that it sees all.
            status::expect(address, "connections.authenticated", 2);
            (0..EACH)
                .for_each(|number| drop(server.handle().broadcast_to_session("s1", numbered(server.handle(), number))));
        });
    });
    let came = read(&mut watcher, 2 * EACH);
    expect_contiguous(&came);
    let (of_client, of_server): (Vec<_>, Vec<_>) =
        came.into_iter().partition(|message| json::is(message, "from", "client"));
    assert_eq!(payloads(&of_client), (0..EACH).collect::<Vec<_>>());
    assert_eq!(payloads(&of_server), (0..EACH).collect::<Vec<_>>());
}
