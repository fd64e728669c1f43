//! What a run is: the target, a scenario with its parameters, the load by phases, and thresholds. A scenario file is these
//! types as TOML, the command line is these types as flags; both have the same names and defaults.

/// A default is what the command line takes when a flag is not given.
macro_rules! defaults_of_the_command_line {
    ($($args:ty),*) => {$(
        impl Default for $args {
            fn default() -> Self {
                let matches = <$args>::augment_args(clap::Command::new("defaults")).get_matches_from(["defaults"]);
                Self::from_arg_matches(&matches).expect("ok because no argument is required")
            }
        }
    )*};
}

mod load;
mod parameters;
mod target;

use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, io};

use serde::Deserialize;

pub use load::{LoadArgs, PhaseSettings};
pub use parameters::{
    MixedArgs, OperationsArgs, RestArgs, ScenarioArgs, SlowArgs, StormArgs, check_connections, check_layout,
};
pub use target::TargetArgs;

use crate::envelope::{MIN_BYTES, MIN_WORDED_BYTES};
use crate::error::{LoadError, Result};
use crate::limits::{PAYLOAD_BYTES_MAX, RATE_MAX, SECONDS_MAX};
use crate::measure::SECOND_NS;
use crate::scenarios::{OpenLoop, Pace, Plan};
use crate::threshold::Threshold;

/// One run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(default)]
    pub target: TargetArgs,
    pub scenario: ScenarioArgs,
    #[serde(default)]
    pub load: LoadArgs,
    /// Without any, the load is one measured phase.
    #[serde(default)]
    pub phases: Vec<PhaseSettings>,
    /// Of the whole run.
    #[serde(default)]
    pub thresholds: Vec<Threshold>,
}

impl Settings {
    /// Reads a scenario file.
    pub fn read(path: &Path) -> Result<Self> {
        let failed = |error: io::Error| LoadError::Settings(format!("{}: {error}", path.display()));
        Self::parse(&fs::read_to_string(path).map_err(failed)?, &path.display().to_string())
    }

    fn parse(text: &str, name: &str) -> Result<Self> {
        toml::from_str(text).map_err(|error| LoadError::Settings(format!("{name}: {error}")))
    }

    /// The phases of a scenario that publishes, where `closed` makes the pace of a closed loop.
    pub fn plan(&self, closed: fn(usize) -> Pace) -> Result<Plan> {
        let whole = [PhaseSettings::whole(&self.load)];
        let measured = if self.phases.is_empty() { &whole[..] } else { &self.phases };
        let mut phases = Vec::new();
        for phase in measured {
            let pace = phase.pace(&self.load, closed)?;
            phases.push(phase.phase(pace)?);
        }
        let names: BTreeSet<&str> = self.phases.iter().map(|phase| phase.name.as_str()).collect();
        if names.len() < self.phases.len() {
            return settings("two phases have the same name");
        }
        if self.load.warmup_seconds > 0.0 {
            phases.insert(0, load::warm_up(nanoseconds("warmup_seconds", self.load.warmup_seconds)?, &phases[0]));
        }
        Ok(Plan(phases))
    }

    /// The phases of a scenario that publishes nothing.
    pub fn plan_without_load(&self) -> Result<Plan> {
        let given = |in_flight: Option<usize>, rate: Option<f64>| in_flight.is_some() || rate.is_some();
        if given(self.load.in_flight, self.load.rate)
            || self.phases.iter().any(|phase| given(phase.in_flight, phase.rate))
        {
            return settings("this scenario publishes nothing: it has no rate and nothing in flight");
        }
        self.plan(Pace::InAll)
    }

    /// The phases of a scenario whose load is the same in all of them.
    pub fn plan_of_one_load(&self) -> Result<Plan> {
        if self.phases.iter().any(|phase| phase.in_flight.is_some() || phase.rate.is_some()) {
            return settings("this scenario has one load: its phases have no rate and nothing in flight");
        }
        self.plan(Pace::InAll)
    }

    /// The load of a scenario that goes by a schedule alone.
    pub fn open_loop(&self, default_rate: f64) -> Result<OpenLoop> {
        if self.load.in_flight.is_some() {
            return settings("this scenario goes by a schedule: it has a rate");
        }
        let rate = check_rate(self.load.rate.unwrap_or(default_rate))?;
        Ok(OpenLoop::level(rate, self.load.most_under_way()))
    }

    /// The load of a scenario that is a closed loop alone.
    pub fn window(&self) -> Result<usize> {
        match (self.load.rate, self.load.in_flight) {
            (Some(_), _) => settings("this scenario is a closed loop: it has no rate"),
            (None, Some(0)) => settings("in_flight must be at least 1"),
            (None, in_flight) => Ok(in_flight.unwrap_or(1)),
        }
    }

    pub fn message_bytes(&self) -> Result<usize> {
        self.bytes_from(MIN_BYTES)
    }

    /// The length of messages that are not all worded plainly.
    pub fn worded_bytes(&self) -> Result<usize> {
        self.bytes_from(MIN_WORDED_BYTES)
    }

    fn bytes_from(&self, least: usize) -> Result<usize> {
        if !(least..=PAYLOAD_BYTES_MAX).contains(&self.load.bytes) {
            return settings(format!("bytes must be {least} to {PAYLOAD_BYTES_MAX}"));
        }
        Ok(self.load.bytes)
    }

    /// The thresholds of the phases, by their names.
    pub fn phase_thresholds(&self) -> Vec<(String, Vec<Threshold>)> {
        self.phases.iter().map(|phase| (phase.name.clone(), phase.thresholds.clone())).collect()
    }
}

fn check_rate(rate: f64) -> Result<f64> {
    if !(rate > 0.0 && rate <= RATE_MAX) {
        return settings("a rate must be above 0, and at most 1e8");
    }
    Ok(rate)
}

fn settings<T>(text: impl Into<String>) -> Result<T> {
    Err(LoadError::Settings(text.into()))
}

fn nanoseconds(name: &str, seconds: f64) -> Result<u64> {
    if !(0.0..=SECONDS_MAX).contains(&seconds) {
        return settings(format!("{name} must be 0 to {SECONDS_MAX}"));
    }
    Ok((seconds * SECOND_NS as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::parameters::EchoArgs;
    use super::*;
    use crate::scenarios::Ramp;

    fn parsed(text: &str) -> Settings {
        Settings::parse(text, "test.toml").unwrap()
    }

    fn refusal(text: &str) -> String {
        match Settings::parse(text, "test.toml") {
            Ok(settings) => settings.plan(Pace::InAll).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_file_that_says_nothing_else_has_the_defaults_of_the_command_line() {
        let settings = parsed("[scenario.echo]");
        assert!(matches!(settings.scenario, ScenarioArgs::Echo(EchoArgs { connections: 100 })));
        assert_eq!(settings.message_bytes().unwrap(), 256);
        assert_eq!(settings.plan(Pace::InAll).unwrap(), Plan::simple(SECOND_NS, 5 * SECOND_NS, Pace::InAll(1)));
    }

    #[test]
    fn phases_have_the_load_of_the_run_unless_they_say_otherwise() {
        let text = r#"
            [scenario.fanout]
            [load]
            rate = 1000
            warmup_seconds = 2
            [[phases]]
            name = "ramp"
            seconds = 3
            rate_from = 500
            rate = 2000
            thresholds = ["p99_us < 500"]
            [[phases]]
            name = "level"
            seconds = 1
            [[phases]]
            name = "closed"
            seconds = 1
            in_flight = 4
        "#;
        let settings = parsed(text);
        let plan = settings.plan(Pace::InAll).unwrap();
        let rate = |from, to| Pace::Scheduled(OpenLoop { ramp: Ramp { from, to }, most_under_way: 100_000 });
        let paces: Vec<Pace> = plan.0.iter().map(|phase| phase.pace).collect();
        assert_eq!(paces, [rate(500.0, 500.0), rate(500.0, 2000.0), rate(1000.0, 1000.0), Pace::InAll(4)]);
        assert_eq!((plan.0[0].is_measured, plan.measured_ns()), (false, 5 * SECOND_NS));
        assert_eq!(settings.phase_thresholds()[0].1.len(), 1);
        assert!(settings.plan_without_load().is_err());
    }

    #[test]
    fn a_mistake_in_a_file_is_told_with_its_line() {
        assert!(refusal("[scenario.echo]\nconections = 5").contains("line 2"));
        assert!(refusal("[scenario.ekho]").contains("expected one of `echo`"));
        assert!(refusal("thresholds = ['p99_us']\n[scenario.echo]").contains("line 1"));
        assert!(refusal("").contains("missing field `scenario`"));
    }

    #[test]
    fn the_files_in_the_repository_are_right() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() > 3);
        for file in files {
            let settings = Settings::read(&file).unwrap();
            assert!(settings.plan(Pace::InAll).is_ok() && !settings.thresholds.is_empty(), "{}", file.display());
        }
    }

    #[test]
    fn a_load_that_makes_no_sense_is_refused() {
        for load in [
            "rate = 5\nin_flight = 1",
            "rate = 0",
            "rate = -1",
            "rate = nan",
            "in_flight = 0",
            "seconds = -1",
            "seconds = 0",
        ] {
            refusal(&format!("[scenario.echo]\n[load]\n{load}"));
        }
        let phase = "[[phases]]\nname='a'\nseconds=1\n";
        assert!(refusal(&format!("[scenario.echo]\n{phase}rate_from=1")).contains("needs a rate"));
        assert!(refusal(&format!("[scenario.echo]\n{phase}{phase}")).contains("same name"));
    }
}
