//! `/v1/merchants/{id}/menu`, `/v1/merchants/{id}/items`, `/v1/items`

use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use storage::Timestamp;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::model::{Item, ItemId, MerchantId, Refusal};
use super::{commands, views};
use crate::city::answer::Versioned;
use crate::city::cities;
use crate::city::field::{self, Invalid};
use crate::city::patch::Patch;
use crate::edge::{Command, Json, Path, Problem, PublicCtx};
use crate::money::pricing::AMOUNT_MAX;
use crate::money::{Currency, Money};

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(menu)).routes(routes!(create)).routes(routes!(show, edit))
}

/// An item.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ItemView {
    #[schema(value_type = String)]
    pub id: ItemId,
    #[schema(value_type = String)]
    pub merchant_id: MerchantId,
    pub name: String,
    pub price: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    pub tags: Vec<String>,
    /// Whether it can be had now: switched on, and past `unavailable_until`.
    pub available: bool,
    /// Only while it lies ahead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unavailable_until: Option<String>,
    pub version: u64,
    pub created_at: String,
    pub updated_at: String,
}

impl ItemView {
    fn of(id: ItemId, item: Item, now: Timestamp) -> Self {
        Self {
            id,
            merchant_id: item.merchant,
            available: item.is_available(now),
            unavailable_until: item.unavailable_until.filter(|until| *until > now).map(|until| until.to_string()),
            name: item.name,
            price: item.price,
            description: item.description,
            category: item.category,
            tags: item.tags,
            version: item.version,
            created_at: item.created_at.to_string(),
            updated_at: item.updated_at.to_string(),
        }
    }
}

/// What a merchant sells.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Menu {
    #[schema(value_type = String)]
    pub merchant_id: MerchantId,
    /// Whether the merchant is open now.
    pub open: bool,
    #[schema(value_type = String, example = "GHS")]
    pub currency: Currency,
    /// Of all items, each once, in the order in which they first came.
    pub categories: Vec<String>,
    /// All items, the oldest first.
    pub data: Vec<ItemView>,
    /// Always `null`: a menu comes whole.
    #[schema(value_type = Option<String>)]
    pub next_cursor: (),
}

/// A new item.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewItem {
    name: String,
    /// In the city's currency.
    price: Money,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    category: Option<String>,
    #[serde(default)]
    tags: Option<Vec<String>>,
    /// `true` if absent.
    #[serde(default)]
    available: Option<bool>,
    /// Not to be had before then.
    #[serde(default)]
    unavailable_until: Option<String>,
}

fn checked_name(name: &str) -> Result<String, Invalid> {
    field::line("/name", name, 120)
}

fn checked_price(price: Money) -> Result<Money, Invalid> {
    field::within("/price/amount", price.amount, 0..=AMOUNT_MAX).map(|_| price)
}

fn checked_description(description: &str) -> Result<String, Invalid> {
    field::prose("/description", description, 2_000)
}

fn checked_category(category: &str) -> Result<String, Invalid> {
    field::line("/category", category, 60)
}

fn checked_tags(tags: &[String]) -> Result<Vec<String>, Invalid> {
    field::words("/tags", tags, 20, 40)
}

fn checked_until(until: &str) -> Result<Timestamp, Invalid> {
    until.parse().map_err(|error: storage::clock::NotATime| Invalid::new("/unavailable_until", "not_a_time", error.to_string()))
}

impl NewItem {
    fn checked(self, merchant: MerchantId) -> Result<Item, Invalid> {
        let nobody_knows_yet = Timestamp::EPOCH;
        Ok(Item {
            merchant,
            name: checked_name(&self.name)?,
            price: checked_price(self.price)?,
            description: self.description.as_deref().map(checked_description).transpose()?,
            category: self.category.as_deref().map(checked_category).transpose()?,
            tags: checked_tags(&self.tags.unwrap_or_default())?,
            available: self.available.unwrap_or(true),
            unavailable_until: self.unavailable_until.as_deref().map(checked_until).transpose()?,
            version: 0,
            created_at: nobody_knows_yet,
            updated_at: nobody_knows_yet,
        })
    }
}

/// A merge patch of an item. The merchant cannot be changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemPatch {
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    name: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<Money>)]
    price: Patch<Money>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    description: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    category: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    tags: Patch<Vec<String>>,
    /// `null`: `true`.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    available: Patch<bool>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    unavailable_until: Patch<String>,
}

impl ItemPatch {
    fn apply(self, item: &mut Item) -> Result<(), Refusal> {
        self.name.apply("/name", &mut item.name, |name| checked_name(&name))?;
        self.price.apply("/price", &mut item.price, checked_price)?;
        self.description.apply_or_clear(&mut item.description, |description| checked_description(&description).map(Some))?;
        self.category.apply_or_clear(&mut item.category, |category| checked_category(&category).map(Some))?;
        self.tags.apply_or_clear(&mut item.tags, |tags| checked_tags(&tags))?;
        match self.available {
            Patch::Keep => (),
            Patch::Clear => item.available = true,
            Patch::Set(available) => item.available = available,
        }
        self.unavailable_until.apply_or_clear(&mut item.unavailable_until, |until| checked_until(&until).map(Some))?;
        Ok(())
    }
}

/// What a merchant sells, all of it.
#[utoipa::path(get, path = "/v1/merchants/{id}/menu", tag = "catalog", params(("id" = String, Path)), responses((status = 200, body = Menu)))]
async fn menu(Path(id): Path<MerchantId>, ctx: PublicCtx) -> Result<Json<Menu>, Problem> {
    let merchant = views::merchant(&*ctx.view, id).ok_or_else(Problem::not_found)?;
    let city = cities::get(&*ctx.view, merchant.city).ok_or_else(Problem::not_found)?;
    let now = ctx.engine.now();
    let data: Vec<ItemView> = views::items_of(&*ctx.view, id).map(|(id, item)| ItemView::of(id, item, now)).collect();
    let mut categories: Vec<String> = Vec::new();
    for category in data.iter().filter_map(|item| item.category.as_ref()) {
        if !categories.contains(category) {
            categories.push(category.clone());
        }
    }
    let open = views::is_open(&merchant, &city, now);
    Ok(Json(Menu { merchant_id: id, open, currency: city.currency, categories, data, next_cursor: () }))
}

/// Adds an item to a merchant's menu.
#[utoipa::path(post, path = "/v1/merchants/{id}/items", tag = "catalog", params(("id" = String, Path)), request_body = NewItem, responses((status = 201, body = ItemView)))]
async fn create(Path(merchant): Path<MerchantId>, command: Command<NewItem>) -> Result<Response, Problem> {
    command
        .run_versioned("items.create", StatusCode::CREATED, move |tx, body| {
            let (id, item) = commands::create_item(tx, body.checked(merchant)?)?;
            let version = item.version;
            Ok((ItemView::of(id, item, tx.now()), version))
        })
        .await
}

/// An item.
#[utoipa::path(get, path = "/v1/items/{id}", tag = "catalog", params(("id" = String, Path)), responses((status = 200, body = ItemView)))]
async fn show(Path(id): Path<ItemId>, ctx: PublicCtx) -> Result<Versioned<ItemView>, Problem> {
    let item = views::item(&*ctx.view, id).ok_or_else(Problem::not_found)?;
    let version = item.version;
    Ok(Versioned(ItemView::of(id, item, ctx.engine.now()), version))
}

/// Edits an item.
#[utoipa::path(patch, path = "/v1/items/{id}", tag = "catalog", params(("id" = String, Path)), request_body = ItemPatch, responses((status = 200, body = ItemView)))]
async fn edit(Path(id): Path<ItemId>, command: Command<ItemPatch>) -> Result<Response, Problem> {
    let if_match = command.if_match();
    command
        .run_versioned("items.edit", StatusCode::OK, move |tx, body| {
            let item = commands::edit_item(tx, id, if_match, |item| body.apply(item))?;
            let version = item.version;
            Ok((ItemView::of(id, item, tx.now()), version))
        })
        .await
}
