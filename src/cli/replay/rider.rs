//! A courier's rules, pure: what is carried, what comes next and when.
//!
//! ```text
//!  idle ──accept──► held ──► Depart ─► Arrive ─► PickUp ─► (Leave ─► Reach ─► HandOver) per door ─► Free ──► held? Depart : idle
//! ```
//!
//! Rides begin on whole minutes, so that every time of the day but the assignments is one (half of an odd service time aside).

use std::collections::VecDeque;

use crate::mdrp::{Bundle, Instance, Place, Point, Trip, stops, trip};

const MINUTE_S: i64 = 60;

/// An accepted order that is not yet picked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Index in the instance.
    pub order: usize,
    pub assigned_s: i64,
}

/// What a courier does next. Doors count from 0 in the trip's sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Depart,
    Arrive,
    PickUp,
    Leave(usize),
    Reach(usize),
    HandOver(usize),
    Free,
}

/// One courier in the middle of the day.
#[derive(Clone, Debug)]
pub struct Rider {
    pub index: usize,
    pub is_online: bool,
    pub held: Vec<Held>,
    /// The trip under way; before its pickup, its stops are only planned.
    pub trip: Option<Trip>,
    /// The newest assignment of what the trip carries.
    pub assigned_s: i64,
    /// Acts to come with their times.
    pub acts: VecDeque<(i64, Act)>,
    /// Where the last trip ended, and when its last service is over.
    at: Place,
    free_s: i64,
    carries: bool,
}

impl Rider {
    #[must_use]
    pub fn at_home(index: usize, instance: &Instance) -> Self {
        Self {
            index,
            is_online: false,
            held: Vec::new(),
            trip: None,
            assigned_s: 0,
            acts: VecDeque::new(),
            at: Place::Courier(index),
            free_s: instance.couriers[index].on_s,
            carries: false,
        }
    }

    /// Neither under way nor bound to be.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.trip.is_none() && self.held.is_empty()
    }

    /// Whether there is food in the bag: nobody is diverted then, and the phone stays in the pocket until the last door.
    #[must_use]
    pub fn has_food(&self) -> bool {
        self.acts.iter().any(|(_, act)| matches!(act, Act::HandOver(_)))
    }

    /// Orders that are accepted and not picked up.
    #[must_use]
    pub fn load(&self) -> usize {
        self.held.len()
    }

    /// Whether everything accepted so far could still be picked up before the shift ends if this order came on top: it may make the courier wait for it,
    /// and then all that is picked up later is late too.
    #[must_use]
    pub fn can_take(&self, instance: &Instance, order: usize, now_s: i64) -> bool {
        let off_s = instance.couriers[self.index].off_s;
        let mut with = self.clone();
        with.take(instance, order, now_s);
        if !with.carries && with.trip.as_ref().is_some_and(|trip| trip.pickup_s > off_s) {
            return false;
        }
        let (mut at, mut free_s) = with.trip.as_ref().map_or((with.at, with.free_s), |trip| (trip.end(), trip.end_s));
        let there = with.held_there(instance);
        let mut later: Vec<usize> = with.held.iter().map(|held| held.order).filter(|held| !there.contains(held)).collect();
        while let Some(first) = later.first() {
            let restaurant = instance.orders[*first].restaurant;
            let (group, others) = later.into_iter().partition(|held| instance.orders[*held].restaurant == restaurant);
            let planned = plan(instance, at, free_s.max(now_s), group);
            if planned.pickup_s > off_s {
                return false;
            }
            (at, free_s, later) = (planned.end(), planned.end_s, others);
        }
        true
    }

    /// Takes an order on. One of the restaurant that the courier is on the way to, or stands at, is waited for and joins the trip.
    pub fn take(&mut self, instance: &Instance, order: usize, assigned_s: i64) {
        let ready_s = instance.orders[order].ready_s;
        let joins = self.joins(instance, order).is_some();
        self.held.push(Held { order, assigned_s });
        if joins && let Some(trip) = &mut self.trip {
            let later_s = (ready_s - trip.pickup_s).max(0);
            (trip.pickup_s, trip.leave_s) = (trip.pickup_s + later_s, trip.leave_s + later_s);
            let mut orders: Vec<usize> = trip.stops.iter().map(|stop| stop.order).collect();
            orders.push(order);
            (trip.stops, trip.end_s) = stops(instance, trip.leave_s, &Bundle { restaurant: trip.restaurant, orders });
            if let Some(pickup) = self.acts.back_mut() {
                pickup.0 = trip.pickup_s;
            }
        }
    }

    /// The trip under way, if this order's restaurant is where it picks up, and it has not done so.
    fn joins(&self, instance: &Instance, order: usize) -> Option<&Trip> {
        self.trip.as_ref().filter(|trip| !self.carries && trip.restaurant == instance.orders[order].restaurant)
    }

    /// Sets out for the restaurant of `lead`, a held order: the first stop of the route that the server gave.
    ///
    /// # Panics
    /// If a trip is under way.
    pub fn set_out(&mut self, instance: &Instance, lead: usize, now_s: i64) {
        assert!(self.trip.is_none(), "a courier who is under way cannot be diverted");
        let restaurant = instance.orders[lead].restaurant;
        let group = self.held.iter().map(|held| held.order).filter(|order| instance.orders[*order].restaurant == restaurant);
        let planned = plan(instance, self.at, self.free_s.max(now_s), group.collect());
        self.acts = VecDeque::from([(planned.depart_s, Act::Depart), (planned.arrive_s, Act::Arrive), (planned.pickup_s, Act::PickUp)]);
        self.trip = Some(planned);
    }

    /// Held orders of the restaurant that the courier goes to or stands at: what the pickup there will be of.
    #[must_use]
    pub fn held_there(&self, instance: &Instance) -> Vec<usize> {
        let there = |order: &usize| self.joins(instance, *order).is_some();
        self.held.iter().map(|held| held.order).filter(there).collect()
    }

    /// Takes `orders` along, to be dropped off in this sequence.
    ///
    /// # Panics
    /// If no trip is under way.
    pub fn carry(&mut self, instance: &Instance, orders: Vec<usize>) {
        let trip = self.trip.as_mut().expect("a pickup ends a way to a restaurant");
        let taken = self.held.iter().filter(|held| orders.contains(&held.order));
        self.assigned_s = taken.map(|held| held.assigned_s).max().unwrap_or(trip.depart_s);
        self.held.retain(|held| !orders.contains(&held.order));
        (trip.stops, trip.end_s) = stops(instance, trip.leave_s, &Bundle { restaurant: trip.restaurant, orders });
        for (door, stop) in trip.stops.iter().enumerate() {
            self.acts.extend([(stop.depart_s, Act::Leave(door)), (stop.arrive_s, Act::Reach(door)), (stop.dropoff_s, Act::HandOver(door))]);
        }
        self.acts.push_back((trip.end_s, Act::Free));
        self.carries = true;
    }

    /// The trip is over; stands where it ended. Returns the trip.
    pub fn rest(&mut self) -> Option<Trip> {
        let trip = self.trip.take()?;
        (self.at, self.free_s, self.carries) = (trip.end(), trip.end_s, false);
        Some(trip)
    }

    /// Where the courier is, on a straight line between places.
    #[must_use]
    pub fn position(&self, instance: &Instance, now_s: i64) -> Point {
        let Some(trip) = &self.trip else { return instance.point(self.at) };
        let restaurant = instance.point(Place::Restaurant(trip.restaurant));
        let mut legs = vec![(trip.depart_s, trip.arrive_s, instance.point(trip.from), restaurant)];
        if self.carries {
            let mut from = restaurant;
            for stop in &trip.stops {
                let to = instance.point(Place::Order(stop.order));
                legs.push((stop.depart_s, stop.arrive_s, from, to));
                from = to;
            }
        }
        let begun = legs.iter().rev().find(|(depart_s, ..)| *depart_s <= now_s);
        let Some(&(depart_s, arrive_s, from, to)) = begun else { return instance.point(trip.from) };
        if arrive_s <= now_s {
            return to;
        }
        super::plane::between(from, to, (now_s - depart_s) as f64 / (arrive_s - depart_s) as f64)
    }
}

/// The trip for `orders` from `at`, beginning at the next whole minute from `free_s`.
fn plan(instance: &Instance, at: Place, free_s: i64, orders: Vec<usize>) -> Trip {
    let depart_s = free_s.div_euclid(MINUTE_S) * MINUTE_S + if free_s.rem_euclid(MINUTE_S) == 0 { 0 } else { MINUTE_S };
    let restaurant = orders.first().map_or(0, |order| instance.orders[*order].restaurant);
    trip(instance, at, depart_s, depart_s, &Bundle { restaurant, orders })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mdrp::{Courier, Order, Parameters, Restaurant, Solution, check};
    use proptest::prelude::*;

    fn instance(off_min: i64, orders: &[(i32, i32, i64, usize, i64)]) -> Instance {
        let point = |x: i32, y: i32| Point { x: f64::from(x), y: f64::from(y) };
        let parameters = Parameters {
            meters_per_minute: 320.0,
            pickup_service_s: 240,
            dropoff_service_s: 180,
            target_s: 2_400,
            maximum_s: 5_400,
            pay_per_order_cents: 1_000,
            pay_per_hour_cents: 1_500,
        };
        let orders = orders.iter().enumerate().map(|(i, (x, y, placed_min, restaurant, cook_min))| Order {
            id: format!("o{i}"),
            at: point(*x, *y),
            placed_s: placed_min * 60,
            restaurant: *restaurant,
            ready_s: (placed_min + cook_min) * 60,
        });
        let couriers = vec![Courier { id: "c".into(), at: point(0, 0), on_s: 0, off_s: off_min * 60 }];
        let restaurants =
            [(500, 0), (-900, 300)].iter().enumerate().map(|(i, (x, y))| Restaurant { id: format!("r{i}"), at: point(*x, *y) });
        Instance::new("one courier", orders.collect(), couriers, restaurants.collect(), parameters).unwrap()
    }

    /// One courier, offered every order `answer_s` after it was placed; takes what can be taken with up to `capacity` in hand.
    fn play(instance: &Instance, capacity: usize, answer_s: i64) -> Solution {
        let mut rider = Rider::at_home(0, instance);
        let mut offers: Vec<usize> = (0..instance.orders.len()).collect();
        offers.sort_by_key(|order| instance.orders[*order].placed_s);
        let mut offers = VecDeque::from(offers);
        let mut solution = Solution::default();
        loop {
            let offer_s = offers.front().map(|order| instance.orders[*order].placed_s + answer_s);
            let act_s = rider.acts.front().map(|(at_s, _)| *at_s);
            let now_s = match (offer_s, act_s) {
                (Some(offer_s), act_s) if act_s.is_none_or(|act_s| offer_s < act_s) => {
                    let order = offers.pop_front().unwrap();
                    if !rider.has_food() && rider.load() < capacity && rider.can_take(instance, order, offer_s) {
                        rider.take(instance, order, offer_s);
                    }
                    offer_s
                }
                (_, Some(_)) => {
                    let (now_s, act) = rider.acts.pop_front().unwrap();
                    match act {
                        Act::PickUp => rider.carry(instance, rider.held_there(instance)),
                        Act::Free => {
                            let assigned_s = rider.assigned_s;
                            let trip = rider.rest().unwrap();
                            solution.record(instance, 0, assigned_s, &trip);
                        }
                        Act::Depart | Act::Arrive | Act::Leave(_) | Act::Reach(_) | Act::HandOver(_) => (),
                    }
                    now_s
                }
                (_, None) => break,
            };
            if rider.trip.is_none() && !rider.held.is_empty() {
                rider.set_out(instance, rider.held[0].order, now_s);
            }
        }
        assert!(rider.is_idle());
        solution.sort(instance);
        solution
    }

    proptest! {
        /// Whatever is accepted when: the rules of the problem are kept, and everything that was accepted is delivered.
        #[test]
        fn the_rules_are_kept(
            off_min in 60..400_i64,
            orders in prop::collection::vec((-3000..3000_i32, -3000..3000_i32, 0..300_i64, 0..2_usize, 0..40_i64), 1..14),
            capacity in 1..4_usize,
            answer_s in 0..90_i64,
        ) {
            let instance = instance(off_min, &orders);
            let solution = play(&instance, capacity, answer_s);
            if let Err(violations) = check(&instance, &solution) {
                prop_assert!(false, "{violations:#?}\n{solution:#?}");
            }
        }
    }
}
