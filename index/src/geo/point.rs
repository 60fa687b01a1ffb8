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
