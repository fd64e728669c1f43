//! Waiting for a condition, never for a time.

use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for what should come at once: long enough for a busy machine, short enough to fail soon.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The pause between two looks at a condition that nothing announces.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// Looks until `look` finds something, at most `within`. The last failed look is returned as the error.
pub fn until<T, E>(within: Duration, mut look: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    let deadline = Instant::now() + within;
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(missing) if Instant::now() >= deadline => return Err(missing),
            Err(_) => thread::sleep(BETWEEN_LOOKS),
        }
    }
}
