//! The handle that everybody holds: submit a command, read a picture, know the time.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, TrySendError, bounded};
use storage::disk::Disk;
use storage::store::{Holds, OpenError, Tables, Views};
use storage::{Clock, Options, Position, Store, View};
use tokio::sync::{oneshot, watch};

use super::acks::{AckOptions, Acks, Committed};
use super::background::Background;
use super::caller::Caller;
use super::clock::{EngineClock, TEST_CLOCK};
use super::core::{Core, EVENTS_KEPT_MS, Ran};
use super::decision::{Authorize, Denied, Question};
use super::fault::{Fault, WriteError};
use super::follow::{self, Feed};
use super::idempotency::{Once, SealAnswers, StoredAnswer, Unsealed};
use super::interest::{Ends, Interest, Interests};
use super::outbox::Destinations;
use super::stats::Stats;
use super::tx::Tx;
use super::wiring::Wiring;
use super::writer::{self, Job, Shared};

/// How an engine is started.
pub struct EngineOptions {
    pub storage: Options,
    pub clock: Arc<dyn Clock>,
    pub sandbox: bool,
    /// How kept answers are sealed.
    pub answers: Arc<dyn SealAnswers>,
    /// How long the streams' events are kept.
    pub events_kept_ms: i64,
    /// Whether timers fire from the first moment. If not, they wait for [`Engine::lead`].
    pub leading: bool,
    /// Whether this node takes a leader's records, and no commands.
    pub following: bool,
    /// Begin this epoch, if the history has not reached it: a promotion, or a restored copy.
    pub open_epoch: Option<u64>,
    /// Who must have a batch before it is published and answered.
    pub acks: AckOptions,
    /// Commands that may wait; one more is refused with 503.
    pub queue_max: usize,
    /// What happens when the log cannot be made durable. The product exits the process.
    pub on_fatal: Box<dyn Fn(&str) + Send + Sync>,
}

impl EngineOptions {
    /// For a product: exits with [`writer::EXIT_NOT_DURABLE`] if the log cannot be made durable.
    pub fn new(storage: Options, clock: Arc<dyn Clock>, sandbox: bool) -> Self {
        let on_fatal = |why: &str| {
            tracing::error!(
                "medina stops: {why}. Nothing unacknowledged was promised; start it again and it recovers from what the disk has."
            );
            eprintln!("medina: stopped: {why}. Start it again: it recovers from what the disk has.");
            std::process::exit(writer::EXIT_NOT_DURABLE);
        };
        Self {
            storage,
            clock,
            sandbox,
            answers: Arc::new(Unsealed),
            events_kept_ms: EVENTS_KEPT_MS,
            leading: true,
            following: false,
            open_epoch: None,
            acks: AckOptions::default(),
            queue_max: 4_096,
            on_fatal: Box::new(on_fatal),
        }
    }
}

/// A committed command's answer.
#[derive(Debug)]
pub struct Done<T> {
    pub value: T,
    /// Where it stands: everything up to here is durable and visible.
    pub position: Position,
    pub seq: u64,
    pub replayed: bool,
    /// Whether only this node's disk has it, although a follower's should.
    pub is_local: bool,
}

/// The engine; a clone is a pointer.
#[derive(Clone)]
pub struct Engine(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub queue: Mutex<Option<Sender<Job>>>,
    pub feed: Mutex<Option<Sender<Feed>>>,
    pub following: bool,
    pub fenced: Arc<AtomicBool>,
    pub acks: Arc<Acks>,
    interests: Arc<Interests>,
    pub synced: watch::Receiver<Position>,
    pub log: (Arc<dyn Disk>, PathBuf),
    holds: Holds,
    pub leader: RwLock<Option<String>>,
    views: Views,
    position: watch::Receiver<Position>,
    clock: EngineClock,
    authorize: Arc<dyn Authorize>,
    stats: Arc<Stats>,
    full: Arc<AtomicBool>,
    pub leading: Arc<AtomicBool>,
    advancing: tokio::sync::Mutex<()>,
    sandbox: bool,
    background: Mutex<Vec<Arc<dyn Background>>>,
    destinations: Destinations,
    writer: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Engine {
    /// Opens the data folder, recovers, and starts the writer.
    ///
    /// # Errors
    /// [`OpenError`]: why the folder does not open.
    pub fn start(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: EngineOptions,
        wiring: Wiring,
        authorize: Arc<dyn Authorize>,
    ) -> Result<Self, OpenError> {
        let mut store = Store::open(disk.clone(), dir, options.storage)?;
        let clock = EngineClock::new(options.clock);
        if let Some(epoch) = options.open_epoch {
            store.open_epoch(epoch, clock.now()).map_err(|fatal| OpenError::Log(fatal.0))?;
        }
        if options.sandbox
            && let Some(setting) = TEST_CLOCK.get(store.head(), &())
        {
            clock.set(setting);
        }
        let (queue, jobs) = bounded(options.queue_max);
        let (feed, fed) = bounded(1);
        let (position, positions) = watch::channel(store.position());
        let (synced, syncs) = watch::channel(store.position());
        let (acks, heard) = Acks::new(options.acks);
        let interests = Interests::new();
        let fenced = Arc::new(AtomicBool::new(false));
        let log = (disk, store.log_dir());
        let holds = store.holds();
        let views = store.views();
        let stats = Arc::new(Stats::default());
        let full = Arc::new(AtomicBool::new(false));
        let leading = Arc::new(AtomicBool::new(options.leading));
        let shared = Shared {
            clock: clock.clone(),
            stats: stats.clone(),
            position,
            synced,
            acks: acks.clone(),
            interests: Ends(interests.clone()),
            fenced: fenced.clone(),
            on_fatal: options.on_fatal,
            watches_clock: !options.sandbox,
            leading: leading.clone(),
            full: full.clone(),
        };
        let following = options.following;
        let core =
            Core::new(store, Arc::new(wiring), authorize.clone()).sealing(options.answers).keeping_events_for(options.events_kept_ms);
        let thread = std::thread::Builder::new()
            .name("medina-writer".to_owned())
            .spawn(move || {
                // Reads of the writer's own (timers, sweeps) may meet damage too: the process must not live on mute.
                let run = || if following { follow::run(core, &fed, &shared) } else { writer::run(core, &jobs, &heard, &shared) };
                if let Err(fault) = storage::fault::catch(run) {
                    (shared.on_fatal)(&format!("the writer stopped: {fault}"));
                }
            })
            .map_err(OpenError::Io)?;
        Ok(Self(Arc::new(Inner {
            queue: Mutex::new(Some(queue)),
            feed: Mutex::new(Some(feed)),
            following,
            fenced,
            acks,
            interests,
            synced: syncs,
            log,
            holds,
            leader: RwLock::new(None),
            views,
            position: positions,
            clock,
            authorize,
            stats,
            full,
            leading,
            advancing: tokio::sync::Mutex::new(()),
            sandbox: options.sandbox,
            background: Mutex::new(Vec::new()),
            destinations: Destinations::default(),
            writer: Mutex::new(Some(thread)),
        })))
    }

    /// Runs a command and waits until it is durable.
    ///
    /// # Errors
    /// The command's refusal, or a fault; either way nothing was written.
    pub fn write<T, E, F>(
        &self,
        caller: &Caller,
        name: &'static str,
        command: F,
    ) -> impl Future<Output = Result<Done<T>, WriteError<E>>> + use<T, E, F>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce(&mut Tx<'_, '_>) -> Result<T, E> + Send + 'static,
    {
        let caller = caller.clone();
        self.submit(move |core| core.run(&caller, name, command))
    }

    /// Like [`Engine::write`], with the answer kept under an idempotency key.
    ///
    /// # Errors
    /// As [`Engine::write`]; [`Fault::KeyReused`] if the key came with another body.
    pub fn write_once<E, F>(
        &self,
        caller: &Caller,
        name: &'static str,
        once: Once,
        command: F,
    ) -> impl Future<Output = Result<Done<StoredAnswer>, WriteError<E>>> + use<E, F>
    where
        E: Send + 'static,
        F: FnOnce(&mut Tx<'_, '_>) -> Result<StoredAnswer, E> + Send + 'static,
    {
        let caller = caller.clone();
        self.submit(move |core| core.run_once(&caller, name, once, command))
    }

    /// Puts work into the writer's queue and waits for its durable end.
    pub(super) fn submit<T, E, F>(&self, run: F) -> impl Future<Output = Result<Done<T>, WriteError<E>>> + use<T, E, F>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce(&mut Core) -> Result<Ran<T>, WriteError<E>> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |core| {
            let ran = run(core);
            Box::new(move |committed: Result<Committed, Fault>| {
                let done = match (ran, committed) {
                    (Ok(Ran { value, seq, replayed }), Ok(Committed { position, is_local })) => {
                        Ok(Done { value, seq, position: Position { seq, ..position }, replayed, is_local })
                    }
                    // A refusal may speak of what nobody may have seen: without the acknowledgement there is no answer.
                    (_, Err(fault @ (Fault::Unacknowledged | Fault::NotLeading { .. }))) | (Ok(_), Err(fault)) => Err(fault.into()),
                    (Err(error), _) => Err(error),
                };
                // The caller may have gone away; what it asked for is done all the same.
                let _ = answer.send(done);
            })
        });
        let submitted = self.enqueue(job);
        let (stats, begun) = (self.0.stats.clone(), Instant::now());
        async move {
            submitted?;
            let done = answered.await.map_err(|_| Fault::Stopping)?;
            stats.write.record(begun.elapsed());
            done
        }
    }

    fn enqueue(&self, job: Job) -> Result<(), Fault> {
        let overloaded = || {
            self.0.stats.overloaded.fetch_add(1, Ordering::Relaxed);
            Fault::Overloaded { retry_after_s: 1 }
        };
        if let Some(elsewhere) = self.not_leading() {
            return Err(elsewhere);
        }
        if self.0.acks.is_stalled() {
            return Err(Fault::NoFollower);
        }
        if self.0.full.load(Ordering::Acquire) {
            return Err(overloaded());
        }
        let queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or(Fault::Stopping)?;
        queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => overloaded(),
            TrySendError::Disconnected(_) => Fault::Stopping,
        })
    }

    /// The newest picture.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.0.views.now()
    }

    /// A picture that holds at least `seq`, waiting for it up to `patience`.
    ///
    /// # Errors
    /// The newest sequence number, if it did not come in time.
    pub async fn view_at(&self, seq: u64, patience: Duration) -> Result<Arc<View>, u64> {
        let mut positions = self.positions();
        let reached = tokio::time::timeout(patience, positions.wait_for(|position| position.seq >= seq)).await;
        match reached {
            Ok(Ok(_)) => Ok(self.view()),
            _ => Err(self.view().position().seq),
        }
    }

    /// Asks the policy about a read.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn authorize(&self, view: &View, caller: &Caller, question: &Question) -> Result<(), Denied> {
        match caller.principal {
            super::Principal::System(_) => Ok(()),
            _ => self.0.authorize.decide(view, caller, question).map(drop),
        }
    }

    /// The engine's time, the test clock included.
    #[must_use]
    pub fn now(&self) -> storage::Timestamp {
        self.0.clock.now()
    }

    /// The clock itself.
    #[must_use]
    pub fn clock(&self) -> &EngineClock {
        &self.0.clock
    }

    /// Changes at every commit.
    #[must_use]
    pub fn positions(&self) -> watch::Receiver<Position> {
        self.0.position.clone()
    }

    /// Commits that write to these tables or indexes, and no others: for who has nothing to do otherwise.
    #[must_use]
    pub fn follow(&self, tables: &[u16]) -> Interest {
        self.0.interests.add(Tables::of(tables), || self.view().position().seq)
    }

    /// Whether this is a sandbox: test clock, known one-time codes, a provider of our own.
    #[must_use]
    pub fn is_sandbox(&self) -> bool {
        self.0.sandbox
    }

    /// Figures for the overview.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.0.stats
    }

    /// How many commands wait.
    #[must_use]
    pub fn queue_depth(&self) -> usize {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, Sender::len)
    }

    /// Something the test clock must wait for.
    pub fn background(&self, work: Arc<dyn Background>) {
        self.0.background.lock().unwrap_or_else(PoisonError::into_inner).push(work);
    }

    /// One advance of the test clock at a time.
    pub(super) fn advancing(&self) -> &tokio::sync::Mutex<()> {
        &self.0.advancing
    }

    /// From now on timers fire: everything that had to be looked after first (offers whose couriers need time to come back) has been.
    ///
    /// # Errors
    /// [`Fault::Stopping`].
    pub async fn lead(&self) -> Result<(), Fault> {
        self.0.leading.store(true, Ordering::Release);
        // The writer may be asleep: wake it.
        match self.write(&Caller::system("lead"), "lead", |_| Ok::<(), Fault>(())).await {
            Ok(_) => Ok(()),
            Err(WriteError::Refused(fault) | WriteError::Fault(fault)) => Err(fault),
        }
    }

    /// What was registered with [`Engine::background`].
    #[must_use]
    pub fn backgrounds(&self) -> Vec<Arc<dyn Background>> {
        self.0.background.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who needs the log below the checkpoint says so here.
    #[must_use]
    pub fn holds(&self) -> &Holds {
        &self.0.holds
    }

    /// Where effects go.
    #[must_use]
    pub fn outbox(&self) -> &Destinations {
        &self.0.destinations
    }

    /// Stops taking commands, finishes those that wait, folds, and ends the writer. Blocks.
    pub fn stop(&self) {
        drop(self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        drop(self.0.feed.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(thread) = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }

    /// A handle that does not keep the engine alive.
    #[must_use]
    pub fn downgrade(&self) -> WeakEngine {
        WeakEngine(Arc::downgrade(&self.0))
    }
}

/// See [`Engine::downgrade`].
#[derive(Clone)]
pub struct WeakEngine(Weak<Inner>);

impl WeakEngine {
    /// The engine, if somebody still holds it.
    #[must_use]
    pub fn upgrade(&self) -> Option<Engine> {
        self.0.upgrade().map(Engine)
    }
}
