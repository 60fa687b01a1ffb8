//! Customers come, order, pay in one way or another, and sometimes think again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use super::City;
use super::chance::Chance;
use super::town::CURRENCY;
use crate::cli::client::errands::Wish;
use crate::cli::client::words::{Intent, Money, Order};
use crate::cli::client::{CallError, Person};

/// Orders that one courier is given in an hour, on average.
const ORDERS_PER_COURIER_HOUR: f64 = 2.5;
/// How often a customer asks whether the bank has answered, and how many times.
const BANK_EVERY: Duration = Duration::from_millis(25);
const BANK_TRIES: u32 = 200;

/// How a customer will pay.
#[derive(Clone, Copy, Debug)]
enum Plan {
    Cash,
    Card,
    /// The bank wants to see them first.
    CardAsked,
    /// The first card is declined, the second is taken.
    SecondCard,
    /// They pay, and cancel at once.
    PaysAndCancels,
    /// They never pay, and cancel.
    LeavesTheTill,
}

impl Plan {
    fn of(chance: &mut Chance) -> Self {
        match chance.below(100) {
            0..20 => Self::Cash,
            20..28 => Self::CardAsked,
            28..34 => Self::SecondCard,
            34..37 => Self::PaysAndCancels,
            37..39 => Self::LeavesTheTill,
            _ => Self::Card,
        }
    }
}

/// Sends customers until `wanted` orders are placed, or (`None`) for ever. The first `rush` come close to each other.
pub async fn come(city: Arc<City>, wanted: Option<u32>, rush: u32, mut chance: Chance) {
    let mean_s = 3_600.0 / (ORDERS_PER_COURIER_HOUR * city.cast.couriers.len() as f64);
    let mut sent = 0;
    let mut shoppers = tokio::task::JoinSet::new();
    while wanted.is_none_or(|wanted| sent < wanted) {
        let calm = if wanted.is_none() && sent >= rush { 2.0 } else { 1.0 };
        city.pace.sleep(chance.gap(mean_s * calm)).await;
        city.counts.shopping.fetch_add(1, Ordering::Relaxed);
        // Counted as placed whatever comes of it: the run must end.
        city.counts.placed.fetch_add(1, Ordering::Relaxed);
        let (city, mut own) = (city.clone(), Chance::new(u64::from(sent), chance.below(usize::MAX) as u64));
        shoppers.spawn(async move {
            if let Err(error) = shop(&city, &mut own).await {
                city.counts.surprise("a customer", &error);
            }
            city.counts.shopping.fetch_sub(1, Ordering::Relaxed);
        });
        sent += 1;
        while shoppers.try_join_next().is_some() {}
    }
    while shoppers.join_next().await.is_some() {}
}

async fn shop(city: &City, chance: &mut Chance) -> Result<(), CallError> {
    let customer = &city.cast.customers[chance.below(city.cast.customers.len())];
    let kitchen = &city.cast.merchants[chance.below(city.cast.merchants.len())];
    let first = chance.below(kitchen.items.len());
    let mut items = vec![(kitchen.items[first].as_str(), 1 + chance.below(3) as u32)];
    if chance.happens(60) {
        let second = (first + 1 + chance.below(kitchen.items.len() - 1)) % kitchen.items.len();
        items.push((kitchen.items[second].as_str(), 1));
    }
    let tip = chance.happens(30).then(|| Money { amount: 500, currency: CURRENCY.to_owned() });
    let wish = Wish { merchant: &kitchen.id, items: &items, dropoff: customer.home.on_globe(), address: "the blue gate", tip };
    let quote = customer.person.quote(&wish).await?;
    let plan = Plan::of(chance);
    let method = if matches!(plan, Plan::Cash) { "cash" } else { "card" };
    let order = customer.person.order(&quote, method).await?;
    pay(&customer.person, &order, plan).await
}

async fn pay(customer: &Person, order: &Order, plan: Plan) -> Result<(), CallError> {
    match plan {
        Plan::Cash => Ok(()),
        Plan::Card => customer.pay(order, "tok_ok").await.map(drop),
        Plan::CardAsked => {
            let intent = customer.pay(order, "tok_requires_action").await?;
            let asked = until(customer, intent, |status| status == "requires_action").await?;
            let path = format!("/v1/sandbox/intents/{}/action", asked.id);
            customer.post(&path, &json!({ "result": "approve" })).await.map(|_: Value| ())
        }
        Plan::SecondCard => {
            let intent = customer.pay(order, "tok_declined").await?;
            until(customer, intent, |status| matches!(status, "failed" | "requires_payment_method")).await?;
            let body = json!({ "order_id": order.id, "method": "card" });
            let again: Intent = customer.post("/v1/payments/intents", &body).await?;
            let path = format!("/v1/payments/intents/{}/confirm", again.id);
            customer.post(&path, &json!({ "token": "tok_ok" })).await.map(|_: Value| ())
        }
        Plan::PaysAndCancels => {
            customer.pay(order, "tok_ok").await?;
            cancel(customer, order, "changed their mind").await
        }
        Plan::LeavesTheTill => cancel(customer, order, "left the till").await,
    }
}

async fn cancel(customer: &Person, order: &Order, reason: &str) -> Result<(), CallError> {
    match customer.post::<Value>(&format!("/v1/orders/{}/cancel", order.id), &json!({ "reason": reason })).await {
        // The kitchen was faster: then they eat it.
        Err(error) if error.is_overtaken() => Ok(()),
        cancelled => cancelled.map(drop),
    }
}

/// Asks for the intent until its status is as wished.
async fn until(customer: &Person, mut intent: Intent, wished: impl Fn(&str) -> bool) -> Result<Intent, CallError> {
    for _ in 0..BANK_TRIES {
        if wished(&intent.status) {
            return Ok(intent);
        }
        tokio::time::sleep(BANK_EVERY).await;
        intent = customer.get(&format!("/v1/payments/intents/{}", intent.id)).await?;
    }
    Err(CallError::Unexpected { what: format!("GET /v1/payments/intents/{}", intent.id), detail: format!("still {}", intent.status) })
}
