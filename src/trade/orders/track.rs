//! Where an order is right now.

use std::sync::Arc;

use index::geo::Point;
use serde::Serialize;
use storage::{Direction, Read, Timestamp, View};
use utoipa::ToSchema;

use super::model::State;
use super::record::{Axis, ORDERS, ORDERS_ACTIVE_BY, Order};
use crate::city::couriers::CourierId;
use crate::city::eta;
use crate::city::tracking::Tracking;
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
    /// The way that the courier still has to go, as a GeoJSON line; absent while they go to somebody else's door first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<Line>,
}

/// A GeoJSON `LineString`: `[lon, lat]` each.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Line {
    r#type: &'static str,
    coordinates: Vec<[f64; 2]>,
}

impl Line {
    fn of(points: &[Point]) -> Self {
        Self { r#type: "LineString", coordinates: points.iter().map(|point| [point.lon(), point.lat()]).collect() }
    }
}

impl TrackView {
    /// The track of an order at `now`. The position shows only while a courier has to do with it. Asks the travel provider, which may be a server: on a
    /// thread that may wait.
    pub fn of(view: &Arc<View>, tracking: &Tracking, order: &Order, now: Timestamp) -> Self {
        let read = &**view;
        let courier = order.courier.filter(|_| order.ended_at.is_none());
        let live = courier.and_then(|courier| tracking.position(courier));
        Self {
            status: order.state.name(),
            position: live.map(|live| live.point.into()),
            at: live.map(|live| live.at.to_string()),
            heading: live.and_then(|live| live.heading_deg),
            // What is told: the watcher of expected arrivals keeps it right, so that this, the order and the live stream say the same.
            eta: order.eta.map(|eta| eta.max(now).to_string()),
            stops_before: courier.map(|courier| stops_before(read, courier, order)),
            route: courier
                .and_then(|courier| eta::views::line(view, tracking, courier, order.id.as_u128(), now))
                .map(|line| Line::of(&line)),
        }
    }
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
