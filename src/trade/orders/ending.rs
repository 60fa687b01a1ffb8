//! How an order ends before its time.

use super::consequences::act;
use super::model::{Command, Goods, OrderId, Part};
use super::parts::{actor, permitted};
use super::record::Order;
use crate::city::field::Invalid;
use crate::engine::Tx;
use crate::money::Money;
use crate::money::payments::intents;
use crate::trade::failure::Failure;

/// An order that was cancelled, and what that means for the payer.
#[derive(Clone, Debug)]
pub struct Cancelled {
    pub order: Order,
    /// Kept from the payer. The plain policy knows no fee.
    pub fee: Money,
    /// Given back or no longer reserved.
    pub refund: Money,
}

/// Cancels; after pick-up (support only) that is a failed delivery, and `goods` says where the food went. Money goes back in full.
///
/// # Errors
/// [`super::model::Refusal::NotCancellable`] in the policy's words.
pub fn cancel(tx: &mut Tx<'_, '_>, id: OrderId, reason: String, max_fee: Option<Money>, goods: Goods) -> Result<Cancelled, Failure> {
    let bad_fee = || Invalid::new("/max_fee", "out_of_range", "an amount of the order's currency, not below zero");
    if max_fee.is_some_and(|max| max.amount < 0) {
        return Err(bad_fee().into());
    }
    let before = permitted(tx, "orders.cancel", id)?;
    let currency = before.created.amounts.currency;
    // The plain policy's fee is nothing, which no limit forbids; but a limit in another money is a mistake that must be told.
    if max_fee.is_some_and(|max| max.currency != currency) {
        return Err(bad_fee().into());
    }
    let held = before.payment.intent.and_then(|intent| intents::get(tx, intent)).map_or(0, |intent| intent.held());
    let actor = actor(tx, &before, &[Part::Support, Part::Merchant, Part::Customer]);
    let (order, _) = act(tx, id, actor, &Command::Cancel { by: actor.part, reason, goods })?;
    Ok(Cancelled { order, fee: Money::zero(currency), refund: Money::new(held, currency) })
}
