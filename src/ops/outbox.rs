//! Effects that could not be sent: looked at, sent again, given up.

use axum::Json;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use storage::Direction;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::edge::{Command, Ctx, Empty, Page, PageQuery, Path, Problem, Query};
use crate::engine::effect::{EffectId, EffectRow, OUTBOX, OUTBOX_BY_STATE};
use crate::engine::{Question, Resource, Tx, outbox, pause};

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(retry)).routes(routes!(discard)).routes(routes!(release))
}

/// An effect as operators see it; its body may hold personal data and is not shown.
#[derive(Serialize, utoipa::ToSchema)]
struct EffectView {
    id: String,
    destination: String,
    kind: String,
    state: &'static str,
    tries: u8,
    next_at: String,
    created_at: String,
    last_error: Option<String>,
}

impl EffectView {
    fn of(id: EffectId, row: EffectRow) -> Self {
        let state = match row.state {
            crate::engine::effect::EffectState::Pending => "pending",
            crate::engine::effect::EffectState::Dead => "dead",
        };
        Self {
            id: id.to_string(),
            destination: row.destination,
            kind: row.kind,
            state,
            tries: row.tries,
            next_at: row.next_at.to_string(),
            created_at: row.created_at.to_string(),
            last_error: row.last_error,
        }
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
struct Which {
    /// `pending` or `dead` (default).
    state: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

fn question() -> Question {
    Question::new("ops.outbox", Resource::new("Ops", "outbox"))
}

/// What waits to be sent, or will not be sent by itself any more.
#[utoipa::path(get, path = "/v1/ops/outbox", tag = "operation", params(Which), responses((status = 200, body = Page<EffectView>)))]
async fn list(ctx: Ctx, Query(which): Query<Which>) -> Result<Json<Page<EffectView>>, Problem> {
    ctx.authorize(&question())?;
    let state = match which.state.as_deref() {
        None | Some("dead") => 1_u8,
        Some("pending") => 0,
        Some(_) => return Err(Problem::invalid("/state", "not_allowed", "state is pending or dead")),
    };
    let page = PageQuery { limit: which.limit, cursor: which.cursor };
    let (limit, after) = (page.limit()?, page.after()?);
    let scan = OUTBOX.page(&*ctx.view, &OUTBOX_BY_STATE, &state, after.as_deref(), Direction::Forward);
    Ok(Json(Page::from_scan(scan.map(|(cursor, id, row)| (cursor, EffectView::of(id, row))), limit)))
}

async fn change(
    id: EffectId,
    command: Command<Empty>,
    name: &'static str,
    change: fn(&mut Tx<'_, '_>, EffectId) -> Option<EffectRow>,
) -> Result<Response, Problem> {
    command
        .run(name, StatusCode::OK, move |tx, Empty {}| {
            tx.authorize(&question())?;
            change(tx, id).map(|row| EffectView::of(id, row)).ok_or_else(Problem::not_found)
        })
        .await
}

/// Sends a dead effect again.
#[utoipa::path(post, path = "/v1/ops/outbox/{id}/retry", tag = "operation", params(("id" = String, Path)), responses((status = 200, body = EffectView)))]
async fn retry(Path(id): Path<EffectId>, command: Command<Empty>) -> Result<Response, Problem> {
    change(id, command, "ops.outbox.retry", outbox::retry).await
}

/// Gives a dead effect up.
#[utoipa::path(post, path = "/v1/ops/outbox/{id}/discard", tag = "operation", params(("id" = String, Path)), responses((status = 200, body = EffectView)))]
async fn discard(Path(id): Path<EffectId>, command: Command<Empty>) -> Result<Response, Problem> {
    change(id, command, "ops.outbox.discard", outbox::discard).await
}

/// What was released.
#[derive(Serialize, utoipa::ToSchema)]
struct Released {
    /// Why it had been paused.
    why: String,
    paused_since: String,
}

/// Lets a restored copy send what waits. Make sure first that the original no longer runs: whatever it sent after the snapshot is sent again.
#[utoipa::path(post, path = "/v1/ops/outbox/release", tag = "operation", responses((status = 200, body = Released), (status = 409, description = "`outbox_not_paused`")))]
async fn release(command: Command<Empty>) -> Result<Response, Problem> {
    command
        .run("ops.outbox.release", StatusCode::OK, |tx, Empty {}| {
            tx.authorize(&question())?;
            let paused = pause::release(tx).ok_or_else(|| Problem::new(409, "outbox_not_paused", "the outbox is not paused"))?;
            Ok(Released { why: paused.why, paused_since: paused.since.to_string() })
        })
        .await
}
