//! What is said about a wrong configuration, and about a doubtful one.

use std::fmt;

use super::settings::Source;
use super::{table, variable};

/// A value is quoted up to this many characters, so that a wrong one cannot flood the terminal.
const QUOTED_CHARS: usize = 80;

/// One wrong value: which, what it is, and what it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The variable's name in the environment.
    pub variable: &'static str,
    /// Where the value came from.
    pub source: Source,
    /// The value as given.
    pub given: String,
    /// What is allowed, as the end of "must be ...".
    pub allowed: String,
}

impl Problem {
    pub(super) fn new(variable: &'static str, given: impl Into<String>, allowed: impl Into<String>) -> Problem {
        Problem { variable, source: Source::Default, given: given.into(), allowed: allowed.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.variable, quote(&self.given))?;
        if self.source == Source::Flag {
            write!(f, " (given as --{})", variable::flag_of(self.variable))?;
        }
        write!(f, " must be {}", self.allowed)
    }
}

/// Every wrong value of a configuration, in the order of the table. Nothing starts with one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// The wrong values, at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    pub(super) fn unless_empty(mut problems: Vec<Problem>) -> Result<(), ConfigError> {
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort_by_key(|problem| table::position_of(problem.variable));
        Err(ConfigError { problems })
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => write!(f, "the configuration has a wrong value:")?,
            count => write!(f, "the configuration has {count} wrong values:")?,
        }
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for ConfigError {}

/// Something doubtful that does not stop the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A variable with one of our prefixes that the table does not have.
    UnknownVariable {
        /// The name found in the environment.
        name: String,
        /// The known name that is most like it, if one is near.
        nearest: Option<&'static str>,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Warning::UnknownVariable { name, nearest } = self;
        write!(f, "the variable {} is not known and has no effect", shorten(name))?;
        match nearest {
            Some(nearest) => write!(f, "; did you mean {nearest}?"),
            None => write!(f, "; `hashi --help` lists those that are"),
        }
    }
}

/// The value in quotes, with control characters escaped and the end cut off when it is long.
fn quote(value: &str) -> String {
    format!("\"{}\"", shorten(value))
}

fn shorten(value: &str) -> String {
    let mut short: String = value.chars().take(QUOTED_CHARS).flat_map(char::escape_debug).collect();
    if value.chars().nth(QUOTED_CHARS).is_some() {
        short.push_str("...");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line_whatever_was_given() {
        let problem = Problem::new("WEBSOCKET_PATH", "a\n\x1b[31m", "a path");
        assert_eq!(problem.to_string(), r#"WEBSOCKET_PATH="a\n\u{1b}[31m" must be a path"#);
        let long = Problem::new("WEBSOCKET_PATH", "x".repeat(10_000), "a path");
        assert!(long.to_string().len() < 150);
    }

    #[test]
    fn problems_come_in_the_order_of_the_table() {
        let problems =
            vec![Problem::new("HASHI_MEMORY_BYTES", "x", "a number"), Problem::new("WEBSOCKET_PORT", "y", "a number")];
        let error = ConfigError::unless_empty(problems).expect_err("two problems");
        assert_eq!(error.problems()[0].variable, "WEBSOCKET_PORT");
        assert!(error.to_string().starts_with("the configuration has 2 wrong values:\n  WEBSOCKET_PORT=\"y\" must be"));
    }
}
