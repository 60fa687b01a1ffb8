//! Refunds: money goes back where it came from, in full or in part; cash becomes a balance with us.

use storage::Read;

use super::carry::{Moment, carry};
use super::intents;
use super::machine::{Command, Event, decide};
use super::model::{Connector, Intent, IntentId, REFUNDS, Refund, RefundId, Refusal};
use crate::engine::Tx;
use crate::money::Money;

/// Asks for a refund of a captured intent: all that is left without `amount`. Pending until the provider has paid; of cash settled at once.
///
/// # Errors
/// [`Refusal::NotWhile`] unless captured, [`Refusal::AmountOutOfRange`], [`Refusal::OtherCurrency`], [`Refusal::Unknown`].
pub fn ask(tx: &mut Tx<'_, '_>, intent: IntentId, amount: Option<Money>, reason: &str) -> Result<Refund, Refusal> {
    let intent = intents::get(tx, intent).ok_or(Refusal::Unknown)?;
    if amount.is_some_and(|amount| amount.currency != intent.amount.currency) {
        return Err(Refusal::OtherCurrency);
    }
    let id: RefundId = tx.new_id();
    let command = Command::Refund { id, amount: amount.map(|amount| amount.amount), reason: reason.to_owned(), at: tx.now() };
    let event = decide(&intent, &command)?;
    let mut after = carry(tx, &intent, &event, &Moment::default())?;
    if intent.connector == Connector::Cash {
        after = carry(tx, &after, &Event::RefundSettled { id }, &Moment::default())?;
    }
    Ok(after.refund(id).cloned().expect("the event has just put it there"))
}

/// A refund and its intent.
pub fn get(read: &(impl Read + ?Sized), id: RefundId) -> Option<(Intent, Refund)> {
    let intent = intents::get(read, REFUNDS.get(read, &id)?.0)?;
    let refund = intent.refund(id)?.clone();
    Some((intent, refund))
}
