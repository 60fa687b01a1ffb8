//! The published rolling horizon, without our search: what the plan is measured against.
//!
//! Each round: how large a bundle should be (orders that are soon ready for each courier who is soon free), bundles of each counter by insertion,
//! the most urgent first (already late for the door, already late for the pickup, the rest), couriers by an exact assignment of least cost, one trip each.
//! What cannot wait is kept. Left out of the paper's version: the move to a counter before the bundle is settled; here a courier can be given more on the way.
//!
//! Source: Reyes, Erera, Savelsbergh, Sahasrabudhe, O'Neil, "The Meal Delivery Routing Problem" (2018), section 4.

use super::assign::assign;
use super::chain::{DOORS_MAX, NEVER, Trip, cost};
use super::search::Plan;
use super::town::{Town, Wish};
use super::{Round, Weights, commit};

/// Orders ready, and couriers free, within this.
const SOON_S: i64 = 600;

/// How urgent: the order is that of the groups.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    LateAtTheDoor,
    LateAtTheCounter,
    InTime,
}

/// Plans one trip a courier, and says who must leave now.
#[must_use]
pub fn decide(town: &Town, weights: &Weights) -> Round {
    let mut chains: Vec<Vec<Trip>> = vec![Vec::new(); town.hands.len()];
    let mut open: Vec<usize> = (0..town.wishes.len()).filter(|wish| town.wishes[*wish].owner.is_none()).collect();
    open.retain(|wish| town.wishes[*wish].ready_s <= town.now_s + SOON_S);
    let free = town.hands.iter().filter(|hand| hand.sent_to.is_none() && hand.free_s <= town.now_s + SOON_S).count();
    let size = open.len().div_ceil(free.max(1)).clamp(1, DOORS_MAX);
    if town.hands.is_empty() {
        open.clear();
    }
    let mut bundles = bundles(town, &open, size);
    bundles.sort_by_key(|trip| (urgency(town, trip), trip.ready_s(town), trip.wishes().next()));
    for group in bundles.chunk_by(|a, b| urgency(town, a) == urgency(town, b)) {
        let hands: Vec<usize> =
            (0..town.hands.len()).filter(|hand| chains[*hand].is_empty() && town.hands[*hand].sent_to.is_none()).collect();
        give(town, weights, group, &hands, &mut chains);
    }
    let with: Vec<usize> = chains.iter().flatten().flat_map(Trip::wishes).collect();
    let left = (0..town.wishes.len()).filter(|wish| town.wishes[*wish].owner.is_none() && !with.contains(wish)).collect();
    commit(town, weights, &Plan { chains, left })
}

/// Each order of a counter into the bundle where it delays the doors least, as long as bundles are below their size.
fn bundles(town: &Town, open: &[usize], size: usize) -> Vec<Trip> {
    let mut sorted = open.to_vec();
    sorted.sort_by_key(|wish| (town.wishes[*wish].counter, town.wishes[*wish].ready_s, *wish));
    let mut all = Vec::new();
    for of_counter in sorted.chunk_by(|a, b| town.wishes[*a].counter == town.wishes[*b].counter) {
        let wanted = of_counter.len().div_ceil(size);
        let mut trips: Vec<Trip> = Vec::with_capacity(wanted);
        for wish in of_counter {
            let fits = trips.iter().enumerate().filter(|(_, trip)| trip.len() < size);
            let longer = fits.map(|(at, trip)| (at, shortest(town, *trip, *wish)));
            let cheapest = longer.min_by_key(|(at, trip)| (doors_s(town, trip) - doors_s(town, &trips[*at]), *at));
            match cheapest {
                Some((at, trip)) if trips.len() >= wanted => trips[at] = trip,
                Some(_) | None => trips.push(Trip::to(*wish)),
            }
        }
        all.extend(trips);
    }
    all
}

/// The trip with one more door, at its best place.
fn shortest(town: &Town, trip: Trip, wish: usize) -> Trip {
    let with = |place: usize| {
        let mut longer = trip;
        longer.insert(place, wish);
        longer
    };
    let best = (0..trip.len()).min_by_key(|place| doors_s(town, &with(*place)));
    let last = with(trip.len());
    best.map(with).filter(|best| doors_s(town, best) < doors_s(town, &last)).unwrap_or(last)
}

/// Seconds from the counter, all doors added up, waiting for the last order included.
fn doors_s(town: &Town, trip: &Trip) -> i64 {
    let mut at_s = trip.ready_s(town);
    let mut previous = None;
    let mut sum_s = 0;
    for wish in trip.wishes() {
        at_s += match previous {
            None => town.ways.own(0, wish),
            Some(previous) => town.ways.between(0, previous, wish),
        } + town.service.dropoff_s;
        sum_s += at_s - town.wishes[wish].ready_s;
        previous = Some(wish);
    }
    sum_s
}

fn urgency(town: &Town, trip: &Trip) -> Urgency {
    let late = |wish: usize| {
        let Wish { ready_s, due_s, .. } = town.wishes[wish];
        let soonest_s = ready_s.max(town.now_s) + town.service.pickup_s / 2 + town.ways.own(0, wish) + town.service.dropoff_s / 2;
        soonest_s > due_s
    };
    if trip.wishes().any(late) {
        Urgency::LateAtTheDoor
    } else if trip.ready_s(town) < town.now_s {
        Urgency::LateAtTheCounter
    } else {
        Urgency::InTime
    }
}

fn give(town: &Town, weights: &Weights, bundles: &[Trip], hands: &[usize], chains: &mut [Vec<Trip>]) {
    const NOBODY: i64 = NEVER >> 12;
    let price = |bundle: usize, column: usize| match hands.get(column) {
        Some(hand) if bundles[bundle].wishes().all(|wish| town.may(*hand, wish)) => {
            cost(town, weights, *hand, [&bundles[bundle]]).min(NOBODY)
        }
        Some(_) | None => NOBODY,
    };
    // A column of nobody for each bundle, so that there are always enough.
    let columns = hands.len() + bundles.len();
    let prices: Vec<i64> =
        (0..bundles.len()).flat_map(|row| (0..columns).map(move |column| (row, column))).map(|(row, column)| price(row, column)).collect();
    let answer = assign(bundles.len(), columns, |row, column| prices[row * columns + column]);
    for (row, column) in answer.into_iter().enumerate() {
        if prices[row * columns + column] < NOBODY
            && let Some(hand) = hands.get(column)
        {
            chains[*hand].push(bundles[row]);
        }
    }
}
