//! A server that stops, and handles that outlive it.

use super::common::client::Client;
use super::common::json;
use super::common::wait::PATIENCE;
use super::gate::gate;
use super::{ask, builder, config, serve};
use hashi::{Config, ErrorCode, Handle, MessageOptions, Server};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

fn broadcast(handle: &Handle) -> Result<hashi::Published, hashi::ProtocolError> {
    let message = handle.create_message("late", &(), MessageOptions::default()).expect("a message");
    handle.broadcast_to_session("s1", message).wait(PATIENCE)
}

/// Whatever is asked of a server that is gone is answered `draining` at once, and nothing hangs or panics.
#[test]
fn a_stopped_server_answers_draining() {
    let server = serve(builder());
    let handle = server.handle().clone();
    assert!(broadcast(&handle).is_ok());
    drop(server);
    let message = || handle.create_message("late", &(), MessageOptions::default()).expect("a message");
    let id = "0".repeat(32);
    for receipt in [
        handle.broadcast_to_session("s1", message()),
        handle.send_to_user("user-1", message()),
        handle.send_to_connection(&id, message()),
    ] {
        assert_eq!(receipt.wait(PATIENCE).expect_err("nobody is there").code, ErrorCode::Draining);
    }
    let handler = handle.register_message_handler("late", |_, _| {});
    handle.unregister(handler);
    handle.shutdown();
}

/// Threads that publish while it stops: every receipt has an answer, and after the first `draining` no other comes.
#[test]
fn every_receipt_is_answered_while_it_stops() {
    let server = serve(Server::builder(Config { drain_ms: 100, ..config() }));
    let began = AtomicBool::new(false);
    let handles: [Handle; 3] = std::array::from_fn(|_| server.handle().clone());
    thread::scope(|scope| {
        for handle in &handles {
            let began = &began;
            scope.spawn(move || publish_until_it_is_gone(handle, began));
        }
        while !began.load(Ordering::Relaxed) {
            thread::yield_now();
        }
        drop(server);
    });
}

#[track_caller]
fn publish_until_it_is_gone(handle: &Handle, began: &AtomicBool) {
    const MANY: usize = 1_000_000;
    for _ in 0..MANY {
        match broadcast(handle) {
            Ok(_) => began.store(true, Ordering::Relaxed),
            Err(error) => {
                assert_eq!(error.code, ErrorCode::Draining);
                assert_eq!(broadcast(handle).expect_err("it is gone").code, ErrorCode::Draining);
                return;
            }
        }
    }
    panic!("the server does not stop");
}

/// What is still in the channel when the server ends is answered, too: published, or `draining`.
#[test]
fn what_waits_in_the_channel_at_the_end_is_answered() {
    const WAITING: usize = 3_000;
    let server = serve(builder());
    let handle = server.handle().clone();
    handle.shutdown();
    let late = || handle.create_message("late", &(), MessageOptions::default()).expect("a message");
    let receipts: Vec<_> = (0..WAITING).map(|_| handle.broadcast_to_session("s1", late())).collect();
    drop(server);
    for (number, receipt) in receipts.iter().enumerate() {
        let code = receipt.wait(PATIENCE).err().map(|error| error.code);
        assert!(code.is_none() || code == Some(ErrorCode::Draining), "{code:?} for {number} of {WAITING}");
    }
}

/// `shutdown` announces the end to clients and closes them, as a signal does.
#[test]
fn shutdown_is_graceful() {
    let server = serve(Server::builder(Config { drain_ms: 400, ..config() }));
    let mut client = Client::connect(server.address, "user-1", "s1");
    server.handle().shutdown();
    server.handle().shutdown();
    let drain = client.receive();
    assert!(json::is(&drain, "type", "hashi:drain"));
    client.ws.expect_close(4000);
}

/// A handler that hangs does not keep the server from ending.
#[test]
fn a_hanging_handler_does_not_hold_up_the_end() {
    let (gate, keeper) = gate();
    let server = serve(
        Server::builder(Config { drain_ms: 200, ..config() }).on("hang", move |message, _| gate.pass(&message.id)),
    );
    let mut client = Client::connect(server.address, "user-1", "s1");
    client.send(&ask("h1", "hang"));
    assert_eq!(keeper.next(), "h1");
    // Waits for the end, and fails when it does not come.
    drop(server);
    drop(keeper);
}
