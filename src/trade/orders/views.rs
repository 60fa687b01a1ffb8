//! An order as its parties see it: each code only to whom it belongs, contacts only while they are needed.

use serde::Serialize;
use storage::{Read, Timestamp};
use utoipa::ToSchema;

use super::model::{Digits, OrderId, Part, State};
use super::parts::{acting, plays};
use super::record::Order;
use crate::city::catalog::{self, ItemId, MerchantId};
use crate::city::cities::CityId;
use crate::city::couriers::{self, CourierId, Vehicle};
use crate::edge::P;
use crate::engine::{Caller, UserId};
use crate::money::Money;
use crate::money::payments::{IntentId, Method, Status, intents};
use crate::money::pricing::ShownAmounts;
use crate::people::users;
use crate::trade::address::Address;
use crate::trade::carts::model::Line;
use crate::trade::quotes::model::QuoteId;

/// How long after the end contacts still show.
pub const CONTACTS_AFTER_S: i64 = 3600;

/// An order.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OrderView {
    #[schema(value_type = String)]
    pub id: OrderId,
    /// Short and speakable; unique in its city on its day.
    pub number: String,
    pub status: &'static str,
    pub version: u32,
    #[schema(value_type = String)]
    pub city_id: CityId,
    #[schema(value_type = String)]
    pub merchant_id: MerchantId,
    #[schema(value_type = String)]
    pub customer_id: UserId,
    #[schema(value_type = Option<String>)]
    pub courier_id: Option<CourierId>,
    #[schema(value_type = String)]
    pub quote_id: QuoteId,
    pub merchant: MerchantCard,
    pub customer: users::Contact,
    pub courier: Option<CourierCard>,
    pub lines: Vec<LineView>,
    pub amounts: ShownAmounts,
    pub dropoff: P,
    pub address: Option<Address>,
    pub payment: PaymentView,
    /// To collect at the door, until it is collected.
    pub cash_due: Option<Money>,
    /// Until when the merchant may accept.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub accept_by: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ready_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pickup_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_code: Option<String>,
    pub delivery: DeliveryView,
    pub eta: Option<Eta>,
    /// Why it was rejected or cancelled.
    pub reason: Option<String>,
    pub created_at: String,
    pub updated_at: String,
}

/// The merchant, as the parties see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MerchantCard {
    pub name: String,
    pub phone: Option<String>,
    pub address: Option<String>,
    pub position: Option<P>,
}

/// The courier, as the parties see them.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CourierCard {
    pub name: Option<String>,
    pub phone: Option<String>,
    pub vehicle: Vehicle,
}

/// So many of an item.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LineView {
    #[schema(value_type = String)]
    pub item_id: ItemId,
    pub name: String,
    pub quantity: u32,
    pub unit_price: Money,
    pub total: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl LineView {
    /// A line with its currency.
    #[must_use]
    pub fn of(line: &Line, currency: crate::money::Currency) -> Self {
        Self {
            item_id: line.item,
            name: line.name.clone(),
            quantity: line.quantity,
            unit_price: Money::new(line.unit_price, currency),
            total: Money::new(line.total(), currency),
            note: line.note.clone(),
        }
    }
}

/// The payment that counts.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PaymentView {
    #[schema(value_type = Option<String>)]
    pub intent_id: Option<IntentId>,
    pub status: Option<Status>,
    pub method: Method,
    /// For the payer only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
}

/// Where the courier is on the way.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeliveryView {
    /// The courier's stage; before READY it runs ahead of `status`.
    pub leg: Option<&'static str>,
}

/// When things are expected.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Eta {
    #[schema(format = DateTime)]
    pub pickup_at: String,
    #[schema(format = DateTime)]
    pub delivery_at: String,
}

impl OrderView {
    /// The order as `caller` may see it at `now`.
    pub fn of(read: &(impl Read + ?Sized), caller: &Caller, order: &Order, now: Timestamp) -> Self {
        let created = &order.created;
        let plays = |part| caller.user_id().is_some_and(|user| plays(read, user, order, part));
        let (is_customer, is_support) = (plays(Part::Customer), plays(Part::Support));
        let contacts = is_support || contacts_show(order, now);
        let money = |amount| Money::new(amount, created.amounts.currency);
        let intent = order.payment.intent.and_then(|intent| intents::get(read, intent));
        let text = |digits: Digits| digits.iter().map(|&digit| digit as char).collect::<String>();
        Self {
            id: order.id,
            number: created.number.clone(),
            status: order.state.name(),
            version: order.version,
            city_id: created.city,
            merchant_id: created.merchant,
            customer_id: created.customer,
            courier_id: order.courier,
            quote_id: created.quote,
            merchant: merchant_card(read, created.merchant, contacts),
            customer: if contacts || is_customer { users::contact(read, created.customer) } else { users::Contact::default() },
            courier: order.courier.and_then(|courier| courier_card(read, courier, contacts)),
            lines: created.lines.iter().map(|line| LineView::of(line, created.amounts.currency)).collect(),
            amounts: created.amounts.shown(),
            dropoff: created.dropoff.point().into(),
            address: created
                .address
                .as_ref()
                .filter(|_| contacts || is_customer)
                .and_then(|sealed| Address::open(read, created.customer, sealed)),
            payment: PaymentView {
                intent_id: order.payment.intent,
                status: intent.as_ref().map(|intent| intent.status),
                method: order.payment.method,
                client_secret: intent.filter(|intent| is_customer && intent.method != Method::Cash).map(|intent| intent.client_secret),
            },
            cash_due: order.payment.cash_due.map(money),
            accept_by: order.accept_by.filter(|_| order.state == State::Confirmed).map(|at| at.to_string()),
            ready_at: order.ready_at.map(|at| at.to_string()),
            pickup_code: (order.state < State::PickedUp && plays(Part::Merchant)).then(|| text(created.pickup_code)),
            delivery_code: (order.state < State::Delivered && is_customer).then(|| text(created.delivery_code)),
            delivery: DeliveryView { leg: leg(order) },
            eta: eta(order, now),
            reason: order.reason.clone(),
            created_at: order.created_at.to_string(),
            updated_at: order.updated_at.to_string(),
        }
    }
}

/// The order as the caller of a running command sees it.
#[must_use]
pub fn answer(tx: &crate::engine::Tx<'_, '_>, order: &Order) -> OrderView {
    OrderView::of(tx, tx.caller(), order, tx.now())
}

/// From acceptance until [`CONTACTS_AFTER_S`] after the end.
#[must_use]
pub fn contacts_show(order: &Order, now: Timestamp) -> bool {
    order.accepted_at.is_some() && order.ended_at.is_none_or(|end| now <= end.plus_s(CONTACTS_AFTER_S))
}

fn merchant_card(read: &(impl Read + ?Sized), id: MerchantId, contacts: bool) -> MerchantCard {
    match catalog::merchant(read, id) {
        Some(merchant) => MerchantCard {
            position: Some(merchant.point().into()),
            name: merchant.name,
            phone: merchant.phone.filter(|_| contacts),
            address: merchant.address,
        },
        None => MerchantCard { name: String::new(), phone: None, address: None, position: None },
    }
}

fn courier_card(read: &(impl Read + ?Sized), id: CourierId, contacts: bool) -> Option<CourierCard> {
    let courier = couriers::get(read, id)?;
    let users::Contact { name, phone } = if contacts { users::contact(read, courier.user) } else { users::Contact::default() };
    Some(CourierCard { name, phone, vehicle: courier.vehicle })
}

fn leg(order: &Order) -> Option<&'static str> {
    match order.state {
        State::PickedUp | State::EnRouteToCustomer | State::AtCustomer => Some(order.state.name()),
        State::Created
        | State::PendingPayment
        | State::Confirmed
        | State::Accepted
        | State::Preparing
        | State::ReadyForPickup
        | State::Assigned
        | State::EnRouteToRestaurant
        | State::AtRestaurant
        | State::Delivered
        | State::Settled
        | State::Rejected
        | State::Cancelled => order.stage().map(|stage| stage.state().name()),
    }
}

fn eta(order: &Order, now: Timestamp) -> Option<Eta> {
    if order.ended_at.is_some() {
        return None;
    }
    let created = &order.created;
    let promised = order.ready_at.unwrap_or_else(|| order.created_at.plus_s(i64::from(created.prep_s)));
    let pickup_at = order.picked_up_at.unwrap_or_else(|| promised.max(now));
    let delivery_at = order.eta.unwrap_or_else(|| pickup_at.plus_s(i64::from(created.travel_s))).max(now);
    Some(Eta { pickup_at: pickup_at.to_string(), delivery_at: delivery_at.to_string() })
}

/// Whether reading this order means that its merchant has seen it.
pub fn is_seen_by(read: &(impl Read + ?Sized), caller: &Caller, order: &Order) -> bool {
    super::kitchen::is_unseen(order) && acting(read, caller, order, &[Part::Merchant]).part == Part::Merchant
}
