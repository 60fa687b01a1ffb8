//! The index and how far it has followed the log.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use index::text::{Resume, TextError, TextIndex};
use storage::Timestamp;
use tokio::sync::{Notify, watch};

use super::feed;
use crate::city::catalog::model::{ITEMS, MERCHANTS};
use crate::engine::{Background, Engine, Reach};

/// The search service; the routes and the composition root share it.
pub struct Search {
    dir: PathBuf,
    /// Absent while it is opened again after the disk failed it.
    index: ArcSwapOption<TextIndex>,
    applied: watch::Sender<Applied>,
    /// Up to where commands changed what can be found.
    reach: Reach,
    stopping: AtomicBool,
    stop: Notify,
    feeder: Mutex<Option<JoinHandle<()>>>,
}

/// How far the index is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Applied {
    /// The last command whose changes can be found.
    pub seq: u64,
    /// Whether it has caught up since the start.
    pub is_ready: bool,
}

impl Search {
    /// Opens the index in `dir` (its own folder), and starts to follow `engine`'s log. The engine's test clock waits for it from now on.
    ///
    /// # Errors
    /// [`TextError`]: the folder cannot be used.
    pub fn start(engine: &Engine, dir: &Path) -> Result<Arc<Self>, TextError> {
        let (index, resume) = TextIndex::open(dir)?;
        // The events that the feed reads stand in commits that write to these.
        let commits = engine.follow(&[MERCHANTS.id, ITEMS.id]);
        let search = Arc::new(Self {
            dir: dir.to_owned(),
            index: ArcSwapOption::from_pointee(index),
            applied: watch::channel(Applied::default()).0,
            reach: commits.reach(),
            stopping: AtomicBool::new(false),
            stop: Notify::new(),
            feeder: Mutex::new(None),
        });
        engine.background(search.clone());
        let (feeding, weak) = (search.clone(), engine.downgrade());
        let thread =
            std::thread::Builder::new().name("medina-search".to_owned()).spawn(move || feed::run(&feeding, &weak, commits, resume));
        *search.feeder.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread?);
        Ok(search)
    }

    /// Ends the feed, which notes how far it came, and lets go of the folder: whoever still holds the service (a line that was cut, the engine's list)
    /// must not keep the next start out of it. Call it when nobody searches any more. Blocks.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.stop.notify_one();
        if let Some(thread) = self.feeder.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
        self.index.store(None);
    }

    /// The last command whose changes can be found.
    #[must_use]
    pub fn applied(&self) -> u64 {
        self.applied.borrow().seq
    }

    /// How many commands the index is behind the published state; 0 if none of those changed what can be found.
    #[must_use]
    pub fn lag(&self, engine: &Engine) -> u64 {
        let seq = engine.view().position().seq;
        if self.has_reached(seq, self.applied()) { 0 } else { seq.saturating_sub(self.applied()) }
    }

    /// Whether it has caught up with the log since the start: for `/readyz`.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.applied.borrow().is_ready
    }

    /// Waits until the changes of command `seq` can be found.
    ///
    /// # Errors
    /// How far it is, if `patience` ran out.
    pub async fn reached(&self, seq: u64, patience: Duration) -> Result<(), u64> {
        let mut applied = self.applied.subscribe();
        match tokio::time::timeout(patience, applied.wait_for(|applied| self.has_reached(seq, applied.seq))).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(self.applied()),
        }
    }

    /// The index; `None` while it is being opened again.
    #[must_use]
    pub fn index(&self) -> Option<Arc<TextIndex>> {
        self.index.load_full()
    }

    fn has_reached(&self, seq: u64, applied: u64) -> bool {
        applied >= seq.min(self.reach())
    }

    /// The last command that changed what can be found; beyond it there is nothing to apply.
    pub(super) fn reach(&self) -> u64 {
        self.reach.seq()
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Returns at [`Search::stop`].
    pub(super) async fn stopped(&self) {
        self.stop.notified().await;
    }

    pub(super) fn has_applied(&self, seq: u64) {
        self.applied.send_replace(Applied { seq, is_ready: true });
    }

    /// Opens the index again: what failed may be over (a full disk), and its writer does not recover by itself.
    pub(super) fn reopen(&self) -> Result<Resume, TextError> {
        // Searches that still hold the old one end soon; until then it is locked, and the feed tries again.
        self.index.store(None);
        let (index, resume) = TextIndex::open(&self.dir)?;
        self.index.store(Some(Arc::new(index)));
        Ok(resume)
    }
}

impl Background for Search {
    fn name(&self) -> &'static str {
        "search"
    }

    fn is_idle(&self, seq: u64) -> bool {
        self.has_reached(seq, self.applied())
    }

    fn next_due(&self) -> Option<Timestamp> {
        None
    }
}
