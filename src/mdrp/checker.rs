//! Proves that a solution obeys the rules, from the instance and the three files alone.
//!
//! Nothing that produced the solution is believed, and each of the three files must tell the same day. Here: the rules, and what
//! can be seen line by line; `walk` follows each courier.

mod walk;

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::instance::{Instance, Place};
use super::solution::{Assignment, Delivery, Move, Solution};
use walk::Walker;

/// The rule that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// Every id is one of the instance's, and of the right kind.
    KnownIds,
    /// An order is in at most one assignment, once.
    AssignedOnce,
    /// An assignment has at least one order, and all are of one restaurant.
    OneRestaurant,
    /// Nothing is assigned before all its orders are placed.
    NotBeforePlacement,
    /// Nothing is picked up before it is assigned.
    AssignedBeforePickup,
    /// Nothing is picked up before the last of the bundle is ready.
    PickupWhenReady,
    /// A pickup takes half of the service after the arrival.
    PickupService,
    /// No pickup, and no departure for a restaurant, after the shift.
    PickupInShift,
    /// No move before the shift.
    MoveInShift,
    /// Each move begins where the last one ended.
    Continuous,
    /// Nobody moves on before arriving and finishing what is served there.
    NotDiverted,
    /// Each assignment has its moves: to its restaurant, then to its doors in sequence; there are no moves to other doors.
    MovesFit,
    /// The courier leaves the restaurant and each but the last door exactly when the service there is over.
    LeavesAfterService,
    /// A drop-off is the arrival and half of the service.
    DropoffTime,
    /// A row of the orders file repeats instance and assignment; each assigned order has exactly one, no other order has any.
    RowsFit,
    /// The couriers file has one block a courier.
    OneBlock,
}

/// One broken rule, in a sentence. Times are given in minutes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule:?}: {detail}")]
pub struct Violation {
    pub rule: Rule,
    pub detail: String,
}

/// What the checker saw in a solution that obeys the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub assignments: usize,
    pub delivered: usize,
    /// Ids, in the order of the instance.
    pub undelivered: Vec<String>,
    /// Assignments made after their courier had left for the restaurant (sent ahead, confirmed later).
    pub sent_ahead: usize,
    /// Those of them whose courier had left before any of their orders was placed: a good guess, or the future was known.
    pub left_before_placement: usize,
    /// Moves to a restaurant at which nothing was picked up.
    pub empty_moves: usize,
}

/// Checks every rule.
///
/// # Errors
/// All violations that were found. A courier's walk stops where it no longer makes sense, so that one fault is not told ten times.
pub fn check(instance: &Instance, solution: &Solution) -> Result<Report, Vec<Violation>> {
    let mut checker = Checker { instance, violations: Vec::new(), report: Report::default() };
    checker.ids(solution);
    if checker.violations.is_empty() {
        checker.assignments(&solution.assignments);
        checker.rows(solution);
        checker.blocks(&solution.moves);
    }
    // The walk needs sound assignments and rows to compare with.
    if checker.violations.iter().all(|violation| TIMES_ONLY.contains(&violation.rule)) {
        checker.walks(solution);
    }
    if !checker.violations.is_empty() {
        return Err(checker.violations);
    }
    let served: HashSet<&str> = solution.orders.iter().map(|row| row.order.as_str()).collect();
    let left = instance.orders.iter().filter(|order| !served.contains(order.id.as_str()));
    checker.report.undelivered = left.map(|order| order.id.clone()).collect();
    checker.report.delivered = served.len();
    checker.report.assignments = solution.assignments.len();
    Ok(checker.report)
}

/// Rules whose breach leaves the structure whole.
const TIMES_ONLY: [Rule; 4] = [Rule::NotBeforePlacement, Rule::AssignedBeforePickup, Rule::PickupWhenReady, Rule::PickupInShift];

struct Checker<'a> {
    instance: &'a Instance,
    violations: Vec<Violation>,
    report: Report,
}

impl Checker<'_> {
    fn require(&mut self, rule: Rule, holds: bool, detail: impl FnOnce() -> String) -> bool {
        if !holds {
            self.violations.push(Violation { rule, detail: detail() });
        }
        holds
    }

    fn ids(&mut self, solution: &Solution) {
        let instance = self.instance;
        let mut known = |id: &str, kind: &str, fits: fn(Place) -> bool| {
            self.require(Rule::KnownIds, instance.place(id).is_some_and(fits), || format!("{id} is no {kind}"));
        };
        let is_courier = |place| matches!(place, Place::Courier(_));
        let is_order = |place| matches!(place, Place::Order(_));
        let is_stop = |place| !matches!(place, Place::Courier(_));
        for Assignment { courier, orders, .. } in &solution.assignments {
            known(courier, "courier", is_courier);
            orders.iter().for_each(|order| known(order, "order", is_order));
        }
        for Delivery { order, courier, .. } in &solution.orders {
            known(order, "order", is_order);
            known(courier, "courier", is_courier);
        }
        for Move { courier, origin, destination, .. } in &solution.moves {
            known(courier, "courier", is_courier);
            origin.iter().chain([destination]).for_each(|id| known(id, "restaurant or order", is_stop));
        }
    }

    fn assignments(&mut self, assignments: &[Assignment]) {
        let instance = self.instance;
        let mut seen = HashSet::new();
        for Assignment { assigned_s, pickup_s, courier, orders } in assignments {
            for id in orders {
                self.require(Rule::AssignedOnce, seen.insert(id), || format!("{id} is assigned again"));
            }
            let orders: Vec<_> = orders.iter().map(|id| order(instance, id)).collect();
            let Some(first) = orders.first() else {
                self.require(Rule::OneRestaurant, false, || format!("an assignment of {courier} has no order"));
                continue;
            };
            for order in &orders {
                let id = &order.id;
                self.require(Rule::OneRestaurant, order.restaurant == first.restaurant, || {
                    format!("{id} and {} are of two restaurants", first.id)
                });
                self.require(Rule::NotBeforePlacement, *assigned_s >= order.placed_s, || {
                    format!("{id} is assigned at {}, placed at {}", clock(*assigned_s), clock(order.placed_s))
                });
                self.require(Rule::PickupWhenReady, *pickup_s >= order.ready_s, || {
                    format!("{id} is picked up at {}, ready at {}", clock(*pickup_s), clock(order.ready_s))
                });
            }
            self.require(Rule::AssignedBeforePickup, assigned_s <= pickup_s, || {
                format!("{} is picked up at {}, assigned at {}", first.id, clock(*pickup_s), clock(*assigned_s))
            });
            let off_s = instance.couriers[index(instance, courier)].off_s;
            self.require(Rule::PickupInShift, *pickup_s <= off_s, || {
                format!("{courier} picks {} up at {}, is off at {}", first.id, clock(*pickup_s), clock(off_s))
            });
        }
    }

    fn rows(&mut self, solution: &Solution) {
        let instance = self.instance;
        let assigned: HashMap<&str, &Assignment> =
            solution.assignments.iter().flat_map(|a| a.orders.iter().map(move |id| (id.as_str(), a))).collect();
        let mut seen = HashSet::new();
        for row in &solution.orders {
            let id = row.order.as_str();
            self.require(Rule::RowsFit, seen.insert(id), || format!("{id} has two rows"));
            let known = order(instance, id);
            self.require(Rule::RowsFit, (row.placed_s, row.ready_s) == (known.placed_s, known.ready_s), || {
                format!("the row of {id} has another placement or ready time than the instance")
            });
            let fits = assigned.get(id).is_some_and(|a| a.courier == row.courier && a.pickup_s == row.pickup_s);
            self.require(Rule::RowsFit, fits, || format!("the row of {id} has no assignment with its courier and pickup"));
        }
        for id in assigned.keys() {
            self.require(Rule::RowsFit, seen.contains(id), || format!("{id} is assigned and has no row"));
        }
    }

    fn blocks(&mut self, moves: &[Move]) {
        let mut seen = HashSet::new();
        for block in moves.chunk_by(|a, b| a.courier == b.courier) {
            let courier = &block[0].courier;
            self.require(Rule::OneBlock, seen.insert(courier), || format!("{courier} has two blocks"));
        }
    }

    fn walks(&mut self, solution: &Solution) {
        let dropoffs: HashMap<&str, i64> = solution.orders.iter().map(|row| (row.order.as_str(), row.dropoff_s)).collect();
        for (index, courier) in self.instance.couriers.iter().enumerate() {
            let of_courier = |id: &String| *id == courier.id;
            let moves: Vec<&Move> = solution.moves.iter().filter(|leg| of_courier(&leg.courier)).collect();
            let mut work: Vec<&Assignment> = solution.assignments.iter().filter(|a| of_courier(&a.courier)).collect();
            work.sort_by_key(|assignment| assignment.pickup_s);
            let walker = Walker { checker: self, courier: index, moves: &moves, next: 0, at: None, free_s: courier.on_s };
            // `None` is a walk that stopped at a violation; it has been noted.
            let _ = walker.walk(&work, &dropoffs);
        }
    }
}

fn index(instance: &Instance, id: &str) -> usize {
    match instance.place(id) {
        Some(Place::Order(index) | Place::Courier(index) | Place::Restaurant(index)) => index,
        None => {
            unreachable!("Checker::ids has found every id, and nothing is looked up if it has not")
        }
    }
}

fn order<'a>(instance: &'a Instance, id: &str) -> &'a super::Order {
    &instance.orders[index(instance, id)]
}

fn clock(seconds: i64) -> impl fmt::Display {
    super::table::minutes(seconds)
}
