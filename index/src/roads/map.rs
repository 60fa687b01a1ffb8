//! The map of a region: points in, seconds, metres and lines out.

use super::{Cost, MapError, Mode, Network, file, hierarchy::Hierarchy, osm};
use crate::geo::{Places, Point};
use std::path::Path;

/// Farther from the nearest street nobody is on this map.
const OFF_ROAD_MAX_M: f64 = 1_000.0;
/// Metres a second from the door to the street.
const OFF_ROAD_MPS: f64 = 1.2;

/// Streets for every mode, ready to be asked from any thread.
pub struct RoadMap {
    layers: Vec<Layer>,
}

struct Layer {
    hierarchy: Hierarchy,
    /// Nodes, by where they are.
    nodes: Places,
}

/// A way from door to door.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Whole seconds, rounded up.
    pub seconds: u32,
    /// Whole metres, rounded.
    pub metres: u32,
    /// From the first street to the last; the doors are not in it.
    pub line: Vec<Point>,
}

/// Where somebody steps onto the network.
#[derive(Clone, Copy)]
struct Door {
    node: u32,
    metres: f64,
}

impl RoadMap {
    /// Reads an `.osm.pbf` and prepares it. Takes a few seconds for a small city, minutes for a country.
    ///
    /// # Errors
    /// [`MapError::Osm`], [`MapError::Empty`].
    pub fn import(osm: &Path) -> Result<Self, MapError> {
        Self::of(&osm::read(osm)?)
    }

    /// From networks in the order of [`Mode::ALL`]; of each, its heart.
    ///
    /// # Errors
    /// [`MapError::Empty`]: a mode has no streets.
    pub fn of(networks: &[Network]) -> Result<Self, MapError> {
        let hearts = networks.iter().map(Network::heart).zip(Mode::ALL);
        let hierarchy = |(heart, mode): (Network, Mode)| {
            if heart.streets.is_empty() { Err(MapError::Empty(mode)) } else { Ok(Hierarchy::build(&heart)) }
        };
        Ok(Self::over(hearts.map(hierarchy).collect::<Result<_, _>>()?))
    }

    fn over(hierarchies: Vec<Hierarchy>) -> Self {
        let layer = |hierarchy: Hierarchy| {
            let nodes = Places::load(hierarchy.places().map(|node| (u128::from(node), hierarchy.points[node as usize])));
            Layer { hierarchy, nodes }
        };
        Self { layers: hierarchies.into_iter().map(layer).collect() }
    }

    /// Stores it, in place of what is there.
    ///
    /// # Errors
    /// [`MapError::Io`].
    pub fn save(&self, path: &Path) -> Result<(), MapError> {
        let hierarchies: Vec<Hierarchy> = self.layers.iter().map(|layer| layer.hierarchy.clone()).collect();
        file::write(path, &hierarchies)
    }

    /// Reads a stored map; its checksum is checked.
    ///
    /// # Errors
    /// [`MapError::Io`], [`MapError::Version`], [`MapError::Damaged`].
    pub fn load(path: &Path) -> Result<Self, MapError> {
        Ok(Self::over(file::read(path)?))
    }

    /// How many nodes (parts of crossings included) and arcs (shortcuts included) a mode has.
    #[must_use]
    pub fn size(&self, mode: Mode) -> (usize, usize) {
        let hierarchy = &self.layers[mode as usize].hierarchy;
        (hierarchy.points.len(), hierarchy.up.arcs.len() + hierarchy.down.arcs.len())
    }

    /// Seconds (rounded up) and metres (rounded) of the fastest way; `None` off the map.
    #[must_use]
    pub fn cost(&self, from: Point, to: Point, mode: Mode) -> Option<(u32, u32)> {
        let layer = &self.layers[mode as usize];
        let (a, b) = (layer.door(from)?, layer.door(to)?);
        Some(whole(layer.hierarchy.cost(a.node, b.node)?, a, b))
    }

    /// The fastest way; `None` off the map.
    #[must_use]
    pub fn route(&self, from: Point, to: Point, mode: Mode) -> Option<Route> {
        let layer = &self.layers[mode as usize];
        let (a, b) = (layer.door(from)?, layer.door(to)?);
        let (cost, nodes) = layer.hierarchy.way(a.node, b.node)?;
        let (seconds, metres) = whole(cost, a, b);
        Some(Route { seconds, metres, line: nodes.into_iter().map(|node| layer.hierarchy.points[node as usize]).collect() })
    }

    /// [`RoadMap::cost`] from each of some points to each of others, in one go.
    #[must_use]
    pub fn table(&self, from: &[Point], to: &[Point], mode: Mode) -> Vec<Vec<Option<(u32, u32)>>> {
        let layer = &self.layers[mode as usize];
        let doors = |points: &[Point]| points.iter().map(|point| layer.door(*point)).collect::<Vec<Option<Door>>>();
        let (a, b) = (doors(from), doors(to));
        let nodes = |doors: &[Option<Door>]| doors.iter().flatten().map(|door| door.node).collect::<Vec<u32>>();
        let mut rows = layer.hierarchy.table(&nodes(&a), &nodes(&b)).into_iter();
        let filled = |start: &Option<Door>| {
            let Some(start) = start else { return vec![None; b.len()] };
            let mut row = rows.next().unwrap_or_default().into_iter();
            b.iter().map(|end| end.and_then(|end| Some(whole(row.next()??, *start, end)))).collect()
        };
        a.iter().map(filled).collect()
    }
}

impl Layer {
    fn door(&self, point: Point) -> Option<Door> {
        let near = self.nodes.nearest(point, 1, OFF_ROAD_MAX_M, |_| true).into_iter().next()?;
        Some(Door { node: near.id as u32, metres: near.distance_m })
    }
}

fn whole(cost: Cost, from: Door, to: Door) -> (u32, u32) {
    let off_road_m = from.metres + to.metres;
    let seconds = f64::from(cost.deciseconds()) / 10.0 + off_road_m / OFF_ROAD_MPS;
    (seconds.ceil() as u32, (f64::from(cost.decimetres()) / 10.0 + off_road_m).round() as u32)
}
