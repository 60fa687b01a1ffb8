//! All jobs and couriers of a city together, planned ahead; asked is only what cannot wait.
//!
//! [`moment`] turns a scene into numbers, [`crate::city::dispatch::horizon`] plans with them, this file turns the plan into offers, and [`weighing`] says
//! who else could have been asked.

mod moment;
mod weighing;

use std::collections::{BTreeMap, BTreeSet};

use index::geo::Point;
use storage::Timestamp;

use super::eligible::{carried, why_not};
use super::{Found, Leanings, Plan, Policy, Scene};
use crate::city::cities::CityId;
use crate::city::dispatch::horizon::{Call, Outlook, Round, Weights, decide, rolling};
use crate::city::dispatch::model::{Job, JobId};
use crate::city::dispatch::travel::MEASURED_BY;
use moment::Moment;

/// What serves, and what the bench scores. A customer's second counts one; a late one a tenth more; a second of the way from the last door to where orders
/// come from a fifth, which is what is left of a courier's time for what nobody knows of yet; work goes to who has not earned the guarantee if that costs
/// under a minute. What [`Leanings`] say comes on top.
pub const WEIGHTS: Weights = Weights { wait: 1_000, late: 100, busy: 0, rest: 200, pay: 60_000, fair: 0, left: 4 * 3_600_000 };
/// The published way knows of no other places; a courier's time counts a tenth.
const PUBLISHED: Weights = Weights { busy: 100, rest: 0, ..WEIGHTS };

/// A job that somebody is planned for is looked at again after this, however far its departure is.
const LOOK_S_MAX: i64 = 60;
/// Ready for so long, and still nobody could be asked: operators learn of it, whoever is planned.
const WAITS_S_MAX: i64 = 600;
/// While nobody can bring it at all, it is too early to say so before this.
const FAR_S: i64 = 600;

/// See the module. The two differ in how a moment is planned, and in nothing else.
#[derive(Clone, Copy, Debug)]
pub enum Horizon {
    /// Chains of trips, searched for.
    Searched(Leanings),
    /// One trip a courier, as published.
    Published,
}

impl Horizon {
    fn decide(self, moment: &Moment) -> Round {
        match self {
            Self::Searched(_) => decide(&moment.town, &self.weights()),
            Self::Published => rolling::decide(&moment.town, &self.weights()),
        }
    }

    fn weights(self) -> Weights {
        match self {
            // A thousandth of a second, for each thousandth: a second, for all of them.
            Self::Searched(Leanings { fair_pay_seconds }) => Weights { fair: i64::from(fair_pay_seconds), ..WEIGHTS },
            Self::Published => PUBLISHED,
        }
    }
}

impl Policy for Horizon {
    fn name(&self) -> &'static str {
        match self {
            Self::Searched(_) => "horizon/3",
            Self::Published => "rolling/1",
        }
    }

    fn plan(&self, scene: &dyn Scene, due: &[(JobId, Job)]) -> Vec<Plan> {
        let mut cities: BTreeMap<CityId, Vec<&(JobId, Job)>> = BTreeMap::new();
        for job in due {
            cities.entry(job.1.request.city).or_default().push(job);
        }
        cities.into_iter().flat_map(|(city, due)| self.plan_city(scene, city, &due)).collect()
    }
}

impl Horizon {
    fn plan_city(self, scene: &dyn Scene, city: CityId, due: &[&(JobId, Job)]) -> Vec<Plan> {
        let mut jobs: BTreeMap<JobId, Job> = scene.waiting(city).into_iter().collect();
        jobs.extend(due.iter().map(|(id, job)| (*id, job.clone())));
        let moment = Moment::of(scene, city, jobs.into_iter().collect());
        let round = self.decide(&moment);
        let mut plans: Vec<Plan> = round.calls.iter().filter_map(|call| self.ask(scene, &moment, &round, call)).collect();
        let asked: BTreeSet<JobId> = plans.iter().flat_map(|plan| plan.jobs.iter().copied()).collect();
        for (id, job) in due.iter().filter(|(id, _)| !asked.contains(id)) {
            let outlook = moment.wish_of(*id).and_then(|wish| round.outlooks[wish]);
            plans.push(wait(scene, &moment, &(*id, job.clone()), outlook));
        }
        plans
    }

    /// The offer of a call: as much of it as rows allow.
    fn ask(self, scene: &dyn Scene, moment: &Moment, round: &Round, call: &Call) -> Option<Plan> {
        let person = &moment.people[call.hand];
        let (mut presence, now) = (person.presence.clone(), scene.now());
        let mut wishes = call.wishes.clone();
        wishes.retain(|wish| {
            let Some((_, job)) = &moment.jobs[*wish] else { return false };
            let fits = why_not(job, person.id, &person.account, &presence, &moment.rules, now).is_none();
            if fits {
                presence.carries.push(carried(job));
            }
            fits
        });
        let jobs: Vec<JobId> = wishes.iter().filter_map(|wish| moment.jobs[*wish].as_ref().map(|(id, _)| *id)).collect();
        let known = moment.jobs[*wishes.first()?].as_ref()?;
        let job = &known.1;
        let candidates = weighing::candidates(scene, moment, &self.weights(), round, call, known);
        let times = scene.times(job.request.city);
        let doors = wishes.iter().filter_map(|wish| moment.jobs[*wish].as_ref()).map(|(_, job)| job.request.dropoff.point());
        let stops: Vec<Point> = [person.position, job.request.pickup.point()].into_iter().chain(doors).collect();
        // Of a single job the candidates were asked about all that.
        times.ask_ahead(&stops[..stops.len() - 1], &stops[1..], MEASURED_BY);
        let distance_m = stops.windows(2).map(|pair| times.metres(pair[0], pair[1])).sum();
        // The second half of the last handing over is not the customer's.
        let eta = Timestamp::from_millis(1_000 * (call.end_s - moment.town.service.dropoff_s / 2)).max(now);
        Some(Plan { jobs, found: Found::Offer { courier: person.id, distance_m, eta }, radius_m: moment.rules.reach_m, candidates })
    }
}

/// A job that nobody is asked for now.
fn wait(scene: &dyn Scene, moment: &Moment, known: &(JobId, Job), outlook: Option<Outlook>) -> Plan {
    let (id, job) = (known.0, &known.1);
    let (now, pace) = (scene.now(), scene.pace());
    let now_s = moment.town.now_s;
    let waits_ms = now.ms_since(job.request.ready_at.max(job.searching_since));
    // What is ready waits for somebody who is busy: they may be free before they are thought to be.
    let look_s_max = if waits_ms < 0 { LOOK_S_MAX } else { pace.round_s };
    let until_s = match outlook {
        Some(_) if waits_ms > 1_000 * WAITS_S_MAX => None,
        // Somebody is planned: looked at again when they would have to be asked.
        Some(outlook) => Some((outlook.leave_s - pace.ahead_s).clamp(now_s + pace.round_s, now_s + look_s_max)),
        None if job.request.ready_at.minus_s(FAR_S) > now => Some(now_s + LOOK_S_MAX),
        None => None,
    };
    let (found, candidates) = match until_s {
        Some(until_s) => (Found::Later { until: now.plus_s(until_s - now_s) }, Vec::new()),
        None => (Found::Nobody, weighing::nobody(scene, moment, known)),
    };
    Plan { jobs: vec![id], found, radius_m: moment.rules.reach_m, candidates }
}
