//! A routing server's answers as travel times: remembered for the moment that is looked at, and the straight line where there is none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use index::geo::Point;

use super::osrm::{Leg, Osrm};
use super::{MEASURED_BY, Speeds, Times, Way, unasked};
use crate::city::couriers::Vehicle;

/// What the server said of two places, by profile; `None` where it knows no way.
type Known = HashMap<(u64, u64, u64, u64, &'static str), Option<Leg>>;

/// Ways whose course is asked for in one go, at most: a server draws one by one.
const DRAWN_MAX: usize = 64;

/// Times from a server.
pub struct Served {
    server: Arc<Osrm>,
    crow: Speeds,
    known: Mutex<Known>,
}

/// OSRM's names of its profiles; a server has one map a profile, and most take any name.
fn profile(by: Vehicle) -> &'static str {
    match by {
        Vehicle::Bike => "bike",
        Vehicle::Motorbike | Vehicle::Car => "driving",
        Vehicle::Foot => "foot",
    }
}

fn key(from: Point, to: Point, profile: &'static str) -> (u64, u64, u64, u64, &'static str) {
    (from.lat().to_bits(), from.lon().to_bits(), to.lat().to_bits(), to.lon().to_bits(), profile)
}

impl Served {
    #[must_use]
    pub fn new(server: Arc<Osrm>, crow: impl Into<Speeds>) -> Self {
        Self { server, crow: crow.into(), known: Mutex::default() }
    }

    fn legs(&self, from: &[Point], to: &[Point], profile: &'static str) -> Vec<Vec<Option<Leg>>> {
        // A server that fails is asked again for the next moment, not for every leg of this one.
        let rows = self.server.table(profile, from, to).unwrap_or_else(|_| vec![vec![None; to.len()]; from.len()]);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for (from, row) in from.iter().zip(&rows) {
            known.extend(to.iter().zip(row).map(|(to, leg)| (key(*from, *to, profile), *leg)));
        }
        rows
    }

    fn leg(&self, from: Point, to: Point, profile: &'static str) -> Option<Leg> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key(from, to, profile)).copied();
        known.unwrap_or_else(|| self.legs(&[from], &[to], profile).into_iter().flatten().next().flatten())
    }
}

impl Times for Served {
    fn seconds(&self, from: Point, to: Point, by: Vehicle) -> u32 {
        self.leg(from, to, profile(by)).map_or_else(|| self.crow.seconds(from, to, by), |(seconds, _)| seconds.ceil() as u32)
    }

    fn metres(&self, from: Point, to: Point) -> u32 {
        self.metres_by(from, to, MEASURED_BY)
    }

    fn metres_by(&self, from: Point, to: Point, by: Vehicle) -> u32 {
        self.leg(from, to, profile(by)).map_or_else(|| self.crow.metres(from, to), |(_, metres)| metres.round() as u32)
    }

    fn ask_ahead(&self, from: &[Point], to: &[Point], by: Vehicle) {
        let profile = profile(by);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (rows, columns) = unasked(from, to, |from, to| known.contains_key(&key(from, to, profile)));
        drop(known);
        if !rows.is_empty() {
            self.legs(&rows, &columns, profile);
        }
    }

    fn table(&self, from: &[Point], to: &[Point], by: Vehicle) -> Vec<Vec<u32>> {
        let rows = self.legs(from, to, profile(by)).into_iter().zip(from);
        rows.map(|(row, from)| {
            let legs = row.into_iter().zip(to);
            legs.map(|(leg, to)| leg.map_or_else(|| self.crow.seconds(*from, *to, by), |(seconds, _)| seconds.ceil() as u32)).collect()
        })
        .collect()
    }

    fn line(&self, from: Point, to: Point, by: Vehicle) -> Vec<Point> {
        self.server.route(profile(by), from, to).map_or_else(|_| vec![from, to], |course| course.line)
    }

    fn lines(&self, ways: &[Way], by: Vehicle) -> Vec<Option<Vec<Point>>> {
        // Where it knew no way the straight line answered, and is the line.
        let is_theirs: Vec<bool> = ways.iter().map(|(from, to)| self.leg(*from, *to, profile(by)).is_some()).collect();
        let asked: Vec<Way> = ways.iter().zip(&is_theirs).filter(|(_, theirs)| **theirs).map(|(way, _)| *way).take(DRAWN_MAX).collect();
        let mut drawn = self.server.routes(profile(by), &asked).unwrap_or_default().into_iter();
        let line = |((from, to), theirs): (&Way, bool)| {
            if theirs { drawn.next().flatten().map(|course| course.line) } else { Some(vec![*from, *to]) }
        };
        ways.iter().zip(is_theirs).map(line).collect()
    }
}
