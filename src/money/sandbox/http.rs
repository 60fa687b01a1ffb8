//! `POST /v1/sandbox/intents/{id}/action`: what the payer does at the provider, for clients that have no browser. Sandbox only.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::charge::Act;
use super::connector::SandboxConnector;
use crate::edge::{Command, Path, Problem};
use crate::engine::{Question, Resource};
use crate::money::payments::http::{IntentView, visible, wait_while};
use crate::money::payments::{IntentId, Status};

/// Routes of the sandbox provider's payer.
pub fn routes(connector: Arc<SandboxConnector>) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(action)).with_state(connector)
}

/// What the payer does.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ActionBody {
    result: Act,
}

#[utoipa::path(post, path = "/v1/sandbox/intents/{id}/action", tag = "sandbox", params(("id" = String, Path)), request_body = ActionBody,
    responses((status = 200, body = IntentView), (status = 409, description = "nothing is asked of the payer")))]
async fn action(
    State(connector): State<Arc<SandboxConnector>>,
    Path(id): Path<IntentId>,
    command: Command<ActionBody>,
) -> Result<Json<IntentView>, Problem> {
    let view = command.engine.view();
    let intent = visible(&*view, id)?;
    command.engine.authorize(
        &view,
        &command.caller,
        &Question::new("intents.confirm", Resource::new("Intent", id).with("payer", intent.payer.to_string())),
    )?;
    command.engine.authorize(&view, &command.caller, &Question::new("sandbox.action", Resource::new("Sandbox", "sandbox")))?;
    let (status, answer) = connector
        .act(id, command.body.result)
        .await
        .map_err(|error| Problem::new(503, "provider_unreachable", error.to_string()).retry_after(1))?;
    match status {
        200 if command.body.result == Act::Abandon => Ok(Json(IntentView::of(&intent))),
        200 => Ok(Json(IntentView::of(&wait_while(&command.engine, id, Status::RequiresAction, Duration::from_secs(2)).await?))),
        404 | 409 => Err(Problem::new(409, "invalid_transition", answer).with("from", intent.status.name())),
        _ => Err(Problem::new(503, "provider_unreachable", answer).retry_after(1)),
    }
}
