//! `WS /v1/live`, `GET /v1/live` (SSE) and `GET /v1/events`.

use std::sync::Arc;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::hub::event_json;
use super::{Hub, Topics, socket};
use crate::edge::gate::{Ctx, Gate};
use crate::edge::problem::Problem;
use crate::edge::request::Query;
use crate::edge::stream;
use crate::engine::{Question, Resource};

/// What the routes need.
#[derive(Clone)]
pub struct Live {
    pub hub: Arc<Hub>,
    pub topics: Arc<dyn Topics>,
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
const MESSAGE_BYTES_MAX: usize = 64 << 10;

async fn follow(State(live): State<Live>, request: Request) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let gate = Gate::of(&parts);
    if let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        // The token may come with the upgrade or as the first message.
        let caller = gate.caller(&parts)?;
        let upgrade = upgrade.read_buffer_size(BUFFER_BYTES).write_buffer_size(0).max_message_size(MESSAGE_BYTES_MAX);
        return Ok(upgrade.on_upgrade(move |socket| socket::serve(socket, gate, live.hub, live.topics, caller)));
    }
    let ctx = Ctx::from_request_parts(&mut parts, &()).await?;
    let Query(query) = Query::<Follow>::from_request_parts(&mut parts, &()).await?;
    let (topic, question) = live.topics.resolve(&ctx.view, &ctx.caller, &query.topic)?;
    ctx.authorize(&question)?;
    live.topics.followed(&ctx.engine, &topic);
    let since = stream::parse_since(&ctx.engine, last_seen(&parts.headers).or(query.since.as_deref()))?;
    let seq = stream::start(&ctx.engine, since)?;
    let (engine, caller) = (ctx.engine.clone(), ctx.caller);
    Ok(stream::sse(ctx.engine, seq, move |placed| {
        let theirs = placed.event.topics.contains(&topic) && engine.authorize(&engine.view(), &caller, &question).is_ok();
        theirs.then(|| event_json(placed))
    }))
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

async fn events(ctx: Ctx, headers: HeaderMap, Query(wanted): Query<Wanted>) -> Result<Response, Problem> {
    ctx.authorize(&Question::new("ops.events", Resource::new("Ops", "events")))?;
    let epoch = ctx.view.position().epoch;
    let since = match last_seen(&headers).or(wanted.since.as_deref()) {
        Some(text) => stream::parse_since(&ctx.engine, Some(text))?,
        // `from_seq` is inclusive.
        None => wanted.from_seq.map(|from| (epoch, from.saturating_sub(1))),
    };
    let seq = stream::start(&ctx.engine, since)?;
    let types = stream::wanted_types(wanted.types.as_deref());
    Ok(stream::sse(ctx.engine, seq, move |placed| {
        let keep = types.as_ref().is_none_or(|types| types.contains(&placed.event.name));
        keep.then(|| {
            let mut shown = event_json(placed);
            shown["topics"] = serde_json::json!(placed.event.topics);
            shown["seq"] = placed.seq.into();
            shown["n"] = placed.n.into();
            shown
        })
    }))
}
