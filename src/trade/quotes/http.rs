//! `POST /v1/quotes`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use index::geo::Point;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::commands::{self, Asked};
use super::model::{Quote, QuoteId};
use crate::city::catalog::MerchantId;
use crate::city::tracking::Tracking;
use crate::city::travel::Leg;
use crate::edge::{Command, P, Problem, waited};
use crate::engine::Engine;
use crate::money::Money;
use crate::money::pricing::ShownAmounts;
use crate::trade::address::Address;
use crate::trade::carts::model::{CARTS, CartId};
use crate::trade::failure::Failure;

/// A cart and a door.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuoteBody {
    #[schema(value_type = String)]
    cart_id: CartId,
    dropoff: P,
    #[serde(default)]
    address: Option<Address>,
    #[serde(default)]
    tip: Option<Money>,
}

/// A price that holds until it expires.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuoteView {
    #[schema(value_type = String)]
    id: QuoteId,
    #[schema(format = DateTime)]
    expires_at: String,
    #[serde(flatten)]
    amounts: ShownAmounts,
    distance_m: u32,
    eta: QuoteEta,
}

/// Minutes from placing the order.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuoteEta {
    pickup_minutes: u32,
    delivery_minutes: u32,
}

impl QuoteView {
    fn of(id: QuoteId, quote: &Quote) -> Self {
        Self {
            id,
            expires_at: quote.expires_at.to_string(),
            amounts: quote.amounts.shown(),
            distance_m: quote.distance_m,
            eta: QuoteEta { pickup_minutes: quote.prep_s.div_ceil(60), delivery_minutes: (quote.prep_s + quote.travel_s).div_ceil(60) },
        }
    }
}

/// Prices a cart at a door.
#[utoipa::path(post, path = "/v1/quotes", tag = "orders", request_body = QuoteBody, responses((status = 201, body = QuoteView)))]
async fn create(State(tracking): State<Arc<Tracking>>, command: Command<QuoteBody>) -> Result<Response, Problem> {
    let merchant = CARTS.get(&*command.engine.view(), &command.body.cart_id).map(|cart| cart.merchant);
    let way = match (merchant, command.body.dropoff.check("/dropoff")) {
        (Some(merchant), Ok(dropoff)) => way(&tracking, &command.engine, merchant, dropoff).await,
        // The command says what is wrong.
        _ => None,
    };
    command
        .run("quotes.create", StatusCode::CREATED, move |tx, body| {
            let dropoff = body.dropoff.check("/dropoff")?;
            let address = body.address.map(Address::checked).transpose().map_err(Failure::from)?;
            let (id, quote) = commands::create_along(tx, Asked { cart: body.cart_id, dropoff, address, tip: body.tip }, way)?;
            Ok(QuoteView::of(id, &quote))
        })
        .await
}

/// Asks the travel provider before a command begins: the writer waits for nobody.
pub(crate) async fn way(tracking: &Arc<Tracking>, engine: &Engine, merchant: MerchantId, dropoff: Point) -> Option<Leg> {
    let (tracking, view, now) = (tracking.clone(), engine.view(), engine.now());
    if tracking.travel().is_free() {
        return commands::way(&*view, &tracking, merchant, dropoff, now);
    }
    // Should the thread fail, the straight line does.
    waited(move || commands::way(&*view, &tracking, merchant, dropoff, now)).await.ok().flatten()
}

/// The routes of quotes.
pub fn routes(tracking: Arc<Tracking>) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(create)).with_state(tracking)
}
