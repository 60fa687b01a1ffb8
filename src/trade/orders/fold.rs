//! The order as the fold of its events. Pure and total: what was recorded has happened, nothing is refused here.

use storage::Timestamp;

use super::model::{CODE_LOCK_S, Door, Event, OrderId, Stage, State, WRONG_CODES_MAX};
use super::record::{Lock, Order, Payment, Recorded};

/// The order after one more event; `None` only before [`Event::OrderCreated`].
#[must_use]
pub fn evolve(order: Option<Order>, id: OrderId, recorded: &Recorded) -> Option<Order> {
    let mut next = match (order, &recorded.event) {
        (_, Event::OrderCreated(created)) => Order {
            id,
            state: State::Created,
            version: 0,
            served: 0,
            payment: Payment { intent: None, method: created.method, authorized: false, captured: 0, refunded: 0, cash_due: None },
            created: (**created).clone(),
            courier: None,
            leg: None,
            ready_at: None,
            eta: None,
            accept_by: None,
            confirmed_at: None,
            seen_at: None,
            accepted_at: None,
            picked_up_at: None,
            ended_at: None,
            reason: None,
            pickup: Lock::default(),
            delivery: Lock::default(),
            created_at: recorded.at,
            updated_at: recorded.at,
        },
        (None, _) => return None,
        (Some(order), event) => apply(order, event, recorded.at),
    };
    next.version += 1;
    next.served += u32::from(recorded.event.name().is_some());
    next.updated_at = recorded.at;
    Some(next)
}

/// The order that a whole stream leaves.
pub fn fold<'r>(id: OrderId, events: impl IntoIterator<Item = &'r Recorded>) -> Option<Order> {
    events.into_iter().fold(None, |order, recorded| evolve(order, id, recorded))
}

fn apply(mut order: Order, event: &Event, at: Timestamp) -> Order {
    match event {
        Event::OrderCreated(_) => unreachable!("evolve begins an order with it"),
        Event::PaymentIntentCreated { intent, method } => {
            order.payment.intent = Some(*intent);
            order.payment.method = *method;
            order.state = State::PendingPayment;
        }
        Event::PaymentAuthorized { .. } => {
            order.payment.authorized = true;
            confirm(&mut order, at);
        }
        Event::PaymentReceived { amount, .. } => {
            order.payment.captured = *amount;
            confirm(&mut order, at);
        }
        Event::CashOnDelivery { intent, due } => {
            order.payment.intent = Some(*intent);
            order.payment.method = crate::money::payments::Method::Cash;
            order.payment.cash_due = Some(*due);
            confirm(&mut order, at);
        }
        Event::OrderAcceptedByRestaurant { ready_at } => {
            order.state = State::Accepted;
            order.accepted_at = Some(at);
            order.ready_at = Some(*ready_at);
            order.eta = Some(ready_at.plus_s(i64::from(order.created.travel_s)));
        }
        Event::OrderDelayed { ready_at } => {
            order.ready_at = Some(*ready_at);
            // A courier who comes later than that keeps their own estimate.
            let at_the_door = ready_at.plus_s(i64::from(order.created.travel_s));
            order.eta = Some(order.eta.map_or(at_the_door, |eta| eta.max(at_the_door)));
        }
        Event::DropoffMoved(to) => {
            let longer_s = i64::from(to.travel_s) - i64::from(order.created.travel_s);
            order.eta = order.eta.map(|eta| eta.plus_s(longer_s).max(at));
            order.created.dropoff = to.place;
            order.created.travel_s = to.travel_s;
            if let Some(address) = &to.address {
                order.created.address = Some(address.clone());
            }
        }
        Event::OrderRejectedByRestaurant { reason, .. } => end(&mut order, State::Rejected, reason, at),
        Event::FoodPreparing => order.state = State::Preparing,
        Event::OrderReadyForPickup => {
            order.state = State::ReadyForPickup;
            order.ready_at = Some(at);
            // If there was a leg, its events follow in the same commit.
            order.leg = None;
        }
        Event::DriverAssigned { courier, eta } => {
            order.courier = Some(*courier);
            order.eta = eta.or(order.eta);
            order.state = State::Assigned;
        }
        Event::DriverUnassigned { .. } => {
            order.courier = None;
            order.state = State::ReadyForPickup;
        }
        Event::DriverEnRouteToRestaurant { .. } => order.state = State::EnRouteToRestaurant,
        Event::DriverArrivedAtRestaurant { .. } => order.state = State::AtRestaurant,
        Event::OrderPickedUp { .. } => {
            order.state = State::PickedUp;
            order.picked_up_at = Some(at);
            order.eta = Some(at.plus_s(i64::from(order.created.travel_s)));
        }
        Event::DriverEnRouteToCustomer { .. } => order.state = State::EnRouteToCustomer,
        Event::DriverArrivedAtCustomer { .. } => order.state = State::AtCustomer,
        Event::OrderDelivered { .. } => {
            order.state = State::Delivered;
            order.ended_at = Some(at);
            order.eta = None;
            order.payment.cash_due = None;
        }
        Event::DeliveryFailed { cause, .. } => end(&mut order, State::Cancelled, cause, at),
        Event::PaymentCaptured { amount } => {
            order.payment.captured = *amount;
            // Before delivery the money is only early.
            if order.state == State::Delivered {
                order.state = State::Settled;
            }
        }
        Event::PaymentCaptureFailed { .. } => (),
        Event::OrderCancelled { reason, .. } => end(&mut order, State::Cancelled, reason, at),
        Event::RefundInitiated { amount, .. } => order.payment.refunded += amount,
        Event::RefundSettled { .. } => (),
        Event::RefundFailed { amount, .. } => order.payment.refunded -= amount,
        Event::LegStarted { courier, eta } => {
            order.courier = Some(*courier);
            order.eta = eta.or(order.eta);
            order.leg = Some(Stage::Assigned);
        }
        Event::LegMoved { stage } => order.leg = Some(*stage),
        Event::LegEnded { .. } => {
            order.courier = None;
            order.leg = None;
        }
        Event::CodeRefused { door } => {
            let lock = match door {
                Door::Pickup => &mut order.pickup,
                Door::Delivery => &mut order.delivery,
            };
            lock.wrong += 1;
            if lock.wrong == WRONG_CODES_MAX {
                *lock = Lock { wrong: 0, locked_until: Some(at.plus_s(CODE_LOCK_S)) };
            }
        }
        Event::Seen => order.seen_at = Some(at),
        Event::Expected { eta } => order.eta = Some(*eta),
        // Where the order is on its way stays as it was reported: the next courier goes on from there.
        Event::DriverReplaced { courier, eta, .. } => {
            order.courier = Some(*courier);
            order.eta = Some(*eta);
        }
    }
    order
}

fn confirm(order: &mut Order, at: Timestamp) {
    order.state = State::Confirmed;
    order.confirmed_at = Some(at);
    order.eta = Some(at.plus_s(i64::from(order.created.prep_s) + i64::from(order.created.travel_s)));
    order.accept_by = Some(at.plus_s(i64::from(order.created.terms.unaccepted_s)));
}

fn end(order: &mut Order, state: State, reason: &str, at: Timestamp) {
    order.state = state;
    order.reason = Some(reason.to_owned());
    order.ended_at = Some(at);
    order.leg = None;
    order.eta = None;
    order.payment.cash_due = None;
}
