//! The committed event stream over SSE: resumable, without gaps, in order.

use std::collections::HashSet;
use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event as Sse, KeepAlive};
use axum::response::{IntoResponse, Response, Sse as SseResponse};
use futures_util::Stream;
use storage::{Direction, Read};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::gate::parse_seq;
use super::problem::Problem;
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
    if epoch > here.epoch || seq > here.seq {
        return Err(Problem::new(409, "timeline_changed", format!("this timeline ends at {}.{}", here.epoch, here.seq)));
    }
    let kept_from = EVENTS_KEPT_FROM.get(&*view, &()).map_or(0, |kept| kept.0);
    if seq + 1 < kept_from {
        return Err(Problem::new(410, "gone", format!("events before {kept_from} are no longer kept; begin there")));
    }
    Ok(seq)
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

/// Streams events after `seq` for as long as the client listens; `keep` chooses and shows them.
pub fn sse<F>(engine: Engine, seq: u64, keep: F) -> Response
where
    F: Fn(&Placed) -> Option<serde_json::Value> + Send + Sync + 'static,
{
    let (sender, receiver) = mpsc::channel::<Result<Sse, Infallible>>(64);
    tokio::spawn(async move {
        let mut seq = seq;
        let mut positions = engine.positions();
        loop {
            positions.mark_unchanged();
            let placed = after(&*engine.view(), seq, CHUNK);
            if let Some(last) = placed.last() {
                seq = last.seq;
            }
            let epoch = engine.view().position().epoch;
            // An id stands only on the last event that a client sees of a command: resuming there repeats and skips nothing.
            let shown: Vec<(u64, bool, String, serde_json::Value)> =
                placed.iter().filter_map(|one| keep(one).map(|data| (one.seq, one.event.more, one.event.name.clone(), data))).collect();
            for (at, (of, _, name, data)) in shown.iter().enumerate() {
                let last_of_command = shown.get(at + 1).is_none_or(|next| next.0 != *of);
                let mut event = Sse::default().event(name).data(data.to_string());
                if last_of_command {
                    event = event.id(format!("{epoch}.{of}"));
                }
                // A client that reads too slowly holds only its own stream up: the rows wait for it.
                if sender.send(Ok(event)).await.is_err() {
                    return;
                }
            }
            if placed.is_empty() {
                tokio::select! {
                    changed = positions.changed() => if changed.is_err() { return },
                    () = sender.closed() => return,
                }
            }
        }
    });
    respond(ReceiverStream::new(receiver))
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
