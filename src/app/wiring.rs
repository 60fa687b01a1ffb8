//! Who reacts to whom: the only place that knows two modules.

use std::sync::Arc;

use crate::city::dispatch::{self, Dispatcher, Label};
use crate::city::catalog;
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
    wiring
}

/// Tells dispatch what only others know: whose device is connected, and how an order's stops are called.
pub fn introduce(dispatcher: &Dispatcher, hub: &Arc<Hub>) {
    let hub = hub.clone();
    dispatcher.reached_by(move |courier| hub.is_followed(&format!("courier:{courier}")));
    dispatcher.described_by(|view, subject| {
        let Some(order) = orders::record::ORDERS.get(view, &orders::OrderId::from_u128(subject)) else { return Label::default() };
        let created = &order.created;
        let address = created.address.as_ref().and_then(|sealed| Address::open(view, created.customer, sealed));
        Label {
            number: created.number.clone(),
            pickup_address: catalog::merchant(view, created.merchant).and_then(|merchant| merchant.address),
            dropoff_address: address.map(|address| address.text),
        }
    });
}
