//! Questions to a contracted network: up from here, up (backwards) from there, and the best place where both meet.

use super::{
    Cost, Network,
    contract::{Arc, Contracted, STREET, contract},
    turns::{Expanded, expand},
};
use crate::geo::Point;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
};

/// Arcs of all nodes: those of `node` are `first[node]..first[node + 1]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Arcs {
    pub first: Vec<u32>,
    pub arcs: Vec<Arc>,
}

impl Arcs {
    fn of(lists: Vec<Vec<Arc>>) -> Self {
        let mut all = Self { first: vec![0], arcs: Vec::new() };
        for list in lists {
            all.arcs.extend(list);
            all.first.push(all.arcs.len() as u32);
        }
        all
    }

    fn at(&self, node: u32) -> &[Arc] {
        &self.arcs[self.first[node as usize] as usize..self.first[node as usize + 1] as usize]
    }
}

/// A network that answers fast. Every arc leads from a node to one of a greater number.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Hierarchy {
    pub points: Vec<Point>,
    pub up: Arcs,
    pub down: Arcs,
    /// Where ways to a node end, if not in the node itself (a crossing with a forbidden turn).
    pub ends: BTreeMap<u32, u32>,
    /// Nodes that are only parts of a crossing: no way begins or ends there. Ascending.
    pub parts: Vec<u32>,
}

/// What was reached going up: the cost, and the node and arc that it was reached over.
type Reached = HashMap<u32, (Cost, u32, u32)>;

impl Hierarchy {
    /// Contracts a network. Takes seconds for a city.
    pub(super) fn build(network: &Network) -> Self {
        let Expanded { network: expanded, ends } = expand(network);
        let Contracted { old, up, down } = contract(&expanded);
        let mut name = vec![0_u32; old.len()];
        (0..).zip(&old).for_each(|(new, old): (u32, &u32)| name[*old as usize] = new);
        let mut parts = name[network.points.len()..].to_vec();
        parts.sort_unstable();
        Self {
            points: old.into_iter().map(|old| expanded.points[old as usize]).collect(),
            up: Arcs::of(up),
            down: Arcs::of(down),
            ends: ends.into_iter().map(|(node, end)| (name[node as usize], name[end as usize])).collect(),
            parts,
        }
    }

    fn end(&self, to: u32) -> u32 {
        self.ends.get(&to).copied().unwrap_or(to)
    }

    /// The nodes where ways may begin and end, ascending.
    pub(super) fn places(&self) -> impl Iterator<Item = u32> {
        (0..self.points.len() as u32).filter(|node| self.parts.binary_search(node).is_err())
    }

    fn climb(arcs: &Arcs, from: u32) -> Reached {
        let mut reached: Reached = HashMap::from([(from, (Cost::default(), from, STREET))]);
        let mut queue = BinaryHeap::from([Reverse((Cost::default(), from))]);
        while let Some(Reverse((cost, node))) = queue.pop() {
            if reached[&node].0 < cost {
                continue;
            }
            for arc in arcs.at(node) {
                let there = cost.plus(arc.cost);
                let best = reached.entry(arc.to).or_insert((Cost::NEVER, node, arc.middle));
                if there < best.0 {
                    *best = (there, node, arc.middle);
                    queue.push(Reverse((there, arc.to)));
                }
            }
        }
        reached
    }

    fn meeting(forth: &Reached, back: &Reached) -> Option<(Cost, u32)> {
        let (few, many) = if forth.len() < back.len() { (forth, back) } else { (back, forth) };
        few.iter().filter_map(|(node, (one, ..))| Some((one.plus(many.get(node)?.0), *node))).min()
    }

    /// The fastest way's cost.
    pub(super) fn cost(&self, from: u32, to: u32) -> Option<Cost> {
        Self::meeting(&Self::climb(&self.up, from), &Self::climb(&self.down, self.end(to))).map(|(cost, _)| cost)
    }

    /// The fastest way: its cost and its nodes.
    pub(super) fn way(&self, from: u32, to: u32) -> Option<(Cost, Vec<u32>)> {
        let wanted = to;
        let to = self.end(wanted);
        let (forth, back) = (Self::climb(&self.up, from), Self::climb(&self.down, to));
        let (cost, top) = Self::meeting(&forth, &back)?;
        let mut arcs = Vec::new();
        let mut node = top;
        while node != from {
            let (_, before, middle) = forth[&node];
            arcs.push((before, node, middle));
            node = before;
        }
        arcs.reverse();
        node = top;
        while node != to {
            let (_, next, middle) = back[&node];
            arcs.push((node, next, middle));
            node = next;
        }
        let mut way = vec![from];
        arcs.reverse();
        // Depth first: what a shortcut stands for takes its place.
        while let Some((a, b, middle)) = arcs.pop() {
            if middle == STREET {
                way.push(b);
                continue;
            }
            let part = |arcs: &[Arc], other: u32| {
                arcs.iter().find(|arc| arc.to == other).map(|arc| arc.middle).expect("a shortcut's halves end in its middle")
            };
            let (first, second) = (part(self.down.at(middle), a), part(self.up.at(middle), b));
            arcs.push((middle, b, second));
            arcs.push((a, middle, first));
        }
        if to != wanted {
            // The end of a crossing is where the crossing is.
            way.pop();
        }
        Some((cost, way))
    }

    /// All costs from each of some nodes to each of others.
    ///
    /// Source: S. Knopp, P. Sanders, D. Schultes, F. Schulz, D. Wagner, "Computing Many-to-Many Shortest Paths Using Highway Hierarchies" (2007): buckets.
    pub(super) fn table(&self, from: &[u32], to: &[u32]) -> Vec<Vec<Option<Cost>>> {
        let mut buckets: HashMap<u32, Vec<(usize, Cost)>> = HashMap::new();
        for (column, target) in to.iter().enumerate() {
            for (node, (cost, ..)) in Self::climb(&self.down, self.end(*target)) {
                buckets.entry(node).or_default().push((column, cost));
            }
        }
        let row = |source: &u32| {
            let mut row = vec![None::<Cost>; to.len()];
            for (node, (cost, ..)) in Self::climb(&self.up, *source) {
                for (column, rest) in buckets.get(&node).into_iter().flatten() {
                    let whole = cost.plus(*rest);
                    row[*column] = Some(row[*column].map_or(whole, |best| best.min(whole)));
                }
            }
            row
        };
        from.iter().map(row).collect()
    }
}
