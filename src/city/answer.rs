//! What all of the city's answers share: the ETag on what can be edited, the refusal of a field, of a version.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use index::geo::Point;
use serde::Serialize;

use super::field::Invalid;
use crate::edge::{Json, P, Problem};
use crate::money::Currency;

/// A thing that can be edited, with its version as `ETag`.
pub struct Versioned<T>(pub T, pub u64);

impl<T: Serialize> IntoResponse for Versioned<T> {
    fn into_response(self) -> Response {
        ([(header::ETAG, format!("\"{}\"", self.1))], Json(self.0)).into_response()
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Self::invalid(invalid.pointer, invalid.code, invalid.detail)
    }
}

/// 412: it was edited meanwhile.
#[must_use]
pub fn stale(version: u64) -> Problem {
    Problem::new(412, "precondition_failed", format!("it has version {version} by now; read it again")).with("version", version)
}

/// 422: money of another currency than the city's.
#[must_use]
pub fn wrong_currency(pointer: &str, expected: Currency, found: Currency) -> Problem {
    Problem::invalid(pointer, "currency_mismatch", format!("amounts here are in {expected}, not {found}"))
}

/// The point of `?lat=&lon=`, if it is asked for.
///
/// # Errors
/// 422 if one comes without the other, or off the earth.
pub fn point_of(lat: Option<f64>, lon: Option<f64>) -> Result<Option<Point>, Problem> {
    match (lat, lon) {
        (None, None) => Ok(None),
        (Some(lat), Some(lon)) => P { lat, lon }.check("/lat").map(Some),
        (Some(_), None) => Err(Problem::invalid("/lon", "required", "lat comes with lon")),
        (None, Some(_)) => Err(Problem::invalid("/lat", "required", "lon comes with lat")),
    }
}
