//! The golden envelopes of tests/golden: each is sent over a real connection, and the server's answer is compared with
//! the committed one. tests/golden/README.md says how the files are named.

mod common;

#[path = "golden/cases.rs"]
mod cases;
#[path = "golden/difference.rs"]
mod difference;
#[path = "golden/exchange.rs"]
mod exchange;
#[path = "golden/mask.rs"]
mod mask;

use cases::Case;
use serde_json::Value;

/// Compares every case of a folder, and fails with all differences.
#[track_caller]
fn compare(folder: &str, at_least: usize, check: impl Fn(&Case, &[Value]) -> Result<(), String>) {
    let cases = cases::read(folder);
    assert!(cases.len() >= at_least, "only {} cases in {folder}", cases.len());
    let problem = |case: &Case| {
        let answers = exchange::run(case);
        let expected = Value::Array(case.answers.clone());
        let got = Value::Array(answers.clone());
        let difference = (expected != got).then(|| difference::show(&expected, &got));
        let problem = difference.or_else(|| check(case, &answers).err())?;
        Some(format!("{folder}/{}.json: {}\n{problem}", case.name, case.text))
    };
    let problems: Vec<String> = cases.iter().filter_map(problem).collect();
    assert!(problems.is_empty(), "{} of {} cases differ\n\n{}", problems.len(), cases.len(), problems.join("\n\n"));
}

#[test]
fn valid_envelopes_are_answered_as_committed() {
    compare("valid", 40, |case, answers| {
        let error = answers.iter().find(|answer| answer["type"] == "error" || answer["payload"]["success"] == false);
        match error {
            None => Ok(()),
            Some(error) => Err(format!("{} is valid, but: {error}", case.name)),
        }
    });
}

#[test]
fn invalid_envelopes_are_refused_as_committed() {
    compare("invalid", 60, |case, answers| {
        let (code, field) = case.expected_error();
        let error = answers.first().map_or(&Value::Null, |answer| &answer["payload"]);
        let found = (error["code"].as_str(), error["field"].as_str());
        if found == (Some(code), field) {
            return Ok(());
        }
        Err(format!("the name says {code} and {field:?}, the answer {found:?}"))
    });
}

/// What is called valid is one JSON object with the required members, whoever reads it.
#[test]
fn valid_envelopes_are_valid_json() {
    for case in cases::read("valid") {
        let value: Value = serde_json::from_str(&case.text).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        for member in ["id", "type"] {
            assert!(value[member].is_string(), "{} has no {member}", case.name);
        }
        let is_heartbeat = value["type"] == "heartbeat";
        assert!(is_heartbeat || value.get("payload").is_some(), "{} has no payload", case.name);
    }
}
