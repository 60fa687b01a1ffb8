//! `WS /v1/live`, `GET /v1/live` (SSE) and `GET /v1/events`.

use std::sync::Arc;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;
use tokio::sync::watch;

use super::following::{Following, Listener, Refused};
use super::frame::event_json;
use super::{Hub, Topics, socket, sse};
use crate::edge::gate::{Ctx, Gate};
use crate::edge::problem::Problem;
use crate::edge::request::Query;
use crate::edge::stream;
use crate::engine::{Caller, Denied, Question, Resource};

/// What the routes need.
#[derive(Clone)]
pub struct Live {
    pub hub: Arc<Hub>,
    pub topics: Arc<dyn Topics>,
    /// Turns true when the server stops: streams end then.
    pub stop: watch::Receiver<bool>,
}

/// The routes.
pub fn routes(live: Live) -> Router {
    Router::new().route("/v1/live", get(follow)).route("/v1/events", get(events)).with_state(live)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Follow {
    topic: String,
    since: Option<String>,
}

/// A client's buffers are small: ten thousand of them must fit a small server.
const BUFFER_BYTES: usize = 4 << 10;
/// Frames are written together up to this: a write costs as much as several frames, and what was once collected stays allocated.
const WRITE_BYTES: usize = 2 << 10;
const MESSAGE_BYTES_MAX: usize = 64 << 10;

impl Live {
    /// The listener whom a request's token proves.
    fn listener(&self, gate: &Gate, parts: &Parts, caller: &Caller) -> Result<Listener, Problem> {
        let token = Gate::token(parts)?.ok_or(Denied::Unauthenticated)?.to_owned();
        Ok(Listener { gate: gate.clone(), topics: self.topics.clone(), token, address: caller.address })
    }
}

async fn follow(State(live): State<Live>, request: Request) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let gate = Gate::of(&parts);
    if let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        // The token may come with the upgrade or as the first message.
        let listener = match gate.caller(&parts)? {
            Some(caller) => Some(live.listener(&gate, &parts, &caller)?),
            None => None,
        };
        let upgrade = upgrade.read_buffer_size(BUFFER_BYTES).write_buffer_size(WRITE_BYTES).max_message_size(MESSAGE_BYTES_MAX);
        return Ok(upgrade.on_upgrade(move |socket| socket::serve(socket, gate, live, listener)));
    }
    let ctx = Ctx::from_request_parts(&mut parts, &()).await?;
    let Query(query) = Query::<Follow>::from_request_parts(&mut parts, &()).await?;
    let listener = live.listener(&gate, &parts, &ctx.caller)?;
    let topic = listener.may(&ctx.view, &query.topic).map_err(|refused| match refused {
        Refused::SignedOut => Denied::Unauthenticated.into(),
        Refused::Problem(problem) => problem,
    })?;
    let since = stream::parse_since(&ctx.engine, last_seen(&parts.headers).or(query.since.as_deref()))?;
    let seq = stream::start(&ctx.engine, since)?;
    Ok(sse::follow(live.hub, listener, Following::new(&query.topic, topic, seq), live.stop))
}

fn last_seen(headers: &HeaderMap) -> Option<&str> {
    headers.get("last-event-id").and_then(|id| id.to_str().ok())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    from_seq: Option<u64>,
    since: Option<String>,
    types: Option<String>,
}

async fn events(State(live): State<Live>, request: Request) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let ctx = Ctx::from_request_parts(&mut parts, &()).await?;
    let Query(wanted) = Query::<Wanted>::from_request_parts(&mut parts, &()).await?;
    ctx.authorize(&every_event())?;
    let epoch = ctx.view.position().epoch;
    let since = match last_seen(&parts.headers).or(wanted.since.as_deref()) {
        Some(text) => stream::parse_since(&ctx.engine, Some(text))?,
        // `from_seq` is inclusive.
        None => wanted.from_seq.map(|from| (epoch, from.saturating_sub(1))),
    };
    let seq = stream::start(&ctx.engine, since)?;
    let types = stream::wanted_types(wanted.types.as_deref());
    let listener = live.listener(&Gate::of(&parts), &parts, &ctx.caller)?;
    let engine = ctx.engine.clone();
    let may = move || {
        let view = engine.view();
        listener.caller(&view).is_ok_and(|caller| engine.authorize(&view, &caller, &every_event()).is_ok())
    };
    let keep = move |placed: &stream::Placed| {
        let keep = types.as_ref().is_none_or(|types| types.contains(&placed.event.name));
        keep.then(|| {
            let mut shown = event_json(placed);
            shown["topics"] = serde_json::json!(placed.event.topics);
            shown["seq"] = placed.seq.into();
            shown["n"] = placed.n.into();
            shown
        })
    };
    Ok(stream::sse(ctx.engine, live.hub.readers.clone(), seq, live.stop, may, keep))
}

fn every_event() -> Question {
    Question::new("ops.events", Resource::new("Ops", "events"))
}
