//! The committed event stream over SSE: resumable, without gaps, in order.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event as Sse, KeepAlive};
use axum::response::{IntoResponse, Response, Sse as SseResponse};
use futures_util::Stream;
use storage::replica::epoch::is_lost;
use storage::{Direction, Position, Read, View};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use super::gate::parse_seq;
use super::problem::Problem;
use super::server::stopped;
use crate::engine::event::{EVENTS, EVENTS_KEPT_FROM, StoredEvent};
use crate::engine::{Engine, WriteError};

/// Events read from a view at a time.
const CHUNK: usize = 512;

/// One event with its place.
#[derive(Clone, Debug)]
pub struct Placed {
    pub seq: u64,
    pub n: u32,
    pub event: StoredEvent,
}

/// Events after `seq`, at most `limit` commands' worth and never half a command.
pub fn after(read: &(impl Read + ?Sized), seq: u64, limit: usize) -> Vec<Placed> {
    let mut events = Vec::new();
    for ((seq, n), event) in EVENTS.scan_range(read, &(seq + 1), &u64::MAX, Direction::Forward) {
        if events.len() >= limit && n == 0 {
            break;
        }
        events.push(Placed { seq, n, event });
    }
    events
}

/// Where a stream begins: exclusive `since`, from a query or `Last-Event-ID`.
///
/// # Errors
/// 410 past retention, 409 for a timeline that is not this one's.
pub fn start(engine: &Engine, since: Option<(u64, u64)>) -> Result<u64, Problem> {
    let view = engine.view();
    let here = view.position();
    let Some((epoch, seq)) = since else { return Ok(here.seq) };
    if epoch > here.epoch || seq > here.seq || is_lost(&*view, epoch, seq) {
        return Err(timeline_changed(here));
    }
    let kept_from = EVENTS_KEPT_FROM.get(&*view, &()).map_or(0, |kept| kept.0);
    if seq + 1 < kept_from {
        return Err(Problem::new(410, "gone", format!("events before {kept_from} are no longer kept; begin there")));
    }
    Ok(seq)
}

/// What the asker has seen is not in this history: a fail-over or a restore left it behind.
#[must_use]
pub fn timeline_changed(here: Position) -> Problem {
    Problem::new(409, "timeline_changed", format!("this timeline ends at {}.{}, and what was asked for is not on it", here.epoch, here.seq))
}

/// `Last-Event-ID` or `?since=`: `epoch.seq`, or a bare sequence number of this epoch.
///
/// # Errors
/// 422 if it is neither.
pub fn parse_since(engine: &Engine, text: Option<&str>) -> Result<Option<(u64, u64)>, Problem> {
    let bad = || Problem::invalid("/since", "bad_seq", "since is epoch.seq, as a write answered it");
    text.map(|text| parse_seq(text).or_else(|| text.parse().ok().map(|seq| (engine.view().position().epoch, seq))).ok_or_else(bad))
        .transpose()
}

/// How often it is asked again whether a client that is told nothing may still listen.
pub(super) const RECHECK_EVERY: Duration = Duration::from_secs(10);

/// Those who catch up read beside the runtime, few at a time: a week of events must not hold others up.
pub struct Readers(Semaphore);

const READERS_MAX: usize = 4;

impl Default for Readers {
    fn default() -> Self {
        Self(Semaphore::new(READERS_MAX))
    }
}

impl Readers {
    /// Reads in the newest view; `None` if that failed.
    pub async fn read<T: Send + 'static>(&self, engine: &Engine, read: impl FnOnce(&View) -> T + Send + 'static) -> Option<T> {
        let _place = self.0.acquire().await.ok()?;
        let engine = engine.clone();
        tokio::task::spawn_blocking(move || read(&engine.view())).await.ok()
    }
}

/// Streams events after `seq` for as long as the client listens and `may`; `keep` chooses and shows them.
pub fn sse<M, F>(engine: Engine, readers: Arc<Readers>, seq: u64, mut stop: watch::Receiver<bool>, may: M, keep: F) -> Response
where
    M: Fn() -> bool + Send + Sync + 'static,
    F: Fn(&Placed) -> Option<serde_json::Value> + Send + Sync + 'static,
{
    let (sender, receiver) = mpsc::channel(64);
    let gone = sender.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = tell(engine, &readers, seq, sender, may, keep) => (),
            () = gone.closed() => (),
            () = stopped(&mut stop) => (),
        }
    });
    respond(ReceiverStream::new(receiver))
}

/// `None` at the end.
async fn tell<M, F>(
    engine: Engine,
    readers: &Readers,
    mut seq: u64,
    sender: mpsc::Sender<Result<Sse, Infallible>>,
    may: M,
    keep: F,
) -> Option<()>
where
    M: Fn() -> bool,
    F: Fn(&Placed) -> Option<serde_json::Value>,
{
    let mut positions = engine.positions();
    let mut recheck = tokio::time::interval(RECHECK_EVERY);
    loop {
        positions.mark_unchanged();
        let placed = readers.read(&engine, move |view| after(view, seq, CHUNK)).await?;
        if !may() {
            return None;
        }
        let epoch = engine.view().position().epoch;
        // An id stands only on the last event that a client sees of a command: resuming there repeats and skips nothing.
        let shown: Vec<(&Placed, serde_json::Value)> = placed.iter().filter_map(|one| keep(one).map(|data| (one, data))).collect();
        for (at, (one, data)) in shown.iter().enumerate() {
            let last_of_command = shown.get(at + 1).is_none_or(|(next, _)| next.seq != one.seq);
            let mut event = Sse::default().event(&one.event.name).data(data.to_string());
            if last_of_command {
                event = event.id(format!("{epoch}.{}", one.seq));
            }
            // A client that reads too slowly holds only its own stream up: the rows wait for it.
            sender.send(Ok(event)).await.ok()?;
        }
        match placed.last() {
            Some(last) => seq = last.seq,
            None => tokio::select! {
                changed = positions.changed() => changed.ok()?,
                _ = recheck.tick() => (),
            },
        }
    }
}

pub(super) fn respond<S>(events: S) -> Response
where
    S: Stream<Item = Result<Sse, Infallible>> + Send + 'static,
{
    SseResponse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))).into_response()
}

/// The types that a client wants: `?types=OrderCreated,OrderDelivered`.
#[must_use]
pub fn wanted_types(types: Option<&str>) -> Option<HashSet<String>> {
    types.map(|types| types.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect())
}

impl From<WriteError<crate::engine::Denied>> for Problem {
    fn from(error: WriteError<crate::engine::Denied>) -> Self {
        match error {
            WriteError::Refused(denied) => denied.into(),
            WriteError::Fault(fault) => fault.into(),
        }
    }
}
