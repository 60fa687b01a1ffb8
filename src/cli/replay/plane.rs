//! Metres on a plane, laid on the globe around a centre.
//!
//! Azimuthal equidistant: distances from the centre are exact, those between other points are off by about (r ÷ R)² ÷ 6: less than a millionth
//! within 15 km.
//!
//! Source: Snyder, "Map Projections: A Working Manual" (USGS 1395), chapter 25, the sphere.

use index::geo::EARTH_RADIUS_M;

use crate::cli::client::words::P;
use crate::mdrp::Point;

/// A plane that touches the globe at a centre.
#[derive(Clone, Copy, Debug)]
pub struct Plane {
    /// Where the plane touches.
    pub center: P,
    /// What is there on the plane, in metres.
    pub origin: Point,
}

impl Plane {
    /// Where a point of the plane is on the globe. `x` goes east, `y` north.
    #[must_use]
    pub fn on_globe(&self, point: Point) -> P {
        let (x, y) = (point.x - self.origin.x, point.y - self.origin.y);
        let distance_m = x.hypot(y);
        if distance_m == 0.0 {
            return self.center;
        }
        let (sin_c, cos_c) = (distance_m / EARTH_RADIUS_M).sin_cos();
        let (sin_lat, cos_lat) = self.center.lat.to_radians().sin_cos();
        let lat = (cos_c * sin_lat + y * sin_c * cos_lat / distance_m).asin();
        let east = (x * sin_c).atan2(distance_m * cos_lat * cos_c - y * sin_lat * sin_c);
        P { lat: lat.to_degrees(), lon: self.center.lon + east.to_degrees() }
    }
}

/// The middle of the smallest rectangle around the points, and the distance from it to its corners in metres.
#[must_use]
pub fn middle(points: impl IntoIterator<Item = Point>) -> (Point, f64) {
    let mut low = Point { x: f64::INFINITY, y: f64::INFINITY };
    let mut high = Point { x: f64::NEG_INFINITY, y: f64::NEG_INFINITY };
    for point in points {
        low = Point { x: low.x.min(point.x), y: low.y.min(point.y) };
        high = Point { x: high.x.max(point.x), y: high.y.max(point.y) };
    }
    if low.x > high.x {
        return (Point { x: 0.0, y: 0.0 }, 0.0);
    }
    let middle = Point { x: f64::midpoint(low.x, high.x), y: f64::midpoint(low.y, high.y) };
    (middle, (high.x - middle.x).hypot(high.y - middle.y))
}

/// The point `share` of the way from one to the other.
#[must_use]
pub fn between(from: Point, to: Point, share: f64) -> Point {
    let share = share.clamp(0.0, 1.0);
    Point { x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * share }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What the server measures between two places is what the instance measures, to a hundred-thousandth.
        #[test]
        fn distances_stay(ax in -15e3..15e3f64, ay in -15e3..15e3f64, bx in -15e3..15e3f64, by in -15e3..15e3f64) {
            let plane = Plane { center: P { lat: 33.75, lon: -84.39 }, origin: Point { x: 200.0, y: -300.0 } };
            let globe = |x, y| {
                let at = plane.on_globe(Point { x, y });
                index::geo::Point::new(at.lat, at.lon).unwrap()
            };
            let flat_m = (ax - bx).hypot(ay - by);
            let round_m = globe(ax, ay).distance_m(globe(bx, by));
            prop_assert!((flat_m - round_m).abs() <= 0.001 + flat_m * 1e-5, "{flat_m} m became {round_m} m");
        }
    }
}
