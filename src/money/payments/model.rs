//! Words: intents, refunds, what providers say, what others hear, why not.

use std::fmt;

use serde::{Deserialize, Serialize};
use storage::{Id, Index, Kind, Row, Table, Timestamp, ledger};

use crate::engine::{Event, UserId};
use crate::money::Money;

/// Ids of intents (`int_…`).
#[derive(Debug)]
pub struct IntentTag;
impl Kind for IntentTag {
    const PREFIX: &'static str = "int";
}
pub type IntentId = Id<IntentTag>;

/// Ids of refunds (`rfd_…`).
#[derive(Debug)]
pub struct RefundTag;
impl Kind for RefundTag {
    const PREFIX: &'static str = "rfd";
}
pub type RefundId = Id<RefundTag>;

/// What kind of thing is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SubjectKind {
    Order,
}

/// What is paid for: its kind and the 128 bits of its id. Money does not know more about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    pub kind: SubjectKind,
    pub id: u128,
}

impl Subject {
    #[must_use]
    pub const fn order(id: u128) -> Self {
        Self { kind: SubjectKind::Order, id }
    }

    fn key(self) -> (u8, u128) {
        let kind = match self.kind {
            SubjectKind::Order => 1,
        };
        (kind, self.id)
    }
}

/// How somebody pays. The names are API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    Card,
    Wallet,
    Cash,
    MobileMoney,
}

/// Who carries a payment out. Stored by number: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Connector {
    /// Nobody but us: cash at the door.
    Cash,
    /// The provider of the test mode.
    Sandbox,
}

impl Connector {
    /// Those with another side: their effects go to a destination of the same name.
    pub const PROVIDERS: [Self; 1] = [Self::Sandbox];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cash => "cash",
            Self::Sandbox => "sandbox",
        }
    }
}

/// An intent's state. The names are API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    RequiresPaymentMethod,
    RequiresAction,
    Processing,
    Authorized,
    Captured,
    Refunded,
    Failed,
    Cancelled,
    Expired,
}

impl Status {
    /// As in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresAction => "requires_action",
            Self::Processing => "processing",
            Self::Authorized => "authorized",
            Self::Captured => "captured",
            Self::Refunded => "refunded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Where it may go from here.
    #[must_use]
    pub const fn allowed(self) -> &'static [Self] {
        match self {
            Self::RequiresPaymentMethod => {
                &[Self::RequiresAction, Self::Processing, Self::Authorized, Self::Failed, Self::Cancelled, Self::Expired]
            }
            Self::Processing => &[Self::RequiresAction, Self::Authorized, Self::Failed, Self::Cancelled, Self::Expired],
            Self::RequiresAction => &[Self::Authorized, Self::Failed, Self::Cancelled, Self::Expired],
            Self::Authorized => &[Self::Captured, Self::Cancelled],
            Self::Captured => &[Self::Refunded],
            Self::Refunded | Self::Failed | Self::Cancelled | Self::Expired => &[],
        }
    }

    /// Not paid yet, and it still may be.
    #[must_use]
    pub const fn is_waiting(self) -> bool {
        matches!(self, Self::RequiresPaymentMethod | Self::RequiresAction | Self::Processing)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// When the money is taken; the subject's owner calls for it then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CaptureTime {
    Delivery,
    Acceptance,
}

/// What the payer has to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NextAction {
    /// `redirect`
    #[serde(rename = "type")]
    pub kind: String,
    pub url: Option<String>,
}

/// How far a refund is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    Pending,
    Settled,
    Failed,
}

/// Money on its way back, or there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    pub id: RefundId,
    /// Minor units of the intent's currency.
    pub amount: i64,
    pub reason: String,
    pub state: RefundState,
    pub at: Timestamp,
}

/// A payment for a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    pub id: IntentId,
    pub subject: Subject,
    pub payer: UserId,
    pub method: Method,
    pub connector: Connector,
    pub amount: Money,
    pub status: Status,
    pub capture_time: CaptureTime,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub client_secret: String,
    /// Hash of what it was confirmed with: the same confirmation again changes nothing.
    pub confirmed_with: Option<[u8; 32]>,
    pub next_action: Option<NextAction>,
    pub decline_code: Option<String>,
    /// What the provider has been asked to capture and has not answered.
    pub capture_asked: Option<i64>,
    pub captured: i64,
    /// The provider has been asked to give the authorisation up.
    pub void_asked: bool,
    /// Everything is to be undone as soon as it is known what there is; the reason.
    pub unwind: Option<String>,
    /// The subject has ended: nobody shall pay for it any more.
    pub closed: bool,
    pub refunds: Vec<Refund>,
    /// What the provider said before its time.
    pub early: Vec<Notice>,
}

impl Row for Intent {
    const VERSION: u8 = 1;
}

impl Intent {
    /// What has gone back, in minor units.
    #[must_use]
    pub fn refunded(&self) -> i64 {
        self.sum(RefundState::Settled)
    }

    /// What could still be refunded.
    #[must_use]
    pub fn refundable(&self) -> i64 {
        self.captured - self.sum(RefundState::Settled) - self.sum(RefundState::Pending)
    }

    /// What goes back to the payer if all of it is undone now: taken and not on its way back yet, or reserved. Minor units.
    #[must_use]
    pub fn held(&self) -> i64 {
        match (self.status, self.connector) {
            // A promise to pay at the door.
            (Status::Authorized, Connector::Cash) => 0,
            (Status::Authorized, Connector::Sandbox) => self.amount.amount,
            (Status::Captured, _) => self.refundable(),
            (
                Status::RequiresPaymentMethod
                | Status::RequiresAction
                | Status::Processing
                | Status::Refunded
                | Status::Failed
                | Status::Cancelled
                | Status::Expired,
                _,
            ) => 0,
        }
    }

    fn sum(&self, state: RefundState) -> i64 {
        self.refunds.iter().filter(|refund| refund.state == state).map(|refund| refund.amount).sum()
    }

    #[must_use]
    pub fn refund(&self, id: RefundId) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.id == id)
    }
}

/// An intent by its subject, oldest first.
pub static INTENTS_BY_SUBJECT: Index<IntentId, Intent> =
    Index::new(201, "money.intents.by_subject", |_, intent, keys| keys.add(&intent.subject.key()));
pub static INTENTS: Table<IntentId, Intent> = Table::new(200, "money.intents", &[&INTENTS_BY_SUBJECT]);

/// The newest intent of a subject.
pub(super) fn newest(read: &(impl storage::Read + ?Sized), subject: Subject) -> Option<Intent> {
    INTENTS.page(read, &INTENTS_BY_SUBJECT, &subject.key(), None, storage::Direction::Backward).next().map(|(_, _, intent)| intent)
}

/// Which intent a refund is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundOf(pub IntentId);
impl Row for RefundOf {
    const VERSION: u8 = 1;
}
pub static REFUNDS: Table<RefundId, RefundOf> = Table::new(202, "money.refunds", &[]);

/// What a provider says about an intent. Each says what is so at the provider, not what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    ActionRequired { url: String },
    Authorized,
    Declined { code: String },
    Captured { amount: i64 },
    CaptureFailed { reason: String },
    Voided,
    Refunded { refund: RefundId },
    RefundFailed { refund: RefundId, reason: String },
}

/// What happened to an intent: others react in the same commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    pub intent: IntentId,
    pub subject: Subject,
    pub what: What,
}

/// See [`Happened`]. Amounts in minor units of the intent's currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// For cash this is all that happens until the courier has it.
    Created,
    ActionRequired,
    Authorized,
    Captured {
        amount: i64,
    },
    CaptureFailed {
        reason: String,
    },
    Failed {
        code: String,
    },
    Cancelled,
    Expired,
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
        reason: String,
    },
}

impl Event for Happened {
    fn name(&self) -> &'static str {
        match self.what {
            What::Created => "IntentCreated",
            What::ActionRequired => "IntentActionRequired",
            What::Authorized => "IntentAuthorized",
            What::Captured { .. } => "IntentCaptured",
            What::CaptureFailed { .. } => "IntentCaptureFailed",
            What::Failed { .. } => "IntentFailed",
            What::Cancelled => "IntentCancelled",
            What::Expired => "IntentExpired",
            What::RefundInitiated { .. } => "IntentRefundInitiated",
            What::RefundSettled { .. } => "IntentRefundSettled",
            What::RefundFailed { .. } => "IntentRefundFailed",
        }
    }

    /// None: the subject's own events tell those who follow it.
    fn topics(&self) -> Vec<String> {
        Vec::new()
    }

    fn data(&self) -> serde_json::Value {
        let mut data = serde_json::json!({ "intent_id": self.intent });
        let mut add = |name: &str, value: serde_json::Value| data[name] = value;
        match &self.what {
            What::Captured { amount } => add("amount", (*amount).into()),
            What::CaptureFailed { reason } => add("reason", reason.as_str().into()),
            What::Failed { code } => add("decline_code", code.as_str().into()),
            What::RefundInitiated { refund, amount } | What::RefundSettled { refund, amount } => {
                add("refund_id", refund.to_string().into());
                add("amount", (*amount).into());
            }
            What::RefundFailed { refund, reason } => {
                add("refund_id", refund.to_string().into());
                add("reason", reason.as_str().into());
            }
            What::Created | What::ActionRequired | What::Authorized | What::Cancelled | What::Expired => (),
        }
        data
    }
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("no such payment")]
    Unknown,
    #[error("a payment that is {from} cannot become {to}")]
    NotWhile { from: Status, to: Status },
    #[error("this payment method is not available here")]
    MethodUnavailable,
    #[error("it is paid already")]
    AlreadyPaid,
    #[error("nothing is to be paid for it any more")]
    Closed,
    #[error("the amount must be 1 to {max}")]
    AmountOutOfRange { max: Money },
    #[error("the currency is not the payment's")]
    OtherCurrency,
    #[error("the money is being taken at this moment; refund it when it has arrived")]
    CaptureUnderWay,
    #[error("the books refuse it: {0}")]
    Books(#[from] ledger::Refusal),
}
