//! Chance under a seed.

use storage::random::Random;

/// A seeded source of choices: the same seed, the same choices on every machine.
pub struct Dice(Random);

impl Dice {
    #[must_use]
    pub fn new(seed: u64, what: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes()).update(what.as_bytes());
        Self(Random::from_seed(*hasher.finalize().as_bytes()))
    }

    /// Any number.
    pub fn roll(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// 0..n; 0 for nothing to choose from. Small numbers: the bias does not matter.
    pub fn below(&mut self, n: usize) -> usize {
        (self.roll() % n.max(1) as u64) as usize
    }

    /// True `percent` times of a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.roll() % 100 < percent
    }

    /// One of them; `None` of none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }
}
