//! What completed trips teach about the straight line: how long a kilometre of it takes, by vehicle and hour. Pure.
//!
//! A trip counts by its pace (time for a kilometre), each as much as any other, and moves the average by a small share: what was long ago fades, and
//! no single trip counts for much, however strange. All in integers, so that every machine learns the same.

use serde::{Deserialize, Serialize};
use storage::Row;

use crate::city::couriers::Vehicle;

/// From this many trips on an average is used.
pub const TRIPS_MIN: u32 = 30;
/// A new trip moves the average by at least this part of the difference: what is older than a few times as many trips is forgotten.
const MEMORY_TRIPS: i64 = 64;
/// The operator's own figure counts like this many trips at the beginning.
const PRIOR_TRIPS: i64 = 8;
/// A trip counts as at most so many times slower or faster than the average so far.
const STRETCH_MAX: i64 = 3;
/// Shorter ones say more about doors than about streets.
const METRES_MIN: u32 = 300;
const SECONDS_MIN: i64 = 30;
/// Longer ones had a reason that is none of the street's.
const SECONDS_MAX: i64 = 2 * 3600;

/// Nobody is faster along a straight line through a city, in metres a second.
#[must_use]
pub fn cap_mps(by: Vehicle) -> f64 {
    match by {
        Vehicle::Foot => 2.0,
        Vehicle::Bike => 8.0,
        Vehicle::Motorbike | Vehicle::Car => 16.0,
    }
}

/// The pace at the cap: no average is below.
fn floor_us_per_km(by: Vehicle) -> i64 {
    pace_of(cap_mps(by))
}

/// Microseconds that a kilometre takes at a speed.
#[must_use]
pub fn pace_of(mps: f64) -> i64 {
    (1e9 / mps).ceil() as i64
}

/// One leg that somebody travelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trip {
    /// As the crow flies.
    pub metres: u32,
    pub seconds: i64,
}

/// An average.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    pub us_per_km: i64,
    /// How many trips are in it.
    pub trips: u32,
}

impl Row for Pace {
    const VERSION: u8 = 1;
}

impl Pace {
    /// Where learning begins: at the operator's figure, not above the cap.
    #[must_use]
    pub fn begin(prior_us_per_km: i64, by: Vehicle) -> Self {
        Self { us_per_km: prior_us_per_km.max(floor_us_per_km(by)), trips: 0 }
    }

    /// With one more trip; a trip that says nothing changes nothing.
    #[must_use]
    pub fn learn(self, trip: Trip, by: Vehicle) -> Self {
        if trip.metres < METRES_MIN || !(SECONDS_MIN..=SECONDS_MAX).contains(&trip.seconds) {
            return self;
        }
        let seen = trip.seconds * 1_000_000_000 / i64::from(trip.metres);
        let seen = seen.clamp(self.us_per_km / STRETCH_MAX, self.us_per_km * STRETCH_MAX).max(floor_us_per_km(by));
        let weight = (PRIOR_TRIPS + i64::from(self.trips)).min(MEMORY_TRIPS);
        // At most what a walker with a broken leg needs: the sum stays far from the end of the numbers.
        let us_per_km = (self.us_per_km + (seen - self.us_per_km) / weight).min(pace_of(0.1));
        Self { us_per_km, trips: self.trips.saturating_add(1) }
    }

    /// Metres a second, once enough trips are in it.
    #[must_use]
    pub fn speed_mps(self) -> Option<f64> {
        (self.trips >= TRIPS_MIN).then(|| 1e9 / self.us_per_km as f64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VEHICLES: [Vehicle; 4] = [Vehicle::Bike, Vehicle::Motorbike, Vehicle::Car, Vehicle::Foot];

    fn trip(metres: u32, seconds: i64) -> Trip {
        Trip { metres, seconds }
    }

    fn after(by: Vehicle, trips: &[Trip]) -> Pace {
        trips.iter().fold(Pace::begin(pace_of(5.0), by), |pace, trip| pace.learn(*trip, by))
    }

    #[test]
    fn what_trips_teach() {
        use Vehicle::{Bike, Foot, Motorbike};
        let same = |count: usize, metres, seconds| vec![trip(metres, seconds); count];
        // (vehicle, trips, centimetres a second afterwards)
        let cases: [(Vehicle, Vec<Trip>, Option<i64>); 9] = [
            (Bike, same(29, 2_000, 500), None),
            (Bike, same(400, 2_000, 400), Some(500)),
            (Bike, same(400, 2_000, 500), Some(400)),
            (Motorbike, same(400, 3_000, 300), Some(1_000)),
            (Bike, same(400, 2_000, 31), Some(800)),
            (Foot, same(400, 2_000, 500), Some(200)),
            // Too short, too quick or too long to say anything.
            (Bike, same(400, 299, 500), None),
            (Bike, same(400, 2_000, 29), None),
            (Bike, [same(400, 2_000, 500), same(400, 2_000, 7_201)].concat(), Some(400)),
        ];
        for (by, trips, expected) in cases {
            let learned = after(by, &trips).speed_mps().map(|mps| (mps * 100.0).round() as i64);
            assert_eq!(learned, expected, "{by:?} {:?}", trips.first());
        }
    }

    #[test]
    fn what_was_long_ago_fades() {
        let slow = vec![trip(2_000, 800); 300];
        let fast = vec![trip(2_000, 400); 200];
        let learned = after(Vehicle::Bike, &[slow, fast].concat()).speed_mps().expect("enough trips");
        assert!((4.5..5.0).contains(&learned), "{learned}");
    }

    proptest! {
        /// Whatever is reported, nobody is thought faster than the vehicle's cap, and one trip moves an average by a few hundredths.
        #[test]
        fn learning_is_bounded(by in 0..4_usize, trips in prop::collection::vec((0..50_000_u32, -10..10_000_i64), 1..200), prior in 1..60_u32) {
            let by = VEHICLES[by];
            let mut pace = Pace::begin(pace_of(f64::from(prior)), by);
            for (metres, seconds) in trips {
                let next = pace.learn(trip(metres, seconds), by);
                if next.trips > TRIPS_MIN {
                    let moved = (next.us_per_km - pace.us_per_km).abs() as f64 / pace.us_per_km as f64;
                    prop_assert!(moved <= 2.0 / 30.0, "{moved}");
                }
                if let Some(speed) = next.speed_mps() {
                    prop_assert!(speed > 0.0 && speed <= cap_mps(by), "{speed}");
                }
                pace = next;
            }
        }
    }
}
