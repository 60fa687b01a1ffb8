//! Failures on their way out: the one place that gives them a status and a code.

use serde_json::json;

use super::carts;
use super::failure::Failure;
use super::orders::model::Refusal;
use super::quotes;
use crate::edge::Problem;

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let words = failure.to_string();
        match failure {
            Failure::Denied(denied) => denied.into(),
            Failure::Refused(refusal) => of_machine(&refusal, words),
            Failure::Cart(refusal) => of_cart(refusal, words),
            Failure::Quote(refusal) => of_quote(refusal, words),
            Failure::Payment(refusal) => refusal.into(),
            Failure::QuoteExpired { at } => Self::new(409, "quote_expired", words).with("expired_at", at.to_string()),
            Failure::QuoteUsed { order } => Self::new(409, "quote_used", words).with("order_id", order.to_string()),
            Failure::MethodUnavailable { .. } => Self::new(422, "payment_method_unavailable", words),
            Failure::Invalid(invalid) => Self::invalid(invalid.pointer, invalid.code, invalid.detail),
            Failure::Fault(fault) => fault.into(),
        }
    }
}

fn of_machine(refusal: &Refusal, words: String) -> Problem {
    match refusal {
        Refusal::Unknown => Problem::not_found(),
        Refusal::Exists => Problem::new(409, "exists", words),
        Refusal::Illegal { from, to } => {
            let allowed: Vec<&str> = from.next().iter().map(|state| state.name()).collect();
            Problem::new(409, "invalid_transition", words).with("from", from.name()).with("to", to.name()).with("allowed", json!(allowed))
        }
        Refusal::ReadyInThePast => Problem::invalid("/ready_at", "out_of_range", words),
        Refusal::NotCancellable { .. } => Problem::new(409, "not_cancellable", words),
        Refusal::Locked { until } => Problem::new(423, "locked", words).with("locked_until", until.to_string()),
        Refusal::PhotoIsNoProof => Problem::invalid("/photo", "not_allowed", words),
        Refusal::CashDiffers { due } => Problem::invalid("/cash_collected/amount", "differs", words).with("cash_due", *due),
        Refusal::OtherIntent => Problem::new(409, "other_payment", words),
        Refusal::DropoffFixed { .. } => Problem::new(409, "dropoff_fixed", words),
        Refusal::CostsMore { fee, paid } => Problem::new(409, "dropoff_costs_more", words).with("fee", *fee).with("paid", *paid),
        Refusal::OtherCourier => Problem::new(409, "other_courier", words),
    }
}

fn of_cart(refusal: carts::model::Refusal, words: String) -> Problem {
    match refusal {
        carts::model::Refusal::UnknownMerchant => Problem::invalid("/merchant_id", "unknown_merchant", words),
        carts::model::Refusal::UnknownItem { place } => Problem::invalid(format!("/items/{place}/item_id"), "unknown_item", words),
        carts::model::Refusal::ItemUnavailable { items, .. } => Problem::new(409, "item_unavailable", words).with("items", json!(items)),
    }
}

fn of_quote(refusal: quotes::model::Refusal, words: String) -> Problem {
    match refusal {
        quotes::model::Refusal::EmptyCart => Problem::invalid("/cart_id", "empty_cart", words),
        quotes::model::Refusal::MerchantClosed => Problem::new(409, "merchant_closed", words),
        quotes::model::Refusal::ItemUnavailable { items, .. } => Problem::new(409, "item_unavailable", words).with("items", json!(items)),
        quotes::model::Refusal::NoGo { zone } => Problem::new(422, "out_of_area", words).with("zone", zone),
        quotes::model::Refusal::OutOfArea => Problem::new(422, "out_of_area", words),
        quotes::model::Refusal::WrongCurrency(_) => Problem::invalid("/tip/currency", "wrong_currency", words),
        quotes::model::Refusal::TipOutOfRange => Problem::invalid("/tip/amount", "out_of_range", words),
        quotes::model::Refusal::TooExpensive => Problem::new(422, "amount_out_of_range", words),
    }
}
