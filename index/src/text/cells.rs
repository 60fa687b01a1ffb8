//! Circles as H3 cells: each document carries its cells of several resolutions, a query the few that cover its circle.

use crate::geo::Point;
use h3o::{CellIndex, LatLng, Resolution};

/// Coarsest first. Edges from 26 km to 200 m.
const RESOLUTIONS: [Resolution; 6] =
    [Resolution::Four, Resolution::Five, Resolution::Six, Resolution::Seven, Resolution::Eight, Resolution::Nine];
/// Three rings around a cell are 37 cells.
const RINGS_MAX: f64 = 3.0;
/// A ring of regular hexagons is 1.5 edges wide; H3's are distorted, and the smallest have about 0.7 of the mean edge.
const RING_EDGES: f64 = 1.5 * 0.7;

fn cell(point: Point, resolution: Resolution) -> CellIndex {
    LatLng::new(point.lat(), point.lon()).expect("a Point is finite").to_cell(resolution)
}

/// The cells that a document at `point` carries.
pub(super) fn of(point: Point) -> impl Iterator<Item = u64> {
    RESOLUTIONS.into_iter().map(move |resolution| cell(point, resolution).into())
}

/// Cells that cover the circle, or `None` if it is so big that only the distance itself can tell.
pub(super) fn covering(point: Point, radius_m: f64) -> Option<Vec<u64>> {
    RESOLUTIONS.into_iter().rev().find_map(|resolution| {
        let rings = (radius_m / (RING_EDGES * resolution.edge_length_m())).ceil().max(1.0);
        let disk = || cell(point, resolution).grid_disk::<Vec<_>>(rings as u32).into_iter().map(u64::from).collect();
        (rings <= RINGS_MAX).then(disk)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        /// Whatever lies in the circle carries one of the cells that cover it.
        #[test]
        fn the_circle_is_covered(lat in -75.0..75.0_f64, lon in -179.0..179.0_f64, radius_m in 10.0..80_000.0_f64, turn in 0.0..std::f64::consts::TAU, out in 0.0..1.0_f64) {
            let from = Point::new(lat, lon).unwrap();
            let away = radius_m * out.sqrt() / 111_195.0;
            let to = Point::new(lat + away * turn.sin(), (lon + away * turn.cos() / lat.to_radians().cos()).clamp(-180.0, 180.0)).unwrap();
            prop_assume!(from.distance_m(to) <= radius_m);
            if let Some(cells) = covering(from, radius_m) {
                prop_assert!(cells.len() <= 37);
                prop_assert!(of(to).any(|cell| cells.contains(&cell)));
            }
        }
    }

    #[test]
    fn bigger_circles_take_coarser_cells_not_more() {
        let casablanca = Point::new(33.59, -7.62).unwrap();
        for radius_m in [0.0, 100.0, 500.0, 2_000.0, 5_000.0, 30_000.0] {
            let cells = covering(casablanca, radius_m).unwrap().len();
            assert!((7..=37).contains(&cells), "{radius_m} m: {cells} cells");
        }
        assert_eq!(covering(casablanca, 500_000.0), None);
    }
}
