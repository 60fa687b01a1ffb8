//! Where an order is right now.

use serde::Serialize;
use storage::{Direction, Read, Timestamp};
use utoipa::ToSchema;

use super::model::State;
use super::record::{Axis, ORDERS, ORDERS_ACTIVE_BY, Order};
use crate::city::couriers::CourierId;
use crate::city::tracking::Tracking;
use crate::city::{catalog, cities};
use crate::edge::P;

/// Where the courier is, for those who wait.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TrackView {
    pub status: &'static str,
    pub position: Option<P>,
    /// When the courier was there, by their device.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<String>,
    pub heading: Option<u16>,
    /// When the order should be at the door.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub eta: Option<String>,
    /// Other orders that the courier picked up before this one and still carries.
    pub stops_before: Option<u32>,
}

impl TrackView {
    /// The track of an order at `now`. The position shows only while a courier has to do with it.
    pub fn of(read: &(impl Read + ?Sized), tracking: &Tracking, order: &Order, now: Timestamp) -> Self {
        let courier = order.courier.filter(|_| order.ended_at.is_none());
        let live = courier.and_then(|courier| tracking.position(courier));
        Self {
            status: order.state.name(),
            position: live.map(|live| live.point.into()),
            at: live.map(|live| live.at.to_string()),
            heading: live.and_then(|live| live.heading_deg),
            eta: arrival(read, order, live.map(|live| live.point), now).map(|at| at.to_string()),
            stops_before: courier.map(|courier| stops_before(read, courier, order)),
        }
    }
}

fn arrival(read: &(impl Read + ?Sized), order: &Order, from: Option<index::geo::Point>, now: Timestamp) -> Option<Timestamp> {
    if order.ended_at.is_some() {
        return None;
    }
    let created = &order.created;
    let speed_mps = cities::get(read, created.city)?.speed_mps;
    let seconds = |metres: f64| (metres / speed_mps).ceil() as i64;
    let travel_s = i64::from(created.travel_s);
    if order.picked_up_at.is_some() {
        let left = from.map_or(travel_s, |from| seconds(from.distance_m(created.dropoff.point())));
        return Some(now.plus_s(left));
    }
    let ready_at = order.ready_at.unwrap_or_else(|| order.created_at.plus_s(i64::from(created.prep_s)));
    let there_at = match (from, catalog::merchant(read, created.merchant)) {
        (Some(from), Some(merchant)) => now.plus_s(seconds(from.distance_m(merchant.point()))),
        _ => now,
    };
    Some(ready_at.max(there_at).plus_s(travel_s))
}

fn stops_before(read: &(impl Read + ?Sized), courier: CourierId, order: &Order) -> u32 {
    let carried = ORDERS.page(read, &ORDERS_ACTIVE_BY, &(Axis::Courier as u8, courier.as_u128()), None, Direction::Forward);
    let before = carried.filter(|(_, id, other)| {
        let is_in_the_bag = matches!(other.state, State::PickedUp | State::EnRouteToCustomer | State::AtCustomer);
        // What is not picked up yet comes after everything that is.
        *id != order.id && is_in_the_bag && order.picked_up_at.is_none_or(|at| other.picked_up_at < Some(at))
    });
    before.count() as u32
}
