//! Who has earned how much by the hour today, beside the others: of two who would bring it nearly as soon, the poorer goes first. Pure, whole numbers.

use crate::city::couriers::hours::Today;

/// A courier who has earned as much by the hour as the mean of all.
pub const MEAN_PERMILLE: u32 = 500;
/// One who has earned twice as much, or more.
pub const PERMILLE_MAX: u32 = 1_000;
/// Everybody begins the day as if they had worked so long for the mean: who has just come is not poor, nor rich after the first door.
const BEGUN_MS: i128 = 3_600_000;
/// No day is longer, and nobody earns more in it: products of these stay within 128 bits.
const DAY_MS: i64 = 86_400_000;
const EARNED_MAX: i64 = 1 << 50;

/// By courier: earned by the hour, in thousandths of twice the mean. While nobody has earned anything all are the mean.
#[must_use]
pub fn standings(days: &[Today]) -> Vec<u32> {
    let worked = |day: &Today| i128::from(day.worked_ms.clamp(0, DAY_MS));
    let earned = |day: &Today| i128::from(day.earned.clamp(0, EARNED_MAX));
    let (all_ms, all): (i128, i128) = (days.iter().map(worked).sum(), days.iter().map(earned).sum());
    let standing = |day: &Today| {
        // (earned + mean × begun) / (worked + begun), over 2 × mean; mean = all / all_ms.
        let share = (earned(day) * all_ms + all * BEGUN_MS) * i128::from(MEAN_PERMILLE);
        let permille = share.checked_div(all * (worked(day) + BEGUN_MS)).filter(|_| all_ms > 0).unwrap_or(i128::from(MEAN_PERMILLE));
        u32::try_from(permille).map_or(PERMILLE_MAX, |permille| permille.min(PERMILLE_MAX))
    };
    days.iter().map(standing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn pay_by_the_hour_beside_the_others() {
        let day = |hours: i64, earned: i64| Today { worked_ms: hours * HOUR_MS, earned };
        let cases: [(&[Today], &[u32]); 7] = [
            (&[], &[]),
            (&[day(0, 0)], &[500]),
            (&[day(8, 0), day(0, 0)], &[500, 500]),
            (&[day(4, 4_000), day(4, 4_000)], &[500, 500]),
            // The mean is 500 an hour: 500 for the hour that all begin with, and 0 or 4,000 in four more.
            (&[day(4, 0), day(4, 4_000)], &[100, 900]),
            // Who has just come is the mean; the same pay in less time is more by the hour.
            (&[day(1, 1_000), day(3, 1_000), day(0, 0)], &[750, 375, 500]),
            (&[day(1, 90_000), day(9, 0)], &[1_000, 50]),
        ];
        for (days, expected) in cases {
            assert_eq!(standings(days), expected, "{days:?}");
        }
        assert_eq!(standings(&[Today { worked_ms: i64::MAX, earned: i64::MAX }; 3]), [500; 3], "no numbers are too large");
    }
}
