//! A point as stored in rows.

use index::geo::Point;
use serde::{Deserialize, Serialize};
use storage::Fault;

/// WGS 84 degrees, checked when made: every stored place is a [`Point`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    lat: f64,
    lon: f64,
}

impl From<Point> for Place {
    fn from(point: Point) -> Self {
        Self { lat: point.lat(), lon: point.lon() }
    }
}

impl Place {
    /// As a point to measure with.
    #[must_use]
    pub fn point(self) -> Point {
        match Point::new(self.lat, self.lon) {
            Ok(point) => point,
            // Rows carry a checksum, so this is a row that another binary wrote wrongly; it unwinds the command, not the appliance.
            Err(error) => storage::fault::raise(Fault::damaged(b"place", error.to_string())),
        }
    }
}
