//! What orders do when payments, dispatch or the clock have news. Registered in the composition root.

use super::consequences::act;
use super::model::{Actor, Command, OrderId, Part, Refusal, State};
use super::record::ORDERS;
use super::{consequences, kitchen};
use crate::city::dispatch;
use crate::city::eta::JobExpected;
use crate::engine::{Fault, FiredTimer, Tx};
use crate::money::payments::{Happened, SubjectKind, What, intents};
use crate::trade::failure::Failure;

/// A payment has news.
///
/// # Errors
/// A fault only: what an order has no use for is unwound.
pub fn on_payment(tx: &mut Tx<'_, '_>, happened: &Happened) -> Result<(), Fault> {
    let SubjectKind::Order = happened.subject.kind;
    let id = OrderId::from_u128(happened.subject.id);
    let intent = happened.intent;
    let command = match &happened.what {
        What::Created => match intents::get(tx, intent) {
            Some(created) => Command::ReplaceIntent { intent, method: created.method },
            None => return Ok(()),
        },
        What::Authorized => Command::Authorized { intent },
        What::Captured { amount } => Command::Captured { intent, amount: *amount },
        What::Cancelled => Command::PaymentLost { intent },
        What::CaptureFailed { reason } => Command::CaptureFailed { intent, reason: reason.clone() },
        What::RefundInitiated { refund, amount } => Command::RefundInitiated { refund: *refund, amount: *amount },
        What::RefundSettled { refund, amount } => Command::RefundSettled { refund: *refund, amount: *amount },
        // For operators it is on money's own list.
        What::RefundFailed { refund, .. } => {
            let amount = intents::get(tx, intent).and_then(|intent| intent.refund(*refund).map(|refund| refund.amount)).unwrap_or(0);
            Command::RefundFailed { refund: *refund, amount }
        }
        // The order waits for another try, or for the end of its time.
        What::ActionRequired | What::Failed { .. } | What::Expired => return Ok(()),
    };
    match act(tx, id, Actor::SYSTEM, &command) {
        Ok(_) => Ok(()),
        // The order has ended, or is paid by another payment: nobody keeps this money.
        Err(Failure::Refused(Refusal::Illegal { .. } | Refusal::OtherIntent | Refusal::Unknown)) => unwind(tx, happened),
        Err(failure) => Err(broken(failure)),
    }
}

fn unwind(tx: &mut Tx<'_, '_>, happened: &Happened) -> Result<(), Fault> {
    match happened.what {
        What::Created | What::Authorized | What::Captured { .. } => {
            intents::void_or_refund(tx, happened.intent, "the order does not need it").map(drop).map_err(broken)
        }
        _ => Ok(()),
    }
}

fn broken(why: impl std::fmt::Display) -> Fault {
    Fault::new(why.to_string())
}

/// Dispatch has news of a job.
///
/// # Errors
/// A fault only.
pub fn on_dispatch(tx: &mut Tx<'_, '_>, happened: &dispatch::Happened) -> Result<(), Fault> {
    let (subject, by, command) = match &happened.what {
        dispatch::What::Assigned { subject, courier, eta, by } => (*subject, *by, Command::Assign { courier: *courier, eta: Some(*eta) }),
        dispatch::What::Unassigned { subject, courier, reason, by } => {
            (*subject, *by, Command::Unassign { courier: *courier, reason: reason.clone() })
        }
        dispatch::What::TakenOver { subject, from, to, eta, reason, by } => {
            (*subject, *by, Command::Replace { from: *from, courier: *to, eta: *eta, reason: reason.clone() })
        }
        dispatch::What::OfferMade { .. }
        | dispatch::What::OfferWithdrawn { .. }
        | dispatch::What::OfferExpired { .. }
        | dispatch::What::OfferDeclined { .. }
        | dispatch::What::Unassignable { .. } => return Ok(()),
    };
    // What dispatch does by itself is the system's; an operator's hand is named.
    let actor = by.map_or(Actor::SYSTEM, |user| Actor { part: Part::Support, user: Some(user) });
    match act(tx, OrderId::from_u128(subject), actor, &command) {
        // Orders withdraw their job when they end, in the same commit: a job without a use for a courier is a bug that must not commit.
        Ok(_) => Ok(()),
        Err(failure) => Err(broken(failure)),
    }
}

/// The courier's way takes longer or less long than was shown.
///
/// # Errors
/// A fault only.
pub fn on_expected(tx: &mut Tx<'_, '_>, expected: &JobExpected) -> Result<(), Fault> {
    let command = Command::Expect { courier: expected.courier, eta: expected.eta };
    match act(tx, OrderId::from_u128(expected.subject), Actor::SYSTEM, &command) {
        // A job that is no order's.
        Ok(_) | Err(Failure::Refused(Refusal::Unknown)) => Ok(()),
        Err(failure) => Err(broken(failure)),
    }
}

/// The time to pay is over.
///
/// # Errors
/// A fault only.
pub fn on_unpaid(tx: &mut Tx<'_, '_>, timer: &FiredTimer) -> Result<(), Fault> {
    on_time(tx, timer, &Command::GiveUpUnpaid)
}

/// The time to accept is over.
///
/// # Errors
/// A fault only.
pub fn on_unaccepted(tx: &mut Tx<'_, '_>, timer: &FiredTimer) -> Result<(), Fault> {
    on_time(tx, timer, &Command::GiveUpUnaccepted)
}

fn on_time(tx: &mut Tx<'_, '_>, timer: &FiredTimer, command: &Command) -> Result<(), Fault> {
    act(tx, OrderId::from_u128(timer.subject), Actor::SYSTEM, command).map(drop).map_err(broken)
}

/// The merchant should have seen the order by now: otherwise operators call.
///
/// # Errors
/// Never; the signature is the engine's.
pub fn on_unseen(tx: &mut Tx<'_, '_>, timer: &FiredTimer) -> Result<(), Fault> {
    let id = OrderId::from_u128(timer.subject);
    if let Some(order) = ORDERS.get(tx, &id).filter(kitchen::is_unseen) {
        debug_assert_eq!(order.state, State::Confirmed);
        let reason =
            format!("order {} waits unseen at its merchant since {}", order.created.number, order.confirmed_at.unwrap_or(timer.at));
        tx.attention(consequences::ATTENTION_UNSEEN, &id.to_string(), reason, &["call the merchant", "POST /v1/orders/{id}/cancel"]);
    }
    Ok(())
}
