//! Ways around where nobody is sent.

use std::sync::Arc;

use index::geo::{Obstacle, Point};

use super::Times;
use crate::city::couriers::Vehicle;

/// Another's times, with detours. A way that leads through an obstacle goes around it instead, by the corners of its hull.
pub struct Around {
    inner: Box<dyn Times>,
    obstacles: Arc<[Obstacle]>,
    /// Whether the others' ways are straight lines; else it is looked where they lead.
    straight: bool,
}

impl Around {
    #[must_use]
    pub fn new(inner: Box<dyn Times>, obstacles: Arc<[Obstacle]>, straight: bool) -> Self {
        Self { inner, obstacles, straight }
    }

    /// The stops of the way, ends included. Each obstacle is looked at once: around one it may lead through another, which is then left as it is.
    fn stops(&self, from: Point, to: Point, by: Vehicle) -> Vec<Point> {
        let mut stops = vec![from, to];
        for obstacle in &*self.obstacles {
            let mut next = vec![from];
            for pair in stops.windows(2) {
                let corners = obstacle.detour(pair[0], pair[1]).filter(|_| self.leads_through(obstacle, pair[0], pair[1], by));
                next.extend(corners.unwrap_or_default());
                next.push(pair[1]);
            }
            stops = next;
        }
        stops
    }

    /// A road may already lead around what lies on the straight line.
    fn leads_through(&self, obstacle: &Obstacle, from: Point, to: Point, by: Vehicle) -> bool {
        self.straight || self.inner.line(from, to, by).windows(2).any(|pair| obstacle.detour(pair[0], pair[1]).is_some())
    }

    fn is_detour(stops: &[Point]) -> bool {
        stops.len() > 2
    }
}

impl Times for Around {
    fn seconds(&self, from: Point, to: Point, by: Vehicle) -> u32 {
        self.stops(from, to, by).windows(2).map(|pair| self.inner.seconds(pair[0], pair[1], by)).sum()
    }

    fn metres(&self, from: Point, to: Point) -> u32 {
        self.stops(from, to, Vehicle::Motorbike).windows(2).map(|pair| self.inner.metres(pair[0], pair[1])).sum()
    }

    fn table(&self, from: &[Point], to: &[Point], by: Vehicle) -> Vec<Vec<u32>> {
        let mut table = self.inner.table(from, to, by);
        for (start, row) in from.iter().zip(&mut table) {
            for (end, seconds) in to.iter().zip(row) {
                let stops = self.stops(*start, *end, by);
                if Self::is_detour(&stops) {
                    *seconds = stops.windows(2).map(|pair| self.inner.seconds(pair[0], pair[1], by)).sum();
                }
            }
        }
        table
    }

    fn line(&self, from: Point, to: Point, by: Vehicle) -> Vec<Point> {
        let mut line = vec![from];
        for pair in self.stops(from, to, by).windows(2) {
            line.extend(self.inner.line(pair[0], pair[1], by).into_iter().skip(1));
        }
        line
    }
}
