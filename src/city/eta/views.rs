//! Reads: how far off the expectations were, and a courier's way as a line.

use std::sync::Arc;

use index::geo::Point;
use serde_json::{Map, Value, json};
use storage::{Read, Timestamp, View};

use super::machine::Outlook;
use super::model::{ERROR_CLASSES_S, ERRORS, Errors, Since, Stop};
use crate::city::couriers::{self, CourierId};
use crate::city::dispatch;
use crate::city::dispatch::route::{self, StopKind};
use crate::city::tracking::Tracking;

/// The errors of all cities together, for the overview: `{assignment: {count, mean_abs_s, mean_s, within: {"60": n, …}}, pickup: {…}}`.
#[must_use]
pub fn errors(read: &(impl Read + ?Sized)) -> Value {
    let mut sums = [Errors::default(); Since::ALL.len()];
    for ((_, since), errors) in ERRORS.scan(read) {
        let Some(sum) = sums.get_mut(usize::from(since)) else { continue };
        sum.count += errors.count;
        sum.sum_s += errors.sum_s;
        sum.sum_abs_s += errors.sum_abs_s;
        sum.classes.iter_mut().zip(errors.classes).for_each(|(sum, count)| *sum += count);
    }
    let shown = Since::ALL.into_iter().zip(sums).map(|(since, sum)| (since.name().to_owned(), shown(&sum)));
    Value::Object(shown.collect())
}

fn shown(errors: &Errors) -> Value {
    let mut within = Map::new();
    let mut so_far = 0;
    for (end, count) in ERROR_CLASSES_S.iter().zip(errors.classes) {
        so_far += count;
        within.insert(end.to_string(), json!(so_far));
    }
    let count = errors.count.max(1);
    json!({
        "count": errors.count,
        "mean_abs_s": errors.sum_abs_s / count,
        "mean_s": errors.sum_s / i64::try_from(count).unwrap_or(i64::MAX),
        "within": within,
    })
}

/// What a courier's way from where they are says about each of their jobs; empty while nobody knows where they are.
#[must_use]
pub fn outlooks(view: &Arc<View>, tracking: &Tracking, id: CourierId, now: Timestamp) -> Vec<(u128, Outlook)> {
    let (Some(courier), Some(live)) = (couriers::get(&**view, id), tracking.position(id)) else { return Vec::new() };
    let Some(route) = dispatch::views::route(view, tracking, id, &courier, now) else { return Vec::new() };
    let next = route.stops.first().copied();
    let doors = route.stops.iter().filter(|stop| stop.kind == StopKind::Dropoff);
    let outlook = |door: &route::Stop| {
        // Everything at the same counter is next.
        let mine = route.stops.iter().filter(|stop| stop.subject == door.subject);
        let first = mine.min_by_key(|stop| stop.arrive_at).filter(|stop| next.is_some_and(|next| next.point == stop.point));
        let next = first.map(|stop| {
            let kind = match stop.kind {
                StopKind::Pickup => Stop::Counter,
                StopKind::Dropoff => Stop::Door,
            };
            let arrive_at = next.map_or(stop.arrive_at, |next| next.arrive_at);
            (kind, live.point.distance_m(stop.point).round() as u32, arrive_at)
        });
        (door.subject, Outlook { eta: door.arrive_at, next })
    };
    doors.map(outlook).collect()
}

/// The way that a courier still has to go until they stand at the door with `subject`, by the travel provider. None if somebody else's door comes before:
/// where others live is nobody's business.
#[must_use]
pub fn line(view: &Arc<View>, tracking: &Tracking, id: CourierId, subject: u128, now: Timestamp) -> Option<Vec<Point>> {
    let (courier, live) = (couriers::get(&**view, id)?, tracking.position(id)?);
    let route = dispatch::views::route(view, tracking, id, &courier, now)?;
    let times = dispatch::scene::times(&**view, tracking, courier.city, now)?;
    let mut line = vec![live.point];
    for stop in &route.stops {
        let is_mine = stop.subject == subject;
        if stop.kind == StopKind::Dropoff && !is_mine {
            return None;
        }
        let here = line.last().copied().unwrap_or(live.point);
        line.extend(times.line(here, stop.point, courier.vehicle).into_iter().skip(1));
        if stop.kind == StopKind::Dropoff && is_mine {
            line.dedup();
            return Some(line);
        }
    }
    None
}
