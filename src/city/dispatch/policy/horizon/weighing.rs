//! Who else could have been asked, and why they were not: what is kept of a decision.

use std::collections::BTreeSet;

use super::moment::Moment;
use crate::city::dispatch::horizon::chain::{NEVER, Trip, cost};
use crate::city::dispatch::horizon::{Call, Round, Weights};
use crate::city::dispatch::model::{Candidate, Job, JobId, Outcome, WhyNot};
use crate::city::dispatch::policy::ahead::{ask_metres, ask_routes};
use crate::city::dispatch::policy::eligible::barred;
use crate::city::dispatch::policy::immediate::weigh;
use crate::city::dispatch::policy::{Person, Scene};
use crate::city::dispatch::score::Features;

/// Candidates kept with a decision.
const KEPT_MAX: usize = 24;

/// The chosen one, then the others by what it would have cost had they brought it, then who could not, the nearest first.
pub fn candidates(scene: &dyn Scene, moment: &Moment, weights: &Weights, round: &Round, call: &Call, job: &(JobId, Job)) -> Vec<Candidate> {
    let Some(trip) = Trip::through(&call.wishes) else { return Vec::new() };
    let planned: BTreeSet<usize> = round.outlooks.iter().flatten().map(|outlook| outlook.hand).collect();
    let price = |hand| cost(&moment.town, weights, hand, [&trip]);
    let chosen = price(call.hand);
    let outcome = |hand: usize, person: &Person, price: i64| {
        if hand == call.hand {
            Outcome::Chosen
        } else if let Some(why) = barred(&job.1, person.id, scene.now()) {
            Outcome::Excluded(why)
        } else if price == NEVER {
            Outcome::Excluded(impossible(person, trip.size(&moment.town)))
        } else if price <= chosen && planned.contains(&hand) {
            Outcome::Excluded(WhyNot::SpokenFor)
        } else {
            Outcome::Outscored
        }
    };
    // The chosen one may come from far, on the way from another door.
    let mut hands = here(moment, job).0.clone();
    if !hands.contains(&call.hand) {
        hands.push(call.hand);
    }
    let people = hands.into_iter().map(|hand| {
        let (person, price) = (&moment.people[hand], price(hand));
        Weighed { person, pay_permille: moment.standings[hand], price, outcome: outcome(hand, person, price) }
    });
    kept(scene, moment, job, people.collect())
}

/// Somebody near.
struct Weighed<'m> {
    person: &'m Person,
    pay_permille: Option<u32>,
    price: i64,
    outcome: Outcome,
}

/// Who is near to where a job is picked up.
fn here<'m>(moment: &'m Moment, job: &(JobId, Job)) -> &'m (Vec<usize>, Vec<usize>) {
    static NOBODY: (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    moment.wish_of(job.0).and_then(|wish| moment.near.get(moment.town.wishes[wish].counter)).unwrap_or(&NOBODY)
}

/// Nobody can bring it at all, or nobody who is planned for it is free.
pub fn nobody(scene: &dyn Scene, moment: &Moment, job: &(JobId, Job)) -> Vec<Candidate> {
    let people = here(moment, job).0.iter().map(|hand| {
        let person = &moment.people[*hand];
        let why = barred(&job.1, person.id, scene.now()).unwrap_or_else(|| impossible(person, job.1.request.size));
        Weighed { person, pay_permille: moment.standings[*hand], price: NEVER, outcome: Outcome::Excluded(why) }
    });
    kept(scene, moment, job, people.collect())
}

/// Why somebody who works cannot bring something of this size.
fn impossible(person: &Person, size: u32) -> WhyNot {
    if size > person.account.capacity {
        WhyNot::Full
    } else if person.presence.carries.is_empty() {
        WhyNot::EndsBefore
    } else {
        WhyNot::Busy
    }
}

/// The first of them, described; only these, as a city has thousands of others.
fn kept(scene: &dyn Scene, moment: &Moment, known: &(JobId, Job), people: Vec<Weighed<'_>>) -> Vec<Candidate> {
    let job = &known.1;
    let (times, pickup) = (scene.times(job.request.city), job.request.pickup.point());
    let away = here(moment, known).1.iter().map(|number| &moment.away[*number]);
    let away = away.map(|(person, why)| Weighed { person, pay_permille: None, price: NEVER, outcome: Outcome::Excluded(*why) });
    let mut all: Vec<Weighed<'_>> = people.into_iter().chain(away).collect();
    let dropoff = job.request.dropoff.point();
    ask_metres(times, pickup, dropoff, all.iter().map(|weighed| weighed.person));
    all.sort_by_cached_key(|Weighed { person, price, outcome, .. }| match outcome {
        Outcome::Chosen => (0, 0, person.id),
        Outcome::Outscored | Outcome::Excluded(WhyNot::SpokenFor) => (1, *price, person.id),
        Outcome::Excluded(_) => (2, i64::from(times.metres(person.position, pickup)), person.id),
    });
    all.truncate(KEPT_MAX);
    ask_routes(times, &[pickup, dropoff], &all.iter().map(|weighed| weighed.person).collect::<Vec<&Person>>());
    let described = all.into_iter().map(|Weighed { person, pay_permille, price, outcome }| {
        let weighed = weigh(scene, job, person, &moment.rules, &BTreeSet::new()).candidate;
        let score = if price == NEVER { weighed.score } else { price };
        Candidate { score, outcome, features: Features { pay_permille, ..weighed.features }, ..weighed }
    });
    described.collect()
}
