//! The rectangle around something: most questions end there.

use super::Point;

/// The smallest rectangle around points, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bounds {
    pub south: f64,
    pub north: f64,
    pub west: f64,
    pub east: f64,
}

impl Bounds {
    /// Around no point there is a rectangle that holds none.
    pub(super) fn of(points: &[Point]) -> Self {
        let nothing = Self { south: f64::INFINITY, north: f64::NEG_INFINITY, west: f64::INFINITY, east: f64::NEG_INFINITY };
        points.iter().fold(nothing, |bounds, point| {
            bounds.and(Self { south: point.lat(), north: point.lat(), west: point.lon(), east: point.lon() })
        })
    }

    /// Around both.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            south: self.south.min(other.south),
            north: self.north.max(other.north),
            west: self.west.min(other.west),
            east: self.east.max(other.east),
        }
    }

    /// Whether `point` is in it, or not farther outside than `margin_deg`.
    pub(super) fn hold(&self, point: Point, margin_deg: f64) -> bool {
        (self.south - margin_deg..=self.north + margin_deg).contains(&point.lat())
            && (self.west - margin_deg..=self.east + margin_deg).contains(&point.lon())
    }

    /// Whether both are on the same side of it, so that nothing between them is in it.
    pub(super) fn are_beside(&self, a: Point, b: Point) -> bool {
        a.lat().max(b.lat()) < self.south
            || a.lat().min(b.lat()) > self.north
            || a.lon().max(b.lon()) < self.west
            || a.lon().min(b.lon()) > self.east
    }
}
