//! By the embedded road graph.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use index::geo::Point;
use index::roads::{Mode, RoadMap};

use super::{MEASURED_BY, Speeds, Times, unasked};
use crate::city::couriers::Vehicle;

/// Seconds and metres between two places, by mode; `None` off the map.
type Known = HashMap<(u64, u64, u64, u64, Mode), Option<(u32, u32)>>;

/// Times on a map. Made anew for each moment that is looked at; what it was asked once it remembers, because planning asks for the same legs again and again.
pub struct OnRoads {
    map: Arc<RoadMap>,
    crow: Speeds,
    known: Mutex<Known>,
}

impl OnRoads {
    #[must_use]
    pub fn new(map: Arc<RoadMap>, crow: impl Into<Speeds>) -> Self {
        Self { map, crow: crow.into(), known: Mutex::default() }
    }

    fn cost(&self, from: Point, to: Point, mode: Mode) -> Option<(u32, u32)> {
        let key = key(from, to, mode);
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return *known;
        }
        let cost = self.map.cost(from, to, mode);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, cost);
        cost
    }
}

fn key(from: Point, to: Point, mode: Mode) -> (u64, u64, u64, u64, Mode) {
    (from.lat().to_bits(), from.lon().to_bits(), to.lat().to_bits(), to.lon().to_bits(), mode)
}

fn mode(by: Vehicle) -> Mode {
    match by {
        Vehicle::Bike => Mode::Bike,
        Vehicle::Motorbike => Mode::Motorbike,
        Vehicle::Car => Mode::Car,
        Vehicle::Foot => Mode::Foot,
    }
}

impl Times for OnRoads {
    fn seconds(&self, from: Point, to: Point, by: Vehicle) -> u32 {
        self.cost(from, to, mode(by)).map_or_else(|| self.crow.seconds(from, to, by), |(seconds, _)| seconds)
    }

    fn metres(&self, from: Point, to: Point) -> u32 {
        self.metres_by(from, to, MEASURED_BY)
    }

    fn metres_by(&self, from: Point, to: Point, by: Vehicle) -> u32 {
        self.cost(from, to, mode(by)).map_or_else(|| self.crow.metres(from, to), |(_, metres)| metres)
    }

    fn ask_ahead(&self, from: &[Point], to: &[Point], by: Vehicle) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (rows, columns) = unasked(from, to, |from, to| known.contains_key(&key(from, to, mode(by))));
        drop(known);
        if !rows.is_empty() {
            self.table(&rows, &columns, by);
        }
    }

    fn table(&self, from: &[Point], to: &[Point], by: Vehicle) -> Vec<Vec<u32>> {
        let mode = mode(by);
        let rows = self.map.table(from, to, mode);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let row = |(start, row): (&Point, Vec<Option<(u32, u32)>>)| {
            let seconds = row.into_iter().zip(to).map(|(cost, end)| {
                known.insert(key(*start, *end, mode), cost);
                cost.map_or_else(|| self.crow.seconds(*start, *end, by), |(seconds, _)| seconds)
            });
            seconds.collect()
        };
        from.iter().zip(rows).map(row).collect()
    }

    fn line(&self, from: Point, to: Point, by: Vehicle) -> Vec<Point> {
        let Some(route) = self.map.route(from, to, mode(by)) else { return vec![from, to] };
        [from].into_iter().chain(route.line).chain([to]).collect()
    }
}
