//! Many clients at once, and many one after the other: exact counts, one order for all, and no memory kept.

mod common;

#[path = "crowd/memory.rs"]
mod memory;
#[path = "crowd/sessions.rs"]
mod sessions;
