//! The shortest way around obstacles, however they lie to each other.
//!
//! A shortest way turns only at corners, so it is searched among them: from each to those that it sees. Only what lies in the way is looked at. It begins
//! with the obstacles on the straight line; whatever else the way found then leads through is added, and the way is searched anew. What is found with few
//! obstacles and leads through none of the others is the shortest around all.
//!
//! Source: T. Lozano-Pérez, M. Wesley, "An Algorithm for Planning Collision-Free Paths Among Polyhedral Obstacles" (1979); the search is A* (P. Hart,
//! N. Nilsson, B. Raphael, 1968) with the straight line as what is left.

use super::{Obstacle, Point};
use std::borrow::Cow;

/// In the way of one way, at most; beyond that none is known. With their corners that is a search among some hundreds of points.
const IN_THE_WAY_MAX: usize = 32;

/// What ways go around.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Obstacles {
    all: Vec<Obstacle>,
}

impl From<Vec<Obstacle>> for Obstacles {
    fn from(all: Vec<Obstacle>) -> Self {
        Self { all }
    }
}

impl Obstacles {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Obstacle> {
        self.all.iter()
    }

    /// Whether a line of points leads through none of them.
    #[must_use]
    pub fn leave_open(&self, line: &[Point]) -> bool {
        !line.windows(2).any(|pair| self.all.iter().any(|obstacle| obstacle.crosses(pair[0], pair[1])))
    }

    /// Without those that hold one of some points: whoever is inside gets out as they can.
    #[must_use]
    pub fn not_holding(&self, points: [Point; 2]) -> Cow<'_, Self> {
        let holds = |obstacle: &Obstacle| points.iter().any(|point| obstacle.holds(*point));
        if self.all.iter().any(holds) {
            Cow::Owned(Self { all: self.all.iter().filter(|obstacle| !holds(obstacle)).cloned().collect() })
        } else {
            Cow::Borrowed(self)
        }
    }

    /// The corners that the shortest way from `from` to `to` turns at; none if it is the straight line. `None`: an end is inside an obstacle, obstacles that
    /// overlap enclose it, or there are too many in the way.
    #[must_use]
    pub fn way(&self, from: Point, to: Point) -> Option<Vec<Point>> {
        if self.all.iter().any(|obstacle| obstacle.holds(from) || obstacle.holds(to)) {
            return None;
        }
        let mut inside: Vec<&Obstacle> = Vec::new();
        let mut way = vec![from, to];
        loop {
            // Those on the way by now are not in the way any more, so that each round adds others or is the last.
            let on_it = |obstacle: &&Obstacle| way.windows(2).any(|pair| obstacle.crosses(pair[0], pair[1]));
            let before = inside.len();
            inside.extend(self.all.iter().filter(on_it));
            if inside.len() == before {
                return Some(way[1..way.len() - 1].to_vec());
            }
            if inside.len() > IN_THE_WAY_MAX {
                return None;
            }
            way = shortest(from, to, &inside)?;
        }
    }
}

/// The shortest way around some obstacles, ends included.
fn shortest(from: Point, to: Point, around: &[&Obstacle]) -> Option<Vec<Point>> {
    const GOAL: usize = 1;
    let corners = around.iter().flat_map(|obstacle| obstacle.corners()).copied();
    // Where two overlap some corners are inside; no way turns there.
    let outside = corners.filter(|corner| !around.iter().any(|obstacle| obstacle.holds(*corner)));
    let points: Vec<Point> = [from, to].into_iter().chain(outside).collect();
    let ahead_m: Vec<f64> = points.iter().map(|point| point.distance_m(to)).collect();
    // By point: metres so far, the point before, whether that is final.
    let mut reached = vec![(f64::INFINITY, 0, false); points.len()];
    reached[0].0 = 0.0;
    loop {
        let open = (0..points.len()).filter(|place| !reached[*place].2 && reached[*place].0 < f64::INFINITY);
        let here = open.min_by(|a, b| (reached[*a].0 + ahead_m[*a]).total_cmp(&(reached[*b].0 + ahead_m[*b])))?;
        if here == GOAL {
            break;
        }
        reached[here].2 = true;
        for there in 1..points.len() {
            let so_far_m = reached[here].0 + points[here].distance_m(points[there]);
            let is_seen = || !around.iter().any(|obstacle| obstacle.crosses(points[here], points[there]));
            if !reached[there].2 && so_far_m < reached[there].0 && is_seen() {
                reached[there] = (so_far_m, here, false);
            }
        }
    }
    let mut way = vec![to];
    let mut place = GOAL;
    while place != 0 {
        place = reached[place].1;
        way.push(points[place]);
    }
    way.reverse();
    Some(way)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn point(east: f64, north: f64) -> Point {
        Point::new(north / 1_000.0, east / 1_000.0).expect("on the earth")
    }

    fn block(west: f64, south: f64, east: f64, north: f64) -> Obstacle {
        let corners = [(west, south), (east, south), (east, north), (west, north)].map(|(x, y)| point(x, y));
        Obstacle::around(&corners, 0.0).expect("a block")
    }

    fn check(blocks: &[[f64; 4]], from: (f64, f64), to: (f64, f64), expected: Option<&[(f64, f64)]>) {
        let obstacles =
            Obstacles::from(blocks.iter().map(|[west, south, east, north]| block(*west, *south, *east, *north)).collect::<Vec<_>>());
        let way = obstacles.way(point(from.0, from.1), point(to.0, to.1));
        let expected = expected.map(|corners| corners.iter().map(|(x, y)| point(*x, *y)).collect::<Vec<Point>>());
        assert_eq!(way, expected, "{from:?} to {to:?} around {blocks:?}");
    }

    #[test]
    fn around_one() {
        const BLOCK: &[[f64; 4]] = &[[0.0, 0.0, 10.0, 10.0]];
        check(BLOCK, (-5.0, 2.0), (15.0, 2.0), Some(&[(0.0, 0.0), (10.0, 0.0)]));
        check(BLOCK, (15.0, 8.0), (-5.0, 8.0), Some(&[(10.0, 10.0), (0.0, 10.0)]));
        check(BLOCK, (-5.0, 3.0), (5.0, 15.0), Some(&[(0.0, 10.0)]));
        check(BLOCK, (-5.0, -5.0), (15.0, -5.0), Some(&[]));
        check(BLOCK, (-5.0, 5.0), (-1.0, 5.0), Some(&[]));
        check(BLOCK, (0.0, 5.0), (10.0, 8.0), Some(&[(0.0, 10.0), (10.0, 10.0)]));
        check(BLOCK, (5.0, 3.0), (15.0, 3.0), None);
        check(BLOCK, (15.0, 3.0), (5.0, 3.0), None);
    }

    #[test]
    fn around_several() {
        // The way around the first alone leads through the second, which is not on the straight line.
        check(&[[0.0, -1.0, 4.0, 10.0], [1.0, -6.0, 3.0, -0.5]], (-5.0, 0.0), (9.0, 0.0), Some(&[(1.0, -6.0), (3.0, -6.0)]));
        // Two with a lane between them, and the lane closed.
        check(&[[0.0, 1.0, 4.0, 9.0], [0.0, -9.0, 4.0, 0.0]], (-5.0, 4.0), (9.0, 4.0), Some(&[(0.0, 1.0), (4.0, 1.0)]));
        check(
            &[[0.0, 1.0, 4.0, 9.0], [0.0, -9.0, 4.0, 0.0], [2.0, -1.0, 3.0, 2.0]],
            (-5.0, 4.0),
            (9.0, 4.0),
            Some(&[(0.0, 9.0), (4.0, 9.0)]),
        );
        // A yard between four walls that overlap, and one with a gate.
        let walls = [[0.0, 0.0, 10.0, 1.0], [0.0, 9.0, 10.0, 10.0], [0.0, 0.0, 1.0, 10.0], [9.0, 0.0, 10.0, 10.0]];
        check(&walls, (5.0, 5.0), (20.0, 5.0), None);
        check(&walls, (5.0, 5.0), (6.0, 5.0), Some(&[]));
        let gate = [walls[0], walls[1], walls[2], [9.0, 3.0, 10.0, 10.0]];
        check(&gate, (5.0, 5.0), (20.0, 5.0), Some(&[(9.0, 3.0), (10.0, 3.0)]));
        // More than anybody looks at.
        let fence: Vec<[f64; 4]> = (0..40).map(|n| [f64::from(n) * 2.0, -5.0, f64::from(n) * 2.0 + 1.0, 5.0]).collect();
        check(&fence, (-1.0, 0.0), (90.0, 0.0), None);
    }

    #[test]
    fn who_is_inside_gets_out() {
        let obstacles = Obstacles::from(vec![block(0.0, 0.0, 10.0, 10.0), block(20.0, 0.0, 30.0, 10.0)]);
        let (inside, beyond) = (point(5.0, 5.0), point(35.0, 4.0));
        assert_eq!(obstacles.way(inside, beyond), None);
        let others = obstacles.not_holding([inside, beyond]);
        assert_eq!(others.way(inside, beyond), Some(vec![point(20.0, 0.0), point(30.0, 0.0)]));
        assert_eq!(*obstacles.not_holding([point(-1.0, 0.0), beyond]), obstacles);
    }

    /// Deeper than `deg` inside, by where the edges are: nothing of what is tested is used.
    fn is_inside(obstacle: &Obstacle, point: Point, deg: f64) -> bool {
        let corners = obstacle.corners();
        (0..corners.len()).all(|edge| {
            let (a, b) = (corners[edge], corners[(edge + 1) % corners.len()]);
            let (dx, dy) = (b.lon() - a.lon(), b.lat() - a.lat());
            (dx * (point.lat() - a.lat()) - dy * (point.lon() - a.lon())) / dx.hypot(dy) > deg
        })
    }

    fn leads_through(obstacles: &[Obstacle], a: Point, b: Point) -> bool {
        (0..=400).any(|step| {
            let share = f64::from(step) / 400.0;
            let there = Point::new(a.lat() + share * (b.lat() - a.lat()), a.lon() + share * (b.lon() - a.lon())).expect("between both");
            obstacles.iter().any(|obstacle| is_inside(obstacle, there, 1e-8))
        })
    }

    fn long_m(way: &[Point]) -> f64 {
        way.windows(2).map(|pair| pair[0].distance_m(pair[1])).sum()
    }

    /// The shortest way among all corners of all obstacles, by trying everything (Floyd and Warshall).
    fn by_trying(obstacles: &Obstacles, from: Point, to: Point) -> f64 {
        let corners = obstacles.iter().flat_map(Obstacle::corners).copied();
        let points: Vec<Point> = [from, to].into_iter().chain(corners).collect();
        let sees = |a: Point, b: Point| obstacles.leave_open(&[a, b]);
        let mut far: Vec<Vec<f64>> =
            points.iter().map(|a| points.iter().map(|b| if sees(*a, *b) { a.distance_m(*b) } else { f64::INFINITY }).collect()).collect();
        for over in 0..points.len() {
            for a in 0..points.len() {
                for b in 0..points.len() {
                    far[a][b] = far[a][b].min(far[a][over] + far[over][b]);
                }
            }
        }
        far[0][1]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// However obstacles lie: the way leads through none, is as short as any way over corners, and is there unless an end is enclosed.
        #[test]
        fn the_way_is_open_and_the_shortest(
            drawn in prop::collection::vec(prop::collection::vec((0.0..4.0_f64, 0.0..4.0_f64), 3..8), 1..7),
            at in prop::collection::vec((0.0..10.0_f64, 0.0..10.0_f64), 7),
            from in (0.0..14.0_f64, 0.0..14.0_f64), to in (0.0..14.0_f64, 0.0..14.0_f64),
        ) {
            let outline = |(corners, (x, y)): (&Vec<(f64, f64)>, &(f64, f64))| {
                let corners: Vec<Point> = corners.iter().map(|(east, north)| point(x + east, y + north)).collect();
                Obstacle::around(&corners, 10.0)
            };
            let all: Vec<Obstacle> = drawn.iter().zip(&at).filter_map(outline).collect();
            let obstacles = Obstacles::from(all.clone());
            let (from, to) = (point(from.0, from.1), point(to.0, to.1));
            let shortest_m = by_trying(&obstacles, from, to);
            match obstacles.way(from, to) {
                Some(corners) => {
                    let way: Vec<Point> = [from].into_iter().chain(corners).chain([to]).collect();
                    for pair in way.windows(2) {
                        prop_assert!(!leads_through(&all, pair[0], pair[1]), "{:?} through {:?}", pair, all);
                    }
                    prop_assert!((long_m(&way) - shortest_m).abs() < 0.01, "{} and not {}", long_m(&way), shortest_m);
                    for corner in all.iter().flat_map(Obstacle::corners) {
                        let over = [from, *corner, to];
                        if obstacles.leave_open(&over) {
                            prop_assert!(long_m(&way) <= long_m(&over) + 0.01);
                        }
                    }
                }
                None => {
                    let is_held = all.iter().any(|obstacle| is_inside(obstacle, from, 0.0) || is_inside(obstacle, to, 0.0));
                    prop_assert!(is_held || shortest_m.is_infinite(), "there is a way of {shortest_m} m");
                }
            }
        }
    }
}
