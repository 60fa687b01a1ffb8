//! Events as they are served: no codes, no addresses, no names.

use serde_json::{Value, json};
use storage::{Direction, Read, Timestamp};

use super::model::{Actor, Delivered, Event, OrderId};
use super::record::{ORDER_EVENTS, Recorded};
use crate::money::{Currency, Money};

/// An order's served events, numbered from 1, oldest first.
pub fn events(read: &(impl Read + ?Sized), order: OrderId, currency: Currency) -> Vec<Value> {
    let recorded = ORDER_EVENTS.scan_prefix(read, &(order,), Direction::Forward);
    let named = recorded.filter_map(|(_, recorded)| recorded.event.name().map(|name| (name, recorded)));
    named
        .zip(1_u32..)
        .map(|((name, Recorded { at, actor, event }), n)| json!({ "n": n, "type": name, "at": at.to_string(), "actor": shown_actor(actor), "data": data(&event, currency) }))
        .collect()
}

fn shown_actor(actor: Actor) -> Value {
    json!({ "kind": actor.part.name(), "id": actor.user })
}

/// An event's facts; `{}` for a note.
#[must_use]
pub fn data(event: &Event, currency: Currency) -> Value {
    let money = |amount: i64| Money::new(amount, currency);
    let reported = |at: &Option<Timestamp>| match at {
        Some(at) => json!({ "reported_at": at.to_string() }),
        None => json!({}),
    };
    match event {
        Event::OrderCreated(created) => json!({
            "number": created.number,
            "city_id": created.city,
            "merchant_id": created.merchant,
            "customer_id": created.customer,
            "quote_id": created.quote,
            "items_count": created.lines.iter().map(|line| line.quantity).sum::<u32>(),
            "total": money(created.amounts.total),
            "payment_method": created.method,
        }),
        Event::PaymentIntentCreated { intent, method } => json!({ "intent_id": intent, "method": method }),
        Event::PaymentAuthorized { intent } => json!({ "intent_id": intent }),
        Event::PaymentReceived { intent, amount } => json!({ "intent_id": intent, "amount": money(*amount) }),
        Event::CashOnDelivery { intent, due } => json!({ "intent_id": intent, "cash_due": money(*due) }),
        Event::OrderAcceptedByRestaurant { ready_at } => json!({ "ready_at": ready_at.to_string() }),
        Event::OrderRejectedByRestaurant { reason, items } => json!({ "reason": reason, "items": items }),
        Event::FoodPreparing | Event::OrderReadyForPickup => json!({}),
        Event::DriverAssigned { courier, eta } => json!({ "courier_id": courier, "eta": eta.map(|at| at.to_string()) }),
        Event::DriverUnassigned { courier, reason } => json!({ "courier_id": courier, "reason": reason }),
        Event::DriverEnRouteToRestaurant { reported_at }
        | Event::DriverArrivedAtRestaurant { reported_at }
        | Event::DriverEnRouteToCustomer { reported_at }
        | Event::DriverArrivedAtCustomer { reported_at } => reported(reported_at),
        Event::OrderPickedUp { by_support, reported_at } => {
            json!({ "proof": if by_support.is_some() { "support" } else { "code" }, "reason": by_support, "reported_at": reported_at.map(|at| at.to_string()) })
        }
        Event::OrderDelivered { proof, cash_collected, reported_at } => {
            let (proof, photo, reason) = match proof {
                Delivered::Code => ("code", None, None),
                Delivered::Photo(photo) => ("photo", Some(photo), None),
                Delivered::Support(reason) => ("support", None, Some(reason)),
            };
            json!({ "proof": proof, "photo": photo, "reason": reason, "cash_collected": cash_collected.map(money), "reported_at": reported_at.map(|at| at.to_string()) })
        }
        Event::DeliveryFailed { cause, goods } => json!({ "cause": cause, "goods": goods }),
        Event::PaymentCaptured { amount } => json!({ "amount": money(*amount) }),
        Event::PaymentCaptureFailed { reason } => json!({ "reason": reason }),
        Event::OrderCancelled { by, reason } => json!({ "by": by.name(), "reason": reason }),
        Event::RefundInitiated { refund, amount } | Event::RefundSettled { refund, amount } => {
            json!({ "refund_id": refund, "amount": money(*amount) })
        }
        Event::OrderDelayed { ready_at } => json!({ "ready_at": ready_at.to_string() }),
        Event::DropoffMoved(to) => json!({ "distance_m": to.distance_m }),
        Event::DriverReplaced { from, courier, eta, reason } => {
            json!({ "from": from, "courier_id": courier, "eta": eta.to_string(), "reason": reason })
        }
        Event::LegStarted { .. }
        | Event::LegMoved { .. }
        | Event::LegEnded { .. }
        | Event::CodeRefused { .. }
        | Event::Seen
        | Event::RefundFailed { .. }
        | Event::Expected { .. } => json!({}),
    }
}
