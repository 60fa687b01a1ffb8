//! Contraction: the least important node is taken out, again and again; where a fastest way led over it, a shortcut stays.
//!
//! Source: R. Geisberger, P. Sanders, D. Schultes, D. Delling, "Contraction Hierarchies: Faster and Simpler Hierarchical Routing in Road Networks" (2008).
//! Order: shortcuts less streets removed, and how deep the node would stand, looked at again when a node's turn comes (lazy updates). A search for a
//! witness gives up early; that costs a needless shortcut, never a wrong way.

use super::{Cost, Network};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

/// Nodes that the search for a witness settles at most.
const SETTLED_MAX: usize = 60;
/// The middle of what is no shortcut.
pub(super) const STREET: u32 = u32::MAX;

/// An arc from a node to another that was taken out later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arc {
    /// The other end.
    pub to: u32,
    pub cost: Cost,
    /// The node between the two arcs that it stands for, or [`STREET`].
    pub middle: u32,
}

/// What contraction leaves. Nodes have new names: the order in which they were taken out.
pub(super) struct Contracted {
    /// The old name of each.
    pub old: Vec<u32>,
    /// Of each node, the arcs that leave it upwards.
    pub up: Vec<Vec<Arc>>,
    /// Of each node, the arcs that come to it from above; `to` is where they begin.
    pub down: Vec<Vec<Arc>>,
}

struct Graph {
    out: Vec<Vec<Arc>>,
    into: Vec<Vec<Arc>>,
    level: Vec<u32>,
    witness: Witness,
}

/// Distances of one small search.
#[derive(Default)]
struct Witness {
    best: HashMap<u32, Cost>,
    queue: BinaryHeap<Reverse<(Cost, u32)>>,
}

/// Takes all nodes out.
pub(super) fn contract(network: &Network) -> Contracted {
    let nodes = network.points.len();
    let mut graph =
        Graph { out: vec![Vec::new(); nodes], into: vec![Vec::new(); nodes], level: vec![0; nodes], witness: Witness::default() };
    for street in network.streets.iter().filter(|street| street.from != street.to) {
        graph.join(street.from, street.to, street.cost, STREET);
    }
    let mut queue: BinaryHeap<Reverse<(i64, u32)>> = (0..nodes as u32).map(|node| Reverse((graph.priority(node), node))).collect();
    let mut rank = vec![0_u32; nodes];
    let mut contracted = Contracted { old: Vec::with_capacity(nodes), up: Vec::with_capacity(nodes), down: Vec::with_capacity(nodes) };
    while let Some(Reverse((_, node))) = queue.pop() {
        let priority = graph.priority(node);
        if queue.peek().is_some_and(|Reverse((next, _))| *next < priority) {
            queue.push(Reverse((priority, node)));
            continue;
        }
        rank[node as usize] = contracted.old.len() as u32;
        contracted.old.push(node);
        let (out, into) = graph.take_out(node);
        contracted.up.push(out);
        contracted.down.push(into);
    }
    let name = |old: u32| rank[old as usize];
    for arcs in contracted.up.iter_mut().chain(&mut contracted.down) {
        for arc in arcs {
            arc.to = name(arc.to);
            arc.middle = if arc.middle == STREET { STREET } else { name(arc.middle) };
        }
    }
    contracted
}

impl Graph {
    /// Adds an arc, or makes the one that is there better.
    fn join(&mut self, from: u32, to: u32, cost: Cost, middle: u32) {
        let put = |arcs: &mut Vec<Arc>, to: u32| match arcs.iter_mut().find(|arc| arc.to == to) {
            Some(arc) if arc.cost <= cost => (),
            Some(arc) => (arc.cost, arc.middle) = (cost, middle),
            None => arcs.push(Arc { to, cost, middle }),
        };
        put(&mut self.out[from as usize], to);
        put(&mut self.into[to as usize], from);
    }

    fn priority(&mut self, node: u32) -> i64 {
        let removed = self.out[node as usize].len() + self.into[node as usize].len();
        let shortcuts = self.shortcuts(node).len();
        2 * shortcuts as i64 - removed as i64 + i64::from(self.level[node as usize])
    }

    /// What has to be joined if `node` goes.
    fn shortcuts(&mut self, node: u32) -> Vec<(u32, u32, Cost)> {
        let (out, into) = (&self.out[node as usize], &self.into[node as usize]);
        let mut shortcuts = Vec::new();
        for first in into {
            let targets = out.iter().filter(|second| second.to != first.to);
            let Some(farthest) = targets.clone().map(|second| first.cost.plus(second.cost)).max() else { continue };
            self.witness.search(&self.out, first.to, node, farthest);
            for second in targets {
                let over = first.cost.plus(second.cost);
                if self.witness.best.get(&second.to).is_none_or(|around| *around > over) {
                    shortcuts.push((first.to, second.to, over));
                }
            }
        }
        shortcuts
    }

    /// Its arcs to nodes that stay, out and in.
    fn take_out(&mut self, node: u32) -> (Vec<Arc>, Vec<Arc>) {
        for (from, to, cost) in self.shortcuts(node) {
            self.join(from, to, cost, node);
        }
        let (out, into) = (std::mem::take(&mut self.out[node as usize]), std::mem::take(&mut self.into[node as usize]));
        let level = self.level[node as usize] + 1;
        for arc in &out {
            self.into[arc.to as usize].retain(|back| back.to != node);
            self.level[arc.to as usize] = self.level[arc.to as usize].max(level);
        }
        for arc in &into {
            self.out[arc.to as usize].retain(|on| on.to != node);
            self.level[arc.to as usize] = self.level[arc.to as usize].max(level);
        }
        (out, into)
    }
}

impl Witness {
    /// Fastest ways from a node that avoid another, as far as `limit` and patience reach.
    fn search(&mut self, out: &[Vec<Arc>], from: u32, avoided: u32, limit: Cost) {
        self.best.clear();
        self.queue.clear();
        self.best.insert(from, Cost::default());
        self.queue.push(Reverse((Cost::default(), from)));
        let mut settled = 0;
        while let Some(Reverse((cost, node))) = self.queue.pop() {
            if cost > limit || settled == SETTLED_MAX {
                return;
            }
            if self.best.get(&node).is_some_and(|best| *best < cost) {
                continue;
            }
            settled += 1;
            for arc in out[node as usize].iter().filter(|arc| arc.to != avoided) {
                let there = cost.plus(arc.cost);
                let best = self.best.entry(arc.to).or_insert(Cost::NEVER);
                if there < *best {
                    *best = there;
                    self.queue.push(Reverse((there, arc.to)));
                }
            }
        }
    }
}
