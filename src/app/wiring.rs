//! Who reacts to whom: the only place that knows two modules.

use std::sync::Arc;

use serde_json::json;
use storage::View;

use crate::city::catalog;
use crate::city::couriers::{self, CourierId};
use crate::city::dispatch::{self, Desk};
use crate::city::tracking::Tracking;
use crate::edge::live::Hub;
use crate::engine::{Tx, UserId, Wiring};
use crate::money::books::chart::{self, Code};
use crate::money::payments;
use crate::people::erasure;
use crate::people::users::USERS;
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

/// What somebody has under way that others would miss them for: orders, goods, money on either side, a kitchen to run.
fn busy(tx: &Tx, user: UserId) -> Option<String> {
    let mut said = Vec::new();
    let key = (Axis::Customer as u8, user.as_u128());
    let orders = ORDERS.keys(tx, &ORDERS_ACTIVE_BY, &key).count();
    let courier = couriers::of_user(tx, user).map(|(courier, _)| courier);
    let carries = courier.map_or(0, |courier| couriers::presence(tx, courier).carries.len());
    if orders + carries > 0 {
        said.push(format!("{orders} orders under way, {carries} deliveries in hand"));
    }
    let courier = courier.map(CourierId::as_u128);
    for (code, owner) in [(Code::Wallet, Some(user.as_u128())), (Code::CourierCash, courier), (Code::CourierPayable, courier)] {
        if owner.is_some_and(|owner| chart::has_balance(tx, code, owner)) {
            said.push(format!("money stands on {}", code.name()));
        }
    }
    let kitchens = USERS.get(tx, &user).map_or(0, |row| row.merchants.len());
    if kitchens > 0 {
        said.push(format!("they work for {kitchens} merchants: take that role from them first"));
    }
    (!said.is_empty()).then(|| said.join("; "))
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
