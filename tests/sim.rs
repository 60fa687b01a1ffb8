//! The simulator over the whole product, and the proof that it finds what it is for.
//!
//! `MEDINA_SIM_SEEDS=N` plays more seeds.

use medina::sim::{Broken, Played, Plot, Town, play};
use storage::disk::planted::{self, Bug};

/// Seeds within which every planted bug must be found.
const SEEDS: u64 = 12;

fn seeds() -> u64 {
    std::env::var("MEDINA_SIM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS)
}

fn town() -> Town {
    Town::build().expect("a healthy disk takes a city")
}

/// Seeds for debug builds: fewer lives, fewer looks at each crash.
fn short() -> Plot {
    Plot { lives: 6, images: 3, flips: 8, ..Plot::default() }
}

#[test]
fn nothing_acknowledged_is_lost() {
    let town = town();
    let mut all = Played::default();
    for seed in 0..seeds() {
        let played = play(&town, seed, &short()).unwrap_or_else(|broken| panic!("{broken}"));
        all.images += played.images;
        all.crashes += played.crashes;
        all.faults += played.faults;
        all.noticed += played.noticed;
        all.commands += played.commands;
        all.orders += played.orders;
        all.settled += played.settled;
        all.promotions += played.promotions;
    }
    println!("{all:?}");
    // The simulator must not become a test that tests nothing.
    assert!(all.images > 15 * seeds() && all.crashes > seeds() && all.faults > 0 && all.noticed > 0, "{all:?}");
    assert!(all.commands > 30 * seeds() && all.settled > 0 && all.promotions > 0, "{all:?}");
}

#[test]
fn the_same_seed_is_the_same_play_bit_by_bit() {
    for seed in [2, 3] {
        let [one, two] = [town(), town()].map(|town| play(&town, seed, &short()).unwrap_or_else(|broken| panic!("{broken}")));
        assert_eq!(one, two, "seed {seed}");
    }
    let town = town();
    let [two, three] = [2, 3].map(|seed| play(&town, seed, &short()).unwrap_or_else(|broken| panic!("{broken}")).hash);
    assert_ne!(two, three);
}

/// The first seed that finds it.
fn found(bug: Option<Bug>, plot: &Plot) -> Option<Broken> {
    let town = town();
    planted::set(bug);
    let found = (0..SEEDS).find_map(|seed| play(&town, seed, plot).err());
    planted::set(None);
    found
}

#[test]
fn a_disk_that_lies_about_sync_is_found() {
    let broken = found(None, &Plot { lying_disk: true, ..short() }).expect("a disk that does not sync is found");
    println!("{broken}");
    assert!(broken.to_string().contains(&format!("medina sim --from {} --seeds 1", broken.seed)));
}

#[test]
fn planted_bugs_are_found() {
    for bug in Bug::ALL {
        let broken = found(Some(bug), &short()).unwrap_or_else(|| panic!("{bug:?} was not found"));
        println!("{bug:?}: {broken}");
    }
}
