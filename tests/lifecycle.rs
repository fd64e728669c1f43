//! From the start of the command to its end: configuration, limits on connections, deadlines, idleness, the ageing of
//! sessions, and the graceful end (DESIGN.md, sections 4.4, 4.5 and 5).

mod common;

#[path = "lifecycle/ageing.rs"]
mod ageing;
#[path = "lifecycle/capacity.rs"]
mod capacity;
#[path = "lifecycle/check.rs"]
mod check;
#[path = "lifecycle/configuration.rs"]
mod configuration;
#[path = "lifecycle/deadlines.rs"]
mod deadlines;
#[path = "lifecycle/drain.rs"]
mod drain;
#[path = "lifecycle/ends.rs"]
mod ends;
#[path = "lifecycle/flush.rs"]
mod flush;
#[path = "lifecycle/idle.rs"]
mod idle;
#[path = "lifecycle/sessions.rs"]
mod sessions;
