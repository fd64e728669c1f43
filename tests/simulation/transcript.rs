//! What happened in a run, line by line, for people.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transcript {
    Silent,
    Printed,
}

impl Transcript {
    pub fn note(self, now_ns: u64, line: impl FnOnce() -> String) {
        if self == Self::Printed {
            println!("{:>11.3} ms  {}", now_ns as f64 / 1e6, line());
        }
    }
}
