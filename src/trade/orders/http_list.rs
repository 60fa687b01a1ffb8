//! `GET /v1/orders`

use axum::extract::State as With;
use serde::Deserialize;
use storage::KeyPart;
use utoipa::IntoParams;

use super::bodies::time;
use super::http::{Services, note_seen};
use super::list::{Filter, Scope, page};
use super::model::{OrderId, State};
use super::views::OrderView;
use crate::city::catalog::MerchantId;
use crate::city::cities::CityId;
use crate::city::couriers::CourierId;
use crate::edge::{Ctx, Json, Page, PageQuery, Problem, Query};
use crate::engine::{Denied, Question, Resource};
use crate::people::users::{self, Phone};
use crate::trade::failure::Failure;

/// Filters; all that are given must hold.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// 1 to 100, 20 if absent.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// States, separated by commas.
    status: Option<String>,
    number: Option<String>,
    #[param(value_type = Option<String>)]
    city_id: Option<CityId>,
    #[param(value_type = Option<String>)]
    merchant_id: Option<MerchantId>,
    #[param(value_type = Option<String>)]
    courier_id: Option<CourierId>,
    /// The customer's phone (E.164).
    phone: Option<String>,
    /// Created at or after.
    from: Option<String>,
    /// Created before.
    to: Option<String>,
    /// Whether the order is still under way.
    active: Option<bool>,
}

/// Orders in which the caller has a part (all of them for support), newest first. A page can be short although there are more: `next_cursor` says so.
#[utoipa::path(get, path = "/v1/orders", tag = "orders", params(ListQuery), responses((status = 200, body = Page<OrderView>)))]
pub(super) async fn list(
    With(services): With<Services>,
    ctx: Ctx,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<OrderView>>, Problem> {
    ctx.authorize(&Question::new("orders.list", Resource::new("Orders", "list")))?;
    let scope = Scope::of(&*ctx.view, &ctx.caller).ok_or(Denied::NotFound)?;
    let paging = PageQuery { limit: query.limit, cursor: query.cursor.clone() };
    let (limit, after) = (paging.limit()?, after(&paging)?);
    let (filter, somebody) = filter(&services, &ctx, query)?;
    let (orders, next) = if somebody { page(&*ctx.view, &scope, &filter, limit, after) } else { (Vec::new(), None) };
    note_seen(&ctx, &orders);
    let now = ctx.engine.now();
    let data = orders.iter().map(|order| OrderView::of(&*ctx.view, &ctx.caller, order, now)).collect();
    let next_cursor = next.map(|id| format!("{:032x}", id.as_u128()));
    Ok(Json(Page { data, next_cursor }))
}

fn after(paging: &PageQuery) -> Result<Option<OrderId>, Problem> {
    let Some(cursor) = paging.after()? else { return Ok(None) };
    let id = OrderId::decode(&mut cursor.as_slice()).filter(|_| cursor.len() == 16);
    id.map(Some).ok_or_else(|| Problem::invalid("/cursor", "bad_cursor", "not a cursor of this list"))
}

/// The filter, and whether anybody can pass it: nobody may have the phone.
fn filter(services: &Services, ctx: &Ctx, query: ListQuery) -> Result<(Filter, bool), Problem> {
    let unknown = |name: &str| Problem::invalid("/status", "not_allowed", format!("there is no state {name}"));
    let states = query.status.iter().flat_map(|names| names.split(',')).filter(|name| !name.is_empty());
    let states = states.map(|name| State::parse(name.trim()).ok_or_else(|| unknown(name))).collect::<Result<_, _>>()?;
    let moment = |pointer: &str, text: Option<String>| text.map(|text| time(pointer, &text)).transpose().map_err(Failure::from);
    let phone = query
        .phone
        .map(|phone| phone.parse::<Phone>())
        .transpose()
        .map_err(|error| Problem::invalid("/phone", "invalid", error.to_string()))?;
    let customer = phone.as_ref().map(|phone| users::by_phone(&*ctx.view, &services.keyring, phone).map(|(id, _)| id));
    let filter = Filter {
        states,
        number: query.number,
        city: query.city_id,
        merchant: query.merchant_id,
        courier: query.courier_id,
        customer: customer.flatten(),
        from: moment("/from", query.from)?,
        to: moment("/to", query.to)?,
        active: query.active,
    };
    Ok((filter, customer != Some(None)))
}
