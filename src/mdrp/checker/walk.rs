//! One courier's day, move by move: arrivals are recomputed from departures and distances.
//!
//! ```text
//!  home ──move──► restaurant ─ half service, wait until ready ─ PICKUP ─ half ──move──► door ─ half ─ DROP-OFF ─ half ──► next
//!          │          ▲
//!          └─ may go to another restaurant first (sent there, then sent on): allowed by the problem, counted in the report
//! ```

use std::collections::HashMap;

use super::{Checker, Rule, clock, order};
use crate::mdrp::instance::Place;
use crate::mdrp::solution::{Assignment, Move};

/// One courier on the way through the day: `next` move to make, standing at `at` (`None`: home), not to leave before `free_s`.
pub(super) struct Walker<'a, 'b> {
    pub checker: &'a mut Checker<'b>,
    pub courier: usize,
    pub moves: &'a [&'a Move],
    pub next: usize,
    pub at: Option<&'a str>,
    pub free_s: i64,
}

impl<'a> Walker<'a, '_> {
    /// `None`: stopped at a violation, which has been noted.
    pub fn walk(mut self, work: &[&'a Assignment], dropoffs: &HashMap<&str, i64>) -> Option<()> {
        for assignment in work {
            self.approach(assignment)?;
            self.pick_up_and_deliver(assignment, dropoffs)?;
        }
        while self.next < self.moves.len() {
            self.ride_to_restaurant()?;
            self.checker.report.empty_moves += 1;
        }
        Some(())
    }

    /// All moves until the courier stands at the assignment's restaurant and would next go to its first door.
    fn approach(&mut self, assignment: &'a Assignment) -> Option<()> {
        let instance = self.checker.instance;
        let ahead = self.moves[self.next..].iter().position(|leg| leg.destination == assignment.orders[0]);
        let restaurant = &instance.restaurants[order(instance, &assignment.orders[0]).restaurant].id;
        let first = &assignment.orders[0];
        let ahead = self.some(ahead.filter(|ahead| *ahead > 0), || format!("no moves for the bundle of {first}"))?;
        let left_s = self.moves[self.next + ahead - 1].depart_s;
        for _ in 0..ahead {
            self.ride_to_restaurant()?;
        }
        let at = self.at;
        self.require(Rule::MovesFit, at == Some(restaurant), || format!("goes from {at:?} to {first}, not from {restaurant}"))?;
        let placed_s = assignment.orders.iter().map(|id| order(instance, id).placed_s).min();
        let report = &mut self.checker.report;
        report.empty_moves += ahead - 1;
        report.sent_ahead += usize::from(left_s < assignment.assigned_s);
        report.left_before_placement += usize::from(placed_s.is_some_and(|placed_s| left_s < placed_s));
        Some(())
    }

    fn pick_up_and_deliver(&mut self, assignment: &'a Assignment, dropoffs: &HashMap<&str, i64>) -> Option<()> {
        let parameters = &self.checker.instance.parameters;
        let (pickup_half_s, dropoff_half_s) = (parameters.pickup_service_s / 2, parameters.dropoff_service_s / 2);
        let (arrive_s, pickup_s) = (self.free_s, assignment.pickup_s);
        self.require(Rule::PickupService, pickup_s >= arrive_s + pickup_half_s, || {
            format!("arrives at {}, picks up at {}", clock(arrive_s), clock(pickup_s))
        })?;
        self.free_s = pickup_s + pickup_half_s;
        for id in &assignment.orders {
            let leaves_s = self.free_s;
            let leg = self.step()?;
            self.require(Rule::MovesFit, leg.destination == *id, || format!("goes to {}, not to {id}", leg.destination))?;
            self.require(Rule::LeavesAfterService, leg.depart_s == leaves_s, || {
                format!("leaves for {id} at {}, not at {}", clock(leg.depart_s), clock(leaves_s))
            })?;
            let (dropoff_s, due_s) = (dropoffs.get(id.as_str()).copied()?, self.free_s + dropoff_half_s);
            self.require(Rule::DropoffTime, dropoff_s == due_s, || {
                format!("drops {id} off at {}, not at {}", clock(dropoff_s), clock(due_s))
            })?;
            self.free_s = dropoff_s + dropoff_half_s;
        }
        Some(())
    }

    /// A move that nobody is waiting for at the end: only to a restaurant, only within the shift.
    fn ride_to_restaurant(&mut self) -> Option<()> {
        let instance = self.checker.instance;
        let leg = self.step()?;
        let is_restaurant = matches!(instance.place(&leg.destination), Some(Place::Restaurant(_)));
        self.require(Rule::MovesFit, is_restaurant, || format!("goes to {} without its order", leg.destination))?;
        let off_s = instance.couriers[self.courier].off_s;
        self.require(Rule::PickupInShift, leg.depart_s <= off_s, || {
            format!("leaves for {} at {}, is off at {}", leg.destination, clock(leg.depart_s), clock(off_s))
        })
    }

    /// The next move, whatever it is for: from where the courier stands, when the courier is free; then stands at its end.
    fn step(&mut self) -> Option<&'a Move> {
        let instance = self.checker.instance;
        let leg = *self.some(self.moves.get(self.next), || "has no further move".into())?;
        let (at, free_s, on_s) = (self.at, self.free_s, instance.couriers[self.courier].on_s);
        self.require(Rule::Continuous, leg.origin.as_deref() == at, || {
            format!("leaves {:?} for {}, stands at {at:?}", leg.origin, leg.destination)
        })?;
        self.require(Rule::MoveInShift, leg.depart_s >= on_s, || format!("leaves at {}, is on at {}", clock(leg.depart_s), clock(on_s)))?;
        self.require(Rule::NotDiverted, leg.depart_s >= free_s, || {
            format!("leaves for {} at {}, is busy until {}", leg.destination, clock(leg.depart_s), clock(free_s))
        })?;
        let home = Place::Courier(self.courier);
        let from = leg.origin.as_deref().map_or(Some(home), |id| instance.place(id))?;
        self.free_s = leg.depart_s + instance.travel_s(from, instance.place(&leg.destination)?);
        self.at = Some(&leg.destination);
        self.next += 1;
        Some(leg)
    }

    fn require(&mut self, rule: Rule, holds: bool, detail: impl FnOnce() -> String) -> Option<()> {
        let id = &self.checker.instance.couriers[self.courier].id;
        self.checker.require(rule, holds, || format!("{id} {}", detail())).then_some(())
    }

    fn some<T>(&mut self, found: Option<T>, detail: impl FnOnce() -> String) -> Option<T> {
        self.require(Rule::MovesFit, found.is_some(), detail)?;
        found
    }
}
