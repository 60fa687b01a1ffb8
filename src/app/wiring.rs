//! Who reacts to whom: the only place that knows two modules.

use std::sync::Arc;

use serde_json::json;
use storage::View;

use crate::city::catalog;
use crate::city::dispatch::{self, Desk};
use crate::city::tracking::Tracking;
use crate::edge::live::Hub;
use crate::engine::Wiring;
use crate::money::payments;
use crate::trade::address::Address;
use crate::trade::{self, orders};

/// Reactions, timers and answers of the whole product.
#[must_use]
pub fn wire() -> Wiring {
    let mut wiring = Wiring::new();
    payments::wire(&mut wiring);
    dispatch::wire(&mut wiring);
    trade::wire(&mut wiring);
    // An order follows its payment and whoever carries it.
    wiring.on(orders::on_payment);
    wiring.on(orders::on_dispatch);
    wiring.on(orders::on_expected);
    wiring
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
