//! A handler that runs too long is given up: its sender is told, its worker replaced.

use super::common::client::Client;
use super::common::server::TestServer;
use super::common::steps::assert_error;
use super::common::{json, status};
use super::gate::{Keeper, gate};
use super::{answer_to, ask, config, serve};
use hashi::{Config, ErrorCode, Server};
use simd_json::prelude::*;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_millis(150);
const LATE: Duration = Duration::from_millis(1_000);
const WORKERS: u32 = 2;

/// `hang` waits for the keeper and tries to answer then; `work` answers at once.
fn server() -> (TestServer, Keeper) {
    let (gate, keeper) = gate();
    let config = Config { workers: WORKERS, handler_timeout_ms: TIMEOUT.as_millis() as u64, ..config() };
    let builder = Server::builder(config)
        .on("hang", move |message, context| {
            gate.pass(&message.id);
            context.reply("too-late", &()).expect("a reply");
            let relayed = context.relay().wait(super::common::wait::PATIENCE);
            let code = relayed.err().map(|error| error.code);
            gate.note(if code == Some(ErrorCode::Timeout) { "refused" } else { "relayed" });
        })
        .on("work", |_, context| context.reply("done", &()).expect("a reply"));
    (serve(builder), keeper)
}

fn clients(server: &TestServer, count: usize) -> Vec<Client> {
    (0..count).map(|number| Client::connect(server.address, &format!("user-{number}"), "s1")).collect()
}

#[track_caller]
fn expect_work_done(client: &mut Client, id: &str) {
    client.send(&ask(id, "work"));
    let answer = answer_to(client, id);
    assert!(json::is(&answer, "type", "done"), "{}", answer.encode());
}

#[test]
fn the_sender_is_told_in_time_and_what_comes_later_is_dropped() {
    let (server, keeper) = server();
    let mut client = clients(&server, 1).remove(0);
    let start = Instant::now();
    client.send(&ask("h1", "hang"));
    client.send(&ask("w1", "work"));
    let answer = answer_to(&mut client, "h1");
    assert_error(&answer, "timeout", "hang");
    assert!(start.elapsed() >= TIMEOUT && start.elapsed() <= TIMEOUT + LATE, "after {:?}", start.elapsed());
    assert!(json::is(&answer_to(&mut client, "w1"), "type", "done"), "its next message does not wait for ever");
    assert_eq!(keeper.next(), "h1");
    keeper.release(1);
    assert_eq!(keeper.next(), "refused", "a relay after the timeout is refused");
    client.round_trip("after");
    client.expect_nothing();
    status::expect(server.address, "counters.handlersTimedOut", 1);
}

/// As many hang as there are workers: each is replaced, and when they end at last no worker is too many or too few.
#[test]
fn others_go_on_although_every_worker_hangs() {
    let (server, keeper) = server();
    let mut clients = clients(&server, WORKERS as usize + 1);
    let mut other = clients.pop().expect("one more than workers");
    for client in &mut clients {
        client.send(&ask("h", "hang"));
        keeper.next();
    }
    for client in &mut clients {
        assert_error(&answer_to(client, "h"), "timeout", "hang");
    }
    status::expect(server.address, "handlers.lostWorkers", u64::from(WORKERS));
    expect_work_done(&mut other, "w1");
    clients.iter_mut().for_each(|client| expect_work_done(client, "w2"));
    keeper.release(WORKERS as usize);
    status::expect(server.address, "handlers.lostWorkers", 0);
    expect_work_done(&mut other, "w3");
}

/// Again and again: replaced workers hang, too. Replacement has a bound, everybody is answered, and when the handlers
/// end at last, work goes on.
#[test]
fn replacement_is_bounded_and_the_server_recovers() {
    let (server, keeper) = server();
    let hanging = 2 * WORKERS as usize;
    let mut clients = clients(&server, hanging + 2);
    for client in &mut clients {
        client.send(&ask("h", "hang"));
    }
    // Those that found no worker waited as long, and are told the same.
    for client in &mut clients {
        assert_error(&answer_to(client, "h"), "timeout", "hang");
    }
    status::expect(server.address, "handlers.pending", 0);
    let lost = json::number(&status::read(server.address), "handlers.lostWorkers");
    assert!(lost <= u64::from(WORKERS), "{lost} workers were replaced");
    clients[0].round_trip("relayed");
    let entered = keeper.entered().len();
    assert!((WORKERS as usize..=hanging).contains(&entered), "{entered} handlers ran");
    keeper.release(hanging);
    status::expect(server.address, "handlers.lostWorkers", 0);
    for number in 0..10 {
        expect_work_done(&mut clients[number % hanging], &format!("w{number}"));
    }
    assert!(keeper.entered().iter().all(|word| word == "refused"), "no given-up message is handled later");
}

/// A handler within its time is left alone, and the next one has the whole time again.
#[test]
fn the_time_counts_for_each_message_alone() {
    let (server, keeper) = server();
    let mut client = clients(&server, 1).remove(0);
    let start = Instant::now();
    for number in 0.. {
        let id = format!("h{number}");
        client.send(&ask(&id, "hang"));
        assert_eq!(keeper.next(), id);
        keeper.release(1);
        assert!(json::is(&answer_to(&mut client, &id), "type", "too-late"), "it was in time after all");
        assert_eq!(keeper.next(), "relayed");
        if start.elapsed() > 3 * TIMEOUT {
            break;
        }
    }
    status::expect(server.address, "counters.handlersTimedOut", 0);
}
