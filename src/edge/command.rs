//! A write: token, body, idempotency key, the command in the writer, the answer. Checks run in the order of the contract.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use storage::Position;

use super::gate::Gate;
use super::problem::Problem;
use super::request::parse;
use crate::engine::{Caller, Done, Engine, Once, StoredAnswer, Tx, Verdict};

/// A body may have this many bytes.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// It arrives within this time: a place in the queue of requests is not for waiting in.
const BODY_PATIENCE: Duration = Duration::from_secs(15);

/// No body, or `{}`.
#[derive(Debug, Default, Clone, Copy, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Empty {}

/// A write by somebody who signed in, with its parsed body.
pub struct Command<T> {
    pub caller: Caller,
    pub engine: Engine,
    pub body: T,
    once: Option<Once>,
    if_match: Option<u64>,
}

/// A write by anybody; a token counts if it is there.
pub struct PublicCommand<T>(pub Command<T>);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Command<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let gate = Gate::of(&parts);
        let caller = gate.known_caller(&parts)?;
        Self::read(gate, caller, &parts.method, parts.uri.path(), &parts.headers, body).await
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for PublicCommand<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let gate = Gate::of(&parts);
        let caller = gate.caller_if_any(&parts);
        Command::read(gate, caller, &parts.method, parts.uri.path(), &parts.headers, body).await.map(Self)
    }
}

/// Collects a body of at most `max` bytes.
///
/// # Errors
/// 413 above that; 400 if the connection broke off.
pub async fn collect(body: Body, max: usize) -> Result<Bytes, Problem> {
    axum::body::to_bytes(body, max).await.map_err(|error| {
        let too_large = std::error::Error::source(&error).is_some_and(|source| source.to_string().contains("length limit"));
        if too_large {
            Problem::new(413, "body_too_large", format!("the body may have {max} bytes"))
        } else {
            Problem::new(400, "body_unreadable", "the body could not be read")
        }
    })
}

impl<T: DeserializeOwned> Command<T> {
    async fn read(gate: Gate, caller: Caller, method: &Method, path: &str, headers: &HeaderMap, body: Body) -> Result<Self, Problem> {
        let body = tokio::time::timeout(BODY_PATIENCE, collect(body, BODY_BYTES_MAX)).await;
        let body =
            body.map_err(|_| Problem::new(408, "body_too_slow", format!("the body has to arrive within {} s", BODY_PATIENCE.as_secs())))??;
        let once = match headers.get("idempotency-key") {
            // No tokens in the log: sign-in answers are never stored. Webhooks have the provider's event id.
            Some(_) if path.starts_with("/v1/auth/") || path.starts_with("/v1/payments/webhooks/") => None,
            Some(key) => Some(Once::new(&caller.label(), method.as_str(), path, checked_key(key)?, &body)),
            None => None,
        };
        let if_match = headers.get(header::IF_MATCH).map(etag_version).transpose()?.flatten();
        let body = parse(&body)?;
        Ok(Self { caller, engine: gate.engine, body, once, if_match })
    }
}

fn checked_key(key: &HeaderValue) -> Result<&str, Problem> {
    key.to_str()
        .ok()
        .filter(|key| (1..=255).contains(&key.len()))
        .ok_or_else(|| Problem::new(400, "bad_idempotency_key", "Idempotency-Key has 1 to 255 visible ASCII characters"))
}

/// `*` is any version.
fn etag_version(value: &HeaderValue) -> Result<Option<u64>, Problem> {
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    text.trim_start_matches("W/")
        .trim_matches('"')
        .parse()
        .map(Some)
        .map_err(|_| Problem::new(412, "precondition_failed", "If-Match is not an ETag of this thing"))
}

impl<T: Send + 'static> Command<T> {
    /// Where money moves a key is required.
    ///
    /// # Errors
    /// 400 `idempotency_key_required`.
    pub fn requires_key(self) -> Result<Self, Problem> {
        if self.once.is_some() {
            Ok(self)
        } else {
            Err(Problem::new(400, "idempotency_key_required", "send an Idempotency-Key: a repeat must not move money twice"))
        }
    }

    /// The version that the caller believes to edit.
    #[must_use]
    pub fn if_match(&self) -> Option<u64> {
        self.if_match
    }

    /// Runs `command` in the writer and answers with what it returns, as JSON; an answer of `null` (the unit) has no body.
    ///
    /// # Errors
    /// The command's problem, or the engine's.
    pub async fn run<V, F>(self, name: &'static str, status: StatusCode, command: F) -> Result<Response, Problem>
    where
        V: Serialize + Send + 'static,
        F: FnOnce(&mut Tx<'_, '_>, T) -> Result<V, Problem> + Send + 'static,
    {
        self.run_tagged(name, status, move |tx, body| command(tx, body).map(|value| (Verdict::Done(value), None))).await
    }

    /// Like [`Command::run`] for what can be edited: the version goes out as `ETag`.
    ///
    /// # Errors
    /// The command's problem, or the engine's.
    pub async fn run_versioned<V, F>(self, name: &'static str, status: StatusCode, command: F) -> Result<Response, Problem>
    where
        V: Serialize + Send + 'static,
        F: FnOnce(&mut Tx<'_, '_>, T) -> Result<(V, u64), Problem> + Send + 'static,
    {
        self.run_tagged(name, status, move |tx, body| command(tx, body).map(|(value, version)| (Verdict::Done(value), Some(version)))).await
    }

    /// Like [`Command::run`] for commands whose refusal must be remembered.
    ///
    /// # Errors
    /// The command's problem (committed if it came as a verdict), or the engine's.
    pub async fn run_verdict<V, F>(self, name: &'static str, status: StatusCode, command: F) -> Result<Response, Problem>
    where
        V: Serialize + Send + 'static,
        F: FnOnce(&mut Tx<'_, '_>, T) -> Result<Verdict<V>, Problem> + Send + 'static,
    {
        self.run_tagged(name, status, move |tx, body| command(tx, body).map(|verdict| (verdict, None))).await
    }

    async fn run_tagged<V, F>(self, name: &'static str, status: StatusCode, command: F) -> Result<Response, Problem>
    where
        V: Serialize + Send + 'static,
        F: FnOnce(&mut Tx<'_, '_>, T) -> Result<(Verdict<V>, Option<u64>), Problem> + Send + 'static,
    {
        let Self { caller, engine, body, once, .. } = self;
        let Some(once) = once else {
            let done = engine.write(&caller, name, move |tx| command(tx, body)).await?;
            let Done { value: (verdict, version), position, is_local, .. } = done;
            return match verdict {
                Verdict::Done(value) => Ok(respond(encode(status, &value, version), (position, is_local), false)),
                Verdict::Refused(problem) => Err(problem),
            };
        };
        // A refusal that must be remembered commits but is no answer to keep: it is sent anew each time, so it leaves by another door.
        let (refused, refusal) = std::sync::mpsc::channel();
        let done = engine
            .write_once(&caller, name, once, move |tx| {
                Ok::<_, Problem>(match command(tx, body)? {
                    (Verdict::Done(value), version) => encode(status, &value, version),
                    (Verdict::Refused(problem), _) => {
                        let answer = StoredAnswer { status: problem.status, headers: Vec::new(), body: Vec::new() };
                        let _ = refused.send(problem);
                        answer
                    }
                })
            })
            .await?;
        match refusal.try_recv() {
            Ok(problem) => Err(problem),
            Err(_) => Ok(respond(done.value, (done.position, done.is_local), done.replayed)),
        }
    }
}

fn encode(status: StatusCode, value: &impl Serialize, version: Option<u64>) -> StoredAnswer {
    let mut body = serde_json::to_vec(value).expect("answers are our own types with string keys: JSON encoding cannot fail");
    let mut headers = Vec::with_capacity(2);
    if body == b"null" {
        body.clear();
    } else {
        headers.push((header::CONTENT_TYPE.to_string(), "application/json".to_owned()));
    }
    headers.extend(version.map(|version| (header::ETAG.to_string(), format!("\"{version}\""))));
    StoredAnswer { status: status.as_u16(), headers, body }
}

fn respond(answer: StoredAnswer, (position, is_local): (Position, bool), replayed: bool) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, answer.body).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (header::HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    if let Ok(seq) = HeaderValue::try_from(format!("{}.{}", position.epoch, position.seq)) {
        headers.insert("medina-seq", seq);
    }
    if is_local {
        headers.insert("medina-durability", HeaderValue::from_static("local"));
    }
    if replayed {
        headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    response
}
