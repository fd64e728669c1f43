//! Thresholds: conditions on figures, such as `p99_us < 500` or `lost == 0`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::report::{Figures, Report};

/// Short names of figures.
pub const ALIASES: [(&str, &str); 9] = [
    ("p50_us", "latency_p50_us"),
    ("p90_us", "latency_p90_us"),
    ("p99_us", "latency_p99_us"),
    ("p999_us", "latency_p999_us"),
    ("max_us", "latency_max_us"),
    ("lost", "lost_silently"),
    ("rate", "messages_per_second"),
    ("server_cpu", "server_cpu_percent"),
    ("server_rss", "server_rss_mib"),
];

/// How a figure is compared with the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    AtMost,
    More,
    AtLeast,
    Equal,
    NotEqual,
}

/// The signs, those of two characters before their beginnings.
const SIGNS: [(&str, Comparison); 6] = [
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("==", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<", Comparison::Less),
    (">", Comparison::More),
];

impl Comparison {
    fn holds(self, actual: f64, limit: f64) -> bool {
        match self {
            Self::Less => actual < limit,
            Self::AtMost => actual <= limit,
            Self::More => actual > limit,
            Self::AtLeast => actual >= limit,
            Self::Equal => actual == limit,
            Self::NotEqual => actual != limit,
        }
    }
}

/// A condition on one figure.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct Threshold {
    text: String,
    /// The whole name of the figure.
    figure: String,
    comparison: Comparison,
    limit: f64,
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no threshold: it should look like `p99_us < 500`, with <, <=, >, >=, == or !=");
        let (sign, comparison) = SIGNS.into_iter().find(|(sign, _)| text.contains(sign)).ok_or_else(wrong)?;
        let (name, limit) = text.split_once(sign).ok_or_else(wrong)?;
        let limit: f64 = limit.trim().replace('_', "").parse().map_err(|_| wrong())?;
        let name = name.trim();
        if name.is_empty() || !limit.is_finite() {
            return Err(wrong());
        }
        let figure = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, whole)| whole);
        Ok(Self { text: text.trim().into(), figure: figure.into(), comparison, limit })
    }
}

impl TryFrom<String> for Threshold {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// What became of a threshold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    pub threshold: String,
    /// The phase it is about; `None` is the whole run.
    pub phase: Option<String>,
    /// `None`: the run has no figure of this name.
    pub actual: Option<f64>,
    pub passed: bool,
    /// Why it could not be judged.
    pub error: Option<String>,
}

impl Threshold {
    fn judge(&self, figures: &Figures, phase: Option<&str>) -> Verdict {
        let actual = figures.number(&self.figure);
        Verdict {
            threshold: self.text.clone(),
            phase: phase.map(str::to_owned),
            actual,
            passed: actual.is_some_and(|actual| self.comparison.holds(actual, self.limit)),
            error: actual.is_none().then(|| self.unknown(figures)),
        }
    }

    fn unknown(&self, figures: &Figures) -> String {
        let names: Vec<&str> = figures.numbers().map(|(name, _)| name).collect();
        format!("there is no figure `{}` here; there are {}", self.figure, names.join(", "))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.passed { "passed" } else { "FAILED" }, self.threshold)?;
        if let Some(phase) = &self.phase {
            write!(f, " in phase {phase}")?;
        }
        match (&self.actual, &self.error) {
            (Some(actual), _) => write!(f, " (is {actual})"),
            (None, Some(error)) => write!(f, ": {error}"),
            (None, None) => Ok(()),
        }
    }
}

/// Judges the thresholds of the whole run, then those of each phase (by the phase's name).
pub fn judge(whole: &[Threshold], phases: &[(String, Vec<Threshold>)], report: &Report) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = whole.iter().map(|threshold| threshold.judge(&report.figures, None)).collect();
    let nothing = Figures::default();
    for (name, thresholds) in phases {
        let phase = report.phases.iter().find(|phase| phase.name == *name);
        let figures = phase.map_or(&nothing, |phase| &phase.figures);
        verdicts.extend(thresholds.iter().map(|threshold| threshold.judge(figures, Some(name))));
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str) -> Verdict {
        let mut figures = Figures::default();
        figures.float("latency_p99_us", 400.0);
        figures.int("lost_silently", 0);
        text.parse::<Threshold>().unwrap().judge(&figures, None)
    }

    #[test]
    fn every_sign_and_every_short_name_means_what_it_says() {
        for text in ["p99_us < 500", "p99_us<=400", "latency_p99_us >= 4e2", "lost == 0", "lost != 1", " p99_us >1_00 "]
        {
            assert!(verdict(text).passed, "{text}");
        }
        for text in ["p99_us < 400", "p99_us <= 399.9", "p99_us >= 401", "lost == 1", "lost != 0", "p99_us > 400"] {
            assert!(!verdict(text).passed && verdict(text).error.is_none(), "{text}");
        }
    }

    #[test]
    fn an_unknown_figure_fails_and_the_known_ones_are_named() {
        let found = verdict("p98_us < 1");
        assert!(!found.passed);
        assert!(found.to_string().ends_with("there are latency_p99_us, lost_silently"), "{found}");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["p99_us", "p99_us < fast", "< 5", "p99_us = 5", "p99_us < inf", ""] {
            assert!(text.parse::<Threshold>().is_err(), "{text}");
        }
    }

    #[test]
    fn thresholds_of_a_phase_look_at_its_figures() {
        let report = Report::new("echo");
        let threshold: Threshold = "lost == 0".parse().unwrap();
        let found = judge(&[], &[("ramp".into(), vec![threshold])], &report);
        assert_eq!((found[0].phase.as_deref(), found[0].actual), (Some("ramp"), None));
    }
}
