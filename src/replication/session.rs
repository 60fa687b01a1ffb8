//! The leader's list of followers: whose stream is open, how far each one is, when it was last heard.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One follower.
#[derive(Clone, Debug)]
struct Session {
    /// The number of its open stream.
    stream: Option<u64>,
    /// On the follower's disk.
    acknowledged: u64,
    /// What was sent and not acknowledged: last sequence number and bytes of all frames up to it.
    sent: Vec<(u64, u64)>,
    sent_bytes: u64,
    acknowledged_bytes: u64,
    /// When it had everything last.
    level_at: Instant,
    /// When it last acknowledged; it does so at each heartbeat, also when nothing came.
    heard_at: Instant,
}

impl Session {
    fn new(acknowledged: u64) -> Self {
        let now = Instant::now();
        Self { stream: None, acknowledged, sent: Vec::new(), sent_bytes: 0, acknowledged_bytes: 0, level_at: now, heard_at: now }
    }
}

/// All followers that were heard in this process's time, by name; and the one that should be.
#[derive(Default)]
pub(super) struct Sessions(Mutex<BTreeMap<String, Session>>);

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This follower should be there: its silence counts from now on, also if it never comes.
    pub fn expect(&self, node: &str) {
        self.lock().entry(node.to_owned()).or_insert_with(|| Session::new(0));
    }

    /// A follower came; an older stream of the same node is over.
    pub fn open(&self, stream: u64, node: &str, after: u64) {
        let mut all = self.lock();
        let level_at = all.get(node).map(|before| before.level_at);
        let fresh = Session { stream: Some(stream), ..Session::new(after) };
        // Since when it has not had everything, a new stream does not forget.
        all.insert(node.to_owned(), Session { level_at: level_at.unwrap_or(fresh.level_at), ..fresh });
    }

    /// Its stream ended.
    pub fn close(&self, stream: u64) {
        if let Some(session) = self.lock().values_mut().find(|session| session.stream == Some(stream)) {
            session.stream = None;
        }
    }

    pub fn is_open(&self, stream: u64) -> bool {
        self.lock().values().any(|session| session.stream == Some(stream))
    }

    /// Frames up to `seq` were sent. Returns how many bytes so far.
    pub fn sent(&self, stream: u64, seq: u64, bytes: u64) -> u64 {
        let mut all = self.lock();
        let Some(session) = all.values_mut().find(|session| session.stream == Some(stream)) else { return 0 };
        session.sent_bytes += bytes;
        session.sent.push((seq, session.sent_bytes));
        session.sent_bytes
    }

    /// The follower has everything up to `seq` on its disk; its name, if the stream is open.
    pub fn acknowledged(&self, stream: u64, seq: u64, head: u64) -> Option<String> {
        let mut all = self.lock();
        let (node, session) = all.iter_mut().find(|(_, session)| session.stream == Some(stream))?;
        session.acknowledged = session.acknowledged.max(seq);
        session.heard_at = Instant::now();
        if session.acknowledged >= head {
            session.level_at = session.heard_at;
        }
        let done = session.sent.partition_point(|(sent, _)| *sent <= seq);
        if let Some((_, bytes)) = session.sent.drain(..done).next_back() {
            session.acknowledged_bytes = bytes;
        }
        Some(node.clone())
    }

    /// Those who have said nothing for longer than `patience`, and since when.
    pub fn silent(&self, patience: Duration) -> Vec<(String, Duration)> {
        let silence = |(node, session): (&String, &Session)| (node.clone(), session.heard_at.elapsed());
        self.lock().iter().map(silence).filter(|(_, silence)| *silence > patience).collect()
    }

    /// Shows how far behind `head` each one is, at the moment of looking: also one that is gone.
    pub fn figures(&self, head: u64) {
        for (node, session) in self.lock().iter() {
            let is_level = session.acknowledged >= head;
            let seconds = if is_level { 0.0 } else { session.level_at.elapsed().as_secs_f64() };
            let connected = f64::from(u8::from(session.stream.is_some()));
            metrics::gauge!("medina_replication_connected", "node" => node.clone()).set(connected);
            metrics::gauge!("medina_replication_lag_seconds", "node" => node.clone()).set(seconds);
            metrics::gauge!("medina_replication_lag_records", "node" => node.clone()).set(head.saturating_sub(session.acknowledged) as f64);
            metrics::gauge!("medina_replication_lag_bytes", "node" => node.clone())
                .set((session.sent_bytes - session.acknowledged_bytes) as f64);
            metrics::gauge!("medina_replication_heard_seconds", "node" => node.clone()).set(session.heard_at.elapsed().as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_that_is_gone_is_not_forgotten() {
        let sessions = Sessions::default();
        sessions.expect("b");
        assert_eq!(sessions.acknowledged(7, 1, 1), None, "no such stream");
        sessions.open(7, "b", 10);
        assert_eq!(sessions.sent(7, 12, 100), 100);
        assert_eq!(sessions.acknowledged(7, 12, 12).as_deref(), Some("b"));
        sessions.open(8, "b", 12);
        assert!(sessions.is_open(8) && !sessions.is_open(7), "one stream a follower");
        sessions.close(7);
        assert!(sessions.is_open(8), "what has been replaced ends nothing");
        sessions.close(8);
        assert!(!sessions.is_open(8) && sessions.acknowledged(8, 13, 13).is_none());
        let silent: Vec<String> = sessions.silent(Duration::ZERO).into_iter().map(|(node, _)| node).collect();
        assert_eq!(silent, ["b"], "its silence is noticed, although it has no stream");
        assert!(sessions.silent(Duration::from_secs(3600)).is_empty());
    }
}
