//! A quote becomes an order.

use super::consequences::act;
use super::model::{Actor, Command, Created, Digits, OrderId, Part, Terms};
use super::number;
use super::record::Order;
use crate::city::cities::{Capture, PaymentMethod, Proof, Settings};
use crate::engine::{Denied, Question, Resource, Tx};
use crate::money::Money;
use crate::money::payments::{CaptureTime, Method, Subject, intents};
use crate::trade::failure::Failure;
use crate::trade::quotes::commands::{place as place_of, still_possible};
use crate::trade::quotes::model::{QUOTES, QuoteId};

/// Places the order that was quoted, at the quoted price.
///
/// # Errors
/// [`Failure::QuoteUsed`], [`Failure::QuoteExpired`], [`Failure::Quote`] if something is not to be had any more, [`Failure::MethodUnavailable`].
pub fn place(tx: &mut Tx<'_, '_>, quote_id: QuoteId, method: Method) -> Result<Order, Failure> {
    let quote = QUOTES.get(tx, &quote_id).ok_or(Denied::NotFound)?;
    tx.authorize(&Question::new("orders.place", Resource::new("Quote", quote_id).with("customer", quote.customer.to_string())))?;
    if let Some(order) = quote.used_by {
        return Err(Failure::QuoteUsed { order });
    }
    if quote.expires_at <= tx.now() {
        return Err(Failure::QuoteExpired { at: quote.expires_at });
    }
    let place = place_of(tx, quote.merchant)?;
    still_possible(tx, &quote, &place)?;
    check_method(&place.settings, method, quote.amounts.total)?;

    let id: OrderId = tx.new_id();
    let terms = Terms {
        unpaid_s: place.settings.unpaid_minutes * 60,
        unaccepted_s: place.settings.unaccepted_minutes * 60,
        capture_at_acceptance: place.settings.capture == Capture::Acceptance,
        photo_is_proof: place.settings.proof == Proof::CodeOrPhoto,
        fees: quote.fees.clone(),
    };
    let created = Created {
        number: number::next(tx, quote.city, &place.city),
        city: quote.city,
        merchant: quote.merchant,
        customer: quote.customer,
        quote: quote_id,
        lines: quote.lines.clone(),
        amounts: quote.amounts,
        method,
        dropoff: quote.dropoff,
        address: quote.address.clone(),
        pickup_code: digits(tx),
        delivery_code: digits(tx),
        prep_s: quote.prep_s,
        travel_s: quote.travel_s,
        terms,
    };
    let intent = pay(tx, id, &created)?;
    let mut used = quote;
    used.used_by = Some(id);
    QUOTES.put(tx, &quote_id, &used);
    let actor = Actor { part: Part::Customer, user: Some(used.customer) };
    Ok(act(tx, id, actor, &Command::Place { created: Box::new(created), intent })?.0)
}

fn pay(tx: &mut Tx<'_, '_>, id: OrderId, created: &Created) -> Result<crate::money::payments::IntentId, Failure> {
    let when = if created.terms.capture_at_acceptance { CaptureTime::Acceptance } else { CaptureTime::Delivery };
    let expires_at = tx.now().plus_s(i64::from(created.terms.unpaid_s));
    let total = Money::new(created.amounts.total, created.amounts.currency);
    let intent = intents::create(tx, Subject::order(id.as_u128()), created.customer, total, created.method, when, Some(expires_at))?;
    Ok(intent.id)
}

fn check_method(settings: &Settings, method: Method, total: i64) -> Result<(), Failure> {
    let method = match method {
        Method::Card => PaymentMethod::Card,
        Method::Wallet => PaymentMethod::Wallet,
        Method::Cash => PaymentMethod::Cash,
        Method::MobileMoney => PaymentMethod::MobileMoney,
    };
    if !settings.payment_methods.contains(&method) {
        return Err(Failure::MethodUnavailable { why: "this city does not take this payment method" });
    }
    if method == PaymentMethod::Cash && settings.cash_limit.is_some_and(|limit| total > limit) {
        return Err(Failure::MethodUnavailable { why: "this is more than couriers here may carry in cash" });
    }
    Ok(())
}

/// Four random digits. 2⁶⁴ is not a multiple of 10,000, which favours some codes by less than one in 10¹⁵.
fn digits(tx: &mut Tx<'_, '_>) -> Digits {
    let mut rest = tx.random().next_u64() % 10_000;
    let mut digits = [b'0'; 4];
    for digit in digits.iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    digits
}
