//! What else must happen in the commit of an order's event: money, dispatch, timers, the operators' list.
//!
//! | event | then |
//! | --- | --- |
//! | OrderCreated, to be paid | the unpaid timer |
//! | confirmed | the unaccepted and the unseen timer |
//! | OrderAcceptedByRestaurant | dispatch is asked; the overdue timer; captured where the city captures at acceptance |
//! | OrderReadyForPickup, OrderDelayed | dispatch learns the time |
//! | DropoffMoved | dispatch learns the place |
//! | OrderPickedUp | dispatch moves the order into the courier's bag |
//! | OrderDelivered | dispatch frees the courier; cash is booked, anything else captured |
//! | PaymentCaptured, delivered | settled |
//! | rejected, cancelled, failed | dispatch withdraws; everything goes back to the payer |

use super::model::{Actor, Command, Event, OrderId, Refusal, State};
use super::record::{ORDERS, Order};
use super::{overdue, stream};
use crate::city::couriers::CourierId;
use crate::city::{catalog, dispatch, eta};
use crate::engine::{Fault, Timer, Tx};
use crate::money::Money;
use crate::money::payments::{self, Intent, IntentId, Method, Status, intents};
use crate::money::settlement::{SettlementFacts, settle_order, shares};
use crate::trade::failure::Failure;

/// Fires when an order has not been paid in time.
pub const UNPAID: &str = "orders.unpaid";
/// Fires when an order has not been accepted in time.
pub const UNACCEPTED: &str = "orders.unaccepted";
/// Fires when an order should have been seen by its merchant.
pub const UNSEEN: &str = "orders.unseen";
/// How long a merchant may leave an order unseen before operators hear of it.
pub const UNSEEN_AFTER_S: i64 = 120;

/// On the operators' list: nobody at the merchant has seen the order.
pub const ATTENTION_UNSEEN: &str = "order_unseen";
/// On the operators' list: the money could not be taken.
pub const ATTENTION_CAPTURE: &str = "capture_failed";

/// Runs the machine, records, and does everything that follows.
///
/// # Errors
/// The machine's refusal, or a fault in what follows; either way the whole command leaves nothing.
pub fn act(tx: &mut Tx<'_, '_>, id: OrderId, actor: Actor, command: &Command) -> Result<(Order, Vec<Event>), Failure> {
    let was_confirmed = ORDERS.get(tx, &id).is_some_and(|order| order.confirmed_at.is_some());
    let (order, events) = stream::run(tx, id, actor, command)?;
    for event in &events {
        follow(tx, &order, event)?;
    }
    if !was_confirmed && order.confirmed_at.is_some() {
        confirmed(tx, &order);
    }
    // What followed may have had something to record, too (a capture that failed at once).
    let order = ORDERS.get(tx, &id).ok_or(Refusal::Unknown)?;
    Ok((order, events))
}

fn confirmed(tx: &mut Tx<'_, '_>, order: &Order) {
    let subject = order.id.as_u128();
    let now = tx.now();
    if let Some(accept_by) = order.accept_by {
        tx.schedule(accept_by, Timer::new(UNACCEPTED, subject));
    }
    tx.schedule(now.plus_s(UNSEEN_AFTER_S), Timer::new(UNSEEN, subject));
}

fn follow(tx: &mut Tx<'_, '_>, order: &Order, event: &Event) -> Result<(), Fault> {
    let subject = order.id.as_u128();
    match event {
        Event::OrderCreated(created) => {
            if created.method != Method::Cash {
                let at = tx.now().plus_s(i64::from(created.terms.unpaid_s));
                tx.schedule(at, Timer::new(UNPAID, subject));
            }
        }
        Event::OrderAcceptedByRestaurant { .. } => {
            tx.settle_attention(ATTENTION_UNSEEN, &order.id.to_string());
            let job = job(tx, order)?;
            dispatch::request(tx, job).map_err(broken)?;
            overdue::watch(tx, order);
            if order.created.terms.capture_at_acceptance && order.payment.cash_due.is_none() && !order.is_paid() {
                capture(tx, order)?;
            }
        }
        Event::OrderDelayed { ready_at } => {
            overdue::promised_again(tx, order);
            match dispatch::ready_changed(tx, subject, *ready_at) {
                // A search that was given up begins anew when the food is there.
                Ok(()) | Err(dispatch::Refusal::NotWhile(_)) => (),
                Err(refusal) => return Err(broken(refusal)),
            }
        }
        Event::DropoffMoved(to) => {
            if order.accepted_at.is_some() {
                let due_at = order.ready_at.map(|at| at.plus_s(i64::from(to.travel_s)));
                dispatch::dropoff_moved(tx, subject, to.place, due_at).map_err(broken)?;
            }
        }
        Event::OrderReadyForPickup => {
            tx.settle_attention(overdue::ATTENTION_KITCHEN, &order.id.to_string());
            // A search that was given up begins anew: the food is there now.
            if dispatch::ready_changed(tx, subject, tx.now()).is_err() {
                let job = job(tx, order)?;
                dispatch::request(tx, job).map_err(broken)?;
            }
        }
        Event::OrderPickedUp { .. } => {
            dispatch::picked_up(tx, subject, courier(order)?).map_err(broken)?;
            eta::picked_up(tx, subject, order.eta);
        }
        Event::DriverArrivedAtCustomer { .. } => eta::arrived(tx, subject),
        Event::OrderDelivered { cash_collected, .. } => {
            dispatch::finished(tx, subject).map_err(broken)?;
            overdue::settle(tx, order.id);
            if cash_collected.is_some() {
                let (intent, courier) = (intent(order)?, courier(order)?);
                intents::collect_cash(tx, intent, courier.as_u128()).map_err(broken)?;
            } else if !order.is_paid() {
                capture(tx, order)?;
            }
        }
        Event::PaymentCaptured { .. } => {
            tx.settle_attention(ATTENTION_CAPTURE, &order.id.to_string());
            if order.state == State::Settled {
                settle_order(tx, &facts(order)).map_err(broken)?;
            }
        }
        Event::PaymentCaptureFailed { reason } => {
            tx.attention(
                ATTENTION_CAPTURE,
                &order.id.to_string(),
                format!("order {}: the money could not be taken: {reason}", order.created.number),
                &["POST /v1/payments/intents/{id}/capture"],
            );
        }
        Event::OrderRejectedByRestaurant { reason, .. }
        | Event::OrderCancelled { reason, .. }
        | Event::DeliveryFailed { cause: reason, .. } => {
            tx.settle_attention(ATTENTION_UNSEEN, &order.id.to_string());
            tx.settle_attention(ATTENTION_CAPTURE, &order.id.to_string());
            if order.accepted_at.is_some() {
                dispatch::withdraw(tx, subject);
                overdue::settle(tx, order.id);
            }
            if let Some(intent) = order.payment.intent {
                intents::void_or_refund(tx, intent, reason).map_err(broken)?;
            }
        }
        Event::Seen => tx.settle_attention(ATTENTION_UNSEEN, &order.id.to_string()),
        Event::PaymentIntentCreated { .. }
        | Event::PaymentAuthorized { .. }
        | Event::PaymentReceived { .. }
        | Event::CashOnDelivery { .. }
        | Event::FoodPreparing
        | Event::DriverAssigned { .. }
        | Event::DriverUnassigned { .. }
        | Event::DriverEnRouteToRestaurant { .. }
        | Event::DriverArrivedAtRestaurant { .. }
        | Event::DriverEnRouteToCustomer { .. }
        | Event::RefundInitiated { .. }
        | Event::RefundSettled { .. }
        | Event::LegStarted { .. }
        | Event::LegMoved { .. }
        | Event::LegEnded { .. }
        | Event::CodeRefused { .. }
        | Event::RefundFailed { .. }
        | Event::DriverReplaced { .. }
        | Event::Expected { .. } => (),
    }
    Ok(())
}

/// Another module refused what an order's state says must be possible.
fn broken(refusal: impl std::fmt::Display) -> Fault {
    Fault::new(refusal.to_string())
}

fn intent(order: &Order) -> Result<IntentId, Fault> {
    order.payment.intent.ok_or_else(|| Fault::new(format!("order {} has no payment", order.id)))
}

fn courier(order: &Order) -> Result<CourierId, Fault> {
    order.courier.ok_or_else(|| Fault::new(format!("order {} was delivered by nobody", order.id)))
}

/// Asks for the money. The answer comes as [`crate::money::payments::Happened`].
fn capture(tx: &mut Tx<'_, '_>, order: &Order) -> Result<(), Fault> {
    let intent = intent(order)?;
    match intents::capture(tx, intent, None) {
        // Taken already, though not all of it (support may take a part): what there is settles the order, the platform bears the rest.
        Ok(Intent { status: Status::Captured, captured, .. }) => {
            let taken = Command::Captured { intent, amount: captured };
            act(tx, order.id, Actor::SYSTEM, &taken).map(drop).map_err(broken)
        }
        // Asked for just now, or at acceptance; the answer is on its way.
        Ok(_) | Err(payments::Refusal::CaptureUnderWay) => Ok(()),
        // The payer has taken it back: the food is at the door all the same, and a person decides what now.
        Err(refusal) => {
            let failed = Command::CaptureFailed { intent, reason: refusal.to_string() };
            act(tx, order.id, Actor::SYSTEM, &failed).map(drop).map_err(broken)
        }
    }
}

fn facts(order: &Order) -> SettlementFacts {
    let created = &order.created;
    SettlementFacts {
        order: order.id.as_u128(),
        method: order.payment.method,
        merchant: created.merchant.as_u128(),
        courier: order.courier.map(CourierId::as_u128),
        amounts: created.amounts,
        fees: created.terms.fees.clone(),
    }
}

/// What dispatch needs to know. The courier's pay is what settlement will give: the share of the fee, and the tip.
fn job(tx: &Tx<'_, '_>, order: &Order) -> Result<dispatch::Request, Fault> {
    let created = &order.created;
    let merchant = catalog::merchant(tx, created.merchant).ok_or_else(|| Fault::new(format!("order {} has no merchant", order.id)))?;
    let currency = created.amounts.currency;
    let pay = shares(&SettlementFacts { courier: Some(0), ..facts(order) }).courier.map_or(0, |(_, amount)| amount);
    let ready_at = order.ready_at.unwrap_or(tx.now());
    Ok(dispatch::Request {
        subject: order.id.as_u128(),
        city: created.city,
        merchant: created.merchant.as_u128(),
        pickup: merchant.position,
        pickup_name: merchant.name,
        dropoff: created.dropoff,
        ready_at,
        due_at: Some(ready_at.plus_s(i64::from(created.travel_s))),
        size: 1,
        items_count: created.lines.iter().map(|line| line.quantity).sum(),
        pay: Money::new(pay, currency),
        cash_due: order.payment.cash_due.map(|due| Money::new(due, currency)),
    })
}
