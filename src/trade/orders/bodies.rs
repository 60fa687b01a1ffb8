//! What clients send about orders, and its translation into the domain's words.

use serde::Deserialize;
use storage::Timestamp;
use utoipa::ToSchema;

use super::http::REASON_CHARS_MAX;
use super::kitchen::Promise;
use super::model::{Digits, Goods};
use super::ride::{Milestone, Report};
use crate::city::catalog::ItemId;
use crate::city::field::{self, Invalid};
use crate::city::media::MediaId;
use crate::edge::P;
use crate::money::Money;
use crate::money::payments::Method;
use crate::trade::address::Address;
use crate::trade::failure::Failure;
use crate::trade::quotes::model::QuoteId;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaceBody {
    #[schema(value_type = String)]
    pub quote_id: QuoteId,
    pub payment_method: Method,
}

/// When the food will be ready; the merchant's usual time if neither is given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptBody {
    #[serde(default)]
    prep_minutes: Option<u32>,
    #[serde(default)]
    #[schema(format = DateTime)]
    ready_at: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RejectBody {
    pub reason: String,
    /// What is missing.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub items: Vec<ItemId>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DelayBody {
    /// 1 to 120, on top of the promised time, or of now if that has passed.
    pub minutes: u32,
}

/// Another door.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveBody {
    pub dropoff: P,
    /// If left out, the words stay as they are.
    #[serde(default)]
    pub address: Option<Address>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseBody {
    pub reason: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelBody {
    pub reason: String,
    /// Do not cancel if it would cost more.
    #[serde(default)]
    pub max_fee: Option<Money>,
    /// After pick-up: where the food is.
    #[serde(default = "returned")]
    #[schema(value_type = String)]
    pub goods: Goods,
}

fn returned() -> Goods {
    Goods::Returned
}

/// Where the courier is.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StatusName {
    EnRouteToRestaurant,
    AtRestaurant,
    PickedUp,
    EnRouteToCustomer,
    AtCustomer,
    Delivered,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusBody {
    status: StatusName,
    /// Four digits: the merchant's for PICKED_UP, the customer's for DELIVERED.
    #[serde(default)]
    code: Option<String>,
    /// The id of a medium; where the city allows it, instead of the customer's code.
    #[serde(default)]
    photo: Option<String>,
    /// When it happened, by the courier's clock.
    #[serde(default)]
    #[schema(format = DateTime)]
    at: Option<String>,
    #[serde(default)]
    cash_collected: Option<Money>,
    /// Required of support, whose word stands for the code.
    #[serde(default)]
    reason: Option<String>,
}

/// The time that the merchant promises.
///
/// # Errors
/// [`Failure::Invalid`] for both, or for what is no time.
pub fn promise(body: AcceptBody) -> Result<Promise, Failure> {
    match (body.prep_minutes, body.ready_at) {
        (Some(_), Some(_)) => Err(Invalid::new("/ready_at", "ambiguous", "either prep_minutes or ready_at").into()),
        (Some(minutes), None) => Ok(Promise::Minutes(minutes)),
        (None, Some(at)) => Ok(Promise::At(time("/ready_at", &at)?)),
        (None, None) => Ok(Promise::Usual),
    }
}

/// A time of the contract.
///
/// # Errors
/// [`Invalid`], at `pointer`.
pub fn time(pointer: &str, text: &str) -> Result<Timestamp, Invalid> {
    text.parse().map_err(|error: storage::clock::NotATime| Invalid::new(pointer, "not_a_time", error.to_string()))
}

/// A report in the domain's words.
///
/// # Errors
/// [`Failure::Invalid`] for what is no code, time or text.
pub fn report(body: StatusBody) -> Result<Report, Failure> {
    let to = match body.status {
        StatusName::EnRouteToRestaurant => Milestone::EnRouteToRestaurant,
        StatusName::AtRestaurant => Milestone::AtRestaurant,
        StatusName::PickedUp => Milestone::PickedUp,
        StatusName::EnRouteToCustomer => Milestone::EnRouteToCustomer,
        StatusName::AtCustomer => Milestone::AtCustomer,
        StatusName::Delivered => Milestone::Delivered,
    };
    Ok(Report {
        to,
        code: body.code.as_deref().map(code).transpose()?,
        photo: body.photo.map(|photo| medium(&photo)).transpose()?,
        at: body.at.map(|at| time("/at", &at)).transpose()?,
        cash_collected: body.cash_collected,
        reason: body.reason.map(|reason| field::prose("/reason", &reason, REASON_CHARS_MAX)).transpose()?,
    })
}

fn medium(text: &str) -> Result<MediaId, Invalid> {
    text.parse().map_err(|_| Invalid::new("/photo", "invalid", "the id of a picture that was added"))
}

/// Whatever is typed at a door is a try: what cannot be a code is one that is wrong.
fn code(text: &str) -> Result<Digits, Invalid> {
    let text = text.trim();
    if text.is_empty() || text.len() > 64 {
        return Err(Invalid::new("/code", "invalid", "four digits"));
    }
    Ok(text.as_bytes().try_into().unwrap_or([0; 4]))
}
