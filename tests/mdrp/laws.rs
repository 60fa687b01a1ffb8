//! Laws of random days.

use medina::mdrp::{
    Assignment, Bundle, Courier, Delivery, Instance, Leave, Move, Order, Parameters, Place, Point, Restaurant, Solution, check, measure,
    play, trip,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::{MINUTE, broken, courier, order, parameters};

prop_compose! {
    fn any_solution()(
        assignments in vec((-9_000..200_000_i64, 0..200_000_i64, 0..9, vec(0..99, 1..4)), 0..6),
        orders in vec((0..99, 0..99_000_i64, 0..99_000_i64, 0..99_000_i64, 0..99_000_i64, 0..9), 0..6),
        moves in vec((0..9, 0..99_000_i64, proptest::option::of(0..99), 0..99), 0..6),
    ) -> Solution {
        Solution {
            assignments: assignments.into_iter().map(|(assigned_s, pickup_s, courier, orders)| Assignment {
                assigned_s, pickup_s, courier: format!("c{courier}"), orders: orders.iter().map(|o| format!("o{o}")).collect(),
            }).collect(),
            orders: orders.into_iter().map(|(order, placed_s, ready_s, pickup_s, dropoff_s, courier)| Delivery {
                order: format!("o{order}"), placed_s, ready_s, pickup_s, dropoff_s, courier: format!("c{courier}"),
            }).collect(),
            moves: moves.into_iter().map(|(courier, depart_s, origin, destination)| Move {
                courier: format!("c{courier}"), depart_s, origin: origin.map(|o| format!("o{o}")), destination: format!("r{destination}"),
            }).collect(),
        }
    }
}

prop_compose! {
    fn any_day()(
        restaurants in vec((0..3000_i32, 0..3000_i32), 1..4),
        orders in vec((0..3000_i32, 0..3000_i32, 0..300_i64, 0..9_usize, 0..40_i64), 1..12),
        couriers in vec((0..3000_i32, 0..3000_i32, 0..200_i64, 0..240_i64), 1..5),
        (pickup, dropoff) in (0..6_i64, 0..6_i64),
    ) -> Instance {
        let at = |x: i32, y: i32| Point { x: x.into(), y: y.into() };
        let count = restaurants.len();
        let orders = orders.into_iter().enumerate().map(|(i, (x, y, placed, restaurant, cooking))| Order {
            at: at(x, y), ..order(&format!("o{i}"), 0.0, restaurant % count, placed, placed + cooking)
        });
        let couriers = couriers.into_iter().enumerate().map(|(i, (x, y, on, shift))| Courier {
            at: at(x, y), ..courier(&format!("c{i}"), 0.0, on, on + shift)
        });
        let restaurants = restaurants.into_iter().enumerate().map(|(i, (x, y))| Restaurant { id: format!("r{i}"), at: at(x, y) });
        let parameters = Parameters { pickup_service_s: pickup * MINUTE, dropoff_service_s: dropoff * MINUTE, ..parameters() };
        Instance::new("any", orders.collect(), couriers.collect(), restaurants.collect(), parameters).unwrap()
    }
}

/// Whoever draws the next courier takes up to three orders of the next restaurant, some seconds after the last is placed.
fn play_at_random(instance: &Instance, draws: &[(usize, usize, i64)]) -> Solution {
    let mut solution = Solution::default();
    let mut left: Vec<usize> = (0..instance.orders.len()).collect();
    let mut standing: Vec<(Place, i64)> =
        instance.couriers.iter().enumerate().map(|(i, courier)| (Place::Courier(i), courier.on_s)).collect();
    for (draw, size, delay_s) in draws {
        let Some(first) = left.first() else { break };
        let restaurant = instance.orders[*first].restaurant;
        let orders: Vec<usize> = left.iter().copied().filter(|o| instance.orders[*o].restaurant == restaurant).take(1 + size % 3).collect();
        let courier = draw % standing.len();
        let (at, free_s) = standing[courier];
        let placed_s = orders.iter().map(|order| instance.orders[*order].placed_s).max().unwrap();
        let now_s = free_s.max(placed_s) + delay_s;
        let trip = trip(instance, at, now_s, now_s, &Bundle { restaurant, orders });
        if trip.fits_shift(instance, courier) {
            left.retain(|order| trip.stops.iter().all(|stop| stop.order != *order));
            standing[courier] = (trip.end(), trip.end_s);
            solution.record(instance, courier, now_s, &trip);
        }
    }
    solution.sort(instance);
    solution
}

proptest! {
    /// What is written is what is read, to the second.
    #[test]
    fn solutions_survive_their_files(solution in any_solution()) {
        let folder = tempfile::tempdir().unwrap();
        solution.write(folder.path()).unwrap();
        prop_assert_eq!(Solution::read(folder.path()).unwrap(), solution);
    }

    /// Whatever obeys `rules` passes the checker, which knows them from the README alone; and what is delivered was deliverable.
    #[test]
    fn the_rules_and_the_checker_agree(day in any_day(), draws in vec((0..9_usize, 0..9_usize, 0..400_i64), 0..30)) {
        for solution in [play_at_random(&day, &draws), play(&day, Leave::WhenReady), play(&day, Leave::JustInTime)] {
            let report = check(&day, &solution);
            prop_assert!(report.is_ok(), "{:?}", report);
            prop_assert_eq!((report.unwrap().left_before_placement, measure(&day, &solution).delivered), (0, solution.orders.len()));
            for row in &solution.orders {
                let Some(Place::Order(order)) = day.place(&row.order) else { panic!("{} is no order", row.order) };
                prop_assert!(day.deliverable(order));
            }
        }
    }

    /// No time of a row, no pickup and no departure towards a door can be off by anything.
    #[test]
    fn a_single_wrong_time_is_found(
        day in any_day(),
        draws in vec((0..9_usize, 0..9_usize, 0..400_i64), 30),
        (which, kind, by_s) in (any::<proptest::sample::Index>(), 0..4, prop_oneof![-900..0_i64, 1..900_i64]),
    ) {
        let mut solution = play_at_random(&day, &draws);
        if solution.orders.is_empty() {
            return Ok(()); // one random day in five: nothing to tamper with
        }
        match kind {
            0 => which.get_mut(&mut solution.orders).dropoff_s += by_s,
            1 => which.get_mut(&mut solution.orders).pickup_s += by_s,
            2 => which.get_mut(&mut solution.assignments).pickup_s += by_s,
            _ => {
                let order = which.get(&solution.orders).order.clone();
                solution.moves.iter_mut().filter(|leg| leg.destination == order).for_each(|leg| leg.depart_s += by_s);
            }
        }
        prop_assert!(!broken(&day, &solution).is_empty());
    }
}
