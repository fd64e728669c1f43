//! Simulation: the real server over a simulated network, with simulated time and randomness, and clients that come, go,
//! stall, lie and come back. Everything follows from a seed, so a failure can be repeated.
//!
//! - `cargo test --test simulation` runs a fixed set of seeds and one that is new.
//! - `make replay SEED=…` repeats one and prints what happened.
//! - `make simulate SEEDS=…` runs many.

mod common;

#[path = "simulation/actions.rs"]
mod actions;
#[path = "simulation/audit.rs"]
mod audit;
#[path = "simulation/canaries.rs"]
mod canaries;
#[path = "simulation/client.rs"]
mod client;
#[path = "simulation/confirmations.rs"]
mod confirmations;
#[path = "simulation/confirming.rs"]
mod confirming;
#[path = "simulation/connection.rs"]
mod connection;
#[path = "simulation/copies.rs"]
mod copies;
#[path = "simulation/cursor.rs"]
mod cursor;
#[path = "simulation/dice.rs"]
mod dice;
#[path = "simulation/doors.rs"]
mod doors;
#[path = "simulation/errand.rs"]
mod errand;
#[path = "simulation/event_stream.rs"]
mod event_stream;
#[path = "simulation/figures.rs"]
mod figures;
#[path = "simulation/http.rs"]
mod http;
#[path = "simulation/letter.rs"]
mod letter;
#[path = "simulation/network.rs"]
mod network;
#[path = "simulation/pipe.rs"]
mod pipe;
#[path = "simulation/poll_audit.rs"]
mod poll_audit;
#[path = "simulation/poller.rs"]
mod poller;
#[path = "simulation/repeating.rs"]
mod repeating;
#[path = "simulation/retold.rs"]
mod retold;
#[path = "simulation/rules.rs"]
mod rules;
#[path = "simulation/run.rs"]
mod run;
#[path = "simulation/sent.rs"]
mod sent;
#[path = "simulation/sim_net.rs"]
mod sim_net;
#[path = "simulation/slip.rs"]
mod slip;
#[path = "simulation/socket.rs"]
mod socket;
#[path = "simulation/stream.rs"]
mod stream;
#[path = "simulation/tamper.rs"]
mod tamper;
#[path = "simulation/transcript.rs"]
mod transcript;
#[path = "simulation/truth.rs"]
mod truth;
#[path = "simulation/web_socket.rs"]
mod web_socket;
#[path = "simulation/world.rs"]
mod world;

use std::panic::{catch_unwind, resume_unwind};
use std::thread;

use figures::Figures;
use run::run;
use transcript::Transcript;

/// Seeds that every test run repeats.
const FIXED_SEEDS: u64 = 30;

/// Runs seeds one after the other and names those that fail.
fn check_all(seeds: impl Iterator<Item = u64>) -> (Figures, Vec<u64>) {
    let (mut figures, mut failed) = (Figures::default(), Vec::new());
    for seed in seeds {
        match catch_unwind(|| run(seed, Transcript::Silent, None)) {
            Ok(more) => figures += more,
            Err(_) => {
                println!("seed {seed} fails");
                failed.push(seed);
            }
        }
    }
    (figures, failed)
}

fn report(figures: Figures, failed: &[u64]) {
    println!("{figures}");
    assert!(failed.is_empty(), "failed: {failed:?}; `make replay SEED=…` shows how");
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

#[test]
fn fixed_seeds_and_a_new_one_keep_the_promise() {
    let new = rand::random();
    println!("the new seed is {new}");
    let (figures, failed) = check_all((1..=FIXED_SEEDS).chain([new]));
    report(figures, &failed);
}

#[test]
#[ignore = "make replay SEED=…"]
fn replay() {
    let seed = number_from("SEED").expect("SEED names the seed");
    println!("{}", run(seed, Transcript::Printed, None));
}

#[test]
#[ignore = "make simulate SEEDS=…"]
fn many() {
    let (first, count) = (number_from("FIRST").unwrap_or(1), number_from("SEEDS").unwrap_or(1_000));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let (mut figures, mut failed) = (Figures::default(), Vec::new());
    thread::scope(|scope| {
        let share = |thread| (first..first + count).skip(thread).step_by(threads);
        let runs: Vec<_> = (0..threads).map(|thread| scope.spawn(move || check_all(share(thread)))).collect();
        for run in runs {
            let (more, others) = run.join().unwrap_or_else(|panic| resume_unwind(panic));
            figures += more;
            failed.extend(others);
        }
    });
    report(figures, &failed);
}
