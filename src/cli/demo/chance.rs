//! Dice that fall the same way for the same seed.
//!
//! Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (SplitMix64), OOPSLA 2014.

/// A stream of chance of its own.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The stream `stream` of a seed.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut mixer = Self(seed.wrapping_mul(0xD134_2543_DE82_EF95) ^ stream);
        Self(mixer.bits() ^ stream.rotate_left(32))
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 up to, not including, 1.
    pub fn share(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Between the two.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    /// `percent` times of a hundred.
    pub fn happens(&mut self, percent: u32) -> bool {
        self.share() * 100.0 < f64::from(percent)
    }

    /// One of 0, 1, …, `count` − 1; 0 of none.
    pub fn below(&mut self, count: usize) -> usize {
        ((self.share() * count as f64) as usize).min(count.saturating_sub(1))
    }

    /// The time until the next of things that come every `mean` on average, independently.
    pub fn gap(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.share()).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_falls_the_same_way_and_streams_differ() {
        let draw = |seed, stream| {
            let mut chance = Chance::new(seed, stream);
            (0..8).map(|_| chance.bits()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }

    #[test]
    fn means_are_what_they_say() {
        let mut chance = Chance::new(7, 0);
        let mean = (0..20_000).map(|_| chance.gap(60.0)).sum::<f64>() / 20_000.0;
        assert!((57.0..63.0).contains(&mean), "{mean}");
        let often = (0..20_000).filter(|_| chance.happens(20)).count();
        assert!((3_700..4_300).contains(&often), "{often}");
        assert!((0..1_000).all(|_| chance.below(3) < 3));
        assert_eq!(chance.below(0), 0);
    }
}
