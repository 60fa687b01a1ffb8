//! Who takes part: made the first time, found again by name and phone the next.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};

use super::DemoArgs;
use super::chance::Chance;
use super::show::Show;
use super::town::{self, Corner, SIGNS, Sign};
use crate::cli::client::words::{Courier, List, MenuItem, Merchant, Named, Thing};
use crate::cli::client::{CallError, Person, SignIn, Wire};

/// People who sign in at once.
const AT_ONCE: usize = 16;
/// Customers, whatever the number of orders: who ordered before a crash is there after it.
const CUSTOMERS: usize = 48;

/// A merchant and who works there.
pub struct Kitchen {
    pub id: String,
    pub staff: Arc<Person>,
    pub items: Vec<String>,
    pub prep_minutes: u32,
}

/// A customer and where they live.
pub struct Customer {
    pub person: Arc<Person>,
    pub home: Corner,
}

/// A courier and where they begin.
pub struct Rider {
    pub person: Arc<Person>,
    pub home: Corner,
}

/// Everybody.
pub struct Cast {
    pub wire: Arc<Wire>,
    pub admin: Person,
    pub city: String,
    pub merchants: Vec<Kitchen>,
    pub couriers: Vec<Rider>,
    pub customers: Vec<Customer>,
    /// By ids of merchants and users: who shows or tells a code.
    staff: HashMap<String, Arc<Person>>,
    buyers: HashMap<String, Arc<Person>>,
    /// Orders that the city had already.
    pub known_orders: u64,
}

impl Cast {
    /// Makes or finds the city and everybody in it.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn assemble(wire: Arc<Wire>, args: &DemoArgs, email: &str, password: &str, show: &Show) -> Result<Self, CallError> {
        let admin = Person::sign_in(wire.clone(), SignIn::Password { email: email.to_owned(), password: password.to_owned() }).await?;
        let city = find_or_make_city(&admin, args.seed).await?;
        let known: Vec<Merchant> = admin.list(&format!("/v1/merchants?city_id={city}")).await?;
        let riding: Vec<Courier> = admin.list(&format!("/v1/couriers?city_id={city}")).await?;
        // Who had orders in hand before a crash must be on the road after it.
        let couriers = riding.len().max(args.couriers as usize);
        show.assembling(SIGNS.len() + couriers + CUSTOMERS);
        let maker = Maker { wire: &wire, admin: &admin, city: &city, seed: args.seed, show };
        let merchants = many(SIGNS.len(), |i| maker.merchant(i, &known)).await?;
        let couriers = many(couriers, |i| maker.courier(i, &riding)).await?;
        let customers = many(CUSTOMERS, |i| maker.customer(i)).await?;
        let orders: Vec<Thing> = admin.list(&format!("/v1/orders?city_id={city}")).await?;
        let staff = merchants.iter().map(|kitchen| (kitchen.id.clone(), kitchen.staff.clone())).collect();
        let buyers = customers.iter().map(|customer| (customer.person.id.clone(), customer.person.clone())).collect();
        Ok(Self { wire, admin, city, merchants, couriers, customers, staff, buyers, known_orders: orders.len() as u64 })
    }

    /// Who works at this merchant.
    #[must_use]
    pub fn staff_of(&self, merchant: &str) -> Option<&Arc<Person>> {
        self.staff.get(merchant)
    }

    /// The customer with this user id.
    #[must_use]
    pub fn customer(&self, user: &str) -> Option<&Arc<Person>> {
        self.buyers.get(user)
    }
}

async fn many<T, F: Future<Output = Result<T, CallError>>>(count: usize, make: impl Fn(usize) -> F) -> Result<Vec<T>, CallError> {
    stream::iter((0..count).map(make)).buffered(AT_ONCE).try_collect().await
}

async fn find_or_make_city(admin: &Person, seed: u64) -> Result<String, CallError> {
    let name = format!("Accra, demo {seed}");
    let known: Vec<Named> = admin.list("/v1/cities?").await?;
    if let Some(city) = known.into_iter().find(|city| city.name == name) {
        return Ok(city.id);
    }
    let body = json!({
        "name": name, "currency": town::CURRENCY, "timezone": town::TIMEZONE, "center": town::CENTER, "radius_m": town::RADIUS_M,
        // Along a straight line, by bicycle: the server counts a motorbike half as fast again.
        "speed_mps": town::RIDE_MPS / 1.5 / 1.3,
    });
    let city: Thing = admin.post("/v1/cities", &body).await?;
    Ok(city.id)
}

struct Maker<'a> {
    wire: &'a Arc<Wire>,
    admin: &'a Person,
    city: &'a str,
    seed: u64,
    show: &'a Show,
}

impl Maker<'_> {
    async fn person(&self, kind: u32, number: usize) -> Result<Person, CallError> {
        let phone = format!("+23320{:03}{kind}{number:03}", self.seed % 1_000);
        let person = Person::sign_in(self.wire.clone(), SignIn::Phone(phone)).await?;
        self.show.assembled();
        Ok(person)
    }

    async fn merchant(&self, number: usize, known: &[Merchant]) -> Result<Kitchen, CallError> {
        let Sign { name, kind, cuisines, menu, prep_minutes } = &SIGNS[number];
        let staff = self.person(2, number).await?;
        let id = match known.iter().find(|merchant| merchant.name == *name) {
            Some(merchant) => merchant.id.clone(),
            None => {
                let position = Corner::any(&mut Chance::new(self.seed, 200 + number as u64)).on_globe();
                let body = json!({
                    "city_id": self.city, "name": name, "kind": kind, "position": position, "cuisines": cuisines,
                    "prep_minutes": prep_minutes, "address": format!("Stall {}", number + 1),
                });
                self.admin.post::<Thing>("/v1/merchants", &body).await?.id
            }
        };
        let roles = json!({ "roles": ["customer", "merchant"], "merchant_ids": [id] });
        let _: Value = self.admin.put(&format!("/v1/users/{}/roles", staff.id), &roles).await?;
        staff.renew().await?;
        let on_menu: List<MenuItem> = self.wire.get(&format!("/v1/merchants/{id}/menu")).await?;
        let mut items = Vec::new();
        for (dish, price) in *menu {
            items.push(match on_menu.data.iter().find(|item| item.name == *dish) {
                Some(item) => item.id.clone(),
                None => {
                    let body = json!({ "name": dish, "price": { "amount": price, "currency": town::CURRENCY } });
                    staff.post::<Thing>(&format!("/v1/merchants/{id}/items"), &body).await?.id
                }
            });
        }
        Ok(Kitchen { id, staff: Arc::new(staff), items, prep_minutes: *prep_minutes })
    }

    async fn courier(&self, number: usize, riding: &[Courier]) -> Result<Rider, CallError> {
        let person = self.person(3, number).await?;
        if riding.iter().all(|courier| courier.user_id != person.id) {
            let body = json!({
                "user_id": person.id, "city_id": self.city, "vehicle": "motorbike", "capacity": 2, "plate": format!("GR {}-26", 1_000 + number),
            });
            let _: Thing = self.admin.post("/v1/couriers", &body).await?;
            person.renew().await?;
        }
        Ok(Rider { person: Arc::new(person), home: Corner::any(&mut Chance::new(self.seed, 300_000 + number as u64)) })
    }

    async fn customer(&self, number: usize) -> Result<Customer, CallError> {
        let person = Arc::new(self.person(1, number).await?);
        Ok(Customer { person, home: Corner::any(&mut Chance::new(self.seed, 100_000 + number as u64)) })
    }
}
