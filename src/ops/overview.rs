//! What an operator looks at first, and what waits for them.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Ops;
use crate::edge::{Ctx, Page, Problem};
use crate::engine::attention::ATTENTION;
use crate::engine::effect::{OUTBOX, OUTBOX_BY_STATE};
use crate::engine::pause::OUTBOX_PAUSED;
use crate::engine::stats::Histogram;
use crate::engine::{Question, Resource};

pub(super) fn routes(ops: Ops) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(overview)).routes(routes!(attention)).with_state(ops)
}

fn quantiles(histogram: &Histogram) -> Value {
    json!({ "count": histogram.count(), "p50": histogram.quantile_us(500), "p99": histogram.quantile_us(990), "p999": histogram.quantile_us(999) })
}

/// Orders by state, couriers by status, the writer, the indexes, the outbox.
#[utoipa::path(get, path = "/v1/ops/overview", tag = "operation", responses((status = 200, description = "The overview", body = Object)))]
async fn overview(State(ops): State<Ops>, ctx: Ctx) -> Result<Json<Value>, Problem> {
    ctx.authorize(&Question::new("ops.overview", Resource::new("Ops", "overview")))?;
    let (engine, view) = (&ctx.engine, &*ctx.view);
    let position = view.position();
    let stats = engine.stats();
    let mut shown = Map::new();
    shown.insert("now".to_owned(), json!(engine.now().to_string()));
    shown.insert("position".to_owned(), json!(format!("{}.{}", position.epoch, position.seq)));
    shown.insert("sandbox".to_owned(), json!(engine.is_sandbox()));
    shown.insert("writer_queue".to_owned(), json!(engine.queue_depth()));
    shown.insert("commit_latency_us".to_owned(), quantiles(&stats.commit));
    shown.insert("write_latency_us".to_owned(), quantiles(&stats.write));
    let depth = |state: u8| OUTBOX.keys(view, &OUTBOX_BY_STATE, &state).count();
    shown.insert("outbox".to_owned(), json!({ "pending": depth(0), "dead": depth(1), "paused_since": OUTBOX_PAUSED.get(view, &()).map(|paused| paused.since.to_string()) }));
    shown.insert("attention".to_owned(), json!(ATTENTION.scan(view).count()));
    // There is no follower yet; its lag is absent, not zero.
    shown.insert("follower_lag_s".to_owned(), Value::Null);
    for (name, section) in &ops.sections {
        shown.insert((*name).to_owned(), section(view));
    }
    Ok(Json(Value::Object(shown)))
}

/// One thing that waits for a person.
#[derive(Serialize, utoipa::ToSchema)]
struct Waiting {
    kind: String,
    subject: String,
    since: String,
    reason: String,
    actions: Vec<String>,
}

/// Everything that waits for a person, oldest kind first.
#[utoipa::path(get, path = "/v1/ops/attention", tag = "operation", responses((status = 200, body = Page<Waiting>)))]
async fn attention(ctx: Ctx) -> Result<Json<Page<Waiting>>, Problem> {
    ctx.authorize(&Question::new("ops.attention", Resource::new("Ops", "attention")))?;
    let mut waiting: Vec<Waiting> = ATTENTION
        .scan(&*ctx.view)
        .map(|((kind, subject), row)| Waiting { kind, subject, since: row.since.to_string(), reason: row.reason, actions: row.actions })
        .collect();
    waiting.sort_by(|a, b| a.since.cmp(&b.since));
    Ok(Json(Page::whole(waiting)))
}
