//! Whether the peers that are compared do what they are compared for: every check of the harness holds against those in Rust. Those
//! in JavaScript need their runtimes; a comparison counts none of their runs that fail a check.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;

use hashi_peers::TcpListener;

use crate::reactor::Dialect;
use crate::scenarios::{Connect, Idle, Layout, OpenLoop, Pace, Scenario, Traffic};
use crate::stand_in::{plan, run_at, target};

/// Serves on a thread that ends with the tests.
fn start<F: Future<Output = io::Result<()>> + 'static>(serve: fn(TcpListener) -> F) -> SocketAddr {
    let (ready, address) = mpsc::channel();
    thread::spawn(move || {
        hashi_peers::run(0, |listener| async move {
            ready.send(listener.local_addr()?).expect("the test waits for it");
            serve(listener).await
        })
    });
    address.recv().expect("the peer listens")
}

fn passes(address: SocketAddr, scenario: impl Scenario) {
    let report = run_at(scenario, target(address, Dialect::Hashi)).unwrap();
    assert!(report.passed(), "{}", report.text());
    assert!(report.figures.number("errors") == Some(0.0), "{}", report.text());
    assert!(report.figures.number("messages") != Some(0.0), "{}", report.text());
}

fn passes_all(address: SocketAddr) {
    let traffic = |layout, pace| passes(address, Traffic::new("test", layout, plan(pace)));
    traffic(Layout::alone(5), Pace::PerPublisher(32));
    traffic(Layout::alone(5), Pace::Scheduled(OpenLoop::level(2000.0, 1000)));
    traffic(Layout::fanout(20), Pace::InAll(8));
    traffic(Layout::rooms(3, 4), Pace::InAll(20));
    passes(address, Connect::new(4, plan(Pace::InAll(1))));
    passes(address, Idle::new(20, 100_000_000));
}

#[test]
fn tokio_tungstenite_passes_every_check() {
    passes_all(start(hashi_peers::tungstenite::serve));
}

#[test]
fn fastwebsockets_passes_every_check() {
    passes_all(start(hashi_peers::fastwebsockets::serve));
}
