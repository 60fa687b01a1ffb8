//! Couriers: online, waiting for offers, or doing the first thing on their route. What is next they ask the server each time, so that one who
//! comes back after a crash goes on.

use std::sync::Arc;

use serde_json::{Value, json};

use super::City;
use super::chance::Chance;
use super::town::{Corner, RIDE_MPS};
use crate::cli::client::words::{List, Offer, Order, PingsTaken, Route, Stop};
use crate::cli::client::{CallError, Person};

/// Seconds of the city.
const PING_S: f64 = 20.0;
const HANDOVER_S: f64 = 45.0;
const AGAIN_S: f64 = 5.0;
/// Percent of offers that a courier does not want.
const DECLINES: u32 = 6;

struct Courier<'a> {
    city: &'a City,
    person: &'a Person,
    at: Corner,
    chance: Chance,
}

/// Works for ever.
pub async fn work(city: Arc<City>, courier: usize, chance: Chance) {
    let rider = &city.cast.couriers[courier];
    let mut courier = Courier { city: &city, person: &rider.person, at: rider.home, chance };
    while let Err(error) = courier.go_online().await {
        city.counts.surprise("a courier", &error);
        city.pace.sleep(AGAIN_S).await;
    }
    loop {
        if let Err(error) = courier.next().await {
            if !error.is_overtaken() {
                city.counts.surprise("a courier", &error);
            }
            city.pace.sleep(AGAIN_S).await;
        }
    }
}

impl Courier<'_> {
    async fn go_online(&self) -> Result<(), CallError> {
        let body = json!({ "status": "online", "position": self.at.on_globe() });
        self.person.put("/v1/couriers/me/presence", &body).await.map(|_: Value| ())
    }

    async fn next(&mut self) -> Result<(), CallError> {
        let route: Route = self.person.get("/v1/couriers/me/route").await?;
        match route.stops.first() {
            Some(stop) if stop.is_pickup() => self.fetch(stop).await,
            Some(stop) => self.bring(stop).await,
            None => self.wait_for_offers().await,
        }
    }

    /// A long poll; meanwhile the phone tells where it is.
    async fn wait_for_offers(&mut self) -> Result<(), CallError> {
        let person = self.person;
        let poll = person.get::<List<Offer>>("/v1/couriers/me/offers?wait=20");
        tokio::pin!(poll);
        let offers = loop {
            tokio::select! {
                offers = &mut poll => break offers?.data,
                () = self.city.pace.sleep(PING_S * 1.5) => self.ping().await?,
            }
        };
        for offer in offers {
            let answer = if self.chance.happens(DECLINES) { "decline" } else { "accept" };
            let _: Value = self.person.post(&format!("/v1/offers/{}/{answer}", offer.id), &json!({})).await?;
        }
        Ok(())
    }

    async fn fetch(&mut self, stop: &Stop) -> Result<(), CallError> {
        let id = stop.order_id.as_str();
        self.report(id, "EN_ROUTE_TO_RESTAURANT", json!({})).await?;
        self.ride(Corner::of(stop.position)).await?;
        self.report(id, "AT_RESTAURANT", json!({})).await?;
        let order = loop {
            let order = self.person.look_at(id).await?;
            match order.status.as_str() {
                "ACCEPTED" | "PREPARING" => self.stand(PING_S).await?,
                "READY_FOR_PICKUP" | "ASSIGNED" | "EN_ROUTE_TO_RESTAURANT" | "AT_RESTAURANT" => break order,
                // Cancelled, or picked up before a crash: the route knows.
                _ => return Ok(()),
            }
        };
        self.stand(HANDOVER_S).await?;
        let Some(staff) = self.city.cast.staff_of(&order.merchant_id) else { return Ok(()) };
        let code = staff.pickup_code(id).await?;
        self.person.report(id, "PICKED_UP", json!({ "code": code })).await.map(drop)
    }

    async fn bring(&mut self, stop: &Stop) -> Result<(), CallError> {
        let id = stop.order_id.as_str();
        self.report(id, "EN_ROUTE_TO_CUSTOMER", json!({})).await?;
        self.ride(Corner::of(stop.position)).await?;
        self.report(id, "AT_CUSTOMER", json!({})).await?;
        self.stand(HANDOVER_S).await?;
        let order: Order = self.person.look_at(id).await?;
        let Some(customer) = self.city.cast.customer(&order.customer_id) else { return Ok(()) };
        let mut proof = json!({ "code": customer.delivery_code(id).await? });
        if let Some(due) = &order.cash_due {
            proof["cash_collected"] = json!(due);
        }
        self.person.report(id, "DELIVERED", proof).await.map(drop)
    }

    /// A step that may have been taken already, before a crash.
    async fn report(&self, id: &str, status: &str, more: Value) -> Result<(), CallError> {
        match self.person.report(id, status, more).await {
            Err(error) if error.code() == Some("invalid_transition") => Ok(()),
            reported => reported.map(drop),
        }
    }

    async fn ride(&mut self, to: Corner) -> Result<(), CallError> {
        let (from, begun) = (self.at, self.city.pace.now());
        let way_m = from.way_m(to);
        loop {
            let gone_m = self.city.pace.now().ms_since(begun) as f64 / 1e3 * RIDE_MPS;
            self.at = from.on_the_way(to, gone_m.min(way_m));
            self.ping().await?;
            if gone_m >= way_m {
                return Ok(());
            }
            self.city.pace.sleep(PING_S.min((way_m - gone_m) / RIDE_MPS)).await;
        }
    }

    async fn stand(&self, seconds: f64) -> Result<(), CallError> {
        self.city.pace.sleep(seconds).await;
        self.ping().await
    }

    async fn ping(&self) -> Result<(), CallError> {
        let at = self.at.on_globe();
        let body = json!({ "pings": [{ "lat": at.lat, "lon": at.lon, "at": self.city.pace.now().to_string(), "accuracy_m": 8.0 }] });
        self.person.post::<PingsTaken>("/v1/couriers/me/pings", &body).await.map(drop)
    }
}
