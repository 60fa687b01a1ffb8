//! Merchants look at their orders, accept most of them, and call when the food is ready.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};
use storage::Timestamp;

use super::City;
use super::cast::Kitchen;
use super::chance::Chance;
use crate::cli::client::CallError;
use crate::cli::client::words::Order;

/// How often somebody looks at the screen.
const LOOK_S: f64 = 15.0;
/// What is found half cooked (the kitchen was somebody else's before a crash) is done this much later.
const HALF_COOKED_S: i64 = 120;

/// Works for ever.
pub async fn work(city: Arc<City>, merchant: usize, mut chance: Chance) {
    let kitchen = &city.cast.merchants[merchant];
    let mut ready_at = HashMap::new();
    loop {
        city.pace.sleep(LOOK_S).await;
        if let Err(error) = look(&city, kitchen, &mut ready_at, &mut chance).await
            && !error.is_overtaken()
        {
            city.counts.surprise("a merchant", &error);
        }
    }
}

async fn look(city: &City, kitchen: &Kitchen, ready_at: &mut HashMap<String, Timestamp>, chance: &mut Chance) -> Result<(), CallError> {
    let open = format!("/v1/orders?merchant_id={}&status=CONFIRMED,ACCEPTED,PREPARING", kitchen.id);
    let orders: Vec<Order> = kitchen.staff.list(&open).await?;
    ready_at.retain(|id, _| orders.iter().any(|order| order.id == *id));
    for order in orders {
        let path = format!("/v1/orders/{}", order.id);
        match order.status.as_str() {
            "CONFIRMED" if chance.happens(3) => {
                let _: Value = kitchen.staff.post(&format!("{path}/reject"), &json!({ "reason": "sold out" })).await?;
            }
            "CONFIRMED" => {
                let minutes = kitchen.prep_minutes + chance.below(5) as u32;
                let _: Value = kitchen.staff.post(&format!("{path}/accept"), &json!({ "prep_minutes": minutes })).await?;
                // Kitchens are now early, now late.
                let cooked_s = f64::from(minutes) * 60.0 * chance.between(0.8, 1.15);
                ready_at.insert(order.id, city.pace.now().plus_s(cooked_s as i64));
            }
            _ => {
                let ready_at = *ready_at.entry(order.id).or_insert(city.pace.now().plus_s(HALF_COOKED_S));
                if ready_at <= city.pace.now() {
                    let _: Value = kitchen.staff.post(&format!("{path}/ready"), &json!({})).await?;
                }
            }
        }
    }
    Ok(())
}
