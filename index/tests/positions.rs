//! Live positions: what a search promises, held against a walk over everybody.
#![allow(clippy::unwrap_used)]

use index::geo::{Fix, Ping, Point, Positions, Slot};
use proptest::prelude::*;

fn point(lat: f64, lon: f64) -> Point {
    Point::new(lat, lon).unwrap()
}

fn fix(point: Point, at_ms: i64) -> Fix {
    Fix { point, at_ms, heading_deg: Some(271), speed_mps: Some(8.25), accuracy_m: Some(4.5) }
}

/// Dense streets, other cities, the poles and the 180° meridian.
fn anywhere() -> impl Strategy<Value = Point> {
    prop_oneof![
        6 => (33.5..33.6_f64, -7.7..-7.5_f64),
        2 => (33.570..33.571_f64, -7.590..-7.589_f64),
        2 => (35.6..35.8_f64, -6.0..-5.7_f64),
        1 => (-18.2..-18.0_f64, 179.8..180.0_f64),
        1 => (-18.2..-18.0_f64, -180.0..-179.8_f64),
        1 => (-80.0..80.0_f64, -180.0..=180.0_f64),
    ]
    .prop_map(|(lat, lon)| point(lat, lon))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// After a refresh, and after everybody moved a little since, a search finds exactly whom a walk over all finds.
    #[test]
    fn nearest_is_what_a_walk_over_all_finds(
        couriers in prop::collection::vec((anywhere(), -0.000_22..0.000_22_f64, any::<bool>()), 0..300),
        from in anywhere(),
        k in 0..14_usize,
        radius_m in prop_oneof![10.0..3_000.0_f64, 1_000.0..60_000.0_f64, 10_000.0..1_000_000.0_f64],
    ) {
        let positions = Positions::new();
        for (id, (at, _, free)) in (1000_u128..).zip(&couriers) {
            let slot = positions.insert(id).unwrap();
            positions.set_tag(slot, u64::from(*free));
            prop_assert_eq!(positions.ping(slot, &fix(*at, 1)), Ping::Taken);
        }
        prop_assert_eq!(positions.refresh(), !couriers.is_empty());
        let mut expected = Vec::new();
        for (id, (at, by, free)) in (1000_u128..).zip(&couriers) {
            let moved = point(at.lat() + by, at.lon());
            let slot = positions.lookup(id).unwrap();
            positions.ping(slot, &fix(moved, 2));
            let live = positions.last(slot).unwrap().point;
            let distance_m = from.distance_m(live);
            if *free && distance_m <= radius_m {
                expected.push((distance_m, id));
            }
        }
        expected.sort_by(|a, b| a.partial_cmp(b).unwrap());
        expected.truncate(k);
        let mut asked = Vec::new();
        let seen = positions.nearest(from, k, radius_m, |seen| { asked.push(seen.id); seen.tag == 1 });
        let got: Vec<u128> = seen.iter().map(|seen| seen.id).collect();
        prop_assert_eq!(got, expected.iter().map(|(_, id)| *id).collect::<Vec<_>>());
        for (seen, (distance_m, _)) in seen.iter().zip(&expected) {
            prop_assert!((seen.distance_m - distance_m).abs() < 1e-4);
        }
        prop_assert!(seen.iter().all(|seen| seen.fix.at_ms == 2 && positions.id(seen.slot) == seen.id));
        let times = asked.len();
        asked.sort_unstable();
        asked.dedup();
        prop_assert_eq!(asked.len(), times, "a candidate was asked about twice");
    }

    /// Widening by steps and the one-pass search agree.
    #[test]
    fn widening_stops_at_the_first_radius_that_is_enough(
        couriers in prop::collection::vec(anywhere(), 0..60),
        from in anywhere(),
        k in 1..6_usize,
    ) {
        let positions = filled(&couriers);
        let radii_m = [500.0, 2_000.0, 8_000.0, 40_000.0];
        let step = |radius_m: f64| positions.nearest(from, k, radius_m, |_| true);
        let expected_m = radii_m.into_iter().find(|radius_m| step(*radius_m).len() == k).unwrap_or(40_000.0);
        let widened = positions.nearest_widening(from, k, &radii_m, |_| true);
        prop_assert_eq!(widened.radius_m, expected_m);
        prop_assert_eq!(widened.seen, step(expected_m));
    }
}

fn filled(couriers: &[Point]) -> Positions {
    let positions = Positions::new();
    for (id, at) in (0_u128..).zip(couriers) {
        let slot = positions.insert(id).unwrap();
        positions.ping(slot, &fix(*at, 1));
    }
    positions.refresh();
    positions
}

#[test]
fn a_fix_comes_back_as_it_went_in() {
    let positions = Positions::new();
    let slot = positions.insert(7).unwrap();
    assert_eq!(positions.last(slot), None);
    for fix in [
        fix(point(-33.512_345_6, 179.999_999_9), -5),
        Fix { point: point(90.0, -180.0), at_ms: 1_795_000_000_000, heading_deg: None, speed_mps: None, accuracy_m: None },
        Fix { point: point(0.0, 0.0), at_ms: i64::MAX, heading_deg: Some(0), speed_mps: Some(0.0), accuracy_m: Some(0.0) },
    ] {
        assert_eq!(positions.ping(slot, &fix), Ping::Taken);
        assert_eq!(positions.last(slot), Some(fix));
    }
}

#[test]
fn wild_values_are_tamed() {
    let positions = Positions::new();
    let slot = positions.insert(7).unwrap();
    let wild = Fix { point: point(1.0, 1.0), at_ms: 1, heading_deg: Some(725), speed_mps: Some(1e9), accuracy_m: Some(-3.0) };
    positions.ping(slot, &wild);
    let kept = positions.last(slot).unwrap();
    assert_eq!((kept.heading_deg, kept.speed_mps, kept.accuracy_m), (Some(5), Some(655.34), Some(0.0)));
}

#[test]
fn late_pings_change_nothing() {
    let positions = Positions::new();
    let slot = positions.insert(7).unwrap();
    assert_eq!(positions.ping(slot, &fix(point(1.0, 1.0), 10)), Ping::Taken);
    for at_ms in [10, 9, i64::MIN] {
        assert_eq!(positions.ping(slot, &fix(point(2.0, 2.0), at_ms)), Ping::Late);
    }
    assert_eq!(positions.last(slot).unwrap().point, point(1.0, 1.0));
}

#[test]
fn a_picture_is_taken_only_if_somebody_moved() {
    let here = point(33.57, -7.59);
    let positions = Positions::new();
    let slot = positions.insert(7).unwrap();
    assert!(!positions.refresh(), "nobody has a position");
    positions.ping(slot, &fix(here, 1));
    assert!(positions.refresh());
    assert!(!positions.refresh());
    positions.ping(slot, &fix(here, 2));
    positions.set_tag(slot, 5);
    assert!(!positions.refresh(), "standing still is not moving");
    assert_eq!(positions.nearest(here, 1, 10.0, |_| true)[0].fix.at_ms, 2, "but it is seen");
    positions.forget(slot);
    assert_eq!(positions.nearest(here, 1, 10.0, |_| true), [], "who is forgotten is not found even before the next picture");
    assert!(positions.refresh());
    assert_eq!(positions.ping(slot, &fix(here, 2)), Ping::Late, "device time does not run backwards over an absence");
    assert_eq!(positions.ping(slot, &fix(here, 3)), Ping::Taken);
    assert!(positions.refresh());
    assert_eq!(positions.nearest(here, 1, 10.0, |_| true).len(), 1);
}

#[test]
fn slots_are_dense_and_stay() {
    let positions = Positions::new();
    let slots: Vec<Slot> = (0..10_000_u128).map(|id| positions.insert(id * 3).unwrap()).collect();
    assert!(slots.iter().enumerate().all(|(index, slot)| slot.index() == index));
    assert_eq!(positions.insert(300), Ok(slots[100]));
    assert_eq!(positions.lookup(300), Some(slots[100]));
    assert_eq!(positions.lookup(301), None);
    assert_eq!(positions.id(slots[9_999]), 29_997);
    assert_eq!(positions.len(), 10_000);
}

#[test]
fn odd_questions() {
    let positions = filled(&[point(33.57, -7.59)]);
    let here = point(33.57, -7.59);
    for (k, radius_m, expected) in [(1, 0.0, 1), (0, 100.0, 0), (1, -1.0, 0), (1, f64::NAN, 0), (usize::MAX, f64::INFINITY, 1)] {
        assert_eq!(positions.nearest(here, k, radius_m, |_| true).len(), expected, "k {k}, radius {radius_m}");
    }
    let nothing = positions.nearest_widening(point(0.0, 0.0), 1, &[], |_| true);
    assert_eq!((nothing.seen.len(), nothing.radius_m), (0, 0.0));
    assert_eq!(Positions::new().nearest(here, 5, 1000.0, |_| true), []);
}

/// Threads that ping, refresh and ask at once: nobody sees half a fix.
#[test]
fn fixes_are_whole_under_fire() {
    let positions = Positions::new();
    let slot = positions.insert(1).unwrap();
    let at = |n: i64| point(n as f64 / 1e4, n as f64 / 1e4);
    positions.ping(slot, &fix(at(0), 0));
    std::thread::scope(|scope| {
        for first in [1, 2] {
            let positions = &positions;
            scope.spawn(move || {
                for n in (first..50_000).step_by(2) {
                    positions.ping(slot, &fix(at(n), n));
                }
            });
        }
        scope.spawn(|| (0..200).filter(|_| positions.refresh()).count());
        for _ in 0..50_000 {
            let seen = positions.last(slot).unwrap();
            assert_eq!(seen.point, at(seen.at_ms));
        }
    });
    positions.refresh();
    assert_eq!(positions.nearest(at(49_999), 1, 1.0, |_| true)[0].fix.at_ms, 49_999);
}
