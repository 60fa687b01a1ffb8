//! `/v1/merchants`

use axum::http::StatusCode;
use axum::response::Response;
use index::geo::Point;
use serde::{Deserialize, Serialize};
use storage::{Read, Timestamp};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::hours::Opening;
use super::model::{Merchant, MerchantId, MerchantKind, PREP_MINUTES_DEFAULT, Refusal};
use super::{commands, views};
use crate::city::answer::{self, Versioned};
use crate::city::cities::{self, City, CityId};
use crate::city::field::{self, Invalid};
use crate::city::patch::Patch;
use crate::edge::{Command, Json, P, Page, PageQuery, Path, Problem, PublicCtx, Query};
use crate::people::users::Phone;

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(show, edit))
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::MerchantUnknown | Refusal::ItemUnknown => Self::not_found(),
            Refusal::CityUnknown => Self::invalid("/city_id", "unknown_city", refusal.to_string()),
            Refusal::Invalid(invalid) => invalid.into(),
            Refusal::Currency { expected, found } => answer::wrong_currency("/price/currency", expected, found),
            Refusal::MenuFull => Self::new(409, "menu_full", refusal.to_string()),
            Refusal::Stale { version } => answer::stale(version),
            Refusal::Denied(denied) => denied.into(),
            Refusal::Fault(fault) => fault.into(),
        }
    }
}

/// A merchant.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct MerchantView {
    #[schema(value_type = String)]
    pub id: MerchantId,
    #[schema(value_type = String)]
    pub city_id: CityId,
    pub name: String,
    pub kind: MerchantKind,
    pub position: P,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    pub cuisines: Vec<String>,
    pub prep_minutes: u32,
    /// Absent: always open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<Vec<Opening>>,
    /// Whether it is open now.
    pub open: bool,
    pub version: u64,
    pub created_at: String,
    pub updated_at: String,
}

impl MerchantView {
    pub(super) fn of(id: MerchantId, merchant: Merchant, city: &City, now: Timestamp) -> Self {
        Self {
            id,
            open: views::is_open(&merchant, city, now),
            city_id: merchant.city,
            position: merchant.point().into(),
            name: merchant.name,
            kind: merchant.kind,
            address: merchant.address,
            phone: merchant.phone,
            cuisines: merchant.cuisines,
            prep_minutes: merchant.prep_minutes,
            hours: merchant.hours,
            version: merchant.version,
            created_at: merchant.created_at.to_string(),
            updated_at: merchant.updated_at.to_string(),
        }
    }

    fn read(read: &impl Read, id: MerchantId, merchant: Merchant, now: Timestamp) -> Result<Self, Problem> {
        let city = cities::get(read, merchant.city).ok_or_else(Problem::not_found)?;
        Ok(Self::of(id, merchant, &city, now))
    }
}

/// A new merchant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMerchant {
    #[schema(value_type = String)]
    city_id: CityId,
    name: String,
    kind: MerchantKind,
    position: P,
    #[serde(default)]
    address: Option<String>,
    /// E.164.
    #[serde(default)]
    phone: Option<String>,
    #[serde(default)]
    cuisines: Option<Vec<String>>,
    /// 15 if absent.
    #[serde(default)]
    prep_minutes: Option<u32>,
    /// Always open if absent.
    #[serde(default)]
    hours: Option<Vec<Opening>>,
}

fn checked_name(name: &str) -> Result<String, Invalid> {
    field::line("/name", name, 120)
}

fn checked_address(address: &str) -> Result<String, Invalid> {
    field::prose("/address", address, 300)
}

fn checked_phone(phone: &str) -> Result<String, Invalid> {
    let phone: Phone = phone.parse().map_err(|_| Invalid::new("/phone", "not_a_phone", "E.164, such as +233201234567"))?;
    Ok(phone.as_str().to_owned())
}

fn checked_cuisines(cuisines: &[String]) -> Result<Vec<String>, Invalid> {
    field::words("/cuisines", cuisines, 10, 40)
}

fn checked_prep(prep_minutes: u32) -> Result<u32, Invalid> {
    field::within("/prep_minutes", prep_minutes, 0..=240)
}

fn checked_hours(hours: Vec<Opening>) -> Result<Vec<Opening>, Invalid> {
    match hours.len() {
        0 => Err(Invalid::new("/hours", "empty", "leave it out (or clear it) for always open")),
        1..=50 => Ok(hours),
        _ => Err(Invalid::new("/hours", "too_many", "at most 50 intervals")),
    }
}

impl NewMerchant {
    fn checked(self) -> Result<Merchant, Problem> {
        let nobody_knows_yet = Timestamp::EPOCH;
        Ok(Merchant {
            city: self.city_id,
            name: checked_name(&self.name)?,
            kind: self.kind,
            position: self.position.check("/position")?.into(),
            address: self.address.as_deref().map(checked_address).transpose()?,
            phone: self.phone.as_deref().map(checked_phone).transpose()?,
            cuisines: checked_cuisines(&self.cuisines.unwrap_or_default())?,
            prep_minutes: checked_prep(self.prep_minutes.unwrap_or(PREP_MINUTES_DEFAULT))?,
            hours: self.hours.map(checked_hours).transpose()?,
            version: 0,
            created_at: nobody_knows_yet,
            updated_at: nobody_knows_yet,
        })
    }
}

/// A merge patch of a merchant. The city cannot be changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MerchantPatch {
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    name: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<MerchantKind>)]
    kind: Patch<MerchantKind>,
    #[serde(default)]
    #[schema(value_type = Option<P>)]
    position: Patch<P>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    address: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    phone: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    cuisines: Patch<Vec<String>>,
    /// `null`: 15.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    prep_minutes: Patch<u32>,
    /// `null`: always open.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Opening>>)]
    hours: Patch<Vec<Opening>>,
}

impl MerchantPatch {
    fn apply(self, merchant: &mut Merchant) -> Result<(), Refusal> {
        self.name.apply("/name", &mut merchant.name, |name| checked_name(&name))?;
        self.kind.apply("/kind", &mut merchant.kind, Ok)?;
        self.position.apply("/position", &mut merchant.position, |position| {
            Point::new(position.lat, position.lon)
                .map(Into::into)
                .map_err(|error| Invalid::new("/position", "out_of_range", error.to_string()))
        })?;
        self.address.apply_or_clear(&mut merchant.address, |address| checked_address(&address).map(Some))?;
        self.phone.apply_or_clear(&mut merchant.phone, |phone| checked_phone(&phone).map(Some))?;
        self.cuisines.apply_or_clear(&mut merchant.cuisines, |cuisines| checked_cuisines(&cuisines))?;
        match self.prep_minutes {
            Patch::Clear => merchant.prep_minutes = PREP_MINUTES_DEFAULT,
            patch => patch.apply("/prep_minutes", &mut merchant.prep_minutes, checked_prep)?,
        }
        self.hours.apply_or_clear(&mut merchant.hours, |hours| checked_hours(hours).map(Some))?;
        Ok(())
    }
}

/// Adds a merchant. Who does it with the role `merchant` becomes its staff.
#[utoipa::path(post, path = "/v1/merchants", tag = "catalog", request_body = NewMerchant, responses((status = 201, body = MerchantView)))]
async fn create(command: Command<NewMerchant>) -> Result<Response, Problem> {
    command
        .run_versioned("merchants.create", StatusCode::CREATED, |tx, body| {
            let (id, merchant) = commands::create_merchant(tx, body.checked()?)?;
            let version = merchant.version;
            Ok((MerchantView::read(tx, id, merchant, tx.now())?, version))
        })
        .await
}

/// `?city_id=`
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    #[serde(default)]
    #[param(value_type = Option<String>)]
    city_id: Option<CityId>,
    /// 1 to 100, 20 if absent.
    #[serde(default)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
}

/// Merchants, of one city or all, the newest first.
#[utoipa::path(get, path = "/v1/merchants", tag = "catalog", params(ListQuery), responses((status = 200, body = Page<MerchantView>)))]
async fn list(Query(query): Query<ListQuery>, ctx: PublicCtx) -> Result<Json<Page<MerchantView>>, Problem> {
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let (limit, after, now) = (page.limit()?, page.after()?, ctx.engine.now());
    let mut cities = std::collections::HashMap::new();
    let scan = views::merchants(&*ctx.view, query.city_id, after.as_deref());
    let shown = scan.filter_map(|(cursor, id, merchant)| {
        let city = cities.entry(merchant.city).or_insert_with_key(|city| cities::get(&*ctx.view, *city)).as_ref()?;
        Some((cursor, MerchantView::of(id, merchant, city, now)))
    });
    Ok(Json(Page::from_scan(shown, limit)))
}

/// A merchant.
#[utoipa::path(get, path = "/v1/merchants/{id}", tag = "catalog", params(("id" = String, Path)), responses((status = 200, body = MerchantView)))]
async fn show(Path(id): Path<MerchantId>, ctx: PublicCtx) -> Result<Versioned<MerchantView>, Problem> {
    let merchant = views::merchant(&*ctx.view, id).ok_or_else(Problem::not_found)?;
    let version = merchant.version;
    Ok(Versioned(MerchantView::read(&*ctx.view, id, merchant, ctx.engine.now())?, version))
}

/// Edits a merchant.
#[utoipa::path(patch, path = "/v1/merchants/{id}", tag = "catalog", params(("id" = String, Path)), request_body = MerchantPatch, responses((status = 200, body = MerchantView)))]
async fn edit(Path(id): Path<MerchantId>, command: Command<MerchantPatch>) -> Result<Response, Problem> {
    let if_match = command.if_match();
    command
        .run_versioned("merchants.edit", StatusCode::OK, move |tx, body| {
            let merchant = commands::edit_merchant(tx, id, if_match, |merchant| body.apply(merchant))?;
            let version = merchant.version;
            Ok((MerchantView::read(tx, id, merchant, tx.now())?, version))
        })
        .await
}
