//! What clients ask: the product's own commands, as data, so that the same request can be sent again.

use serde_json::{Value, json};
use storage::ledger::{self, AccountKey, Constraint, Step, TransferId, TransferKind};

use super::town::{Town, at, ghs};
use crate::city::catalog::{ItemId, MerchantId};
use crate::city::couriers::CourierId;
use crate::city::dispatch::policy::{Found, Plan};
use crate::city::dispatch::{self, OfferId, jobs, offers};
use crate::engine::{Caller, Fault, Once, Question, Resource, StoredAnswer, Tx, UserId};
use crate::money::Money;
use crate::money::payments::{self, Intent, IntentId, Method, Subject, intents, refunds};
use crate::trade::carts::commands::put;
use crate::trade::carts::model::{CartId, Wanted};
use crate::trade::failure::Failure;
use crate::trade::orders::kitchen::{self, Promise};
use crate::trade::orders::model::{Digits, Goods, OrderId};
use crate::trade::orders::record::Order;
use crate::trade::orders::ride::{self, Milestone, Report, Taken};
use crate::trade::orders::views::OrderView;
use crate::trade::orders::{ending, placing};
use crate::trade::quotes::commands::{Asked, create};
use crate::trade::quotes::model::QuoteId;

/// A number of account in the chart that the product does not use: purses that may not be overdrawn.
const PURSE: u16 = 64_001;
/// Where purses are filled from.
const SOURCE: u16 = 64_002;
/// How many purses there are.
pub const PURSES: u128 = 4;
/// Chart number of the simulator's transfers.
const CODE: u16 = 999;

/// A command with its arguments.
#[derive(Clone, Debug)]
pub enum Act {
    Quote { merchant: MerchantId, item: ItemId, quantity: u32, tip: i64 },
    Place { quote: QuoteId, method: Method },
    PayAgain { order: OrderId },
    Confirm { intent: IntentId, token: &'static str },
    Accept { order: OrderId },
    Reject { order: OrderId },
    Prepare { order: OrderId },
    Ready { order: OrderId },
    See { order: OrderId },
    Cancel { order: OrderId },
    Offer { order: OrderId, courier: CourierId },
    Answer { offer: OfferId, yes: bool },
    Report { order: OrderId, to: Milestone, code: Option<Digits>, cash: Option<i64> },
    Release { order: OrderId },
    Refund { intent: IntentId, amount: Option<i64> },
    Transfer { n: u64, kind: TransferKind },
}

/// Why a command did not happen.
#[derive(Debug)]
pub enum Sorry {
    /// By a rule of the product; nothing has changed.
    No(String),
    /// Something is broken that no client can break.
    Broken(Fault),
}

impl From<Failure> for Sorry {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Fault(fault) => Self::Broken(fault),
            other => Self::No(other.to_string()),
        }
    }
}

impl From<payments::Refusal> for Sorry {
    fn from(refusal: payments::Refusal) -> Self {
        match refusal {
            payments::Refusal::Books(books) => Self::Broken(Fault::new(format!("the books refuse a payment's step: {books}"))),
            other => Self::No(other.to_string()),
        }
    }
}

impl From<dispatch::Refusal> for Sorry {
    fn from(refusal: dispatch::Refusal) -> Self {
        Self::No(refusal.to_string())
    }
}

/// A request of somebody, with its idempotency key.
#[derive(Clone, Debug)]
pub struct Request {
    /// The key; unique in a play.
    pub key: u64,
    pub caller: Caller,
    pub act: Act,
}

impl Request {
    /// As the edge makes it from headers and body.
    #[must_use]
    pub fn once(&self) -> Once {
        let body = format!("{:?}", self.act);
        Once::new(&self.caller.label(), "POST", "/v1/simulated", &self.key.to_string(), body.as_bytes())
    }

    /// Whose phone shows the offer that this made.
    #[must_use]
    pub fn rider(&self, town: &Town) -> Option<UserId> {
        match self.act {
            Act::Offer { courier, .. } => town.rider(courier),
            _ => None,
        }
    }
}

impl Act {
    /// Runs it, and answers as the product would.
    ///
    /// # Errors
    /// [`Sorry`]; then it must leave nothing.
    pub fn perform(&self, tx: &mut Tx<'_, '_>) -> Result<StoredAnswer, Sorry> {
        let body = match self {
            Self::Quote { merchant, item, quantity, tip } => quote(tx, *merchant, *item, *quantity, *tip)?,
            Self::Place { quote, method } => shown(&placing::place(tx, *quote, *method)?, tx),
            Self::PayAgain { order } => {
                let subject = Subject::order(order.as_u128());
                let last = intents::of(tx, subject).ok_or(payments::Refusal::Unknown)?;
                may(tx, "intents.create", &last)?;
                paid(&intents::retry(tx, subject, Method::Card)?)
            }
            Self::Confirm { intent, token } => {
                let found = intents::get(tx, *intent).ok_or(payments::Refusal::Unknown)?;
                may(tx, "intents.confirm", &found)?;
                paid(&intents::confirm(tx, *intent, token, None)?)
            }
            Self::Accept { order } => shown(&kitchen::accept(tx, *order, Promise::Minutes(10))?, tx),
            Self::Reject { order } => shown(&kitchen::reject(tx, *order, "closed".to_owned(), vec![])?, tx),
            Self::Prepare { order } => shown(&kitchen::prepare(tx, *order)?, tx),
            Self::Ready { order } => shown(&kitchen::ready(tx, *order)?, tx),
            Self::See { order } => {
                kitchen::see(tx, &[*order])?;
                json!({ "seen": order })
            }
            Self::Cancel { order } => {
                let cancelled = ending::cancel(tx, *order, "changed my mind".to_owned(), None, Goods::Disposed)?;
                json!({ "order": shown(&cancelled.order, tx), "refund": cancelled.refund })
            }
            Self::Offer { order, courier } => offer(tx, *order, *courier)?,
            Self::Answer { offer, yes: true } => json!({ "offer": offer, "pay": offers::accept(tx, *offer)?.pay }),
            Self::Answer { offer, yes: false } => json!({ "offer": offer, "declined": offers::decline(tx, *offer, None)?.eta }),
            Self::Report { order, to, code, cash } => report(tx, *order, *to, *code, *cash)?,
            Self::Release { order } => shown(&ride::release(tx, *order, "a puncture")?, tx),
            Self::Refund { intent, amount } => {
                let found = intents::get(tx, *intent).ok_or(payments::Refusal::Unknown)?;
                may(tx, "refunds.create", &found)?;
                let refund = refunds::ask(tx, *intent, amount.map(|amount| Money::new(amount, ghs())), "cold")?;
                json!({ "refund": refund.id, "amount": refund.amount })
            }
            Self::Transfer { n, kind } => transfer(tx, *n, *kind)?,
        };
        Ok(StoredAnswer { status: 200, headers: Vec::new(), body: body.to_string().into_bytes() })
    }
}

fn shown(order: &Order, tx: &Tx<'_, '_>) -> Value {
    json!(OrderView::of(&**tx, tx.caller(), order, tx.now()))
}

fn paid(intent: &Intent) -> Value {
    json!({ "intent": intent.id, "status": intent.status.name(), "secret": intent.client_secret })
}

/// The policy's word, as the payments' HTTP side asks for it.
fn may(tx: &mut Tx<'_, '_>, action: &'static str, intent: &Intent) -> Result<(), Sorry> {
    let resource = Resource::new("Intent", intent.id).with("payer", intent.payer.to_string());
    tx.authorize(&Question::new(action, resource)).map_err(|denied| Sorry::No(denied.to_string()))
}

fn quote(tx: &mut Tx<'_, '_>, merchant: MerchantId, item: ItemId, quantity: u32, tip: i64) -> Result<Value, Sorry> {
    let cart: CartId = tx.new_id();
    put(tx, cart, merchant, vec![Wanted { item, quantity, note: None }])?;
    let asked = Asked { cart, dropoff: at(5.61, -0.2), address: None, tip: Some(Money::new(tip, ghs())) };
    let (id, quote) = create(tx, asked)?;
    Ok(json!({ "quote": id, "total": quote.amounts.total }))
}

/// What the dispatcher does when it has chosen somebody.
fn offer(tx: &mut Tx<'_, '_>, order: OrderId, courier: CourierId) -> Result<Value, Sorry> {
    let (job, _) = jobs::of_subject(tx, order.as_u128()).ok_or(dispatch::Refusal::NoJob)?;
    let found = Found::Offer { courier, distance_m: 500, eta: tx.now().plus_s(1500) };
    let plan = Plan { jobs: vec![job], found, radius_m: 2000, candidates: vec![] };
    Ok(json!({ "offer": offers::make(tx, &plan, "simulated/1")?, "courier": courier }))
}

fn report(tx: &mut Tx<'_, '_>, order: OrderId, to: Milestone, code: Option<Digits>, cash: Option<i64>) -> Result<Value, Sorry> {
    let cash_collected = cash.map(|cash| Money::new(cash, ghs()));
    let taken = ride::report(tx, order, Report { to, code, photo: None, at: None, cash_collected, reason: None })?;
    Ok(match taken {
        Taken::Moved(order) => shown(&order, tx),
        Taken::WrongCode { attempts_left } => json!({ "attempts_left": attempts_left }),
    })
}

/// The id of the simulator's `n`th transfer.
#[must_use]
pub fn transfer_id(n: u64) -> TransferId {
    TransferId::from_u128((1 << 100) + u128::from(n))
}

/// Who pays whom how much follows from the number of the transfer that the money is about.
fn transfer(tx: &mut Tx<'_, '_>, n: u64, kind: TransferKind) -> Result<Value, Sorry> {
    let about = match kind {
        TransferKind::Post { pending } | TransferKind::Void { pending } | TransferKind::Expire { pending } => pending.as_u128() as u64,
        TransferKind::Single | TransferKind::Pending { .. } => n,
    };
    let purse = |owner: u64| AccountKey { code: PURSE, owner: u128::from(owner) % PURSES, currency: ghs().into() };
    let source = AccountKey { code: SOURCE, owner: 0, currency: ghs().into() };
    // Every third fills a purse; the others pay from one to another, and are refused when it is empty.
    let (debit, credit) = if about.is_multiple_of(3) { (source, purse(about / 3)) } else { (purse(about / 3), purse(about / 7)) };
    for key in [debit, credit] {
        let constraint = if key.code == SOURCE { Constraint::None } else { Constraint::DebitsMustNotExceedCredits };
        ledger::open(tx, key, constraint);
    }
    let amount = match kind {
        TransferKind::Void { .. } | TransferKind::Expire { .. } => 0,
        TransferKind::Post { .. } => 1 + about * 7 % 50 / 2,
        TransferKind::Single | TransferKind::Pending { .. } => 1 + about * 7 % 50,
    };
    let step = Step { id: transfer_id(n), debit, credit, amount, kind, code: CODE, subject: u128::from(about) };
    ledger::post(tx, &step).map_err(|refusal| Sorry::No(refusal.to_string()))?;
    Ok(json!({ "transfer": step.id, "at": tx.now(), "seq": tx.seq() }))
}
