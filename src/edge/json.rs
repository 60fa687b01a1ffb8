//! A JSON answer.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// An answer as JSON. Unlike axum's it is written into a plain buffer of its own: a growing shared one is asked for room at every token.
pub struct Json<T>(pub T);

/// Most answers are smaller, and a page is not much larger.
const BYTES: usize = 1_024;

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let mut body = Vec::with_capacity(BYTES);
        serde_json::to_writer(&mut body, &self.0).expect("answers are our own types with string keys: JSON encoding cannot fail");
        let mut response = Response::new(Body::from(body));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}
