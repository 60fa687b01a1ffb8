//! Everybody who takes part in the day, signed in: the city, its restaurants with their staff, couriers, customers.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};

use super::plane::{Plane, middle};
use crate::cli::client::words::{P, Thing};
use crate::cli::client::{CallError, Person, SignIn, Wire};
use crate::mdrp::{Instance, Place};

/// How many people arrive at once.
const AT_ONCE: usize = 16;
/// Atlanta, where the days were recorded (their coordinates are shifted).
const CENTER: P = P { lat: 33.75, lon: -84.39 };
/// Beyond the outermost place of the day.
const MARGIN_M: f64 = 5_000.0;
/// A dish's price, in cents.
const DISH_CENTS: i64 = 1_500;

/// A restaurant: whose staff accepts orders for its one dish.
pub struct Restaurant {
    pub staff: Person,
    pub item: String,
    pub id: String,
}

/// A courier's account.
pub struct Account {
    pub person: Person,
    pub courier: String,
}

/// Who takes part. The lists have the instance's order.
pub struct Stage {
    pub wire: Arc<Wire>,
    pub admin: Person,
    pub city: String,
    pub plane: Plane,
    pub restaurants: Vec<Restaurant>,
    pub couriers: Vec<Account>,
    pub customers: Vec<Person>,
}

impl Stage {
    /// Makes the city and signs everybody in.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn set(instance: &Instance, wire: Arc<Wire>, email: &str, password: &str, capacity: u32) -> Result<Self, CallError> {
        let admin = Person::sign_in(wire.clone(), SignIn::Password { email: email.to_owned(), password: password.to_owned() }).await?;
        let places = (0..instance.orders.len())
            .map(Place::Order)
            .chain((0..instance.couriers.len()).map(Place::Courier))
            .chain((0..instance.restaurants.len()).map(Place::Restaurant));
        let (origin, reach_m) = middle(places.map(|place| instance.point(place)));
        let plane = Plane { center: CENTER, origin };
        let radius_m = (reach_m + MARGIN_M).ceil() as u32;
        let city: Thing = admin
            .post(
                "/v1/cities",
                &json!({
                    "name": format!("Replay of {}", instance.name), "currency": "USD", "timezone": "America/New_York",
                    "center": CENTER, "radius_m": radius_m, "speed_mps": instance.parameters.meters_per_minute / 60.0,
                }),
            )
            .await?;
        let _: Value = admin.put(&format!("/v1/cities/{}/settings", city.id), &json!({ "offer_seconds": 30 })).await?;
        let cast = Cast { wire: &wire, admin: &admin, city: &city.id, plane };
        let restaurants = many(instance.restaurants.len(), |i| cast.restaurant(i, instance)).await?;
        let couriers = many(instance.couriers.len(), |i| cast.courier(i, capacity)).await?;
        let customers = many(instance.orders.len(), |i| cast.person(1, i)).await?;
        Ok(Self { wire, city: city.id, plane, restaurants, couriers, customers, admin })
    }
}

/// Runs `make` for 0, 1, … concurrently; the results in order.
async fn many<T, F: Future<Output = Result<T, CallError>>>(count: usize, make: impl Fn(usize) -> F) -> Result<Vec<T>, CallError> {
    stream::iter((0..count).map(make)).buffered(AT_ONCE).try_collect().await
}

struct Cast<'a> {
    wire: &'a Arc<Wire>,
    admin: &'a Person,
    city: &'a str,
    plane: Plane,
}

impl Cast<'_> {
    async fn person(&self, kind: u32, number: usize) -> Result<Person, CallError> {
        Person::sign_in(self.wire.clone(), SignIn::Phone(format!("+140455{kind}{number:04}"))).await
    }

    async fn restaurant(&self, number: usize, instance: &Instance) -> Result<Restaurant, CallError> {
        let staff = self.person(2, number).await?;
        let restaurant = &instance.restaurants[number];
        let position = self.plane.on_globe(restaurant.at);
        let body =
            json!({ "city_id": self.city, "name": format!("Restaurant {}", restaurant.id), "kind": "restaurant", "position": position });
        let merchant: Thing = self.admin.post("/v1/merchants", &body).await?;
        let roles = json!({ "roles": ["customer", "merchant"], "merchant_ids": [merchant.id] });
        let _: Value = self.admin.put(&format!("/v1/users/{}/roles", staff.id), &roles).await?;
        staff.renew().await?;
        let dish = json!({ "name": "Dish of the day", "price": { "amount": DISH_CENTS, "currency": "USD" } });
        let item: Thing = staff.post(&format!("/v1/merchants/{}/items", merchant.id), &dish).await?;
        Ok(Restaurant { staff, item: item.id, id: merchant.id })
    }

    async fn courier(&self, number: usize, capacity: u32) -> Result<Account, CallError> {
        let person = self.person(3, number).await?;
        let body = json!({ "user_id": person.id, "city_id": self.city, "vehicle": "bike", "capacity": capacity });
        let courier: Thing = self.admin.post("/v1/couriers", &body).await?;
        person.renew().await?;
        Ok(Account { person, courier: courier.id })
    }
}
