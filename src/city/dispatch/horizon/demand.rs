//! Where orders come from, learned from those that came: a courier who is free there is worth more than one who is not. Pure, whole numbers.
//!
//! Each zone counts its orders; what it has counted is forgotten by halves. All zones forget alike, so that what remains of yesterday still says where
//! until today has said something.

/// A count loses half of itself in this time.
pub const HALF_LIFE_S: i64 = 5_000;
/// One order.
const ORDER: u64 = 1 << 32;
/// From beyond this all is alike: nobody is called over so far.
const FAR_S: u32 = 1_800;

/// What a zone has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// 2^-32 of an order.
    pub weight: u64,
    /// When it was so much.
    pub at_s: i64,
}

impl Count {
    /// What is left of it; halves, and straight lines between them.
    #[must_use]
    pub fn left(self, now_s: i64) -> u64 {
        let since_s = (now_s - self.at_s).max(0);
        let (halves, rest_s) = (since_s / HALF_LIFE_S, since_s % HALF_LIFE_S);
        let Some(weight) = u32::try_from(halves).ok().and_then(|halves| self.weight.checked_shr(halves)) else { return 0 };
        weight - (u128::from(weight) * rest_s as u128 / (2 * HALF_LIFE_S as u128)) as u64
    }

    /// One more order, now.
    #[must_use]
    pub fn more(self, now_s: i64) -> Self {
        Self { weight: self.left(now_s).saturating_add(ORDER), at_s: now_s.max(self.at_s) }
    }
}

/// How long it takes from a place to where the next order may be: the mean of the ways to all zones, each as often as orders come from there. Seconds; 0
/// where nothing is known.
#[must_use]
pub fn mean_way_s(seconds: &[u32], weights: &[u64]) -> i64 {
    let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    let ways: u128 = seconds.iter().zip(weights).map(|(seconds, weight)| u128::from((*seconds).min(FAR_S)) * u128::from(*weight)).sum();
    ways.checked_div(sum).map_or(0, |mean| mean as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_forgotten_by_halves() {
        let one = Count::default().more(1_000);
        assert_eq!(one, Count { weight: ORDER, at_s: 1_000 });
        let cases = [(0, ORDER), (HALF_LIFE_S / 2, ORDER / 4 * 3), (HALF_LIFE_S, ORDER / 2), (3 * HALF_LIFE_S, ORDER / 8), (1 << 40, 0)];
        for (later_s, left) in cases {
            assert_eq!(one.left(1_000 + later_s), left, "{later_s} s later");
        }
        assert_eq!(one.left(0), ORDER, "time that runs backwards forgets nothing");
        assert_eq!(one.more(1_000 + HALF_LIFE_S).weight, ORDER / 2 + ORDER);
    }

    #[test]
    fn the_mean_way_leans_to_where_orders_come_from() {
        for (seconds, weights, mean) in [
            (&[100, 500][..], &[1, 1][..], 300),
            (&[100, 500], &[3, 1], 200),
            (&[100, 1_000_000], &[1, 1], 950),
            (&[100, 500], &[0, 0], 0),
            (&[], &[], 0),
        ] {
            assert_eq!(mean_way_s(seconds, weights), mean, "{seconds:?} {weights:?}");
        }
    }
}
