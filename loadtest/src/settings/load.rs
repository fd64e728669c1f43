//! What is published, and how long: the load of a run and of its phases.

use clap::{Args, FromArgMatches};
use serde::Deserialize;

use super::{check_rate, nanoseconds, settings};
use crate::error::Result;
use crate::limits::UNDER_WAY_BYTES_MAX;
use crate::scenarios::{OpenLoop, Pace, Phase, Ramp};
use crate::threshold::Threshold;

/// What is published, and how long; phases may say otherwise.
#[derive(Debug, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoadArgs {
    /// Length of each published envelope
    #[arg(long, default_value_t = 256)]
    pub(super) bytes: usize,
    /// Closed loop: messages under way (per connection for echo, in all otherwise); 1 if there is no rate either
    #[arg(long)]
    pub(super) in_flight: Option<usize>,
    /// Open loop: messages per second in all, by schedule; latencies count from the intended time
    #[arg(long)]
    pub(super) rate: Option<f64>,
    /// Open loop: the schedule waits while so many messages are under way
    #[arg(long, default_value_t = 100_000)]
    pub(super) max_under_way: usize,
    /// Measured time
    #[arg(long, default_value_t = 5.0)]
    pub(super) seconds: f64,
    /// Time under load before it
    #[arg(long, default_value_t = 1.0)]
    pub(super) warmup_seconds: f64,
}

/// One measured phase.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseSettings {
    pub(super) name: String,
    pub(super) seconds: f64,
    pub(super) in_flight: Option<usize>,
    pub(super) rate: Option<f64>,
    /// The rate at its begin, from which it goes in a straight line to `rate`.
    pub(super) rate_from: Option<f64>,
    #[serde(default)]
    pub(super) thresholds: Vec<Threshold>,
}

defaults_of_the_command_line!(LoadArgs);

impl LoadArgs {
    /// How many messages may be under way in an open loop.
    pub fn most_under_way(&self) -> usize {
        self.max_under_way.min(UNDER_WAY_BYTES_MAX / self.bytes.max(1)).max(1)
    }
}

impl PhaseSettings {
    /// The load as one phase.
    pub fn whole(load: &LoadArgs) -> Self {
        let (name, thresholds) = ("measured".into(), Vec::new());
        Self { name, seconds: load.seconds, in_flight: None, rate: None, rate_from: None, thresholds }
    }

    /// The phase with a pace.
    pub fn phase(&self, pace: Pace) -> Result<Phase> {
        let length_ns = nanoseconds("seconds", self.seconds)?;
        if length_ns == 0 {
            return settings("a phase must have a length: seconds above 0");
        }
        Ok(Phase { name: self.name.clone(), length_ns, pace, is_measured: true })
    }

    /// What the phase says about its load goes before what the run says.
    pub fn pace(&self, load: &LoadArgs, closed: fn(usize) -> Pace) -> Result<Pace> {
        let own = (self.in_flight, self.rate);
        match if own == (None, None) { (load.in_flight, load.rate) } else { own } {
            (Some(_), Some(_)) => settings("a load is either in_flight or a rate, not both"),
            (_, None) if self.rate_from.is_some() => settings("rate_from needs a rate"),
            (_, Some(rate)) => self.scheduled(rate, load),
            (Some(0), None) => settings("in_flight must be at least 1"),
            (in_flight, None) => Ok(closed(in_flight.unwrap_or(1))),
        }
    }

    fn scheduled(&self, to: f64, load: &LoadArgs) -> Result<Pace> {
        let from = self.rate_from.unwrap_or(to);
        let (from, to) = (check_rate(from)?, check_rate(to)?);
        Ok(Pace::Scheduled(OpenLoop { ramp: Ramp { from, to }, most_under_way: load.most_under_way() }))
    }
}

/// A warm-up with the load with which the first phase begins.
pub fn warm_up(length_ns: u64, first: &Phase) -> Phase {
    let pace = match first.pace {
        Pace::Scheduled(OpenLoop { ramp, most_under_way }) => {
            Pace::Scheduled(OpenLoop::level(ramp.from, most_under_way))
        }
        closed => closed,
    };
    Phase { name: "warm-up".into(), length_ns, pace, is_measured: false }
}
