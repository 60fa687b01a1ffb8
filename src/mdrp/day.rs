//! A day played minute by minute by somebody who decides: orders become known when they are placed, couriers do what they are told, or (see [`People`])
//! what people do.
//!
//! ```text
//!   placed ──► waiting ── call: leave now ──► under way to the counter ── pickup ──► doors ──► delivered
//!                ▲  ▲                              │   ▲
//!                │  └── declined, vanished ────────┘   └─ call: take this along too (until the pickup)
//!                └── placed, and so on until no courier is left
//! ```

use super::instance::{Instance, Place};
use super::people::{Answer, People};
use super::rules::{Bundle, Trip, pickup_s, trip};
use super::solution::Solution;

/// The time between two decisions. The problem's times are whole minutes.
pub const ROUND_S: i64 = 60;

/// Sent to a counter, nothing picked up yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub restaurant: usize,
    pub from: Place,
    pub depart_s: i64,
    pub arrive_s: i64,
    /// In the sequence in which they were given.
    pub orders: Vec<usize>,
    pub assigned_s: i64,
}

/// A courier at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rider {
    /// Where they stand, or will stand when they are free.
    pub at: Place,
    pub free_s: i64,
    pub sent: Option<Sent>,
    /// What they ride to doors with, as long as `free_s` is ahead.
    pub doors: Vec<usize>,
    pub delivered: u32,
    /// Nobody has heard of them since; what they carry has not come.
    pub is_gone: bool,
}

/// What may be known at a moment, and nothing else.
pub struct Moment<'a> {
    pub now_s: i64,
    /// The day as it was announced: shifts, places, service times. Of its orders only those in `waiting` and with riders are known.
    pub instance: &'a Instance,
    pub riders: &'a [Rider],
    /// Placed, and in nobody's hands.
    pub waiting: &'a [usize],
    /// By order: when it will be ready, as far as the restaurant has said.
    pub ready_s: &'a [i64],
    /// Couriers who said no to an order, and when.
    pub refused: &'a [(usize, usize, i64)],
}

/// A courier is told to leave now, or to take something along from the counter that they are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub courier: usize,
    /// Of one restaurant. Never empty.
    pub orders: Vec<usize>,
}

/// Whoever decides.
pub trait Mind {
    /// What is done now. Couriers who are not free, and orders that do not wait, must not be in it.
    fn decide(&mut self, moment: &Moment) -> Vec<Call>;
    /// The sequence of doors of a bundle that is being picked up.
    fn sequence(&mut self, moment: &Moment, courier: usize, orders: &[usize]) -> Vec<usize>;
}

/// A day that was played.
#[derive(Clone, Debug, PartialEq)]
pub struct Played {
    /// The day as it was: the instance with the ready times that the kitchens really kept. The solution is one of it.
    pub real: Instance,
    pub solution: Solution,
    /// Who lost what: orders that a courier vanished with after the pickup.
    pub lost: Vec<usize>,
    /// Never picked up by anybody.
    pub left: Vec<usize>,
    pub declined: u32,
    pub vanished: u32,
}

struct Day<'a> {
    announced: &'a Instance,
    /// As it really is.
    instance: &'a Instance,
    /// By courier.
    vanishes_s: Vec<Option<i64>>,
    people: &'a People,
    riders: Vec<Rider>,
    waiting: Vec<usize>,
    ready_s: Vec<i64>,
    refused: Vec<(usize, usize, i64)>,
    /// Trips that were picked up; who vanishes leaves the rest of theirs undone.
    trips: Vec<(usize, i64, Trip)>,
    now_s: i64,
    declined: u32,
}

/// Plays a day. What `mind` hears of ready times is what restaurants announce, until they say that it is ready or should have been.
///
/// # Panics
/// If `mind` tells somebody to do what cannot be done: that is a bug of the mind, not of the day.
pub fn play_by(announced: &Instance, people: &People, mind: &mut dyn Mind) -> Played {
    let real = people.cook(announced);
    let instance = &real;
    let home = |(index, courier): (usize, &super::Courier)| Rider {
        at: Place::Courier(index),
        free_s: courier.on_s,
        sent: None,
        doors: Vec::new(),
        delivered: 0,
        is_gone: false,
    };
    let riders = instance.couriers.iter().enumerate().map(home).collect();
    let ready_s = announced.orders.iter().map(|order| order.ready_s).collect();
    let shifts = instance.couriers.iter().enumerate();
    let vanishes_s = shifts.map(|(index, courier)| people.vanishing_s(index, courier.on_s, courier.off_s)).collect();
    let first_s = instance.orders.iter().map(|order| order.placed_s).min().unwrap_or(0);
    let last_s = instance.couriers.iter().map(|courier| courier.off_s).max().unwrap_or(0);
    let mut day = Day {
        announced,
        instance,
        vanishes_s,
        people,
        riders,
        waiting: Vec::new(),
        ready_s,
        refused: Vec::new(),
        trips: Vec::new(),
        now_s: first_s.div_euclid(ROUND_S) * ROUND_S,
        declined: 0,
    };
    let mut coming: Vec<usize> = (0..instance.orders.len()).collect();
    coming.sort_by_key(|order| std::cmp::Reverse((instance.orders[*order].placed_s, *order)));
    // A pickup ends the last shift at the latest, and who is on the way has one.
    while day.now_s <= last_s {
        while let Some(order) = coming.pop_if(|order| instance.orders[*order].placed_s <= day.now_s) {
            day.waiting.push(order);
        }
        day.news();
        if !day.waiting.is_empty() {
            let calls = mind.decide(&day.moment());
            calls.into_iter().for_each(|call| day.obey(&call));
        }
        day.pick_up(mind);
        day.now_s += ROUND_S;
    }
    let (declined, vanished) = (day.declined, day.riders.iter().filter(|rider| rider.is_gone).count() as u32);
    let (solution, lost, left) = day.close(coming);
    Played { real, solution, lost, left, declined, vanished }
}

impl Day<'_> {
    fn moment(&self) -> Moment<'_> {
        Moment {
            now_s: self.now_s,
            instance: self.announced,
            riders: &self.riders,
            waiting: &self.waiting,
            ready_s: &self.ready_s,
            refused: &self.refused,
        }
    }

    /// Who vanished is noticed, and restaurants say what they see.
    fn news(&mut self) {
        for courier in 0..self.riders.len() {
            let heard = self.vanishes_s[courier].is_none_or(|at_s| self.now_s < at_s + self.people.silence_s);
            let rider = &mut self.riders[courier];
            if heard || rider.is_gone {
                continue;
            }
            rider.is_gone = true;
            if let Some(sent) = rider.sent.take() {
                self.waiting.extend(sent.orders);
                self.waiting.sort_unstable();
            }
        }
        for (order, known) in self.instance.orders.iter().enumerate() {
            // Ready is said when it is; late is noticed when it should have been, minute by minute.
            if known.ready_s <= self.now_s {
                self.ready_s[order] = known.ready_s;
            } else if self.ready_s[order] <= self.now_s {
                self.ready_s[order] = self.now_s + ROUND_S;
            }
        }
    }

    fn obey(&mut self, call: &Call) {
        let Call { courier, orders } = call;
        let (instance, now_s, rider) = (self.instance, self.now_s, &mut self.riders[*courier]);
        let restaurant = instance.orders[orders[0]].restaurant;
        assert!(orders.iter().all(|order| instance.orders[*order].restaurant == restaurant), "a bundle is of one restaurant");
        assert!(orders.iter().all(|order| self.waiting.contains(order)), "an order is given once");
        assert!(!rider.is_gone, "who is gone is not called");
        if self.vanishes_s[*courier].is_some_and(|at_s| at_s <= now_s) {
            // Nobody answers. It is remembered as a no.
            self.refused.extend(orders.iter().map(|order| (*courier, *order, now_s)));
            return;
        }
        if self.people.answer(*courier, orders[0], now_s) == Answer::No {
            self.declined += 1;
            self.refused.extend(orders.iter().map(|order| (*courier, *order, now_s)));
            return;
        }
        match &mut rider.sent {
            Some(sent) => {
                assert_eq!(sent.restaurant, restaurant, "who is under way is not diverted");
                sent.orders.extend(orders);
                sent.assigned_s = now_s;
            }
            None => {
                assert!(rider.free_s <= now_s, "who is not free is not called");
                let arrive_s = now_s + instance.travel_s(rider.at, Place::Restaurant(restaurant));
                let sent = Sent { restaurant, from: rider.at, depart_s: now_s, arrive_s, orders: orders.clone(), assigned_s: now_s };
                rider.sent = Some(sent);
            }
        }
        self.waiting.retain(|order| !orders.contains(order));
    }

    fn pick_up(&mut self, mind: &mut dyn Mind) {
        for courier in 0..self.riders.len() {
            let Some(sent) = self.riders[courier].sent.clone() else { continue };
            let at_s = pickup_s(self.instance, sent.arrive_s, sent.assigned_s, &sent.orders);
            let vanished = self.vanishes_s[courier].is_some_and(|gone_s| gone_s <= at_s);
            let off_s = self.instance.couriers[courier].off_s;
            let too_late = at_s > off_s && self.now_s + ROUND_S > off_s;
            if vanished || (at_s >= self.now_s + ROUND_S && !too_late) {
                continue;
            }
            if too_late {
                // The kitchen was later than it said: they go home, and somebody else is looked for.
                self.waiting.extend(sent.orders);
                self.waiting.sort_unstable();
                let rider = &mut self.riders[courier];
                (rider.sent, rider.at, rider.free_s) = (None, Place::Restaurant(sent.restaurant), sent.arrive_s);
                continue;
            }
            let orders = mind.sequence(&self.moment(), courier, &sent.orders);
            let bundle = Bundle { restaurant: sent.restaurant, orders };
            let trip = trip(self.instance, sent.from, sent.assigned_s, sent.depart_s, &bundle);
            let rider = &mut self.riders[courier];
            (rider.at, rider.free_s, rider.sent, rider.doors) = (trip.end(), trip.end_s, None, bundle.orders);
            rider.delivered += rider.doors.len() as u32;
            self.trips.push((courier, sent.assigned_s, trip));
        }
    }

    /// The solution, what was lost on the way, and what nobody picked up.
    fn close(mut self, not_seen: Vec<usize>) -> (Solution, Vec<usize>, Vec<usize>) {
        let mut lost = Vec::new();
        let mut solution = Solution::default();
        for (courier, assigned_s, trip) in &mut self.trips {
            if let Some(gone_s) = self.vanishes_s[*courier] {
                let came = trip.stops.iter().take_while(|stop| stop.dropoff_s <= gone_s).count();
                lost.extend(trip.stops.drain(came..).map(|stop| stop.order));
            }
            if !trip.stops.is_empty() {
                solution.record(self.instance, *courier, *assigned_s, trip);
            }
        }
        solution.sort(self.instance);
        lost.sort_unstable();
        // Placed after the last shift, or sent for and never picked up.
        let mut left = self.waiting;
        left.extend(not_seen);
        left.extend(self.riders.iter().filter_map(|rider| rider.sent.as_ref()).flat_map(|sent| sent.orders.iter().copied()));
        left.sort_unstable();
        (solution, lost, left)
    }
}
