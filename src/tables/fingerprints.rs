//! Fingerprints: hashes under this server's own seed that stand for texts which peers choose, so that tables need not
//! keep the texts and nobody can make two of them meet.

use std::hash::Hash;

use ahash::RandomState;

/// What stands for a message's id where only equality counts. Never zero.
pub type Label = u64;

/// Makes fingerprints.
pub struct Fingerprints {
    hasher: RandomState,
}

impl Fingerprints {
    /// `seed` makes them this server's own.
    pub const fn new(seed: [u64; 4]) -> Self {
        Self { hasher: RandomState::with_seeds(seed[0], seed[1], seed[2], seed[3]) }
    }

    /// The label of a text.
    pub fn label(&self, text: &str) -> Label {
        self.hasher.hash_one(text).max(1)
    }

    /// 128 bits that stand for a value.
    pub fn of(&self, value: &impl Hash) -> u128 {
        let half = |salt: u64| u128::from(self.hasher.hash_one((salt, value)));
        half(0) << 64 | half(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_depend_on_the_value_and_on_the_seed() {
        let [a, b] = [Fingerprints::new([1, 2, 3, 4]), Fingerprints::new([1, 2, 3, 5])];
        assert_eq!((a.of(&("x", 1)), a.label("x")), (a.of(&("x", 1)), a.label("x")));
        assert_ne!(a.of(&("x", 1)), a.of(&("x", 2)));
        assert_ne!(a.of(&("x", 1)), b.of(&("x", 1)));
        assert_ne!((a.label("x"), a.label("x")), (a.label("y"), b.label("x")));
    }
}
