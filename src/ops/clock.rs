//! `POST /v1/sandbox/clock/advance`: time jumps, every timer that falls due fires, in order, before the answer.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::edge::{Command, Problem};
use crate::engine::advance::AdvanceError;
use crate::engine::{Question, Resource};

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(advance))
}

/// How far, and whether time stands still afterwards.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Advance {
    /// 0 to 31,536,000 (a year).
    seconds: i64,
    /// `true`: time stands still until the next advance; `false`: it runs; absent: as before.
    freeze: Option<bool>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Now {
    now: String,
}

/// Moves the sandbox's clock.
#[utoipa::path(post, path = "/v1/sandbox/clock/advance", tag = "sandbox", request_body = Advance, responses((status = 200, body = Now)))]
async fn advance(command: Command<Advance>) -> Result<([(&'static str, String); 1], Json<Now>), Problem> {
    let Advance { seconds, freeze } = command.body;
    if !command.engine.is_sandbox() {
        return Err(Problem::not_found());
    }
    if !(0..=31_536_000).contains(&seconds) {
        return Err(Problem::invalid("/seconds", "out_of_range", "0 to 31,536,000"));
    }
    let question = Question::new("sandbox.clock", Resource::new("Sandbox", "clock"));
    let moved = command.engine.advance(&command.caller, question, seconds * 1000, freeze).await;
    match moved {
        Ok(now) => {
            let position = command.engine.view().position();
            let header = ("medina-seq", format!("{}.{}", position.epoch, position.seq));
            Ok(([header], Json(Now { now: now.to_string() })))
        }
        Err(AdvanceError::Denied(denied)) => Err(denied.into()),
        Err(AdvanceError::Fault(fault)) => Err(fault.into()),
        Err(busy @ AdvanceError::Busy(_)) => Err(Problem::new(503, "busy", busy.to_string()).retry_after(1)),
    }
}
