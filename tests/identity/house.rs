//! People's part of the appliance alone: engine, policies, keys and routes over a temporary folder, with a clock that the test holds.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request};
use medina::edge::gate::Gate;
use medina::edge::layers::{Traffic, wrap};
use medina::engine::{Caller, Engine, EngineOptions, UserId, Wiring};
use medina::people::identity::hashing;
use medina::people::{People, admin};
use serde_json::{Value, json};
use storage::disk::RealDisk;
use storage::{ManualClock, Options, Timestamp};
use tower::ServiceExt;

/// An answer, whatever it is.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    /// The status and the problem's code.
    pub fn problem(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }

    pub fn text(&self, field: &str) -> String {
        self.body[field].as_str().unwrap_or_else(|| panic!("no text `{field}` in {}", self.body)).to_owned()
    }
}

pub struct House {
    pub engine: Engine,
    pub people: People,
    pub clock: Arc<ManualClock>,
    pub folder: tempfile::TempDir,
    router: Router,
}

impl House {
    pub fn sandbox() -> Self {
        Self::open(true, false)
    }

    pub fn production() -> Self {
        Self::open(false, true)
    }

    /// Where nothing sends text messages.
    pub fn mute() -> Self {
        Self::open(false, false)
    }

    fn open(sandbox: bool, sends_sms: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let people = People { sends_sms, ..People::open(folder.path()).expect("people") };
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_800_000_000_000)));
        let options = EngineOptions::new(Options::with_seed([7; 32]), clock.clone(), sandbox);
        let engine = Engine::start(Arc::new(RealDisk), &folder.path().join("data"), options, Wiring::new(), people.policies.clone())
            .expect("an engine");
        let (routes, _) = medina::people::http::routes(people.clone()).split_for_parts();
        let gate = Gate { engine: engine.clone(), authenticate: people.tokens.clone() };
        let router = wrap(routes, gate, Arc::new(Traffic::default()));
        Self { engine, people, clock, folder, router }
    }

    pub async fn call(&self, method: &str, path: &str, token: Option<&str>, body: Value) -> Answer {
        self.call_with(method, path, token, body, &[]).await
    }

    pub async fn call_with(&self, method: &str, path: &str, token: Option<&str>, body: Value, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let mut request = request.body(body).expect("a request");
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4000))));
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON") };
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, None, body).await
    }

    pub async fn me(&self, token: &str) -> Answer {
        self.call("GET", "/v1/me", Some(token), Value::Null).await
    }

    pub async fn ask_code(&self, phone: &str) -> Answer {
        self.post("/v1/auth/otp/request", json!({ "phone": phone })).await
    }

    pub async fn try_code(&self, phone: &str, otp: &str) -> Answer {
        self.post(
            "/v1/auth/otp/verify",
            json!({ "phone": phone, "otp": otp, "device": { "id": "d1", "name": "Pixel", "platform": "android" } }),
        )
        .await
    }

    /// Signs in by phone, in a sandbox.
    pub async fn sign_in(&self, phone: &str) -> Answer {
        assert_eq!(self.ask_code(phone).await.status, 200);
        let answer = self.try_code(phone, "000000").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer
    }

    pub async fn refresh(&self, refresh_token: &str) -> Answer {
        self.post("/v1/auth/refresh", json!({ "refresh_token": refresh_token })).await
    }

    /// An administrator as the command line makes one.
    pub async fn make_admin(&self, email: &str, password: &str, must_change: bool) -> UserId {
        let (keyring, phc) = (self.people.keyring.clone(), hashing::hash(password).expect("hashed"));
        let email = email.parse().expect("an address");
        let done = self
            .engine
            .write(&Caller::system("cli"), "admin.create", move |tx| admin::create(tx, &keyring, &email, phc, must_change))
            .await;
        done.expect("made").value
    }

    pub async fn log_in(&self, email: &str, password: &str) -> Answer {
        self.post("/v1/auth/login", json!({ "email": email, "password": password })).await
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.engine.stop();
    }
}
