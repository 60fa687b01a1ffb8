//! What others read of cities.

use index::geo::{Point, distance_m};
use storage::Read;

use super::model::{CITIES, City, CityId, SETTINGS};
use super::settings::Settings;

/// The city.
pub fn get(read: &(impl Read + ?Sized), id: CityId) -> Option<City> {
    CITIES.get(read, &id)
}

/// How the city is run; `None` only if there is no such city.
pub fn settings(read: &(impl Read + ?Sized), id: CityId) -> Option<Settings> {
    SETTINGS.get(read, &id)
}

/// Whether deliveries go to `point`: inside the settings' area, or within the radius if there is none.
#[must_use]
pub fn serves(city: &City, settings: &Settings, point: Point) -> bool {
    match &settings.area {
        Some(area) => area.contains(point),
        None => distance_m(city.center(), point) <= f64::from(city.radius_m),
    }
}

/// The city that serves a point; of several the nearest.
pub fn at(read: &(impl Read + ?Sized), point: Point) -> Option<CityId> {
    let serving = |(_, id, city): &(u64, CityId, City)| SETTINGS.get(read, id).is_some_and(|settings| serves(city, &settings, point));
    list(read, Some(point)).into_iter().find(serving).map(|(_, id, _)| id)
}

/// All cities, the newest first, each with its distance from `from` in whole metres; with `from` the nearest first.
pub fn list(read: &(impl Read + ?Sized), from: Option<Point>) -> Vec<(u64, CityId, City)> {
    let mut cities: Vec<(u64, CityId, City)> =
        CITIES.scan(read).map(|(id, city)| (from.map_or(0, |from| distance_m(from, city.center()).round() as u64), id, city)).collect();
    cities.sort_by_key(|(distance, id, _)| (*distance, std::cmp::Reverse(*id)));
    cities
}
