//! Nothing is forgotten: an accepted order that does not get on comes onto the operators' list, whoever is to blame.

use storage::Timestamp;

use super::model::{OrderId, State};
use super::record::{ORDERS, Order};
use crate::city::dispatch::planted;
use crate::engine::attention::ATTENTION;
use crate::engine::{Fault, FiredTimer, Timer, Tx};

/// Looks after an accepted order. Wire it to [`on_overdue`].
pub const OVERDUE: &str = "orders.overdue";
/// So long after the promised time the food should be ready; operators call the merchant.
pub const KITCHEN_LATE_S: i64 = 600;
/// So long after it was expected the order should be at the door.
pub const DOOR_LATE_S: i64 = 1_800;
/// On the operators' list: the food is not ready.
pub const ATTENTION_KITCHEN: &str = "kitchen_late";
/// On the operators' list: it is not at the door.
pub const ATTENTION_OVERDUE: &str = "order_overdue";

/// Begins to look after an order that was accepted.
pub(super) fn watch(tx: &mut Tx<'_, '_>, order: &Order) {
    if planted::is(planted::FORGOTTEN) {
        return;
    }
    tx.schedule(next_look(order, tx.now()), Timer::new(OVERDUE, order.id.as_u128()));
}

/// The kitchen has said when it will be ready after all: it is looked after anew if it was late.
pub(super) fn promised_again(tx: &mut Tx<'_, '_>, order: &Order) {
    let id = order.id.to_string();
    if ATTENTION.has(tx, &(ATTENTION_KITCHEN.to_owned(), id.clone())) {
        tx.settle_attention(ATTENTION_KITCHEN, &id);
        watch(tx, order);
    }
}

/// It is at its door, or will never be.
pub(super) fn settle(tx: &mut Tx<'_, '_>, id: OrderId) {
    tx.settle_attention(ATTENTION_KITCHEN, &id.to_string());
    tx.settle_attention(ATTENTION_OVERDUE, &id.to_string());
}

fn is_cooked(state: State) -> bool {
    !matches!(state, State::Accepted | State::Preparing)
}

fn kitchen_late_at(order: &Order) -> Option<Timestamp> {
    order.ready_at.filter(|_| !is_cooked(order.state)).map(|at| at.plus_s(KITCHEN_LATE_S))
}

fn door_late_at(order: &Order, now: Timestamp) -> Timestamp {
    order.eta.unwrap_or(now).plus_s(DOOR_LATE_S)
}

/// When there is the next thing to find out; never now.
fn next_look(order: &Order, now: Timestamp) -> Timestamp {
    let kitchen = kitchen_late_at(order).filter(|at| *at > now);
    kitchen.map_or(door_late_at(order, now), |at| at.min(door_late_at(order, now))).max(now.plus_s(60))
}

/// Handler of [`OVERDUE`].
///
/// # Errors
/// Never; the signature is the engine's.
pub fn on_overdue(tx: &mut Tx<'_, '_>, timer: &FiredTimer) -> Result<(), Fault> {
    let id = OrderId::from_u128(timer.subject);
    let Some(order) = ORDERS.get(tx, &id).filter(|order| order.ended_at.is_none()) else { return Ok(()) };
    let (now, number) = (tx.now(), &order.created.number);
    if kitchen_late_at(&order).is_some_and(|at| at <= now) {
        let promised = order.ready_at.unwrap_or(now);
        let reason = format!("order {number} was to be ready at {promised} and is not");
        tx.attention(ATTENTION_KITCHEN, &id.to_string(), reason, &["call the merchant", "POST /v1/orders/{id}/cancel"]);
    }
    if door_late_at(&order, now) <= now {
        let expected = order.eta.unwrap_or(now);
        let reason = format!("order {number} was expected at {expected} and is {}", order.state);
        tx.attention(ATTENTION_OVERDUE, &id.to_string(), reason, &["call the courier", "POST /v1/orders/{id}/cancel"]);
        // It stands there until it ends; there is nothing more to find out.
        return Ok(());
    }
    tx.schedule(next_look(&order, now), Timer::new(OVERDUE, timer.subject));
    Ok(())
}
