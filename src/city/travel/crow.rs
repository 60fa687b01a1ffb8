//! As the crow flies.

use index::geo::Point;

use super::Times;
use crate::city::couriers::Vehicle;

/// As the crow flies, at the speed that the city measured along such lines (so its streets' detours are in it).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GreatCircle {
    /// What couriers do on average: a bicycle's speed. Above zero.
    pub speed_mps: f64,
}

impl GreatCircle {
    /// Others relative to a bicycle. Only ever multiplies a speed; no money depends on it.
    fn factor(by: Vehicle) -> f64 {
        match by {
            Vehicle::Bike => 1.0,
            Vehicle::Motorbike => 1.5,
            Vehicle::Car => 1.2,
            Vehicle::Foot => 0.3,
        }
    }
}

impl Times for GreatCircle {
    fn seconds(&self, from: Point, to: Point, by: Vehicle) -> u32 {
        (from.distance_m(to) / (self.speed_mps * Self::factor(by))).ceil() as u32
    }

    fn metres(&self, from: Point, to: Point) -> u32 {
        from.distance_m(to).round() as u32
    }
}
