//! A hashed timing wheel: one timer per key, constant time to arm and to disarm.
//!
//! Keys are small integers, row slots. A timer may fire up to one wheel tick late, never early. Of one bucket the timers fire
//! in the order in which they were armed. Timers further away than one turn stay in their bucket and are looked at once a
//! turn.

use super::chains::{Chain, Links};
use crate::config::limits::{WHEEL_BUCKETS, WHEEL_TICK_MS};

/// The wheel and its keys' links.
pub struct Wheel {
    /// The keys of each bucket.
    buckets: Vec<Chain>,
    /// One bit per bucket: whether it holds a key.
    occupied: Vec<u64>,
    /// By key: the wheel tick when it fires; zero for one that is not armed.
    due: Vec<u64>,
    links: Links,
    /// The last wheel tick that was looked at.
    current: u64,
    armed: usize,
}

impl Default for Wheel {
    fn default() -> Self {
        Self {
            buckets: vec![Chain::default(); WHEEL_BUCKETS],
            occupied: vec![0; WHEEL_BUCKETS / 64],
            due: Vec::new(),
            links: Links::default(),
            current: 0,
            armed: 0,
        }
    }
}

const fn bucket_of(tick: u64) -> usize {
    (tick % WHEEL_BUCKETS as u64) as usize
}

impl Wheel {
    /// Armed keys.
    pub const fn armed(&self) -> usize {
        self.armed
    }

    /// When `key` fires, in milliseconds, rounded up to the wheel's resolution.
    pub fn due_ms(&self, key: u32) -> Option<u64> {
        self.due.get(key as usize).filter(|&&due| due != 0).map(|due| due * WHEEL_TICK_MS)
    }

    /// Arms `key` to fire at `due_ms`, in place of what it was armed for.
    pub fn arm(&mut self, key: u32, due_ms: u64) {
        self.disarm(key);
        if self.due.len() <= key as usize {
            self.due.resize(key as usize + 1, 0);
        }
        let tick = due_ms.div_ceil(WHEEL_TICK_MS).max(self.current + 1);
        let bucket = bucket_of(tick);
        self.due[key as usize] = tick;
        self.links.append(&mut self.buckets[bucket], key);
        self.occupied[bucket / 64] |= 1 << (bucket % 64);
        self.armed += 1;
    }

    /// Forgets `key`'s timer, if it has one.
    pub fn disarm(&mut self, key: u32) {
        let Some(due) = self.due.get_mut(key as usize).filter(|due| **due != 0) else {
            return;
        };
        let bucket = bucket_of(std::mem::take(due));
        self.links.remove(&mut self.buckets[bucket], key);
        if self.buckets[bucket].is_empty() {
            self.occupied[bucket / 64] &= !(1 << (bucket % 64));
        }
        self.armed -= 1;
    }

    /// Moves the wheel to `now_ms` and appends the keys that are due to `fired`, until that holds `budget` of them; they are
    /// no longer armed. What is over the budget is due at once, so that [`Wheel::next_due_ms`] tells of it.
    pub fn expire(&mut self, now_ms: u64, budget: usize, fired: &mut Vec<u32>) {
        let now = now_ms / WHEEL_TICK_MS;
        // One turn sees every bucket, and with it all that is due.
        let last = now.min(self.current + WHEEL_BUCKETS as u64);
        while let Some(tick) = self.next_occupied_tick(self.current + 1, last) {
            if !self.fire_bucket(bucket_of(tick), now, budget, fired) {
                self.current = tick - 1;
                return;
            }
            self.current = tick;
        }
        self.current = self.current.max(now);
    }

    /// When to look at the wheel next, in milliseconds: not later than the next timer, perhaps earlier.
    pub fn next_due_ms(&self) -> Option<u64> {
        let from = self.current + 1;
        self.next_occupied_tick(from, from + WHEEL_BUCKETS as u64 - 1).map(|tick| tick * WHEEL_TICK_MS)
    }

    /// The first tick in `from..=to` whose bucket holds a key. At most one turn is searched, 64 buckets at a time.
    fn next_occupied_tick(&self, from: u64, to: u64) -> Option<u64> {
        if self.armed == 0 {
            return None;
        }
        let mut tick = from;
        while tick <= to {
            let bucket = bucket_of(tick);
            let word = self.occupied[bucket / 64] >> (bucket % 64);
            if word != 0 {
                let found = tick + u64::from(word.trailing_zeros());
                return (found <= to).then_some(found);
            }
            tick += 64 - (bucket % 64) as u64;
        }
        None
    }

    /// Fires what is due in a bucket. Returns whether the budget is not used up by that. A bucket that is left is walked again
    /// from its start: timers of later turns in it are passed over each time.
    fn fire_bucket(&mut self, bucket: usize, now: u64, budget: usize, fired: &mut Vec<u32>) -> bool {
        let before = fired.len();
        let due = self.links.iter(self.buckets[bucket]).filter(|&key| self.due[key as usize] <= now);
        fired.extend(due.take(budget.saturating_sub(before)));
        for &key in &fired[before..] {
            self.disarm(key);
        }
        fired.len() < budget
    }

    /// Checks that the lists and the columns agree.
    pub fn invariants(&self) {
        let mut seen = 0;
        for (word, &bits) in self.occupied.iter().enumerate().filter(|(_, bits)| **bits != 0) {
            for bucket in (0..64).filter(|bit| bits >> bit & 1 == 1).map(|bit| word * 64 + bit) {
                assert!(!self.buckets[bucket].is_empty(), "a bucket that is marked has a timer");
                for key in self.links.iter(self.buckets[bucket]) {
                    let due = self.due[key as usize];
                    assert!(due > self.current && bucket_of(due) == bucket);
                    seen += 1;
                }
            }
        }
        assert_eq!(seen, self.armed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_wheel_has_nothing_to_wait_for() {
        let mut wheel = Wheel::default();
        assert_eq!(wheel.next_due_ms(), None);
        wheel.arm(3, 1);
        wheel.disarm(3);
        wheel.disarm(99);
        assert_eq!((wheel.next_due_ms(), wheel.armed()), (None, 0));
    }

    #[test]
    fn a_budget_leaves_the_rest_for_later() {
        let mut wheel = Wheel::default();
        for key in 0..100 {
            wheel.arm(key, 100 + u64::from(key) * WHEEL_TICK_MS);
        }
        let mut fired = Vec::new();
        wheel.expire(10_000, 10, &mut fired);
        assert_eq!(fired.len(), 10);
        assert!(wheel.next_due_ms().is_some_and(|due| due <= 10_000));
        wheel.expire(10_000, 1000, &mut fired);
        assert_eq!(fired, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_budget_holds_within_one_bucket() {
        let mut wheel = Wheel::default();
        for key in 0..1000 {
            wheel.arm(key, 100);
        }
        wheel.arm(1000, 100 + (WHEEL_BUCKETS as u64) * WHEEL_TICK_MS);
        let (mut fired, mut calls) = (Vec::new(), 0);
        while wheel.next_due_ms().is_some_and(|due| due <= 200) {
            let mut some = Vec::new();
            wheel.expire(200, 64, &mut some);
            wheel.invariants();
            assert!(some.len() <= 64);
            fired.extend(some);
            calls += 1;
        }
        assert_eq!((fired, calls), ((0..1000).collect::<Vec<_>>(), 16), "in the order in which they were armed");
    }

    /// After a long stop no turn is missed, and what is over the budget is still due.
    #[test]
    fn many_turns_at_once_are_fired_by_budget() {
        let mut wheel = Wheel::default();
        let turn_ms = WHEEL_BUCKETS as u64 * WHEEL_TICK_MS;
        for key in 0..100 {
            wheel.arm(key, 8 + u64::from(key) * turn_ms / 7);
        }
        let (now_ms, mut fired) = (20 * turn_ms, Vec::new());
        for count in [30, 60, 90, 100] {
            wheel.expire(now_ms, count, &mut fired);
            wheel.invariants();
            assert_eq!((fired.len(), wheel.armed()), (count, 100 - count));
        }
    }

    #[derive(Clone, Debug)]
    enum Operation {
        Arm(u32, u64),
        Disarm(u32),
        Advance(u64),
    }

    fn operation() -> impl Strategy<Value = Operation> {
        prop_oneof![
            3 => (0_u32..20, prop_oneof![0_u64..200, 0_u64..200_000]).prop_map(|(k, d)| Operation::Arm(k, d)),
            1 => (0_u32..20).prop_map(Operation::Disarm),
            2 => prop_oneof![0_u64..300, 0_u64..150_000].prop_map(Operation::Advance),
        ]
    }

    proptest! {
        #[test]
        fn fires_what_a_map_says(operations in proptest::collection::vec(operation(), 0..120)) {
            let mut wheel = Wheel::default();
            let mut model = BTreeMap::new();
            let mut now = 0;
            for operation in operations {
                match operation {
                    Operation::Arm(key, after) => {
                        wheel.arm(key, now + after);
                        model.insert(key, wheel.due_ms(key).unwrap());
                        prop_assert!((now + after..=now + after + 2 * WHEEL_TICK_MS).contains(&model[&key]));
                    }
                    Operation::Disarm(key) => {
                        wheel.disarm(key);
                        model.remove(&key);
                    }
                    Operation::Advance(by) => {
                        now += by;
                        let mut fired = Vec::new();
                        wheel.expire(now, usize::MAX, &mut fired);
                        fired.sort_unstable();
                        let due: Vec<u32> = model.iter().filter(|(_, due)| **due <= now).map(|(k, _)| *k).collect();
                        prop_assert_eq!(&fired, &due);
                        model.retain(|_, due| *due > now);
                    }
                }
                wheel.invariants();
                prop_assert_eq!(wheel.armed(), model.len());
                if let Some(first) = model.values().min() {
                    let next = wheel.next_due_ms().unwrap();
                    prop_assert!(next <= *first && next > now - now % WHEEL_TICK_MS);
                }
            }
        }
    }
}
