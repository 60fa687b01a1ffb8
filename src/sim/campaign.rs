//! Many seeds, on one thread or several, and what they came to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use storage::disk::planted::{self, Bug};

use super::play::{Broken, Played, Plot, play};
use super::town::Town;

/// Which seeds, how long, how many at a time.
#[derive(Clone, Debug)]
pub struct Campaign {
    pub from: u64,
    pub seeds: u64,
    /// No seed begins after this long.
    pub at_most: Option<Duration>,
    pub threads: usize,
    pub plot: Plot,
    /// A bug to find; only with the feature `planted`.
    pub bug: Option<Bug>,
}

/// What a campaign came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub seeds: u64,
    pub images: u64,
    pub crashes: u64,
    pub faults: u64,
    pub flips: u64,
    pub flips_noticed: u64,
    pub commands: u64,
    pub orders: u64,
    pub orders_settled: u64,
    pub promotions: u64,
    /// Acknowledged commands that were not there after a recovery.
    pub lost: u64,
    /// Commands that were there and that nobody asked for.
    pub invented: u64,
    /// Every seed that broke a promise, in a sentence that says how to see it again.
    pub broken: Vec<String>,
    pub seconds: f64,
    pub images_per_s: f64,
}

impl Report {
    fn add(&mut self, played: &Result<Played, Broken>) {
        self.seeds += 1;
        match played {
            Ok(played) => {
                self.images += played.images;
                self.crashes += played.crashes;
                self.faults += played.faults;
                self.flips += played.flips;
                self.flips_noticed += played.noticed;
                self.commands += played.commands;
                self.orders += played.orders;
                self.orders_settled += played.settled;
                self.promotions += played.promotions;
            }
            Err(broken) => {
                self.lost += broken.wrong.lost;
                self.invented += broken.wrong.invented;
                self.broken.push(broken.to_string());
            }
        }
    }
}

impl Campaign {
    /// Plays the seeds; `each` hears of every one (from any thread, one at a time).
    ///
    /// # Errors
    /// The town cannot be built: nothing was played.
    pub fn run(&self, each: impl Fn(&Report) + Sync) -> Result<Report, String> {
        let town = quietly(Town::build)?;
        let begun = Instant::now();
        let next = AtomicU64::new(0);
        let report = Mutex::new(Report::default());
        let work = || {
            planted::set(self.bug);
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= self.seeds || self.at_most.is_some_and(|at_most| begun.elapsed() >= at_most) {
                    return;
                }
                let played = quietly(|| play(&town, self.from.wrapping_add(n), &self.plot));
                let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
                report.add(&played);
                report.seconds = begun.elapsed().as_secs_f64();
                report.images_per_s = report.images as f64 / report.seconds;
                each(&report);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(work);
            }
        });
        Ok(report.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Without the product's log: it tells of every fault, as it should, and here they are made on purpose.
fn quietly<T>(act: impl FnOnce() -> T) -> T {
    tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), act)
}
