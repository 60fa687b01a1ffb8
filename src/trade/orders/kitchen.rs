//! What merchants do: see, accept, reject, prepare, say that it is ready.

use storage::Timestamp;

use super::consequences::act;
use super::model::{Command, OrderId, Part, Refusal};
use super::parts::{actor, permitted};
use super::record::{ORDERS, Order};
use crate::city::catalog::{self, ItemId};
use crate::engine::Tx;
use crate::trade::failure::Failure;

/// Minutes of preparation that can be promised.
pub const PREP_MINUTES_MAX: u32 = 24 * 60;

/// When the food will be ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// The merchant's usual time from now.
    Usual,
    Minutes(u32),
    At(Timestamp),
}

const STAFF: &[Part] = &[Part::Merchant, Part::Support];

/// The merchant takes the order; a courier is looked for from now on.
///
/// # Errors
/// [`Failure::Refused`] unless the order is CONFIRMED and the promise in the future; [`Failure::Invalid`] beyond [`PREP_MINUTES_MAX`].
pub fn accept(tx: &mut Tx<'_, '_>, id: OrderId, promise: Promise) -> Result<Order, Failure> {
    let now = tx.now();
    check_promise(promise, now)?;
    let order = permitted(tx, "orders.accept", id)?;
    let usual = || catalog::merchant(tx, order.created.merchant).map_or(0, |merchant| merchant.prep_minutes);
    let ready_at = match promise {
        Promise::Usual => now.plus_s(i64::from(usual()) * 60),
        Promise::Minutes(minutes) => now.plus_s(i64::from(minutes) * 60),
        Promise::At(at) => at,
    };
    let actor = actor(tx, &order, STAFF);
    Ok(act(tx, id, actor, &Command::Accept { ready_at })?.0)
}

fn check_promise(promise: Promise, now: Timestamp) -> Result<(), Failure> {
    match promise {
        Promise::Minutes(minutes) if minutes > PREP_MINUTES_MAX => Err(Failure::out_of_range("/prep_minutes", "0 to 1440 minutes")),
        Promise::At(at) if at > now.plus_s(i64::from(PREP_MINUTES_MAX) * 60) => {
            Err(Failure::out_of_range("/ready_at", "within a day from now"))
        }
        Promise::At(at) if at < now => Err(Refusal::ReadyInThePast.into()),
        Promise::Usual | Promise::Minutes(_) | Promise::At(_) => Ok(()),
    }
}

/// The merchant does not take the order; the customer gets everything back. `items` are those that are missing.
///
/// # Errors
/// [`Failure::Refused`] unless the order is CONFIRMED.
pub fn reject(tx: &mut Tx<'_, '_>, id: OrderId, reason: String, items: Vec<ItemId>) -> Result<Order, Failure> {
    let order = permitted(tx, "orders.reject", id)?;
    let actor = actor(tx, &order, STAFF);
    Ok(act(tx, id, actor, &Command::Reject { reason, items })?.0)
}

/// Cooking has begun.
///
/// # Errors
/// [`Failure::Refused`] unless the order is ACCEPTED.
pub fn prepare(tx: &mut Tx<'_, '_>, id: OrderId) -> Result<Order, Failure> {
    let order = permitted(tx, "orders.prepare", id)?;
    let actor = actor(tx, &order, STAFF);
    Ok(act(tx, id, actor, &Command::Prepare)?.0)
}

/// Minutes that one delay can add.
pub const DELAY_MINUTES_MAX: u32 = 120;

/// The kitchen needs so many minutes longer: from the promised time, or from now if that has passed. The courier is sent later, the customer told.
///
/// # Errors
/// [`Failure::Invalid`] for none, or more than [`DELAY_MINUTES_MAX`], or more than [`PREP_MINUTES_MAX`] in all; [`Failure::Refused`] unless the order is
/// ACCEPTED or PREPARING.
pub fn delay(tx: &mut Tx<'_, '_>, id: OrderId, minutes: u32) -> Result<Order, Failure> {
    if !(1..=DELAY_MINUTES_MAX).contains(&minutes) {
        return Err(Failure::out_of_range("/minutes", "1 to 120 minutes"));
    }
    let now = tx.now();
    let order = permitted(tx, "orders.delay", id)?;
    let actor = actor(tx, &order, STAFF);
    let ready_at = order.ready_at.unwrap_or(now).max(now).plus_s(i64::from(minutes) * 60);
    let latest = order.accepted_at.unwrap_or(now).plus_s(i64::from(PREP_MINUTES_MAX) * 60);
    if ready_at > latest {
        return Err(Failure::out_of_range("/minutes", "within a day from acceptance"));
    }
    Ok(act(tx, id, actor, &Command::Delay { ready_at })?.0)
}

/// The food can be picked up.
///
/// # Errors
/// [`Failure::Refused`] unless the order is ACCEPTED or PREPARING.
pub fn ready(tx: &mut Tx<'_, '_>, id: OrderId) -> Result<Order, Failure> {
    let order = permitted(tx, "orders.ready", id)?;
    let actor = actor(tx, &order, STAFF);
    Ok(act(tx, id, actor, &Command::Ready)?.0)
}

/// Whether somebody of the merchant looking at the order is news.
#[must_use]
pub fn is_unseen(order: &Order) -> bool {
    order.state == super::model::State::Confirmed && order.seen_at.is_none()
}

/// Somebody of the merchant has looked at these orders. Orders that are not theirs, or seen already, stay as they are.
///
/// # Errors
/// None of the caller's doing.
pub fn see(tx: &mut Tx<'_, '_>, ids: &[OrderId]) -> Result<(), Failure> {
    for &id in ids {
        let Some(order) = ORDERS.get(tx, &id).filter(is_unseen) else { continue };
        let actor = actor(tx, &order, &[Part::Merchant]);
        if actor.part == Part::Merchant {
            permitted(tx, "orders.read", id)?;
            act(tx, id, actor, &Command::See)?;
        }
    }
    Ok(())
}
