//! Dispatch under fire: a seeded night over the real engine, on a simulated disk and clock. Couriers decline, sleep, fall silent, come back, jump about;
//! kitchens are late; customers move the pin and change their minds; the process crashes in between. The laws hold after every step.
//!
//! `MEDINA_FIRE_SEEDS=N` plays more nights; a failure names its seed.
#![allow(clippy::unwrap_used)] // tests

mod crowd;
mod laws;
mod night;

use std::panic::{AssertUnwindSafe, catch_unwind};

use medina::city::dispatch;
use medina::sim::Town;
use night::{Night, Seen};
use storage::disk::planted::{self, Bug};

/// Nights that are played, and within which every planted bug must be found.
const SEEDS: u64 = 8;

fn seeds() -> u64 {
    std::env::var("MEDINA_FIRE_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS)
}

#[test]
fn the_promises_of_dispatch_under_fire() {
    let town = Town::build().unwrap();
    let mut seen = Seen::default();
    for seed in 0..seeds() {
        let mut night = Night::begin(&town, seed);
        let played = catch_unwind(AssertUnwindSafe(|| night.play()));
        if let Err(panic) = played {
            let what = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            panic!("seed {seed}, step {}: {}", night.step, what.unwrap_or_default());
        }
        seen.add(&night.seen);
    }
    println!("{seen:?}");
    seen.must_have_happened();
}

/// The first seed whose night breaks a law with this bug in the product, and how.
fn found(town: &Town, bug: Bug) -> Option<String> {
    planted::set(bug);
    let found = (0..SEEDS).find_map(|seed| {
        let mut night = Night::begin(town, seed);
        let panic = catch_unwind(AssertUnwindSafe(|| night.play())).err()?;
        let what = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Some(format!("seed {seed}, step {}: {}", night.step, what.unwrap_or_default()))
    });
    planted::set(None);
    found
}

#[test]
fn planted_bugs_are_found() {
    let town = Town::build().unwrap();
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let found: Vec<(Bug, Option<String>)> = dispatch::planted::ALL.into_iter().map(|bug| (bug, found(&town, bug))).collect();
    std::panic::set_hook(quiet);
    for (bug, found) in &found {
        println!("{bug:?}: {found:?}");
    }
    let missed: Vec<Bug> = found.into_iter().filter(|(_, found)| found.is_none()).map(|(bug, _)| bug).collect();
    assert_eq!(missed, [], "not found in {SEEDS} seeds");
}

#[test]
fn the_same_seed_is_the_same_night() {
    let town = Town::build().unwrap();
    let play = |seed| {
        let mut night = Night::begin(&town, seed);
        night.play();
        (night.seen, night.digest())
    };
    assert_eq!(play(3), play(3));
    assert_ne!(play(3).1, play(4).1);
}
