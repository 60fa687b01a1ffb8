//! The follower's side: finds the leader, takes its log, puts it on the disk, says so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use storage::log::Record;
use tokio::sync::watch;

use super::keys::PeopleKeys;
use super::node::{Lag, Node};
use super::peer::PeerError;
use super::wire::{self, Acknowledgement, Frame, From, Heartbeat, SESSION};
use crate::engine::{Engine, Fault};

/// Between two attempts to find or reach a leader.
const PAUSE: Duration = Duration::from_millis(300);
/// A follower that hears one leader still asks its peers this often whether there is a newer one.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Records handed to the writer at once.
const RECORDS_MAX: usize = 256;

/// Why a stream ended.
enum Ended {
    /// Try again.
    Lost(String),
    /// Only a new start can go on: the folder has to be cut, or replaced.
    Turn(&'static str),
    /// This process stops, or takes over.
    Stop,
}

impl std::convert::From<PeerError> for Ended {
    fn from(error: PeerError) -> Self {
        match error {
            PeerError::Diverged => Self::Turn("this node's history has an end that the leader's has not"),
            PeerError::Gone => Self::Turn("this node is too far behind the leader's log"),
            PeerError::Away(_) | PeerError::NotLeader | PeerError::Refused(..) => Self::Lost(error.to_string()),
        }
    }
}

impl std::convert::From<Fault> for Ended {
    fn from(_: Fault) -> Self {
        Self::Stop
    }
}

/// Follows until the process stops or has to begin anew.
pub async fn run(node: Arc<Node>, engine: Engine, keys: Arc<dyn PeopleKeys>, mut stop: watch::Receiver<bool>) {
    let mut closed = node.closed.subscribe();
    loop {
        let ended = tokio::select! {
            ended = once(&node, &engine, &keys) => ended,
            () = crate::edge::server::stopped(&mut stop) => return,
            () = crate::edge::server::stopped(&mut closed) => return,
        };
        node.lag.send_modify(|lag| lag.connected = false);
        match ended {
            Ended::Lost(why) => tracing::warn!(why, "not following anybody; trying again"),
            Ended::Turn(why) => return node.turn(why),
            Ended::Stop => return,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn once(node: &Arc<Node>, engine: &Engine, keys: &Arc<dyn PeopleKeys>) -> Ended {
    let here = engine.view().position();
    let Some((leader, status)) = node.peers.leader(&node.addresses(), here.epoch).await else {
        return Ended::Lost("nobody leads, as far as anybody says".to_owned());
    };
    if status.sandbox != engine.is_sandbox() {
        return Ended::Lost("one of the two is a sandbox and the other is not".to_owned());
    }
    engine.follows(Some(leader.clone()));
    if let Err(error) = node.remember(|part| part.leader = Some(leader.clone())) {
        tracing::error!(%error, "the leader's address could not be remembered");
    }
    match follow(node, engine, keys, &leader, status.epoch).await {
        Err(ended) => ended,
        Ok(()) => Ended::Lost("the leader ended the stream".to_owned()),
    }
}

async fn follow(node: &Arc<Node>, engine: &Engine, keys: &Arc<dyn PeopleKeys>, leader: &str, epoch: u64) -> Result<(), Ended> {
    // Before the first record: what was acknowledged must be readable here.
    fetch_keys(node, keys, leader).await?;
    let here = engine.view().position();
    let mut stream = node.peers.log(leader, &From::of(here, &node.options.node)).await?;
    let session = stream.headers().get(SESSION).and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let session = session.ok_or_else(|| Ended::Lost("the leader names no stream".to_owned()))?;
    tracing::info!(leader, seq = here.seq, "following");
    node.lag.send_modify(|lag| lag.connected = true);
    let said = |seq| Acknowledgement { session, epoch, seq };
    let (applied, acknowledging) = acknowledger(node.clone(), leader.to_owned(), said(here.seq));
    let _ends_with_the_stream = Ends(acknowledging);
    let mut waiting = Vec::new();
    let mut look = tokio::time::interval_at(tokio::time::Instant::now() + LOOK_EVERY, LOOK_EVERY);
    let (mut received, mut keys_known) = (0, None);
    loop {
        let chunk = tokio::select! {
            chunk = stream.chunk() => chunk.map_err(PeerError::Away)?,
            _ = look.tick() => {
                let newer = node.peers.leader(&node.addresses(), epoch + 1).await;
                if let Some((url, _)) = newer {
                    return Err(Ended::Lost(format!("{url} leads a newer epoch")));
                }
                continue;
            }
        };
        let Some(chunk) = chunk else { return Ok(()) };
        waiting.extend_from_slice(&chunk);
        let mut records: Vec<Record> = Vec::new();
        let mut beat = None;
        for (frame, bytes) in wire::take(&mut waiting).map_err(|error| Ended::Lost(error.to_string()))? {
            match frame {
                Frame::Record(record) => {
                    received += bytes as u64;
                    records.push(record);
                }
                Frame::Heartbeat(heartbeat) => beat = Some(heartbeat),
            }
        }
        if let Some(beat) = beat {
            heard(node, engine, &beat, received);
            if keys_known != Some(beat.keys) {
                fetch_keys(node, keys, leader).await?;
                keys_known = Some(beat.keys);
            }
            // Also when nothing came: the leader sees that this node lives.
            applied.send_modify(|_| ());
        }
        while !records.is_empty() {
            let rest = records.split_off(records.len().min(RECORDS_MAX));
            let position = engine.apply(std::mem::replace(&mut records, rest)).await?;
            let position = position.map_err(|why| {
                tracing::error!(why, "the leader's log does not continue this node's");
                Ended::Turn("the leader's log does not continue this node's")
            })?;
            applied.send_replace(said(position.seq));
        }
    }
}

/// Brings this node's people's keys up to the leader's.
async fn fetch_keys(node: &Arc<Node>, keys: &Arc<dyn PeopleKeys>, leader: &str) -> Result<(), Ended> {
    let bytes = node.peers.keys(leader).await?;
    let keys = keys.clone();
    let taken = tokio::task::spawn_blocking(move || keys.import(&bytes)).await;
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "the leader's people's keys could not be taken over");
        Ended::Lost(error.to_string())
    };
    taken.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
}

/// Says the newest acknowledgement, one request at a time.
fn acknowledger(node: Arc<Node>, leader: String, first: Acknowledgement) -> (watch::Sender<Acknowledgement>, tokio::task::JoinHandle<()>) {
    let (applied, mut newest) = watch::channel(first);
    newest.mark_changed();
    let task = tokio::spawn(async move {
        while newest.changed().await.is_ok() {
            let said = newest.borrow_and_update().clone();
            if let Err(error) = node.peers.acknowledge(&leader, &said).await {
                tracing::warn!(%error, seq = said.seq, "an acknowledgement did not arrive");
                tokio::time::sleep(PAUSE).await;
                newest.mark_changed();
            }
        }
    });
    (applied, task)
}

/// Ends a task when dropped.
struct Ends(tokio::task::JoinHandle<()>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn heard(node: &Arc<Node>, engine: &Engine, beat: &Heartbeat, received: u64) {
    let here = engine.view().position();
    let now = Instant::now();
    node.lag.send_modify(|lag| {
        let level_at = if beat.seq <= here.seq { Some(now) } else { lag.level_at.or(Some(now)) };
        *lag = Lag {
            connected: true,
            leader_seq: beat.seq,
            leader_epoch: beat.epoch,
            heard_at: Some(now),
            level_at,
            behind_bytes: beat.sent_bytes.saturating_sub(received),
            degraded: beat.degraded,
        };
    });
    if let Err(error) = node.remember(|part| part.promise = Some(beat.promise.clone())) {
        tracing::error!(%error, "what the leader promises could not be remembered");
    }
}
