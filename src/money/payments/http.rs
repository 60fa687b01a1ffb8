//! `/v1/payments/…` and `/v1/refunds`.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;
use storage::{Id, Kind, Read};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::model::{Intent, IntentId, Method, NextAction, RefundId, RefundState, Refusal, Status, Subject};
use super::provider::Providers;
use super::{intents, notices, refunds};
use crate::edge::command::{BODY_BYTES_MAX, collect};
use crate::edge::{Command, Ctx, Gate, Path, Problem};
use crate::engine::{Caller, Engine, Fault, Question, Resource, WriteError};
use crate::money::Money;

/// How long a confirmation waits for the provider's word before it answers `processing`.
const CONFIRM_PATIENCE: Duration = Duration::from_secs(2);

/// Routes of payments and refunds.
pub fn routes(providers: Providers) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(show))
        .routes(routes!(confirm))
        .routes(routes!(capture))
        .routes(routes!(cancel))
        .routes(routes!(refund))
        .routes(routes!(show_refund))
        .merge(OpenApiRouter::new().routes(routes!(webhook)).with_state(providers))
}

/// The order's id on the wire: money knows no more about it.
#[derive(Debug)]
struct OrderTag;
impl Kind for OrderTag {
    const PREFIX: &'static str = "ord";
}

/// An intent as it is shown.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct IntentView {
    #[schema(value_type = String)]
    id: IntentId,
    order_id: String,
    status: Status,
    amount: Money,
    captured: Money,
    refunded: Money,
    method: Method,
    connector: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_action: Option<NextAction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decline_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    created_at: String,
}

impl IntentView {
    #[must_use]
    pub fn of(intent: &Intent) -> Self {
        let money = |amount| Money { amount, ..intent.amount };
        Self {
            id: intent.id,
            order_id: Id::<OrderTag>::from_u128(intent.subject.id).to_string(),
            status: intent.status,
            amount: intent.amount,
            captured: money(intent.captured),
            refunded: money(intent.refunded()),
            method: intent.method,
            connector: intent.connector.name(),
            client_secret: intent.status.is_waiting().then(|| intent.client_secret.clone()),
            next_action: intent.next_action.clone(),
            decline_code: intent.decline_code.clone(),
            expires_at: intent.expires_at.map(|at| at.to_string()),
            created_at: intent.created_at.to_string(),
        }
    }
}

/// A refund as it is shown.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct RefundView {
    #[schema(value_type = String)]
    id: RefundId,
    #[schema(value_type = String)]
    intent_id: IntentId,
    amount: Money,
    reason: String,
    status: RefundState,
    created_at: String,
}

impl RefundView {
    fn of(intent: &Intent, refund: &super::model::Refund) -> Self {
        let amount = Money { amount: refund.amount, ..intent.amount };
        Self {
            id: refund.id,
            intent_id: intent.id,
            amount,
            reason: refund.reason.clone(),
            status: refund.state,
            created_at: refund.at.to_string(),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let words = refusal.to_string();
        match refusal {
            Refusal::Unknown => Self::not_found(),
            Refusal::NotWhile { from, to } => {
                let allowed: Vec<&str> = from.allowed().iter().map(|status| status.name()).collect();
                Self::new(409, "invalid_transition", words).with("from", from.name()).with("to", to.name()).with("allowed", json!(allowed))
            }
            Refusal::MethodUnavailable => Self::new(422, "payment_method_unavailable", words),
            Refusal::AlreadyPaid => Self::new(409, "already_paid", words),
            Refusal::Closed => Self::new(409, "payment_closed", words),
            Refusal::CaptureUnderWay => Self::new(409, "capture_under_way", words),
            Refusal::AmountOutOfRange { .. } => Self::invalid("/amount/amount", "out_of_range", words),
            Refusal::OtherCurrency => Self::invalid("/amount/currency", "other_currency", words),
            Refusal::Books(_) => Self::from(Fault::new(words)),
        }
    }
}

fn question(action: &'static str, intent: &Intent) -> Question {
    Question::new(action, Resource::new("Intent", intent.id).with("payer", intent.payer.to_string()))
}

/// The intent, or 404; who may see it is asked next.
///
/// # Errors
/// 404.
pub(in crate::money) fn visible(read: &(impl Read + ?Sized), id: IntentId) -> Result<Intent, Problem> {
    intents::get(read, id).ok_or_else(Problem::not_found)
}

/// Another try for an order, or another method.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    #[schema(value_type = String)]
    order_id: Id<OrderTag>,
    method: Method,
    /// Confirms at once.
    #[serde(default)]
    token: Option<String>,
}

#[utoipa::path(post, path = "/v1/payments/intents", tag = "payments", request_body = CreateBody, responses((status = 201, body = IntentView)))]
async fn create(command: Command<CreateBody>) -> Result<Response, Problem> {
    let made = |tx: &mut crate::engine::Tx<'_, '_>, body: CreateBody| {
        let token = body.token.as_deref().map(checked_token).transpose()?;
        let subject = Subject::order(body.order_id.as_u128());
        let last = intents::of(tx, subject).ok_or_else(Problem::not_found)?;
        tx.authorize(&question("intents.create", &last))?;
        let mut intent = intents::retry(tx, subject, body.method)?;
        if let Some(token) = token {
            intent = intents::confirm(tx, intent.id, token, None)?;
        }
        Ok(IntentView::of(&intent))
    };
    command.requires_key()?.run("intents.create", StatusCode::CREATED, made).await
}

#[utoipa::path(get, path = "/v1/payments/intents/{id}", tag = "payments", params(("id" = String, Path)), responses((status = 200, body = IntentView)))]
async fn show(Path(id): Path<IntentId>, ctx: Ctx) -> Result<Json<IntentView>, Problem> {
    let intent = visible(&*ctx.view, id)?;
    ctx.authorize(&question("intents.read", &intent))?;
    Ok(Json(IntentView::of(&intent)))
}

/// How the payer pays. `mobile_money` is accepted in the contract's shape; no provider here takes it.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ConfirmBody {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    return_url: Option<String>,
    #[serde(default)]
    mobile_money: Option<MobileMoney>,
}

#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the contract's shape; refused until there is a provider for it")]
struct MobileMoney {
    phone: String,
    network: String,
}

fn checked_token(token: &str) -> Result<&str, Problem> {
    if (1..=255).contains(&token.len()) {
        Ok(token)
    } else {
        Err(Problem::invalid("/token", "out_of_range", "a token has 1 to 255 characters"))
    }
}

#[utoipa::path(post, path = "/v1/payments/intents/{id}/confirm", tag = "payments", params(("id" = String, Path)), request_body = ConfirmBody,
    responses((status = 200, body = IntentView)))]
async fn confirm(Path(id): Path<IntentId>, command: Command<ConfirmBody>) -> Result<Response, Problem> {
    let command = command.requires_key()?;
    let (engine, caller, body) = (command.engine.clone(), command.caller.clone(), command.body.clone());
    // Two commands: the first asks the provider, the second keeps the answer under the key when the provider has spoken. If the process dies in
    // between, the repeat finds the same confirmation made and goes on; a repeat after the second gets the stored answer.
    let asked = engine.write(&caller, "intents.confirm", move |tx| {
        if body.mobile_money.is_some() {
            return Err(Refusal::MethodUnavailable.into());
        }
        let token = body.token.as_deref().ok_or_else(|| Problem::invalid("/token", "required", "a token is needed"))?;
        let token = checked_token(token)?;
        let intent = visible(tx, id)?;
        tx.authorize(&question("intents.confirm", &intent))?;
        intents::confirm(tx, id, token, body.return_url.as_deref())?;
        Ok::<(), Problem>(())
    });
    let asked: Result<(), Problem> = asked.await.map(drop).map_err(Problem::from);
    if asked.is_ok() {
        wait_while(&engine, id, Status::Processing, CONFIRM_PATIENCE).await?;
    }
    let answered = move |tx: &mut crate::engine::Tx<'_, '_>, _| {
        asked?;
        let intent = visible(tx, id)?;
        tx.authorize(&question("intents.confirm", &intent))?;
        Ok(IntentView::of(&intent))
    };
    command.run("intents.confirmed", StatusCode::OK, answered).await
}

/// Waits, at most `patience`, until the intent has left `status`; the intent as it is then.
///
/// # Errors
/// 404 if it is not there.
pub(in crate::money) async fn wait_while(engine: &Engine, id: IntentId, status: Status, patience: Duration) -> Result<Intent, Problem> {
    let mut positions = engine.positions();
    let left = async {
        loop {
            positions.borrow_and_update();
            let intent = visible(&*engine.view(), id)?;
            if intent.status != status || positions.changed().await.is_err() {
                return Ok(intent);
            }
        }
    };
    match tokio::time::timeout(patience, left).await {
        Ok(intent) => intent,
        Err(_) => visible(&*engine.view(), id),
    }
}

fn checked_amount(amount: Option<Money>) -> Result<(), Problem> {
    match amount {
        Some(amount) if amount.amount < 1 => Err(Problem::invalid("/amount/amount", "out_of_range", "at least 1")),
        Some(_) | None => Ok(()),
    }
}

/// How much; everything without it.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct CaptureBody {
    #[serde(default)]
    amount: Option<Money>,
}

#[utoipa::path(post, path = "/v1/payments/intents/{id}/capture", tag = "payments", params(("id" = String, Path)), request_body = CaptureBody,
    responses((status = 200, body = IntentView)))]
async fn capture(Path(id): Path<IntentId>, command: Command<CaptureBody>) -> Result<Response, Problem> {
    let captured = move |tx: &mut crate::engine::Tx<'_, '_>, body: CaptureBody| {
        checked_amount(body.amount)?;
        let intent = visible(tx, id)?;
        tx.authorize(&question("intents.capture", &intent))?;
        if body.amount.is_some_and(|amount| amount.currency != intent.amount.currency) {
            return Err(Refusal::OtherCurrency.into());
        }
        Ok(IntentView::of(&intents::capture(tx, id, body.amount.map(|amount| amount.amount))?))
    };
    command.requires_key()?.run("intents.capture", StatusCode::OK, captured).await
}

/// An intent is cancelled whole: an amount can only say how much that is.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct CancelIntentBody {
    #[serde(default)]
    amount: Option<Money>,
}

#[utoipa::path(post, path = "/v1/payments/intents/{id}/cancel", tag = "payments", params(("id" = String, Path)), request_body = CancelIntentBody,
    responses((status = 200, body = IntentView)))]
async fn cancel(Path(id): Path<IntentId>, command: Command<CancelIntentBody>) -> Result<Response, Problem> {
    let cancelled = move |tx: &mut crate::engine::Tx<'_, '_>, body: CancelIntentBody| {
        checked_amount(body.amount)?;
        let intent = visible(tx, id)?;
        tx.authorize(&question("intents.cancel", &intent))?;
        match body.amount {
            Some(part) if part.currency != intent.amount.currency => return Err(Refusal::OtherCurrency.into()),
            Some(part) if part != intent.amount => {
                return Err(Problem::invalid("/amount/amount", "out_of_range", "a payment is cancelled whole"));
            }
            Some(_) | None => (),
        }
        // What an order rests on is not pulled away under it: a paid order is cancelled as an order.
        if !intent.status.is_waiting() {
            return Err(Refusal::NotWhile { from: intent.status, to: Status::Cancelled }.into());
        }
        Ok(IntentView::of(&intents::cancel(tx, id)?))
    };
    command.run("intents.cancel", StatusCode::OK, cancelled).await
}

/// What goes back; everything that is left without `amount`.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct RefundBody {
    #[schema(value_type = String)]
    intent_id: IntentId,
    #[serde(default)]
    amount: Option<Money>,
    reason: String,
}

#[utoipa::path(post, path = "/v1/refunds", tag = "payments", request_body = RefundBody, responses((status = 201, body = RefundView)))]
async fn refund(command: Command<RefundBody>) -> Result<Response, Problem> {
    let asked = |tx: &mut crate::engine::Tx<'_, '_>, body: RefundBody| {
        if !(1..=500).contains(&body.reason.len()) {
            return Err(Problem::invalid("/reason", "out_of_range", "a reason has 1 to 500 characters"));
        }
        checked_amount(body.amount)?;
        let intent = visible(tx, body.intent_id)?;
        tx.authorize(&question("refunds.create", &intent))?;
        let refund = refunds::ask(tx, intent.id, body.amount, &body.reason)?;
        Ok(RefundView::of(&intent, &refund))
    };
    command.requires_key()?.run("refunds.create", StatusCode::CREATED, asked).await
}

#[utoipa::path(get, path = "/v1/refunds/{id}", tag = "payments", params(("id" = String, Path)), responses((status = 200, body = RefundView)))]
async fn show_refund(Path(id): Path<RefundId>, ctx: Ctx) -> Result<Json<RefundView>, Problem> {
    let (intent, refund) = refunds::get(&*ctx.view, id).ok_or_else(Problem::not_found)?;
    ctx.authorize(&question("refunds.read", &intent))?;
    Ok(Json(RefundView::of(&intent, &refund)))
}

#[utoipa::path(post, path = "/v1/payments/webhooks/{connector}", tag = "payments", params(("connector" = String, Path)), security(()),
    responses((status = 200, description = "taken, or taken before"), (status = 401, description = "not signed by the provider")))]
async fn webhook(
    State(providers): State<Providers>,
    Path(connector): Path<String>,
    gate: Gate,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    let provider = providers.named(&connector).ok_or_else(Problem::not_found)?;
    let body = collect(body, BODY_BYTES_MAX).await?;
    provider.verify(&headers, &body, gate.engine.now()).map_err(|bad| Problem::new(401, "bad_signature", bad.to_string()))?;
    let delivery = provider.read(&body).map_err(|unreadable| Problem::new(422, "invalid_request", unreadable.to_string()))?;
    let name = provider.connector().name();
    let caller = Caller::system("payments.webhook");
    match gate.engine.write(&caller, "payments.webhook", move |tx| notices::on_webhook(tx, name, &delivery)).await {
        Ok(_) => Ok(StatusCode::OK),
        Err(WriteError::Refused(fault) | WriteError::Fault(fault)) => Err(fault.into()),
    }
}
