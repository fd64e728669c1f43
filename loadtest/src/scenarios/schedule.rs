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
    /// Until when it was held up: that is not the harness's lateness.
    held_until: u64,
}

/// A message whose time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// When it is meant to be sent.
    pub sent_at: u64,
    /// How much later the harness comes to it, although nothing held it up.
    pub lateness_ns: u64,
}

impl Schedule {
    /// The first is due at once.
    pub fn new(start: u64, per_second: f64) -> Self {
        Self { start, interval_ns: SECOND_NS as f64 / per_second, sent: 0, held_until: start }
    }

    /// When the next message is meant to be sent.
    pub fn due(&self) -> u64 {
        self.start + (self.sent as f64 * self.interval_ns) as u64
    }

    /// Takes the next message if it is due.
    pub fn take(&mut self, now: u64) -> Option<Turn> {
        let sent_at = self.due();
        (sent_at <= now).then(|| {
            self.sent += 1;
            Turn { sent_at, lateness_ns: now - sent_at.max(self.held_until) }
        })
    }

    /// Too much is under way: nothing is taken now.
    pub fn hold(&mut self, now: u64) {
        if self.due() <= now {
            self.held_until = now;
        }
    }

    /// How many messages are due and were not taken.
    pub fn unsent(&self, now: u64) -> u64 {
        let due = (now.saturating_sub(self.start) as f64 / self.interval_ns) as u64 + 1;
        due.saturating_sub(self.sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_late_keeps_its_intended_time() {
        let mut schedule = Schedule::new(100, 1e8);
        assert_eq!((schedule.take(99), schedule.unsent(125)), (None, 3));
        let taken: Vec<u64> = std::iter::from_fn(|| schedule.take(125)).map(|turn| turn.sent_at).collect();
        assert_eq!((taken, schedule.due(), schedule.unsent(125)), (vec![100, 110, 120], 130, 0));
    }

    #[test]
    fn the_time_for_which_it_was_held_up_is_not_the_harness_s_lateness() {
        let mut schedule = Schedule::new(100, 1e8);
        assert_eq!(schedule.take(103), Some(Turn { sent_at: 100, lateness_ns: 3 }));
        schedule.hold(105);
        assert_eq!(schedule.take(112), Some(Turn { sent_at: 110, lateness_ns: 2 }));
        schedule.hold(150);
        assert_eq!(schedule.take(151), Some(Turn { sent_at: 120, lateness_ns: 1 }));
    }

    #[test]
    fn intervals_that_are_no_whole_number_do_not_drift() {
        let mut schedule = Schedule::new(0, 3.0);
        (0..300).for_each(|_| assert!(schedule.take(u64::MAX).is_some()));
        assert_eq!(schedule.due(), 100 * SECOND_NS);
    }
}
