//! `/v1/dispatch/orders/{id}/assign`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use storage::{Timestamp, View};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::commands::{self, Wish};
use crate::city::couriers::{self, CourierId};
use crate::city::dispatch::http::Services;
use crate::city::dispatch::model::{Job, JobState, SubjectId};
use crate::city::dispatch::route::{self, Start, StopKind, Task};
use crate::city::dispatch::{jobs, scene, views};
use crate::city::field;
use crate::city::tracking::Tracking;
use crate::edge::{Command, Path, Problem, waited};

/// A reason has at most this many characters.
const REASON_CHARS_MAX: usize = 200;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AssignBody {
    /// Who shall bring it. Left out: it is taken from whoever has it before the pick-up, and dispatch looks for somebody else now.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    courier_id: Option<CourierId>,
    /// Only if this courier has it; somebody else has it by now: 409 `taken_over`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    instead_of: Option<CourierId>,
    /// One line, up to 200 characters.
    reason: String,
}

/// Who brings it now.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
struct AssignedView {
    #[schema(value_type = String)]
    order_id: SubjectId,
    /// Absent while dispatch looks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    courier_id: Option<CourierId>,
    picked_up: bool,
}

impl AssignedView {
    fn of(order_id: SubjectId, job: &Job) -> Self {
        let (courier_id, picked_up) = match job.state {
            JobState::Assigned { courier, picked_up } => (Some(courier), picked_up),
            JobState::Waiting { .. } | JobState::Offered { .. } | JobState::Done { .. } | JobState::Withdrawn | JobState::Unassignable => {
                (None, false)
            }
        };
        Self { order_id, courier_id, picked_up }
    }
}

/// When `to` would be at the door with it. What is in somebody's bag is fetched from where that courier was last.
fn expected(view: &Arc<View>, tracking: &Tracking, subject: SubjectId, to: CourierId, now: Timestamp) -> Option<Timestamp> {
    let (_, job) = jobs::of_subject(&**view, subject.as_u128())?;
    let account = couriers::get(&**view, to)?;
    let presence = couriers::presence(&**view, to);
    let times = scene::times(&**view, tracking, account.city, now)?;
    let meeting = match job.state {
        JobState::Assigned { courier, picked_up: true } => views::whereabouts(tracking, courier, &couriers::presence(&**view, courier)),
        JobState::Assigned { picked_up: false, .. }
        | JobState::Waiting { .. }
        | JobState::Offered { .. }
        | JobState::Done { .. }
        | JobState::Withdrawn
        | JobState::Unassignable => None,
    };
    let pickup = meeting.unwrap_or(job.request.pickup.point());
    let task =
        Task { subject: job.request.subject, pickup: Some(pickup), dropoff: job.request.dropoff.point(), ready_at: job.request.ready_at };
    let tasks: Vec<Task> = scene::tasks(&**view, &presence).into_iter().chain([task]).collect();
    let from = views::whereabouts(tracking, to, &presence).unwrap_or(pickup);
    let way = route::plan(Start { from, now, by: account.vehicle, times: &*times }, &tasks);
    way.stops.iter().find(|stop| stop.subject == task.subject && stop.kind == StopKind::Dropoff).map(|stop| stop.arrive_at)
}

/// Gives a delivery to a courier by hand, also after the pick-up (the two meet), or has dispatch look for another one.
#[utoipa::path(post, path = "/v1/dispatch/orders/{id}/assign", tag = "dispatch", params(("id" = String, Path)), request_body = AssignBody, responses((status = 200, body = AssignedView)))]
async fn assign(Path(id): Path<SubjectId>, State(services): State<Services>, command: Command<AssignBody>) -> Result<Response, Problem> {
    let (view, now, to) = (command.engine.view(), command.engine.now(), command.body.courier_id);
    let tracking = services.tracking.clone();
    // The travel provider may be a server: it is asked before the writer, which checks everything else again.
    let eta = waited(move || to.and_then(|to| expected(&view, &tracking, id, to, now))).await?;
    command
        .run("dispatch.assign", StatusCode::OK, move |tx, body| {
            let reason = field::line("/reason", &body.reason, REASON_CHARS_MAX)?;
            let wish = Wish { to: body.courier_id, instead_of: body.instead_of, reason, eta };
            Ok(AssignedView::of(id, &commands::assign(tx, id, &wish)?))
        })
        .await
}

/// The routes.
pub fn routes() -> OpenApiRouter<Services> {
    OpenApiRouter::new().routes(routes!(assign))
}
