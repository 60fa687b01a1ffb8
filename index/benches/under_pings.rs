//! The ten nearest of 100,000 couriers while 50,000 pings a second arrive and a new picture is taken four times a second: how long one query takes,
//! at the median and at the tail. The R-tree and the plain grid answer the same questions beside it, alone and with nobody moving.
//!
//! `cargo bench -p index --bench under_pings -- [--seconds S]`; mark: p99 of ours at most 10 µs. A query that the machine's other work interrupts counts
//! with the interruption, for all three alike: on a loaded machine read the median and the ratio.
#![allow(clippy::unwrap_used)]

mod peers;

use index::geo::{Point, Positions};
use peers::{Dice, PlainGrid, fix, plane};
use rstar::{RTree, primitives::GeomWithData};
use std::{
    env,
    hint::black_box,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

const COURIERS: usize = 100_000;
const PINGS_PER_S: u64 = 50_000;
/// Pings come in small groups, as a server reads them from its connections.
const GROUP: u64 = 50;
const PICTURE_EVERY: Duration = Duration::from_millis(250);

fn main() {
    let words: Vec<String> = env::args().collect();
    let seconds =
        words.iter().position(|word| word == "--seconds").and_then(|at| words.get(at + 1)).map_or(5, |word| word.parse().unwrap());
    let time = Duration::from_secs(seconds);
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let points: Vec<Point> = (0..COURIERS).map(|_| dice.point()).collect();
    let flat: Vec<[f64; 2]> = points.iter().map(|point| plane(*point)).collect();
    let grid = PlainGrid::new(&flat);
    let tree = RTree::bulk_load((0_u32..).zip(&flat).map(|(slot, point)| GeomWithData::new(*point, slot)).collect());
    let positions = Positions::new();
    for (id, point) in (0_u128..).zip(&points) {
        positions.ping(positions.insert(id).unwrap(), &fix(*point, 1));
    }
    positions.refresh();

    println!("| nearest-10, {COURIERS} couriers | queries | p50 µs | p99 µs | p99.9 µs |\n| --- | --- | --- | --- | --- |");
    let (over, pings) = (AtomicBool::new(false), AtomicU64::new(0));
    let rate = thread::scope(|scope| {
        scope.spawn(|| move_everybody(&positions, &over, &pings));
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                thread::sleep(PICTURE_EVERY);
                positions.refresh();
            }
        });
        let begun = Instant::now();
        show("positions, under pings", time, |point| {
            black_box(positions.nearest(point, 10, 50_000.0, |_| true));
        });
        let rate = pings.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
        over.store(true, Ordering::Relaxed);
        rate
    });
    show("rstar, alone", time, |point| {
        black_box(tree.nearest_neighbor_iter(plane(point)).take(10).map(|leaf| leaf.data).collect::<Vec<u32>>());
    });
    show("plain grid, alone", time, |point| {
        black_box(grid.nearest(plane(point), 10));
    });
    println!("\n{rate:.0} pings/s arrived");
}

/// Everybody takes a step in turn, at the rate that was asked for.
fn move_everybody(positions: &Positions, over: &AtomicBool, pings: &AtomicU64) {
    let mut dice = Dice(7);
    let slots: Vec<_> = (0..COURIERS as u128).map(|id| positions.lookup(id).unwrap()).collect();
    let (begun, mut sent) = (Instant::now(), 0_u64);
    while !over.load(Ordering::Relaxed) {
        for _ in 0..GROUP {
            let slot = slots[sent as usize % COURIERS];
            let last = positions.last(slot).unwrap();
            let step = |degrees: f64, dice: &mut Dice| degrees + (dice.next() - 0.5) * 1e-4;
            let point = Point::new(step(last.point.lat(), &mut dice), step(last.point.lon(), &mut dice)).unwrap();
            positions.ping(slot, &fix(point, last.at_ms + 1));
            sent += 1;
        }
        pings.store(sent, Ordering::Relaxed);
        let due = begun + Duration::from_secs_f64(sent as f64 / PINGS_PER_S as f64);
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

fn show(name: &str, time: Duration, query: impl Fn(Point)) {
    let mut dice = Dice(42);
    let mut took_ns = Vec::with_capacity(4 << 20);
    let begun = Instant::now();
    while begun.elapsed() < time {
        let point = dice.point();
        let asked = Instant::now();
        query(point);
        took_ns.push(asked.elapsed().as_nanos() as u32);
    }
    took_ns.sort_unstable();
    let quantile = |share: f64| f64::from(took_ns[((took_ns.len() - 1) as f64 * share) as usize]) / 1e3;
    println!("| {name} | {} | {:.1} | {:.1} | {:.1} |", took_ns.len(), quantile(0.5), quantile(0.99), quantile(0.999));
}
