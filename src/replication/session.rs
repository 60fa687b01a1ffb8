//! The leader's list of open streams, and how far each follower is.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// One follower's stream.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub node: String,
    /// On the follower's disk.
    pub acknowledged: u64,
    /// What was sent and not acknowledged: last sequence number and bytes of all frames up to it.
    sent: Vec<(u64, u64)>,
    sent_bytes: u64,
    acknowledged_bytes: u64,
    /// When it had everything last.
    level_at: Instant,
}

/// All streams, by their number.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<u64, Session>>);

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A follower came; an older stream of the same node is over.
    pub fn open(&self, id: u64, node: &str, after: u64) {
        let mut all = self.lock();
        all.retain(|_, session| session.node != node);
        let (sent, level_at) = (Vec::new(), Instant::now());
        let session = Session { node: node.to_owned(), acknowledged: after, sent, sent_bytes: 0, acknowledged_bytes: 0, level_at };
        all.insert(id, session);
    }

    /// Its stream ended.
    pub fn close(&self, id: u64) {
        if let Some(session) = self.lock().remove(&id) {
            metrics::gauge!("medina_replication_connected", "node" => session.node).set(0.0);
        }
    }

    pub fn is_open(&self, id: u64) -> bool {
        self.lock().contains_key(&id)
    }

    /// Frames up to `seq` were sent. Returns how many bytes so far.
    pub fn sent(&self, id: u64, seq: u64, bytes: u64) -> u64 {
        let mut all = self.lock();
        let Some(session) = all.get_mut(&id) else { return 0 };
        session.sent_bytes += bytes;
        session.sent.push((seq, session.sent_bytes));
        session.sent_bytes
    }

    /// The follower has everything up to `seq` on its disk; its name, if the stream is open.
    pub fn acknowledged(&self, id: u64, seq: u64) -> Option<String> {
        let mut all = self.lock();
        let session = all.get_mut(&id)?;
        session.acknowledged = session.acknowledged.max(seq);
        let done = session.sent.partition_point(|(sent, _)| *sent <= seq);
        if let Some((_, bytes)) = session.sent.drain(..done).next_back() {
            session.acknowledged_bytes = bytes;
        }
        Some(session.node.clone())
    }

    /// Shows how far behind `head` each follower is.
    pub fn show(&self, head: u64) {
        for session in self.lock().values_mut() {
            let node = session.node.clone();
            if session.acknowledged >= head {
                session.level_at = Instant::now();
            }
            let seconds = session.level_at.elapsed().as_secs_f64();
            let seconds = if session.acknowledged >= head { 0.0 } else { seconds };
            metrics::gauge!("medina_replication_connected", "node" => node.clone()).set(1.0);
            metrics::gauge!("medina_replication_lag_seconds", "node" => node.clone()).set(seconds);
            metrics::gauge!("medina_replication_lag_records", "node" => node.clone()).set(head.saturating_sub(session.acknowledged) as f64);
            metrics::gauge!("medina_replication_lag_bytes", "node" => node).set((session.sent_bytes - session.acknowledged_bytes) as f64);
        }
    }
}
