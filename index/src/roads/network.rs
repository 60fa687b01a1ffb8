//! Streets as a graph, for one way of moving.

use super::Cost;
use crate::geo::Point;

/// How somebody moves. The order is that of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    Foot,
    Bike,
    Motorbike,
    Car,
}

impl Mode {
    pub const ALL: [Self; 4] = [Self::Foot, Self::Bike, Self::Motorbike, Self::Car];
}

/// A stretch that is travelled in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Street {
    /// Where it begins and ends: positions in [`Network::points`].
    pub from: u32,
    pub to: u32,
    pub cost: Cost,
}

/// What is open to one mode.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    pub points: Vec<Point>,
    pub streets: Vec<Street>,
    /// Turns that are forbidden, each as three nodes or more: whoever came along all but the last does not go on to the last.
    pub banned: Vec<Vec<u32>>,
}

impl Network {
    /// Only what can be reached from everywhere in it and leaves to everywhere in it, the biggest such part: nobody is sent into a yard that has no way
    /// out, or asked for the way to an island. Forbidden turns are not looked at here; where they cut somebody off, there is no way.
    #[must_use]
    pub fn heart(&self) -> Self {
        let part = parts(self.points.len(), &self.streets);
        let mut sizes = vec![0_u32; self.points.len()];
        part.iter().for_each(|part| sizes[*part as usize] += 1);
        let Some(biggest) = (0..).zip(&sizes).max_by_key(|(number, size)| (**size, u32::MAX - number)).map(|(number, _): (u32, _)| number)
        else {
            return Self::default();
        };
        let mut renamed = vec![u32::MAX; self.points.len()];
        let mut points = Vec::new();
        for (node, _) in part.iter().enumerate().filter(|(_, part)| **part == biggest) {
            renamed[node] = points.len() as u32;
            points.push(self.points[node]);
        }
        let name = |node: u32| Some(renamed[node as usize]).filter(|name| *name != u32::MAX);
        let inside = |street: &Street| Some(Street { from: name(street.from)?, to: name(street.to)?, cost: street.cost });
        let turn = |turn: &Vec<u32>| turn.iter().map(|node| name(*node)).collect::<Option<Vec<u32>>>();
        Self { points, streets: self.streets.iter().filter_map(inside).collect(), banned: self.banned.iter().filter_map(turn).collect() }
    }
}

/// The streets by where they begin: `first[node]..first[node + 1]` in the list.
pub(super) fn by_start(nodes: usize, streets: &[Street]) -> (Vec<u32>, Vec<Street>) {
    let mut sorted = streets.to_vec();
    sorted.sort_unstable_by_key(|street| (street.from, street.to, street.cost));
    let mut first = vec![0_u32; nodes + 1];
    sorted.iter().for_each(|street| first[street.from as usize + 1] += 1);
    for node in 0..nodes {
        first[node + 1] += first[node];
    }
    (first, sorted)
}

/// The strongly connected part that each node is in, as a number below that of nodes.
///
/// Source: R. Tarjan, "Depth-First Search and Linear Graph Algorithms" (1972), with a stack of its own instead of the thread's.
fn parts(nodes: usize, streets: &[Street]) -> Vec<u32> {
    const NEW: u32 = u32::MAX;
    let (first, streets) = by_start(nodes, streets);
    let (mut seen, mut low, mut part) = (vec![NEW; nodes], vec![NEW; nodes], vec![NEW; nodes]);
    let (mut open, mut path) = (Vec::new(), Vec::new());
    let (mut count, mut found) = (0, 0);
    for root in 0..nodes as u32 {
        if seen[root as usize] != NEW {
            continue;
        }
        path.push((root, first[root as usize]));
        while let Some((node, next)) = path.pop() {
            let at = node as usize;
            if seen[at] == NEW {
                (seen[at], low[at]) = (count, count);
                count += 1;
                open.push(node);
            }
            if next < first[at + 1] {
                let to = streets[next as usize].to;
                path.push((node, next + 1));
                if seen[to as usize] == NEW {
                    path.push((to, first[to as usize]));
                } else if part[to as usize] == NEW {
                    low[at] = low[at].min(seen[to as usize]);
                }
                continue;
            }
            if low[at] == seen[at] {
                while let Some(member) = open.pop() {
                    part[member as usize] = found;
                    if member == node {
                        break;
                    }
                }
                found += 1;
            }
            if let Some((before, _)) = path.last() {
                low[*before as usize] = low[*before as usize].min(low[at]);
            }
        }
    }
    part
}
