//! Everything that is known after a run, as text and as one JSON object.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::bottleneck;
use crate::environment::Environment;
use crate::observer::{Point, Recording};
use crate::report::{Check, Figures, PhaseReport, Report};
use crate::threshold::Verdict;

/// A run, its observation and its judgement.
#[derive(Debug)]
pub struct Outcome {
    pub report: Report,
    pub recording: Recording,
    pub environment: Environment,
    pub verdicts: Vec<Verdict>,
    /// The harness was the limit.
    pub warning: Option<String>,
}

/// The JSON object: the figures of the whole run first and flat.
#[derive(Serialize)]
struct Json<'a> {
    #[serde(flatten)]
    figures: &'a Figures,
    passed: bool,
    failures: Vec<&'a str>,
    checks: &'a [Check],
    warning: &'a Option<String>,
    thresholds: &'a [Verdict],
    phases: &'a [PhaseReport],
    series: &'a [Point],
    environment: &'a Environment,
}

impl Outcome {
    pub fn new(report: Report, recording: Recording, environment: Environment, verdicts: Vec<Verdict>) -> Self {
        let warning = bottleneck::warning(&report.figures);
        Self { report, recording, environment, verdicts, warning }
    }

    /// Whether all checks and thresholds passed. A warning changes nothing in that.
    pub fn passed(&self) -> bool {
        self.report.passed() && self.verdicts.iter().all(|verdict| verdict.passed)
    }

    /// The figures, a table of the phases when there are several, and what was judged.
    pub fn text(&self) -> String {
        let mut out = self.report.text();
        if self.measured_phases().count() > 1 {
            out += "\n";
            out += &phase_table(self.measured_phases());
        }
        for verdict in &self.verdicts {
            writeln!(out, "{verdict}").expect("ok because writing to a string cannot fail");
        }
        if let Some(warning) = &self.warning {
            writeln!(out, "WARNING: {warning}").expect("ok because writing to a string cannot fail");
        }
        out
    }

    pub fn json(&self) -> String {
        let json = Json {
            figures: &self.report.figures,
            passed: self.passed(),
            failures: self.report.failures().collect(),
            checks: &self.report.checks,
            warning: &self.warning,
            thresholds: &self.verdicts,
            phases: &self.report.phases,
            series: &self.recording.series,
            environment: &self.environment,
        };
        serde_json::to_string(&json).expect("ok because every key is a string")
    }

    /// The phases that count for the figures of the whole run.
    pub fn measured_phases(&self) -> impl Iterator<Item = &PhaseReport> {
        self.report.phases.iter().filter(|phase| phase.is_measured)
    }
}

/// The columns of the table of phases, with their headings.
const PHASE_COLUMNS: [(&str, &str); 6] = [
    ("messages_per_second", "messages/s"),
    ("latency_p50_us", "p50 us"),
    ("latency_p99_us", "p99 us"),
    ("latency_max_us", "max us"),
    ("late_share", "late"),
    ("server_cpu_percent", "server %"),
];

fn phase_table<'a>(phases: impl Iterator<Item = &'a PhaseReport>) -> String {
    let row = |name: &str, cells: [String; PHASE_COLUMNS.len()]| {
        cells.iter().fold(format!("{name:<16}"), |line, cell| format!("{line}{cell:>12}")) + "\n"
    };
    let mut out = row("phase", PHASE_COLUMNS.map(|(_, heading)| heading.to_owned()));
    for phase in phases {
        let cell = |(name, _)| phase.figures.number(name).map_or_else(|| "-".into(), |value| format!("{value:.3}"));
        out += &row(&phase.name, PHASE_COLUMNS.map(cell));
    }
    out
}

/// The numbers of a JSON object that was written before.
pub fn numbers(json: &str) -> Result<BTreeMap<String, f64>, serde_json::Error> {
    let values: BTreeMap<String, serde_json::Value> = serde_json::from_str(json)?;
    Ok(values.into_iter().filter_map(|(name, value)| Some((name, value.as_f64()?))).collect())
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::measure::Latency;
    use crate::observer::tests::point;

    /// A run with two phases, in which a check and a threshold failed.
    pub fn outcome() -> Outcome {
        let mut report = Report::new("echo");
        report.maybe("messages_per_second", Some(1234.5));
        report.maybe("latency_p99_us", Some(250.0));
        let mut latency = Latency::new();
        (1..1000).for_each(|us| latency.record(us * 1000));
        report.latency = Some(latency.clone());
        report.check("order is kept", None);
        report.check("nothing is lost in silence", Some("3 messages were lost <somewhere>".into()));
        for name in ["ramp <1>", "level"] {
            let figures = report.figures.clone();
            let latency = latency.clone();
            report.phases.push(PhaseReport { name: name.into(), is_measured: true, figures, latency });
        }
        let threshold: crate::threshold::Threshold = "p99_us < 200".parse().unwrap();
        let verdicts = crate::threshold::judge(&[threshold], &[], &report);
        let series = vec![point(1.0, "warm-up"), point(2.0, "ramp <1>"), point(3.0, "level")];
        let recording = Recording { series, interval_log: b"#log\n".to_vec() };
        Outcome::new(report, recording, Environment::here("ws://127.0.0.1:1/ws", None), verdicts)
    }

    #[test]
    fn a_failed_threshold_fails_the_run() {
        let mut outcome = outcome();
        outcome.report.checks.clear();
        assert!(outcome.report.passed() && !outcome.passed());
        assert!(outcome.text().contains("FAILED p99_us < 200 (is 250)"), "{}", outcome.text());
        assert!(outcome.text().contains("\nlevel "), "{}", outcome.text());
    }

    #[test]
    fn the_figures_of_the_run_are_flat_and_read_back() {
        let json = outcome().json();
        assert!(
            json.starts_with(
                r#"{"scenario":"echo","messages_per_second":1234.5,"latency_p99_us":250.0,"passed":false,"#
            ),
            "{json}"
        );
        assert_eq!(numbers(&json).unwrap().get("latency_p99_us"), Some(&250.0));
    }
}
