//! One message of a connection at a time, in order; those of others go on meanwhile.

use super::common::client::Client;
use super::common::{json, status};
use super::gate::gate;
use super::{answer_to, ask, builder, config, serve};
use hashi::{Config, Server};
use simd_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

#[test]
fn one_at_a_time_in_order_while_others_go_on() {
    let (gate, keeper) = gate();
    let server = serve(builder().on("task", move |message, context| {
        if message.from == "held" {
            gate.pass(&message.id);
        }
        context.reply("done", &()).expect("a reply");
    }));
    let mut held = Client::connect(server.address, "held", "s1");
    let mut free = Client::connect(server.address, "free", "s1");
    for id in ["m1", "m2", "m3"] {
        held.send(&ask(id, "task"));
    }
    held.round_trip("routed");
    assert_eq!(keeper.next(), "m1");
    for id in ["f1", "f2", "f3"] {
        free.send(&ask(id, "task"));
        assert!(json::is(&answer_to(&mut free, id), "type", "done"));
    }
    assert_eq!(keeper.entered(), [""; 0], "the second one waits for the first");
    for (id, next) in [("m1", "m2"), ("m2", "m3")] {
        keeper.release(1);
        assert!(json::is(&answer_to(&mut held, id), "type", "done"));
        assert_eq!(keeper.next(), next);
        assert_eq!(keeper.entered(), [""; 0]);
    }
    keeper.release(1);
    assert!(json::is(&answer_to(&mut held, "m3"), "type", "done"));
}

/// Two connections of one user are two connections.
#[test]
fn connections_of_one_user_do_not_wait_for_each_other() {
    let (gate, keeper) = gate();
    let server = serve(builder().on("task", move |message, _| gate.pass(&message.id)));
    let mut clients = ["a", "b"].map(|_| Client::connect(server.address, "user-1", "s1"));
    for (client, id) in clients.iter_mut().zip(["a", "b"]) {
        client.send(&ask(id, "task"));
    }
    let mut entered = [keeper.next(), keeper.next()];
    entered.sort();
    assert_eq!(entered, ["a", "b"], "both are in the handler at the same time");
    keeper.release(2);
    status::expect(server.address, "handlers.pending", 0);
}

/// Different types of one connection share its one place, so their order holds, too.
#[test]
fn types_of_one_connection_keep_their_order() {
    let (gate, keeper) = gate();
    let second = gate.clone();
    let builder = builder()
        .on("first", move |message, _| gate.pass(&message.id))
        .on("second", move |message, _| second.pass(&message.id));
    let server = serve(builder);
    let mut client = Client::connect(server.address, "user-1", "s1");
    client.send(&ask("1", "first"));
    client.send(&ask("2", "second"));
    client.send(&ask("3", "first"));
    client.round_trip("routed");
    for id in ["1", "2", "3"] {
        assert_eq!(keeper.next(), id);
        assert_eq!(keeper.entered(), [""; 0]);
        keeper.release(1);
    }
}

const CLIENTS: usize = 8;
const EACH: usize = 150;

/// Many connections and few workers: never two messages of one connection at a time, all handled once and in order.
#[test]
fn many_connections_keep_their_order() {
    let busy: Arc<[AtomicUsize; CLIENTS]> = Arc::default();
    let handled: Arc<[Mutex<Vec<usize>>; CLIENTS]> = Arc::default();
    let (busy_in, handled_in) = (Arc::clone(&busy), Arc::clone(&handled));
    let builder = Server::builder(Config { workers: 3, ..config() }).on("task", move |message, context| {
        let [client, number] = message.payload_as::<[usize; 2]>().expect("two numbers");
        assert_eq!(busy_in[client].fetch_add(1, Ordering::SeqCst), 0, "two messages of one connection at a time");
        handled_in[client].lock().expect("no panic").push(number);
        busy_in[client].fetch_sub(1, Ordering::SeqCst);
        context.reply("done", &number).expect("a reply");
    });
    let server = serve(builder);
    let address = server.address;
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            scope.spawn(move || send_in_portions(&mut Client::connect(address, "user", "s1"), number));
        }
    });
    for list in &*handled {
        assert_eq!(*list.lock().expect("no panic"), (0..EACH).collect::<Vec<_>>());
    }
    status::expect(server.address, "counters.handlersStarted", (CLIENTS * EACH) as u64);
}

/// Never more under way than a mailbox takes.
#[track_caller]
fn send_in_portions(client: &mut Client, client_number: usize) {
    const PORTION: usize = 25;
    for first in (0..EACH).step_by(PORTION) {
        for number in first..first + PORTION {
            let payload = json!([client_number, number]);
            client.send(&json!({"id": format!("m{number}"), "type": "task", "payload": payload}));
        }
        for number in first..first + PORTION {
            let done = client.receive();
            assert!(json::is(&done, "replyTo", &format!("m{number}")), "{done:?}");
            assert!(json::is(&done, "type", "done"), "{done:?}");
        }
    }
}
