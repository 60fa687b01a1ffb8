//! `/v1/cities/{id}/zones`, `/v1/zones/{id}`

use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::commands::{self, Draft};
use super::model::{Purpose, Refusal, SHAPES, ZONES, Zone, ZoneId};
use crate::city::answer::{self, Versioned};
use crate::city::cities::area::GeoJson;
use crate::city::cities::{CityId, ServiceArea};
use crate::city::field;
use crate::city::patch::Patch;
use crate::edge::{Command, Ctx, Empty, Page, Path, Problem, Query};
use crate::engine::{Question, Resource};

/// Zones.
pub fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(show, edit, remove))
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let words = refusal.to_string();
        match refusal {
            Refusal::Unknown | Refusal::CityUnknown => Self::not_found(),
            Refusal::Invalid(invalid) => invalid.into(),
            Refusal::TooMany => Self::new(409, "too_many_zones", words),
            Refusal::Stale { version } => answer::stale(version),
            Refusal::Denied(denied) => denied.into(),
        }
    }
}

/// A zone.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ZoneView {
    #[schema(value_type = String)]
    pub id: ZoneId,
    #[schema(value_type = String)]
    pub city_id: CityId,
    pub name: String,
    pub purpose: Purpose,
    pub active: bool,
    pub area: GeoJson,
    pub version: u64,
    pub created_at: String,
    pub updated_at: String,
}

impl ZoneView {
    fn of(read: &(impl storage::Read + ?Sized), id: ZoneId, zone: Zone) -> Option<Self> {
        Some(Self {
            id,
            city_id: zone.city,
            area: SHAPES.get(read, &id)?.0.to_geojson(),
            name: zone.name,
            purpose: zone.purpose,
            active: zone.active,
            version: zone.version,
            created_at: zone.created_at.to_string(),
            updated_at: zone.updated_at.to_string(),
        })
    }
}

const NAME_CHARS_MAX: usize = 120;

/// A zone to draw.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewZone {
    name: String,
    purpose: Purpose,
    /// Whether it counts from now on; it does if absent.
    #[serde(default)]
    active: Option<bool>,
    area: GeoJson,
}

impl NewZone {
    fn checked(self) -> Result<Draft, Refusal> {
        Ok(Draft {
            name: field::line("/name", &self.name, NAME_CHARS_MAX)?,
            purpose: self.purpose,
            active: self.active.unwrap_or(true),
            area: ServiceArea::from_geojson("/area", self.area)?,
        })
    }
}

/// A merge patch of a zone.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ZonePatch {
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    name: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<Purpose>)]
    purpose: Patch<Purpose>,
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    active: Patch<bool>,
    #[serde(default)]
    #[schema(value_type = Option<GeoJson>)]
    area: Patch<GeoJson>,
}

impl ZonePatch {
    fn apply(self, draft: &mut Draft) -> Result<(), Refusal> {
        self.name.apply("/name", &mut draft.name, |name| field::line("/name", &name, NAME_CHARS_MAX))?;
        self.purpose.apply("/purpose", &mut draft.purpose, Ok)?;
        self.active.apply("/active", &mut draft.active, Ok)?;
        self.area.apply("/area", &mut draft.area, |area| ServiceArea::from_geojson("/area", area))?;
        Ok(())
    }
}

fn shown(read: &(impl storage::Read + ?Sized), id: ZoneId, zone: Zone) -> Result<(ZoneView, u64), Problem> {
    let version = zone.version;
    ZoneView::of(read, id, zone).map(|view| (view, version)).ok_or_else(Problem::not_found)
}

/// Draws a zone: where deliveries go, where nobody is sent, or what is only watched.
#[utoipa::path(post, path = "/v1/cities/{id}/zones", tag = "cities", params(("id" = String, Path)), request_body = NewZone,
    responses((status = 201, body = ZoneView)))]
async fn create(Path(city): Path<CityId>, command: Command<NewZone>) -> Result<Response, Problem> {
    command
        .run_versioned("zones.create", StatusCode::CREATED, move |tx, body| {
            let (id, zone) = commands::create(tx, city, body.checked()?)?;
            shown(tx, id, zone)
        })
        .await
}

/// `?lat=&lon=`
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    #[serde(default)]
    lat: Option<f64>,
    #[serde(default)]
    lon: Option<f64>,
}

/// A city's zones, oldest first; with `lat` and `lon` those that hold the point.
#[utoipa::path(get, path = "/v1/cities/{id}/zones", tag = "cities", params(("id" = String, Path), ListQuery), responses((status = 200, body = Page<ZoneView>)))]
async fn list(Path(city): Path<CityId>, Query(query): Query<ListQuery>, ctx: Ctx) -> Result<axum::Json<Page<ZoneView>>, Problem> {
    let at = answer::point_of(query.lat, query.lon)?;
    ctx.authorize(&Question::new("zones.read", Resource::new("City", city)))?;
    crate::city::cities::get(&*ctx.view, city).ok_or_else(Problem::not_found)?;
    let zones = commands::of_city(&*ctx.view, city).into_iter();
    let held = zones.filter(|(id, _)| at.is_none_or(|at| SHAPES.get(&*ctx.view, id).is_some_and(|shape| shape.0.contains(at))));
    Ok(axum::Json(Page::whole(held.filter_map(|(id, zone)| ZoneView::of(&*ctx.view, id, zone)).collect())))
}

/// A zone.
#[utoipa::path(get, path = "/v1/zones/{id}", tag = "cities", params(("id" = String, Path)), responses((status = 200, body = ZoneView)))]
async fn show(Path(id): Path<ZoneId>, ctx: Ctx) -> Result<Versioned<ZoneView>, Problem> {
    let zone = ZONES.get(&*ctx.view, &id).ok_or_else(Problem::not_found)?;
    ctx.authorize(&Question::new("zones.read", Resource::new("City", zone.city)))?;
    let (view, version) = shown(&*ctx.view, id, zone)?;
    Ok(Versioned(view, version))
}

/// Edits a zone.
#[utoipa::path(patch, path = "/v1/zones/{id}", tag = "cities", params(("id" = String, Path)), request_body = ZonePatch, responses((status = 200, body = ZoneView)))]
async fn edit(Path(id): Path<ZoneId>, command: Command<ZonePatch>) -> Result<Response, Problem> {
    let if_match = command.if_match();
    command
        .run_versioned("zones.edit", StatusCode::OK, move |tx, body| {
            let zone = commands::edit(tx, id, if_match, |draft| body.apply(draft))?;
            shown(tx, id, zone)
        })
        .await
}

/// Removes a zone.
#[utoipa::path(delete, path = "/v1/zones/{id}", tag = "cities", params(("id" = String, Path)), responses((status = 204)))]
async fn remove(Path(id): Path<ZoneId>, command: Command<Empty>) -> Result<Response, Problem> {
    command.run("zones.remove", StatusCode::NO_CONTENT, move |tx, Empty {}| Ok(commands::remove(tx, id)?)).await
}
