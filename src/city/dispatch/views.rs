//! Reads.

use std::sync::Arc;

use index::geo::Point;
use storage::{Direction, Read, Timestamp, View};

use super::model::{DECISIONS, DECISIONS_BY_SUBJECT, Decision, DecisionId, OFFERS, Offer, OfferId, OfferState};
use super::route::{self, Route, Start};
use super::scene;
use crate::city::couriers::{self, Availability, Courier, CourierId, Presence};
use crate::city::tracking::doing::Doing;
use crate::city::tracking::{Doubt, Tracking};

/// What a courier is being asked at `now`.
#[must_use]
pub fn live_offers(read: &(impl Read + ?Sized), courier: CourierId, now: Timestamp) -> Vec<(OfferId, Offer)> {
    let id = couriers::presence(read, courier).asked.map(OfferId::from_u128);
    let offer = id.and_then(|id| OFFERS.get(read, &id).map(|offer| (id, offer)));
    offer.into_iter().filter(|(_, offer)| offer.state == OfferState::Made && offer.expires_at > now).collect()
}

/// The stored decisions about a subject, newest first.
#[must_use]
pub fn decisions(read: &(impl Read + ?Sized), subject: u128, limit: usize) -> Vec<(DecisionId, Decision)> {
    DECISIONS
        .page(read, &DECISIONS_BY_SUBJECT, &subject, None, Direction::Backward)
        .take(limit)
        .map(|(_, id, decision)| (id, decision))
        .collect()
}

/// Where a courier is to begin with: the live position, or what they last stated.
#[must_use]
pub fn whereabouts(tracking: &Tracking, courier: CourierId, presence: &Presence) -> Option<Point> {
    tracking.position(courier).map(|live| live.point).or(presence.position.map(crate::city::place::Place::point))
}

/// A courier's way from now on; `None` if nobody knows where they are, or the city is gone.
#[must_use]
pub fn route(view: &Arc<View>, tracking: &Tracking, id: CourierId, courier: &Courier, now: Timestamp) -> Option<Route> {
    let presence = couriers::presence(&**view, id);
    let times = scene::times(&**view, tracking, courier.city, now)?;
    let tasks = scene::tasks(&**view, &presence);
    // Never heard of: the way begins at its first stop.
    let from = whereabouts(tracking, id, &presence).or_else(|| tasks.first().map(|task| task.pickup.unwrap_or(task.dropoff)))?;
    Some(route::plan(Start { from, now, by: courier.vehicle, times: &*times }, &tasks))
}

/// When a courier is expected at the door with `subject`, and how many stops come before it.
#[must_use]
pub fn eta(view: &Arc<View>, tracking: &Tracking, id: CourierId, subject: u128, now: Timestamp) -> Option<(Timestamp, usize)> {
    let courier = couriers::get(&**view, id)?;
    let route = route(view, tracking, id, &courier, now)?;
    let at = route.stops.iter().position(|stop| stop.subject == subject && stop.kind == route::StopKind::Dropoff)?;
    Some((route.stops[at].arrive_at, at))
}

/// Somebody on the map.
#[derive(Clone, Debug, PartialEq)]
pub struct Near {
    pub courier: CourierId,
    pub position: Point,
    pub distance_m: u32,
    pub availability: Availability,
    pub load: u32,
    /// When they were last heard of, if they are silent.
    pub silent_since: Option<Timestamp>,
    pub doubt: Option<Doubt>,
}

/// No nearby search goes farther.
const NEARBY_M_MAX: f64 = 50_000.0;

/// The nearest `limit` couriers who work, nearest first.
#[must_use]
pub fn nearby(view: &View, tracking: &Tracking, point: Point, limit: usize, wanted: Option<Availability>) -> Vec<Near> {
    tracking
        .nearest(point, limit, NEARBY_M_MAX, |seen| wanted.is_none_or(|wanted| tracking.doing(view, seen).availability == wanted))
        .into_iter()
        .map(|seen| {
            let Doing { availability, load, silent } = tracking.doing(view, &seen);
            let courier = CourierId::from_u128(seen.id);
            Near {
                courier,
                position: seen.fix.point,
                distance_m: seen.distance_m.round() as u32,
                availability,
                load,
                silent_since: silent.then(|| couriers::silence(view, courier)).flatten().map(|silence| silence.heard_at()),
                doubt: tracking.doubt(courier),
            }
        })
        .collect()
}
