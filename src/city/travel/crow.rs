//! As the crow flies.

use index::geo::{Distances, Point};

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
    pub(super) fn factor(by: Vehicle) -> f64 {
        match by {
            Vehicle::Bike => 1.0,
            Vehicle::Motorbike => 1.5,
            Vehicle::Car => 1.2,
            Vehicle::Foot => 0.3,
        }
    }
}

/// Whole seconds of a way, the last one begun.
fn seconds(metres: f64, mps: f64) -> u32 {
    let seconds = metres / mps;
    // `ceil` is a call on processors that may lack the instruction, and a table has a hundred thousand cells.
    let whole = seconds as u32;
    whole.saturating_add(u32::from(f64::from(whole) < seconds))
}

impl Times for GreatCircle {
    fn seconds(&self, from: Point, to: Point, by: Vehicle) -> u32 {
        seconds(Distances::from(from).to_m(to), self.speed_mps * Self::factor(by))
    }

    fn metres(&self, from: Point, to: Point) -> u32 {
        from.distance_m(to).round() as u32
    }
}

/// As the crow flies, each vehicle at a speed of its own: the operator's figure, or what was learned at this hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speeds {
    /// Metres a second, in the order of [`Speeds::VEHICLES`]. Above zero.
    mps: [f64; 4],
}

impl Speeds {
    pub const VEHICLES: [Vehicle; 4] = [Vehicle::Bike, Vehicle::Motorbike, Vehicle::Car, Vehicle::Foot];

    /// The operator's figure for a bicycle, and the others relative to it.
    #[must_use]
    pub fn of(speed_mps: f64) -> Self {
        Self { mps: Self::VEHICLES.map(|by| speed_mps * GreatCircle::factor(by)) }
    }

    /// With another speed wherever `learned` knows one.
    #[must_use]
    pub fn with(self, learned: impl Fn(Vehicle) -> Option<f64>) -> Self {
        Self { mps: Self::VEHICLES.map(|by| learned(by).unwrap_or_else(|| self.mps(by))) }
    }

    /// Metres a second.
    #[must_use]
    pub fn mps(&self, by: Vehicle) -> f64 {
        match by {
            Vehicle::Bike => self.mps[0],
            Vehicle::Motorbike => self.mps[1],
            Vehicle::Car => self.mps[2],
            Vehicle::Foot => self.mps[3],
        }
    }
}

impl From<f64> for Speeds {
    fn from(speed_mps: f64) -> Self {
        Self::of(speed_mps)
    }
}

impl From<GreatCircle> for Speeds {
    fn from(crow: GreatCircle) -> Self {
        Self::of(crow.speed_mps)
    }
}

impl Times for Speeds {
    fn seconds(&self, from: Point, to: Point, by: Vehicle) -> u32 {
        seconds(Distances::from(from).to_m(to), self.mps(by))
    }

    fn table(&self, from: &[Point], to: &[Point], by: Vehicle) -> Vec<Vec<u32>> {
        let mps = self.mps(by);
        let row = |from: &Point| {
            let distances = Distances::from(*from);
            to.iter().map(|to| seconds(distances.to_m(*to), mps)).collect()
        };
        from.iter().map(row).collect()
    }

    fn metres(&self, from: Point, to: Point) -> u32 {
        from.distance_m(to).round() as u32
    }
}
