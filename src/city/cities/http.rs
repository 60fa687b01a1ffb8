//! `/v1/cities`

use axum::http::StatusCode;
use axum::response::Response;
use index::geo::Point;
use serde::{Deserialize, Serialize};
use storage::KeyPart;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::model::{City, CityId, RADIUS_M_MAX, Refusal, SPEED_MPS_DEFAULT, checked_speed, checked_zone};
use super::{commands, views};
use crate::city::answer::{self, Versioned};
use crate::city::field;
use crate::city::patch::Patch;
use crate::edge::{Command, P, Page, PageQuery, Path, Problem, PublicCtx, Query};
use crate::money::Currency;

/// Cities and their settings.
pub fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(show, edit)).merge(super::wire::routes())
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown => Self::not_found(),
            Refusal::Invalid(invalid) => invalid.into(),
            Refusal::Currency { pointer, expected, found } => answer::wrong_currency(&pointer, expected, found),
            Refusal::Stale { version } => answer::stale(version),
            Refusal::Denied(denied) => denied.into(),
        }
    }
}

/// A city.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CityView {
    #[schema(value_type = String)]
    pub id: CityId,
    pub name: String,
    #[schema(value_type = String, example = "GHS")]
    pub currency: Currency,
    pub timezone: String,
    pub center: P,
    pub radius_m: u32,
    pub speed_mps: f64,
    pub version: u64,
    pub created_at: String,
    pub updated_at: String,
    /// With `lat` and `lon`: whole metres to the centre.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance_m: Option<u64>,
}

impl CityView {
    fn of(id: CityId, city: City) -> Self {
        Self {
            id,
            center: city.center().into(),
            name: city.name,
            currency: city.currency,
            timezone: city.timezone,
            radius_m: city.radius_m,
            speed_mps: city.speed_mps,
            version: city.version,
            created_at: city.created_at.to_string(),
            updated_at: city.updated_at.to_string(),
            distance_m: None,
        }
    }
}

/// A new city.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCity {
    pub name: String,
    #[schema(value_type = String, example = "GHS")]
    pub currency: Currency,
    /// IANA name, such as `Africa/Accra`.
    pub timezone: String,
    pub center: P,
    pub radius_m: u32,
    /// What couriers do on average; 5 if absent.
    #[serde(default)]
    pub speed_mps: Option<f64>,
}

impl NewCity {
    fn checked(self) -> Result<City, Problem> {
        let nobody_knows_yet = storage::Timestamp::EPOCH;
        Ok(City {
            name: field::line("/name", &self.name, 120)?,
            currency: self.currency,
            timezone: checked_zone("/timezone", &self.timezone)?,
            center: self.center.check("/center")?.into(),
            radius_m: field::within("/radius_m", self.radius_m, 1..=RADIUS_M_MAX)?,
            speed_mps: checked_speed("/speed_mps", self.speed_mps.unwrap_or(SPEED_MPS_DEFAULT))?,
            version: 0,
            created_at: nobody_knows_yet,
            updated_at: nobody_knows_yet,
        })
    }
}

/// A merge patch of a city. The currency cannot be changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CityPatch {
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    name: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    timezone: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<P>)]
    center: Patch<P>,
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    radius_m: Patch<u32>,
    /// `null`: 5.
    #[serde(default)]
    #[schema(value_type = Option<f64>)]
    speed_mps: Patch<f64>,
}

impl CityPatch {
    /// Checks everything on a copy first: what is invalid is said before what is not there.
    fn apply(self, city: &mut City) -> Result<(), Refusal> {
        self.name.apply("/name", &mut city.name, |name| field::line("/name", &name, 120))?;
        self.timezone.apply("/timezone", &mut city.timezone, |zone| checked_zone("/timezone", &zone))?;
        self.center.apply("/center", &mut city.center, |center| {
            Point::new(center.lat, center.lon)
                .map(Into::into)
                .map_err(|error| field::Invalid::new("/center", "out_of_range", error.to_string()))
        })?;
        self.radius_m.apply("/radius_m", &mut city.radius_m, |radius_m| field::within("/radius_m", radius_m, 1..=RADIUS_M_MAX))?;
        match self.speed_mps {
            Patch::Clear => city.speed_mps = SPEED_MPS_DEFAULT,
            patch => patch.apply("/speed_mps", &mut city.speed_mps, |speed| checked_speed("/speed_mps", speed))?,
        }
        Ok(())
    }
}

/// Adds a city.
#[utoipa::path(post, path = "/v1/cities", tag = "cities", request_body = NewCity, responses((status = 201, body = CityView)))]
async fn create(command: Command<NewCity>) -> Result<Response, Problem> {
    command
        .run_versioned("cities.create", StatusCode::CREATED, |tx, body| {
            let (id, city) = commands::create(tx, body.checked()?)?;
            let version = city.version;
            Ok((CityView::of(id, city), version))
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
    /// 1 to 100, 20 if absent.
    #[serde(default)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
}

/// All cities, the newest first; with `lat` and `lon` the nearest first.
#[utoipa::path(get, path = "/v1/cities", tag = "cities", params(ListQuery), responses((status = 200, body = Page<CityView>)))]
async fn list(Query(query): Query<ListQuery>, ctx: PublicCtx) -> Result<axum::Json<Page<CityView>>, Problem> {
    let from = answer::point_of(query.lat, query.lon)?;
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let (limit, after) = (page.limit()?, page.after()?);
    let entries = views::list(&*ctx.view, from).into_iter().map(|(distance_m, id, city)| {
        let view = CityView { distance_m: from.map(|_| distance_m), ..CityView::of(id, city) };
        ((distance_m, !id.as_u128()).to_key(), view)
    });
    let rest = entries.filter(|(cursor, _)| after.as_ref().is_none_or(|after| cursor > after));
    Ok(axum::Json(Page::from_scan(rest, limit)))
}

/// A city.
#[utoipa::path(get, path = "/v1/cities/{id}", tag = "cities", params(("id" = String, Path)), responses((status = 200, body = CityView)))]
async fn show(Path(id): Path<CityId>, ctx: PublicCtx) -> Result<Versioned<CityView>, Problem> {
    let city = views::get(&*ctx.view, id).ok_or_else(Problem::not_found)?;
    let version = city.version;
    Ok(Versioned(CityView::of(id, city), version))
}

/// Edits a city.
#[utoipa::path(patch, path = "/v1/cities/{id}", tag = "cities", params(("id" = String, Path)), request_body = CityPatch, responses((status = 200, body = CityView)))]
async fn edit(Path(id): Path<CityId>, command: Command<CityPatch>) -> Result<Response, Problem> {
    let if_match = command.if_match();
    command
        .run_versioned("cities.edit", StatusCode::OK, move |tx, body| {
            let city = commands::edit(tx, id, if_match, |city| body.apply(city))?;
            let version = city.version;
            Ok((CityView::of(id, city), version))
        })
        .await
}
