//! What runs beside a server: the schedule of snapshots and drills on one thread, the archive of the log on another.
//!
//! A follower takes snapshots of its own, on its own disk, and drills with them; sending and the archive are the leader's, so that one node at a time
//! decides what stays at the destination.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use storage::View;
use storage::archive::{Goal, Place};
use tokio::runtime::Handle;

use super::archiver::{Archiver, Stand};
use super::config::BackupConfig;
use super::destination::Destination;
use super::manifest::Manifest;
use super::restore::{Restored, drill};
use super::time::{Bell, Time};
use super::{erased, keep, pictures, ship, take};
use crate::engine::handle::WeakEngine;
use crate::engine::{Caller, Engine, Fault};
use crate::people::keyring::Keyring;

/// The schedule is looked at this often.
const TICK: Duration = Duration::from_secs(10);
/// A folder without a snapshot gets its first this long after the start.
const FIRST_AFTER: Duration = Duration::from_secs(600);
/// Under this name the newest snapshot holds the log that leads from it to now.
const HOLD: &str = "snapshot";
/// While there is traffic, the archive sends about this often.
const PACE: Duration = Duration::from_millis(400);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// At the end, the archive may take this long to send what is left.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Checks a state; says what is wrong with it.
pub type Inspect = Arc<dyn Fn(&View) -> Vec<String> + Send + Sync>;

/// A snapshot that was taken.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Taken {
    /// As `epoch.seq`.
    pub position: String,
    pub digest: String,
    pub rows: u64,
    /// Compressed.
    pub bytes: u64,
    /// Where it stands.
    pub folder: String,
    /// Where it was sent, if anywhere, and how much had to be.
    pub sent_to: Option<String>,
    pub sent_bytes: u64,
    pub took_ms: u64,
}

/// Times are [`Time`]'s.
#[derive(Default)]
struct Status {
    snapshot: Option<(Duration, Taken)>,
    drill: Option<(Duration, Result<Restored, String>)>,
    archived: Option<Place>,
    /// Since when something published is not in the archive.
    behind_since: Option<Duration>,
    /// The version of the people's keys whose erasures are all listed; 0: none yet.
    erasures_listed: u64,
    last_error: Option<String>,
}

struct Inner {
    engine: WeakEngine,
    runtime: Handle,
    data: PathBuf,
    config: BackupConfig,
    to: Option<Destination>,
    inspect: Inspect,
    status: Mutex<Status>,
    gaps: AtomicU64,
    keyring: Arc<Keyring>,
    time: Time,
    /// One copy at a time.
    copying: Mutex<()>,
    stop: Bell,
}

/// The running service.
pub struct Backup {
    inner: Arc<Inner>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Backup {
    /// Starts both threads, on the current tokio runtime.
    ///
    /// # Errors
    /// What is wrong with the configuration or the destination.
    pub fn start(
        engine: &Engine,
        data: PathBuf,
        config: BackupConfig,
        keyring: Arc<Keyring>,
        inspect: Inspect,
    ) -> Result<Arc<Self>, String> {
        let runtime = Handle::current();
        let to = Destination::configured(&config, &runtime)?;
        let inner = Arc::new(Inner {
            engine: engine.downgrade(),
            runtime,
            data,
            time: config.time.clone(),
            config,
            to,
            inspect,
            status: Mutex::default(),
            gaps: AtomicU64::new(0),
            keyring,
            copying: Mutex::new(()),
            stop: Bell::default(),
        });
        // Without an archive, the newest snapshot and the log on this disk are what a restore begins with.
        if let Some(newest) = take::local(&inner.data).last() {
            engine.holds().hold(HOLD, newest.seq + 1);
        }
        let spawn = |name: &str, run: fn(&Inner)| {
            let inner = inner.clone();
            std::thread::Builder::new().name(name.to_owned()).spawn(move || run(&inner)).map_err(|error| error.to_string())
        };
        let mut threads = vec![spawn("medina-backup", Inner::keep_time)?];
        if inner.config.archive && inner.to.is_some() {
            threads.push(spawn("medina-archive", Inner::archive)?);
        }
        Ok(Arc::new(Self { inner, threads: Mutex::new(threads) }))
    }

    /// Takes a snapshot now and sends it to `to`, or to where the configuration says. Blocks.
    ///
    /// # Errors
    /// A sentence.
    pub fn snapshot(&self, to: Option<&str>) -> Result<Taken, String> {
        let engine = self.inner.engine.upgrade().ok_or("the server is stopping")?;
        match to {
            None => self.inner.snapshot(&engine, self.inner.to.as_ref()),
            Some(to) => {
                let config = BackupConfig { to: Some(to.to_owned()), ..self.inner.config.clone() };
                self.inner.snapshot(&engine, Destination::configured(&config, &self.inner.runtime)?.as_ref())
            }
        }
    }

    /// Restores the newest copy to scratch, checks it, removes it. Blocks.
    ///
    /// # Errors
    /// A sentence: it could not be restored.
    pub fn drill(&self) -> Result<Restored, String> {
        self.inner.drill()
    }

    /// Ends both threads; the archive sends what is left first. Blocks.
    pub fn finish(&self) {
        self.inner.stop.ring();
        if let Some(to) = &self.inner.to {
            to.hurry();
        }
        for thread in lock(&self.threads).drain(..) {
            let _ = thread.join();
        }
    }

    /// For the overview.
    #[must_use]
    pub fn overview(&self) -> Value {
        let (status, now) = (lock(&self.inner.status), self.inner.time.now());
        let age_s = |at: &Duration| now.saturating_sub(*at).as_secs();
        let snapshot = status
            .snapshot
            .as_ref()
            .map(|(at, taken)| json!({ "age_s": age_s(at), "position": taken.position, "bytes": taken.bytes, "sent_to": taken.sent_to }));
        let drill = status.drill.as_ref().map(|(at, drilled)| match drilled {
            Ok(restored) => json!({ "age_s": age_s(at), "ok": restored.findings.is_empty(), "position": restored.position, "findings": restored.findings.len(), "took_ms": restored.took_ms }),
            Err(why) => json!({ "age_s": age_s(at), "ok": false, "why": why }),
        });
        let archive = self.inner.archives().then(|| {
            json!({
                "position": status.archived.map(|place| format!("{}.{}", place.epoch, place.seq)),
                "lag_s": lag(&status, now).as_secs(),
                "gaps": self.inner.gaps.load(Ordering::Relaxed),
            })
        });
        json!({
            "to": self.inner.to.as_ref().map(Destination::shown),
            "local_snapshots": take::local(&self.inner.data).len(),
            "snapshot": snapshot,
            "archive": archive,
            "drill": drill,
            "last_error": status.last_error,
        })
    }

    /// For `/metrics`, at the moment of looking.
    pub fn figures(&self) {
        let (status, now) = (lock(&self.inner.status), self.inner.time.now());
        let age_s = |at: &Duration| now.saturating_sub(*at).as_secs_f64();
        if self.inner.archives() {
            metrics::gauge!("medina_archive_lag_seconds").set(lag(&status, now).as_secs_f64());
            metrics::gauge!("medina_archive_seq").set(status.archived.map_or(0, |place| place.seq) as f64);
            metrics::counter!("medina_archive_gaps_total").absolute(self.inner.gaps.load(Ordering::Relaxed));
        }
        if let Some((at, taken)) = &status.snapshot {
            metrics::gauge!("medina_snapshot_age_seconds").set(age_s(at));
            metrics::gauge!("medina_snapshot_bytes").set(taken.bytes as f64);
            metrics::gauge!("medina_snapshot_duration_seconds").set(taken.took_ms as f64 / 1e3);
        }
        if let Some((at, drilled)) = &status.drill {
            let ok = drilled.as_ref().is_ok_and(|restored| restored.findings.is_empty());
            metrics::gauge!("medina_restore_drill_age_seconds").set(age_s(at));
            metrics::gauge!("medina_restore_drill_ok").set(if ok { 1.0 } else { 0.0 });
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `work` on a thread that lets all others go first: compressing a state takes a processor for seconds.
fn beside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let aside = || {
        storage::pace::give_way();
        work()
    };
    std::thread::scope(|scope| scope.spawn(aside).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn lag(status: &Status, now: Duration) -> Duration {
    status.behind_since.map_or(Duration::ZERO, |since| now.saturating_sub(since))
}

impl Inner {
    fn archives(&self) -> bool {
        self.config.archive && self.to.is_some()
    }

    fn snapshot(&self, engine: &Engine, to: Option<&Destination>) -> Result<Taken, String> {
        let _one = lock(&self.copying);
        let begun = Instant::now();
        let mode = if engine.is_sandbox() { "sandbox" } else { "live" };
        let manifest = beside(|| take::take(&engine.view(), &self.data, mode))?;
        engine.holds().hold(HOLD, manifest.seq + 1);
        let sent_bytes = match to {
            Some(to) => ship::ship(&self.data, &manifest, to, &|_, _| ())?,
            None => 0,
        };
        let taken = taken(&self.data, &manifest, to, sent_bytes, begun)?;
        tracing::info!(
            position = taken.position,
            bytes = taken.bytes,
            sent_to = taken.sent_to,
            took_ms = taken.took_ms,
            "a snapshot was taken"
        );
        self.tidy(engine, to);
        lock(&self.status).snapshot = Some((self.time.now(), taken.clone()));
        Ok(taken)
    }

    /// What the policies no longer want. A failure here is no failure of the snapshot.
    fn tidy(&self, engine: &Engine, to: Option<&Destination>) {
        let local = take::local(&self.data);
        let surplus = local.len().saturating_sub(self.config.keep_local.max(1) as usize);
        for place in &local[..surplus] {
            if let Err(error) = take::drop_local(&self.data, place) {
                tracing::warn!(%error, %place, "an old local snapshot could not be removed");
            }
        }
        let Some(to) = to else { return };
        let view = engine.view();
        let pruned = storage::fault::catch(|| pictures::named(&*view)).map_err(|fault| fault.to_string());
        if let Err(why) = pruned.and_then(|now| keep::prune(to, self.config.keep, &now)) {
            tracing::warn!(why, "what is no longer wanted could not all be removed");
        }
    }

    fn drill(&self) -> Result<Restored, String> {
        let _one = lock(&self.copying);
        let here = Destination::open(&self.data.display().to_string(), &self.config.s3, false, &self.runtime)?;
        // A follower proves its own copies; the leader's archive is proven by the leader.
        let is_following = self.engine.upgrade().is_some_and(|engine| engine.is_following());
        let from = self.to.as_ref().filter(|_| !is_following).unwrap_or(&here);
        let result = drill(from, &self.data.join("drill"), Goal::default(), &*self.inspect, &|_, _| ());
        let (at, ok) = (from.shown(), result.as_ref().is_ok_and(|restored| restored.findings.is_empty()));
        match &result {
            Ok(restored) if ok => {
                tracing::info!(at, position = restored.position, took_ms = restored.took_ms, "the restore drill succeeded");
            }
            Ok(restored) => tracing::error!(at, findings = ?restored.findings, "the restore drill found damage"),
            Err(why) => tracing::error!(at, why, "the restore drill failed"),
        }
        lock(&self.status).drill = Some((self.time.now(), result.clone()));
        result
    }

    fn keep_time(&self) {
        let every = Duration::from_secs(u64::from(self.config.every_minutes) * 60);
        let drill_every = Duration::from_secs(u64::from(self.config.drill_every_hours) * 3_600);
        let started = self.time.now();
        let (mut failures, mut tried) = (0_u32, started);
        let mut last_drill = started;
        while !self.time.wait(TICK, &self.stop) {
            let Some(engine) = self.engine.upgrade() else { return };
            self.list_erasures();
            if !engine.is_leading() && !engine.is_following() {
                continue;
            }
            let now = self.time.now();
            let since = lock(&self.status).snapshot.as_ref().map(|(at, _)| now.saturating_sub(*at));
            let due = !every.is_zero()
                && match since {
                    Some(since) => since >= every,
                    None => now.saturating_sub(started) >= FIRST_AFTER.min(every),
                };
            // Also where the schedule is off: the log after the newest snapshot is all that is left of the way to now, and may not grow for ever.
            let outgrown = engine.holds().is_outgrown(HOLD);
            if outgrown {
                tracing::info!("the log has outgrown the newest snapshot: another one takes its place");
            }
            if (due || outgrown) && now.saturating_sub(tried) >= TICK * failures.min(60) {
                tried = now;
                let ended = self.snapshot(&engine, self.to.as_ref().filter(|_| engine.is_leading()));
                failures = if ended.is_ok() { 0 } else { failures + 1 };
                self.tell(&engine, "snapshot_failed", ended.err());
            }
            if !drill_every.is_zero() && now.saturating_sub(last_drill) >= drill_every && !take::local(&self.data).is_empty() {
                last_drill = now;
                let why = match self.drill() {
                    Ok(restored) => restored.findings.first().cloned(),
                    Err(why) => Some(why),
                };
                self.tell(&engine, "restore_drill_failed", why);
            }
        }
    }

    /// Writes down who was erased, here and where copies go: before a copy of older keys can bring anybody back.
    fn list_erasures(&self) {
        let version = self.keyring.version();
        if lock(&self.status).erasures_listed == version {
            return;
        }
        let here = Destination::open(&self.data.display().to_string(), &self.config.s3, false, &self.runtime);
        let added = here.and_then(|here| erased::add(&here, &self.keyring)).and_then(|_| match &self.to {
            Some(to) => erased::add(to, &self.keyring),
            None => Ok(0),
        });
        match added {
            Ok(_) => lock(&self.status).erasures_listed = version,
            Err(why) => {
                tracing::warn!(why, "the list of erased persons could not be written; it is tried again");
                lock(&self.status).last_error = Some(why);
            }
        }
    }

    fn archive(&self) {
        let Some(to) = &self.to else { return };
        let mut archiver = match self.engine.upgrade() {
            Some(engine) => {
                let (disk, log) = engine.log();
                Archiver::new(disk, log, engine.holds().clone())
            }
            None => return,
        };
        let (mut pause, mut deadline) = (PACE, None);
        loop {
            let ending = self.time.wait(pause, &self.stop);
            let Some(engine) = self.engine.upgrade() else { return };
            if ending && deadline.get_or_insert_with(|| Instant::now() + LAST_WORDS).saturating_duration_since(Instant::now()).is_zero() {
                return;
            }
            self.list_erasures();
            if !engine.is_leading() && !ending {
                continue;
            }
            pause = match self.archive_step(&engine, &mut archiver, to) {
                Ok(Stand::CaughtUp) if ending => return,
                Ok(Stand::CaughtUp) => PACE,
                Ok(_) => Duration::ZERO,
                Err(_) if ending => return,
                Err(why) => {
                    tracing::warn!(why, "the log could not be archived; it is tried again");
                    lock(&self.status).last_error = Some(why);
                    (pause * 2).clamp(PACE, RETRY_MAX)
                }
            };
        }
    }

    fn archive_step(&self, engine: &Engine, archiver: &mut Archiver, to: &Destination) -> Result<Stand, String> {
        let view = engine.view();
        if archiver.at().is_none_or(|at| at.seq < view.position().seq) {
            lock(&self.status).behind_since.get_or_insert_with(|| self.time.now());
        }
        let stand = archiver.step(&view, to)?;
        if let Stand::NeedsBase { gap } = stand {
            if gap {
                self.gaps.fetch_add(1, Ordering::Relaxed);
                let why = format!(
                    "the log archived at {} has a gap: what lies between it and the snapshot taken now cannot be restored",
                    to.shown()
                );
                tracing::error!(why);
                self.tell(engine, "archive_gap", Some(why));
            }
            drop(view);
            self.snapshot(engine, Some(to))?;
            let newest = *take::local(&self.data).last().ok_or("the snapshot that was just taken is gone")?;
            archiver.base(newest);
        }
        let mut status = lock(&self.status);
        status.archived = archiver.at();
        if stand == Stand::CaughtUp {
            status.behind_since = None;
            status.last_error = None;
        }
        Ok(stand)
    }

    /// Puts it on the operators' list, or takes it off. A follower has no list of its own: its log, overview and figures say it.
    fn tell(&self, engine: &Engine, kind: &'static str, why: Option<String>) {
        if engine.is_following() {
            if let Some(why) = why {
                tracing::error!(kind, why, "this follower's own copies need attention");
                lock(&self.status).last_error = Some(why);
            }
            return;
        }
        let known = crate::engine::attention::ATTENTION.has(&*engine.view(), &(kind.to_owned(), "backup".to_owned()));
        if why.is_none() && !known {
            return;
        }
        let written = engine.write(&Caller::system("backup"), "backup.attention", move |tx| {
            match why {
                Some(why) => tx.attention(kind, "backup", why, &["medina snapshot", "GET /v1/ops/overview"]),
                None => tx.settle_attention(kind, "backup"),
            }
            Ok::<(), Fault>(())
        });
        if let Err(error) = self.runtime.block_on(written) {
            tracing::warn!(%error, "the operators' list could not be written");
        }
    }
}

/// What to say of a snapshot.
///
/// # Errors
/// If its manifest names no place.
pub fn taken(
    data: &std::path::Path,
    manifest: &Manifest,
    to: Option<&Destination>,
    sent_bytes: u64,
    begun: Instant,
) -> Result<Taken, String> {
    Ok(Taken {
        position: format!("{}.{}", manifest.epoch, manifest.seq),
        digest: manifest.digest.clone(),
        rows: manifest.rows,
        bytes: manifest.bytes(),
        folder: take::folder(data).join(manifest.place()?.to_string()).display().to_string(),
        sent_to: to.map(|to| to.shown().to_owned()),
        sent_bytes,
        took_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}
