//! Every refusal: RFC 9457 problem details with a stable `code`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::engine::{Denied, Fault, WriteError};

tokio::task_local! {
    /// The id of the request under way, for the problem's `request_id`.
    pub static REQUEST_ID: String;
}

/// A refusal on its way out.
///
/// Source: RFC 9457.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub status: u16,
    pub code: &'static str,
    pub detail: String,
    rare: Box<Rare>,
}

/// What most problems do not have; boxed, because a problem is every handler's error.
#[derive(Clone, Debug, Default, PartialEq)]
struct Rare {
    errors: Vec<InputError>,
    extensions: Map<String, Value>,
    retry_after_s: Option<u32>,
}

/// One thing that is wrong with the input, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InputError {
    /// RFC 6901.
    pub pointer: String,
    pub code: String,
    pub detail: String,
}

impl Problem {
    /// A problem with an HTTP status and a code that is API for ever.
    pub fn new(status: u16, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), rare: Box::default() }
    }

    /// 422 `invalid_request` with its first error.
    pub fn invalid(pointer: impl Into<String>, code: impl Into<String>, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::new(422, "invalid_request", detail.clone()).pointer(pointer, code, detail)
    }

    /// 422 `invalid_request` with all its errors.
    pub fn invalid_all(errors: Vec<InputError>) -> Self {
        let detail = errors.first().map_or_else(|| "the request is not valid".to_owned(), |error| error.detail.clone());
        let mut problem = Self::new(422, "invalid_request", detail);
        problem.rare.errors = errors;
        problem
    }

    /// 404 `not_found`.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(404, "not_found", "no such thing")
    }

    /// One more error.
    #[must_use]
    pub fn pointer(mut self, pointer: impl Into<String>, code: impl Into<String>, detail: impl Into<String>) -> Self {
        self.rare.errors.push(InputError { pointer: pointer.into(), code: code.into(), detail: detail.into() });
        self
    }

    /// One more member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.rare.extensions.insert(name.to_owned(), value.into());
        self
    }

    /// With a `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.rare.retry_after_s = Some(seconds);
        self
    }
}

/// A code's words: `invalid_transition` → `Invalid transition`.
fn title(code: &str) -> String {
    let words = code.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Rare { errors, extensions: mut body, retry_after_s } = *self.rare;
        body.insert("type".to_owned(), json!(format!("urn:medina:problem:{}", self.code)));
        body.insert("title".to_owned(), json!(title(self.code)));
        body.insert("status".to_owned(), json!(self.status));
        body.insert("detail".to_owned(), json!(self.detail));
        body.insert("code".to_owned(), json!(self.code));
        body.insert("request_id".to_owned(), json!(REQUEST_ID.try_with(Clone::clone).unwrap_or_default()));
        if !errors.is_empty() {
            body.insert("errors".to_owned(), json!(errors));
        }
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Value::Object(body).to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == 401 {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"medina\""));
        }
        response
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        let (status, code) = match denied {
            Denied::Unauthenticated => (401, "unauthenticated"),
            Denied::Forbidden => (403, "forbidden"),
            Denied::NotFound => (404, "not_found"),
            Denied::PasswordChange => (403, "password_change_required"),
        };
        Self::new(status, code, denied.to_string())
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Overloaded { retry_after_s } => Self::new(503, "overloaded", fault.to_string()).retry_after(retry_after_s),
            Fault::NoSpace => Self::new(507, "insufficient_storage", fault.to_string()).retry_after(30),
            Fault::NotLeading { ref leader } => Self::new(421, "not_leader", fault.to_string()).with("leader", json!(leader)),
            Fault::Unacknowledged => Self::new(503, "unacknowledged", fault.to_string()).retry_after(1),
            Fault::NoFollower => Self::new(503, "no_follower", fault.to_string()).retry_after(1),
            Fault::Stopping => Self::new(503, "stopping", fault.to_string()).retry_after(2),
            Fault::KeyReused => Self::new(422, "idempotency_key_reused", fault.to_string()),
            Fault::Undecided(_) => Self::new(500, "undecided", fault.to_string()),
            Fault::Broken(_) | Fault::Storage(_) | Fault::EventStorm(..) => {
                tracing::error!(%fault, "a request failed");
                Self::new(500, "internal", "something is wrong here; nothing was changed. The server's log has the request id")
            }
        }
    }
}

impl From<WriteError<Problem>> for Problem {
    fn from(error: WriteError<Problem>) -> Self {
        match error {
            WriteError::Refused(problem) => problem,
            WriteError::Fault(fault) => fault.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_problem_has_every_member_and_header() {
        let problem = Problem::invalid("/items/0/quantity", "out_of_range", "1 to 99").with("allowed", json!([1, 99])).retry_after(3);
        let response = REQUEST_ID.scope("req-1".to_owned(), async { problem.into_response() }).await;
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["retry-after"], "3");
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.expect("a small body");
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["request_id"], "req-1");
        assert_eq!(body["title"], "Invalid request");
        assert_eq!(body["errors"][0]["pointer"], "/items/0/quantity");
        assert_eq!(body["allowed"], json!([1, 99]));
    }
}
