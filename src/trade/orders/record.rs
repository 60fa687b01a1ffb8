//! The stored rows: the stream of an order's events, and its row, which is their fold.

use serde::{Deserialize, Serialize};
use storage::{Index, Row, Table, Timestamp};

use super::model::{Actor, Created, Event, OrderId, Stage, State};
use crate::city::cities::CityId;
use crate::city::couriers::CourierId;
use crate::money::payments::{IntentId, Method};

/// An event, when it happened and who made it happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    pub at: Timestamp,
    pub actor: Actor,
    pub event: Event,
}

impl Row for Recorded {
    const VERSION: u8 = 1;
}

/// The order as its events leave it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub id: OrderId,
    pub state: State,
    /// How many events it has, notes included.
    pub version: u32,
    /// How many of them are served.
    pub served: u32,
    pub created: Created,
    pub payment: Payment,
    /// The courier under way, also before the food is ready.
    pub courier: Option<CourierId>,
    /// That courier's stage until the food is ready; after that the state says it.
    pub leg: Option<Stage>,
    pub ready_at: Option<Timestamp>,
    /// When it should be at the door; none before it is confirmed and after its end.
    pub eta: Option<Timestamp>,
    /// Until when the merchant may accept; from CONFIRMED on.
    pub accept_by: Option<Timestamp>,
    pub confirmed_at: Option<Timestamp>,
    pub seen_at: Option<Timestamp>,
    pub accepted_at: Option<Timestamp>,
    pub picked_up_at: Option<Timestamp>,
    /// When it was delivered, rejected or cancelled.
    pub ended_at: Option<Timestamp>,
    pub reason: Option<String>,
    pub pickup: Lock,
    pub delivery: Lock,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What the order knows of its money; the intent knows the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    pub intent: Option<IntentId>,
    pub method: Method,
    pub authorized: bool,
    /// Minor units.
    pub captured: i64,
    /// Minor units on their way back or back.
    pub refunded: i64,
    /// The cash to collect, until it is collected.
    pub cash_due: Option<i64>,
}

/// How a code has fared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    pub wrong: u8,
    pub locked_until: Option<Timestamp>,
}

impl Row for Order {
    const VERSION: u8 = 1;
}

impl Order {
    /// The courier's stage, before and after the food is ready; `None` without a courier and after pick-up.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        match self.state {
            State::Accepted | State::Preparing => self.leg,
            State::Assigned => Some(Stage::Assigned),
            State::EnRouteToRestaurant => Some(Stage::EnRouteToRestaurant),
            State::AtRestaurant => Some(Stage::AtRestaurant),
            State::Created
            | State::PendingPayment
            | State::Confirmed
            | State::ReadyForPickup
            | State::PickedUp
            | State::EnRouteToCustomer
            | State::AtCustomer
            | State::Delivered
            | State::Settled
            | State::Rejected
            | State::Cancelled => None,
        }
    }

    /// What the customer pays, in minor units.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.created.amounts.total
    }

    /// Whether the money is here already: cash never is before the door.
    #[must_use]
    pub fn is_paid(&self) -> bool {
        self.payment.captured >= self.total()
    }
}

/// By what orders are found: the first byte of an index key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    All = 0,
    City = 1,
    Merchant = 2,
    Courier = 3,
    Customer = 4,
}

fn axes(order: &Order, mut add: impl FnMut(Axis, u128)) {
    let created = &order.created;
    add(Axis::All, 0);
    add(Axis::City, created.city.as_u128());
    add(Axis::Merchant, created.merchant.as_u128());
    add(Axis::Customer, created.customer.as_u128());
    if let Some(courier) = order.courier {
        add(Axis::Courier, courier.as_u128());
    }
}

/// All orders by axis, oldest first.
pub static ORDERS_BY: Index<OrderId, Order> = Index::new(401, "orders.by", |_, order, keys| {
    axes(order, |axis, id| keys.add(&(axis as u8, id)));
});
/// Orders that are not at their end, by axis, oldest first.
pub static ORDERS_ACTIVE_BY: Index<OrderId, Order> = Index::new(402, "orders.active_by", |_, order, keys| {
    if !order.state.is_final() {
        axes(order, |axis, id| keys.add(&(axis as u8, id)));
    }
});
/// Orders by their number.
pub static ORDERS_BY_NUMBER: Index<OrderId, Order> = Index::new(403, "orders.by_number", |_, order, keys| {
    keys.add(&order.created.number);
});
/// Each order as its events leave it.
pub static ORDERS: Table<OrderId, Order> = Table::new(400, "orders", &[&ORDERS_BY, &ORDERS_ACTIVE_BY, &ORDERS_BY_NUMBER]);
/// The truth: each order's events, numbered from 1.
pub static ORDER_EVENTS: Table<(OrderId, u32), Recorded> = Table::new(404, "orders.events", &[]);
/// How many numbers a city has given out on a day of its own calendar (days since 1970-01-01).
pub static ORDER_NUMBERS: Table<(CityId, i64), Given> = Table::new(405, "orders.numbers", &[]);

/// A count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given(pub u32);

impl Row for Given {
    const VERSION: u8 = 1;
}
