//! What was done in a day, in the three files that the public evaluator reads.
//!
//! Times are written as minutes: whole where they are, else with up to four decimals, which bring the exact second back on reading. The
//! evaluator cuts decimals of assignments, pickups and departures off; whole minutes are safe with it. An undelivered order has no row (a
//! row of `NA` is understood on reading). A courier's start is written `0`.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use super::instance::{Instance, Place};
use super::rules::Trip;
use super::table::{Cell, ReadError, lines, load, minutes};

const ASSIGNMENTS: &str = "solution_info_assignments.txt";
const ORDERS: &str = "solution_info_orders.txt";
const COURIERS: &str = "solution_info_couriers.txt";

/// A bundle given to a courier for good. `orders` in the sequence of their drop-offs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub assigned_s: i64,
    pub pickup_s: i64,
    pub courier: String,
    pub orders: Vec<String>,
}

/// A delivered order. Placement and ready time repeat the instance, because the file does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub order: String,
    pub placed_s: i64,
    pub ready_s: i64,
    pub pickup_s: i64,
    pub dropoff_s: i64,
    pub courier: String,
}

/// One leg. `origin` is `None` where the courier's shift begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    pub courier: String,
    pub depart_s: i64,
    pub origin: Option<String>,
    pub destination: String,
}

/// A day as it was played: ids and times, nothing proven. [`super::check`] proves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Solution {
    pub assignments: Vec<Assignment>,
    pub orders: Vec<Delivery>,
    /// One block a courier, in time order.
    pub moves: Vec<Move>,
}

impl Solution {
    /// Adds a trip: its assignment, deliveries and moves. [`Self::sort`] when the day is over.
    ///
    /// # Panics
    /// If the trip is not of this instance.
    pub fn record(&mut self, instance: &Instance, courier: usize, assigned_s: i64, trip: &Trip) {
        let id = |place| instance.id(place).to_owned();
        let courier = id(Place::Courier(courier));
        let orders: Vec<String> = trip.stops.iter().map(|stop| id(Place::Order(stop.order))).collect();
        let mut leg = |depart_s, from, to| {
            let origin = (!matches!(from, Place::Courier(_))).then(|| id(from));
            self.moves.push(Move { courier: courier.clone(), depart_s, origin, destination: id(to) });
        };
        let mut at = Place::Restaurant(trip.restaurant);
        leg(trip.depart_s, trip.from, at);
        for stop in &trip.stops {
            leg(stop.depart_s, at, Place::Order(stop.order));
            at = Place::Order(stop.order);
        }
        self.orders.extend(trip.stops.iter().map(|stop| {
            let order = &instance.orders[stop.order];
            Delivery {
                order: order.id.clone(),
                placed_s: order.placed_s,
                ready_s: order.ready_s,
                pickup_s: trip.pickup_s,
                dropoff_s: stop.dropoff_s,
                courier: courier.clone(),
            }
        }));
        self.assignments.push(Assignment { assigned_s, pickup_s: trip.pickup_s, courier, orders });
    }

    /// Puts everything in the order of the files: assignments by time, orders and couriers as in the instance, moves by time.
    pub fn sort(&mut self, instance: &Instance) {
        let rank = |id: &str| match instance.place(id) {
            Some(Place::Order(index) | Place::Courier(index) | Place::Restaurant(index)) => index,
            None => usize::MAX,
        };
        self.assignments.sort_by_key(|assignment| (assignment.assigned_s, rank(&assignment.courier)));
        self.orders.sort_by_key(|delivery| rank(&delivery.order));
        self.moves.sort_by_key(|leg| (rank(&leg.courier), leg.depart_s));
    }

    /// Writes the three files into `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let mut assignments = "assignment_time pickup_time courier orders\n".to_owned();
        for Assignment { assigned_s, pickup_s, courier, orders } in &self.assignments {
            let (assigned, pickup) = (minutes(*assigned_s), minutes(*pickup_s));
            let _ = writeln!(assignments, "{assigned} {pickup} {courier} {}", orders.join(" "));
        }
        let mut deliveries = "order placement_time ready_time pickup_time dropoff_time courier\n".to_owned();
        for Delivery { order, placed_s, ready_s, pickup_s, dropoff_s, courier } in &self.orders {
            let (placed, ready) = (minutes(*placed_s), minutes(*ready_s));
            let (pickup, dropoff) = (minutes(*pickup_s), minutes(*dropoff_s));
            let _ = writeln!(deliveries, "{order} {placed} {ready} {pickup} {dropoff} {courier}");
        }
        let mut moves = "courier departure_time origin destination\n".to_owned();
        for Move { courier, depart_s, origin, destination } in &self.moves {
            let origin = origin.as_deref().unwrap_or("0");
            let _ = writeln!(moves, "{courier} {} {origin} {destination}", minutes(*depart_s));
        }
        std::fs::create_dir_all(folder)?;
        for (file, text) in [(ASSIGNMENTS, assignments), (ORDERS, deliveries), (COURIERS, moves)] {
            std::fs::write(folder.join(file), text)?;
        }
        Ok(())
    }

    /// Reads the three files, separated by spaces or tabs, with their header lines.
    ///
    /// # Errors
    /// [`ReadError`], with file, line and column. Whether the ids exist and the times make sense is for [`super::check`].
    pub fn read(folder: &Path) -> Result<Self, ReadError> {
        let mut solution = Self::default();
        let text = load(folder, ASSIGNMENTS)?;
        for row in rows(ASSIGNMENTS, &text) {
            solution.assignments.push(Assignment {
                assigned_s: row.cell(0, "assignment_time")?.minutes()?,
                pickup_s: row.cell(1, "pickup_time")?.minutes()?,
                courier: row.cell(2, "courier")?.id()?.into(),
                orders: (3..row.words.len().max(4)).map(|i| Ok(row.cell(i, "orders")?.id()?.into())).collect::<Result<_, ReadError>>()?,
            });
        }
        let text = load(folder, ORDERS)?;
        for row in rows(ORDERS, &text) {
            if row.words.get(4).is_some_and(|dropoff| matches!(*dropoff, "NA" | "nan" | "None")) {
                continue;
            }
            solution.orders.push(Delivery {
                order: row.cell(0, "order")?.id()?.into(),
                placed_s: row.cell(1, "placement_time")?.minutes()?,
                ready_s: row.cell(2, "ready_time")?.minutes()?,
                pickup_s: row.cell(3, "pickup_time")?.minutes()?,
                dropoff_s: row.cell(4, "dropoff_time")?.minutes()?,
                courier: row.cell(5, "courier")?.id()?.into(),
            });
        }
        let text = load(folder, COURIERS)?;
        for row in rows(COURIERS, &text) {
            let courier = row.cell(0, "courier")?.id()?;
            let origin = row.cell(2, "origin")?;
            let origin = if origin.text == "0" || origin.text == courier { None } else { Some(origin.id()?.to_owned()) };
            solution.moves.push(Move {
                courier: courier.into(),
                depart_s: row.cell(1, "departure_time")?.minutes()?,
                origin,
                destination: row.cell(3, "destination")?.id()?.into(),
            });
        }
        Ok(solution)
    }
}

struct Row<'a> {
    file: &'a str,
    line: usize,
    words: Vec<&'a str>,
}

impl<'a> Row<'a> {
    fn cell(&self, index: usize, column: &'a str) -> Result<Cell<'a>, ReadError> {
        let cell = |text| Cell { file: self.file, line: self.line, column, text };
        self.words.get(index).map(|text| cell(text)).ok_or_else(|| cell("").fault("a value"))
    }
}

/// The lines after the header, split at white space.
fn rows<'a>(file: &'a str, text: &'a str) -> impl Iterator<Item = Row<'a>> {
    lines(text).skip(1).map(move |(line, text)| Row { file, line, words: text.split_whitespace().collect() })
}
