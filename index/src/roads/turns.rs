//! Turns that are forbidden: where one is, a crossing is taken apart, so that a way remembers how it came there.
//!
//! ```text
//!   u ──► v ──► w      with u → v → w forbidden:      u ──► v' ──► what is left of v's streets          any other ──► v ──► all of v's streets
//!          └──► x                                             └──────── end of v ────────┘ (at no cost: whoever only goes to v may come from anywhere)
//! ```
//! Only crossings with a forbidden turn grow, by one node for each street that comes into one of their forbidden turns and one for the end; everywhere else
//! nodes stay nodes. That is the graph of streets ("edge-based") where it matters and the graph of crossings where it does not.

use super::{Cost, Network, Street, network::by_start};
use std::collections::{HashMap, HashSet};

/// A network without forbidden turns that has the same ways.
#[derive(Default)]
pub(super) struct Expanded {
    /// The nodes of the first come first, under the names that they had.
    pub network: Network,
    /// Where a way to a node ends, if not in the node itself.
    pub ends: HashMap<u32, u32>,
}

/// Takes crossings apart.
pub(super) fn expand(network: &Network) -> Expanded {
    let nodes = network.points.len();
    let banned: HashSet<[u32; 3]> = network.banned.iter().copied().collect();
    let mut points = network.points.clone();
    let mut copies: HashMap<(u32, u32), u32> = HashMap::new();
    let mut ends: HashMap<u32, u32> = HashMap::new();
    for [from, via, _] in &network.banned {
        let mut another = || {
            points.push(network.points[*via as usize]);
            points.len() as u32 - 1
        };
        ends.entry(*via).or_insert_with(&mut another);
        copies.entry((*from, *via)).or_insert_with(&mut another);
    }
    let (first, sorted) = by_start(nodes, &network.streets);
    let leaving = |node: u32| &sorted[first[node as usize] as usize..first[node as usize + 1] as usize];
    let arrive = |from: u32, to: u32| copies.get(&(from, to)).copied().unwrap_or(to);
    let onto = |from: u32, street: &Street| Street { from, to: arrive(street.from, street.to), cost: street.cost };
    // A street that ends where it begins leads nowhere.
    let real = |street: &&Street| street.from != street.to;
    let mut streets: Vec<Street> = sorted.iter().filter(real).map(|street| onto(street.from, street)).collect();
    for ((from, via), copy) in &copies {
        let left = leaving(*via).iter().filter(real).filter(|street| !banned.contains(&[*from, *via, street.to]));
        streets.extend(left.map(|street| onto(*copy, street)));
        streets.push(Street { from: *copy, to: ends[via], cost: Cost::default() });
    }
    streets.extend(ends.iter().map(|(via, end)| Street { from: *via, to: *end, cost: Cost::default() }));
    // What came out of hash maps gets an order, so that the same map is the same bytes.
    streets.sort_unstable_by_key(|street| (street.from, street.to, street.cost));
    Expanded { network: Network { points, streets, banned: Vec::new() }, ends }
}
