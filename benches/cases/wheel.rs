//! The timing wheel: 10,000 timers armed and fired, and one armed again and again.

use hashi::tables::Wheel;

use super::{Case, Operation};

pub const CASES: [Case; 2] = [
    Case { name: "wheel/arm-and-fire", operations: KEYS, prepare: arm_and_fire },
    Case { name: "wheel/arm-again", operations: AGAIN, prepare: arm_again },
];

const KEYS: u32 = 10_000;
/// Timers are spread over this time, as heartbeats are.
const SPREAD_MS: u64 = 30_000;
/// Often enough that every level of the wheel has its share.
const AGAIN: u32 = 1000;

fn arm_and_fire() -> Operation {
    let (mut wheel, mut fired, mut now_ms) = (Wheel::default(), Vec::new(), 0);
    Box::new(move || {
        for key in 0..KEYS {
            wheel.arm(key, now_ms + 1 + u64::from(key) * 7919 % SPREAD_MS);
        }
        now_ms += SPREAD_MS + 8;
        fired.clear();
        wheel.expire(now_ms, usize::MAX, &mut fired);
        assert_eq!(fired.len(), KEYS as usize);
    })
}

fn arm_again() -> Operation {
    let (mut wheel, mut due_ms) = (Wheel::default(), 0);
    Box::new(move || {
        for _ in 0..AGAIN {
            due_ms += 8;
            wheel.arm(1, due_ms);
        }
    })
}
