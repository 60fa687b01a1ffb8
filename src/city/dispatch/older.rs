//! Layouts of rows that earlier binaries wrote.

use serde::Deserialize;
use storage::Timestamp;

use super::model::{Candidate, Decision, JobId, Outcome, Verdict};
use super::score::Features;
use crate::city::couriers::CourierId;

/// A decision before anybody looked at pay.
#[derive(Deserialize)]
struct FirstDecision {
    at: Timestamp,
    policy: String,
    jobs: Vec<JobId>,
    subjects: Vec<u128>,
    round: u32,
    radius_m: u32,
    candidates: Vec<FirstCandidate>,
    verdict: Verdict,
}

#[derive(Deserialize)]
struct FirstCandidate {
    courier: CourierId,
    features: FirstFeatures,
    score: i64,
    outcome: Outcome,
}

#[derive(Deserialize)]
struct FirstFeatures {
    distance_m: u32,
    eta_s: u32,
    wait_s: u32,
    late_s: u32,
    over_s: u32,
    detour_s: u32,
    load: u32,
    decline_permille: u32,
    idle_s: u32,
    silent_s: u32,
}

impl From<FirstCandidate> for Candidate {
    fn from(first: FirstCandidate) -> Self {
        let FirstCandidate { courier, features, score, outcome } = first;
        let FirstFeatures { distance_m, eta_s, wait_s, late_s, over_s, detour_s, load, decline_permille, idle_s, silent_s } = features;
        let pay_permille = None;
        let features =
            Features { distance_m, eta_s, wait_s, late_s, over_s, detour_s, load, decline_permille, idle_s, silent_s, pay_permille };
        Self { courier, features, score, outcome }
    }
}

/// The first layout of a decision.
pub(super) fn first_decision(bytes: &[u8]) -> Option<Decision> {
    let FirstDecision { at, policy, jobs, subjects, round, radius_m, candidates, verdict } = postcard::from_bytes(bytes).ok()?;
    let candidates = candidates.into_iter().map(Candidate::from).collect();
    Some(Decision { at, policy, jobs, subjects, round, radius_m, candidates, verdict })
}

#[cfg(test)]
mod tests {
    use storage::Row;

    use super::*;

    #[test]
    fn a_decision_of_the_first_layout_is_read() {
        let courier = CourierId::from_u128(7);
        // As the first layout stood: no pay behind the ten features.
        let features = (500_u32, 100_u32, 0_u32, 20_u32, 0_u32, 0_u32, 1_u32, 125_u32, 600_u32, 3_u32);
        let candidates = vec![(courier, features, 4_200_i64, Outcome::Chosen)];
        let first = (
            Timestamp::from_millis(5),
            "horizon/2",
            vec![JobId::from_u128(1)],
            vec![9_u128],
            2_u32,
            1_500_u32,
            candidates,
            Verdict::Nobody,
        );
        let bytes = postcard::to_extend(&first, vec![1]).expect("plain data");
        let read = Decision::from_bytes(&bytes).expect("it is read");
        assert_eq!((read.policy.as_str(), read.round, read.radius_m, read.verdict), ("horizon/2", 2, 1_500, Verdict::Nobody));
        let features = Features {
            distance_m: 500,
            eta_s: 100,
            late_s: 20,
            load: 1,
            decline_permille: 125,
            idle_s: 600,
            silent_s: 3,
            ..Features::default()
        };
        assert_eq!(read.candidates, [Candidate { courier, features, score: 4_200, outcome: Outcome::Chosen }]);
        assert_eq!(Decision::from_bytes(&read.to_bytes()), Some(read));
    }
}
