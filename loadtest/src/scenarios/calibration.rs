//! How much a server carries: the rate of a closed loop, after a while in which it finds its pace.

use crate::measure::SECOND_NS;

/// The loop runs so long before its rate is measured, and so long while it is.
const WARMUP_NS: u64 = SECOND_NS / 2;
const MEASURED_NS: u64 = SECOND_NS;

/// One measurement, from its creation on.
#[derive(Debug, Clone, Copy)]
pub struct Calibration {
    start: u64,
    completed: u64,
}

impl Calibration {
    pub fn begin(now: u64) -> Self {
        Self { start: now + WARMUP_NS, completed: 0 }
    }

    /// So many messages are done.
    pub fn completed(&mut self, count: u64, now: u64) {
        if now >= self.start {
            self.completed += count;
        }
    }

    /// When it is over.
    pub fn due(&self) -> u64 {
        self.start + MEASURED_NS
    }

    /// Messages per second, once it is over.
    pub fn rate(&self, now: u64) -> Option<f64> {
        let seconds = now.saturating_sub(self.start) as f64 / SECOND_NS as f64;
        (now >= self.due()).then(|| self.completed as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_measured_time() {
        let mut calibration = Calibration::begin(7);
        calibration.completed(1000, 8);
        assert_eq!(calibration.rate(7 + WARMUP_NS), None);
        calibration.completed(300, 7 + WARMUP_NS);
        assert_eq!(calibration.rate(calibration.due() + SECOND_NS), Some(150.0));
    }
}
