//! The hot functions of the server, each as a case: set up once, then called again and again. Criterion times them
//! (`benches/times.rs`), valgrind counts their instructions (`benches/instructions/`).
//!
//! A case is deterministic: the same bytes, seeds and times in every run.

mod decode;
mod encode;
mod fan_out;
mod frame;
mod http;
mod latency;
mod ring;
mod sessions;
mod tick;
mod timestamp;
mod utf8;
mod wheel;

/// What is measured; it owns what was set up for it.
pub type Operation = Box<dyn FnMut()>;

/// One hot function with one kind of input.
pub struct Case {
    /// `group/what`.
    pub name: &'static str,
    /// How many operations one call does; figures are for each of them.
    pub operations: u32,
    /// Sets it up.
    pub prepare: fn() -> Operation,
}

const GROUPS: [&[Case]; 12] = [
    &decode::CASES,
    &encode::CASES,
    &frame::CASES,
    &utf8::CASES,
    &http::CASES,
    &timestamp::CASES,
    &ring::CASES,
    &fan_out::CASES,
    &sessions::CASES,
    &wheel::CASES,
    &latency::CASES,
    &tick::CASES,
];

/// All cases.
pub fn all() -> impl Iterator<Item = &'static Case> {
    GROUPS.into_iter().flatten()
}
