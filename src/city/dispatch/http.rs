//! `/v1/offers…`, `/v1/couriers/me/offers`, `/v1/couriers/me/route`, `/v1/dispatch…`

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use storage::View;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::desk::{self, Desk};
use super::model::{Candidate, Decision, DecisionId, Offer, OfferId, OfferState, Outcome, Refusal, SubjectId, Verdict, WhyNot};
use super::score::Features;
use super::{jobs, offers, route, views};
use crate::city::cities;
use crate::city::couriers::{self, Availability, CourierId};
use crate::city::field;
use crate::city::tracking::Tracking;
use crate::edge::{Command, Ctx, Empty, Json, P, Path, Problem, Query, waited};
use crate::engine::{Question, Resource};
use crate::money::Money;

/// What a vertical knows of a stop that dispatch does not: personal data stays with its owner.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Described {
    /// Short and speakable.
    pub number: String,
    /// The merchant's address.
    pub pickup: Value,
    /// The customer's `Address`.
    pub dropoff: Value,
}

/// Describes a subject to the courier who carries it.
pub type Describe = Arc<dyn Fn(&View, u128) -> Option<Described> + Send + Sync>;

/// What the handlers need beside the engine.
#[derive(Clone)]
pub struct Services {
    pub tracking: Arc<Tracking>,
    pub desk: Arc<Desk>,
    pub describe: Describe,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (status, code) = match refusal {
            Refusal::Denied(denied) => return denied.into(),
            Refusal::NoJob | Refusal::NoOffer | Refusal::NoCity => return Self::not_found(),
            Refusal::Expired => (409, "offer_expired"),
            Refusal::Taken => (409, "offer_taken"),
            Refusal::NotWhile(_) => (409, "invalid_transition"),
            Refusal::NoCourier => return Self::invalid("/courier_id", "unknown_courier", refusal.to_string()),
            Refusal::TakenOver => (409, "taken_over"),
            Refusal::HasIt => (409, "already_assigned"),
            Refusal::NotTheirs => (409, "not_carried"),
            Refusal::Unavailable(_) => (409, "courier_unavailable"),
        };
        Self::new(status, code, refusal.to_string())
    }
}

/// An offer, as its courier sees it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct OfferView {
    #[schema(value_type = String, example = "off_01h455vb4pex5vsknk084sn02q")]
    pub id: OfferId,
    #[schema(value_type = Vec<String>)]
    pub order_ids: Vec<SubjectId>,
    pub status: OfferState,
    pub expires_at: String,
    pub merchant_name: String,
    pub pickup: P,
    pub dropoffs: Vec<P>,
    pub items_count: u32,
    /// To the pickup and on to the drop-offs.
    pub distance_m: u32,
    pub pay: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cash_due: Option<Money>,
    /// When the last drop-off is expected.
    pub eta: String,
}

impl OfferView {
    /// The view of a row.
    #[must_use]
    pub fn of(id: OfferId, offer: &Offer) -> Self {
        Self {
            id,
            order_ids: offer.subjects.iter().map(|subject| SubjectId::from_u128(*subject)).collect(),
            status: offer.state,
            expires_at: offer.expires_at.to_string(),
            merchant_name: offer.pickup_name.clone(),
            pickup: offer.pickup.point().into(),
            dropoffs: offer.dropoffs.iter().map(|dropoff| dropoff.point().into()).collect(),
            items_count: offer.items_count,
            distance_m: offer.distance_m,
            pay: offer.pay,
            cash_due: offer.cash_due,
            eta: offer.eta.to_string(),
        }
    }
}

/// A list that is always whole.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Whole<T> {
    pub data: Vec<T>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WaitQuery {
    /// Seconds to wait for an offer, 0 to 25.
    #[serde(default)]
    wait: Option<u64>,
}

/// The longest poll.
const WAIT_S_MAX: u64 = 25;

/// What the courier is being asked; waits up to `wait` seconds for something. An answer with an offer in it counts as seen.
#[utoipa::path(get, path = "/v1/couriers/me/offers", tag = "dispatch", params(WaitQuery), responses((status = 200, body = Whole<OfferView>)))]
async fn mine(State(services): State<Services>, ctx: Ctx, Query(query): Query<WaitQuery>) -> Result<Json<Whole<OfferView>>, Problem> {
    let wait_s = field::within("/wait", query.wait.unwrap_or(0), 0..=WAIT_S_MAX)?;
    let (id, courier) = couriers::commands::of_caller(&*ctx.view, &ctx.caller)?;
    ctx.authorize(&couriers::commands::question("couriers.offers", id, &courier))?;
    services.tracking.heard(id, ctx.engine.clock().monotonic_ms());
    let deadline = Instant::now() + Duration::from_secs(wait_s);
    let Ctx { engine, mut view, .. } = ctx;
    let found = loop {
        // The bell first, then the look: what comes between the two rings.
        let rung = services.desk.rung(id);
        let found = views::live_offers(&*view, id, engine.now());
        if !found.is_empty() || Instant::now() >= deadline {
            break found;
        }
        // Out of time: one last look, as the bell may have rung meanwhile.
        let _ = tokio::time::timeout_at(deadline, rung).await;
        view = engine.view();
    };
    desk::seen(&engine, found.iter().filter(|(_, offer)| offer.seen_at.is_none()).map(|(id, _)| *id).collect()).await;
    Ok(Json(Whole { data: found.iter().map(|(id, offer)| OfferView::of(*id, offer)).collect() }))
}

/// Takes an offer.
#[utoipa::path(post, path = "/v1/offers/{id}/accept", tag = "dispatch", params(("id" = String, Path)), request_body = Empty, responses((status = 200, body = OfferView)))]
async fn accept(Path(id): Path<OfferId>, command: Command<Empty>) -> Result<Response, Problem> {
    command.run("offers.accept", StatusCode::OK, move |tx, _| Ok(OfferView::of(id, &offers::accept(tx, id)?))).await
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeclineBody {
    #[serde(default)]
    reason: Option<String>,
}

/// Leaves an offer to somebody else.
#[utoipa::path(post, path = "/v1/offers/{id}/decline", tag = "dispatch", params(("id" = String, Path)), request_body = DeclineBody, responses((status = 200, body = OfferView)))]
async fn decline(Path(id): Path<OfferId>, command: Command<DeclineBody>) -> Result<Response, Problem> {
    command
        .run("offers.decline", StatusCode::OK, move |tx, body| {
            let reason = body.reason.map(|reason| field::line("/reason", &reason, 200)).transpose()?;
            Ok(OfferView::of(id, &offers::decline(tx, id, reason)?))
        })
        .await
}

/// A stop on a courier's way.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
struct StopView {
    /// `pickup` or `dropoff`
    kind: &'static str,
    #[schema(value_type = String)]
    order_id: SubjectId,
    number: String,
    position: P,
    #[schema(value_type = Object)]
    address: Value,
    eta: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cash_due: Option<Money>,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
struct RouteView {
    stops: Vec<StopView>,
}

/// What the courier visits next, in order.
#[utoipa::path(get, path = "/v1/couriers/me/route", tag = "dispatch", responses((status = 200, body = RouteView)))]
async fn way(State(services): State<Services>, ctx: Ctx) -> Result<Json<RouteView>, Problem> {
    let (id, courier) = couriers::commands::of_caller(&*ctx.view, &ctx.caller)?;
    ctx.authorize(&couriers::commands::question("couriers.route", id, &courier))?;
    let (view, tracking, now) = (ctx.view.clone(), services.tracking.clone(), ctx.engine.now());
    let route = waited(move || views::route(&view, &tracking, id, &courier, now)).await?;
    let stops = route.map(|route| route.stops).unwrap_or_default();
    Ok(Json(RouteView { stops: stops.iter().map(|stop| show(&services, &ctx.view, stop)).collect() }))
}

fn show(services: &Services, view: &View, stop: &route::Stop) -> StopView {
    let described = (services.describe)(view, stop.subject).unwrap_or_default();
    let (kind, address) = match stop.kind {
        route::StopKind::Pickup => ("pickup", described.pickup),
        route::StopKind::Dropoff => ("dropoff", described.dropoff),
    };
    // The cash is the customer's: it is due at the door.
    let at_the_door = stop.kind == route::StopKind::Dropoff;
    let cash_due = jobs::of_subject(view, stop.subject).filter(|_| at_the_door).and_then(|(_, job)| job.request.cash_due);
    StopView {
        kind,
        order_id: SubjectId::from_u128(stop.subject),
        number: described.number,
        position: stop.point.into(),
        address,
        eta: stop.arrive_at.to_string(),
        cash_due,
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct NearbyQuery {
    lat: f64,
    lon: f64,
    /// 1 to 100, 20 if absent.
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    status: Option<Availability>,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
struct NearView {
    #[schema(value_type = String)]
    courier_id: CourierId,
    position: P,
    distance_m: u32,
    status: Availability,
    load: u32,
    /// When the device was last heard of, if it has fallen silent.
    #[serde(skip_serializing_if = "Option::is_none")]
    silent_since: Option<String>,
    /// Positions that are not believed, or were not in this shift.
    #[serde(skip_serializing_if = "Option::is_none")]
    doubt: Option<DoubtView>,
}

/// What is held against a courier's positions.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
struct DoubtView {
    /// Fixes that were too far to be reached, in this shift.
    jumps: u32,
    /// Where the device says it is, while that is not believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed: Option<P>,
}

/// Who works near a point, nearest first.
#[utoipa::path(get, path = "/v1/dispatch/nearby", tag = "dispatch", params(NearbyQuery), responses((status = 200, body = Whole<NearView>)))]
async fn nearby(State(services): State<Services>, ctx: Ctx, Query(query): Query<NearbyQuery>) -> Result<Json<Whole<NearView>>, Problem> {
    let limit = field::within("/limit", query.limit.unwrap_or(20), 1..=100)?;
    let point = P { lat: query.lat, lon: query.lon }.check("/lat")?;
    let resource = Resource::new("Dispatch", "nearby");
    let resource = match cities::at(&*ctx.view, point) {
        Some(city) => resource.with("city", city.to_string()),
        None => resource,
    };
    ctx.authorize(&Question::new("dispatch.nearby", resource))?;
    let near = views::nearby(&ctx.view, &services.tracking, point, limit, query.status);
    let show = |near: views::Near| NearView {
        courier_id: near.courier,
        position: near.position.into(),
        distance_m: near.distance_m,
        status: near.availability,
        load: near.load,
        silent_since: near.silent_since.map(|at| at.to_string()),
        doubt: near.doubt.map(|doubt| DoubtView { jumps: doubt.jumps, claimed: doubt.claimed().map(|fix| fix.point.into()) }),
    };
    Ok(Json(Whole { data: near.into_iter().map(show).collect() }))
}

/// Somebody weighed for a job.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
struct CandidateView {
    #[schema(value_type = String)]
    courier_id: CourierId,
    features: Features,
    /// Thousandths of a second of the customer's patience; the lowest is asked.
    score: i64,
    /// `chosen`, `outscored` or `excluded`
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not: Option<WhyNot>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<Candidate> for CandidateView {
    fn from(candidate: Candidate) -> Self {
        let (outcome, why_not) = match candidate.outcome {
            Outcome::Chosen => ("chosen", None),
            Outcome::Outscored => ("outscored", None),
            Outcome::Excluded(why) => ("excluded", Some(why)),
        };
        Self {
            courier_id: candidate.courier,
            features: candidate.features,
            score: candidate.score,
            outcome,
            why_not,
            reason: why_not.map(|why| why.to_string()),
        }
    }
}

/// A stored decision.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
struct DecisionView {
    #[schema(value_type = String)]
    id: DecisionId,
    at: String,
    policy: String,
    #[schema(value_type = Vec<String>)]
    order_ids: Vec<SubjectId>,
    round: u32,
    radius_m: u32,
    /// `offered` or `nobody`
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    courier_id: Option<CourierId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    offer_id: Option<OfferId>,
    candidates: Vec<CandidateView>,
}

impl DecisionView {
    fn of(id: DecisionId, decision: Decision) -> Self {
        let (verdict, courier_id, offer_id) = match decision.verdict {
            Verdict::Offered { courier, offer } => ("offered", Some(courier), Some(offer)),
            Verdict::Nobody => ("nobody", None, None),
        };
        Self {
            id,
            at: decision.at.to_string(),
            policy: decision.policy,
            order_ids: decision.subjects.into_iter().map(SubjectId::from_u128).collect(),
            round: decision.round,
            radius_m: decision.radius_m,
            verdict,
            courier_id,
            offer_id,
            candidates: decision.candidates.into_iter().map(Into::into).collect(),
        }
    }
}

/// Decisions shown of one order.
const DECISIONS_MAX: usize = 100;

/// Why this courier, why not the others: the stored decisions, newest first.
#[utoipa::path(get, path = "/v1/dispatch/orders/{id}/candidates", tag = "dispatch", params(("id" = String, Path)), responses((status = 200, body = Whole<DecisionView>)))]
async fn candidates(Path(id): Path<SubjectId>, ctx: Ctx) -> Result<Json<Whole<DecisionView>>, Problem> {
    let job = jobs::of_subject(&*ctx.view, id.as_u128()).map(|(_, job)| job);
    let resource = Resource::new("Dispatch", id);
    let resource = match &job {
        Some(job) => resource.with("city", job.request.city.to_string()),
        None => resource,
    };
    ctx.authorize(&Question::new("dispatch.candidates", resource))?;
    job.ok_or_else(Problem::not_found)?;
    let decisions = views::decisions(&*ctx.view, id.as_u128(), DECISIONS_MAX);
    Ok(Json(Whole { data: decisions.into_iter().map(|(id, decision)| DecisionView::of(id, decision)).collect() }))
}

/// The routes of dispatch.
pub fn routes(services: Services) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(mine))
        .routes(routes!(accept))
        .routes(routes!(decline))
        .routes(routes!(way))
        .routes(routes!(nearby))
        .routes(routes!(candidates))
        .merge(super::by_hand::http::routes())
        .with_state(services)
        .merge(super::explain::http::routes())
}
