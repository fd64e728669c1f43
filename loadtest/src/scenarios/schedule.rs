//! The schedule of an open loop: when each message is meant to be sent, whatever became of those before it.

use crate::measure::SECOND_NS;

/// Messages of a schedule sent at once, when it is behind: few enough that arrivals are still timed promptly.
pub const SCHEDULE_BUDGET: usize = 1024;

/// Messages at equal intervals from a start on.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    start: u64,
    interval_ns: f64,
    sent: u64,
}

impl Schedule {
    /// The first is due at once.
    pub fn new(start: u64, per_second: f64) -> Self {
        Self { start, interval_ns: SECOND_NS as f64 / per_second, sent: 0 }
    }

    /// When the next message is meant to be sent.
    pub fn due(&self) -> u64 {
        self.start + (self.sent as f64 * self.interval_ns) as u64
    }

    /// Takes the next message if it is due: its intended time.
    pub fn take(&mut self, now: u64) -> Option<u64> {
        let due = self.due();
        (due <= now).then(|| {
            self.sent += 1;
            due
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_late_keeps_its_intended_time() {
        let mut schedule = Schedule::new(100, 1e8);
        assert_eq!(schedule.take(99), None);
        let taken: Vec<u64> = std::iter::from_fn(|| schedule.take(125)).collect();
        assert_eq!((taken, schedule.due()), (vec![100, 110, 120], 130));
    }

    #[test]
    fn intervals_that_are_no_whole_number_do_not_drift() {
        let mut schedule = Schedule::new(0, 3.0);
        (0..300).for_each(|_| assert!(schedule.take(u64::MAX).is_some()));
        assert_eq!(schedule.due(), 100 * SECOND_NS);
    }
}
