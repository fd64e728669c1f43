//! The comparison of a run with an earlier result, figure by figure.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use crate::error::{LoadError, Result};
use crate::outcome;
use crate::report::Figures;

/// Which way is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Better {
    Higher,
    Lower,
    /// A figure that describes the run, or that follows from others: a share of CPU rises with the rate.
    Neither,
}

/// By the names of figures, which say what they are.
fn better(name: &str) -> Better {
    const LOWER: [&str; 3] = ["server_cpu_us_per_", "server_bytes_per_", "server_rss_"];
    // The harness's own lateness is not the server's.
    let is_time = name.ends_with("_us") && !name.starts_with("send_lateness_");
    if name.ends_with("_per_second") {
        Better::Higher
    } else if is_time || LOWER.iter().any(|start| name.starts_with(start)) {
        Better::Lower
    } else {
        Better::Neither
    }
}

/// One figure beside its earlier value.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    name: String,
    before: f64,
    now: f64,
    is_regression: bool,
}

/// All figures that both results have.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison(Vec<Line>);

impl Comparison {
    /// Compares with the result in a file; a figure that is worse by more than `tolerance_percent` is a regression.
    pub fn with_file(figures: &Figures, path: &Path, tolerance_percent: f64) -> Result<Self> {
        let failed = |error: &dyn fmt::Display| LoadError::Settings(format!("{}: {error}", path.display()));
        let text = fs::read_to_string(path).map_err(|error| failed(&error))?;
        let before = outcome::numbers(&text).map_err(|error| failed(&error))?;
        Ok(Self::new(figures, &before, tolerance_percent))
    }

    fn new(figures: &Figures, before: &BTreeMap<String, f64>, tolerance_percent: f64) -> Self {
        let line = |(name, now): (&str, f64)| {
            let before = *before.get(name)?;
            let is_regression = is_regression(better(name), before, now, tolerance_percent);
            Some(Line { name: name.into(), before, now, is_regression })
        };
        Self(figures.numbers().filter_map(line).collect())
    }

    /// Whether nothing got worse.
    pub fn passed(&self) -> bool {
        !self.0.iter().any(|line| line.is_regression)
    }
}

fn is_regression(better: Better, before: f64, now: f64, tolerance_percent: f64) -> bool {
    let tolerance = tolerance_percent / 100.0;
    match better {
        Better::Higher => now < before * (1.0 - tolerance),
        Better::Lower => now > before * (1.0 + tolerance),
        Better::Neither => false,
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<28}{:>14}{:>14}{:>9}", "", "before", "now", "ratio")?;
        for Line { name, before, now, is_regression } in &self.0 {
            let ratio = if *before == 0.0 { "-".into() } else { format!("{:.3}", now / before) };
            let mark = if *is_regression { "  REGRESSION" } else { "" };
            writeln!(f, "{name:<28}{before:>14.3}{now:>14.3}{ratio:>9}{mark}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(name: &str, before: f64, now: f64) -> Comparison {
        let mut figures = Figures::default();
        figures.float(name, now);
        Comparison::new(&figures, &BTreeMap::from([(name.to_owned(), before)]), 5.0)
    }

    #[test]
    fn worse_by_more_than_the_tolerance_is_a_regression() {
        assert!(compared("messages_per_second", 100.0, 96.0).passed());
        assert!(!compared("messages_per_second", 100.0, 94.0).passed());
        assert!(compared("messages_per_second", 100.0, 200.0).passed());
        assert!(compared("latency_p99_us", 100.0, 104.0).passed());
        assert!(!compared("latency_p99_us", 100.0, 106.0).passed());
        assert!(!compared("server_bytes_per_connection", 500.0, 600.0).passed());
        assert!(compared("latency_p99_us", 100.0, 10.0).passed());
        assert!(!compared("high_p99_us", 100.0, 106.0).passed());
        assert!(compared("send_lateness_p99_us", 100.0, 200.0).passed());
        assert!(compared("messages", 100.0, 10.0).passed());
    }

    #[test]
    fn regressions_are_marked_and_new_figures_left_out() {
        let text = compared("latency_p50_us", 10.0, 20.0).to_string();
        assert!(text.contains("2.000  REGRESSION"), "{text}");
        let mut figures = Figures::default();
        figures.float("seconds", 1.0);
        assert_eq!(Comparison::new(&figures, &BTreeMap::new(), 5.0), Comparison(vec![]));
    }
}
