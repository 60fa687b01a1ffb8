//! The way around a convex obstacle.

use super::{EARTH_RADIUS_M, Point};

/// What ways go around: the convex hull of an outline, a little wider than it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Obstacle {
    /// Counter-clockwise, open.
    hull: Vec<Point>,
}

impl Obstacle {
    /// Around some points, `margin_m` wider in every direction from their middle. None of fewer than three points that do not lie in a row.
    ///
    /// Good for a city: longitudes are taken as they are, and an obstacle does not lie across the 180° meridian.
    #[must_use]
    pub fn around(points: &[Point], margin_m: f64) -> Option<Self> {
        let hull = hull(points);
        if hull.len() < 3 {
            return None;
        }
        let count = hull.len() as f64;
        let (lat, lon) = hull.iter().fold((0.0, 0.0), |(lat, lon), point| (lat + point.lat() / count, lon + point.lon() / count));
        let metre = EARTH_RADIUS_M.to_radians();
        let narrow = lat.to_radians().cos();
        let wider = |point: &Point| {
            let (north, east) = (point.lat() - lat, point.lon() - lon);
            let from_middle_m = (north * metre).hypot(east * narrow * metre);
            let factor = 1.0 + margin_m / from_middle_m;
            Point::new(lat + north * factor, lon + east * factor).ok()
        };
        let hull: Vec<Point> = hull.iter().filter_map(wider).collect();
        (hull.len() >= 3).then_some(Self { hull })
    }

    /// The corners that the shortest way from `from` to `to` turns at, if the straight one leads through. None if it does not, and for whoever is inside: they
    /// get out as they can.
    #[must_use]
    pub fn detour(&self, from: Point, to: Point) -> Option<Vec<Point>> {
        let corners: Vec<Point> = self.hull.iter().copied().chain([from, to]).collect();
        // Both ways around are the two sides of what a string around everything is laid along.
        let string = hull(&corners);
        let at = |wanted: Point| string.iter().position(|point| *point == wanted);
        let (start, end) = (at(from)?, at(to)?);
        let side = |from: usize, to: usize| -> Vec<Point> {
            (1..).map(|step| (from + step) % string.len()).take_while(|place| *place != to).map(|place| string[place]).collect()
        };
        let (one, other) = (side(start, end), side(end, start).into_iter().rev().collect::<Vec<Point>>());
        if one.is_empty() || other.is_empty() {
            return None;
        }
        let long = |way: &[Point]| {
            let all: Vec<Point> = std::iter::once(from).chain(way.iter().copied()).chain([to]).collect();
            all.windows(2).map(|pair| pair[0].distance_m(pair[1])).sum::<f64>()
        };
        Some(if long(&one) <= long(&other) { one } else { other })
    }
}

/// The convex hull, counter-clockwise, without points on its edges.
///
/// Source: A. M. Andrew, "Another Efficient Algorithm for Convex Hulls in Two Dimensions" (1979).
fn hull(points: &[Point]) -> Vec<Point> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.lon().total_cmp(&b.lon()).then(a.lat().total_cmp(&b.lat())));
    sorted.dedup();
    if sorted.len() < 3 {
        return sorted;
    }
    let half = |points: &mut dyn Iterator<Item = Point>| {
        let mut chain: Vec<Point> = Vec::new();
        for point in points {
            while chain.len() >= 2 && turn(chain[chain.len() - 2], chain[chain.len() - 1], point) <= 0.0 {
                chain.pop();
            }
            chain.push(point);
        }
        chain.pop();
        chain
    };
    let mut lower = half(&mut sorted.iter().copied());
    lower.extend(half(&mut sorted.iter().rev().copied()));
    lower
}

/// Above zero: from `a` over `b` to `c` is a turn to the left.
fn turn(a: Point, b: Point, c: Point) -> f64 {
    (b.lon() - a.lon()) * (c.lat() - a.lat()) - (b.lat() - a.lat()) * (c.lon() - a.lon())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(east: f64, north: f64) -> Point {
        Point::new(north / 1_000.0, east / 1_000.0).expect("on the earth")
    }

    #[test]
    fn the_shorter_side_is_taken() {
        // A square from (0, 0) to (10, 10) with a dent and a point inside.
        let corners = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (5.0, 6.0), (5.0, 5.0), (0.0, 10.0)].map(|(x, y)| point(x, y));
        let square = Obstacle::around(&corners, 0.0).expect("a square");
        let way = |from, to| square.detour(from, to);
        assert_eq!(way(point(-5.0, 2.0), point(15.0, 2.0)), Some(vec![point(0.0, 0.0), point(10.0, 0.0)]), "south is shorter");
        assert_eq!(way(point(15.0, 8.0), point(-5.0, 8.0)), Some(vec![point(10.0, 10.0), point(0.0, 10.0)]), "north is shorter");
        assert_eq!(way(point(-5.0, 3.0), point(5.0, 15.0)), Some(vec![point(0.0, 10.0)]), "around one corner");
        assert_eq!(way(point(-5.0, -5.0), point(15.0, -5.0)), None, "it is not on the way");
        assert_eq!(way(point(-5.0, 5.0), point(-1.0, 5.0)), None, "before it");
        assert_eq!(way(point(5.0, 3.0), point(15.0, 3.0)), None, "from inside");
        assert_eq!(way(point(5.0, 5.0), point(5.0, 5.0)), None);
        assert_eq!(Obstacle::around(&corners[..2], 0.0), None);
        let wider = Obstacle::around(&corners, 100.0).expect("a square").detour(point(-5.0, 2.0), point(15.0, 2.0)).expect("a detour");
        assert!(wider.iter().all(|corner| corner.lat() < 0.0), "{wider:?}");
    }
}
