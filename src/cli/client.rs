//! A client of the public API, as a stranger would write one: it knows addresses, JSON and nothing of what is behind them.
//!
//! [`Wire`] is the way to one server: it repeats what may be repeated and counts. [`Person`] is somebody who signed in over it. [`words`] is the
//! JSON of the contract, as far as the simulated people read it; [`errands`] are the few things that all of them do.

pub mod errands;
pub mod words;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::engine::stats::Histogram;
use words::Session;

/// How often one call is sent before its failure is told.
const TRIES_MAX: u32 = 8;
/// Pauses between tries where the server names none.
const PAUSES: [Duration; 4] = [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(500), Duration::from_secs(1)];
/// A `Retry-After` that is longer is cut: a server that says an hour is asked again all the same, and the tries run out.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);
/// Longer than the longest poll.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a call did not do what it was for. Its text says which call.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server refused, with a problem document.
    #[error("{what}: {status} {code}: {detail}")]
    Refused { what: String, status: u16, code: String, detail: String, problem: Box<Value> },
    /// No answer, after all tries.
    #[error("{what}: {source}")]
    Unreachable { what: String, source: reqwest::Error },
    /// An answer that is not what the contract says.
    #[error("{what}: the answer is not what the contract says: {detail}")]
    Unexpected { what: String, detail: String },
}

impl CallError {
    /// The problem's `code`, if it was a refusal.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::Unreachable { .. } | Self::Unexpected { .. } => None,
        }
    }

    /// The HTTP status, if it was a refusal.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Unreachable { .. } | Self::Unexpected { .. } => None,
        }
    }

    /// What was asked is no longer so: the thing moved on, or is gone. Who asked looks again.
    #[must_use]
    pub fn is_overtaken(&self) -> bool {
        matches!(self.status(), Some(404 | 409 | 412))
    }
}

/// The way to one server.
pub struct Wire {
    http: reqwest::Client,
    base: String,
    requests: AtomicU64,
    latency: Histogram,
    seq: AtomicU64,
    begun: Instant,
}

impl Wire {
    /// A way to the server at `base` (`http://host:port`).
    ///
    /// # Errors
    /// What the HTTP library says if it cannot start.
    pub fn new(base: &str) -> Result<Arc<Self>, reqwest::Error> {
        // Whoever installed a provider first wins; it is the same one everywhere in this binary.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).pool_max_idle_per_host(256).build()?;
        let base = base.trim_end_matches('/').to_owned();
        let (requests, seq) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Arc::new(Self { http, base, requests, latency: Histogram::default(), seq, begun: Instant::now() }))
    }

    /// Requests that were answered.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Time since the first moment of this wire.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Answered requests per second so far.
    #[must_use]
    pub fn requests_per_s(&self) -> f64 {
        self.requests() as f64 / self.elapsed().as_secs_f64().max(1e-3)
    }

    /// The microseconds within which `per_mille` of a thousand requests were answered, long polls left out.
    #[must_use]
    pub fn latency_us(&self, per_mille: u64) -> u64 {
        self.latency.quantile_us(per_mille)
    }

    /// The newest sequence number that an answer to a write has shown (`Medina-Seq`).
    #[must_use]
    pub fn newest_seq(&self) -> u64 {
        self.seq.load(Ordering::Relaxed)
    }

    /// A read that needs no token.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        self.call(None, &Call::new(Method::GET, path, None)).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, CallError> {
        self.call(None, &Call::new(Method::POST, path, Some(body))).await
    }

    /// Sends until there is an answer that is worth telling.
    async fn call<T: DeserializeOwned>(&self, token: Option<&str>, call: &Call) -> Result<T, CallError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let pause = PAUSES[(tries as usize - 1).min(PAUSES.len() - 1)];
            match self.send(token, call).await {
                Ok((status, headers, _)) if is_for_later(status) && tries < TRIES_MAX => {
                    tokio::time::sleep(retry_after(&headers).unwrap_or(pause)).await;
                }
                Ok((status, _, body)) => return call.read(status, &body),
                Err(_) if tries < TRIES_MAX => tokio::time::sleep(pause).await,
                Err(source) => return Err(CallError::Unreachable { what: call.what(), source }),
            }
        }
    }

    async fn send(&self, token: Option<&str>, call: &Call) -> Result<(StatusCode, HeaderMap, Vec<u8>), reqwest::Error> {
        let begun = Instant::now();
        let mut request = self.http.request(call.method.clone(), format!("{}{}", self.base, call.path));
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(key) = &call.key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let answer = request.send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await?.to_vec();
        self.requests.fetch_add(1, Ordering::Relaxed);
        if !call.is_long {
            self.latency.record(begun.elapsed());
        }
        if let Some(seq) = seq_of(&headers) {
            self.seq.fetch_max(seq, Ordering::Relaxed);
        }
        Ok((status, headers, body))
    }
}

/// One call; repeated, it is the same one: same key, same bytes.
struct Call {
    method: Method,
    path: String,
    body: Option<String>,
    key: Option<String>,
    is_long: bool,
}

impl Call {
    fn new(method: Method, path: &str, body: Option<&Value>) -> Self {
        let key = (!method.is_safe()).then(|| Uuid::now_v7().to_string());
        let is_long = path.contains("wait=") && !path.contains("wait=0");
        Self { method, path: path.to_owned(), body: body.map(Value::to_string), key, is_long }
    }

    fn what(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn read<T: DeserializeOwned>(&self, status: StatusCode, body: &[u8]) -> Result<T, CallError> {
        if status.is_success() {
            let body = if body.is_empty() { b"null" } else { body };
            return serde_json::from_slice(body).map_err(|error| self.unexpected(status, &error.to_string(), body));
        }
        let problem: Value = serde_json::from_slice(body).map_err(|error| self.unexpected(status, &error.to_string(), body))?;
        let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
        let mut detail = text("detail");
        for error in problem["errors"].as_array().into_iter().flatten() {
            let part = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
            detail = format!("{detail}; {} {}: {}", part("pointer"), part("code"), part("detail"));
        }
        Err(CallError::Refused { what: self.what(), status: status.as_u16(), code: text("code"), detail, problem: Box::new(problem) })
    }

    fn unexpected(&self, status: StatusCode, why: &str, body: &[u8]) -> CallError {
        let start: String = String::from_utf8_lossy(body).chars().take(200).collect();
        CallError::Unexpected { what: self.what(), detail: format!("{status}, {why}, body begins {start:?}") }
    }
}

/// Nothing was done; the same may be asked again.
fn is_for_later(status: StatusCode) -> bool {
    matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

fn seq_of(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get("medina-seq")?.to_str().ok()?;
    text.rsplit('.').next()?.parse().ok()
}

/// How somebody proves who they are.
#[derive(Clone)]
pub enum SignIn {
    /// By a one-time code to this phone (E.164). The sandbox tells the code.
    Phone(String),
    /// By e-mail address and password.
    Password { email: String, password: String },
}

/// Somebody who signed in. Tokens are renewed when they run out.
pub struct Person {
    wire: Arc<Wire>,
    way: SignIn,
    session: Mutex<Session>,
    /// The user's id.
    pub id: String,
}

impl Person {
    /// Signs in (a phone that is new becomes a new customer).
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn sign_in(wire: Arc<Wire>, way: SignIn) -> Result<Self, CallError> {
        let session = open_session(&wire, &way).await?;
        let id = session.user.id.clone();
        Ok(Self { wire, way, session: Mutex::new(session), id })
    }

    /// Takes a new token, for instance because the roles have changed.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn renew(&self) -> Result<(), CallError> {
        let mut session = self.session.lock().await;
        let renewed = self.wire.post("/v1/auth/refresh", &json!({ "refresh_token": session.refresh_token })).await;
        *session = match renewed {
            // The family has ended (a rotation whose answer was lost, a new password): prove it anew.
            Err(error) if error.status() == Some(401) => open_session(&self.wire, &self.way).await?,
            renewed => renewed?,
        };
        Ok(())
    }

    /// # Errors
    /// [`CallError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        self.call(Call::new(Method::GET, path, None)).await
    }

    /// # Errors
    /// [`CallError`].
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, CallError> {
        self.call(Call::new(Method::POST, path, Some(body))).await
    }

    /// # Errors
    /// [`CallError`].
    pub async fn put<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, CallError> {
        self.call(Call::new(Method::PUT, path, Some(body))).await
    }

    /// All pages of a list. `path` has a query.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, CallError> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let page: words::List<T> = self.get(&format!("{path}&limit=100{cursor}")).await?;
            all.extend(page.data);
            match page.next_cursor {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(all),
            }
        }
    }

    async fn call<T: DeserializeOwned>(&self, call: Call) -> Result<T, CallError> {
        let token = self.session.lock().await.access_token.clone();
        match self.wire.call(Some(&token), &call).await {
            Err(error) if error.status() == Some(401) => {
                // Somebody else may have renewed it meanwhile.
                if self.session.lock().await.access_token == token {
                    self.renew().await?;
                }
                let token = self.session.lock().await.access_token.clone();
                self.wire.call(Some(&token), &call).await
            }
            answered => answered,
        }
    }
}

async fn open_session(wire: &Wire, way: &SignIn) -> Result<Session, CallError> {
    match way {
        SignIn::Phone(phone) => {
            let sent: words::OtpSent = wire.post("/v1/auth/otp/request", &json!({ "phone": phone })).await?;
            let otp = sent.sandbox_otp.ok_or_else(|| CallError::Unexpected {
                what: "POST /v1/auth/otp/request".to_owned(),
                detail: "no sandbox_otp: simulated people can sign in to a sandbox only".to_owned(),
            })?;
            let device = json!({ "id": format!("sim-{phone}"), "name": "simulated phone", "platform": "android" });
            wire.post("/v1/auth/otp/verify", &json!({ "phone": phone, "otp": otp, "device": device })).await
        }
        SignIn::Password { email, password } => wire.post("/v1/auth/login", &json!({ "email": email, "password": password })).await,
    }
}
