//! Who reacts to whom: the only place that knows two modules.

use std::sync::Arc;

use serde_json::json;
use storage::View;

use crate::city::catalog;
use crate::city::couriers;
use crate::city::dispatch::{self, Desk};
use crate::city::tracking::Tracking;
use crate::edge::live::Hub;
use crate::engine::{Tx, UserId, Wiring};
use crate::money::payments;
use crate::people::erasure;
use crate::trade::address::Address;
use crate::trade::orders::record::{Axis, ORDERS, ORDERS_ACTIVE_BY};
use crate::trade::{self, orders};

/// Reactions, timers and answers of the whole product.
#[must_use]
pub fn wire() -> Wiring {
    let mut wiring = Wiring::new();
    payments::wire(&mut wiring);
    dispatch::wire(&mut wiring);
    trade::wire(&mut wiring);
    // Whoever waits for something, or carries it, is erased when that is over; their account as a courier ends with them.
    wiring.timer(erasure::TIMER, |tx, timer| erasure::on_due(tx, timer, busy));
    wiring.on(couriers::commands::on_user);
    // An order follows its payment and whoever carries it.
    wiring.on(orders::on_payment);
    wiring.on(orders::on_dispatch);
    wiring.on(orders::on_expected);
    wiring
}

/// What somebody has under way that others would miss them for.
fn busy(tx: &Tx, user: UserId) -> Option<String> {
    let key = (Axis::Customer as u8, user.as_u128());
    let orders = ORDERS.keys(tx, &ORDERS_ACTIVE_BY, &key).count();
    let carries = couriers::of_user(tx, user).map_or(0, |(courier, _)| couriers::presence(tx, courier).carries.len());
    (orders + carries > 0).then(|| format!("{orders} orders under way, {carries} deliveries in hand"))
}

/// What dispatch's handlers need of others: whose device is connected, and how an order's stops are called.
pub fn dispatch_services(tracking: &Arc<Tracking>, desk: &Arc<Desk>, hub: &Arc<Hub>) -> dispatch::Services {
    let hub = hub.clone();
    desk.connected_by(move |courier| hub.is_followed(&format!("courier:{courier}")));
    let describe = |view: &View, subject: u128| {
        let order = orders::record::ORDERS.get(view, &orders::OrderId::from_u128(subject))?;
        let created = &order.created;
        let address = created.address.as_ref().and_then(|sealed| Address::open(view, created.customer, sealed));
        Some(dispatch::Described {
            number: created.number.clone(),
            pickup: json!(catalog::merchant(view, created.merchant).and_then(|merchant| merchant.address)),
            dropoff: json!(address),
        })
    };
    dispatch::Services { tracking: tracking.clone(), desk: desk.clone(), describe: Arc::new(describe) }
}
