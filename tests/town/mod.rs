//! A town to try the catalog and the search in: the real engine, policies and routes, called without a socket.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use medina::city::search::Search;
use medina::city::{catalog, cities, media, search};
use medina::edge::{Authenticate, Gate, Unauthenticated, layers};
use medina::engine::{Caller, Engine, EngineOptions, Event, Fault, Question, Resource, UserId, Wiring};
use medina::people::People;
use medina::people::users::{self, NewUser, Role};
use serde_json::{Value, json};
use storage::{ManualClock, Options, Timestamp, View};
use tower::ServiceExt;

/// Saturday, 2026-11-21, noon in Accra.
pub const NOON: &str = "2026-11-21T12:00:00Z";

/// Its bearer tokens are the users' ids.
struct ByName;

impl Authenticate for ByName {
    fn authenticate(&self, token: &str, _: &View) -> Result<Caller, Unauthenticated> {
        token.parse().map(Caller::user).map_err(|_| Unauthenticated("not a user"))
    }
}

/// Names and topics of events.
type Heard = Arc<Mutex<Vec<(String, Vec<String>)>>>;

/// A running town; its data are the caller's.
pub struct Town {
    pub engine: Engine,
    pub clock: ManualClock,
    pub search: Arc<Search>,
    /// The catalog's events so far.
    pub events: Heard,
    people: People,
    routes: axum::Router,
}

/// A status, the ETag, and a JSON body.
pub type Answer = (u16, Option<String>, Value);

impl Town {
    pub async fn start(data: &Path) -> Self {
        let people = People::in_memory([7; 32]).unwrap();
        let clock = ManualClock::new(NOON.parse().unwrap());
        let events = Heard::default();
        let mut wiring = Wiring::new();
        let heard = events.clone();
        wiring.on::<catalog::Changed>(move |_, event| {
            heard.lock().unwrap().push((event.name().to_owned(), event.topics()));
            Ok(())
        });
        let options = EngineOptions::new(Options::with_seed([3; 32]), Arc::new(clock.clone()), true);
        let disk = Arc::new(storage::disk::RealDisk);
        let engine = Engine::start(disk, &data.join("store"), options, wiring, people.policies.clone()).unwrap();
        let search = Search::start(&engine, &data.join("search")).unwrap();
        let shelf = Arc::new(media::Shelf::open(&data.join("media")).unwrap());
        let (routes, _) =
            cities::routes().merge(catalog::routes()).merge(search::routes(search.clone())).merge(media::routes(shelf)).split_for_parts();
        let gate = Gate { engine: engine.clone(), authenticate: Arc::new(ByName) };
        let routes = layers::wrap(routes, gate, Arc::default());
        Self { engine, clock, search, events, people, routes }
    }

    /// Ends everything, so that the folder can be opened again.
    pub async fn stop(self) {
        let Self { engine, search, routes, .. } = self;
        drop(routes);
        tokio::task::spawn_blocking(move || {
            engine.stop();
            search.stop();
        })
        .await
        .unwrap();
    }

    /// A new user with a role; its token.
    pub async fn user(&self, role: Role) -> String {
        let keyring = self.people.keyring.clone();
        let made = self.engine.write(&Caller::system("test"), "test.user", move |tx| {
            let id: UserId = users::create(tx, &keyring, NewUser::default())?;
            users::grant_role(tx, id, role).map_err(|refusal| Fault::new(refusal.to_string()))?;
            Ok::<_, Fault>(id)
        });
        made.await.unwrap().value.to_string()
    }

    pub fn pass(&self, seconds: i64) {
        self.clock.advance(u64::try_from(seconds * 1000).unwrap());
    }

    pub fn now(&self) -> Timestamp {
        self.engine.now()
    }

    pub async fn respond(&self, request: Request<Body>) -> Response {
        self.routes.clone().oneshot(request).await.unwrap()
    }

    async fn answer(&self, request: Request<Body>) -> Answer {
        let response = self.respond(request).await;
        let status = response.status().as_u16();
        let etag = response.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
        let body = axum::body::to_bytes(response.into_body(), 1 << 24).await.unwrap();
        (status, etag, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// A read by nobody, which sees everything written before, in the search too.
    pub async fn get(&self, path: &str) -> Answer {
        self.get_as("", path).await
    }

    pub async fn get_as(&self, token: &str, path: &str) -> Answer {
        let position = self.engine.view().position();
        let seq = format!("{}.{}", position.epoch, position.seq);
        self.answer(with_token(Request::get(path), token).header("medina-min-seq", seq).body(Body::empty()).unwrap()).await
    }

    pub async fn send(&self, method: &str, token: &str, path: &str, body: Value) -> Answer {
        self.send_with(method, token, path, &[], body).await
    }

    pub async fn send_with(&self, method: &str, token: &str, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        let mut request = with_token(Request::builder().method(method).uri(path), token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.answer(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// Sends what must succeed; the body that comes back.
    pub async fn made(&self, token: &str, path: &str, body: Value) -> Value {
        let (status, _, made) = self.send("POST", token, path, body.clone()).await;
        assert_eq!(status, StatusCode::CREATED, "{path} {body}: {made}");
        made
    }

    /// A city around `lat`, `lon`.
    pub async fn city(&self, admin: &str, name: &str, lat: f64, lon: f64) -> String {
        let body = json!({ "name": name, "currency": "GHS", "timezone": "Africa/Accra", "center": { "lat": lat, "lon": lon }, "radius_m": 20_000 });
        text(&self.made(admin, "/v1/cities", body).await["id"])
    }

    /// A restaurant in `city`, with more fields.
    pub async fn merchant(&self, token: &str, city: &str, name: &str, lat: f64, lon: f64, more: Value) -> String {
        let mut body = json!({ "city_id": city, "name": name, "kind": "restaurant", "position": { "lat": lat, "lon": lon } });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        text(&self.made(token, "/v1/merchants", body).await["id"])
    }

    /// An item of `merchant` for so many pesewas.
    pub async fn item(&self, token: &str, merchant: &str, name: &str, price: i64) -> String {
        let body = json!({ "name": name, "price": { "amount": price, "currency": "GHS" } });
        text(&self.made(token, &format!("/v1/merchants/{merchant}/items"), body).await["id"])
    }

    /// A commit that has nothing to do with the catalog.
    pub async fn something_else(&self) {
        self.user(Role::Support).await;
    }

    /// May `token` do this, by policy?
    pub fn may(&self, token: &str, action: &'static str, kind: &'static str, id: &str) -> bool {
        let caller = Caller::user(token.parse().unwrap());
        self.engine.authorize(&self.engine.view(), &caller, &Question::new(action, Resource::new(kind, id))).is_ok()
    }
}

fn with_token(request: axum::http::request::Builder, token: &str) -> axum::http::request::Builder {
    if token.is_empty() { request } else { request.header("authorization", format!("Bearer {token}")) }
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// `code` and the first error's `pointer` and `code` of a problem.
pub fn refused(answer: &Answer) -> (u16, String, String) {
    let (status, _, problem) = answer;
    let pointer = problem["errors"][0]["pointer"].as_str().unwrap_or_default();
    (*status, text(&problem["code"]), pointer.to_owned())
}
