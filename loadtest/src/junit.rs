//! The checks and thresholds of a run as a JUnit report, for continuous integration: one test case for each.

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use crate::outcome::Outcome;
use crate::threshold::Verdict;

/// The report as XML.
pub fn xml(outcome: &Outcome) -> Result<String, SerializeError> {
    let scenario = &outcome.report.scenario;
    let mut suite = TestSuite::new(format!("hashi-loadtest {scenario}"));
    for check in &outcome.report.checks {
        suite.add_test_case(case(scenario, "check", &check.name, check.failure.clone()));
    }
    for verdict in &outcome.verdicts {
        suite.add_test_case(case(scenario, "threshold", &name(verdict), failure(verdict)));
    }
    let mut report = Report::new("hashi-loadtest");
    report.add_test_suite(suite);
    report.to_string()
}

fn case(scenario: &str, class: &str, name: &str, failure: Option<String>) -> TestCase {
    let status = match failure {
        None => TestCaseStatus::success(),
        Some(message) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(message);
            status
        }
    };
    let mut case = TestCase::new(name, status);
    case.set_classname(format!("{scenario}.{class}"));
    case
}

fn name(verdict: &Verdict) -> String {
    match &verdict.phase {
        Some(phase) => format!("{phase}: {}", verdict.threshold),
        None => verdict.threshold.clone(),
    }
}

fn failure(verdict: &Verdict) -> Option<String> {
    (!verdict.passed).then(|| verdict.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::outcome;

    #[test]
    fn every_check_and_threshold_is_a_case() {
        let xml = xml(&outcome()).unwrap();
        assert!(xml.contains(r#"tests="3""#) && xml.contains(r#"failures="2""#), "{xml}");
        assert!(xml.contains(r#"name="p99_us &lt; 200" classname="echo.threshold""#), "{xml}");
        assert!(xml.contains("3 messages were lost &lt;somewhere&gt;"), "{xml}");
    }
}
