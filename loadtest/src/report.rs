//! What a run found: figures in the order they were added, and the checks that failed; as text or as one JSON object.

use std::fmt::Write;

#[derive(Debug)]
enum Value {
    Text(String),
    Int(u64),
    Float(f64),
    Texts(Vec<String>),
}

/// The figures and failures of one run.
#[derive(Debug)]
pub struct Report {
    figures: Vec<(String, Value)>,
    failures: Vec<String>,
}

impl Report {
    pub fn new(scenario: &str) -> Self {
        Self { figures: vec![("scenario".into(), Value::Text(scenario.into()))], failures: Vec::new() }
    }

    pub fn int(&mut self, name: &str, value: u64) {
        self.figures.push((name.into(), Value::Int(value)));
    }

    pub fn float(&mut self, name: &str, value: f64) {
        self.figures.push((name.into(), Value::Float(value)));
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
            self.figures.push((name.into(), Value::Texts(values.to_vec())));
        }
    }

    /// A check failed.
    pub fn fail(&mut self, what: impl Into<String>) {
        self.failures.push(what.into());
    }

    /// Whether every check passed.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// One line per figure.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for (name, value) in &self.figures {
            let value = match value {
                Value::Text(text) => text.clone(),
                Value::Int(value) => value.to_string(),
                Value::Float(value) => format!("{value:.3}"),
                Value::Texts(values) => values.join("\n                            "),
            };
            writeln!(out, "{name:<28}{value}").expect("ok because writing to a string cannot fail");
        }
        for failure in &self.failures {
            writeln!(out, "FAILED: {failure}").expect("ok because writing to a string cannot fail");
        }
        out
    }

    /// One JSON object of all figures, with `passed` and `failures`.
    pub fn json(&self) -> String {
        let mut out = String::from("{");
        for (name, value) in &self.figures {
            let value = match value {
                Value::Text(text) => quoted(text),
                Value::Int(value) => value.to_string(),
                Value::Float(value) => format!("{:?}", (value * 1000.0).round() / 1000.0),
                Value::Texts(values) => list(values),
            };
            write!(out, "{}:{value},", quoted(name)).expect("ok because writing to a string cannot fail");
        }
        write!(out, r#""passed":{},"failures":{}}}"#, self.passed(), list(&self.failures))
            .expect("ok because writing to a string cannot fail");
        out
    }
}

fn list(values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
    format!("[{}]", values.join(","))
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            c if c.is_control() => {
                write!(out, "\\u{:04x}", u32::from(c)).expect("ok because writing to a string cannot fail");
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_one_object() {
        let mut report = Report::new("echo");
        report.int("messages", 3);
        report.float("rate", 1.5);
        report.maybe("unknown", None);
        report.texts("errors", &["say \"no\"\n".into()]);
        assert!(report.passed());
        report.fail("2 lost");
        assert_eq!(
            report.json(),
            r#"{"scenario":"echo","messages":3,"rate":1.5,"errors":["say \"no\"\u000a"],"passed":false,"failures":["2 lost"]}"#
        );
        assert!(report.text().ends_with("FAILED: 2 lost\n"));
    }
}
