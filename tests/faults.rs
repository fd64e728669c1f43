//! Faults from outside: the process is killed or told to end under load, the wall clock is moved, everybody comes back at once
//! (BAD_INPUT.md, rows 37, 38, 39 and 41).

mod common;

#[path = "faults/clock.rs"]
mod clock;
#[path = "faults/flood.rs"]
mod flood;
#[path = "faults/killed.rs"]
mod killed;
#[path = "faults/storm.rs"]
mod storm;
#[path = "faults/terminated.rs"]
mod terminated;

const SESSION: &str = "s";
