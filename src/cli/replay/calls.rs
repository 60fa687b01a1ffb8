//! What the people of the day say to the server. Orders, couriers and restaurants are indices of the instance.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};
use storage::Timestamp;

use super::stage::Stage;
use crate::cli::client::CallError;
use crate::cli::client::errands::Wish;
use crate::cli::client::words::{ClockNow, List, Offer, Order, OrderEvent, P, PingsTaken, Route};
use crate::mdrp::Instance;

/// Polls and pings that are under way at once.
const AT_ONCE: usize = 16;

impl Stage {
    /// Moves the frozen clock; everything that falls due has happened, and the server is idle, when this returns.
    pub(super) async fn advance(&self, seconds: i64) -> Result<Timestamp, CallError> {
        let body = json!({ "seconds": seconds, "freeze": true });
        let clock: ClockNow = self.admin.post("/v1/sandbox/clock/advance", &body).await?;
        Ok(clock.now)
    }

    /// A customer orders one dish and pays by card. The order's id.
    pub(super) async fn place(&self, instance: &Instance, order: usize) -> Result<String, CallError> {
        let (customer, wanted) = (&self.customers[order], &instance.orders[order]);
        let restaurant = &self.restaurants[wanted.restaurant];
        let wish = Wish {
            merchant: &restaurant.id,
            items: &[(&restaurant.item, 1)],
            dropoff: self.plane.on_globe(wanted.at),
            address: &wanted.id,
            tip: None,
        };
        let quote = customer.quote(&wish).await?;
        let placed = customer.order(&quote, "card").await?;
        customer.pay(&placed, "tok_ok").await?;
        Ok(placed.id)
    }

    pub(super) async fn accept(&self, restaurant: usize, id: &str, ready_at: Timestamp) -> Result<Order, CallError> {
        let body = json!({ "ready_at": ready_at.to_string() });
        self.restaurants[restaurant].staff.post(&format!("/v1/orders/{id}/accept"), &body).await
    }

    pub(super) async fn ready(&self, restaurant: usize, id: &str) -> Result<Order, CallError> {
        self.restaurants[restaurant].staff.post(&format!("/v1/orders/{id}/ready"), &json!({})).await
    }

    pub(super) async fn go_online(&self, courier: usize, position: P, until: Timestamp) -> Result<(), CallError> {
        let body = json!({ "status": "online", "position": position, "until": until.to_string() });
        self.couriers[courier].person.put("/v1/couriers/me/presence", &body).await.map(|_: Value| ())
    }

    pub(super) async fn go_offline(&self, courier: usize) -> Result<(), CallError> {
        self.couriers[courier].person.put("/v1/couriers/me/presence", &json!({ "status": "offline" })).await.map(|_: Value| ())
    }

    /// Tells where couriers are. How many of the pings were not believed.
    pub(super) async fn ping(&self, places: Vec<(usize, P)>, at: Timestamp) -> Result<u64, CallError> {
        let calls = places.into_iter().map(async |(courier, P { lat, lon })| {
            let body = json!({ "pings": [{ "lat": lat, "lon": lon, "at": at.to_string(), "accuracy_m": 5.0 }] });
            self.couriers[courier].person.post::<PingsTaken>("/v1/couriers/me/pings", &body).await
        });
        let taken: Vec<PingsTaken> = stream::iter(calls).buffered(AT_ONCE).try_collect().await?;
        Ok(taken.iter().map(|taken| u64::from(taken.rejected)).sum())
    }

    /// The open offers of these couriers, in their order.
    pub(super) async fn offers(&self, couriers: Vec<usize>) -> Result<Vec<(usize, Offer)>, CallError> {
        let calls = couriers.into_iter().map(async |courier| {
            let open: List<Offer> = self.couriers[courier].person.get("/v1/couriers/me/offers?wait=0").await?;
            Ok::<_, CallError>((courier, open.data))
        });
        let polled: Vec<(usize, Vec<Offer>)> = stream::iter(calls).buffered(AT_ONCE).try_collect().await?;
        Ok(polled.into_iter().flat_map(|(courier, open)| open.into_iter().map(move |offer| (courier, offer))).collect())
    }

    pub(super) async fn answer(&self, courier: usize, offer: &str, takes: bool) -> Result<(), CallError> {
        let person = &self.couriers[courier].person;
        let _: Value = if takes {
            person.post(&format!("/v1/offers/{offer}/accept"), &json!({})).await?
        } else {
            person.post(&format!("/v1/offers/{offer}/decline"), &json!({ "reason": "the shift ends before the pickup" })).await?
        };
        Ok(())
    }

    pub(super) async fn route(&self, courier: usize) -> Result<Route, CallError> {
        self.couriers[courier].person.get("/v1/couriers/me/route").await
    }

    /// The courier reports a status; codes are asked of whom they belong to.
    pub(super) async fn report(&self, instance: &Instance, courier: usize, order: usize, id: &str, status: &str) -> Result<(), CallError> {
        let more = match status {
            "PICKED_UP" => json!({ "code": self.restaurants[instance.orders[order].restaurant].staff.pickup_code(id).await? }),
            "DELIVERED" => json!({ "code": self.customers[order].delivery_code(id).await? }),
            _ => json!({}),
        };
        self.couriers[courier].person.report(id, status, more).await.map(|_| ())
    }

    /// Support gives an order up that nobody could bring.
    pub(super) async fn give_up(&self, id: &str) -> Result<(), CallError> {
        let body = json!({ "reason": "nobody could bring it" });
        self.admin.post(&format!("/v1/orders/{id}/cancel"), &body).await.map(|_: Value| ())
    }

    /// All orders of the city, as the administrator sees them.
    pub(super) async fn orders(&self) -> Result<Vec<Order>, CallError> {
        self.admin.list(&format!("/v1/orders?city_id={}", self.city)).await
    }

    /// What happened to an order, from the server's record.
    pub(super) async fn events(&self, id: &str) -> Result<Vec<OrderEvent>, CallError> {
        let events: List<OrderEvent> = self.admin.get(&format!("/v1/orders/{id}/events")).await?;
        Ok(events.data)
    }
}
