//! The ten nearest of many couriers: live positions against the R-tree alone and a plain grid, in one group.
//!
//! One city, 30 km across, seeds fixed, every query at another place. `positions` also answers exact live distances, fixes and tags; the
//! peers answer the slots in the order of a frozen picture. Mark: `positions` ≤ 1.5 × `rstar` at 100,000.
#![allow(clippy::unwrap_used)]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use index::geo::{Fix, Point, Positions};
use rstar::{RTree, primitives::GeomWithData};
use std::{collections::BinaryHeap, hint::black_box};

const SOUTH: f64 = 33.43;
const WEST: f64 = -7.75;
const HEIGHT: f64 = 0.27; // 30 km
const WIDTH: f64 = 0.324; // 30 km at this latitude
const QUERIES: usize = 4096;

/// A generator of our own, so that no crate's next version changes the input (xorshift64*).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn point(&mut self) -> Point {
        Point::new(SOUTH + HEIGHT * self.next(), WEST + WIDTH * self.next()).unwrap()
    }
}

/// Metres in the plane from the south-west corner.
fn plane(point: Point) -> [f64; 2] {
    let metres = 111_195.08;
    [(point.lon() - WEST) * metres * 33.565_f64.to_radians().cos(), (point.lat() - SOUTH) * metres]
}

/// The plain grid: fixed cells, rings until ten are certain.
struct PlainGrid {
    side_m: f64,
    across: i64,
    cells: Vec<Vec<([f64; 2], u32)>>,
}

impl PlainGrid {
    fn new(points: &[[f64; 2]]) -> Self {
        let side_m = (30_100.0_f64 * 30_100.0 * 3.0 / points.len() as f64).sqrt().max(50.0);
        let across = (30_200.0 / side_m) as i64 + 1;
        let mut cells = vec![Vec::new(); (across * across) as usize];
        for (slot, point) in (0..).zip(points) {
            cells[((point[1] / side_m) as i64 * across + (point[0] / side_m) as i64) as usize].push((*point, slot));
        }
        Self { side_m, across, cells }
    }

    fn nearest(&self, from: [f64; 2], k: usize) -> Vec<(u64, u32)> {
        let (x, y) = ((from[0] / self.side_m) as i64, (from[1] / self.side_m) as i64);
        let mut best: BinaryHeap<(u64, u32)> = BinaryHeap::with_capacity(k + 1);
        for ring in 0..self.across {
            for (i, j) in (-ring..=ring).flat_map(|i| (-ring..=ring).map(move |j| (i, j))) {
                if i.abs().max(j.abs()) != ring || !(0..self.across).contains(&(x + i)) || !(0..self.across).contains(&(y + j)) {
                    continue;
                }
                for (point, slot) in &self.cells[((y + j) * self.across + x + i) as usize] {
                    let d2 = ((point[0] - from[0]).powi(2) + (point[1] - from[1]).powi(2)).to_bits();
                    if best.len() < k || best.peek().is_some_and(|worst| d2 < worst.0) {
                        best.push((d2, *slot));
                        if best.len() > k {
                            best.pop();
                        }
                    }
                }
            }
            let sure_m = ring as f64 * self.side_m;
            if best.len() == k && best.peek().is_some_and(|worst| f64::from_bits(worst.0) <= sure_m * sure_m) {
                break;
            }
        }
        best.into_sorted_vec()
    }
}

fn fix(point: Point, at_ms: i64) -> Fix {
    Fix { point, at_ms, heading_deg: None, speed_mps: Some(7.0), accuracy_m: Some(5.0) }
}

fn nearest(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("nearest-10");
    for couriers in [1_000_usize, 10_000, 100_000, 1_000_000] {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        let points: Vec<Point> = (0..couriers).map(|_| dice.point()).collect();
        let queries: Vec<Point> = (0..QUERIES).map(|_| dice.point()).collect();
        let flat: Vec<[f64; 2]> = points.iter().map(|point| plane(*point)).collect();

        let positions = Positions::new();
        for (id, point) in (0_u128..).zip(&points) {
            let slot = positions.insert(id).unwrap();
            positions.set_tag(slot, 1);
            positions.ping(slot, &fix(*point, 1));
        }
        positions.refresh();
        let grid = PlainGrid::new(&flat);
        let tree = RTree::bulk_load((0_u32..).zip(&flat).map(|(slot, point)| GeomWithData::new(*point, slot)).collect());

        // All three answer the same question.
        for query in &queries[..50] {
            let ours: Vec<u32> = positions.nearest(*query, 10, 50_000.0, |_| true).iter().map(|seen| seen.slot.index() as u32).collect();
            let theirs: Vec<u32> = grid.nearest(plane(*query), 10).into_iter().map(|(_, slot)| slot).collect();
            let trees: Vec<u32> = tree.nearest_neighbor_iter(plane(*query)).take(10).map(|leaf| leaf.data).collect();
            assert_eq!(theirs, trees);
            assert!(ours.iter().filter(|slot| theirs.contains(slot)).count() >= 9, "plane and sphere may differ at the margin only");
        }

        let mut turn = (0..QUERIES).cycle();
        group.bench_function(BenchmarkId::new("positions", couriers), |bench| {
            bench.iter(|| positions.nearest(queries[turn.next().unwrap()], 10, 50_000.0, |seen| black_box(seen.tag) == 1));
        });
        group.bench_function(BenchmarkId::new("rstar", couriers), |bench| {
            bench.iter(|| {
                let from = plane(queries[turn.next().unwrap()]);
                tree.nearest_neighbor_iter(from).take(10).map(|leaf| leaf.data).collect::<Vec<u32>>()
            });
        });
        group.bench_function(BenchmarkId::new("plain-grid", couriers), |bench| {
            bench.iter(|| grid.nearest(plane(queries[turn.next().unwrap()]), 10));
        });
    }
    group.finish();
}

/// What positions cost to keep: one ping, and one picture of everybody.
fn keeping(criterion: &mut Criterion) {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let positions = Positions::new();
    let slots: Vec<_> = (0..100_000_u128).map(|id| positions.insert(id).unwrap()).collect();
    for slot in &slots {
        positions.ping(*slot, &fix(dice.point(), 1));
    }
    let path: Vec<Point> = (0..QUERIES).map(|_| dice.point()).collect();
    let mut group = criterion.benchmark_group("keeping-100000");
    let mut at_ms = 1;
    group.bench_function("ping", |bench| {
        bench.iter(|| {
            at_ms += 1;
            let slot = slots[(at_ms as usize).wrapping_mul(7919) % slots.len()];
            positions.ping(slot, &fix(path[at_ms as usize % QUERIES], at_ms))
        });
    });
    group.sample_size(20).bench_function("refresh", |bench| {
        bench.iter(|| {
            at_ms += 1;
            positions.ping(slots[at_ms as usize % slots.len()], &fix(dice.point(), at_ms));
            assert!(positions.refresh());
        });
    });
    group.finish();
}

criterion_group!(benches, nearest, keeping);
criterion_main!(benches);
