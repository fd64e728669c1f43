//! A gate in a handler: the test sees who has entered and lets them go on.

use super::common::wait::PATIENCE;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::time::Duration;

/// A handler that nobody lets go on does so by itself, so that a failed test ends.
const STUCK: Duration = Duration::from_secs(20);

/// The handler's side.
#[derive(Clone)]
pub struct Gate {
    entered: Sender<String>,
    go: Receiver<()>,
}

/// The test's side. Dropping it lets everybody go on.
pub struct Keeper {
    entered: Receiver<String>,
    go: Sender<()>,
}

pub fn gate() -> (Gate, Keeper) {
    let (entered, entries) = unbounded();
    let (go, gone) = unbounded();
    (Gate { entered, go: gone }, Keeper { entered: entries, go })
}

impl Gate {
    /// Says who has entered and waits to be let go on.
    pub fn pass(&self, who: &str) {
        self.note(who);
        // Ok because an end of any kind lets it go on.
        let _ = self.go.recv_timeout(STUCK);
    }

    /// Only says who has entered.
    pub fn note(&self, who: &str) {
        // Ok because a test that is over no longer asks.
        let _ = self.entered.send(who.to_owned());
    }
}

impl Keeper {
    /// Waits for the next to enter.
    #[track_caller]
    pub fn next(&self) -> String {
        self.entered.recv_timeout(PATIENCE).expect("somebody enters the handler")
    }

    /// Those who have entered and were not yet seen.
    pub fn entered(&self) -> Vec<String> {
        self.entered.try_iter().collect()
    }

    /// Lets so many go on.
    pub fn release(&self, count: usize) {
        for _ in 0..count {
            // Ok because the channel is unbounded and a gate that is gone needs nothing.
            let _ = self.go.send(());
        }
    }
}
