//! The writer thread: takes all commands that wait, runs them, makes them durable with one sync, publishes, answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, never, select_biased, unbounded};
use storage::store::{FoldDone, FoldJob};
use storage::{Position, Timestamp};
use tokio::sync::watch;

use super::clock::EngineClock;
use super::core::Core;
use super::fault::Fault;
use super::stats::Stats;

/// What to do once the batch is durable: answer the caller.
pub type Answer = Box<dyn FnOnce(Result<Position, Fault>) + Send>;
/// A queued command: runs in the batch, returns its answer.
pub type Job = Box<dyn FnOnce(&mut Core) -> Answer + Send>;

/// A batch takes at most this many commands, and stops growing at this many bytes.
const BATCH_COMMANDS_MAX: usize = 2_048;
const BATCH_BYTES_MAX: usize = 4 << 20;
/// Timers fired in one batch.
const TIMERS_MAX: usize = 256;
/// How long the writer sleeps at most when nothing is due.
const IDLE: Duration = Duration::from_millis(500);
/// The recent layer is folded at this age even if it is small, so that a restart has little to replay.
const FOLD_AGE: Duration = Duration::from_secs(30);
/// How often expired answers are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// The machine's clock may go ahead of the monotonic one by this much between two batches.
const CLOCK_STEP_MS_MAX: i64 = 60_000;
const CLOCK_JUMPED: &str = "the machine's clock jumped forward by over a minute; check it (NTP), then start again if it is right";
/// Exit code of a process that could not make its log durable: systemd restarts it, it recovers from what the disk has.
pub const EXIT_NOT_DURABLE: i32 = 74;

/// What the writer shares with the rest.
pub struct Shared {
    pub clock: EngineClock,
    pub stats: Arc<Stats>,
    pub position: watch::Sender<Position>,
    /// Called with the last words when the log cannot be made durable; never returns in a product.
    pub on_fatal: Box<dyn Fn(&str) + Send + Sync>,
    /// Whether a jump of the machine's clock stops the writer (not in a sandbox, whose clock is meant to jump).
    pub watches_clock: bool,
    /// Timers fire only while this node leads.
    pub leading: Arc<AtomicBool>,
    /// Set while the recent layer is full: callers are refused at the door.
    pub full: Arc<AtomicBool>,
}

struct Folder {
    jobs: Sender<FoldJob>,
    done: Receiver<Result<FoldDone, String>>,
    trash: Sender<storage::view::Layer>,
}

/// Runs until the queue's senders are gone; folds what is left.
pub fn run(mut core: Core, queue: &Receiver<Job>, shared: &Shared) {
    let folder = spawn_folder();
    let mut answers: Vec<Answer> = Vec::new();
    let mut last_fold = Instant::now();
    let mut last_sweep = Instant::now();
    let mut last_seen = (shared.clock.now(), shared.clock.monotonic_ms());
    let mut sweeping = false;
    let mut open = true;
    while open {
        let mut first = None;
        let busy_until = core.store.is_full();
        let leading = shared.leading.load(Ordering::Acquire);
        let wait = match (sweeping, leading) {
            (true, _) => Duration::ZERO,
            (false, true) => until_next_timer(&core, shared.clock.now()),
            (false, false) => IDLE,
        };
        // While the recent layer is full only the fold's end is awaited: commands queue, then the door answers 503.
        let commands = if busy_until { &never() } else { queue };
        select_biased! {
            recv(folder.done) -> done => match done {
                Ok(Ok(done)) => match core.store.finish_fold(done) {
                    Ok(layer) => {
                        shared.stats.folding.store(false, Ordering::Relaxed);
                        let _ = folder.trash.send(layer);
                    }
                    Err(fatal) => return (shared.on_fatal)(&fatal.to_string()),
                },
                Ok(Err(why)) => return (shared.on_fatal)(&why),
                Err(_) => return (shared.on_fatal)("the folding thread is gone"),
            },
            recv(commands) -> job => match job {
                Ok(job) => first = Some(job),
                Err(_) => open = false,
            },
            default(wait) => (),
        }
        let begun = Instant::now();
        let now = shared.clock.now();
        if shared.watches_clock && jumped(&mut last_seen, now, shared.clock.monotonic_ms()) {
            return (shared.on_fatal)(CLOCK_JUMPED);
        }
        core.store.begin(now);
        if let Some(first) = first {
            answers.push(first(&mut core));
            while answers.len() < BATCH_COMMANDS_MAX && core.store.batch_bytes() < BATCH_BYTES_MAX {
                match queue.try_recv() {
                    Ok(job) => answers.push(job(&mut core)),
                    Err(_) => break,
                }
            }
        }
        if leading {
            core.fire_timers(now, TIMERS_MAX);
        }
        if sweeping || last_sweep.elapsed() >= SWEEP_EVERY {
            sweeping = core.sweep_answers(now) | core.sweep_events(now);
            last_sweep = Instant::now();
        }
        let committed = match core.commit() {
            Ok(committed) => committed,
            Err(fatal) if core.store.forget_batch(&fatal) => {
                tracing::error!(%fatal, "no room for the log: commands are refused until there is");
                core.look_again();
                for answer in answers.drain(..) {
                    answer(Err(Fault::NoSpace));
                }
                continue;
            }
            Err(fatal) => return (shared.on_fatal)(&fatal.to_string()),
        };
        let position = core.store.position();
        if committed > 0 {
            shared.stats.commit.record(begun.elapsed());
            shared.stats.batches.fetch_add(1, Ordering::Relaxed);
            shared.stats.commands.fetch_add(u64::from(committed), Ordering::Relaxed);
            shared.position.send_replace(position);
        }
        for answer in answers.drain(..) {
            answer(Ok(position));
        }
        shared.full.store(core.store.is_full(), Ordering::Release);
        let aged = last_fold.elapsed() >= FOLD_AGE && core.store.recent_bytes() > 0;
        if (core.store.fold_due() || aged)
            && let Some(job) = core.store.fold_job()
        {
            shared.stats.folds.fetch_add(1, Ordering::Relaxed);
            shared.stats.folding.store(true, Ordering::Relaxed);
            last_fold = Instant::now();
            if folder.jobs.send(job).is_err() {
                return (shared.on_fatal)("the folding thread is gone");
            }
        }
    }
    drop(folder.jobs);
    // A fold under way ends first; then the rest goes in, so that the next start has nothing to replay.
    if let Ok(Ok(done)) = folder.done.recv() {
        let _ = core.store.finish_fold(done);
    }
    if let Err(fatal) = core.store.fold_now() {
        tracing::error!(%fatal, "the last fold failed; the log holds everything");
    }
}

/// Whether the wall's time went ahead of the monotonic clock by more than a minute since the last look: a wrong step of NTP would fire every timer and
/// pin the history to the future.
fn jumped(last: &mut (Timestamp, u64), now: Timestamp, monotonic_ms: u64) -> bool {
    let (wall_ms, steady_ms) = (now.ms_since(last.0), monotonic_ms.saturating_sub(last.1));
    *last = (now, monotonic_ms);
    wall_ms - i64::try_from(steady_ms).unwrap_or(i64::MAX) > CLOCK_STEP_MS_MAX
}

fn until_next_timer(core: &Core, now: Timestamp) -> Duration {
    core.next_due().map_or(IDLE, |at| Duration::from_millis(u64::try_from(at.millis() - now.millis()).unwrap_or(0))).min(IDLE)
}

/// Folds run on a thread of their own; folded layers are dropped there too (millions of entries take a while).
fn spawn_folder() -> Folder {
    let (jobs, queued) = bounded::<FoldJob>(1);
    let (finished, done) = unbounded();
    let (trash, bin) = unbounded();
    std::thread::Builder::new()
        .name("medina-fold".to_owned())
        .spawn(move || {
            for job in queued {
                let result = job.run().map_err(|error| error.to_string());
                if finished.send(result).is_err() {
                    return;
                }
                while bin.try_recv().is_ok() {}
            }
        })
        .expect("the operating system grants one thread at start");
    Folder { jobs, done, trash }
}
