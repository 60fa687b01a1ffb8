//! Turns that are forbidden: where one is, a crossing is taken apart, so that a way remembers how it came there.
//!
//! ```text
//!   u ──► v ──► w      with u → v → w forbidden:      u ──► v' ──► what is left of v's streets          any other ──► v ──► all of v's streets
//!          └──► x                                             └──────── end of v ────────┘ (at no cost: whoever only goes to v may come from anywhere)
//! ```
//! Only crossings with a forbidden turn grow, by one node for each street that comes into one of their forbidden turns and one for the end; everywhere else
//! nodes stay nodes. That is the graph of streets ("edge-based") where it matters and the graph of crossings where it does not.
//!
//! Where a turn is forbidden over a stretch of road, every node of the stretch is taken apart: a part remembers how much of which forbidden turns is behind
//! it, the longest there is. Of turns that begin alike the beginning is one.
//!
//! Source: A. Aho, M. Corasick, "Efficient String Matching" (1975): words are forbidden turns, letters are nodes.

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
    let banned: HashSet<&[u32]> = network.banned.iter().map(Vec::as_slice).collect();
    let mut points = network.points.clone();
    // By the beginning of a forbidden turn, from its first street on.
    let mut copies: HashMap<&[u32], u32> = HashMap::new();
    let mut ends: HashMap<u32, u32> = HashMap::new();
    for turn in &network.banned {
        for len in 2..turn.len() {
            let (begun, via) = (&turn[..len], turn[len - 1]);
            let mut another = || {
                points.push(network.points[via as usize]);
                points.len() as u32 - 1
            };
            ends.entry(via).or_insert_with(&mut another);
            copies.entry(begun).or_insert_with(&mut another);
        }
    }
    let (first, sorted) = by_start(nodes, &network.streets);
    let leaving = |node: u32| &sorted[first[node as usize] as usize..first[node as usize + 1] as usize];
    // What is remembered of a way: the longest end of it that a forbidden turn begins with.
    let arrive = |way: &[u32], to: u32| (0..way.len()).find_map(|skip| copies.get(&way[skip..]).copied()).unwrap_or(to);
    let is_banned = |way: &[u32]| (0..way.len()).any(|skip| banned.contains(&way[skip..]));
    // A street that ends where it begins leads nowhere.
    let real = |street: &&Street| street.from != street.to;
    let onto = |street: &Street| Street { to: arrive(&[street.from, street.to], street.to), ..*street };
    let mut streets: Vec<Street> = sorted.iter().filter(real).map(onto).collect();
    for (begun, copy) in &copies {
        let via = begun[begun.len() - 1];
        for street in leaving(via).iter().filter(real) {
            let way = [*begun, &[street.to]].concat();
            if !is_banned(&way) {
                streets.push(Street { from: *copy, to: arrive(&way, street.to), cost: street.cost });
            }
        }
        streets.push(Street { from: *copy, to: ends[&via], cost: Cost::default() });
    }
    streets.extend(ends.iter().map(|(via, end)| Street { from: *via, to: *end, cost: Cost::default() }));
    // What came out of hash maps gets an order, so that the same map is the same bytes.
    streets.sort_unstable_by_key(|street| (street.from, street.to, street.cost));
    Expanded { network: Network { points, streets, banned: Vec::new() }, ends }
}
