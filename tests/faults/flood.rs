//! A publisher that does not stop before its connection ends.

use super::SESSION;
use super::common::client::Client;
use super::common::flood::message;
use super::common::frame::Frame;
use simd_json::prelude::*;
use std::net::SocketAddr;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Messages in one write, and the time between two. So many are a load, and few enough that a reader on a busy machine
/// need not fall behind.
const BURST: usize = 20;
const PACE: Duration = Duration::from_millis(2);

/// No test runs as long as so many bursts.
const BURSTS_MAX: usize = 30_000;

/// Publishes small messages to the session of the tests until the server is gone.
pub struct Flood(JoinHandle<()>);

impl Flood {
    #[track_caller]
    pub fn start(address: SocketAddr) -> Self {
        let mut client = Client::connect(address, "flood", SESSION);
        let frame = Frame::text(message("flood", "normal").encode()).encode();
        let burst = frame.repeat(BURST);
        let run = move || {
            let publish = |_: &usize| {
                // The pace of the publisher, not a wait for something.
                thread::sleep(PACE);
                client.ws.tcp.try_send(&burst).is_ok()
            };
            let went = (0..BURSTS_MAX).take_while(publish).count();
            assert!(went < BURSTS_MAX, "the server did not end");
        };
        Self(thread::Builder::new().name("flood".into()).spawn(run).expect("a thread"))
    }

    /// Waits until the server has ended it.
    #[track_caller]
    pub fn join(self) {
        self.0.join().expect("the flood ends with its connection");
    }
}
