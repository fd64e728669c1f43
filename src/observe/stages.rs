//! How long the stages of a tick take.
//!
//! Reading the clock seven times a tick would cost a tick of one message 2 % of its time, so one tick in
//! [`MEASURED_TICKS`] is measured by stage. `tick_ns` has every tick, and so the longest.

use hdrhistogram::Histogram;

use super::histogram;
use crate::config::limits::MEASURED_TICKS;

/// The stages after the wait, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Sockets become rows.
    Accept,
    /// Bytes become requests and messages.
    Read,
    /// Results of handlers and commands of other threads.
    Complete,
    /// Deadlines.
    Expire,
    /// Rings go to sockets.
    Drain,
    /// Rows are freed.
    Reap,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Accept, Self::Read, Self::Complete, Self::Expire, Self::Drain, Self::Reap];

    /// Its name on the pages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Read => "read",
            Self::Complete => "complete",
            Self::Expire => "expire",
            Self::Drain => "drain",
            Self::Reap => "reap",
        }
    }
}

/// A histogram for each stage.
pub struct StageTimes {
    times_ns: [Histogram<u64>; Stage::ALL.len()],
    /// When the running stage of a measured tick began.
    began_ns: Option<u64>,
}

impl Default for StageTimes {
    fn default() -> Self {
        Self { times_ns: std::array::from_fn(|_| histogram()), began_ns: None }
    }
}

impl StageTimes {
    /// Begins a tick; reads the clock if the tick is measured.
    pub fn begin(&mut self, tick: u64, now_ns: impl FnOnce() -> u64) {
        self.began_ns = tick.is_multiple_of(MEASURED_TICKS).then(now_ns);
    }

    /// Ends a stage, which begins the next one; reads the clock if the tick is measured.
    pub fn end(&mut self, stage: Stage, now_ns: impl FnOnce() -> u64) {
        if let Some(began_ns) = self.began_ns {
            let ended_ns = now_ns();
            self.times_ns[stage as usize].saturating_record(ended_ns.saturating_sub(began_ns).max(1));
            self.began_ns = Some(ended_ns);
        }
    }

    /// The lengths of a stage, in nanoseconds.
    pub const fn of(&self, stage: Stage) -> &Histogram<u64> {
        &self.times_ns[stage as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_has_the_time_since_the_one_before() {
        let mut times = StageTimes::default();
        times.begin(0, || 100);
        times.end(Stage::Accept, || 110);
        times.end(Stage::Read, || 140);
        assert_eq!((times.of(Stage::Accept).max(), times.of(Stage::Read).max()), (10, 30));
        assert!(times.of(Stage::Drain).is_empty());
    }

    #[test]
    fn other_ticks_do_not_read_the_clock() {
        let mut times = StageTimes::default();
        times.begin(MEASURED_TICKS, || 100);
        times.begin(MEASURED_TICKS + 1, || unreachable!());
        times.end(Stage::Accept, || unreachable!());
        assert!(times.of(Stage::Accept).is_empty());
    }
}
