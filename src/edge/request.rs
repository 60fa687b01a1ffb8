//! Strict input: a malformed id is a 404, malformed JSON a 400, a misspelt field a 422 with its pointer.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use super::problem::Problem;

/// A path parameter; what does not parse is not there (404).
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // The raw parameters first, so that a path of ours with a broken escape is a 404 too.
        RawPathParams::from_request_parts(parts, state).await.map_err(|_| Problem::not_found())?;
        axum::extract::Path::<T>::from_request_parts(parts, state).await.map(|path| Self(path.0)).map_err(|_| Problem::not_found())
    }
}

/// The query; what does not parse is a 422.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Query::<T>::from_request_parts(parts, state)
            .await
            .map(|query| Self(query.0))
            .map_err(|rejection| Problem::invalid("", "bad_query", rejection.body_text()))
    }
}

/// Parses a body: 400 if it is not JSON, 422 with a pointer if it is not a `T`. No body counts as `{}`.
///
/// # Errors
/// As said.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let body = if body.is_empty() { b"{}" } else { body };
    // The short way for what is right; what is wrong is read again, slowly, to say where.
    if let Ok(parsed) = serde_json::from_slice(body) {
        return Ok(parsed);
    }
    let value: serde_json::Value =
        serde_json::from_slice(body).map_err(|error| Problem::new(400, "malformed_json", format!("the body is not JSON: {error}")))?;
    serde_path_to_error::deserialize(value).map_err(|error| {
        let mut pointer = String::new();
        for segment in error.path() {
            match segment {
                Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
                Segment::Map { key } => pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
                Segment::Enum { .. } | Segment::Unknown => (),
            }
        }
        let detail = error.inner().to_string();
        // serde names what it misses and what it does not know in back-quotes.
        let named = detail.split('`').nth(1).unwrap_or_default().to_owned();
        let code = if detail.starts_with("unknown field") {
            if !pointer.ends_with(&format!("/{named}")) {
                pointer.push_str(&format!("/{named}"));
            }
            "unknown_field"
        } else if detail.starts_with("missing field") {
            pointer.push_str(&format!("/{named}"));
            "required"
        } else if detail.starts_with("unknown variant") {
            "not_allowed"
        } else if detail.starts_with("invalid type") {
            "wrong_type"
        } else {
            "invalid"
        };
        Problem::invalid(pointer, code, detail)
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Line {
        quantity: u8,
    }
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Cart {
        items: Vec<Line>,
    }

    #[test]
    fn what_is_wrong_is_said_where_it_is() {
        let cases = [
            (r#"{"items": [{"quantity": 1, "quantty": 2}]}"#, 422, "/items/0/quantty", "unknown_field"),
            (r#"{"items": [{"quantity": 1}, {}]}"#, 422, "/items/1/quantity", "required"),
            (r#"{"items": [{"quantity": "1"}]}"#, 422, "/items/0/quantity", "wrong_type"),
            (r#"{"items": [{"quantity": 300}]}"#, 422, "/items/0/quantity", "invalid"),
            ("", 422, "/items", "required"),
        ];
        for (body, status, pointer, code) in cases {
            let problem = parse::<Cart>(body.as_bytes()).expect_err("it is wrong");
            assert_eq!(
                problem,
                Problem::new(status, "invalid_request", problem.detail.clone()).pointer(pointer, code, problem.detail.clone()),
                "{body}"
            );
        }
        assert_eq!(parse::<Cart>(b"{\"items\"").expect_err("not JSON").code, "malformed_json");
    }
}
