//! Reads: what holds at a point.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use index::geo::{Areas, Obstacle, Obstacles, Point};
use storage::Read;

use super::model::{CHANGES, Purpose, SHAPES, ZONES, ZONES_BY_CITY, Zone, ZoneId};
use crate::city::cities::{self, City, CityId, Settings};

/// Why nothing is brought to or from a point.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotServed {
    #[error("no deliveries go there")]
    OutOfArea,
    #[error("nobody is sent to {zone} at the moment")]
    NoGo { zone: String },
}

/// The active zones of a city that hold `point`. Shapes are read only where the rectangle fits, so that a command can ask too.
fn at(read: &(impl Read + ?Sized), city: CityId, purpose: Purpose, point: Point) -> (bool, Option<Zone>) {
    let mut any = false;
    for (id, zone) in ZONES.find(read, &ZONES_BY_CITY, &city) {
        if !zone.active || zone.purpose != purpose {
            continue;
        }
        any = true;
        let (low, high) = (zone.corners.0.point(), zone.corners.1.point());
        let near = (low.lat()..=high.lat()).contains(&point.lat()) && (low.lon()..=high.lon()).contains(&point.lon());
        if near && SHAPES.get(read, &id).is_some_and(|shape| shape.0.contains(point)) {
            return (true, Some(zone));
        }
    }
    (any, None)
}

/// Whether nobody is sent to `point`.
///
/// # Errors
/// [`NotServed::NoGo`], with the zone's name.
pub fn no_go(read: &(impl Read + ?Sized), city: CityId, point: Point) -> Result<(), NotServed> {
    match at(read, city, Purpose::NoGo, point) {
        (_, Some(zone)) => Err(NotServed::NoGo { zone: zone.name }),
        (_, None) => Ok(()),
    }
}

/// Whether deliveries go to `point`: not where nobody is sent; into a delivery zone or the settings' area if there are any; else within the radius.
///
/// # Errors
/// [`NotServed`].
pub fn serves(read: &(impl Read + ?Sized), id: CityId, city: &City, settings: &Settings, point: Point) -> Result<(), NotServed> {
    no_go(read, id, point)?;
    let served = match at(read, id, Purpose::Delivery, point) {
        (_, Some(_)) => true,
        (true, None) => settings.area.as_ref().is_some_and(|area| area.contains(point)),
        (false, None) => cities::serves(city, settings, point),
    };
    if served { Ok(()) } else { Err(NotServed::OutOfArea) }
}

/// All active zones in memory, by place: an R-tree.
#[derive(Default)]
pub struct Drawn {
    pub areas: Areas,
    pub zones: BTreeMap<ZoneId, Zone>,
}

/// How often zones have changed: the same number, the same zones.
#[must_use]
pub fn changes(read: &(impl Read + ?Sized)) -> u64 {
    CHANGES.get(read, &()).unwrap_or_default().0
}

/// Ways keep this far from where nobody is sent.
const KEEP_M: f64 = 50.0;

/// As of which count of changes, and the obstacles of each city.
type Known = (u64, BTreeMap<CityId, Arc<Obstacles>>);

/// What ways go around, by city; read anew when zones have changed.
#[derive(Default)]
pub struct Closed {
    known: Mutex<Known>,
}

impl Closed {
    /// The obstacles in a city.
    #[must_use]
    pub fn of(&self, read: &(impl Read + ?Sized), city: CityId) -> Arc<Obstacles> {
        let changes = changes(read);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 != changes {
            let mut all: BTreeMap<CityId, Vec<Obstacle>> = BTreeMap::new();
            for (id, zone) in ZONES.scan(read).filter(|(_, zone)| zone.active && zone.purpose == Purpose::NoGo) {
                let shape = SHAPES.get(read, &id).map(|shape| shape.0.area());
                all.entry(zone.city).or_default().extend(shape.into_iter().flat_map(|area| area.obstacles(KEEP_M)));
            }
            *known = (changes, all.into_iter().map(|(city, obstacles)| (city, Arc::new(obstacles.into()))).collect());
        }
        known.1.get(&city).cloned().unwrap_or_default()
    }
}

/// Reads all active zones.
#[must_use]
pub fn drawn(read: &(impl Read + ?Sized)) -> Drawn {
    let mut drawn = Drawn::default();
    for (id, zone) in ZONES.scan(read).filter(|(_, zone)| zone.active) {
        if let Some(shape) = SHAPES.get(read, &id) {
            drawn.areas.insert(id.as_u128(), shape.0.area());
            drawn.zones.insert(id, zone);
        }
    }
    drawn
}
