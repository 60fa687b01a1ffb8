//! `/v1/couriers/me/shifts`, `/v1/couriers/{id}/shifts`, `/v1/shifts…`

use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use storage::{Direction, Timestamp};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::commands;
use super::model::{Refusal, SHIFTS, SHIFTS_BY_CITY, Shift, ShiftId, ShiftState};
use crate::city::cities::CityId;
use crate::city::couriers::{self, CourierId};
use crate::city::dispatch::http::Whole;
use crate::edge::{Command, Ctx, Empty, Json, Page, PageQuery, Path, Problem, Query};
use crate::engine::{Question, Resource};

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (status, code) = match refusal {
            Refusal::Denied(denied) => return denied.into(),
            Refusal::Unknown | Refusal::NoCourier => return Self::not_found(),
            Refusal::Start => return Self::invalid("/starts_at", "out_of_range", refusal.to_string()),
            Refusal::Length => return Self::invalid("/ends_at", "out_of_range", refusal.to_string()),
            Refusal::NotActive => (409, "courier_not_active"),
            Refusal::Overlaps => (409, "shift_overlaps"),
            Refusal::TooMany => (409, "too_many_shifts"),
            Refusal::Over => (409, "shift_over"),
        };
        Self::new(status, code, refusal.to_string())
    }
}

/// A shift.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ShiftView {
    #[schema(value_type = String)]
    pub id: ShiftId,
    #[schema(value_type = String)]
    pub courier_id: CourierId,
    #[schema(value_type = String)]
    pub city_id: CityId,
    pub starts_at: String,
    pub ends_at: String,
    pub status: ShiftState,
    /// When the courier came online in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begun_at: Option<String>,
}

impl ShiftView {
    fn of((id, shift): (ShiftId, Shift)) -> Self {
        Self {
            id,
            courier_id: shift.courier,
            city_id: shift.city,
            starts_at: shift.starts_at.to_string(),
            ends_at: shift.ends_at.to_string(),
            status: shift.state,
            begun_at: shift.begun_at.map(|at| at.to_string()),
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PlanBody {
    /// In the future, at most 60 days ahead.
    #[schema(value_type = String, format = DateTime)]
    starts_at: String,
    /// 15 minutes to 16 hours later.
    #[schema(value_type = String, format = DateTime)]
    ends_at: String,
}

impl PlanBody {
    fn times(&self) -> Result<(Timestamp, Timestamp), Problem> {
        let time = |pointer: &str, text: &str| {
            text.parse::<Timestamp>().map_err(|error| Problem::invalid(pointer, "not_a_time", error.to_string()))
        };
        Ok((time("/starts_at", &self.starts_at)?, time("/ends_at", &self.ends_at)?))
    }
}

/// Plans a shift of the caller.
#[utoipa::path(post, path = "/v1/couriers/me/shifts", tag = "couriers", request_body = PlanBody, responses((status = 201, body = ShiftView)))]
async fn plan_mine(command: Command<PlanBody>) -> Result<Response, Problem> {
    command
        .run("couriers.shifts", StatusCode::CREATED, |tx, body| {
            let (starts_at, ends_at) = body.times()?;
            let (courier, _) = couriers::commands::of_caller(tx, tx.caller())?;
            Ok(ShiftView::of(commands::plan(tx, courier, starts_at, ends_at)?))
        })
        .await
}

/// The caller's shifts ahead and under way, the soonest first.
#[utoipa::path(get, path = "/v1/couriers/me/shifts", tag = "couriers", responses((status = 200, body = Whole<ShiftView>)))]
async fn mine(ctx: Ctx) -> Result<Json<Whole<ShiftView>>, Problem> {
    let (id, courier) = couriers::commands::of_caller(&*ctx.view, &ctx.caller)?;
    ctx.authorize(&couriers::commands::question("couriers.shifts", id, &courier))?;
    Ok(Json(Whole { data: commands::live(&*ctx.view, id).map(ShiftView::of).collect() }))
}

/// Plans a shift of a courier, for operators.
#[utoipa::path(post, path = "/v1/couriers/{id}/shifts", tag = "couriers", params(("id" = String, Path)), request_body = PlanBody, responses((status = 201, body = ShiftView)))]
async fn plan(Path(id): Path<CourierId>, command: Command<PlanBody>) -> Result<Response, Problem> {
    command
        .run("couriers.shifts", StatusCode::CREATED, move |tx, body| {
            let (starts_at, ends_at) = body.times()?;
            Ok(ShiftView::of(commands::plan(tx, id, starts_at, ends_at)?))
        })
        .await
}

/// Cancels a shift that is not over: the courier's own, or an operator's to say. Who is online stays so.
#[utoipa::path(post, path = "/v1/shifts/{id}/cancel", tag = "couriers", params(("id" = String, Path)), request_body = Empty, responses((status = 200, body = ShiftView)))]
async fn cancel(Path(id): Path<ShiftId>, command: Command<Empty>) -> Result<Response, Problem> {
    command.run("couriers.shifts", StatusCode::OK, move |tx, _| Ok(ShiftView::of((id, commands::cancel(tx, id)?)))).await
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    #[param(value_type = String)]
    city_id: CityId,
    #[serde(default)]
    status: Option<ShiftState>,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    cursor: Option<String>,
}

/// A city's shifts, the latest start first: who is expected (`status=planned`), who is there, who was missed.
#[utoipa::path(get, path = "/v1/shifts", tag = "couriers", params(ListQuery), responses((status = 200, body = Page<ShiftView>)))]
async fn list(ctx: Ctx, Query(query): Query<ListQuery>) -> Result<Json<Page<ShiftView>>, Problem> {
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let (limit, after) = (page.limit()?, page.after()?);
    let resource = Resource::new("Dispatch", "shifts").with("city", query.city_id.to_string());
    ctx.authorize(&Question::new("dispatch.nearby", resource))?;
    let rows = SHIFTS.page(&*ctx.view, &SHIFTS_BY_CITY, &query.city_id, after.as_deref(), Direction::Backward);
    let wanted = rows.filter(|(_, _, shift)| query.status.is_none_or(|status| status == shift.state));
    Ok(Json(Page::from_scan(wanted.map(|(cursor, id, shift)| (cursor, ShiftView::of((id, shift)))), limit)))
}

/// The routes.
pub fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(mine, plan_mine)).routes(routes!(plan)).routes(routes!(list)).routes(routes!(cancel))
}
