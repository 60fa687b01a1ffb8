//! The policy as the mind of a day: asked each minute, and timed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::stage::{CITY, Plane, Stage, courier_of, job_id, order_of};
use crate::city::couriers::Vehicle;
use crate::city::dispatch::JobId;
use crate::city::dispatch::demand::{Zone, zone};
use crate::city::dispatch::horizon::demand::Count;
use crate::city::dispatch::policy::{Found, Policy, Scene};
use crate::city::dispatch::route::{self, Start, StopKind, Task};
use crate::mdrp::{Call, Instance, Mind, Moment, Place};

/// How long decisions took, by the machine's clock: the only figures that differ from run to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct DecisionTimes {
    pub decisions: usize,
    pub p50_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
}

/// See the module.
pub struct PolicyMind {
    policy: Arc<dyn Policy>,
    plane: Plane,
    capacity: u32,
    took: Vec<Duration>,
    /// Orders that were counted, and where they came from: of this day, up to now.
    counted: BTreeSet<usize>,
    demand: BTreeMap<Zone, Count>,
}

impl PolicyMind {
    pub fn new(instance: &Instance, policy: Arc<dyn Policy>, capacity: u32) -> Self {
        Self { policy, plane: Plane::of(instance), capacity, took: Vec::new(), counted: BTreeSet::new(), demand: BTreeMap::new() }
    }

    /// As the server does with each request.
    fn count(&mut self, moment: &Moment) {
        for order in moment.waiting.iter().filter(|order| self.counted.insert(**order)) {
            let known = &moment.instance.orders[*order];
            let count = self.demand.entry(zone(self.plane.point(Place::Restaurant(known.restaurant)))).or_default();
            *count = count.more(known.placed_s);
        }
    }

    /// From the scene to the plans, of all decisions so far.
    pub fn times(&self) -> DecisionTimes {
        let mut sorted = self.took.clone();
        sorted.sort_unstable();
        let at = |permille: usize| {
            let rank = (sorted.len().saturating_sub(1) * permille).div_ceil(1_000);
            sorted.get(rank).map_or(0, |took| u64::try_from(took.as_micros()).unwrap_or(u64::MAX))
        };
        DecisionTimes { decisions: sorted.len(), p50_us: at(500), p99_us: at(990), max_us: at(1_000) }
    }
}

impl Mind for PolicyMind {
    fn decide(&mut self, moment: &Moment) -> Vec<Call> {
        self.count(moment);
        let stage = Stage { plane: &self.plane, moment, capacity: self.capacity, demand: &self.demand };
        let due: Vec<_> = moment.waiting.iter().map(|order| stage.job(*order)).collect();
        let begun = Instant::now();
        let plans = self.policy.plan(&stage, &due);
        self.took.push(begun.elapsed());
        let (mut given, mut called) = (BTreeSet::new(), BTreeSet::new());
        let mut calls = Vec::new();
        for plan in plans {
            let Found::Offer { courier, .. } = plan.found else { continue };
            // As the writer has it: who has an unanswered offer, or an order that is taken, is no part of another one.
            let fresh = plan.jobs.iter().all(|job| given.insert(*job)) && called.insert(courier);
            if fresh {
                calls.push(Call { courier: courier_of(courier), orders: plan.jobs.iter().map(|job| order_of(*job)).collect() });
            }
        }
        calls
    }

    /// As the courier's device shows it: the route over what they carry.
    fn sequence(&mut self, moment: &Moment, courier: usize, orders: &[usize]) -> Vec<usize> {
        let stage = Stage { plane: &self.plane, moment, capacity: self.capacity, demand: &self.demand };
        let Some(first) = orders.first() else { return Vec::new() };
        let counter = stage.point(Place::Restaurant(moment.instance.orders[*first].restaurant));
        let start = Start { from: counter, now: stage.now(), by: Vehicle::Bike, times: stage.times(CITY) };
        let tasks: Vec<Task> = orders
            .iter()
            .map(|order| {
                let request = stage.job(*order).1.request;
                Task { subject: request.subject, pickup: None, dropoff: request.dropoff.point(), ready_at: request.ready_at }
            })
            .collect();
        debug_assert!(courier < moment.riders.len(), "who picks up is one of the day's couriers");
        let stops = route::plan(start, &tasks).stops;
        let doors = stops.iter().filter(|stop| stop.kind == StopKind::Dropoff).map(|stop| order_of(JobId::from_u128(stop.subject)));
        let sequence: Vec<usize> = doors.collect();
        debug_assert!(orders.iter().all(|order| sequence.contains(order) && job_id(*order).as_u128() > 0), "a route has every door");
        sequence
    }
}
