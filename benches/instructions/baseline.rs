//! The counts that were accepted, in `baseline.txt`, and how others differ from them.

use std::collections::HashMap;
use std::fmt::Write;
use std::fs;

/// By how much a count may differ.
const TOLERANCE_PERCENT: f64 = 3.0;
const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions/baseline.txt");
const HEAD: &str =
    "# Instructions of one operation of each case. `make counts` compares, `make counts-accept` writes this file.";
const MACHINE: &str = "# Counted with: ";

/// One case's figure.
pub struct Count {
    pub case: String,
    pub instructions: f64,
}

/// What was accepted.
pub struct Baseline {
    /// What the counts depend on.
    pub machine: String,
    pub counts: Vec<Count>,
}

impl Baseline {
    pub fn read() -> Result<Self, String> {
        let text = fs::read_to_string(PATH).map_err(|error| format!("{PATH}: {error}"))?;
        let machine = text.lines().find_map(|line| line.strip_prefix(MACHINE)).unwrap_or_default().to_owned();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let counts = lines.map(|line| parse(line).ok_or_else(|| format!("{PATH}: not a count: {line}")));
        Ok(Self { machine, counts: counts.collect::<Result<_, _>>()? })
    }

    pub fn write(&self) -> Result<(), String> {
        let mut text = format!("{HEAD}\n{MACHINE}{}\n", self.machine);
        for Count { case, instructions } in &self.counts {
            // ok because writing to a `String` does not fail
            let _ = writeln!(text, "{case:<34} {instructions:>12.1}");
        }
        print!("{text}");
        fs::write(PATH, text).map_err(|error| format!("{PATH}: {error}"))
    }

    /// Prints all counts beside the accepted ones.
    ///
    /// # Errors
    /// When one differs by more than the tolerance, is new, or is gone. Fewer instructions are an error, too: accepted
    /// late, they would hide what is lost later.
    pub fn compare(&self, now: &[Count]) -> Result<(), String> {
        let pairs = self.counts.iter().map(|count| (&*count.case, count.instructions));
        let mut accepted: HashMap<&str, f64> = pairs.collect();
        println!("{:<34} {:>12} {:>12} {:>10}", "instructions of one operation", "baseline", "now", "change");
        let differ = now.iter().filter(|count| !is_near(count, accepted.remove(&*count.case))).count();
        for case in accepted.keys() {
            println!("{case:<34} is in the baseline only");
        }
        if differ + accepted.len() == 0 {
            return Ok(());
        }
        Err(format!(
            "instruction counts: {} of {} cases differ from {PATH} by more than {TOLERANCE_PERCENT} %.\n\
             Where that is meant, or an improvement, accept it: make counts-accept",
            differ + accepted.len(),
            now.len(),
        ))
    }
}

/// Prints one line of the comparison; whether the count is within the tolerance.
fn is_near(count: &Count, accepted: Option<f64>) -> bool {
    let Count { case, instructions } = count;
    let Some(before) = accepted else {
        println!("{case:<34} {:>12} {instructions:>12.1}        new", "");
        return false;
    };
    let percent = (instructions / before - 1.0) * 100.0;
    let is_near = percent.abs() <= TOLERANCE_PERCENT;
    let mark = if is_near { "" } else { "  <--" };
    println!("{case:<34} {before:>12.1} {instructions:>12.1} {percent:>+8.2} %{mark}");
    is_near
}

fn parse(line: &str) -> Option<Count> {
    let (case, instructions) = line.split_once(' ')?;
    Some(Count { case: case.to_owned(), instructions: instructions.trim().parse().ok()? })
}
