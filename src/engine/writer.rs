//! The writer thread: takes all commands that wait, runs them, makes them durable with one sync, publishes, answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, select_biased};
use storage::{Position, Timestamp};
use tokio::sync::watch;

use super::acks::{Acks, Committed, Flights};
use super::clock::EngineClock;
use super::core::Core;
use super::fault::Fault;
use super::folder::Folder;
use super::interest::Ends;
use super::stats::Stats;

/// What to do once the batch is durable: answer the caller.
pub type Answer = Box<dyn FnOnce(Result<Committed, Fault>) + Send>;
/// A queued command: runs in the batch, returns its answer.
pub type Job = Box<dyn FnOnce(&mut Core) -> Answer + Send>;

/// A batch takes at most this many commands, and stops growing at this many bytes.
const BATCH_COMMANDS_MAX: usize = 2_048;
const BATCH_BYTES_MAX: usize = 4 << 20;
/// After a batch that found no room on the disk: more of it will hardly be there at once.
const NO_ROOM_PAUSE: Duration = Duration::from_millis(20);
/// Timers fired in one batch.
const TIMERS_MAX: usize = 256;
/// How long the writer sleeps at most when nothing is due.
const IDLE: Duration = Duration::from_millis(500);
/// The recent layer is folded at this age even if it is small, so that a restart has little to replay.
pub(super) const FOLD_AGE: Duration = Duration::from_secs(30);
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
    /// Up to where readers see.
    pub position: watch::Sender<Position>,
    /// Up to where the log is durable here.
    pub synced: watch::Sender<Position>,
    pub acks: Arc<Acks>,
    /// Who is woken by what; all end with the writer.
    pub(super) interests: Ends,
    /// Called with the last words when the log cannot be made durable; never returns in a product.
    pub on_fatal: Box<dyn Fn(&str) + Send + Sync>,
    /// Whether a jump of the machine's clock stops the writer (not in a sandbox, whose clock is meant to jump).
    pub watches_clock: bool,
    /// Timers fire only while this node leads.
    pub leading: Arc<AtomicBool>,
    /// Another node leads: nothing is answered any more, nothing folded.
    pub fenced: Arc<AtomicBool>,
    /// Set while the recent layer is full: callers are refused at the door.
    pub full: Arc<AtomicBool>,
}

/// Runs until the queue's senders are gone; folds what is left.
pub(super) fn run(mut core: Core, queue: &Receiver<Job>, heard: &Receiver<u64>, shared: &Shared) {
    let mut folder = Folder::spawn();
    let mut flights = Flights::new(shared.acks.clone());
    let mut answers: Vec<Answer> = Vec::new();
    let mut last_fold = Instant::now();
    let mut last_sweep = Instant::now();
    let mut last_seen = (shared.clock.now(), shared.clock.monotonic_ms());
    let mut sweeping = false;
    let mut open = true;
    // What was replayed may be more than a fold's worth, and even more than the writer goes on with.
    if core.store.fold_due()
        && let Err(why) = folder.begin(&mut core, shared)
    {
        return (shared.on_fatal)(&why);
    }
    while open {
        let mut first = None;
        let acts = shared.leading.load(Ordering::Acquire) && !shared.acks.is_stalled() && flights.has_room();
        let wait = match (acts, sweeping) {
            (true, true) => Duration::ZERO,
            (true, false) => until_next_timer(&core, shared.clock.now()),
            (false, _) => IDLE,
        };
        // While the recent layer is full only the fold's end is awaited: commands queue, then the door answers 503.
        let commands = if core.store.is_full() || !flights.has_room() { &never() } else { queue };
        select_biased! {
            recv(folder.done) -> done => {
                if let Err(why) = folder.take(&mut core, shared, done) {
                    return (shared.on_fatal)(&why);
                }
            },
            recv(heard) -> seq => if let Ok(seq) = seq {
                flights.acknowledged(&mut core.store, shared, heard.try_iter().fold(seq, u64::max));
            },
            recv(commands) -> job => match job {
                Ok(job) => first = Some(job),
                Err(_) => open = false,
            },
            default(wait.min(flights.patience())) => (),
        }
        if shared.fenced.load(Ordering::Acquire) {
            break;
        }
        flights.expire(&mut core.store, shared);
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
        if acts {
            core.fire_timers(now, TIMERS_MAX);
            if sweeping || last_sweep.elapsed() >= SWEEP_EVERY {
                sweeping = core.sweep_answers(now) | core.sweep_events(now);
                last_sweep = Instant::now();
            }
        }
        let committed = match core.store.sync() {
            Ok(committed) => committed,
            Err(fatal) if core.store.forget_batch(&fatal) => {
                tracing::error!(%fatal, "no room for the log: commands are refused until there is");
                core.look_again();
                for answer in answers.drain(..) {
                    answer(Err(Fault::NoSpace));
                }
                // A timer that is due would be tried again at once, and again.
                std::thread::sleep(NO_ROOM_PAUSE);
                continue;
            }
            Err(fatal) => return (shared.on_fatal)(&fatal.to_string()),
        };
        if committed > 0 {
            shared.synced.send_replace(core.store.position());
        }
        flights.depart(&mut core.store, shared, (committed, begun), &mut answers);
        shared.full.store(core.store.is_full(), Ordering::Release);
        let aged = last_fold.elapsed() >= FOLD_AGE && core.store.recent_bytes() > 0;
        folder.slow_down(&core);
        if core.store.fold_due() || aged {
            match folder.begin(&mut core, shared) {
                Ok(true) => last_fold = Instant::now(),
                Ok(false) => (),
                Err(why) => return (shared.on_fatal)(&why),
            }
        }
    }
    flights.finish(&mut core.store, shared, heard);
    if !shared.fenced.load(Ordering::Acquire) {
        folder.finish(&mut core);
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
