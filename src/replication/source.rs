//! The leader's side: status, log, acknowledgements, snapshot, under `/replication/` and behind the nodes' token.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use storage::log::{LogError, LogReader};
use storage::replica::history::{self, Holds};
use storage::{Hash, Position};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use super::keys::{self, PeopleKeys};
use super::node::Node;
use super::role::Promise;
use super::wire::{self, Acknowledgement, Asker, From, Has, Heartbeat, Place, SESSION, Status};
use crate::edge::Problem;
use crate::engine::{Ack, Engine};

/// Which city group; storage's default, which a follower's log must share.
const CELL: u64 = 1;
/// An idle stream says so this often.
const HEARTBEAT_EVERY: Duration = Duration::from_millis(500);
/// Frames are joined up to about this size.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks on their way: more waits for the follower.
const CHUNKS_MAX: usize = 8;

/// What the routes need.
#[derive(Clone)]
pub struct Source {
    node: Arc<Node>,
    engine: Engine,
    keys: Arc<dyn PeopleKeys>,
    next: Arc<AtomicU64>,
    stop: watch::Receiver<bool>,
}

impl Source {
    #[must_use]
    pub fn new(node: Arc<Node>, engine: Engine, keys: Arc<dyn PeopleKeys>, stop: watch::Receiver<bool>) -> Self {
        // Numbers of an earlier process must not be taken for this one's.
        let started = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        Self { node, engine, keys, next: Arc::new(AtomicU64::new(started)), stop }
    }

    /// The routes; every one of them asks for the token.
    pub fn routes(self) -> Router {
        Router::new()
            .route("/replication/status", get(status))
            .route("/replication/holds", get(holds))
            .route("/replication/log", get(log))
            .route("/replication/ack", post(acknowledge))
            .route("/replication/snapshot", get(snapshot))
            .route("/replication/keys", get(people_keys))
            .layer(from_fn_with_state(self.node.clone(), guarded))
            .with_state(self)
    }

    fn leads(&self) -> bool {
        self.engine.leads()
    }

    /// The leader's own, or where it is.
    fn leading(&self) -> Result<(), Problem> {
        if self.leads() {
            return Ok(());
        }
        Err(Problem::new(421, "not_leader", "this node does not lead").with("leader", json!(self.engine.leader())))
    }

    /// What a leader recovered and its follower has not acknowledged yet is for that follower alone.
    fn may_see(&self, node: Option<&str>) -> Result<(), Problem> {
        let waited_for = node.is_some() && self.node.options.follower.as_deref() == node;
        if waited_for || *self.node.serving.borrow() {
            return Ok(());
        }
        Err(Problem::new(503, "not_ready", "waiting for the follower that must have everything first").retry_after(1))
    }

    /// The position up to which `node` may read: only the follower that is waited for sees what is not published.
    fn bound(&self, node: &str) -> watch::Receiver<Position> {
        let waited_for = self.engine.acks().options().ack != Ack::Local && self.node.options.follower.as_deref() == Some(node);
        if waited_for { self.engine.synced() } else { self.engine.positions() }
    }

    fn heartbeat(&self, sent_bytes: u64) -> Heartbeat {
        let Position { epoch, seq, .. } = *self.engine.synced().borrow();
        let promise = Promise { ack: self.engine.acks().options().ack, follower: self.node.options.follower.clone() };
        Heartbeat { epoch, seq, sent_bytes, promise, degraded: *self.engine.acks().degraded().borrow(), keys: self.keys.version() }
    }
}

async fn guarded(State(node): State<Arc<Node>>, request: Request, next: Next) -> Response {
    if node.token.is_carried(request.headers()) {
        return next.run(request).await;
    }
    let mut refused = Problem::new(401, "unauthenticated", "the replication token is missing or wrong").into_response();
    refused.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
    refused
}

async fn status(State(source): State<Source>) -> Json<Status> {
    let Position { epoch, seq, .. } = *source.engine.synced().borrow();
    Json(Status {
        node: source.node.options.node.clone(),
        role: source.node.part().role,
        sandbox: source.engine.is_sandbox(),
        leads: source.leads(),
        epoch,
        seq,
        leader: source.engine.leader(),
        process: source.node.process,
    })
}

fn hash_of(text: &str) -> Result<Hash, Problem> {
    wire::parse_hash(text).ok_or_else(|| Problem::invalid("/hash", "bad_hash", "a hash has 64 hexadecimal digits"))
}

async fn history_holds(source: &Source, seq: u64, hash: Hash) -> Result<Holds, Problem> {
    let (engine, end) = (source.engine.clone(), *source.engine.synced().borrow());
    let looked = tokio::task::spawn_blocking(move || {
        let (disk, dir) = engine.log();
        history::holds(&disk, &dir, end, seq, hash)
    });
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "the log could not be read for a follower");
        Problem::new(500, "internal", "the log could not be read")
    };
    looked.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
}

async fn holds(State(source): State<Source>, Query(place): Query<Place>) -> Result<Json<Has>, Problem> {
    source.leading()?;
    Ok(Json(match history_holds(&source, place.seq, hash_of(&place.hash)?).await? {
        Holds::Yes => Has::Yes,
        Holds::No => Has::No,
        Holds::Trimmed => Has::Trimmed,
    }))
}

async fn log(State(source): State<Source>, Query(from): Query<From>) -> Result<Response, Problem> {
    source.leading()?;
    let here = *source.engine.synced().borrow();
    if from.epoch > here.epoch {
        source.node.look.notify_one();
        return Err(Problem::new(421, "not_leader", format!("epoch {} is over: the asker has seen {}", here.epoch, from.epoch)));
    }
    source.may_see(Some(&from.node))?;
    match history_holds(&source, from.after, hash_of(&from.hash)?).await? {
        Holds::Yes => (),
        Holds::No => return Err(Problem::new(409, "diverged", format!("no record of this history ends at {} with that hash", from.after))),
        Holds::Trimmed => return Err(gone(from.after)),
    }
    let (disk, dir) = source.engine.log();
    let after = from.after;
    let opened = tokio::task::spawn_blocking(move || LogReader::open(disk, &dir, after + 1)).await;
    let reader = match opened {
        Ok(Ok(reader)) => reader,
        Ok(Err(LogError::Missing { .. })) => return Err(gone(after)),
        Ok(Err(error)) => return Err(Problem::new(500, "internal", error.to_string())),
        Err(error) => return Err(Problem::new(500, "internal", error.to_string())),
    };
    let session = source.next.fetch_add(1, Ordering::Relaxed);
    source.node.sessions.open(session, &from.node, after);
    tracing::info!(node = from.node, after, "a follower came");
    let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
    tokio::task::spawn_blocking(move || {
        let ended = send(&source, &from, session, reader, &sender);
        source.node.sessions.close(session);
        tracing::info!(node = from.node, why = ended, "a follower's stream ended");
    });
    let headers = [(header::CONTENT_TYPE.as_str(), "application/octet-stream".to_owned()), (SESSION, session.to_string())];
    Ok((headers, Body::from_stream(ReceiverStream::new(receiver))).into_response())
}

fn gone(after: u64) -> Problem {
    Problem::new(410, "gone", format!("the log after {after} is no longer kept: begin with a snapshot"))
}

type Chunks = mpsc::Sender<Result<Bytes, io::Error>>;

/// Sends records as they become readable, and heartbeats, until somebody goes away. Says why.
fn send(source: &Source, from: &From, session: u64, mut reader: LogReader, to: &Chunks) -> &'static str {
    let runtime = tokio::runtime::Handle::current();
    let mut bound = source.bound(&from.node);
    let mut stop = source.stop.clone();
    let (mut sent_bytes, mut beat_at) = (0, Instant::now());
    loop {
        if !source.leads() || !source.node.sessions.is_open(session) {
            return "this node does not lead, or another stream took its place";
        }
        // By the clock, also under load: the follower must know what the leader promises before its acknowledgements count.
        if beat_at <= Instant::now() {
            let mut beat = Vec::new();
            wire::put_heartbeat(&source.heartbeat(sent_bytes), &mut beat);
            // A follower that reads nothing is behind, not gone: its chunks are bounded, and a beat is not worth waiting for.
            if let Err(mpsc::error::TrySendError::Closed(_)) = to.try_send(Ok(beat.into())) {
                return "the follower went away";
            }
            beat_at = Instant::now() + HEARTBEAT_EVERY;
        }
        let head = *bound.borrow_and_update();
        reader.until(head.seq);
        while beat_at > Instant::now() {
            let chunk = match chunk(&mut reader) {
                Ok(chunk) if chunk.is_empty() => break,
                Ok(chunk) => chunk,
                Err(error) => {
                    tracing::warn!(%error, node = from.node, "the log cannot be sent any further");
                    return "the log could not be read";
                }
            };
            sent_bytes = source.node.sessions.sent(session, reader.position().seq, chunk.len() as u64);
            if to.blocking_send(Ok(chunk.into())).is_err() {
                return "the follower went away";
            }
        }
        if reader.position().seq < head.seq {
            continue;
        }
        let patience = beat_at.saturating_duration_since(Instant::now());
        let goes_on = runtime.block_on(async {
            tokio::select! {
                // Whether something came or the time ran out: look again, unless the engine is gone.
                waited = tokio::time::timeout(patience, bound.changed()) => !matches!(waited, Ok(Err(_))),
                () = crate::edge::server::stopped(&mut stop) => false,
            }
        });
        if !goes_on {
            return "this node stops";
        }
    }
}

/// The next records up to the reader's bound, as frames.
fn chunk(reader: &mut LogReader) -> Result<Vec<u8>, LogError> {
    let mut chunk = Vec::new();
    while chunk.len() < CHUNK_BYTES
        && let Some(record) = reader.next()?
    {
        wire::put_record(&record, &mut chunk);
    }
    Ok(chunk)
}

async fn acknowledge(State(source): State<Source>, Json(said): Json<Acknowledgement>) -> Result<StatusCode, Problem> {
    source.leading()?;
    let here = *source.engine.synced().borrow();
    let stale = || Problem::new(409, "stale", "this acknowledgement belongs to another stream or epoch");
    if said.epoch > here.epoch || said.seq > here.seq {
        return Err(stale());
    }
    let node = source.node.sessions.acknowledged(said.session, said.seq, here.seq).ok_or_else(stale)?;
    if source.node.options.follower.as_deref() == Some(&node) {
        source.engine.acks().acknowledge(said.seq);
        source.node.acknowledged.send_if_modified(|known| {
            let more = said.seq > *known;
            *known = said.seq.max(*known);
            more
        });
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn snapshot(State(source): State<Source>, Query(asker): Query<Asker>) -> Result<(HeaderMap, Body), Problem> {
    source.leading()?;
    source.may_see(Some(&asker.node))?;
    let view = source.engine.view();
    let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
    tokio::task::spawn_blocking(move || {
        let mut pipe = io::BufWriter::with_capacity(CHUNK_BYTES, Pipe(sender.clone()));
        let written = storage::snapshot::write(&view, CELL, &mut pipe).map_err(io::Error::other).and_then(|_| io::Write::flush(&mut pipe));
        if let Err(error) = written {
            tracing::warn!(%error, "a snapshot for a follower was not finished");
            let _ = sender.blocking_send(Err(error));
        }
    });
    Ok((HeaderMap::new(), Body::from_stream(ReceiverStream::new(receiver))))
}

/// The people's keys, sealed: they never travel in the clear, also where the nodes talk without TLS.
async fn people_keys(State(source): State<Source>) -> Result<Vec<u8>, Problem> {
    source.leading()?;
    let sealed = tokio::task::spawn_blocking(move || keys::seal(&source.node.token, source.keys.export()?)).await;
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "the people's keys could not be sent to a follower");
        Problem::new(500, "internal", "the keys could not be read")
    };
    sealed.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
}

/// Bytes on their way into a body.
struct Pipe(Chunks);

impl io::Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes))).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
