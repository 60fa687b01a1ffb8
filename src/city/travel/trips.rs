//! The rows that learning leaves, and what is made of them: written where couriers pick up and hand over, in the same commit.

use serde::{Deserialize, Serialize};
use storage::{Read, Row, Table, Timestamp};

use super::Speeds;
use super::learned::{Pace, Trip, pace_of};
use crate::city::cities::{self, CityId};
use crate::city::couriers::{CourierId, Vehicle};
use crate::city::dispatch::route::DROPOFF_S;
use crate::city::place::Place;
use crate::engine::Tx;

/// In the place of an hour: the whole day.
const ALL_DAY: u8 = 24;

/// By city, vehicle (its place in [`Speeds::VEHICLES`]) and local hour (24: the whole day).
pub static PACES: Table<(CityId, u8, u8), Pace> = Table::new(445, "travel.paces", &[]);

/// Where a courier last picked something up or handed it over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastStop {
    pub at: Timestamp,
    pub place: Place,
}

impl Row for LastStop {
    const VERSION: u8 = 1;
}

/// Of couriers with something in the bag.
pub static LAST_STOPS: Table<CourierId, LastStop> = Table::new(446, "travel.last_stops", &[]);

fn number(by: Vehicle) -> u8 {
    match by {
        Vehicle::Bike => 0,
        Vehicle::Motorbike => 1,
        Vehicle::Car => 2,
        Vehicle::Foot => 3,
    }
}

/// The hour of the day on a city's clocks.
fn hour(city: &cities::City, now: Timestamp) -> u8 {
    // A time beyond what calendars know has no hour; any will do.
    jiff::Timestamp::from_millisecond(now.millis()).map_or(0, |at| city.zone().to_datetime(at).hour().unsigned_abs())
}

/// The speeds along straight lines in a city at `now`: learned for this hour, or for the whole day, or what the operator said.
#[must_use]
pub fn speeds(read: &(impl Read + ?Sized), id: CityId, now: Timestamp) -> Option<Speeds> {
    let city = cities::get(read, id)?;
    let hour = hour(&city, now);
    let learned = |by| [hour, ALL_DAY].into_iter().find_map(|hour| PACES.get(read, &(id, number(by), hour))?.speed_mps());
    Some(Speeds::of(city.speed_mps).with(learned))
}

/// What most of a city's trips were made with; a bicycle until anybody knows.
#[must_use]
pub fn usual_vehicle(read: &(impl Read + ?Sized), id: CityId) -> Vehicle {
    let trips = |by: Vehicle| PACES.get(read, &(id, number(by), ALL_DAY)).map_or(0, |pace| pace.trips);
    // The first of equals: a bicycle.
    Speeds::VEHICLES.into_iter().rev().max_by_key(|by| trips(*by)).unwrap_or(Vehicle::Bike)
}

/// A courier leaves a counter.
pub fn departed(tx: &mut Tx, courier: CourierId, place: Place) {
    let at = tx.now();
    LAST_STOPS.put(tx, &courier, &LastStop { at, place });
}

/// A courier has handed over at `place`, where they arrived at `arrived_at` if they said so; with more in the bag they leave from there.
pub fn reached(tx: &mut Tx, courier: CourierId, city: CityId, by: Vehicle, place: Place, arrived_at: Option<Timestamp>, carries_on: bool) {
    let now = tx.now();
    if let Some(last) = LAST_STOPS.get(tx, &courier) {
        let seconds = match arrived_at.filter(|at| *at < now) {
            Some(at) => at.ms_since(last.at) / 1000,
            // It was said only with the hand-over: that took its usual time.
            None => now.ms_since(last.at) / 1000 - DROPOFF_S,
        };
        let metres = last.place.point().distance_m(place.point()).round() as u32;
        learn(tx, city, by, Trip { metres, seconds });
    }
    if carries_on {
        LAST_STOPS.put(tx, &courier, &LastStop { at: now, place });
    } else {
        LAST_STOPS.delete(tx, &courier);
    }
}

/// The way that a courier is on teaches nothing any more: its end is no longer the one that it was begun for.
pub fn forget(tx: &mut Tx, courier: CourierId) {
    LAST_STOPS.delete(tx, &courier);
}

/// Counts a trip for its hour and for the day.
pub fn learn(tx: &mut Tx, id: CityId, by: Vehicle, trip: Trip) {
    let Some(city) = cities::get(tx, id) else { return };
    let prior = Pace::begin(pace_of(Speeds::of(city.speed_mps).mps(by)), by);
    for hour in [hour(&city, tx.now()), ALL_DAY] {
        let key = (id, number(by), hour);
        let before = PACES.get(tx, &key).unwrap_or(prior);
        let after = before.learn(trip, by);
        if after != before {
            PACES.put(tx, &key, &after);
        }
    }
}
