//! The ten nearest of many couriers: live positions against the R-tree alone and a plain grid, in one group.
//!
//! One city, 30 km across, seeds fixed, every query at another place. `positions` also answers exact live distances, fixes and tags; the
//! peers answer the slots in the order of a frozen picture. Mark: `positions` ≤ 1.5 × `rstar` at 100,000.
#![allow(clippy::unwrap_used)]

mod peers;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use index::geo::{Point, Positions};
use peers::{Dice, PlainGrid, fix, plane};
use rstar::{RTree, primitives::GeomWithData};
use std::hint::black_box;

const QUERIES: usize = 4096;

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
