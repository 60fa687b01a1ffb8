//! What speaks for a courier, in numbers. Integers, so that the same facts give the same choice on every machine.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is known of a candidate for a job. Seconds and metres.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Features {
    /// From the courier to the pickup.
    pub distance_m: u32,
    /// From now until they are there.
    pub eta_s: u32,
    /// They would stand there until it is ready.
    pub wait_s: u32,
    /// It would stand there ready until they come.
    pub late_s: u32,
    /// Later at the door than promised.
    pub over_s: u32,
    /// How much longer what they carry already would take.
    pub detour_s: u32,
    /// Jobs in hand.
    pub load: u32,
    /// Share of offers not taken, in thousandths.
    pub decline_permille: u32,
    /// Since they were last asked; long is fair.
    pub idle_s: u32,
    /// Since they were last heard of.
    pub silent_s: u32,
    /// Earned by the hour today, in thousandths of twice the mean of those who were weighed: 500 is the mean. Absent where the policy does not ask.
    pub pay_permille: Option<u32>,
}

/// What a second (or a thousandth, or a job) of each costs, in thousandths of a second of the customer's patience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    pub eta: i64,
    pub wait: i64,
    pub late: i64,
    pub over: i64,
    pub detour: i64,
    pub load: i64,
    pub decline: i64,
    pub idle: i64,
    pub silent: i64,
}

/// Waiting outdoors is worth a tenth of riding, so the nearer one still goes first while it is too early for all; food that stands is worth a second a
/// second; the promise to the customer half as much again. Fairness can outweigh a minute and a half, a bad record up to half a minute.
pub const WEIGHTS: Weights =
    Weights { eta: 1_000, wait: 100, late: 1_000, over: 1_500, detour: 1_000, load: 30_000, decline: 30, idle: -50, silent: 100 };

/// Idleness and silence beyond these count no more.
const IDLE_S_MAX: u32 = 1_800;
const SILENT_S_MAX: u32 = 600;

/// The price of a candidate: the lowest is asked.
#[must_use]
pub fn score(features: &Features, weights: &Weights) -> i64 {
    i64::from(features.eta_s) * weights.eta
        + i64::from(features.wait_s) * weights.wait
        + i64::from(features.late_s) * weights.late
        + i64::from(features.over_s) * weights.over
        + i64::from(features.detour_s) * weights.detour
        + i64::from(features.load) * weights.load
        + i64::from(features.decline_permille) * weights.decline
        + i64::from(features.idle_s.min(IDLE_S_MAX)) * weights.idle
        + i64::from(features.silent_s.min(SILENT_S_MAX)) * weights.silent
}

// While it is too early for everybody, a second nearer is a second more of waiting: the nearer one must still be the cheaper one.
const _: () = assert!(WEIGHTS.eta > WEIGHTS.wait);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_feature_pulls_its_way() {
        let plain = Features { eta_s: 300, idle_s: 600, ..Features::default() };
        let worse = [
            Features { eta_s: 301, ..plain },
            Features { wait_s: 1, ..plain },
            Features { late_s: 1, ..plain },
            Features { over_s: 1, ..plain },
            Features { detour_s: 1, ..plain },
            Features { load: 1, ..plain },
            Features { decline_permille: 1, ..plain },
            Features { idle_s: 599, ..plain },
            Features { silent_s: 1, ..plain },
        ];
        for other in worse {
            assert!(score(&other, &WEIGHTS) > score(&plain, &WEIGHTS), "{other:?}");
        }
        let nearer_but_early = Features { eta_s: 60, wait_s: 240, ..plain };
        let just_in_time = Features { eta_s: 300, wait_s: 0, ..plain };
        assert!(score(&nearer_but_early, &WEIGHTS) < score(&just_in_time, &WEIGHTS));
    }
}
