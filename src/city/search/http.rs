//! `GET /v1/search`

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ask::{Answer, Asked};
use super::service::Search;
use crate::edge::gate::parse_seq;
use crate::edge::{Json, Problem, PublicCtx, Query};

/// How long a search waits until it finds what the caller has written.
const PATIENCE: Duration = Duration::from_secs(2);

/// The search.
pub fn routes(search: Arc<Search>) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(find)).with_state(search)
}

/// Merchants and items, by text, place and filters. With `Medina-Min-Seq`, the changes of that write are found.
#[utoipa::path(get, path = "/v1/search", tag = "catalog", params(Asked), responses((status = 200, body = Answer)))]
async fn find(
    State(search): State<Arc<Search>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
    ctx: PublicCtx,
) -> Result<Json<Answer>, Problem> {
    let question = asked.checked()?;
    if let Some((_, seq)) = headers.get("medina-min-seq").and_then(|wanted| parse_seq(wanted.to_str().ok()?)) {
        let reached = search.reached(seq, PATIENCE).await;
        reached.map_err(|reached| Problem::new(503, "behind", format!("the search has reached {reached}, not {seq}")).retry_after(1))?;
    }
    let index =
        search.index().ok_or_else(|| Problem::new(503, "search_unavailable", "the search index is being opened again").retry_after(2))?;
    // The newest picture: the index must not know of anything that it lacks.
    let (view, now) = (ctx.engine.view(), ctx.engine.now());
    // Milliseconds of work: not on a thread that serves sockets.
    let answered = tokio::task::spawn_blocking(move || storage::fault::catch(|| question.answer(&index, &view, now))).await;
    match answered {
        Ok(Ok(answer)) => answer.map(Json),
        Ok(Err(fault)) => Err(crate::engine::Fault::Storage(fault).into()),
        Err(_) => Err(Problem::new(500, "internal", "the search was broken off")),
    }
}
