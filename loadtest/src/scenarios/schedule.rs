//! The schedule of an open loop: when each message is meant to be sent, whatever became of those before it.

use super::{OpenLoop, Ramp};

/// The messages of one stretch of time, by a ramp.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    start: u64,
    length_ns: u64,
    ramp: Ramp,
    sent: u64,
    /// Until when it was held up, as far as is known: that is not the harness's lateness.
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
    /// The first is due at once; the ramp reaches its end `length_ns` after the start.
    fn new(start: u64, length_ns: u64, ramp: Ramp) -> Self {
        Self { start, length_ns, ramp, sent: 0, held_until: start }
    }

    /// When the next message is meant to be sent.
    fn due(&self) -> u64 {
        self.start.saturating_add(self.ramp.due_ns(self.sent, self.length_ns))
    }

    /// Takes the next message if it is due.
    fn take(&mut self, now: u64) -> Option<Turn> {
        let sent_at = self.due();
        (sent_at <= now).then(|| {
            self.sent += 1;
            Turn { sent_at, lateness_ns: now - sent_at.max(self.held_until) }
        })
    }

    /// Too much is under way: nothing is taken now.
    fn hold(&mut self, now: u64) {
        if self.due() <= now {
            self.held_until = now;
        }
    }

    /// How many messages were due, within the stretch of time, and were not taken.
    fn unsent(&self, now: u64) -> u64 {
        let elapsed = now.saturating_sub(self.start).min(self.length_ns);
        self.ramp.count_due(elapsed, self.length_ns).saturating_sub(self.sent)
    }
}

/// The schedule of an open loop, if one goes on, and how much may be under way by it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Paced {
    schedule: Option<Schedule>,
    most_under_way: usize,
}

impl Paced {
    /// The first message is due at once; the ramp reaches its end `length_ns` after the start.
    pub fn new(start: u64, length_ns: u64, load: OpenLoop) -> Self {
        let schedule = Some(Schedule::new(start, length_ns, load.ramp));
        Self { schedule, most_under_way: load.most_under_way }
    }

    /// At the rate with which it begins, without end.
    pub fn endless(start: u64, load: OpenLoop) -> Self {
        Self::new(start, u64::MAX, load)
    }

    /// Takes the next message if it is due, unless too much is under way.
    pub fn take(&mut self, under_way: usize, now: u64) -> Option<Turn> {
        let schedule = self.schedule.as_mut()?;
        if under_way < self.most_under_way {
            return schedule.take(now);
        }
        schedule.hold(now);
        None
    }

    /// When the next message is due; `u64::MAX` while too much is under way.
    pub fn due(&self, under_way: usize) -> u64 {
        self.schedule.as_ref().filter(|_| under_way < self.most_under_way).map_or(u64::MAX, Schedule::due)
    }

    /// Ends the schedule. Returns how many messages were due and are not sent. They will not be: they are counted, since
    /// their latency cannot be.
    pub fn end(&mut self, now: u64) -> u64 {
        self.schedule.take().map_or(0, |schedule| schedule.unsent(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::SECOND_NS;

    fn level(start: u64, per_second: f64) -> Schedule {
        Schedule::new(start, u64::MAX, Ramp::level(per_second))
    }

    #[test]
    fn what_is_late_keeps_its_intended_time() {
        let mut schedule = level(100, 1e8);
        assert_eq!((schedule.take(99), schedule.unsent(125)), (None, 3));
        let taken: Vec<u64> = std::iter::from_fn(|| schedule.take(125)).map(|turn| turn.sent_at).collect();
        assert_eq!((taken, schedule.due(), schedule.unsent(125)), (vec![100, 110, 120], 130, 0));
    }

    #[test]
    fn the_time_for_which_it_was_held_up_is_not_the_harness_s_lateness() {
        let mut schedule = level(100, 1e8);
        assert_eq!(schedule.take(103), Some(Turn { sent_at: 100, lateness_ns: 3 }));
        schedule.hold(105);
        assert_eq!(schedule.take(112), Some(Turn { sent_at: 110, lateness_ns: 2 }));
        schedule.hold(150);
        assert_eq!(schedule.take(151), Some(Turn { sent_at: 120, lateness_ns: 1 }));
    }

    #[test]
    fn intervals_that_are_no_whole_number_do_not_drift() {
        let mut schedule = level(0, 3.0);
        (0..300).for_each(|_| assert!(schedule.take(u64::MAX).is_some()));
        assert_eq!(schedule.due(), 100 * SECOND_NS);
    }

    #[test]
    fn what_was_due_after_a_phase_is_not_its_own() {
        let mut schedule = Schedule::new(100, 50, Ramp::level(1e8));
        assert!(schedule.take(125).is_some());
        assert_eq!((schedule.unsent(125), schedule.unsent(150), schedule.unsent(1000)), (2, 4, 4));
    }

    #[test]
    fn a_schedule_waits_while_too_much_is_under_way() {
        let mut paced = Paced::endless(100, OpenLoop::level(1e8, 2));
        assert_eq!((paced.due(1), paced.due(2)), (100, u64::MAX));
        assert_eq!(paced.take(2, 105), None);
        assert_eq!(paced.take(1, 112), Some(Turn { sent_at: 100, lateness_ns: 7 }));
        assert_eq!((paced.due(1), paced.end(125), paced.end(125), paced.due(1)), (110, 2, 0, u64::MAX));
    }
}
