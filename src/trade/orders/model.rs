//! The words of an order: its id, its states, what may be asked of it, what happens to it, and why not.

use serde::{Deserialize, Serialize};
use storage::{Id, Kind, Timestamp};

use crate::city::catalog::{ItemId, MerchantId};
use crate::city::cities::CityId;
use crate::city::couriers::CourierId;
use crate::city::place::Place;
use crate::engine::UserId;
use crate::money::payments::{IntentId, Method, RefundId};
use crate::money::pricing::{Amounts, Fees};
use crate::people::keyring::Sealed;
use crate::trade::carts::model::Line;
use crate::trade::quotes::model::QuoteId;

pub use super::state::{Stage, State};

/// Ids of orders (`ord_…`).
#[derive(Debug)]
pub struct OrderTag;
impl Kind for OrderTag {
    const PREFIX: &'static str = "ord";
}
pub type OrderId = Id<OrderTag>;

/// Wrong codes in a row that lock a code.
pub const WRONG_CODES_MAX: u8 = 5;
/// How long a code stays locked.
pub const CODE_LOCK_S: i64 = 600;

/// Four ASCII digits that are told at a door.
pub type Digits = [u8; 4];

/// Which of the two codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Door {
    /// The merchant shows it to the courier.
    Pickup,
    /// The customer tells it to the courier.
    Delivery,
}

/// In which part somebody acts on an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Part {
    Customer,
    Merchant,
    Courier,
    Support,
    System,
}

impl Part {
    /// The name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Merchant => "merchant",
            Self::Courier => "courier",
            Self::Support => "support",
            Self::System => "system",
        }
    }
}

/// Who made an event happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    pub part: Part,
    pub user: Option<UserId>,
}

impl Actor {
    pub const SYSTEM: Self = Self { part: Part::System, user: None };
}

/// What the courier shows for having the right to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proof {
    Code(Digits),
    /// The id of a medium; only at the customer's door and where the city allows it.
    Photo(String),
    /// Support vouches, with a reason.
    Support(String),
}

/// What happened to the food of a failed delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Goods {
    Returned,
    Left,
    Disposed,
}

/// What holds for an order from its placing on, whatever the city's settings become later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    pub unpaid_s: u32,
    pub unaccepted_s: u32,
    /// Capture when the merchant accepts; otherwise when the courier delivers.
    pub capture_at_acceptance: bool,
    pub photo_is_proof: bool,
    pub fees: Fees,
}

/// Everything that is fixed when an order is placed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Created {
    pub number: String,
    pub city: CityId,
    pub merchant: MerchantId,
    pub customer: UserId,
    pub quote: QuoteId,
    pub lines: Vec<Line>,
    pub amounts: Amounts,
    pub method: Method,
    pub dropoff: Place,
    /// A JSON `Address`, sealed with the customer's key.
    pub address: Option<Sealed>,
    pub pickup_code: Digits,
    pub delivery_code: Digits,
    /// From acceptance until the food is ready, as quoted.
    pub prep_s: u32,
    /// From the merchant to the door, as quoted.
    pub travel_s: u32,
    pub terms: Terms,
}

/// Another door.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dropoff {
    pub place: Place,
    /// A JSON `Address`, sealed with the customer's key; none: the words stay.
    pub address: Option<Sealed>,
    /// From the merchant to this door.
    pub travel_s: u32,
    pub distance_m: u32,
}

/// What happened. The first group is served under these names; the notes at the end are the order's own memory.
///
/// The order of the variants and fields is the stored layout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    OrderCreated(Box<Created>),
    PaymentIntentCreated {
        intent: IntentId,
        method: Method,
    },
    PaymentAuthorized {
        intent: IntentId,
    },
    PaymentReceived {
        intent: IntentId,
        amount: i64,
    },
    CashOnDelivery {
        intent: IntentId,
        due: i64,
    },
    OrderAcceptedByRestaurant {
        ready_at: Timestamp,
    },
    OrderRejectedByRestaurant {
        reason: String,
        items: Vec<ItemId>,
    },
    FoodPreparing,
    OrderReadyForPickup,
    DriverAssigned {
        courier: CourierId,
        eta: Option<Timestamp>,
    },
    DriverUnassigned {
        courier: CourierId,
        reason: String,
    },
    DriverEnRouteToRestaurant {
        reported_at: Option<Timestamp>,
    },
    DriverArrivedAtRestaurant {
        reported_at: Option<Timestamp>,
    },
    OrderPickedUp {
        by_support: Option<String>,
        reported_at: Option<Timestamp>,
    },
    DriverEnRouteToCustomer {
        reported_at: Option<Timestamp>,
    },
    DriverArrivedAtCustomer {
        reported_at: Option<Timestamp>,
    },
    OrderDelivered {
        proof: Delivered,
        cash_collected: Option<i64>,
        reported_at: Option<Timestamp>,
    },
    DeliveryFailed {
        cause: String,
        goods: Goods,
    },
    PaymentCaptured {
        amount: i64,
    },
    PaymentCaptureFailed {
        reason: String,
    },
    OrderCancelled {
        by: Part,
        reason: String,
    },
    RefundInitiated {
        refund: RefundId,
        amount: i64,
    },
    RefundSettled {
        refund: RefundId,
        amount: i64,
    },
    /// Note: a courier was found before the food was ready.
    LegStarted {
        courier: CourierId,
        eta: Option<Timestamp>,
    },
    /// Note: that courier went on.
    LegMoved {
        stage: Stage,
    },
    /// Note: that courier is gone again.
    LegEnded {
        courier: CourierId,
        reason: String,
    },
    /// Note: a wrong code was given.
    CodeRefused {
        door: Door,
    },
    /// Note: the merchant has looked at the order.
    Seen,
    /// Note: the provider could not pay a refund; the money is here as before.
    RefundFailed {
        refund: RefundId,
        amount: i64,
    },
    /// The kitchen needs longer.
    OrderDelayed {
        ready_at: Timestamp,
    },
    /// The customer wants it brought to another door.
    DropoffMoved(Box<Dropoff>),
    /// Note: on the way it turned out that it will be at the door at another time than was shown.
    Expected {
        eta: Timestamp,
    },
    /// An operator gave the food to another courier on the way.
    DriverReplaced {
        from: CourierId,
        courier: CourierId,
        eta: Timestamp,
        reason: String,
    },
}

impl Event {
    /// The type under which it is served; none for a note.
    #[must_use]
    pub const fn name(&self) -> Option<&'static str> {
        Some(match self {
            Self::OrderCreated(_) => "OrderCreated",
            Self::PaymentIntentCreated { .. } => "PaymentIntentCreated",
            Self::PaymentAuthorized { .. } => "PaymentAuthorized",
            Self::PaymentReceived { .. } => "PaymentReceived",
            Self::CashOnDelivery { .. } => "CashOnDelivery",
            Self::OrderAcceptedByRestaurant { .. } => "OrderAcceptedByRestaurant",
            Self::OrderRejectedByRestaurant { .. } => "OrderRejectedByRestaurant",
            Self::FoodPreparing => "FoodPreparing",
            Self::OrderReadyForPickup => "OrderReadyForPickup",
            Self::DriverAssigned { .. } => "DriverAssigned",
            Self::DriverUnassigned { .. } => "DriverUnassigned",
            Self::DriverEnRouteToRestaurant { .. } => "DriverEnRouteToRestaurant",
            Self::DriverArrivedAtRestaurant { .. } => "DriverArrivedAtRestaurant",
            Self::OrderPickedUp { .. } => "OrderPickedUp",
            Self::DriverEnRouteToCustomer { .. } => "DriverEnRouteToCustomer",
            Self::DriverArrivedAtCustomer { .. } => "DriverArrivedAtCustomer",
            Self::OrderDelivered { .. } => "OrderDelivered",
            Self::DeliveryFailed { .. } => "DeliveryFailed",
            Self::PaymentCaptured { .. } => "PaymentCaptured",
            Self::PaymentCaptureFailed { .. } => "PaymentCaptureFailed",
            Self::OrderCancelled { .. } => "OrderCancelled",
            Self::RefundInitiated { .. } => "RefundInitiated",
            Self::RefundSettled { .. } => "RefundSettled",
            Self::OrderDelayed { .. } => "OrderDelayed",
            Self::DropoffMoved(_) => "DropoffMoved",
            Self::DriverReplaced { .. } => "DriverReplaced",
            Self::LegStarted { .. }
            | Self::LegMoved { .. }
            | Self::LegEnded { .. }
            | Self::CodeRefused { .. }
            | Self::Seen
            | Self::RefundFailed { .. }
            | Self::Expected { .. } => return None,
        })
    }
}

/// What was accepted at the customer's door. The code itself is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delivered {
    Code,
    Photo(String),
    Support(String),
}

/// What is asked of an order.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// With the intent that money made for it.
    Place {
        created: Box<Created>,
        intent: IntentId,
    },
    /// Another intent replaced the order's.
    ReplaceIntent {
        intent: IntentId,
        method: Method,
    },
    Authorized {
        intent: IntentId,
    },
    Captured {
        intent: IntentId,
        amount: i64,
    },
    CaptureFailed {
        intent: IntentId,
        reason: String,
    },
    /// The payer or the provider took an authorised payment back.
    PaymentLost {
        intent: IntentId,
    },
    RefundInitiated {
        refund: RefundId,
        amount: i64,
    },
    RefundSettled {
        refund: RefundId,
        amount: i64,
    },
    RefundFailed {
        refund: RefundId,
        amount: i64,
    },
    /// The time to pay is over.
    GiveUpUnpaid,
    /// The time to accept is over.
    GiveUpUnaccepted,
    See,
    Accept {
        ready_at: Timestamp,
    },
    Reject {
        reason: String,
        items: Vec<ItemId>,
    },
    Prepare,
    Ready,
    /// Ready later than promised.
    Delay {
        ready_at: Timestamp,
    },
    MoveDropoff {
        to: Box<Dropoff>,
        courier_is_near: bool,
    },
    /// With dispatch's estimate of the arrival at the door.
    Assign {
        courier: CourierId,
        eta: Option<Timestamp>,
    },
    Unassign {
        courier: CourierId,
        reason: String,
    },
    /// The food is in another courier's bag from now on.
    Replace {
        from: CourierId,
        courier: CourierId,
        eta: Timestamp,
        reason: String,
    },
    /// The way of this courier takes longer or less long than was shown.
    Expect {
        courier: CourierId,
        eta: Timestamp,
    },
    /// The courier is on the way to the food, or there.
    Approach {
        stage: Stage,
        reported_at: Option<Timestamp>,
    },
    PickUp {
        proof: Proof,
        reported_at: Option<Timestamp>,
    },
    /// The courier is on the way to the customer (`false`), or there (`true`).
    Bring {
        arrived: bool,
        reported_at: Option<Timestamp>,
    },
    Deliver {
        proof: Proof,
        cash_collected: Option<i64>,
        reported_at: Option<Timestamp>,
    },
    Cancel {
        by: Part,
        reason: String,
        goods: Goods,
    },
}

/// Why not. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("no such order")]
    Unknown,
    #[error("the order exists already")]
    Exists,
    #[error("an order that is {from} cannot become {to}")]
    Illegal { from: State, to: State },
    #[error("the food cannot be ready in the past")]
    ReadyInThePast,
    #[error("{message}")]
    NotCancellable { message: &'static str },
    #[error("too many wrong codes; try again after {until}")]
    Locked { until: Timestamp },
    #[error("a photo is no proof here")]
    PhotoIsNoProof,
    #[error("{due} is to be collected")]
    CashDiffers { due: i64 },
    #[error("the order is paid with another payment")]
    OtherIntent,
    #[error("the order has another courier")]
    OtherCourier,
    #[error("{message}")]
    DropoffFixed { message: &'static str },
    #[error("bringing it there costs {fee}, and {paid} was paid")]
    CostsMore { fee: i64, paid: i64 },
}
