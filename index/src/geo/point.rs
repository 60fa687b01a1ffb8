//! A place on the globe and the distance between two.

/// Mean radius of the Earth in metres (IUGG R1).
pub const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// A place in WGS 84 degrees: latitude -90..=90, longitude -180..=180, both finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    lat: f64,
    lon: f64,
}

/// Why two numbers are not a [`Point`].
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum PointError {
    #[error("latitude {0} is not within -90 and 90 degrees")]
    Latitude(f64),
    #[error("longitude {0} is not within -180 and 180 degrees")]
    Longitude(f64),
}

impl Point {
    /// A point from degrees.
    ///
    /// # Errors
    /// A coordinate that is not finite or out of its range.
    pub fn new(lat: f64, lon: f64) -> Result<Self, PointError> {
        if !(-90.0..=90.0).contains(&lat) {
            return Err(PointError::Latitude(lat));
        }
        if !(-180.0..=180.0).contains(&lon) {
            return Err(PointError::Longitude(lon));
        }
        Ok(Self { lat, lon })
    }

    /// Degrees north of the equator.
    #[must_use]
    pub fn lat(self) -> f64 {
        self.lat
    }

    /// Degrees east of Greenwich.
    #[must_use]
    pub fn lon(self) -> f64 {
        self.lon
    }

    /// Great-circle metres to `other`; see [`distance_m`].
    #[must_use]
    pub fn distance_m(self, other: Self) -> f64 {
        distance_m(self, other)
    }

    /// Metres to the nearest point of the straight line from `a` to `b`. Good for some kilometres: the plane is laid at this point.
    pub(super) fn to_line_m(self, a: Self, b: Self) -> f64 {
        let metres = EARTH_RADIUS_M.to_radians();
        let across = metres * self.lat.to_radians().cos();
        let flat = |other: Self| ((other.lon - self.lon) * across, (other.lat - self.lat) * metres);
        let ((x1, y1), (x2, y2)) = (flat(a), flat(b));
        let (dx, dy) = (x2 - x1, y2 - y1);
        let along = (-(x1 * dx + y1 * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
        (x1 + along * dx).hypot(y1 + along * dy)
    }

    /// The point on the unit sphere: chords between such vectors order like great-circle distances, everywhere.
    pub(super) fn on_sphere(self) -> [f64; 3] {
        let (sin_lat, cos_lat) = self.lat.to_radians().sin_cos();
        let (sin_lon, cos_lon) = self.lon.to_radians().sin_cos();
        [cos_lat * cos_lon, cos_lat * sin_lon, sin_lat]
    }

    /// Latitude and longitude in units of 1e-7 degrees (about a centimetre).
    pub(super) fn to_e7(self) -> (i32, i32) {
        // In range: 180e7 is below i32::MAX.
        ((self.lat * 1e7).round() as i32, (self.lon * 1e7).round() as i32)
    }

    pub(super) fn from_e7(lat_e7: i32, lon_e7: i32) -> Self {
        Self { lat: f64::from(lat_e7) / 1e7, lon: f64::from(lon_e7) / 1e7 }
    }
}

/// Great-circle distance in metres by the haversine formula, on a sphere of [`EARTH_RADIUS_M`] (within 0.6 % of the ellipsoid).
#[must_use]
pub fn distance_m(a: Point, b: Point) -> f64 {
    let half_lat = ((b.lat - a.lat) / 2.0).to_radians().sin();
    let half_lon = ((b.lon - a.lon) / 2.0).to_radians().sin();
    let h = half_lat * half_lat + a.lat.to_radians().cos() * b.lat.to_radians().cos() * half_lon * half_lon;
    2.0 * EARTH_RADIUS_M * h.min(1.0).sqrt().asin()
}

/// Many distances from one point: [`distance_m`] to a tenth of a millimetre, with what is known about the point worked out once.
#[derive(Clone, Copy, Debug)]
pub struct Distances {
    from: Point,
    sin_lat: f64,
    cos_lat: f64,
}

impl Distances {
    /// Within a city (0.02 rad, 127 km) the first terms of the series are as good as the functions: the next ones are below 1e-13.
    const NEAR_RAD: f64 = 0.02;

    /// From `point`.
    #[must_use]
    pub fn from(point: Point) -> Self {
        let (sin_lat, cos_lat) = point.lat.to_radians().sin_cos();
        Self { from: point, sin_lat, cos_lat }
    }

    /// Great-circle metres to `to`.
    #[must_use]
    pub fn to_m(self, to: Point) -> f64 {
        let lat = (to.lat - self.from.lat).to_radians();
        let lon = (to.lon - self.from.lon).to_radians();
        if lat.abs() > Self::NEAR_RAD || lon.abs() > Self::NEAR_RAD {
            return distance_m(self.from, to);
        }
        let (half_lat, half_lon) = (small_sin(lat / 2.0), small_sin(lon / 2.0));
        let cos_to = self.cos_lat * small_cos(lat) - self.sin_lat * small_sin(lat);
        let h = half_lat * half_lat + self.cos_lat * cos_to * half_lon * half_lon;
        // asin(x) = x + x^3/6 + 3x^5/40 + 15x^7/336 + …
        let x = h.sqrt();
        2.0 * EARTH_RADIUS_M * x * (1.0 + h * (1.0 / 6.0 + h * (3.0 / 40.0 + h * (15.0 / 336.0))))
    }
}

fn small_sin(x: f64) -> f64 {
    let square = x * x;
    x * (1.0 - square * (1.0 / 6.0 - square * (1.0 / 120.0 - square / 5_040.0)))
}

fn small_cos(x: f64) -> f64 {
    let square = x * x;
    1.0 - square * (0.5 - square * (1.0 / 24.0 - square * (1.0 / 720.0 - square / 40_320.0)))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The short way to a distance is a distance: equal to a tenth of a millimetre, near and far.
        #[test]
        fn both_ways_agree(lat in -89.0..89.0_f64, lon in -179.0..179.0_f64, north in -1.2..1.2_f64, east in -1.2..1.2_f64, scale in 0..7_i32) {
            let scale = 10_f64.powi(-scale);
            let from = Point { lat, lon };
            let to = Point { lat: (lat + north * scale).clamp(-90.0, 90.0), lon: (lon + east * scale).clamp(-180.0, 180.0) };
            let (short, long) = (Distances::from(from).to_m(to), distance_m(from, to));
            prop_assert!((short - long).abs() < 1e-4, "{} {}", short, long);
        }
    }
}
