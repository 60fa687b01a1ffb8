//! A stranger's client of the public API, and the small town that the suites over the wire trade in.
#![allow(dead_code)] // each suite uses its part

use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use storage::{Id, Kind};

/// The way to one server.
#[derive(Clone)]
pub struct Wire {
    pub http: Client,
    pub base: String,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a visible header"))
    }

    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// `epoch` and `seq` of a write.
    pub fn seq(&self) -> (u64, u64) {
        let text = self.header("medina-seq").unwrap_or_else(|| panic!("a write says its place: {self:?}"));
        let (epoch, seq) = text.split_once('.').expect("epoch.seq");
        (epoch.parse().expect("a number"), seq.parse().expect("a number"))
    }

    pub fn text(&self, name: &str) -> String {
        self.body[name].as_str().unwrap_or_else(|| panic!("no {name} in {self:?}")).to_owned()
    }

    /// The same answer, if it has this status.
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

impl Wire {
    pub fn to(base: &str) -> Self {
        medina::crypto::install();
        let http = Client::builder().no_proxy().build().expect("a client");
        Self { http, base: base.to_owned() }
    }

    /// A request as its first line says: `GET /v1/me`.
    pub fn ask(&self, line: &str) -> RequestBuilder {
        let (method, path) = line.split_once(' ').expect("a method and a path");
        self.http.request(method.parse::<Method>().expect("a method"), format!("{}{path}", self.base))
    }

    pub async fn get(&self, token: &str, path: &str) -> Answer {
        send(self.ask(&format!("GET {path}")).bearer_auth(token)).await
    }

    /// A write with a key of its own.
    pub async fn write(&self, token: &str, line: &str, body: &Value) -> Answer {
        send(self.ask(line).bearer_auth(token).header("idempotency-key", fresh_key()).json(body)).await
    }
}

pub fn fresh_key() -> String {
    static KEYS: AtomicU64 = AtomicU64::new(0);
    format!("key-{}", KEYS.fetch_add(1, Ordering::Relaxed))
}

pub async fn try_send(request: RequestBuilder) -> Result<Answer, reqwest::Error> {
    let answer = request.send().await?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let text = answer.text().await?;
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Ok(Answer { status, headers, text, body })
}

pub async fn send(request: RequestBuilder) -> Answer {
    try_send(request).await.expect("the server answers")
}

struct CartTag;
impl Kind for CartTag {
    const PREFIX: &'static str = "cart";
}

/// Clients make the ids of their carts.
pub fn fresh_cart() -> String {
    Id::<CartTag>::from_u128(uuid::Uuid::now_v7().as_u128()).to_string()
}

/// Somebody who signed in.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: String,
    pub token: String,
    pub refresh: String,
}

fn person(session: &Answer) -> Person {
    let id = session.body["user"]["id"].as_str().expect("a user").to_owned();
    Person { id, token: session.text("access_token"), refresh: session.text("refresh_token") }
}

pub const KITCHEN: (f64, f64) = (5.6, -0.19);
pub const DOOR: (f64, f64) = (5.607, -0.185);

/// A city with one kitchen and one dish.
#[derive(Clone)]
pub struct Town {
    pub wire: Wire,
    pub admin: Person,
    pub staff: Person,
    pub city: String,
    pub merchant: String,
    pub item: String,
}

impl Town {
    /// Founds it over the wire, as the administrator of a fresh sandbox.
    pub async fn found(wire: Wire, email: &str, password: &str) -> Self {
        let login = json!({ "email": email, "password": password });
        let admin = person(&send(wire.ask("POST /v1/auth/login").json(&login)).await.is(200));
        let city = json!({ "name": "Accra", "currency": "GHS", "timezone": "Africa/Accra", "center": at(KITCHEN), "radius_m": 20_000 });
        let city = wire.write(&admin.token, "POST /v1/cities", &city).await.is(201).text("id");
        let kitchen = json!({ "city_id": city, "name": "Mama's", "kind": "restaurant", "position": at(KITCHEN) });
        let merchant = wire.write(&admin.token, "POST /v1/merchants", &kitchen).await.is(201).text("id");
        let dish = json!({ "name": "Jollof", "price": { "amount": 4500, "currency": "GHS" } });
        let item = wire.write(&admin.token, &format!("POST /v1/merchants/{merchant}/items"), &dish).await.is(201).text("id");
        let mut town = Self { wire, staff: admin.clone(), admin, city, merchant, item };
        let staff = town.customer("+233200000100").await;
        let roles = json!({ "roles": ["customer", "merchant"], "merchant_ids": [town.merchant] });
        town.wire.write(&town.admin.token, &format!("PUT /v1/users/{}/roles", staff.id), &roles).await.is(200);
        town.staff = town.renewed(&staff).await;
        town
    }

    /// A new customer.
    pub async fn customer(&self, phone: &str) -> Person {
        send(self.wire.ask("POST /v1/auth/otp/request").json(&json!({ "phone": phone }))).await.is(200);
        let proof = json!({ "phone": phone, "otp": "000000", "device": { "id": phone, "name": "test", "platform": "cli" } });
        person(&send(self.wire.ask("POST /v1/auth/otp/verify").json(&proof)).await.is(200))
    }

    /// The same person with a token that knows their new roles.
    pub async fn renewed(&self, who: &Person) -> Person {
        person(&send(self.wire.ask("POST /v1/auth/refresh").json(&json!({ "refresh_token": who.refresh }))).await.is(200))
    }

    /// A courier, online at the kitchen; its id and the person.
    pub async fn courier(&self, phone: &str) -> (String, Person) {
        let who = self.customer(phone).await;
        let body = json!({ "user_id": who.id, "city_id": self.city, "vehicle": "motorbike", "capacity": 4 });
        let id = self.wire.write(&self.admin.token, "POST /v1/couriers", &body).await.is(201).text("id");
        let who = self.renewed(&who).await;
        let online = json!({ "status": "online", "position": at(KITCHEN) });
        self.wire.write(&who.token, "PUT /v1/couriers/me/presence", &online).await.is(200);
        (id, who)
    }

    /// One dish to the door; the quote's id.
    pub async fn quote(&self, who: &Person) -> String {
        let cart = fresh_cart();
        let lines = json!({ "merchant_id": self.merchant, "items": [{ "item_id": self.item, "quantity": 1 }] });
        self.wire.write(&who.token, &format!("PUT /v1/carts/{cart}"), &lines).await.is(200);
        let asked = json!({ "cart_id": cart, "dropoff": at(DOOR), "address": { "text": "Blue gate" } });
        self.wire.write(&who.token, "POST /v1/quotes", &asked).await.is(201).text("id")
    }

    /// A cash order of one dish.
    pub async fn order(&self, who: &Person) -> Answer {
        let quote = self.quote(who).await;
        self.wire.write(&who.token, "POST /v1/orders", &json!({ "quote_id": quote, "payment_method": "cash" })).await.is(201)
    }
}

pub fn at((lat, lon): (f64, f64)) -> Value {
    json!({ "lat": lat, "lon": lon })
}
