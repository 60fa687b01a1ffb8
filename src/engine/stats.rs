//! What the overview and the demo show of the writer: latencies in a lock-free histogram, and counters.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Buckets grow by an eighth of an octave: a quantile is within 9 % of the truth from 1 µs to over an hour.
const BUCKETS: usize = 256;

/// A histogram of durations.
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    count: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: std::array::from_fn(|_| AtomicU64::new(0)), count: AtomicU64::new(0) }
    }
}

fn bucket_of(us: u64) -> usize {
    let us = us.max(1);
    let octave = us.ilog2() as usize;
    let eighth = if octave >= 3 { (us >> (octave - 3)) as usize & 7 } else { (us << (3 - octave)) as usize & 7 };
    (octave * 8 + eighth).min(BUCKETS - 1)
}

fn upper_us(bucket: usize) -> u64 {
    let (octave, eighth) = (bucket / 8, bucket as u64 % 8);
    ((9 + eighth) << octave) / 8
}

impl Histogram {
    /// Counts one.
    pub fn record(&self, took: Duration) {
        self.buckets[bucket_of(u64::try_from(took.as_micros()).unwrap_or(u64::MAX))].fetch_add(1, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The duration in microseconds below which `per_mille` of a thousand lie; 0 if none was counted.
    #[must_use]
    pub fn quantile_us(&self, per_mille: u64) -> u64 {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let wanted = (counts.iter().sum::<u64>() * per_mille).div_ceil(1000);
        if wanted == 0 {
            return 0;
        }
        let mut seen = 0;
        counts
            .iter()
            .position(|count| {
                seen += count;
                seen >= wanted
            })
            .map_or(0, upper_us)
    }
}

/// The engine's figures.
#[derive(Default)]
pub struct Stats {
    /// From the first command of a batch taken up to the batch published.
    pub commit: Histogram,
    /// From a caller's submission to its answer.
    pub write: Histogram,
    pub commands: AtomicU64,
    pub batches: AtomicU64,
    pub folds: AtomicU64,
    /// Whether a fold is under way.
    pub folding: AtomicBool,
    pub overloaded: AtomicU64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_an_eighth() {
        let histogram = Histogram::default();
        assert_eq!(histogram.quantile_us(500), 0);
        for us in 1..=10_000 {
            histogram.record(Duration::from_micros(us));
        }
        for (per_mille, truth) in [(500, 5_000), (990, 9_900), (10, 100)] {
            let shown = histogram.quantile_us(per_mille);
            assert!(shown >= truth && shown <= truth + truth / 7 + 1, "{per_mille}: {shown} for {truth}");
        }
    }
}
