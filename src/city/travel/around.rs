//! Ways around where nobody is sent.
//!
//! ```text
//!   straight lines   does it lead through?                     ── no ──► as it is
//!                      └─ yes ──► the shortest way around all obstacles
//!   streets          is it long enough to touch an obstacle?   ── no ──► as the others say
//!                      └─ yes: where does it lead?             ── past ──► as the others say
//!                           └─ through, or nobody knows ──► the straight line, around all obstacles, and never faster than the way through
//! ```
//! Of very many ways in one decision the last are judged by their straight line.
//! Neither a map nor a server can be told what is closed, so their word is not taken for a way that leads there.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use index::geo::{Obstacles, Point};

use super::{MEASURED_BY, Speeds, Times, Way};
use crate::city::couriers::Vehicle;

/// A way by streets begins and ends this far from a door, at most; that is not in its length.
const OFF_STREET_M: f64 = 100.0;

/// Ways by streets that are drawn for one decision, to see whether they keep out.
const LOOKED_MAX: usize = 1_024;

/// A way (both ends' bits) and whose.
type Key = ([u64; 4], Vehicle);
/// Stops, ends included.
type Stops = Arc<[Point]>;

/// Others' times, with detours.
pub struct Around {
    theirs: Box<dyn Times>,
    obstacles: Arc<Obstacles>,
    crow: Speeds,
    /// Whether the others' ways follow streets; else they are straight lines.
    streets: bool,
    /// Ways that were looked at.
    looked: AtomicUsize,
    /// Ways that could lead through an obstacle: their detours, if they do.
    known: Mutex<HashMap<Key, Option<Stops>>>,
}

fn key((from, to): Way, by: Vehicle) -> Key {
    ([from.lat().to_bits(), from.lon().to_bits(), to.lat().to_bits(), to.lon().to_bits()], by)
}

impl Around {
    /// `crow` are the speeds on detours.
    #[must_use]
    pub fn new(theirs: Box<dyn Times>, obstacles: Arc<Obstacles>, crow: Speeds, streets: bool) -> Self {
        Self { theirs, obstacles, crow, streets, looked: AtomicUsize::new(0), known: Mutex::default() }
    }

    fn may_lead_through(&self, way: Way, by: Vehicle) -> bool {
        let (from, to) = way;
        if from == to {
            return false;
        }
        let obstacles = self.obstacles.not_holding([from, to]);
        if !self.streets {
            return !obstacles.leave_open(&[from, to]);
        }
        let long_m = f64::from(self.theirs.metres_by(from, to, by)) + 2.0 * OFF_STREET_M;
        obstacles.iter().any(|obstacle| obstacle.may_touch(from, to, long_m))
    }

    /// The detour of each way; `None`: it is as the others say.
    fn detours(&self, ways: &[Way], by: Vehicle) -> Vec<Option<Stops>> {
        let near: Vec<bool> = ways.iter().map(|way| self.may_lead_through(*way, by)).collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut new: Vec<Way> =
            ways.iter().zip(&near).filter(|(way, near)| **near && !known.contains_key(&key(**way, by))).map(|(way, _)| *way).collect();
        new.dedup();
        if !new.is_empty() {
            // Others may ask meanwhile: a server takes its time.
            drop(known);
            let found = self.look(&new, by);
            known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.extend(new.iter().map(|way| key(*way, by)).zip(found));
        }
        ways.iter().zip(near).map(|(way, near)| if near { known.get(&key(*way, by)).cloned().flatten() } else { None }).collect()
    }

    /// [`Around::detours`] of ways that may lead through.
    fn look(&self, ways: &[Way], by: Vehicle) -> Vec<Option<Stops>> {
        let lines = if self.streets { self.lines(ways, by) } else { vec![None; ways.len()] };
        let detour = |((from, to), line): (&Way, Option<Vec<Point>>)| {
            let obstacles = self.obstacles.not_holding([*from, *to]);
            if line.is_some_and(|line| obstacles.leave_open(&line)) {
                return None;
            }
            // Who is enclosed gets out as they can: there is no better word than the others'.
            let corners = obstacles.way(*from, *to)?;
            Some([*from].into_iter().chain(corners).chain([*to]).collect())
        };
        ways.iter().zip(lines).map(detour).collect()
    }

    /// Where ways lead. Beyond [`LOOKED_MAX`] the straight line stands for the way: a table of a city has tens of thousands.
    fn lines(&self, ways: &[Way], by: Vehicle) -> Vec<Option<Vec<Point>>> {
        let before = self.looked.fetch_add(ways.len(), Ordering::Relaxed);
        let (drawn, straight) = ways.split_at(LOOKED_MAX.saturating_sub(before).min(ways.len()));
        let mut lines = self.theirs.lines(drawn, by);
        lines.extend(straight.iter().map(|(from, to)| Some(vec![*from, *to])));
        lines
    }

    fn detour(&self, from: Point, to: Point, by: Vehicle) -> Option<Stops> {
        self.detours(&[(from, to)], by).pop().flatten()
    }

    /// `through`: what the others say of the way that may lead anywhere.
    fn seconds_over(&self, stops: &[Point], by: Vehicle, through: u32) -> u32 {
        let around: u32 = stops.windows(2).map(|pair| self.crow.seconds(pair[0], pair[1], by)).sum();
        around.max(through)
    }
}

impl Times for Around {
    fn seconds(&self, from: Point, to: Point, by: Vehicle) -> u32 {
        let through = self.theirs.seconds(from, to, by);
        self.detour(from, to, by).map_or(through, |stops| self.seconds_over(&stops, by, through))
    }

    fn metres(&self, from: Point, to: Point) -> u32 {
        self.metres_by(from, to, MEASURED_BY)
    }

    fn metres_by(&self, from: Point, to: Point, by: Vehicle) -> u32 {
        let through = self.theirs.metres_by(from, to, by);
        let around = |stops: Stops| stops.windows(2).map(|pair| self.crow.metres(pair[0], pair[1])).sum::<u32>();
        self.detour(from, to, by).map_or(through, |stops| around(stops).max(through))
    }

    fn ask_ahead(&self, from: &[Point], to: &[Point], by: Vehicle) {
        self.theirs.ask_ahead(from, to, by);
        if self.streets {
            self.detours(&pairs(from, to), by);
        }
    }

    fn table(&self, from: &[Point], to: &[Point], by: Vehicle) -> Vec<Vec<u32>> {
        let mut table = self.theirs.table(from, to, by);
        let detours = self.detours(&pairs(from, to), by);
        for (seconds, stops) in table.iter_mut().flatten().zip(detours) {
            if let Some(stops) = stops {
                *seconds = self.seconds_over(&stops, by, *seconds);
            }
        }
        table
    }

    fn line(&self, from: Point, to: Point, by: Vehicle) -> Vec<Point> {
        self.detour(from, to, by).map_or_else(|| self.theirs.line(from, to, by), |stops| stops.to_vec())
    }
}

/// Row by row.
fn pairs(from: &[Point], to: &[Point]) -> Vec<Way> {
    from.iter().flat_map(|from| to.iter().map(|to| (*from, *to))).collect()
}
