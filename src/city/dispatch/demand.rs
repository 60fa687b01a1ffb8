//! Where orders come from, by zone: written with each request, read by policies that plan ahead. [`super::horizon::demand`] has the rule.

use index::geo::Point;
use serde::{Deserialize, Serialize};
use storage::{Index, Read, Row, Table, Timestamp};

use super::horizon::demand::Count;
use crate::city::cities::CityId;
use crate::engine::Tx;

/// Zones a degree: a side of about a kilometre.
const A_DEGREE: f64 = 100.0;

/// A square of the map: its south-western corner in hundredths of a degree, from the south pole and the date line.
pub type Zone = (u32, u32);

/// The zone of a point.
#[must_use]
pub fn zone(point: Point) -> Zone {
    (((point.lat() + 90.0) * A_DEGREE).floor() as u32, ((point.lon() + 180.0) * A_DEGREE).floor() as u32)
}

/// Its middle; at the edge of the world the edge.
#[must_use]
pub fn middle((lat, lon): Zone) -> Point {
    let (lat, lon) = ((f64::from(lat) + 0.5) / A_DEGREE - 90.0, (f64::from(lon) + 0.5) / A_DEGREE - 180.0);
    Point::new(lat.clamp(-90.0, 90.0), lon.clamp(-180.0, 180.0)).expect("clamped to the earth")
}

/// What a zone has counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// 2^-32 of an order.
    pub weight: u64,
    /// When it was so much.
    pub at: Timestamp,
}

impl Row for Demand {
    const VERSION: u8 = 1;
}

pub static DEMAND_BY_CITY: Index<(CityId, u32, u32), Demand> = Index::new(374, "dispatch.demand_by_city", |key, _, keys| keys.add(&key.0));
pub static DEMAND: Table<(CityId, u32, u32), Demand> = Table::new(373, "dispatch.demand", &[&DEMAND_BY_CITY]);

fn seconds(at: Timestamp) -> i64 {
    at.millis().div_euclid(1_000)
}

impl Demand {
    fn count(self) -> Count {
        Count { weight: self.weight, at_s: seconds(self.at) }
    }
}

/// Somebody wants something from there.
pub fn note(tx: &mut Tx, city: CityId, pickup: Point) {
    let (lat, lon) = zone(pickup);
    let key = (city, lat, lon);
    let before = DEMAND.get(tx, &key).map(Demand::count).unwrap_or_default();
    let at = tx.now();
    DEMAND.put(tx, &key, &Demand { weight: before.more(seconds(at)).weight, at });
}

/// What each zone of a city counts by now; those that count nothing any more are left out.
#[must_use]
pub fn of_city(read: &(impl Read + ?Sized), city: CityId, now: Timestamp) -> Vec<(Point, u64)> {
    let zones = DEMAND.find(read, &DEMAND_BY_CITY, &city);
    let left = zones.map(|((_, lat, lon), demand)| (middle((lat, lon)), demand.count().left(seconds(now))));
    left.filter(|(_, weight)| *weight > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_holds_its_middle() {
        for (lat, lon) in [(33.5731, -7.5898), (-33.0, 151.0), (0.0, 0.0), (89.999, 179.999), (-90.0, -180.0)] {
            let zone = zone(Point::new(lat, lon).expect("on the earth"));
            let there = middle(zone);
            assert_eq!(super::zone(there), zone, "{lat} {lon}");
            assert!((there.lat() - lat).abs() <= 0.005_001 && (there.lon() - lon).abs() <= 0.005_001, "{lat} {lon}: {there:?}");
        }
    }
}
