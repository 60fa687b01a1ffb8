//! Randomness and ids for transactions: unpredictable in production, repeatable under a seed.

use crate::clock::Timestamp;

/// A deterministic generator over BLAKE3's extendable output: as strong as its seed.
///
/// Source: BLAKE3 paper, section 2.6 (extendable output).
pub struct Random {
    output: blake3::OutputReader,
    last_ms: i64,
    counter: u16,
}

impl Random {
    /// A stream that only who knows `seed` can predict.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let output = blake3::Hasher::new_keyed(&seed).update(b"medina transaction randomness").finalize_xof();
        Self { output, last_ms: 0, counter: 0 }
    }

    /// Fills `into`.
    pub fn fill(&mut self, into: &mut [u8]) {
        self.output.fill(into);
    }

    /// Eight random bytes.
    pub fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A UUID version 7 whose order is the order of making, also within a millisecond.
    ///
    /// Source: RFC 9562, section 5.7 and 6.2 method 1 (a 12-bit counter in `rand_a`, 62 random bits).
    pub fn uuid_v7(&mut self, now: Timestamp) -> u128 {
        let now_ms = now.millis().max(self.last_ms);
        if now_ms > self.last_ms {
            self.last_ms = now_ms;
            self.counter = 0;
        } else if self.counter == 0xFFF {
            // 4,096 ids in one millisecond: borrow the next one, order matters more than a millisecond.
            self.last_ms += 1;
            self.counter = 0;
        } else {
            self.counter += 1;
        }
        let time = (self.last_ms.max(0) as u128) & 0xFFFF_FFFF_FFFF;
        let random = u128::from(self.next_u64()) & 0x3FFF_FFFF_FFFF_FFFF;
        (time << 80) | (0x7 << 76) | (u128::from(self.counter) << 64) | (0b10 << 62) | random
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_the_order_of_making() {
        let mut random = Random::from_seed([7; 32]);
        let now = Timestamp::from_millis(1_700_000_000_000);
        let ids: Vec<u128> = (0..10_000).map(|_| random.uuid_v7(now)).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "ids must rise even when the millisecond does not");
        assert!(ids.iter().all(|id| (id >> 76) & 0xF == 7 && (id >> 62) & 0b11 == 0b10), "version 7, variant 10");
    }
}
