//! Things that stand still, in an R-tree.

use super::point::{EARTH_RADIUS_M, Point, distance_m};
use rstar::{RTree, primitives::GeomWithData};
use std::collections::HashMap;

type Leaf = GeomWithData<[f64; 3], u128>;

/// Points by id: merchants, lockers, hubs. The tree holds unit vectors, so nearness is right at the poles and at 180°.
#[derive(Default)]
pub struct Places {
    tree: RTree<Leaf>,
    points: HashMap<u128, Point>,
}

/// A place and how far away it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Near {
    pub id: u128,
    pub point: Point,
    /// Great-circle metres.
    pub distance_m: f64,
}

fn leaf(id: u128, point: Point) -> Leaf {
    Leaf::new(point.on_sphere(), id)
}

fn near(from: Point, leaf: &Leaf, points: &HashMap<u128, Point>) -> Near {
    let point = *points.get(&leaf.data).expect("insert and remove keep tree and map in step");
    Near { id: leaf.data, point, distance_m: distance_m(from, point) }
}

impl Places {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All at once: several times faster than one by one, and a better tree. Of two points for an id the last counts.
    #[must_use]
    pub fn load(places: impl IntoIterator<Item = (u128, Point)>) -> Self {
        let points: HashMap<u128, Point> = places.into_iter().collect();
        let tree = RTree::bulk_load(points.iter().map(|(id, point)| leaf(*id, *point)).collect());
        Self { tree, points }
    }

    /// Puts `id` at `point`; answers where it was before.
    pub fn insert(&mut self, id: u128, point: Point) -> Option<Point> {
        let before = self.remove(id);
        self.tree.insert(leaf(id, point));
        self.points.insert(id, point);
        before
    }

    /// Takes `id` out; answers where it was.
    pub fn remove(&mut self, id: u128) -> Option<Point> {
        let point = self.points.remove(&id)?;
        self.tree.remove(&leaf(id, point));
        Some(point)
    }

    /// Where `id` is.
    #[must_use]
    pub fn get(&self, id: u128) -> Option<Point> {
        self.points.get(&id).copied()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.points.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The `k` nearest within `radius_m` that `filter` accepts, nearest first.
    #[must_use]
    pub fn nearest(&self, from: Point, k: usize, radius_m: f64, mut filter: impl FnMut(&Near) -> bool) -> Vec<Near> {
        self.tree
            .nearest_neighbor_iter(from.on_sphere())
            .map(|leaf| near(from, leaf, &self.points))
            .take_while(|near| near.distance_m <= radius_m)
            .filter(|near| filter(near))
            .take(k)
            .collect()
    }

    /// All within `radius_m`, nearest first (equal distances by id).
    #[must_use]
    pub fn within_radius(&self, from: Point, radius_m: f64) -> Vec<Near> {
        // The chord over an arc; a little more, because the exact distance decides below.
        let half_turn = (radius_m / (2.0 * EARTH_RADIUS_M)).clamp(0.0, std::f64::consts::FRAC_PI_2);
        let chord = 2.0 * half_turn.sin() + 1e-9;
        let mut found: Vec<Near> = self
            .tree
            .locate_within_distance(from.on_sphere(), chord * chord)
            .map(|leaf| near(from, leaf, &self.points))
            .filter(|near| near.distance_m <= radius_m)
            .collect();
        found.sort_by(|a, b| a.distance_m.total_cmp(&b.distance_m).then(a.id.cmp(&b.id)));
        found
    }
}
