//! What simulated people do on the way of an order: buy, pay, show codes, report where they are.

use serde_json::{Value, json};
use storage::{Id, Kind};
use uuid::Uuid;

use super::words::{Intent, Money, Order, P, Quote};
use super::{CallError, Person};

/// Carts get their ids from the client.
struct CartTag;
impl Kind for CartTag {
    const PREFIX: &'static str = "cart";
}

/// What somebody wants from one merchant: items with quantities, brought to a place.
pub struct Wish<'a> {
    pub merchant: &'a str,
    pub items: &'a [(&'a str, u32)],
    pub dropoff: P,
    pub address: &'a str,
    pub tip: Option<Money>,
}

impl Person {
    /// Fills a cart and asks for its price.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn quote(&self, wish: &Wish<'_>) -> Result<Quote, CallError> {
        let cart: Id<CartTag> = Id::from_u128(Uuid::now_v7().as_u128());
        let items: Vec<Value> = wish.items.iter().map(|(item, quantity)| json!({ "item_id": item, "quantity": quantity })).collect();
        let _: Value = self.put(&format!("/v1/carts/{cart}"), &json!({ "merchant_id": wish.merchant, "items": items })).await?;
        let mut body = json!({ "cart_id": cart, "dropoff": wish.dropoff, "address": { "text": wish.address } });
        if let Some(tip) = &wish.tip {
            body["tip"] = json!(tip);
        }
        self.post("/v1/quotes", &body).await
    }

    /// Orders what was quoted. `method` is one of the contract's.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn order(&self, quote: &Quote, method: &str) -> Result<Order, CallError> {
        self.post("/v1/orders", &json!({ "quote_id": quote.id, "payment_method": method })).await
    }

    /// Pays a card order with a sandbox token.
    ///
    /// # Errors
    /// [`CallError`]; also if the order waits for no payment.
    pub async fn pay(&self, order: &Order, token: &str) -> Result<Intent, CallError> {
        let payment = order.payment.as_ref().ok_or_else(|| CallError::Unexpected {
            what: "POST /v1/orders".to_owned(),
            detail: format!("{} is {} and names no payment", order.id, order.status),
        })?;
        self.post(&format!("/v1/payments/intents/{}/confirm", payment.intent_id), &json!({ "token": token })).await
    }

    /// The order, as this person may see it.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn look_at(&self, order: &str) -> Result<Order, CallError> {
        self.get(&format!("/v1/orders/{order}")).await
    }

    /// The pick-up code, read from the merchant's screen.
    ///
    /// # Errors
    /// [`CallError`]; also if this person is shown none.
    pub async fn pickup_code(&self, order: &str) -> Result<String, CallError> {
        let seen = self.look_at(order).await?;
        seen.pickup_code.ok_or_else(|| no_code(order, "pickup_code", &seen.status))
    }

    /// The delivery code, told by the customer.
    ///
    /// # Errors
    /// [`CallError`]; also if this person is shown none.
    pub async fn delivery_code(&self, order: &str) -> Result<String, CallError> {
        let seen = self.look_at(order).await?;
        seen.delivery_code.ok_or_else(|| no_code(order, "delivery_code", &seen.status))
    }

    /// The courier's report. `more` holds what goes with the status, such as `{"code": "1234"}`.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn report(&self, order: &str, status: &str, more: Value) -> Result<Order, CallError> {
        let mut body = more;
        body["status"] = json!(status);
        self.post(&format!("/v1/orders/{order}/status"), &body).await
    }
}

fn no_code(order: &str, code: &str, status: &str) -> CallError {
    CallError::Unexpected { what: format!("GET /v1/orders/{order}"), detail: format!("no {code} while {status}") }
}
