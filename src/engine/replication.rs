//! What replication asks of the engine: the log, the acknowledgements, records to apply, and the end of a leadership.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use storage::Position;
use storage::disk::Disk;
use storage::log::Record;
use tokio::sync::{oneshot, watch};

use super::acks::Acks;
use super::fault::Fault;
use super::follow::Feed;
use super::handle::Engine;

impl Engine {
    /// Whether this node takes the leader's records instead of commands.
    #[must_use]
    pub fn is_following(&self) -> bool {
        self.0.following
    }

    /// Whether timers, outbox and dispatcher run.
    #[must_use]
    pub fn is_leading(&self) -> bool {
        self.0.leading.load(Ordering::Acquire)
    }

    /// Whether commands are taken here.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.not_leading().is_none()
    }

    /// Acknowledgements.
    #[must_use]
    pub fn acks(&self) -> &Arc<Acks> {
        &self.0.acks
    }

    /// Changes when something has become durable here, published or not: up to there the log may be read.
    #[must_use]
    pub fn synced(&self) -> watch::Receiver<Position> {
        self.0.synced.clone()
    }

    /// The disk and the log's folder, for a reader beside the writer.
    #[must_use]
    pub fn log(&self) -> (Arc<dyn Disk>, PathBuf) {
        self.0.log.clone()
    }

    /// Appends the leader's records to this node's log and shows them. Returns where this node stands, all of it on its disk.
    ///
    /// # Errors
    /// Why a record does not continue this node's history; those before it were applied. [`Fault::Stopping`].
    pub async fn apply(&self, records: Vec<Record>) -> Result<Result<Position, String>, Fault> {
        let feed = self.0.feed.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or(Fault::Stopping)?;
        let (applied, answer) = oneshot::channel();
        // The caller awaits each answer before it sends more, so the channel's one place is free.
        feed.try_send(Feed { records, applied }).map_err(|_| Fault::Stopping)?;
        answer.await.map_err(|_| Fault::Stopping)
    }

    /// Notes who leads, for those who ask this node to write.
    pub fn follows(&self, leader: Option<String>) {
        *self.0.leader.write().unwrap_or_else(PoisonError::into_inner) = leader;
    }

    /// Who leads, as far as this node knows; `None` if it leads itself or nobody is known.
    #[must_use]
    pub fn leader(&self) -> Option<String> {
        self.0.leader.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another node leads with a higher epoch: from now on no command is taken or answered here, and nothing more goes into the state file.
    pub fn fence(&self, leader: Option<String>) {
        self.follows(leader);
        self.0.fenced.store(true, Ordering::Release);
        self.0.leading.store(false, Ordering::Release);
        drop(self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Why no command is taken here.
    pub(super) fn not_leading(&self) -> Option<Fault> {
        let elsewhere = self.0.following || self.0.fenced.load(Ordering::Acquire);
        elsewhere.then(|| Fault::NotLeading { leader: self.leader() })
    }
}
