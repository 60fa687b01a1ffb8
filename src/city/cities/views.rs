//! What others read of cities.

use std::cmp::Reverse;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use index::geo::{Point, distance_m};
use storage::{Moment, Read, Trace};

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

/// All cities with their settings, as they were at a moment.
struct Atlas {
    since: Moment,
    cities: Vec<(CityId, City, Option<Settings>)>,
}

/// The newest: asked for with every point, drawn when a city or a setting was written.
static ATLAS: ArcSwapOption<Atlas> = ArcSwapOption::const_empty();

fn draw(read: &(impl Read + ?Sized)) -> Vec<(CityId, City, Option<Settings>)> {
    CITIES.scan(read).map(|(id, city)| (id, city, SETTINGS.get(read, &id))).collect()
}

fn serving(cities: &[(CityId, City, Option<Settings>)], point: Point) -> Option<CityId> {
    let serving = cities.iter().filter(|(_, city, settings)| settings.as_ref().is_some_and(|settings| serves(city, settings, point)));
    serving.min_by_key(|(id, city, _)| (distance_m(point, city.center()).round() as u64, Reverse(*id))).map(|(id, ..)| *id)
}

/// The city that serves a point; of several the nearest.
pub fn at(read: &(impl Read + ?Sized), point: Point) -> Option<CityId> {
    let Some(moment) = read.moment() else { return serving(&draw(read), point) };
    let traces = [Trace::of_table(CITIES.id), Trace::of_table(SETTINGS.id)];
    match &*ATLAS.load() {
        Some(atlas) if read.stands(&traces, atlas.since) => serving(&atlas.cities, point),
        _ => {
            let atlas = Atlas { since: moment, cities: draw(read) };
            let found = serving(&atlas.cities, point);
            ATLAS.store(Some(Arc::new(atlas)));
            found
        }
    }
}

/// All cities, the newest first, each with its distance from `from` in whole metres; with `from` the nearest first.
pub fn list(read: &(impl Read + ?Sized), from: Option<Point>) -> Vec<(u64, CityId, City)> {
    let mut cities: Vec<(u64, CityId, City)> =
        CITIES.scan(read).map(|(id, city)| (from.map_or(0, |from| distance_m(from, city.center()).round() as u64), id, city)).collect();
    cities.sort_by_key(|(distance, id, _)| (*distance, std::cmp::Reverse(*id)));
    cities
}
