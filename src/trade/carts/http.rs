//! `PUT /v1/carts/{id}`

use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::commands;
use super::model::{Cart, CartId, Wanted, subtotal};
use crate::city::catalog::{ItemId, MerchantId};
use crate::city::cities::CityId;
use crate::edge::{Command, Path, Problem};
use crate::money::Money;
use crate::trade::orders::views::LineView;

/// The whole cart.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CartBody {
    #[schema(value_type = String)]
    merchant_id: MerchantId,
    items: Vec<ItemBody>,
}

/// So many of an item.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemBody {
    #[schema(value_type = String)]
    item_id: ItemId,
    #[schema(minimum = 1, maximum = 99)]
    quantity: u32,
    #[serde(default)]
    note: Option<String>,
}

/// A cart at the prices of the moment.
#[derive(Debug, Serialize, ToSchema)]
pub struct CartView {
    #[schema(value_type = String)]
    id: CartId,
    #[schema(value_type = String)]
    city_id: CityId,
    #[schema(value_type = String)]
    merchant_id: MerchantId,
    lines: Vec<LineView>,
    subtotal: Money,
    updated_at: String,
}

impl CartView {
    fn of(id: CartId, cart: &Cart) -> Self {
        Self {
            id,
            city_id: cart.city,
            merchant_id: cart.merchant,
            lines: cart.lines.iter().map(|line| LineView::of(line, cart.currency)).collect(),
            subtotal: Money::new(subtotal(&cart.lines), cart.currency),
            updated_at: cart.updated_at.to_string(),
        }
    }
}

/// Puts the whole cart; the client makes the id.
#[utoipa::path(put, path = "/v1/carts/{cart_id}", tag = "orders", params(("cart_id" = String, Path)), request_body = CartBody,
    responses((status = 200, body = CartView)))]
async fn put(Path(id): Path<CartId>, command: Command<CartBody>) -> Result<Response, Problem> {
    command
        .run("carts.put", StatusCode::OK, move |tx, body| {
            let wanted =
                body.items.into_iter().map(|item| Wanted { item: item.item_id, quantity: item.quantity, note: item.note }).collect();
            Ok(CartView::of(id, &commands::put(tx, id, body.merchant_id, wanted)?))
        })
        .await
}

/// The routes of carts.
pub fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(put))
}
