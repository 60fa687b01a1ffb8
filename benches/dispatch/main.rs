//! The whole dispatch path as it serves: rows from a view, the live map, candidates, decisions. Input of fixed seeds, grown by tens.
//!
//! `cargo bench --bench dispatch`; `MEDINA_BENCH_COURIERS=1000000` sets the largest city (default 100,000). Beside criterion's figures (wall time) it prints, for
//! each size, p50 and p99 of single decisions in time of the thread's own, so that a busy machine does not spoil them, as a table and a plot. Marks, with 100,000 couriers and 500 open orders: `immediate` p99 <= 1 ms,
//! a `horizon` round <= 100 ms.
#![allow(clippy::unwrap_used)]

mod city;

use std::hint::black_box;
use std::time::Duration;

use city::{CITY, Dice, NOW, Town};
use criterion::{BenchmarkId, Criterion};
use medina::city::dispatch::policy::{Choice, Found, Policy, Scene};
use medina::city::dispatch::scene::LiveScene;

/// The product's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZES: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// Single decisions that a quantile is taken of.
const DECISIONS: usize = 4_000;
const ROUNDS: usize = 20;

fn scene(town: &Town) -> LiveScene {
    LiveScene::new(town.view.clone(), town.tracking.clone(), NOW, std::iter::once(CITY))
}

/// One job, from the view to the plan, as the dispatcher does it when one is due.
fn decide(town: &Town, policy: &dyn Policy, job: usize) -> usize {
    let scene = scene(town);
    let plans = policy.plan(&scene, &town.jobs[job..=job]);
    plans.iter().map(|plan| plan.candidates.len()).sum()
}

/// All that is open, at once.
fn round(town: &Town, policy: &dyn Policy) -> usize {
    let scene = scene(town);
    let plans = policy.plan(&scene, &town.jobs);
    plans.iter().filter(|plan| matches!(plan.found, Found::Offer { .. })).map(|plan| plan.jobs.len()).sum()
}

/// p50 and p99 of some takes.
fn quantiles(mut took: Vec<Duration>) -> (Duration, Duration) {
    took.sort_unstable();
    (took[took.len() / 2], took[(took.len() * 99).div_ceil(100) - 1])
}

/// What this thread has computed so far.
fn computed() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists on Linux, and the call writes to the struct that it is given and to nothing else.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(failed, 0, "Linux counts the time of threads");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn timed<T>(count: usize, mut work: impl FnMut(usize) -> T) -> (Duration, Duration) {
    // The first ones warm the caches up.
    (0..count / 10 + 1).for_each(|n| drop(black_box(work(n))));
    let take = |n| {
        let begun = computed();
        black_box(work(n));
        computed() - begun
    };
    quantiles((0..count).map(take).collect())
}

/// One line of the table.
struct Grown {
    couriers: u64,
    nearest: (Duration, Duration),
    immediate: (Duration, Duration),
    horizon: (Duration, Duration),
    asked: usize,
}

fn grow(town: &Town, couriers: u64) -> Grown {
    let (immediate, horizon) = (Choice::Immediate.policy(), Choice::Horizon.policy());
    let mut dice = Dice::new(3);
    let nearest = timed(DECISIONS, |_| town.tracking.nearest(dice.point(), 10, 10_000.0, |_| true).len());
    let one = timed(DECISIONS, |n| decide(town, &*immediate, n % town.jobs.len()));
    let all = timed(ROUNDS, |_| round(town, &*horizon));
    Grown { couriers, nearest, immediate: one, horizon: all, asked: round(town, &*horizon) }
}

fn micros(took: Duration) -> String {
    if took < Duration::from_millis(10) {
        format!("{:.1} us", took.as_nanos() as f64 / 1e3)
    } else {
        format!("{:.1} ms", took.as_micros() as f64 / 1e3)
    }
}

fn table(grown: &[Grown]) {
    println!("| couriers | nearest-10 p50 | p99 | immediate p50 | p99 | horizon round p50 | p99 | asked for |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for Grown { couriers, nearest, immediate, horizon, asked } in grown {
        let pair = |(p50, p99): &(Duration, Duration)| format!("{} | {}", micros(*p50), micros(*p99));
        println!("| {couriers} | {} | {} | {} | {asked} |", pair(nearest), pair(immediate), pair(horizon));
    }
    println!("\np50, logarithmic: one # is a doubling from 1 us");
    for Grown { couriers, nearest, immediate, horizon, .. } in grown {
        for (name, (p50, _)) in [("nearest-10", nearest), ("immediate", immediate), ("horizon round", horizon)] {
            let bars = (p50.as_nanos() as f64 / 1e3).max(1.0).log2().round() as usize + 1;
            println!("{couriers:>9} {name:<14} {} {}", "#".repeat(bars), micros(*p50));
        }
    }
}

fn main() {
    let largest = std::env::var("MEDINA_BENCH_COURIERS").map_or(100_000, |text| text.parse().unwrap());
    let mut criterion = Criterion::default().configure_from_args();
    let mut grown = Vec::new();
    for couriers in SIZES.into_iter().filter(|size| *size <= largest) {
        let town = Town::of(couriers);
        grown.push(grow(&town, couriers));
        let mut dice = Dice::new(5);
        let mut group = criterion.benchmark_group("dispatch");
        let name = |what: &str| BenchmarkId::new(what, couriers);
        group.bench_function(name("nearest"), |bench| bench.iter(|| town.tracking.nearest(dice.point(), 10, 10_000.0, |_| true)));
        let mut dice = Dice::new(5);
        group.bench_function(name("candidates"), |bench| bench.iter(|| scene(&town).around(dice.point(), 1_500, 64)));
        let mut next = 0;
        group.bench_function(name("immediate"), |bench| {
            let policy = Choice::Immediate.policy();
            bench.iter(|| {
                next = (next + 1) % town.jobs.len();
                decide(&town, &*policy, next)
            });
        });
        group.sample_size(20);
        group.bench_function(name("horizon_round"), |bench| {
            let policy = Choice::Horizon.policy();
            bench.iter(|| round(&town, &*policy));
        });
        group.finish();
    }
    table(&grown);
    criterion.final_summary();
}
