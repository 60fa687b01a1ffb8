//! `/v1/orders…`: placing, reading, and what each party does. Bodies in [`super::bodies`], lists in [`super::http_list`].

use std::sync::Arc;

use axum::extract::State as With;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::bodies::{AcceptBody, CancelBody, DelayBody, MoveBody, PlaceBody, RejectBody, ReleaseBody, StatusBody, promise, report};
use super::model::OrderId;
use super::parts::resource;
use super::record::{ORDERS, Order};
use super::ride::Taken;
use super::track::TrackView;
use super::views::{OrderView, answer, is_seen_by};
use super::{ending, http_list, kitchen, moving, placing, ride, served};
use crate::city::tracking::Tracking;
use crate::city::travel::Leg;
use crate::city::{couriers, field};
use crate::edge::{Command, Ctx, Empty, Json, Page, Path, Problem, waited};
use crate::engine::{Denied, Question, Verdict};
use crate::money::Money;
use crate::people::keyring::Keyring;
use crate::trade::address::Address;
use crate::trade::failure::Failure;
use crate::trade::quotes;

/// What the routes need besides the engine.
#[derive(Clone)]
pub struct Services {
    pub tracking: Arc<Tracking>,
    /// Finds people by phone.
    pub keyring: Arc<Keyring>,
}

/// Characters of a reason.
pub(super) const REASON_CHARS_MAX: usize = 500;

/// Places the order that was quoted.
#[utoipa::path(post, path = "/v1/orders", tag = "orders", request_body = PlaceBody, responses((status = 201, body = OrderView)))]
async fn place(command: Command<PlaceBody>) -> Result<Response, Problem> {
    command
        .requires_key()?
        .run("orders.place", StatusCode::CREATED, |tx, body| {
            let order = placing::place(tx, body.quote_id, body.payment_method)?;
            Ok(answer(tx, &order))
        })
        .await
}

/// An order, if the caller may read it.
pub(super) fn readable(ctx: &Ctx, id: OrderId) -> Result<Order, Problem> {
    let order = ORDERS.get(&*ctx.view, &id).ok_or(Denied::NotFound)?;
    ctx.authorize(&Question::new("orders.read", resource(&order)))?;
    Ok(order)
}

/// Remembers that the merchant has looked; without waiting, and it does no harm if that fails: operators hear of the order then.
pub(super) fn note_seen(ctx: &Ctx, orders: &[Order]) {
    let seen: Vec<OrderId> = orders.iter().filter(|order| is_seen_by(&*ctx.view, &ctx.caller, order)).map(|order| order.id).collect();
    if !seen.is_empty() {
        let (engine, caller) = (ctx.engine.clone(), ctx.caller.clone());
        tokio::spawn(async move { engine.write(&caller, "orders.see", move |tx| kitchen::see(tx, &seen)).await });
    }
}

/// An order, as the caller may see it.
#[utoipa::path(get, path = "/v1/orders/{id}", tag = "orders", params(("id" = String, Path)), responses((status = 200, body = OrderView)))]
async fn show(Path(id): Path<OrderId>, ctx: Ctx) -> Result<Json<OrderView>, Problem> {
    let order = readable(&ctx, id)?;
    note_seen(&ctx, std::slice::from_ref(&order));
    Ok(Json(OrderView::of(&*ctx.view, &ctx.caller, &order, ctx.engine.now())))
}

/// What happened to an order, oldest first: `{n, type, at, actor, data}`.
#[utoipa::path(get, path = "/v1/orders/{id}/events", tag = "orders", params(("id" = String, Path)), responses((status = 200, body = Object)))]
async fn events(Path(id): Path<OrderId>, ctx: Ctx) -> Result<Json<Page<Value>>, Problem> {
    let order = readable(&ctx, id)?;
    Ok(Json(Page::whole(served::events(&*ctx.view, id, order.created.amounts.currency))))
}

/// Where the order is.
#[utoipa::path(get, path = "/v1/orders/{id}/track", tag = "tracking", params(("id" = String, Path)), responses((status = 200, body = TrackView)))]
async fn track(Path(id): Path<OrderId>, With(services): With<Services>, ctx: Ctx) -> Result<Json<TrackView>, Problem> {
    let order = readable(&ctx, id)?;
    let (view, tracking, now) = (ctx.view.clone(), services.tracking.clone(), ctx.engine.now());
    Ok(Json(waited(move || TrackView::of(&view, &tracking, &order, now)).await?))
}

/// The merchant takes the order.
#[utoipa::path(post, path = "/v1/orders/{id}/accept", tag = "orders", params(("id" = String, Path)), request_body = AcceptBody,
    responses((status = 200, body = OrderView)))]
async fn accept(Path(id): Path<OrderId>, command: Command<AcceptBody>) -> Result<Response, Problem> {
    command
        .run("orders.accept", StatusCode::OK, move |tx, body| {
            let order = kitchen::accept(tx, id, promise(body)?)?;
            Ok(answer(tx, &order))
        })
        .await
}

/// The merchant does not take the order.
#[utoipa::path(post, path = "/v1/orders/{id}/reject", tag = "orders", params(("id" = String, Path)), request_body = RejectBody,
    responses((status = 200, body = OrderView)))]
async fn reject(Path(id): Path<OrderId>, command: Command<RejectBody>) -> Result<Response, Problem> {
    command
        .run("orders.reject", StatusCode::OK, move |tx, body| {
            let reason = reason(&body.reason)?;
            let order = kitchen::reject(tx, id, reason, body.items)?;
            Ok(answer(tx, &order))
        })
        .await
}

/// Cooking has begun.
#[utoipa::path(post, path = "/v1/orders/{id}/prepare", tag = "orders", params(("id" = String, Path)), responses((status = 200, body = OrderView)))]
async fn prepare(Path(id): Path<OrderId>, command: Command<Empty>) -> Result<Response, Problem> {
    command
        .run("orders.prepare", StatusCode::OK, move |tx, Empty {}| {
            let order = kitchen::prepare(tx, id)?;
            Ok(answer(tx, &order))
        })
        .await
}

/// The food can be picked up.
#[utoipa::path(post, path = "/v1/orders/{id}/ready", tag = "orders", params(("id" = String, Path)), responses((status = 200, body = OrderView)))]
async fn ready(Path(id): Path<OrderId>, command: Command<Empty>) -> Result<Response, Problem> {
    command
        .run("orders.ready", StatusCode::OK, move |tx, Empty {}| {
            let order = kitchen::ready(tx, id)?;
            Ok(answer(tx, &order))
        })
        .await
}

/// The food will be ready later than promised: the courier comes later, the customer hears of it.
#[utoipa::path(post, path = "/v1/orders/{id}/delay", tag = "orders", params(("id" = String, Path)), request_body = DelayBody,
    responses((status = 200, body = OrderView)))]
async fn delay(Path(id): Path<OrderId>, command: Command<DelayBody>) -> Result<Response, Problem> {
    command
        .run("orders.delay", StatusCode::OK, move |tx, body| {
            let order = kitchen::delay(tx, id, body.minutes)?;
            Ok(answer(tx, &order))
        })
        .await
}

/// The courier says where the order is; support may too, with a reason.
#[utoipa::path(post, path = "/v1/orders/{id}/status", tag = "orders", params(("id" = String, Path)), request_body = StatusBody,
    responses((status = 200, body = OrderView)))]
async fn status(Path(id): Path<OrderId>, With(services): With<Services>, command: Command<StatusBody>) -> Result<Response, Problem> {
    // Whoever reports is not silent.
    let rider = command.caller.user_id().and_then(|user| couriers::of_user(&*command.engine.view(), user));
    if let Some((courier, _)) = rider {
        services.tracking.heard(courier, command.engine.clock().monotonic_ms());
    }
    command
        .run_verdict("orders.status", StatusCode::OK, move |tx, body| {
            let taken = ride::report(tx, id, report(body)?)?;
            Ok(match taken {
                Taken::Moved(order) => Verdict::Done(answer(tx, &order)),
                Taken::WrongCode { attempts_left } => {
                    Verdict::Refused(Problem::new(422, "wrong_code", "this is not the code").with("attempts_left", attempts_left))
                }
            })
        })
        .await
}

/// The courier gives the order back before pick-up.
#[utoipa::path(post, path = "/v1/orders/{id}/release", tag = "orders", params(("id" = String, Path)), request_body = ReleaseBody,
    responses((status = 200, body = OrderView)))]
async fn release(Path(id): Path<OrderId>, command: Command<ReleaseBody>) -> Result<Response, Problem> {
    command
        .run("orders.release", StatusCode::OK, move |tx, body| {
            let reason = reason(&body.reason)?;
            let order = ride::release(tx, id, &reason)?;
            Ok(answer(tx, &order))
        })
        .await
}

/// A cancelled order, and the money.
#[derive(Debug, Serialize, ToSchema)]
pub struct CancelledView {
    order: OrderView,
    /// `free` or `partial`.
    decision: &'static str,
    fee: Money,
    /// Given back or no longer reserved.
    refund: Money,
}

/// Cancels, as far as the policy lets the caller. After pick-up only support can, and `goods` says where the food went.
#[utoipa::path(post, path = "/v1/orders/{id}/cancel", tag = "orders", params(("id" = String, Path)), request_body = CancelBody,
    responses((status = 200, body = CancelledView)))]
async fn cancel(Path(id): Path<OrderId>, command: Command<CancelBody>) -> Result<Response, Problem> {
    command
        .run("orders.cancel", StatusCode::OK, move |tx, body| {
            let reason = reason(&body.reason)?;
            let ending::Cancelled { order, fee, refund } = ending::cancel(tx, id, reason, body.max_fee, body.goods)?;
            Ok(CancelledView { order: answer(tx, &order), decision: if fee.amount == 0 { "free" } else { "partial" }, fee, refund })
        })
        .await
}

/// What another door would mean for an order under way.
#[derive(Debug, Serialize, ToSchema)]
pub struct MoveView {
    /// From the merchant.
    distance_m: u32,
    delivery_fee: Money,
    /// What was paid for the delivery: a door that costs more is refused.
    paid: Money,
    costs_more: bool,
    /// From the merchant to the door.
    travel_minutes: u32,
}

/// What the travel provider says of the way to the new door; the command says what is wrong with it.
async fn way_to_move(id: OrderId, services: &Services, command: &Command<MoveBody>) -> Option<Leg> {
    let dropoff = command.body.dropoff.check("/dropoff").ok()?;
    let merchant = ORDERS.get(&*command.engine.view(), &id)?.created.merchant;
    quotes::http::way(&services.tracking, &command.engine, merchant, dropoff).await
}

/// Whether the pin can be moved there, and what the delivery would cost. Changes nothing.
#[utoipa::path(post, path = "/v1/orders/{id}/dropoff/quote", tag = "orders", params(("id" = String, Path)), request_body = MoveBody,
    responses((status = 200, body = MoveView)))]
async fn quote_move(Path(id): Path<OrderId>, With(services): With<Services>, command: Command<MoveBody>) -> Result<Response, Problem> {
    let way = way_to_move(id, &services, &command).await;
    command
        .run("orders.move.quote", StatusCode::OK, move |tx, body| {
            let point = body.dropoff.check("/dropoff")?;
            let moving::Move { distance_m, travel_s, fee, paid } = moving::quote(tx, id, point, way)?;
            let currency = ORDERS.get(tx, &id).ok_or(Denied::NotFound)?.created.amounts.currency;
            Ok(MoveView {
                distance_m,
                delivery_fee: Money::new(fee, currency),
                paid: Money::new(paid, currency),
                costs_more: fee > paid,
                travel_minutes: travel_s.div_ceil(60),
            })
        })
        .await
}

/// The customer moves the pin, as far as the fee that was paid goes and until the courier is nearly there.
#[utoipa::path(post, path = "/v1/orders/{id}/dropoff", tag = "orders", params(("id" = String, Path)), request_body = MoveBody,
    responses((status = 200, body = OrderView)))]
async fn move_dropoff(Path(id): Path<OrderId>, With(services): With<Services>, command: Command<MoveBody>) -> Result<Response, Problem> {
    let way = way_to_move(id, &services, &command).await;
    command
        .run("orders.move", StatusCode::OK, move |tx, body| {
            let point = body.dropoff.check("/dropoff")?;
            let address = body.address.map(Address::checked).transpose().map_err(Failure::from)?;
            let order = moving::move_dropoff(tx, &services.tracking, id, point, address.as_ref(), way)?;
            Ok(answer(tx, &order))
        })
        .await
}

fn reason(text: &str) -> Result<String, Failure> {
    Ok(field::prose("/reason", text, REASON_CHARS_MAX)?)
}

/// The routes of orders.
pub fn routes(services: Services) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(place, http_list::list))
        .routes(routes!(show))
        .routes(routes!(events))
        .routes(routes!(track))
        .routes(routes!(accept))
        .routes(routes!(reject))
        .routes(routes!(prepare))
        .routes(routes!(ready))
        .routes(routes!(delay))
        .routes(routes!(quote_move))
        .routes(routes!(move_dropoff))
        .routes(routes!(status))
        .routes(routes!(release))
        .routes(routes!(cancel))
        .with_state(services)
}
