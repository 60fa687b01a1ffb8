//! `/v1/couriers…`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use storage::{Direction, Read, Timestamp};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::commands::{self, NewCourier, Report};
use super::model::{
    Availability, CAPACITY_MAX, COURIERS, COURIERS_BY_CITY, COURIERS_BY_ID, Courier, CourierId, Presence, Refusal, Status, Vehicle,
};
use super::views;
use crate::city::answer;
use crate::city::cities::CityId;
use crate::city::field;
use crate::city::patch::Patch;
use crate::city::tracking::Tracking;
use crate::edge::{Command, Ctx, Json, P, Page, PageQuery, Path, Problem, Query};
use crate::engine::{Question, Resource, UserId};

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (status, code) = match refusal {
            Refusal::Denied(denied) => return denied.into(),
            Refusal::CityUnknown => return Self::invalid("/city_id", "unknown_city", refusal.to_string()),
            Refusal::UserUnknown => return Self::invalid("/user_id", "unknown_user", refusal.to_string()),
            Refusal::UntilPassed => return Self::invalid("/until", "in_the_past", refusal.to_string()),
            Refusal::Stale { current } => return answer::stale(current),
            Refusal::Unknown => return Self::not_found(),
            Refusal::Exists => (409, "courier_exists"),
            Refusal::NotActive => (409, "courier_not_active"),
            Refusal::HasActiveOrders => (409, "has_active_orders"),
            Refusal::NotOnline => (409, "courier_not_online"),
            Refusal::Asked | Refusal::NotAsked => (409, "offer_taken"),
            Refusal::Full => (409, "courier_full"),
            Refusal::NotCarried => (409, "not_carried"),
        };
        Self::new(status, code, refusal.to_string())
    }
}

/// A courier.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CourierView {
    #[schema(value_type = String, example = "cou_01h455vb4pex5vsknk084sn02q")]
    pub id: CourierId,
    #[schema(value_type = String)]
    pub user_id: UserId,
    #[schema(value_type = String)]
    pub city_id: CityId,
    pub vehicle: Vehicle,
    pub capacity: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plate: Option<String>,
    pub status: Status,
    pub presence: Availability,
    /// Units in their hands.
    pub load: u32,
    /// When the device was last heard of, if it has fallen silent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent_since: Option<String>,
    pub version: u64,
    pub created_at: String,
}

impl CourierView {
    fn seen(read: &(impl Read + ?Sized), id: CourierId, courier: Courier) -> Self {
        let silent_since = views::silence(read, id).map(|silence| silence.heard_at().to_string());
        Self { silent_since, ..Self::of(id, courier, &views::presence(read, id)) }
    }

    fn of(id: CourierId, courier: Courier, presence: &Presence) -> Self {
        Self {
            id,
            user_id: courier.user,
            city_id: courier.city,
            vehicle: courier.vehicle,
            capacity: courier.capacity,
            plate: courier.plate,
            status: courier.status,
            presence: presence.availability,
            load: presence.load(),
            silent_since: None,
            version: courier.version,
            created_at: courier.created_at.to_string(),
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateBody {
    /// The caller, if left out.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    user_id: Option<UserId>,
    #[schema(value_type = String)]
    city_id: CityId,
    vehicle: Vehicle,
    /// In units of an order's size, 1 to 100.
    capacity: u32,
    #[serde(default)]
    plate: Option<String>,
}

fn capacity(capacity: u32) -> Result<u32, field::Invalid> {
    field::within("/capacity", capacity, 1..=CAPACITY_MAX)
}

fn plate(plate: &str) -> Result<String, field::Invalid> {
    field::line("/plate", plate, 20)
}

/// Makes a courier: active and with the role if an administrator asks, pending if they ask for themselves.
#[utoipa::path(post, path = "/v1/couriers", tag = "couriers", request_body = CreateBody, responses((status = 201, body = CourierView)))]
async fn create(command: Command<CreateBody>) -> Result<Response, Problem> {
    command
        .run_versioned("couriers.create", StatusCode::CREATED, |tx, body| {
            let new = NewCourier {
                user: body.user_id,
                city: body.city_id,
                vehicle: body.vehicle,
                capacity: capacity(body.capacity)?,
                plate: body.plate.as_deref().map(plate).transpose()?,
            };
            let (id, courier) = commands::create(tx, new)?;
            let version = courier.version;
            Ok((CourierView::of(id, courier, &Presence::default()), version))
        })
        .await
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    #[param(value_type = Option<String>)]
    #[serde(default)]
    city_id: Option<CityId>,
    #[serde(default)]
    status: Option<Status>,
    #[serde(default)]
    presence: Option<Availability>,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    cursor: Option<String>,
}

/// Couriers, newest first.
#[utoipa::path(get, path = "/v1/couriers", tag = "couriers", params(ListQuery), responses((status = 200, body = Page<CourierView>)))]
async fn list(ctx: Ctx, Query(query): Query<ListQuery>) -> Result<Json<Page<CourierView>>, Problem> {
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let (limit, after) = (page.limit()?, page.after()?);
    ctx.authorize(&Question::new("couriers.list", Resource::new("Couriers", "*")))?;
    let view = &*ctx.view;
    let rows: Box<dyn Iterator<Item = (Vec<u8>, CourierId, Courier)>> = match query.city_id {
        Some(city) => Box::new(COURIERS.page(view, &COURIERS_BY_CITY, &city, after.as_deref(), Direction::Backward)),
        None => Box::new(COURIERS.page(view, &COURIERS_BY_ID, &(), after.as_deref(), Direction::Backward)),
    };
    let shown = rows.filter_map(|(cursor, id, courier)| {
        let presence = views::presence(view, id);
        let wanted = query.status.is_none_or(|status| status == courier.status)
            && query.presence.is_none_or(|wanted| wanted == presence.availability);
        wanted.then(|| (cursor, CourierView::seen(view, id, courier)))
    });
    Ok(Json(Page::from_scan(shown, limit)))
}

/// The caller's own account.
#[utoipa::path(get, path = "/v1/couriers/me", tag = "couriers", responses((status = 200, body = CourierView)))]
async fn me(ctx: Ctx) -> Result<Json<CourierView>, Problem> {
    let (id, courier) = commands::of_caller(&*ctx.view, &ctx.caller)?;
    Ok(Json(CourierView::seen(&*ctx.view, id, courier)))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EditBody {
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    city_id: Patch<CityId>,
    #[serde(default)]
    #[schema(value_type = Option<Vehicle>)]
    vehicle: Patch<Vehicle>,
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    capacity: Patch<u32>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    plate: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<Status>)]
    status: Patch<Status>,
}

impl EditBody {
    fn apply(self, courier: &mut Courier) -> Result<(), field::Invalid> {
        self.city_id.apply("/city_id", &mut courier.city, Ok)?;
        self.vehicle.apply("/vehicle", &mut courier.vehicle, Ok)?;
        self.capacity.apply("/capacity", &mut courier.capacity, capacity)?;
        self.plate.apply_or_clear(&mut courier.plate, |text| plate(&text).map(Some))?;
        self.status.apply("/status", &mut courier.status, Ok)
    }
}

/// Changes an account (a merge patch).
#[utoipa::path(patch, path = "/v1/couriers/{id}", tag = "couriers", params(("id" = String, Path)), request_body = EditBody, responses((status = 200, body = CourierView)))]
async fn edit(Path(id): Path<CourierId>, command: Command<EditBody>) -> Result<Response, Problem> {
    let if_match = command.if_match();
    command
        .run_versioned("couriers.edit", StatusCode::OK, move |tx, body| {
            // What is invalid is said before who may: the contract's order.
            let mut patched = views::get(tx, id).ok_or_else(Problem::not_found)?;
            body.apply(&mut patched)?;
            let courier = commands::edit(tx, id, if_match, move |courier| *courier = patched)?;
            let version = courier.version;
            Ok((CourierView::seen(tx, id, courier), version))
        })
        .await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PresenceBody {
    status: Availability,
    #[serde(default)]
    position: Option<P>,
    /// Nothing is planned to be picked up after this.
    #[serde(default)]
    until: Option<String>,
}

/// What a courier does now.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PresenceView {
    #[schema(value_type = String)]
    pub courier_id: CourierId,
    pub status: Availability,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<P>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Units in their hands.
    pub load: u32,
    /// A break, or the end of the shift, begins when what they carry is brought. Absent if it has begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begins: Option<&'static str>,
}

fn parse_report(body: &PresenceBody) -> Result<Report, Problem> {
    let position = body.position.map(|position| position.check("/position")).transpose()?.map(Into::into);
    let until = body
        .until
        .as_deref()
        .map(|text| text.parse::<Timestamp>().map_err(|error| Problem::invalid("/until", "not_a_time", error.to_string())))
        .transpose()?;
    Ok(Report { availability: body.status, until, position })
}

/// Begins or ends work.
#[utoipa::path(put, path = "/v1/couriers/me/presence", tag = "couriers", request_body = PresenceBody, responses((status = 200, body = PresenceView)))]
async fn presence(State(tracking): State<Arc<Tracking>>, command: Command<PresenceBody>) -> Result<Response, Problem> {
    let monotonic_ms = command.engine.clock().monotonic_ms();
    command
        .run("couriers.presence", StatusCode::OK, move |tx, body| {
            let said = parse_report(&body)?;
            // What nobody could have reached is no more true when it is said than when it is pinged.
            let position = said.position.filter(|place| match commands::of_caller(tx, tx.caller()) {
                Ok((id, account)) => tracking.believes(id, account.vehicle, *place, tx.now()),
                Err(_) => true,
            });
            let (courier_id, account, presence) = commands::report(tx, Report { position, ..said })?;
            // The map is a hint: should this command fail after all, the writer still decides by the rows.
            tracking.follow(courier_id, account.vehicle, &presence, said.position, tx.now());
            if presence.availability != Availability::Offline {
                tracking.heard(courier_id, monotonic_ms);
            }
            let waits = presence.availability == Availability::Break && !presence.carries.is_empty();
            Ok(PresenceView {
                courier_id,
                status: presence.availability,
                position: tracking.position(courier_id).map(|live| live.point.into()),
                until: presence.until.map(|until| until.to_string()),
                load: presence.load(),
                begins: waits.then_some("after_delivery"),
            })
        })
        .await
}

/// The routes of couriers.
pub fn routes(tracking: Arc<Tracking>) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(me))
        .routes(routes!(edit))
        .routes(routes!(presence))
        .with_state(tracking)
}
