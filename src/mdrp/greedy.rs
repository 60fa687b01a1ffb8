//! The reference player: one order a trip, the nearest idle courier, first ready first served. What anyone gets without thinking;
//! it looks at nothing that is not yet placed.

use super::instance::{Instance, Place};
use super::rules::{Bundle, Trip, arrival_s, pickup_s, trip};
use super::solution::Solution;

/// When an order calls for its courier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// When it is ready.
    WhenReady,
    /// When the nearest idle courier, leaving now, would be just in time for it.
    JustInTime,
}

const TICK_S: i64 = 60;

struct Standing {
    at: Place,
    free_s: i64,
}

/// Plays a day minute by minute. Deterministic: ties go to who stands first in the files.
#[must_use]
pub fn play(instance: &Instance, leave: Leave) -> Solution {
    let mut solution = Solution::default();
    let home = |(index, courier): (usize, &super::Courier)| Standing { at: Place::Courier(index), free_s: courier.on_s };
    let mut standing: Vec<Standing> = instance.couriers.iter().enumerate().map(home).collect();
    let mut waiting: Vec<usize> = (0..instance.orders.len()).collect();
    waiting.sort_by_key(|order| instance.orders[*order].ready_s);

    let first_s = instance.orders.iter().map(|order| order.placed_s).min().unwrap_or(0);
    let last_s = instance.couriers.iter().map(|courier| courier.off_s).max().unwrap_or(0);
    let mut now_s = first_s;
    while now_s <= last_s && !waiting.is_empty() {
        waiting.retain(|&order| {
            let Some((courier, trip)) = call(instance, &standing, leave, order, now_s) else {
                return true;
            };
            standing[courier] = Standing { at: trip.end(), free_s: trip.end_s };
            solution.record(instance, courier, now_s, &trip);
            false
        });
        now_s += TICK_S;
    }
    solution.sort(instance);
    solution
}

/// The courier who leaves now for this order, if it is placed, due, and somebody idle can take it.
fn call(instance: &Instance, standing: &[Standing], leave: Leave, order: usize, now_s: i64) -> Option<(usize, Trip)> {
    let wanted = &instance.orders[order];
    if wanted.placed_s > now_s || (leave == Leave::WhenReady && wanted.ready_s > now_s) {
        return None;
    }
    let bundle = Bundle { restaurant: wanted.restaurant, orders: vec![order] };
    let idle = standing.iter().enumerate().filter(|(_, standing)| standing.free_s <= now_s);
    let (courier, arrive_s) = idle
        .map(|(courier, standing)| (courier, arrival_s(instance, standing.at, now_s, Place::Restaurant(wanted.restaurant))))
        .filter(|(courier, arrive_s)| pickup_s(instance, *arrive_s, now_s, &bundle.orders) <= instance.couriers[*courier].off_s)
        .min_by_key(|(_, arrive_s)| *arrive_s)?;
    let due = leave == Leave::WhenReady || arrive_s + instance.parameters.pickup_service_s / 2 >= wanted.ready_s;
    due.then(|| (courier, trip(instance, standing[courier].at, now_s, now_s, &bundle)))
}
