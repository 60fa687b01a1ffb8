//! A courier's physics: when one arrives, picks up, drops off and is free again. What a player of a day uses; the checker does not.

use super::instance::{Instance, Place};

/// What one courier carries at once: orders of one restaurant, in the sequence of their drop-offs. Indices into the instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    pub restaurant: usize,
    pub orders: Vec<usize>,
}

/// One drop-off: on the way from `depart_s`, at the door at `arrive_s`, handed over at `dropoff_s` (half of the service later).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    pub order: usize,
    pub depart_s: i64,
    pub arrive_s: i64,
    pub dropoff_s: i64,
}

/// A bundle from the courier's departure until the courier is free again, standing at [`Trip::end`] from `end_s`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trip {
    pub from: Place,
    pub restaurant: usize,
    pub depart_s: i64,
    pub arrive_s: i64,
    pub pickup_s: i64,
    /// Leaves the restaurant: the pickup and the other half of its service.
    pub leave_s: i64,
    pub stops: Vec<Stop>,
    pub end_s: i64,
}

impl Trip {
    /// Where the courier stands afterwards: at the last door, or (an empty bundle) at the restaurant.
    #[must_use]
    pub fn end(&self) -> Place {
        self.stops.last().map_or(Place::Restaurant(self.restaurant), |stop| Place::Order(stop.order))
    }

    /// Whether `courier` may do it: not away before the shift, no pickup after it. Drop-offs may be later.
    #[must_use]
    pub fn fits_shift(&self, instance: &Instance, courier: usize) -> bool {
        let courier = &instance.couriers[courier];
        courier.on_s <= self.depart_s && self.pickup_s <= courier.off_s
    }
}

#[must_use]
pub fn arrival_s(instance: &Instance, from: Place, depart_s: i64, to: Place) -> i64 {
    depart_s + instance.travel_s(from, to)
}

/// The pickup of `orders` by a courier who stands at the restaurant from `arrive_s` and is told at `assigned_s`: after half of the
/// service, and not before all are ready.
#[must_use]
pub fn pickup_s(instance: &Instance, arrive_s: i64, assigned_s: i64, orders: &[usize]) -> i64 {
    let served_s = arrive_s + instance.parameters.pickup_service_s / 2;
    orders.iter().map(|order| instance.orders[*order].ready_s).fold(served_s.max(assigned_s), i64::max)
}

/// The drop-offs, in sequence, of a courier who leaves the restaurant at `leave_s`; and when the courier is free.
#[must_use]
pub fn stops(instance: &Instance, leave_s: i64, bundle: &Bundle) -> (Vec<Stop>, i64) {
    let half_s = instance.parameters.dropoff_service_s / 2;
    let (mut at, mut free_s) = (Place::Restaurant(bundle.restaurant), leave_s);
    let stops = bundle.orders.iter().map(|&order| {
        let arrive_s = arrival_s(instance, at, free_s, Place::Order(order));
        let stop = Stop { order, depart_s: free_s, arrive_s, dropoff_s: arrive_s + half_s };
        (at, free_s) = (Place::Order(order), stop.dropoff_s + half_s);
        stop
    });
    (stops.collect(), free_s)
}

/// The whole trip of a courier who stands at `from`, is told at `assigned_s` and leaves at `depart_s`.
#[must_use]
pub fn trip(instance: &Instance, from: Place, assigned_s: i64, depart_s: i64, bundle: &Bundle) -> Trip {
    let arrive_s = arrival_s(instance, from, depart_s, Place::Restaurant(bundle.restaurant));
    let pickup_s = pickup_s(instance, arrive_s, assigned_s, &bundle.orders);
    let leave_s = pickup_s + instance.parameters.pickup_service_s / 2;
    let (stops, end_s) = stops(instance, leave_s, bundle);
    Trip { from, restaurant: bundle.restaurant, depart_s, arrive_s, pickup_s, leave_s, stops, end_s }
}

/// The latest departure from `from` that picks up the moment all of the bundle is ready.
#[must_use]
pub fn just_in_time_s(instance: &Instance, from: Place, bundle: &Bundle) -> i64 {
    let ready_s = bundle.orders.iter().map(|order| instance.orders[*order].ready_s).max().unwrap_or(i64::MIN);
    let way_s = instance.travel_s(from, Place::Restaurant(bundle.restaurant));
    ready_s.saturating_sub(way_s + instance.parameters.pickup_service_s / 2)
}
