//! A point on the wire.

use index::geo::Point;
use serde::{Deserialize, Serialize};

use super::problem::Problem;

/// WGS 84 degrees.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct P {
    pub lat: f64,
    pub lon: f64,
}

impl P {
    /// A point on the earth, or what is wrong with `pointer`.
    ///
    /// # Errors
    /// 422 if a coordinate is out of range.
    pub fn check(self, pointer: &str) -> Result<Point, Problem> {
        Point::new(self.lat, self.lon)
            .map_err(|_| Problem::invalid(pointer, "out_of_range", "lat is -90 to 90 and lon -180 to 180, in degrees"))
    }
}

impl From<Point> for P {
    fn from(point: Point) -> Self {
        Self { lat: point.lat(), lon: point.lon() }
    }
}
