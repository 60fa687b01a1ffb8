//! What operators do to zones, and what the watcher found.

use index::geo::Area;
use storage::{Direction, Timestamp};

use super::model::{
    CHANGES, Changed, Crossed, INSIDE, POINTS_MAX, Purpose, Refusal, SHAPES, Shape, ZONES, ZONES_BY_CITY, ZONES_MAX, Zone, ZoneId,
};
use crate::city::cities::{self, CityId, ServiceArea};
use crate::city::couriers::CourierId;
use crate::city::dispatch::model::{JOBS, JOBS_OPEN, Job, SubjectId};
use crate::city::dispatch::{self};
use crate::city::eta::model::EXPECTED;
use crate::engine::{Fault, Question, Resource, Tx};

/// On the operators' list: a counter or a door of what is under way is where nobody is sent.
pub const ATTENTION: &str = "no_go";
/// Jobs that are looked at when a no-go zone is drawn.
const LOOKED_AT_MAX: usize = 512;

/// A zone as it is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    pub name: String,
    pub purpose: Purpose,
    pub active: bool,
    pub area: ServiceArea,
}

fn question(city: CityId) -> Question {
    Question::new("zones.edit", Resource::new("City", city))
}

fn corners(area: &Area) -> (crate::city::place::Place, crate::city::place::Place) {
    let (low, high) = area.corners();
    (low.into(), high.into())
}

/// Draws a zone.
///
/// # Errors
/// [`Refusal::CityUnknown`], [`Refusal::TooMany`], [`Refusal::Denied`].
pub fn create(tx: &mut Tx<'_, '_>, city: CityId, draft: Draft) -> Result<(ZoneId, Zone), Refusal> {
    cities::get(tx, city).ok_or(Refusal::CityUnknown)?;
    tx.authorize(&question(city))?;
    let id: ZoneId = tx.new_id();
    let now = tx.now();
    let zone = Zone {
        city,
        name: draft.name,
        purpose: draft.purpose,
        active: draft.active,
        corners: corners(&draft.area.area()),
        points: draft.area.points(),
        version: 1,
        created_at: now,
        updated_at: now,
    };
    ZONES.put(tx, &id, &zone);
    check_size(tx, city)?;
    SHAPES.put(tx, &id, &Shape(draft.area));
    changed(tx, id, &zone);
    Ok((id, zone))
}

/// Changes a zone. `change` gets it as it is drawn now.
///
/// # Errors
/// [`Refusal::Unknown`], [`Refusal::Stale`], [`Refusal::TooMany`], [`Refusal::Denied`], or what `change` refuses.
pub fn edit(
    tx: &mut Tx<'_, '_>,
    id: ZoneId,
    if_match: Option<u64>,
    change: impl FnOnce(&mut Draft) -> Result<(), Refusal>,
) -> Result<Zone, Refusal> {
    let before = ZONES.get(tx, &id).ok_or(Refusal::Unknown)?;
    let Shape(area) = SHAPES.get(tx, &id).ok_or(Refusal::Unknown)?;
    let drawn = Draft { name: before.name.clone(), purpose: before.purpose, active: before.active, area };
    let mut draft = drawn.clone();
    // What is invalid is said before who may: the contract's order.
    change(&mut draft)?;
    tx.authorize(&question(before.city))?;
    if if_match.is_some_and(|wanted| wanted != before.version) {
        return Err(Refusal::Stale { version: before.version });
    }
    if draft == drawn {
        return Ok(before);
    }
    let zone = Zone {
        name: draft.name,
        purpose: draft.purpose,
        active: draft.active,
        corners: corners(&draft.area.area()),
        points: draft.area.points(),
        version: before.version + 1,
        updated_at: tx.now(),
        ..before
    };
    ZONES.put(tx, &id, &zone);
    check_size(tx, zone.city)?;
    SHAPES.put(tx, &id, &Shape(draft.area));
    changed(tx, id, &zone);
    Ok(zone)
}

/// Removes a zone. Whoever is in it leaves it without a word.
///
/// # Errors
/// [`Refusal::Unknown`], [`Refusal::Denied`].
pub fn remove(tx: &mut Tx<'_, '_>, id: ZoneId) -> Result<(), Refusal> {
    let zone = ZONES.get(tx, &id).ok_or(Refusal::Unknown)?;
    tx.authorize(&question(zone.city))?;
    ZONES.delete(tx, &id);
    SHAPES.delete(tx, &id);
    changed(tx, id, &Zone { active: false, ..zone });
    Ok(())
}

fn check_size(tx: &Tx<'_, '_>, city: CityId) -> Result<(), Refusal> {
    let (mut count, mut points) = (0, 0_u32);
    for (_, zone) in ZONES.find(tx, &ZONES_BY_CITY, &city) {
        count += 1;
        points = points.saturating_add(zone.points);
    }
    if count > ZONES_MAX || points > POINTS_MAX { Err(Refusal::TooMany) } else { Ok(()) }
}

fn changed(tx: &mut Tx<'_, '_>, id: ZoneId, zone: &Zone) {
    let mut changes = CHANGES.get(tx, &()).unwrap_or_default();
    changes.0 += 1;
    CHANGES.put(tx, &(), &changes);
    tx.emit(Changed { zone: id, city: zone.city });
    if zone.active && zone.purpose == Purpose::NoGo {
        alarm(tx, id, zone);
    }
}

/// What is under way to or from a place where nobody is sent any more is a person's decision.
fn alarm(tx: &mut Tx<'_, '_>, id: ZoneId, zone: &Zone) {
    let Some(Shape(area)) = SHAPES.get(tx, &id) else { return };
    let area = area.area();
    let open = JOBS.find(tx, &JOBS_OPEN, &zone.city).map(|(_, job)| job).take(LOOKED_AT_MAX);
    let carried = EXPECTED.scan(tx).filter(|(_, expected)| expected.city == zone.city).take(LOOKED_AT_MAX);
    let carried = carried.filter_map(|(subject, _)| dispatch::jobs::of_subject(tx, subject)).map(|(_, job)| job);
    let touched = |job: &Job| area.contains(job.request.pickup.point()) || area.contains(job.request.dropoff.point());
    let jobs: Vec<Job> = open.chain(carried).filter(touched).collect();
    for job in jobs {
        let subject = SubjectId::from_u128(job.request.subject).to_string();
        tx.attention(ATTENTION, &subject, format!("it is brought to or from `{}`, where nobody is sent", zone.name), &["assign", "cancel"]);
    }
}

/// A border that the watcher saw crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crossing {
    pub courier: CourierId,
    pub zone: ZoneId,
    pub entered: bool,
    /// Device time.
    pub at: Timestamp,
}

/// Writes crossings and says them. What has been said already, or is about a zone that is gone, says nothing.
///
/// # Errors
/// Never; the signature is the engine's.
pub fn cross(tx: &mut Tx<'_, '_>, crossings: &[Crossing]) -> Result<(), Fault> {
    for crossing in crossings {
        let before = INSIDE.get(tx, &crossing.courier).unwrap_or_default();
        let mut inside = before.clone();
        match (inside.0.binary_search(&crossing.zone), crossing.entered) {
            (Err(at), true) => inside.0.insert(at, crossing.zone),
            (Ok(at), false) => drop(inside.0.remove(at)),
            (Ok(_), true) | (Err(_), false) => continue,
        }
        let zone = ZONES.get(tx, &crossing.zone).filter(|zone| zone.active);
        if zone.is_none() && crossing.entered {
            continue;
        }
        if inside.0.is_empty() {
            INSIDE.delete(tx, &crossing.courier);
        } else {
            INSIDE.put(tx, &crossing.courier, &inside);
        }
        if let Some(zone) = zone {
            let Crossing { courier, zone: id, entered, at } = *crossing;
            tx.emit(Crossed { courier, zone: id, city: zone.city, name: zone.name, purpose: zone.purpose, entered, at });
        }
    }
    Ok(())
}

/// The zones of a city, oldest first.
#[must_use]
pub fn of_city(read: &(impl storage::Read + ?Sized), city: CityId) -> Vec<(ZoneId, Zone)> {
    ZONES.page(read, &ZONES_BY_CITY, &city, None, Direction::Forward).map(|(_, id, zone)| (id, zone)).collect()
}
