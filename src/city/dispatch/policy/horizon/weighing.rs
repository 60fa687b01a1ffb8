//! Who else could have been asked, and why they were not: what is kept of a decision.

use std::collections::BTreeSet;

use super::WEIGHTS;
use super::moment::Moment;
use crate::city::dispatch::horizon::chain::{NEVER, Trip, cost};
use crate::city::dispatch::horizon::{Call, Round};
use crate::city::dispatch::model::{Candidate, Job, JobId, Outcome, WhyNot};
use crate::city::dispatch::policy::eligible::barred;
use crate::city::dispatch::policy::immediate::weigh;
use crate::city::dispatch::policy::{Person, Scene};

/// Candidates kept with a decision.
pub const KEPT_MAX: usize = 24;

/// The chosen one, then the others by what it would have cost had they brought it, then who could not.
pub fn candidates(scene: &dyn Scene, moment: &Moment, round: &Round, call: &Call, first: JobId, job: &Job) -> Vec<Candidate> {
    let Some(trip) = Trip::through(&call.wishes) else { return Vec::new() };
    let planned: BTreeSet<usize> = round.outlooks.iter().flatten().map(|outlook| outlook.hand).collect();
    let price = |hand| cost(&moment.town, &WEIGHTS, hand, [&trip]);
    let chosen = price(call.hand);
    let mut all: Vec<Candidate> = Vec::with_capacity(moment.people.len() + moment.away.len());
    for (hand, person) in moment.people.iter().enumerate() {
        let price = price(hand);
        let outcome = if hand == call.hand {
            Outcome::Chosen
        } else if let Some(why) = barred(job, person.id, scene.now()) {
            Outcome::Excluded(why)
        } else if price == NEVER {
            Outcome::Excluded(if trip.size(&moment.town) > person.account.capacity { WhyNot::Full } else { WhyNot::EndsBefore })
        } else if price <= chosen && planned.contains(&hand) {
            Outcome::Excluded(WhyNot::SpokenFor)
        } else {
            Outcome::Outscored
        };
        all.push(described(scene, moment, job, person, price, outcome));
    }
    all.extend(moment.away.iter().map(|(person, why)| described(scene, moment, job, person, NEVER, Outcome::Excluded(*why))));
    debug_assert!(moment.wish_of(first).is_some(), "a call is about a job of the moment");
    sort(&mut all);
    all
}

/// Nobody can bring it at all.
pub fn nobody(scene: &dyn Scene, moment: &Moment, job: &Job) -> Vec<Candidate> {
    let mut all: Vec<Candidate> = Vec::new();
    for person in &moment.people {
        let why = barred(job, person.id, scene.now()).unwrap_or(match person.presence.until {
            _ if job.request.size > person.account.capacity => WhyNot::Full,
            Some(_) => WhyNot::EndsBefore,
            None => WhyNot::Busy,
        });
        all.push(described(scene, moment, job, person, NEVER, Outcome::Excluded(why)));
    }
    all.extend(moment.away.iter().map(|(person, why)| described(scene, moment, job, person, NEVER, Outcome::Excluded(*why))));
    sort(&mut all);
    all.truncate(KEPT_MAX);
    all
}

fn described(scene: &dyn Scene, moment: &Moment, job: &Job, person: &Person, price: i64, outcome: Outcome) -> Candidate {
    let weighed = weigh(scene, job, person, &moment.rules, &BTreeSet::new()).candidate;
    Candidate { score: if price == NEVER { weighed.score } else { price }, outcome, ..weighed }
}

fn sort(all: &mut [Candidate]) {
    all.sort_by_key(|candidate| match candidate.outcome {
        Outcome::Chosen => (0, 0, candidate.courier),
        Outcome::Outscored | Outcome::Excluded(WhyNot::SpokenFor) => (1, candidate.score, candidate.courier),
        Outcome::Excluded(_) => (2, i64::from(candidate.features.distance_m), candidate.courier),
    });
}
