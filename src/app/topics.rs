//! Who may follow what on `/v1/live`, and what a client may say there.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use storage::View;
use tokio::sync::broadcast::error::RecvError;

use crate::city::catalog::MerchantId;
use crate::city::cities::CityId;
use crate::city::couriers::{self, CourierId};
use crate::city::dispatch;
use crate::city::tracking::{Received, Tracking, http as pings};
use crate::edge::live::{Hub, Topics};
use crate::edge::{P, Problem, request};
use crate::engine::{Caller, Engine, Question, Resource};
use crate::trade::orders::{OrderId, parts, record::ORDERS};

/// The product's topics.
pub struct CityTopics {
    tracking: Arc<Tracking>,
}

impl CityTopics {
    /// Over the live positions.
    #[must_use]
    pub fn new(tracking: Arc<Tracking>) -> Self {
        Self { tracking }
    }
}

fn own_courier(view: &View, caller: &Caller) -> Result<(CourierId, couriers::Courier), Problem> {
    caller.user_id().and_then(|user| couriers::of_user(view, user)).ok_or_else(Problem::not_found)
}

impl Topics for CityTopics {
    fn resolve(&self, view: &View, caller: &Caller, topic: &str) -> Result<(String, Question), Problem> {
        let (kind, id) = topic.split_once(':').ok_or_else(Problem::not_found)?;
        match kind {
            "order" => {
                let id: OrderId = id.parse().map_err(|_| Problem::not_found())?;
                let order = ORDERS.get(view, &id).ok_or_else(Problem::not_found)?;
                Ok((format!("order:{id}"), Question::new("orders.read", parts::resource(&order))))
            }
            "merchant" => {
                let id: MerchantId = id.parse().map_err(|_| Problem::not_found())?;
                let merchant = crate::city::catalog::merchant(view, id).ok_or_else(Problem::not_found)?;
                let resource = Resource::new("Merchant", id).with("id", id.to_string()).with("city", merchant.city.to_string());
                Ok((format!("merchant:{id}"), Question::new("merchants.staff", resource)))
            }
            "courier" => {
                let (own, courier) = own_courier(view, caller)?;
                if id != "me" && id != own.to_string() {
                    return Err(Problem::not_found());
                }
                Ok((format!("courier:{own}"), couriers::commands::question("couriers.presence", own, &courier)))
            }
            "city" => {
                let id: CityId = id.parse().map_err(|_| Problem::not_found())?;
                Ok((format!("city:{id}"), Question::new("cities.watch", Resource::new("City", id))))
            }
            _ => Err(Problem::not_found()),
        }
    }

    fn message<'a>(&'a self, engine: &'a Engine, caller: &'a Caller, mut message: Value) -> BoxFuture<'a, Result<Value, Problem>> {
        async move {
            if message["type"] != "pings" {
                return Err(Problem::invalid("/type", "not_allowed", "say auth, subscribe, unsubscribe or pings"));
            }
            if let Some(members) = message.as_object_mut() {
                members.remove("type");
            }
            let body: pings::PingsBody = request::parse(message.to_string().as_bytes())?;
            let pings = pings::pings(&body)?;
            let view = engine.view();
            let (id, courier) = own_courier(&view, caller)?;
            engine.authorize(&view, caller, &couriers::commands::question("couriers.ping", id, &courier))?;
            let counted = self.tracking.accept_pings(&view, id, courier.vehicle, &pings, Received::now(engine.clock()));
            let mut answer = json!(pings::AcceptedView::from(counted));
            answer["type"] = json!("pings");
            Ok(answer)
        }
        .boxed()
    }

    fn followed(&self, engine: &Engine, topic: &str) {
        let Some(courier) = topic.strip_prefix("courier:").and_then(|id| id.parse().ok()) else { return };
        let view = engine.view();
        let offers = dispatch::views::live_offers(&*view, courier, engine.now());
        let unseen: Vec<_> = offers.iter().filter(|(_, offer)| offer.seen_at.is_none()).map(|(id, _)| *id).collect();
        let engine = engine.clone();
        tokio::spawn(async move { dispatch::desk::seen(&engine, unseen).await });
    }
}

/// Hands couriers' moves on to whoever follows their orders.
pub fn tell_positions(hub: &Arc<Hub>, tracking: &Tracking, engine: &Engine) {
    let (hub, mut moves, engine) = (hub.clone(), tracking.feed(), engine.downgrade());
    tokio::spawn(async move {
        loop {
            let moved = match moves.recv().await {
                Ok(moved) => moved,
                // Positions are not kept: who is behind hears the next one.
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            };
            let Some(engine) = engine.upgrade() else { return };
            for subject in moved.subjects {
                let id = OrderId::from_u128(subject);
                let topic = format!("order:{id}");
                if !hub.is_followed(&topic) {
                    continue;
                }
                let eta = ORDERS.get(&*engine.view(), &id).and_then(|order| order.eta).map(|eta| eta.to_string());
                hub.publish(&topic, || {
                    json!({
                        "type": "position",
                        "order_id": id.to_string(),
                        "position": P::from(moved.live.point),
                        "at": moved.live.at.to_string(),
                        "eta": eta,
                    })
                });
            }
        }
    });
}
