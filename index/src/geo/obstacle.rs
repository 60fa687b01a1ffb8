//! A convex obstacle.

use super::{EARTH_RADIUS_M, Point, bounds::Bounds};

/// What ways go around: the convex hull of an outline, a little wider than it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Obstacle {
    /// Counter-clockwise, open, at most [`CORNERS_MAX`].
    hull: Vec<Point>,
    bounds: Bounds,
}

/// An outline with more is gone around by one with so many.
pub const CORNERS_MAX: usize = 16;
/// What is no deeper inside is on the edge: a tenth of a millimetre.
const ON_EDGE_DEG: f64 = 1e-9;

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
        // A corner that hardly turns may have been left behind by its neighbours.
        let wide = self::hull(&hull.iter().filter_map(wider).collect::<Vec<Point>>());
        let hull = blunted(wide, CORNERS_MAX);
        let bounds = Bounds::of(&hull);
        (hull.len() >= 3).then_some(Self { hull, bounds })
    }

    /// Counter-clockwise, each once.
    #[must_use]
    pub fn corners(&self) -> &[Point] {
        &self.hull
    }

    /// Whether `point` is inside; on the edge is outside.
    #[must_use]
    pub fn holds(&self, point: Point) -> bool {
        self.bounds.hold(point, 0.0) && self.edges().all(|(a, b)| depth_deg(a, b, point) > 0.0)
    }

    /// Whether the straight line from `from` to `to` leads through the inside; along an edge and over a corner it does not.
    ///
    /// Source: M. Cyrus, J. Beck, "Generalized Two- and Three-Dimensional Clipping" (1978).
    #[must_use]
    pub fn crosses(&self, from: Point, to: Point) -> bool {
        if self.bounds.are_beside(from, to) {
            return false;
        }
        let (mut enters, mut leaves) = (0.0_f64, 1.0_f64);
        for (a, b) in self.edges() {
            let (start, end) = (depth_deg(a, b, from), depth_deg(a, b, to));
            match (start > 0.0, end > 0.0) {
                (true, true) => (),
                (false, false) => return false,
                (false, true) => enters = enters.max(start / (start - end)),
                (true, false) => leaves = leaves.min(start / (start - end)),
            }
        }
        enters < leaves
    }

    /// Whether a way of `long_m` metres from `from` to `to` may touch this; if not, it does not, wherever it leads. Good for some kilometres.
    #[must_use]
    pub fn may_touch(&self, from: Point, to: Point, long_m: f64) -> bool {
        // Whoever is inside touches it with the first step.
        self.holds(from) || self.holds(to) || self.edges().any(|(a, b)| from.to_line_m(a, b) + to.to_line_m(a, b) <= long_m)
    }

    fn edges(&self) -> impl Iterator<Item = (Point, Point)> {
        self.hull.iter().copied().zip(self.hull.iter().copied().cycle().skip(1))
    }
}

/// How far `point` is to the left of the line from `a` to `b`, in degrees as the plane has them; what is nearer than a tenth of a millimetre is on it.
fn depth_deg(a: Point, b: Point, point: Point) -> f64 {
    turn(a, b, point) / (b.lon() - a.lon()).hypot(b.lat() - a.lat()) - ON_EDGE_DEG
}

/// The same outline with at most `most` corners, never narrower: edges are left out where that adds least, and their neighbours lengthened until they meet.
fn blunted(mut hull: Vec<Point>, most: usize) -> Vec<Point> {
    while hull.len() > most {
        let len = hull.len();
        let without = |edge: usize| {
            let (before, a, b, after) = (hull[(edge + len - 1) % len], hull[edge], hull[(edge + 1) % len], hull[(edge + 2) % len]);
            let tip = meeting(before, a, after, b)?;
            Some((turn(a, tip, b).abs(), edge, tip))
        };
        let Some((_, edge, tip)) = (0..len).filter_map(without).min_by(|a, b| a.0.total_cmp(&b.0)) else { break };
        hull[edge] = tip;
        hull.remove((edge + 1) % len);
    }
    hull
}

/// Where the line from `a` over `b` and the one from `c` over `d` meet beyond `b` and `d`.
fn meeting(a: Point, b: Point, c: Point, d: Point) -> Option<Point> {
    let (x1, y1, x2, y2) = (b.lon() - a.lon(), b.lat() - a.lat(), d.lon() - c.lon(), d.lat() - c.lat());
    let across = x1 * y2 - y1 * x2;
    let (east, north) = (c.lon() - a.lon(), c.lat() - a.lat());
    let (along, other) = ((east * y2 - north * x2) / across, (east * y1 - north * x1) / across);
    // Nearly parallel ones meet nowhere that helps.
    let beyond = along > 1.0 && other > 1.0 && along < 1e6;
    beyond.then(|| Point::new(a.lat() + along * y1, a.lon() + along * x1).ok()).flatten()
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn point(east: f64, north: f64) -> Point {
        Point::new(north / 1_000.0, east / 1_000.0).expect("on the earth")
    }

    fn square() -> Obstacle {
        // From (0, 0) to (10, 10), with a dent and a point inside.
        let corners = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (5.0, 6.0), (5.0, 5.0), (0.0, 10.0)].map(|(x, y)| point(x, y));
        assert_eq!(Obstacle::around(&corners[..2], 0.0), None);
        Obstacle::around(&corners, 0.0).expect("a square")
    }

    #[test]
    fn what_is_inside_and_what_leads_through() {
        let square = square();
        for (x, y, inside) in
            [(5.0, 5.0, true), (9.999, 0.001, true), (0.0, 5.0, false), (10.0, 10.0, false), (-1.0, 5.0, false), (10.001, 5.0, false)]
        {
            assert_eq!(square.holds(point(x, y)), inside, "{x}, {y}");
        }
        for (from, to, through) in [
            ((-5.0, 2.0), (15.0, 2.0), true),
            ((-5.0, 2.0), (5.0, 2.0), true),
            ((2.0, 2.0), (3.0, 3.0), true),
            ((-5.0, 2.0), (-1.0, 2.0), false),
            ((-5.0, 0.0), (15.0, 0.0), false),
            ((0.0, 0.0), (0.0, 10.0), false),
            ((-5.0, 5.0), (5.0, 15.0), false),
            ((-5.0, 4.9), (5.0, 14.9), true),
            ((0.0, 0.0), (10.0, 10.0), true),
            ((5.0, 5.0), (5.0, 5.0), true),
            ((-5.0, -5.0), (15.0, -5.0), false),
        ] {
            let (a, b) = (point(from.0, from.1), point(to.0, to.1));
            assert_eq!((square.crosses(a, b), square.crosses(b, a)), (through, through), "{from:?} to {to:?}");
        }
    }

    #[test]
    fn short_ways_touch_nothing() {
        let square = square();
        // Metres from which on a way may touch it: there and back; what both ends are from the nearest edge; nothing for who is inside.
        for (from, to, least_m) in [
            ((-5.0, 5.0), (-5.0, 5.0), 1_112.0),
            ((-5.0, 2.0), (15.0, 2.0), 1_197.6),
            ((13.0, 5.0), (14.0, 5.0), 778.4),
            ((3.0, 3.0), (20.0, 20.0), 1.0),
        ] {
            let may = |long_m: f64| square.may_touch(point(from.0, from.1), point(to.0, to.1), long_m);
            assert!(may(least_m + 1.0), "{from:?} to {to:?}");
            assert_eq!(may(least_m - 1.0), from == (3.0, 3.0), "{from:?} to {to:?}");
        }
    }

    proptest! {
        /// However many corners were drawn: at most so many are left, none of the others is outside, and it is hardly wider.
        #[test]
        fn an_outline_is_blunted_outwards(corners in prop::collection::vec((0.0..10.0_f64, 0.0..10.0_f64), 3..200), round in 17..400_usize) {
            let drawn: Vec<Point> = corners.iter().map(|(x, y)| point(*x, *y)).collect();
            if let Some(obstacle) = Obstacle::around(&drawn, 0.0) {
                prop_assert!(obstacle.corners().len() <= CORNERS_MAX);
                for corner in &drawn {
                    let out = obstacle.edges().map(|(a, b)| depth_deg(a, b, *corner)).fold(f64::INFINITY, f64::min);
                    prop_assert!(out > -2.0 * ON_EDGE_DEG - 1e-12, "{out}");
                }
            }
            if let Some(wide) = Obstacle::around(&drawn, 50.0) {
                let corners = wide.corners();
                let len = corners.len();
                prop_assert!((0..len).all(|at| turn(corners[at], corners[(at + 1) % len], corners[(at + 2) % len]) > 0.0), "{corners:?}");
                prop_assert!(drawn.iter().all(|corner| wide.holds(*corner)), "{corners:?}");
            }
            let circle = |n: usize| (n as f64 * std::f64::consts::TAU / round as f64).sin_cos();
            let drawn: Vec<Point> = (0..round).map(circle).map(|(y, x)| point(20.0 * x, 20.0 * y)).collect();
            let obstacle = Obstacle::around(&drawn, 0.0).expect("a circle");
            let (middle, radius_m) = (point(0.0, 0.0), point(20.0, 0.0).distance_m(point(0.0, 0.0)));
            for corner in obstacle.corners() {
                prop_assert!(corner.distance_m(middle) < radius_m * 1.2);
            }
        }
    }
}
