//! The folding thread, seen from the writer: it is handed what to fold, gives way to everybody else, and slows the writer down before it would have to stop it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvError, Sender, bounded, select_biased, unbounded};
use storage::pace;
use storage::store::{FoldDone, FoldJob, Folded};

use super::core::Core;
use super::writer::Shared;

/// From so many thousandths of a full recent layer on, the fold under way hurries and the writer pays for what it adds.
const STRAINED: u64 = 500;
/// Here it pays in full: it adds no faster than folds take away.
const BALANCED: u64 = 750;
/// No batch waits longer than this for that.
const WAIT_MAX: Duration = Duration::from_millis(50);
/// Before the first fold has ended, and for machines that stand still.
const RATE_MIN: u64 = 1 << 20;

/// The thread, and what is known of its speed.
pub(super) struct Folder {
    jobs: Sender<FoldJob>,
    pub done: Receiver<Result<FoldDone, String>>,
    trash: Sender<Folded>,
    /// The fold under way: since when, and how many bytes of the recent layer.
    under_way: Option<(Instant, usize)>,
    /// Of the last fold, in bytes of the recent layer a second.
    rate: u64,
    /// The recent layer's size after the last batch.
    seen: usize,
}

impl Folder {
    /// Folds run on a thread of their own; folded layers are dropped and old segments removed there too (millions of entries take a while, and so does
    /// each sync of a folder).
    pub fn spawn() -> Self {
        let (jobs, queued) = bounded::<FoldJob>(1);
        let (finished, done) = unbounded();
        let (trash, bin) = unbounded::<Folded>();
        std::thread::Builder::new()
            .name("medina-fold".to_owned())
            .spawn(move || {
                pace::give_way();
                loop {
                    let result = select_biased! {
                        recv(bin) -> folded => match folded.map(Folded::clear) {
                            Ok(Ok(_)) => continue,
                            Ok(Err(fatal)) => Err(fatal.to_string()),
                            Err(_) => return,
                        },
                        recv(queued) -> job => match job {
                            Ok(job) => job.run_beside().map_err(|error| error.to_string()),
                            Err(_) => return,
                        },
                    };
                    if finished.send(result).is_err() {
                        return;
                    }
                }
            })
            .expect("the operating system grants one thread at start");
        Self { jobs, done, trash, under_way: None, rate: RATE_MIN, seen: 0 }
    }

    /// Hands the folder what there is to fold; whether there was something.
    pub fn begin(&mut self, core: &mut Core, shared: &Shared) -> Result<bool, String> {
        let bytes = core.store.recent_bytes();
        let Some(job) = core.store.fold_job() else { return Ok(false) };
        shared.stats.folds.fetch_add(1, Ordering::Relaxed);
        shared.stats.folding.store(true, Ordering::Relaxed);
        self.under_way = Some((Instant::now(), bytes));
        self.jobs.send(job).map_err(|_| GONE.to_owned())?;
        Ok(true)
    }

    /// Takes a finished fold over.
    pub fn take(&mut self, core: &mut Core, shared: &Shared, done: Result<Result<FoldDone, String>, RecvError>) -> Result<(), String> {
        shared.stats.folding.store(false, Ordering::Relaxed);
        if let Some((begun, bytes)) = self.under_way.take() {
            let took_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX).max(1);
            self.rate = (bytes as u64).saturating_mul(1_000_000).checked_div(took_us).unwrap_or(0).max(RATE_MIN);
        }
        let folded = core.store.finish_fold(done.map_err(|_| GONE.to_owned())??);
        let _ = self.trash.send(folded);
        Ok(())
    }

    /// After a batch: once the recent layer is half full it waits, in proportion to what was added, so that callers see a slower writer and not one that
    /// stands still until a fold has ended.
    pub fn slow_down(&mut self, core: &Core) {
        let recent = core.store.recent_bytes();
        let added = recent.saturating_sub(std::mem::replace(&mut self.seen, recent));
        let strain = core.store.strain();
        if self.under_way.is_none() || strain < STRAINED {
            return;
        }
        core.store.hurry_fold();
        let price_us = (added as u64).saturating_mul(1_000_000) / self.rate;
        let share = price_us.saturating_mul(strain - STRAINED) / (BALANCED - STRAINED);
        std::thread::sleep(Duration::from_micros(share).min(WAIT_MAX));
    }

    /// A fold under way ends first; then the rest goes in, so that the next start has nothing to replay.
    pub fn finish(self, core: &mut Core) {
        drop(self.jobs);
        core.store.hurry_fold();
        if let Ok(Ok(done)) = self.done.recv() {
            let cleared = core.store.finish_fold(done).clear();
            drop(cleared.inspect_err(|fatal| tracing::error!(%fatal, "old segments of the log stay")));
        }
        if let Err(fatal) = core.store.fold_now() {
            tracing::error!(%fatal, "the last fold failed; the log holds everything");
        }
    }
}

const GONE: &str = "the folding thread is gone";
