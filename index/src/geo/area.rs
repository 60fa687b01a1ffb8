//! Areas: polygons with holes, and an R-tree of them.

use super::{Obstacle, Point, bounds::Bounds};
use rstar::{
    AABB, RTree,
    primitives::{GeomWithData, Rectangle},
};
use std::collections::HashMap;

/// Points this close to an edge (degrees; about a centimetre) are on it, and the edge belongs to the area.
const EDGE_DEG: f64 = 1e-7;

/// One or more polygons with holes, such as a delivery zone.
///
/// Edges are straight lines in degrees, as GeoJSON (RFC 7946, section 3.1.1) wants it; an area that crosses the 180° meridian is
/// given as two polygons (section 3.1.9). The edge, also that of a hole, belongs to the area.
#[derive(Clone, Debug, PartialEq)]
pub struct Area {
    polygons: Vec<Polygon>,
}

#[derive(Clone, Debug, PartialEq)]
struct Polygon {
    outer: Ring,
    holes: Vec<Ring>,
}

#[derive(Clone, Debug, PartialEq)]
struct Ring {
    /// Closed: the last is the first.
    points: Vec<Point>,
    bounds: Bounds,
}

/// Why rings are not an [`Area`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AreaError {
    #[error("an area needs at least one polygon with an outer ring")]
    Empty,
    #[error("a ring needs at least three different points in a row")]
    Ring,
    #[error("a ring spans more than 180 degrees of longitude; split it at the 180 degree meridian")]
    TooWide,
}

impl Area {
    /// An area from polygons; of each, the first ring is its outline and the others are holes, as in GeoJSON. Rings may be closed or open.
    ///
    /// # Errors
    /// [`AreaError`]: the rings make no area.
    pub fn new(polygons: Vec<Vec<Vec<Point>>>) -> Result<Self, AreaError> {
        let polygons = polygons
            .into_iter()
            .map(|rings| {
                let mut rings = rings.into_iter().map(Ring::new);
                let outer = rings.next().ok_or(AreaError::Empty)??;
                Ok(Polygon { outer, holes: rings.collect::<Result<_, _>>()? })
            })
            .collect::<Result<Vec<_>, AreaError>>()?;
        if polygons.is_empty() { Err(AreaError::Empty) } else { Ok(Self { polygons }) }
    }

    /// Whether `point` is inside or on an edge.
    #[must_use]
    pub fn contains(&self, point: Point) -> bool {
        self.polygons.iter().any(|polygon| polygon.contains(point))
    }

    /// What ways go around: one obstacle a polygon, `margin_m` wider than it.
    #[must_use]
    pub fn obstacles(&self, margin_m: f64) -> Vec<Obstacle> {
        self.polygons.iter().filter_map(|polygon| Obstacle::around(&polygon.outer.points, margin_m)).collect()
    }

    /// Metres from `point` to the nearest edge, that of a hole included, inside or outside. Good for some kilometres: the plane is laid at the point.
    #[must_use]
    pub fn edge_m(&self, point: Point) -> f64 {
        let rings = self.polygons.iter().flat_map(|polygon| std::iter::once(&polygon.outer).chain(&polygon.holes));
        rings.map(|ring| ring.edge_m(point)).fold(f64::INFINITY, f64::min)
    }

    /// South-west and north-east corner of the smallest rectangle around the area.
    #[must_use]
    pub fn corners(&self) -> (Point, Point) {
        let all = self.polygons.iter().map(|polygon| polygon.outer.bounds).reduce(Bounds::and);
        let all = all.expect("new refuses an area without polygons");
        let corner = |lat, lon| Point::new(lat, lon).expect("the extremes of valid coordinates are valid");
        (corner(all.south, all.west), corner(all.north, all.east))
    }
}

impl Polygon {
    fn contains(&self, point: Point) -> bool {
        self.outer.side(point) != Side::Outside && self.holes.iter().all(|hole| hole.side(point) != Side::Inside)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Inside,
    Edge,
    Outside,
}

impl Ring {
    fn new(mut points: Vec<Point>) -> Result<Self, AreaError> {
        points.dedup();
        if points.len() > 1 && points.first() == points.last() {
            points.pop();
        }
        if points.len() < 3 {
            return Err(AreaError::Ring);
        }
        let first = points[0];
        points.push(first);
        let bounds = Bounds::of(&points);
        if bounds.east - bounds.west > 180.0 {
            return Err(AreaError::TooWide);
        }
        Ok(Self { points, bounds })
    }

    fn edge_m(&self, point: Point) -> f64 {
        // No edge has no length: repeated points were taken out.
        self.points.windows(2).map(|edge| point.to_line_m(edge[0], edge[1])).fold(f64::INFINITY, f64::min)
    }

    /// Casts a ray to the east and counts the edges that it crosses.
    fn side(&self, point: Point) -> Side {
        if !self.bounds.hold(point, EDGE_DEG) {
            return Side::Outside;
        }
        let (x, y) = (point.lon(), point.lat());
        let mut inside = false;
        for edge in self.points.windows(2) {
            let (x1, y1, x2, y2) = (edge[0].lon(), edge[0].lat(), edge[1].lon(), edge[1].lat());
            let (dx, dy) = (x2 - x1, y2 - y1);
            let along = (((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
            if (x - x1 - along * dx).hypot(y - y1 - along * dy) <= EDGE_DEG {
                return Side::Edge;
            }
            // Half-open in latitude: a vertex on the ray counts for one of its two edges.
            if (y1 > y) != (y2 > y) && x < x1 + (y - y1) / dy * dx {
                inside = !inside;
            }
        }
        if inside { Side::Inside } else { Side::Outside }
    }
}

type Frame = GeomWithData<Rectangle<[f64; 2]>, u128>;

/// Areas by id, to be asked which of them a point is in.
#[derive(Default)]
pub struct Areas {
    tree: RTree<Frame>,
    areas: HashMap<u128, Area>,
}

impl Areas {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes `area` that of `id`; answers the one before.
    pub fn insert(&mut self, id: u128, area: Area) -> Option<Area> {
        let before = self.remove(id);
        self.tree.insert(frame(id, &area));
        self.areas.insert(id, area);
        before
    }

    /// Takes the area of `id` out.
    pub fn remove(&mut self, id: u128) -> Option<Area> {
        let area = self.areas.remove(&id)?;
        self.tree.remove(&frame(id, &area));
        Some(area)
    }

    #[must_use]
    pub fn get(&self, id: u128) -> Option<&Area> {
        self.areas.get(&id)
    }

    /// The ids of all areas that contain `point`, ascending.
    #[must_use]
    pub fn containing(&self, point: Point) -> Vec<u128> {
        let (x, y) = (point.lon(), point.lat());
        let around = AABB::from_corners([x - EDGE_DEG, y - EDGE_DEG], [x + EDGE_DEG, y + EDGE_DEG]);
        let frames = self.tree.locate_in_envelope_intersecting(around);
        let mut ids: Vec<u128> =
            frames.map(|frame| frame.data).filter(|id| self.areas.get(id).is_some_and(|area| area.contains(point))).collect();
        ids.sort_unstable();
        ids
    }
}

fn frame(id: u128, area: &Area) -> Frame {
    let (low, high) = area.corners();
    Frame::new(Rectangle::from_corners([low.lon(), low.lat()], [high.lon(), high.lat()]), id)
}
