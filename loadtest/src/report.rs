//! What a run found: figures in the order they were added, of the whole run and of each phase, and the checks that failed.

use std::fmt::Write;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::measure::Latency;

/// One figure.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub enum Value {
    Text(String),
    Int(u64),
    Float(f64),
    Texts(Vec<String>),
}

/// Named figures in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures(Vec<(String, Value)>);

impl Figures {
    pub fn text(&mut self, name: &str, value: &str) {
        self.0.push((name.into(), Value::Text(value.into())));
    }

    pub fn int(&mut self, name: &str, value: u64) {
        self.0.push((name.into(), Value::Int(value)));
    }

    /// A number, kept to three digits behind the point.
    pub fn float(&mut self, name: &str, value: f64) {
        self.0.push((name.into(), Value::Float((value * 1000.0).round() / 1000.0)));
    }

    /// A figure that is left out when it is not known.
    pub fn maybe(&mut self, name: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.float(name, value);
        }
    }

    /// Some lines; left out when there are none.
    pub fn texts(&mut self, name: &str, values: &[String]) {
        if !values.is_empty() {
            self.0.push((name.into(), Value::Texts(values.to_vec())));
        }
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Those that are numbers.
    pub fn numbers(&self) -> impl Iterator<Item = (&str, f64)> {
        self.iter().filter_map(|(name, value)| match value {
            Value::Int(number) => Some((name, *number as f64)),
            Value::Float(number) => Some((name, *number)),
            Value::Text(_) | Value::Texts(_) => None,
        })
    }

    /// The number of this name.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.numbers().find(|(own, _)| *own == name).map(|(_, number)| number)
    }
}

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// The figures of one phase.
#[derive(Debug, Clone, serde::Serialize)]
pub struct PhaseReport {
    pub name: String,
    #[serde(rename = "measured")]
    pub is_measured: bool,
    pub figures: Figures,
    #[serde(skip)]
    pub latency: Latency,
}

/// Something that must hold.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Check {
    pub name: String,
    /// What was found, if it does not hold.
    pub failure: Option<String>,
}

/// The figures and checks of one run.
#[derive(Debug, Clone)]
pub struct Report {
    pub scenario: String,
    /// Of all measured phases together.
    pub figures: Figures,
    pub phases: Vec<PhaseReport>,
    /// The latencies of all measured phases.
    pub latency: Option<Latency>,
    pub checks: Vec<Check>,
}

impl Report {
    pub fn new(scenario: &str) -> Self {
        let mut figures = Figures::default();
        figures.text("scenario", scenario);
        Self { scenario: scenario.into(), figures, phases: Vec::new(), latency: None, checks: Vec::new() }
    }

    pub fn int(&mut self, name: &str, value: u64) {
        self.figures.int(name, value);
    }

    /// A figure that is left out when it is not known.
    pub fn maybe(&mut self, name: &str, value: Option<f64>) {
        self.figures.maybe(name, value);
    }

    /// Some lines; left out when there are none.
    pub fn texts(&mut self, name: &str, values: &[String]) {
        self.figures.texts(name, values);
    }

    /// Adds a check, with what was found if it failed.
    pub fn check(&mut self, name: &str, failure: Option<String>) {
        self.checks.push(Check { name: name.into(), failure });
    }

    /// The run itself failed.
    pub fn fail(&mut self, what: impl Into<String>) {
        self.check("the run takes its course", Some(what.into()));
    }

    /// What was found by the checks that failed.
    pub fn failures(&self) -> impl Iterator<Item = &str> {
        self.checks.iter().filter_map(|check| check.failure.as_deref())
    }

    /// Whether every check passed.
    pub fn passed(&self) -> bool {
        self.failures().next().is_none()
    }

    /// One line per figure of the whole run.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for (name, value) in self.figures.iter() {
            let value = match value {
                Value::Text(text) => text.clone(),
                Value::Int(value) => value.to_string(),
                Value::Float(value) => format!("{value:.3}"),
                Value::Texts(values) => values.join("\n                            "),
            };
            writeln!(out, "{name:<28}{value}").expect("ok because writing to a string cannot fail");
        }
        for failure in self.failures() {
            writeln!(out, "FAILED: {failure}").expect("ok because writing to a string cannot fail");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_their_order_and_are_found_by_name() {
        let mut report = Report::new("echo");
        report.int("messages", 3);
        report.maybe("rate", Some(1.5004));
        report.maybe("unknown", None);
        report.texts("errors", &["say \"no\"".into()]);
        let json = serde_json::to_string(&report.figures).unwrap();
        assert_eq!(json, r#"{"scenario":"echo","messages":3,"rate":1.5,"errors":["say \"no\""]}"#);
        assert_eq!((report.figures.number("rate"), report.figures.number("scenario")), (Some(1.5), None));
    }

    #[test]
    fn a_failed_check_is_the_last_line() {
        let mut report = Report::new("echo");
        assert!(report.passed());
        report.fail("2 lost");
        assert!(!report.passed() && report.text().ends_with("FAILED: 2 lost\n"));
    }
}
