//! `/v1/me/erasure`, `/v1/users/{user_id}/erasure`

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Erasure, Refusal, commands};
use crate::edge::{Command, Empty, Path, Problem};
use crate::engine::{Denied, UserId};
use crate::people::People;

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal {
            Refusal::Denied(denied) => return denied.into(),
            Refusal::Unknown => return Self::not_found(),
            Refusal::Asked => "erasure_asked",
            Refusal::NotAsked => "erasure_not_asked",
            Refusal::Erased => "erased",
            Refusal::LastAdmin => "last_admin",
        };
        Self::new(409, code, refusal.to_string())
    }
}

/// Somebody will be erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
struct ErasureView {
    #[schema(value_type = String)]
    user_id: UserId,
    asked_at: String,
    /// Not before this; later if something is under way then. Until then it can be withdrawn.
    erases_at: String,
}

impl ErasureView {
    fn of(user_id: UserId, erasure: &Erasure) -> Self {
        Self { user_id, asked_at: erasure.asked_at.to_string(), erases_at: erasure.due_at.to_string() }
    }
}

/// I want to be forgotten: in two weeks nobody can read my name, my contacts or the words of my addresses any more, and I cannot sign in. Orders and money
/// stay, without me; so does the point on the map where each order was brought. What is under way, or stands on an account of mine, comes first.
#[utoipa::path(post, path = "/v1/me/erasure", tag = "identity", request_body = Empty, responses((status = 200, body = ErasureView)))]
async fn ask(command: Command<Empty>) -> Result<Response, Problem> {
    let user = command.caller.user_id().ok_or(Denied::Unauthenticated)?;
    command.run("me.erase", StatusCode::OK, move |tx, _| Ok(ErasureView::of(user, &commands::ask(tx, user)?))).await
}

/// I stay after all.
#[utoipa::path(delete, path = "/v1/me/erasure", tag = "identity", request_body = Empty, responses((status = 204)))]
async fn withdraw(command: Command<Empty>) -> Result<Response, Problem> {
    let user = command.caller.user_id().ok_or(Denied::Unauthenticated)?;
    command.run("me.erase", StatusCode::NO_CONTENT, move |tx, _| Ok(commands::withdraw(tx, user)?)).await
}

/// Somebody asked an administrator to be forgotten.
#[utoipa::path(post, path = "/v1/users/{user_id}/erasure", tag = "identity", params(("user_id" = String, Path)), request_body = Empty, responses((status = 200, body = ErasureView)))]
async fn ask_for(Path(user): Path<UserId>, command: Command<Empty>) -> Result<Response, Problem> {
    command.run("users.erase", StatusCode::OK, move |tx, _| Ok(ErasureView::of(user, &commands::ask(tx, user)?))).await
}

/// They stay after all.
#[utoipa::path(delete, path = "/v1/users/{user_id}/erasure", tag = "identity", params(("user_id" = String, Path)), request_body = Empty, responses((status = 204)))]
async fn withdraw_for(Path(user): Path<UserId>, command: Command<Empty>) -> Result<Response, Problem> {
    command.run("users.erase", StatusCode::NO_CONTENT, move |tx, _| Ok(commands::withdraw(tx, user)?)).await
}

/// The routes, for a router whose state is [`People`].
pub fn routes() -> OpenApiRouter<People> {
    OpenApiRouter::new().routes(routes!(ask, withdraw)).routes(routes!(ask_for, withdraw_for))
}
