//! Feeds the index from the log, on a thread of its own.

use std::time::Duration;

use index::text::{Mark, Resume, TextError, TextIndex};
use storage::{Position, View};
use tokio::time::{Instant, sleep_until};

use super::documents::Dirty;
use super::service::Search;
use crate::engine::Interest;
use crate::engine::event::EVENTS_KEPT_FROM;
use crate::engine::handle::WeakEngine;

/// An index commit costs milliseconds and a file or two, so bursts share one; a single change does not wait.
const COMMIT_EVERY: Duration = Duration::from_millis(200);
/// After so many commands that changed nothing here the mark moves all the same, so that a restart does not read them again.
const MARK_EVERY: u64 = 50_000;
/// How often commands that changed nothing here are passed over, so that the mark follows.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Until the next try after a failure.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a round of the feed failed.
#[derive(Debug, thiserror::Error)]
enum FeedError {
    #[error(transparent)]
    Index(#[from] TextError),
    #[error(transparent)]
    Storage(#[from] storage::Fault),
}

/// Where the feed stands.
struct Feed<'a> {
    search: &'a Search,
    /// Applied, and visible in the index.
    applied: Mark,
    /// What the index's own payload says; behind `applied` by commands that changed nothing here.
    marked: Mark,
    next_commit: Instant,
}

/// Follows the log until the engine stops or [`Search::stop`] is called.
pub(super) fn run(search: &Search, engine: &WeakEngine, commits: Interest, resume: Resume) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the search index is not fed: no runtime");
            return;
        }
    };
    runtime.block_on(follow(search, engine, commits, resume));
}

async fn follow(search: &Search, engine: &WeakEngine, mut commits: Interest, mut resume: Resume) {
    loop {
        let failed = match begin(search, engine, resume) {
            Ok(Some(feed)) => feed.go_on(engine, &mut commits).await,
            Ok(None) => return,
            Err(error) => Err(error),
        };
        let Err(error) = failed else { return };
        metrics::counter!("medina_search_feed_failures_total").increment(1);
        tracing::error!(%error, "the search index could not be fed; it is opened again");
        loop {
            if search.is_stopping() {
                return;
            }
            tokio::time::sleep(RETRY_AFTER).await;
            match search.reopen() {
                Ok(from) => {
                    resume = from;
                    break;
                }
                Err(error) => tracing::error!(%error, "the search index does not open"),
            }
        }
    }
}

/// Decides where to begin, and rebuilds if the index and the log have no common place. `None` if the engine is gone.
fn begin<'a>(search: &'a Search, engine: &WeakEngine, resume: Resume) -> Result<Option<Feed<'a>>, FeedError> {
    let Some(view) = engine.upgrade().map(|engine| engine.view()) else { return Ok(None) };
    let now = mark(view.position());
    let known = match resume {
        Resume::After(mark) if storage::fault::catch(|| is_followed(&view, mark))? => Some(mark),
        Resume::After(_) | Resume::Rebuild => None,
    };
    let applied = match known {
        Some(mark) => mark,
        None => {
            rebuild(search, &view, now)?;
            now
        }
    };
    // Ready only once everything up to the start is in; a resumed feed catches up first.
    if applied == now {
        search.has_applied(applied.seq);
    }
    Ok(Some(Feed { search, applied, marked: applied, next_commit: Instant::now() }))
}

/// Whether the log still tells everything that happened after `mark`.
fn is_followed(view: &View, mark: Mark) -> bool {
    let position = view.position();
    let kept_from = EVENTS_KEPT_FROM.get(view, &()).map_or(0, |kept| kept.0);
    // Another epoch is another leader's history: what the index holds of the old one may never have been.
    mark.epoch == position.epoch && mark.seq <= position.seq && kept_from <= mark.seq + 1
}

fn rebuild(search: &Search, view: &View, at: Mark) -> Result<(), FeedError> {
    let Some(index) = search.index() else { return Ok(()) };
    index.clear()?;
    storage::fault::catch(|| write(&index, view, &Dirty::everything(view)))??;
    index.commit(at)?;
    tracing::info!(documents = index.len(), seq = at.seq, "the search index was built anew");
    Ok(())
}

fn write(index: &TextIndex, view: &View, dirty: &Dirty) -> Result<(), TextError> {
    dirty.documents(view).try_for_each(|document| index.upsert(&document))
}

fn mark(position: Position) -> Mark {
    Mark { epoch: position.epoch, seq: position.seq }
}

impl Feed<'_> {
    /// `Ok` when there is nothing more to follow.
    async fn go_on(mut self, engine: &WeakEngine, commits: &mut Interest) -> Result<(), FeedError> {
        loop {
            let Some(view) = engine.upgrade().map(|engine| engine.view()) else { break };
            let has_changes = self.follow_to(&view)?;
            if has_changes {
                // Others may change things until it is time; they come along.
                sleep_until(self.next_commit).await;
                let Some(view) = engine.upgrade().map(|engine| engine.view()) else { break };
                self.commit(&view)?;
            }
            metrics::gauge!("medina_search_lag_commands").set(engine.upgrade().map_or(0, |engine| self.search.lag(&engine)) as f64);
            if self.search.is_stopping() {
                break;
            }
            let is_behind = engine.upgrade().is_some_and(|engine| engine.view().position().seq.min(self.search.reach()) > self.applied.seq);
            if is_behind {
                continue;
            }
            tokio::select! {
                changed = commits.changed() => if changed.is_err() { break },
                () = tokio::time::sleep(LOOK_EVERY) => (),
                () = self.search.stopped() => break,
            }
        }
        self.leave_mark()
    }

    /// Moves on over commands that changed nothing here. Whether there are others.
    fn follow_to(&mut self, view: &View) -> Result<bool, FeedError> {
        let to = mark(view.position());
        if to.seq <= self.applied.seq {
            return Ok(false);
        }
        let mut dirty = Dirty::default();
        storage::fault::catch(|| dirty.read(view, self.applied.seq, to.seq))?;
        if !dirty.is_empty() {
            return Ok(true);
        }
        self.applied = to;
        self.search.has_applied(to.seq);
        if self.applied.seq - self.marked.seq >= MARK_EVERY {
            self.leave_mark()?;
        }
        Ok(false)
    }

    /// Brings the index to where `view` is.
    fn commit(&mut self, view: &View) -> Result<(), FeedError> {
        let Some(index) = self.search.index() else { return Ok(()) };
        let to = mark(view.position());
        let mut dirty = Dirty::default();
        storage::fault::catch(|| {
            dirty.read(view, self.applied.seq, to.seq);
            write(&index, view, &dirty)
        })??;
        index.commit(to)?;
        self.next_commit = Instant::now() + COMMIT_EVERY;
        (self.applied, self.marked) = (to, to);
        self.search.has_applied(to.seq);
        Ok(())
    }

    fn leave_mark(&mut self) -> Result<(), FeedError> {
        if self.marked != self.applied
            && let Some(index) = self.search.index()
        {
            index.commit(self.applied)?;
            self.marked = self.applied;
        }
        Ok(())
    }
}
