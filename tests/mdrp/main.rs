//! Meal-delivery days: reading, checking, measuring; and the 15 public days if MEDINA_DATA names the folder that holds `mdrp/`.
#![allow(clippy::unwrap_used)] // tests

mod assignment;
mod bench;
mod checker;
mod files;
mod laws;
mod plans;
mod public_days;

use std::collections::BTreeSet;

use medina::mdrp::{
    Bundle, Courier, Instance, Order, Parameters, Place, Point, Restaurant, Rule, Solution, Summary, check, just_in_time_s, measure, trip,
};

const MINUTE: i64 = 60;

fn parameters() -> Parameters {
    Parameters {
        meters_per_minute: 100.0,
        pickup_service_s: 4 * MINUTE,
        dropoff_service_s: 3 * MINUTE, // odd: drop-offs fall on half-minutes
        target_s: 40 * MINUTE,
        maximum_s: 90 * MINUTE,
        pay_per_order_cents: 1000,
        pay_per_hour_cents: 1500,
    }
}

fn order(id: &str, x: f64, restaurant: usize, placed: i64, ready: i64) -> Order {
    let (placed_s, ready_s) = (placed * MINUTE, ready * MINUTE);
    Order { id: id.into(), at: Point { x, y: 0.0 }, placed_s, restaurant, ready_s }
}

fn courier(id: &str, x: f64, on: i64, off: i64) -> Courier {
    Courier { id: id.into(), at: Point { x, y: 0.0 }, on_s: on * MINUTE, off_s: off * MINUTE }
}

fn restaurant(id: &str, x: f64) -> Restaurant {
    Restaurant { id: id.into(), at: Point { x, y: 0.0 } }
}

/// Everything on one line, 100 metres a minute.
fn small() -> Instance {
    Instance::new(
        "small",
        vec![order("o1", 300.0, 0, 10, 20), order("o2", 500.0, 0, 12, 25), order("o3", 1200.0, 1, 30, 40)],
        vec![courier("c1", 200.0, 5, 60), courier("c2", 900.0, 0, 120)],
        vec![restaurant("r1", 0.0), restaurant("r2", 1000.0)],
        parameters(),
    )
    .unwrap()
}

/// c1: leaves 12, at r1 14, o1 and o2 ready 25, leaves 27, o1 at 30 + 1.5, leaves 33, o2 at 35 + 1.5, free 38; at r2 43, picks o3 up 45, leaves 47, o3 at 49 + 1.5.
fn played(instance: &Instance) -> Solution {
    let mut solution = Solution::default();
    let first = trip(instance, Place::Courier(0), 720, 720, &Bundle { restaurant: 0, orders: vec![0, 1] });
    let second = trip(instance, first.end(), 1900, first.end_s, &Bundle { restaurant: 1, orders: vec![2] });
    solution.record(instance, 0, 720, &first);
    solution.record(instance, 0, 1900, &second);
    solution.sort(instance);
    solution
}

fn broken(instance: &Instance, solution: &Solution) -> BTreeSet<Rule> {
    check(instance, solution).err().unwrap_or_default().iter().map(|violation| violation.rule).collect()
}

#[test]
fn the_small_day_is_as_computed_by_hand() {
    let instance = small();
    let solution = played(&instance);
    let report = check(&instance, &solution).unwrap();
    assert_eq!((report.delivered, report.assignments, report.undelivered.len()), (3, 2, 0));
    let departures: Vec<i64> = solution.moves.iter().map(|leg| leg.depart_s / MINUTE).collect();
    assert_eq!(departures, [12, 27, 33, 38, 47]);
    let dropoffs: Vec<i64> = solution.orders.iter().map(|row| row.dropoff_s).collect();
    assert_eq!(dropoffs, [31 * 60 + 30, 36 * 60 + 30, 50 * 60 + 30]);

    let day = measure(&instance, &solution);
    let close = |found: f64, expected: f64| {
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    };
    close(day.click_to_door_mean, (21.5 + 24.5 + 20.5) / 3.0);
    close(day.click_to_door_p90, 21.5 + 0.8 * 3.0);
    close(day.click_to_door_max, 24.5);
    close(day.ready_to_pickup_mean, (5.0 + 0.0 + 5.0) / 3.0);
    close(day.ready_to_door_mean, (11.5 + 11.5 + 10.5) / 3.0);
    close(day.overage_mean, 0.0);
    // c1: drives 2 + 3 + 2 + 5 + 2, serves 2 × 4 + 3 × 3, of 55 minutes; c2 nothing.
    close(day.utilisation, 31.0 / 55.0 / 2.0);
    // c1: 3 orders (30.00) against 55 minutes (13.75); c2: two hours' guarantee.
    assert_eq!(day.pay_total_cents, 3000 + 3000);
    close(day.orders_per_bundle, 1.5);
    close(day.within_target, 1.0);

    // The same day against a harder target: 21.5 is just in time, 24.5 is over by 3 and over the maximum.
    let harder = Parameters { target_s: 21 * MINUTE + 30, maximum_s: 24 * MINUTE, ..parameters() };
    let Instance { name, orders, couriers, restaurants, .. } = instance;
    let day = measure(&Instance::new(name, orders, couriers, restaurants, harder).unwrap(), &solution);
    close(day.overage_mean, 3.0 / 3.0);
    close(day.within_target, 2.0 / 3.0);
    assert_eq!(day.over_maximum, 1);
}

#[test]
fn a_couriers_physics() {
    let instance = small();
    let at = |x: f64| Point { x, y: 0.0 };
    let travel = [0.0, 0.5, 100.0, 100.5, 300.0].map(|x| instance.travel_minutes(at(0.0), at(x)));
    assert_eq!(travel, [0, 1, 1, 2, 3], "travel is rounded up to minutes");

    // Sent ahead at 12, at r1 at 14; told at 26 what to take, though all was ready at 25.
    let both = Bundle { restaurant: 0, orders: vec![0, 1] };
    let told = trip(&instance, Place::Courier(0), 26 * MINUTE, 12 * MINUTE, &both);
    assert_eq!((told.arrive_s, told.pickup_s, told.leave_s), (14 * MINUTE, 26 * MINUTE, 28 * MINUTE));

    let just = just_in_time_s(&instance, Place::Courier(0), &both);
    assert_eq!(just, 21 * MINUTE);
    for (late_s, expected) in [(-1, 25 * MINUTE), (0, 25 * MINUTE), (1, 25 * MINUTE + 1)] {
        assert_eq!(trip(&instance, Place::Courier(0), just, just + late_s, &both).pickup_s, expected);
    }

    // c1 is on from 5 to 60 and 2 + 2 minutes away from a pickup at r1.
    for (depart_s, fits) in [(299, false), (300, true), (56 * MINUTE, true), (56 * MINUTE + 1, false)] {
        let trip = trip(&instance, Place::Courier(0), depart_s, depart_s, &both);
        assert_eq!(trip.fits_shift(&instance, 0), fits, "leaves at {depart_s} s");
    }
}

#[test]
fn pay_is_rounded_once_half_to_even() {
    for (pay_per_hour_cents, shift, expected) in [(1501, 30, 750), (1503, 30, 752), (1501, 31, 776), (1501, 29, 725)] {
        let parameters = Parameters { pay_per_hour_cents, ..parameters() };
        let day = Instance::new("pay", vec![], vec![courier("c", 0.0, 0, shift)], vec![], parameters).unwrap();
        assert_eq!(measure(&day, &Solution::default()).pay_total_cents, expected, "{pay_per_hour_cents} × {shift} min");
    }
}

#[test]
fn what_cannot_be_delivered() {
    // r is 10 minutes from home, half of the pickup service takes 2. (on, off, placed, ready) → (ever, without foresight)
    for (shift, placed, ready, expected) in [
        ((0, 60), 10, 20, (true, true)),
        ((0, 20), 10, 20, (true, false)), // leaving when it is placed, the pickup is at 22
        ((0, 22), 10, 20, (true, true)),
        ((0, 12), 0, 12, (true, true)),
        ((0, 11), 0, 0, (false, false)),
        ((0, 19), 10, 20, (false, false)), // ready after the shift
        ((30, 41), 0, 0, (false, false)),  // a shift shorter than the way
    ] {
        let instance = Instance::new(
            "reach",
            vec![order("o", 0.0, 0, placed, ready)],
            vec![courier("c", 1000.0, shift.0, shift.1)],
            vec![restaurant("r", 0.0)],
            parameters(),
        )
        .unwrap();
        let found = (instance.deliverable(0), instance.deliverable_alone(0));
        assert_eq!(found, expected, "shift {shift:?}, placed {placed}, ready {ready}");
    }
}

#[test]
fn nobody_delivered_is_a_dash_and_null() {
    let day = measure(&small(), &Solution::default());
    assert_eq!((day.undelivered, day.pay_total_cents), (3, 1375 + 3000));
    assert!(serde_json::to_value(&day).unwrap()["click_to_door_mean"].is_null());
    let table = Summary(&[day.clone(), day]).to_string();
    let widths: BTreeSet<usize> = table.lines().map(|line| line.chars().count()).collect();
    assert_eq!((widths.len(), table.lines().count()), (1, 4), "not aligned:\n{table}");
    assert!(table.contains(" - "), "{table}");
}
