//! `/v1/dispatch/orders/{id}/explanation`, `/v1/dispatch/fairness`

use axum::Json;
use serde::{Deserialize, Serialize};
use storage::{Read, Timestamp};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::fairness::{self, Group, Tenure};
use super::{Known, about, story};
use crate::city::cities::CityId;
use crate::city::couriers::CourierId;
use crate::city::dispatch::http::Whole;
use crate::city::dispatch::jobs;
use crate::city::dispatch::model::{DecisionId, SubjectId};
use crate::city::dispatch::policy::{Choice, Found};
use crate::edge::{Ctx, Path, Problem, Query};
use crate::engine::{Question, Resource};
use crate::money::Money;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ExplainQuery {
    /// Plays each stored decision again by this policy.
    #[serde(default)]
    with: Option<Choice>,
}

/// How an order found its courier, in sentences.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ExplanationView {
    #[schema(value_type = String)]
    pub order_id: SubjectId,
    pub why_this_courier: Vec<String>,
    pub why_so_late: Vec<String>,
    /// The oldest first.
    pub decisions: Vec<ToldView>,
}

/// A decision, told.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ToldView {
    #[schema(value_type = String)]
    pub id: DecisionId,
    pub at: String,
    pub policy: String,
    pub told: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again: Option<AgainView>,
}

/// What another policy makes of what was seen then.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct AgainView {
    pub policy: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub courier_id: Option<CourierId>,
    /// Whether that is what was done.
    pub same: bool,
    pub told: String,
}

/// The explanation of one subject; `None` if dispatch never heard of it.
#[must_use]
pub fn explain(read: &(impl Read + ?Sized), order: SubjectId, with: Option<Choice>) -> Option<ExplanationView> {
    let known = about(read, order.as_u128(), with)?;
    let Known { decisions, again, .. } = &known;
    let told = decisions.iter().map(|(id, decision)| {
        let again = again.iter().find(|(of, _)| of == id).map(|(_, again)| AgainView {
            policy: again.policy.to_owned(),
            courier_id: match again.found {
                Found::Offer { courier, .. } => Some(courier),
                Found::Later { .. } | Found::Nobody => None,
            },
            same: again.same,
            told: story::otherwise(again),
        });
        ToldView { id: *id, at: decision.at.to_string(), policy: decision.policy.clone(), told: story::decision(decision), again }
    });
    let decisions = told.collect();
    Some(ExplanationView {
        order_id: order,
        why_this_courier: story::why_this_courier(&known),
        why_so_late: story::why_so_late(&known),
        decisions,
    })
}

/// Why this courier? Why so late? What would another policy have done?
#[utoipa::path(get, path = "/v1/dispatch/orders/{id}/explanation", tag = "dispatch", params(("id" = String, Path), ExplainQuery), responses((status = 200, body = ExplanationView)))]
async fn explanation(Path(id): Path<SubjectId>, ctx: Ctx, Query(query): Query<ExplainQuery>) -> Result<Json<ExplanationView>, Problem> {
    let job = jobs::of_subject(&*ctx.view, id.as_u128()).map(|(_, job)| job);
    let resource = Resource::new("Dispatch", id);
    let resource = match &job {
        Some(job) => resource.with("city", job.request.city.to_string()),
        None => resource,
    };
    ctx.authorize(&Question::new("dispatch.candidates", resource))?;
    explain(&*ctx.view, id, query.with).map(Json).ok_or_else(Problem::not_found)
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct FairnessQuery {
    /// One city only.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    city_id: Option<CityId>,
    /// The last so many days, 1 to 366; 7 if absent.
    #[serde(default)]
    days: Option<u32>,
}

/// What a group of couriers got.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct GroupView {
    /// `city`, `vehicle` or `tenure`
    pub group: &'static str,
    /// The city's id; the vehicle; `first_week`, `first_month`, `first_half_year` or `longer`.
    pub value: String,
    pub couriers: u32,
    pub online_hours: f64,
    pub offers: u32,
    /// Of the offers that were answered or seen and left: the share that was taken.
    pub acceptance: Option<f64>,
    pub offers_per_hour: Option<f64>,
    pub delivered: u32,
    pub earned: Money,
    pub earned_per_hour: Option<Money>,
}

/// The report, group by group.
#[must_use]
pub fn groups(read: &(impl Read + ?Sized), city: Option<CityId>, from: Timestamp, until: Timestamp) -> Vec<GroupView> {
    let report = fairness::report(read, city, from, until);
    let rows = report.into_iter().filter_map(|((group, currency), share)| {
        let currency = currency.parse().ok()?;
        let (group, value) = named(&group);
        Some(GroupView {
            group,
            value,
            couriers: share.couriers,
            online_hours: share.online_ms as f64 / 3_600_000.0,
            offers: share.offers,
            acceptance: share.acceptance_permille().map(|permille| f64::from(permille) / 1_000.0),
            offers_per_hour: share.offers_an_hour_permille().map(|permille| permille as f64 / 1_000.0),
            delivered: share.delivered,
            earned: Money::new(share.earned, currency),
            earned_per_hour: share.earned_an_hour().map(|amount| Money::new(amount, currency)),
        })
    });
    rows.collect()
}

fn named(group: &Group) -> (&'static str, String) {
    match group {
        Group::City(city) => ("city", city.to_string()),
        Group::Vehicle(vehicle) => ("vehicle", format!("{vehicle:?}").to_lowercase()),
        Group::Tenure(tenure) => {
            let value = match tenure {
                Tenure::FirstWeek => "first_week",
                Tenure::FirstMonth => "first_month",
                Tenure::FirstHalfYear => "first_half_year",
                Tenure::Longer => "longer",
            };
            ("tenure", value.to_owned())
        }
    }
}

/// The longest period.
const DAYS_MAX: u32 = 366;
/// The usual one.
pub const DAYS: u32 = 7;

/// Offers, acceptance and earnings per hour online, by city, vehicle and tenure.
#[utoipa::path(get, path = "/v1/dispatch/fairness", tag = "dispatch", params(FairnessQuery), responses((status = 200, body = Whole<GroupView>)))]
async fn fair(ctx: Ctx, Query(query): Query<FairnessQuery>) -> Result<Json<Whole<GroupView>>, Problem> {
    let days = crate::city::field::within("/days", query.days.unwrap_or(DAYS), 1..=DAYS_MAX)?;
    let resource = Resource::new("Dispatch", "fairness");
    let resource = match query.city_id {
        Some(city) => resource.with("city", city.to_string()),
        None => resource,
    };
    ctx.authorize(&Question::new("dispatch.fairness", resource))?;
    let until = ctx.engine.now();
    let (view, city) = (ctx.view, query.city_id);
    let data = tokio::task::spawn_blocking(move || groups(&*view, city, until.minus_s(i64::from(days) * 86_400), until));
    let data = data.await.map_err(|_| Problem::new(500, "internal", "the report could not be made"))?;
    Ok(Json(Whole { data }))
}

/// The routes.
pub fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(explanation)).routes(routes!(fair))
}
