//! One job at a time, the best courier for it now.
//!
//! Jobs in the order of (ready, id); around each pickup the circle grows until enough people in it could be asked; the cheapest by score is asked, but
//! not before they would have to leave.

use std::collections::BTreeSet;

use storage::Timestamp;

use super::ahead::{ask_metres, ask_routes};
use super::eligible::why_not;
use super::{Found, Person, Plan, Policy, Rules, Scene};
use crate::city::couriers::CourierId;
use crate::city::dispatch::model::{Candidate, Job, JobId, Outcome, WhyNot};
use crate::city::dispatch::route::{self, PICKUP_S, Start, StopKind, Task};
use crate::city::dispatch::score::{Features, WEIGHTS, score};

/// The first circle; doubled for each refusal, and again until enough are found.
pub const RADIUS_M: u32 = 1_500;
/// Enough people to choose from.
const WANTED: usize = 8;
/// People looked at in one circle, at first and at most.
const LOOKED_AT: usize = 64;
const LOOKED_AT_MAX: usize = 4_096;
/// Candidates kept with a decision: the best, then the nearest of those who could not be asked.
const KEPT_MAX: usize = 24;
/// Asked this much before they have to leave: to answer, and to find their shoes.
pub const MARGIN_S: i64 = 60;
/// What they carry may come later by this much.
const DETOUR_S_MAX: u32 = 600;
/// While nobody can be asked, it is looked at again when somebody this far away would have to leave.
const FAR_S: i64 = 600;

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Immediate;

impl Policy for Immediate {
    fn name(&self) -> &'static str {
        "immediate/1"
    }

    fn plan(&self, scene: &dyn Scene, due: &[(JobId, Job)]) -> Vec<Plan> {
        let mut jobs: Vec<&(JobId, Job)> = due.iter().collect();
        jobs.sort_by_key(|(id, job)| (job.request.ready_at, *id));
        let mut spoken_for = BTreeSet::new();
        jobs.into_iter()
            .map(|(id, job)| {
                let plan = look(scene, *id, job, &spoken_for);
                if let Found::Offer { courier, .. } = plan.found {
                    spoken_for.insert(courier);
                }
                plan
            })
            .collect()
    }
}

/// Somebody weighed.
pub(super) struct Weighed {
    pub candidate: Candidate,
    distance_m: u32,
    eta: Timestamp,
}

fn look(scene: &dyn Scene, id: JobId, job: &Job, spoken_for: &BTreeSet<CourierId>) -> Plan {
    let (radius_m, mut weighed) = search(scene, job, spoken_for);
    // The best first; then those who cannot, the nearest first.
    weighed.sort_by_key(|weighed| {
        let Candidate { courier, features, score, outcome } = &weighed.candidate;
        match outcome {
            Outcome::Chosen | Outcome::Outscored => (false, *score, *courier),
            Outcome::Excluded(_) => (true, i64::from(features.distance_m), *courier),
        }
    });
    let best = weighed.first().filter(|weighed| weighed.candidate.outcome == Outcome::Outscored);
    let now = scene.now();
    let leave_at = job.request.ready_at.minus_s(best.map_or(FAR_S, |best| i64::from(best.candidate.features.eta_s)) + PICKUP_S + MARGIN_S);
    let found = match best {
        _ if leave_at > now => Found::Later { until: leave_at },
        Some(best) => Found::Offer { courier: best.candidate.courier, distance_m: best.distance_m, eta: best.eta },
        None => Found::Nobody,
    };
    let mut candidates: Vec<Candidate> = weighed.into_iter().take(KEPT_MAX).map(|weighed| weighed.candidate).collect();
    match found {
        Found::Offer { .. } => candidates[0].outcome = Outcome::Chosen,
        Found::Later { .. } => candidates.clear(),
        Found::Nobody => (),
    }
    Plan { jobs: vec![id], found, radius_m, candidates }
}

/// Widens the circle until enough people in it could be asked, or it holds the whole city.
fn search(scene: &dyn Scene, job: &Job, spoken_for: &BTreeSet<CourierId>) -> (u32, Vec<Weighed>) {
    let rules = scene.rules(job.request.city);
    let pickup = job.request.pickup.point();
    let mut radius_m = RADIUS_M.saturating_mul(1 << job.round.min(8)).min(rules.reach_m);
    let mut limit = LOOKED_AT;
    loop {
        let people = scene.around(pickup, radius_m, limit);
        let cut_off = people.len() == limit;
        let (times, dropoff) = (scene.times(job.request.city), job.request.dropoff.point());
        ask_routes(times, &[pickup, dropoff], &people.iter().collect::<Vec<&Person>>());
        ask_metres(times, pickup, dropoff, people.iter());
        let weighed: Vec<Weighed> = people.iter().map(|person| weigh(scene, job, person, &rules, spoken_for)).collect();
        let could = weighed.iter().filter(|weighed| weighed.candidate.outcome == Outcome::Outscored).count();
        if could >= WANTED || (cut_off && limit >= LOOKED_AT_MAX) || (!cut_off && radius_m >= rules.reach_m) {
            return (radius_m, weighed);
        }
        if cut_off {
            limit *= 4;
        } else {
            radius_m = radius_m.saturating_mul(2).min(rules.reach_m);
        }
    }
}

/// What speaks for and against a person, as far as one job is concerned.
pub(super) fn weigh(scene: &dyn Scene, job: &Job, person: &Person, rules: &Rules, spoken_for: &BTreeSet<CourierId>) -> Weighed {
    let (request, now) = (&job.request, scene.now());
    let times = scene.times(request.city);
    let start = Start { from: person.position, now, by: person.account.vehicle, times };
    let (pickup, dropoff) = (request.pickup.point(), request.dropoff.point());
    let before = route::plan(start, &person.tasks);
    let task = Task { subject: request.subject, pickup: Some(pickup), dropoff, ready_at: request.ready_at };
    let after = route::insert(start, &before, &task);
    let at = |kind| {
        after.stops.iter().find(|stop| stop.subject == request.subject && stop.kind == kind).map_or(after.free_at, |stop| stop.arrive_at)
    };
    let (there_at, eta) = (at(StopKind::Pickup), at(StopKind::Dropoff));
    let can_leave_at = there_at.plus_s(PICKUP_S).max(request.ready_at);
    // What the new job adds to the others' way: its own drop-off is not a detour.
    let own_s = eta.ms_since(now) / 1000;
    let distance_m = times.metres(person.position, pickup);
    let features = Features {
        distance_m,
        eta_s: seconds(there_at.ms_since(now)),
        wait_s: seconds(request.ready_at.ms_since(there_at.plus_s(PICKUP_S))),
        late_s: seconds(there_at.plus_s(PICKUP_S).ms_since(request.ready_at)),
        over_s: request.due_at.map_or(0, |due_at| seconds(eta.ms_since(due_at))),
        detour_s: if before.stops.is_empty() { 0 } else { u32::try_from(after.cost_s - own_s - before.cost_s).unwrap_or(0) },
        load: person.presence.carries.len() as u32,
        decline_permille: 1000 - person.presence.record.acceptance_permille.min(1000),
        idle_s: seconds(now.ms_since(person.presence.record.last_asked_at.unwrap_or(person.presence.changed_at))),
        silent_s: seconds(now.ms_since(person.heard_at)),
        pay_permille: None,
    };
    let why = why_not(job, person.id, &person.account, &person.presence, rules, now)
        .or_else(|| scene.is_silent(person.id).then_some(WhyNot::Silent))
        .or_else(|| spoken_for.contains(&person.id).then_some(WhyNot::SpokenFor))
        .or_else(|| person.presence.until.is_some_and(|until| can_leave_at > until).then_some(WhyNot::EndsBefore))
        .or_else(|| (features.detour_s > DETOUR_S_MAX).then_some(WhyNot::Detour));
    let outcome = why.map_or(Outcome::Outscored, Outcome::Excluded);
    let candidate = Candidate { courier: person.id, features, score: score(&features, &WEIGHTS), outcome };
    Weighed { candidate, distance_m: distance_m + times.metres(pickup, dropoff), eta }
}

/// Milliseconds as whole seconds, nothing below zero.
fn seconds(ms: i64) -> u32 {
    u32::try_from(ms / 1000).unwrap_or(if ms < 0 { 0 } else { u32::MAX })
}
