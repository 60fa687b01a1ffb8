//! Points, areas and places: laws, and cases on the left with what is expected on the right.
#![allow(clippy::unwrap_used)]

use index::geo::{Area, AreaError, Areas, EARTH_RADIUS_M, Places, Point, PointError, distance_m};
use proptest::prelude::*;

fn point(lat: f64, lon: f64) -> Point {
    Point::new(lat, lon).unwrap()
}

fn any_point() -> impl Strategy<Value = Point> {
    (-90.0..=90.0_f64, -180.0..=180.0_f64).prop_map(|(lat, lon)| point(lat, lon))
}

fn city_point() -> impl Strategy<Value = Point> {
    (33.4..33.7_f64, -7.8..-7.4_f64).prop_map(|(lat, lon)| point(lat, lon))
}

proptest! {
    #[test]
    fn distance_is_a_metric(a in any_point(), b in any_point(), c in any_point()) {
        let (ab, bc, ac) = (distance_m(a, b), distance_m(b, c), distance_m(a, c));
        prop_assert!((ab - distance_m(b, a)).abs() < 1e-6);
        prop_assert!(ac <= ab + bc + 1e-3, "{ac} > {ab} + {bc}");
        prop_assert_eq!(distance_m(a, a), 0.0);
        prop_assert!((0.0..=std::f64::consts::PI * EARTH_RADIUS_M + 1e-3).contains(&ab));
    }

    /// The tree finds what a walk over all places finds, also after places moved and went.
    #[test]
    fn places_are_found_like_by_hand(
        places in prop::collection::vec((0..40_u128, prop_oneof![city_point(), any_point()]), 0..80),
        gone in prop::collection::vec(0..40_u128, 0..20),
        from in prop_oneof![city_point(), any_point()],
        k in 0..12_usize,
        radius_m in prop_oneof![0.0..50_000.0_f64, 0.0..21_000_000.0_f64],
    ) {
        let mut tree = Places::new();
        let mut plain = std::collections::BTreeMap::new();
        for (id, at) in places {
            prop_assert_eq!(tree.insert(id, at), plain.insert(id, at));
        }
        for id in gone {
            prop_assert_eq!(tree.remove(id), plain.remove(&id));
        }
        let mut expected: Vec<(f64, u128)> = plain.iter().map(|(id, at)| (distance_m(from, *at), *id)).filter(|(d, _)| *d <= radius_m).collect();
        expected.sort_by(|a, b| a.partial_cmp(b).unwrap());
        let within: Vec<(f64, u128)> = tree.within_radius(from, radius_m).iter().map(|near| (near.distance_m, near.id)).collect();
        prop_assert_eq!(&within, &expected);
        prop_assert_eq!(tree.len(), plain.len());
        for tree in [tree, Places::load(plain.into_iter())] {
            let nearest: Vec<f64> = tree.nearest(from, k, radius_m, |near| near.id % 3 != 0).iter().map(|near| near.distance_m).collect();
            let wanted: Vec<f64> = expected.iter().filter(|(_, id)| id % 3 != 0).map(|(d, _)| *d).take(k).collect();
            prop_assert_eq!(nearest.len(), wanted.len());
            for (got, wanted) in nearest.iter().zip(&wanted) {
                prop_assert!((got - wanted).abs() < 0.5, "{got} for {wanted}"); // antipodes are all but equally far
            }
        }
    }

    /// Inside a regular polygon is what is nearer to its middle than its edges are; outside what is farther than its corners.
    #[test]
    fn a_round_area_holds_its_disk(corners in 5..60_usize, x in -1.2..1.2_f64, y in -1.2..1.2_f64) {
        let turn = std::f64::consts::TAU / corners as f64;
        let ring = (0..corners).map(|n| { let (sin, cos) = (n as f64 * turn).sin_cos(); point(10.0 + sin, 20.0 + cos) }).collect();
        let area = Area::new(vec![vec![ring]]).unwrap();
        let away = x.hypot(y);
        let holds = area.contains(point(10.0 + y, 20.0 + x));
        prop_assert!(away > (turn / 2.0).cos() - 1e-6 || holds);
        prop_assert!(away < 1.0 + 1e-6 || !holds);
    }
}

#[test]
fn known_distances() {
    for (a, b, expected_m) in [
        (point(33.5731, -7.5898), point(34.0209, -6.8416), 85_400.0), // Casablanca, Rabat
        (point(0.0, 179.9), point(0.0, -179.9), 22_239.0),
        (point(90.0, 0.0), point(-90.0, 0.0), 20_015_115.0),
    ] {
        let got = distance_m(a, b);
        assert!((got - expected_m).abs() < expected_m * 0.005, "{got} for {expected_m}");
    }
}

#[test]
fn points_are_on_the_globe() {
    assert_eq!(Point::new(90.5, 0.0), Err(PointError::Latitude(90.5)));
    assert_eq!(Point::new(0.0, -180.1), Err(PointError::Longitude(-180.1)));
    for (lat, lon) in [(f64::NAN, 0.0), (0.0, f64::NAN), (f64::INFINITY, 0.0), (0.0, f64::NEG_INFINITY)] {
        assert!(Point::new(lat, lon).is_err(), "{lat} {lon}");
    }
    assert!(Point::new(-90.0, 180.0).is_ok());
}

fn square(south: f64, west: f64, side: f64) -> Vec<Point> {
    vec![point(south, west), point(south, west + side), point(south + side, west + side), point(south + side, west), point(south, west)]
}

#[test]
fn areas_with_holes_and_edges() {
    // A 10° square with a hole in its middle, and an island in the hole; a triangle that has a vertex at the height of many rays.
    let arrow = vec![point(20.0, 0.0), point(25.0, 5.0), point(30.0, 0.0), point(25.0, 10.0)];
    let area = Area::new(vec![vec![square(0.0, 0.0, 10.0), square(4.0, 4.0, 2.0)], vec![square(4.8, 4.8, 0.4)], vec![arrow]]).unwrap();
    for (lat, lon, expected) in [
        (2.0, 2.0, true),
        (4.5, 4.5, false),   // in the hole
        (5.0, 5.0, true),    // on the island
        (4.0, 5.0, true),    // on the hole's edge
        (0.0, 0.0, true),    // a corner
        (10.0, 3.0, true),   // an edge
        (-5e-8, 3.0, true),  // half a centimetre outside
        (-3e-7, 3.0, false), // three centimetres outside
        (5.0, -1.0, false),
        (25.0, 2.0, false), // in the notch of the arrow, at the height of two vertices
        (25.0, 7.0, true),
        (25.0, 11.0, false),
        (28.0, 3.0, true),
    ] {
        assert_eq!(area.contains(point(lat, lon)), expected, "{lat} {lon}");
    }
    let (low, high) = area.corners();
    assert_eq!((low, high), (point(0.0, 0.0), point(30.0, 10.0)));
}

#[test]
fn what_is_no_area() {
    for (polygons, expected) in [
        (vec![], AreaError::Empty),
        (vec![vec![]], AreaError::Empty),
        (vec![vec![vec![point(0.0, 0.0), point(1.0, 1.0), point(0.0, 0.0)]]], AreaError::Ring),
        (vec![vec![square(0.0, 0.0, 1.0), vec![]]], AreaError::Ring),
        (vec![vec![vec![point(0.0, -179.0), point(0.0, 179.0), point(1.0, 0.0)]]], AreaError::TooWide),
    ] {
        assert_eq!(Area::new(polygons), Err(expected));
    }
}

#[test]
fn areas_are_asked_by_point() {
    let mut areas = Areas::new();
    areas.insert(2, Area::new(vec![vec![square(0.0, 0.0, 10.0)]]).unwrap());
    areas.insert(1, Area::new(vec![vec![square(5.0, 5.0, 10.0)]]).unwrap());
    assert_eq!(areas.containing(point(7.0, 7.0)), [1, 2]);
    assert_eq!(areas.containing(point(1.0, 1.0)), [2]);
    assert_eq!(areas.containing(point(12.0, 4.0)), [0_u128; 0]);
    areas.insert(2, Area::new(vec![vec![square(50.0, 50.0, 1.0)]]).unwrap());
    assert_eq!(areas.containing(point(1.0, 1.0)), [0_u128; 0]);
    assert!(areas.remove(1).is_some());
    assert_eq!(areas.containing(point(7.0, 7.0)), [0_u128; 0]);
    assert!(areas.get(2).is_some());
}
