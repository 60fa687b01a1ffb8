//! A town with couriers in a real engine: the product's policies, routes and dispatcher under the test clock, called without a socket. Jobs are asked
//! for directly, as an order would.

use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request as HttpRequest;
use medina::city::cities::model::{CITIES, SETTINGS};
use medina::city::cities::{City, CityId, Settings};
use medina::city::couriers::{self, CourierId};
use medina::city::dispatch::policy::{Immediate, Policy};
use medina::city::dispatch::{Described, Desk, Dispatcher, Job, Refusal, Request, Services, jobs};
use medina::city::tracking::{self, Tracking};
use medina::city::{dispatch, place::Place, shifts};
use medina::edge::{Authenticate, Gate, Unauthenticated, layers};
use medina::engine::{Caller, Engine, EngineOptions, Fault, Question, Resource, Tx, UserId, Wiring, WriteError};
use medina::money::Money;
use medina::people::People;
use medina::people::users::{self, NewUser, Role};
use serde_json::{Value, json};
use storage::disk::RealDisk;
use storage::{ManualClock, Options, Timestamp, View};
use tower::ServiceExt;

pub const NOON: Timestamp = Timestamp::from_millis(1_795_262_400_000);

/// Its bearer tokens are the users' ids.
struct ByName;

impl Authenticate for ByName {
    fn authenticate(&self, token: &str, _: &View) -> Result<Caller, Unauthenticated> {
        token.parse().map(Caller::user).map_err(|_| Unauthenticated("not a user"))
    }
}

pub struct Town {
    pub engine: Engine,
    pub tracking: Arc<Tracking>,
    pub admin: String,
    pub city: CityId,
    pub dispatcher: Arc<Dispatcher>,
    /// The machine's clock; the engine's stands still unless a test moves it.
    pub machine: ManualClock,
    people: People,
    routes: axum::Router,
}

/// A courier and how they sign in.
#[derive(Clone, Debug)]
pub struct Rider {
    pub id: CourierId,
    pub token: String,
}

/// Metres north of the town's centre, as a point of the wire.
pub fn north(metres: f64) -> Value {
    json!({ "lat": 5.6 + metres / 111_195.0, "lon": -0.2 })
}

pub fn place(metres: f64) -> Place {
    index::geo::Point::new(5.6 + metres / 111_195.0, -0.2).unwrap().into()
}

impl Town {
    pub async fn start(data: &Path) -> Self {
        Self::open(data, true, Arc::new(Immediate)).await
    }

    /// With another way to choose.
    pub async fn planned_by(data: &Path, policy: Arc<dyn Policy>) -> Self {
        Self::open(data, true, policy).await
    }

    /// The same folder again.
    pub async fn again(data: &Path) -> Self {
        Self::open(data, false, Arc::new(Immediate)).await
    }

    async fn open(data: &Path, build: bool, policy: Arc<dyn Policy>) -> Self {
        let people = People::in_memory([9; 32]).unwrap();
        let mut wiring = Wiring::new();
        dispatch::wire(&mut wiring);
        let storage = Options { segment_bytes: 1 << 20, cache_bytes: 4 << 20, ..Options::with_seed([u8::from(build); 32]) };
        let machine = ManualClock::new(NOON);
        let options = EngineOptions::new(storage, Arc::new(machine.clone()), true);
        let engine = Engine::start(Arc::new(RealDisk), &data.join("state"), options, wiring, people.policies.clone()).unwrap();
        let city = CityId::from_u128(1);
        if build {
            engine.write(&Caller::system("test"), "build", move |tx| found(tx, city)).await.unwrap();
        }
        let tracking = Arc::new(Tracking::default());
        let desk = Arc::new(Desk::default());
        let dispatcher = Dispatcher::new(tracking.clone(), desk.clone(), policy);
        dispatcher.recover(&engine).await.unwrap();
        engine.background(dispatcher.clone());
        tokio::spawn(dispatcher.clone().run(engine.clone()));
        let describe = Arc::new(|_: &View, subject: u128| Some(Described { number: format!("A{subject}"), ..Described::default() }));
        let services = Services { tracking: tracking.clone(), desk, describe };
        let (routes, _) = couriers::routes(tracking.clone())
            .merge(tracking::routes(tracking.clone()))
            .merge(shifts::routes())
            .merge(dispatch::routes(services))
            .split_for_parts();
        let gate = Gate { engine: engine.clone(), authenticate: Arc::new(ByName) };
        let routes = layers::wrap(routes, gate, Arc::default());
        let mut town = Self { engine, tracking, admin: String::new(), city, dispatcher, machine, people, routes };
        if build {
            town.admin = town.user(Role::Admin).await;
            // From here on time moves only when a test says so.
            town.pass(0).await;
        }
        town
    }

    pub async fn stop(self) {
        let engine = self.engine.clone();
        drop(self);
        tokio::task::spawn_blocking(move || engine.stop()).await.unwrap();
    }

    pub async fn user(&self, role: Role) -> String {
        let keyring = self.people.keyring.clone();
        let made = self.engine.write(&Caller::system("test"), "test.user", move |tx| {
            let id: UserId = users::create(tx, &keyring, NewUser::default())?;
            users::grant_role(tx, id, role).map_err(|refusal| Fault::new(refusal.to_string()))?;
            Ok::<_, Fault>(id)
        });
        made.await.unwrap().value.to_string()
    }

    /// A courier who has not begun to work.
    pub async fn rider(&self, capacity: u32) -> Rider {
        let token = self.user(Role::Customer).await;
        let body = json!({ "user_id": token, "city_id": self.city.to_string(), "vehicle": "bike", "capacity": capacity });
        let (status, made) = self.send("POST", &self.admin, "/v1/couriers", body).await;
        assert_eq!((status, &made["status"]), (201, &json!("active")), "{made}");
        Rider { id: made["id"].as_str().unwrap().parse().unwrap(), token }
    }

    pub async fn report(&self, rider: &Rider, status: &str, metres: Option<f64>) -> (u16, Value) {
        let body = json!({ "status": status, "position": metres.map(north) });
        self.send("PUT", &rider.token, "/v1/couriers/me/presence", body).await
    }

    /// A courier who works, so many metres north of the counter.
    pub async fn online(&self, metres: f64) -> Rider {
        let rider = self.rider(3).await;
        let (status, shown) = self.report(&rider, "online", Some(metres)).await;
        assert_eq!((status, &shown["status"]), (200, &json!("online")), "{shown}");
        rider
    }

    /// What somebody wants brought from the counter in the middle, ready in so many seconds.
    pub fn wish(&self, subject: u128, ready_s: i64) -> Request {
        Request {
            subject,
            city: self.city,
            merchant: 7,
            pickup: place(0.0),
            pickup_name: "Auntie Muni".to_owned(),
            dropoff: place(-1_000.0),
            ready_at: self.engine.now().plus_s(ready_s),
            due_at: None,
            size: 1,
            items_count: 2,
            pay: Money::new(900, "GHS".parse().unwrap()),
            cash_due: None,
        }
    }

    pub async fn want(&self, subject: u128, ready_s: i64) {
        let wish = self.wish(subject, ready_s);
        self.run(move |tx| dispatch::request(tx, wish).map(drop)).await.unwrap();
        self.settle().await;
    }

    pub async fn run<T: Send + 'static>(
        &self,
        command: impl FnOnce(&mut Tx<'_, '_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let done = match self.engine.write(&Caller::system("test"), "test", command).await {
            Ok(done) => Ok(done.value),
            Err(WriteError::Refused(refusal)) => Err(refusal),
            Err(WriteError::Fault(fault)) => panic!("{fault}"),
        };
        self.settle().await;
        done
    }

    /// Lets time pass; afterwards the dispatcher has followed.
    pub async fn pass(&self, seconds: i64) {
        let question = Question::new("sandbox.clock", Resource::new("Sandbox", "clock"));
        self.engine.advance(&Caller::system("test"), question, seconds * 1000, Some(true)).await.unwrap();
    }

    pub async fn settle(&self) {
        self.pass(0).await;
    }

    pub fn job(&self, subject: u128) -> Job {
        jobs::of_subject(&*self.engine.view(), subject).expect("it was asked for").1
    }

    pub async fn send(&self, method: &str, token: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = HttpRequest::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
        let response = self.routes.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1 << 24).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    pub async fn get(&self, token: &str, path: &str) -> (u16, Value) {
        self.send("GET", token, path, Value::Null).await
    }

    /// The ids of what a courier is being asked; asking marks it as seen.
    pub async fn offers(&self, rider: &Rider) -> Vec<String> {
        let (status, shown) = self.get(&rider.token, "/v1/couriers/me/offers").await;
        assert_eq!(status, 200, "{shown}");
        self.settle().await;
        shown["data"].as_array().unwrap().iter().map(|offer| offer["id"].as_str().unwrap().to_owned()).collect()
    }

    pub async fn answer(&self, rider: &Rider, offer: &str, word: &str) -> (u16, Value) {
        let answered = self.send("POST", &rider.token, &format!("/v1/offers/{offer}/{word}"), Value::Null).await;
        self.settle().await;
        answered
    }

    /// The status and the code of a refusal.
    pub async fn refusal(&self, rider: &Rider, offer: &str, word: &str) -> (u16, String) {
        let (status, body) = self.answer(rider, offer, word).await;
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    }
}

fn found(tx: &mut Tx<'_, '_>, id: CityId) -> Result<(), Fault> {
    let currency = "GHS".parse().unwrap();
    let now = tx.now();
    let city = City {
        name: "Accra".to_owned(),
        currency,
        timezone: "Africa/Accra".to_owned(),
        center: place(0.0),
        radius_m: 10_000,
        speed_mps: 5.0,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    CITIES.put(tx, &id, &city);
    SETTINGS.put(tx, &id, &Settings::for_currency(currency));
    Ok(())
}
