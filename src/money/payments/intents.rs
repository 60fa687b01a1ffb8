//! Commands on intents. Who may is asked by the caller (the order that is paid, or [`super::http`]).

use storage::{Read, Timestamp};

use super::carry::{Moment, carry};
use super::machine::{Command, decide};
use super::model::{CaptureTime, Connector, Happened, INTENTS, Intent, IntentId, Method, RefundId, Refusal, Status, Subject, What, newest};
use super::provider::offered;
use super::refunds;
use crate::engine::{Fault, FiredTimer, Timer, Tx, UserId};
use crate::money::Money;

/// The timer that ends an unpaid intent.
pub const EXPIRY: &str = "payments.expiry";

/// An intent to pay `amount` for `subject`; a live unpaid one of the same subject is cancelled.
///
/// Card: `requires_payment_method`, until `expires_at`. Cash: `authorized`, a promise to pay at the door. The subject's owner calls
/// [`capture`] or [`collect_cash`] when `capture_time` has come.
///
/// # Errors
/// [`Refusal::MethodUnavailable`], [`Refusal::AlreadyPaid`], [`Refusal::AmountOutOfRange`] for nothing or less.
pub fn create(
    tx: &mut Tx<'_, '_>,
    subject: Subject,
    payer: UserId,
    amount: Money,
    method: Method,
    capture_time: CaptureTime,
    expires_at: Option<Timestamp>,
) -> Result<Intent, Refusal> {
    let connector = connector_for(tx, method)?;
    if amount.amount <= 0 {
        return Err(Refusal::AmountOutOfRange { max: Money { amount: crate::money::pricing::AMOUNT_MAX, ..amount } });
    }
    if let Some(live) = newest(tx, subject) {
        match live.status {
            Status::RequiresPaymentMethod | Status::RequiresAction | Status::Processing => drop(run(tx, &live, &Command::Cancel)?),
            Status::Authorized | Status::Captured => return Err(Refusal::AlreadyPaid),
            Status::Refunded | Status::Failed | Status::Cancelled | Status::Expired => (),
        }
    }
    let mut secret = [0; 16];
    tx.random().fill(&mut secret);
    let id: IntentId = tx.new_id();
    let intent = Intent {
        id,
        subject,
        payer,
        method,
        connector,
        amount,
        status: if method == Method::Cash { Status::Authorized } else { Status::RequiresPaymentMethod },
        capture_time,
        created_at: tx.now(),
        expires_at,
        client_secret: format!("{id}_secret_{:032x}", u128::from_be_bytes(secret)),
        confirmed_with: None,
        next_action: None,
        decline_code: None,
        capture_asked: None,
        captured: 0,
        void_asked: false,
        unwind: None,
        closed: false,
        refunds: Vec::new(),
        early: Vec::new(),
    };
    INTENTS.put(tx, &id, &intent);
    if let (Some(at), Status::RequiresPaymentMethod) = (expires_at, intent.status) {
        tx.schedule(at, Timer::new(EXPIRY, id.as_u128()));
    }
    tx.emit(Happened { intent: id, subject, what: What::Created });
    Ok(intent)
}

fn connector_for(read: &impl Read, method: Method) -> Result<Connector, Refusal> {
    match method {
        Method::Cash => Ok(Connector::Cash),
        Method::Card | Method::Wallet | Method::MobileMoney => offered(read, method).ok_or(Refusal::MethodUnavailable),
    }
}

/// Another try for a subject whose payment failed or is still open: the same amount, payer and deadline.
///
/// # Errors
/// [`Refusal::Unknown`] if nothing was ever to be paid, [`Refusal::Closed`] if nothing is any more, [`Refusal::MethodUnavailable`] for cash
/// (whether that is allowed is decided with the order), and those of [`create`].
pub fn retry(tx: &mut Tx<'_, '_>, subject: Subject, method: Method) -> Result<Intent, Refusal> {
    let last = newest(tx, subject).ok_or(Refusal::Unknown)?;
    if last.closed || last.status == Status::Expired || last.expires_at.is_some_and(|at| at <= tx.now()) {
        return Err(Refusal::Closed);
    }
    if method == Method::Cash {
        return Err(Refusal::MethodUnavailable);
    }
    create(tx, subject, last.payer, last.amount, method, last.capture_time, last.expires_at)
}

/// The payer pays with `token`: the provider is asked. The same confirmation again changes nothing.
///
/// # Errors
/// [`Refusal::NotWhile`] unless it waits for a payment method, [`Refusal::Unknown`].
pub fn confirm(tx: &mut Tx<'_, '_>, id: IntentId, token: &str, return_url: Option<&str>) -> Result<Intent, Refusal> {
    let intent = get(tx, id).ok_or(Refusal::Unknown)?;
    let with = *blake3::hash(token.as_bytes()).as_bytes();
    if intent.confirmed_with == Some(with) {
        return Ok(intent);
    }
    let event = decide(&intent, &Command::Confirm { with })?;
    let moment = Moment { token: Some(token.to_owned()), return_url: return_url.map(str::to_owned), ..Moment::default() };
    Ok(carry(tx, &intent, &event, &moment)?)
}

/// Asks the provider for the money (all of it without `amount`, in minor units); [`What::Captured`] or [`What::CaptureFailed`] follows.
/// A second call while the first is under way, or after it, changes nothing.
///
/// # Errors
/// [`Refusal::NotWhile`] unless authorised, [`Refusal::AmountOutOfRange`], [`Refusal::MethodUnavailable`] for cash, [`Refusal::Unknown`].
pub fn capture(tx: &mut Tx<'_, '_>, id: IntentId, amount: Option<i64>) -> Result<Intent, Refusal> {
    let intent = get(tx, id).ok_or(Refusal::Unknown)?;
    if intent.status == Status::Captured || intent.capture_asked.is_some() {
        return Ok(intent);
    }
    run(tx, &intent, &Command::Capture { amount })
}

/// The courier (128 bits of their id) has been handed the cash: the money is in escrow from here on.
///
/// # Errors
/// [`Refusal::NotWhile`] unless a cash intent waits for it, [`Refusal::Unknown`].
pub fn collect_cash(tx: &mut Tx<'_, '_>, id: IntentId, courier: u128) -> Result<Intent, Refusal> {
    let intent = get(tx, id).ok_or(Refusal::Unknown)?;
    let event = decide(&intent, &Command::CollectCash)?;
    Ok(carry(tx, &intent, &event, &Moment { courier, ..Moment::default() })?)
}

/// Ends an unpaid intent; an authorisation is given back.
///
/// # Errors
/// [`Refusal::NotWhile`] once it is captured or over, [`Refusal::CaptureUnderWay`], [`Refusal::Unknown`].
pub fn cancel(tx: &mut Tx<'_, '_>, id: IntentId) -> Result<Intent, Refusal> {
    let intent = get(tx, id).ok_or(Refusal::Unknown)?;
    run(tx, &intent, &Command::Cancel)
}

/// What [`void_or_refund`] found and did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwound {
    /// Nothing had been paid, or it had gone back already.
    Nothing,
    /// It was unpaid or authorised and is cancelled now.
    Cancelled,
    /// It was captured; the rest (minor units) is on its way back.
    Refunding { refund: RefundId, amount: i64 },
    /// A capture is under way: it will be refunded, or given up, when the provider has said which.
    WhenKnown,
}

/// The subject has ended without its money being earned: undoes the payment in full, whatever its state, and lets nobody pay for it again.
///
/// # Errors
/// [`Refusal::Unknown`]; [`Refusal::Books`] only if the books are broken.
pub fn void_or_refund(tx: &mut Tx<'_, '_>, id: IntentId, reason: &str) -> Result<Unwound, Refusal> {
    let mut intent = get(tx, id).ok_or(Refusal::Unknown)?;
    intent.closed = true;
    INTENTS.put(tx, &id, &intent);
    unwind(tx, intent, reason)
}

/// See [`void_or_refund`]; without closing.
fn unwind(tx: &mut Tx<'_, '_>, mut intent: Intent, reason: &str) -> Result<Unwound, Refusal> {
    match intent.status {
        Status::Authorized if intent.capture_asked.is_some() => {
            intent.unwind = Some(reason.to_owned());
            INTENTS.put(tx, &intent.id, &intent);
            Ok(Unwound::WhenKnown)
        }
        Status::RequiresPaymentMethod | Status::RequiresAction | Status::Processing | Status::Authorized => {
            run(tx, &intent, &Command::Cancel)?;
            Ok(Unwound::Cancelled)
        }
        Status::Captured if intent.refundable() > 0 => {
            let refund = refunds::ask(tx, intent.id, None, reason)?;
            Ok(Unwound::Refunding { refund: refund.id, amount: refund.amount })
        }
        Status::Captured | Status::Refunded | Status::Failed | Status::Cancelled | Status::Expired => Ok(Unwound::Nothing),
    }
}

/// The provider has said how a capture ended that somebody wants undone.
///
/// # Errors
/// As [`void_or_refund`].
pub(super) fn unwind_if_wanted(tx: &mut Tx<'_, '_>, id: IntentId) -> Result<(), Refusal> {
    let Some(mut intent) = get(tx, id) else { return Ok(()) };
    if intent.capture_asked.is_some() {
        return Ok(());
    }
    let Some(reason) = intent.unwind.take() else { return Ok(()) };
    INTENTS.put(tx, &id, &intent);
    unwind(tx, intent, &reason).map(drop)
}

/// The timer of [`create`]: an intent that is still unpaid has had its time.
///
/// # Errors
/// Only if the books are broken.
pub fn on_expiry(tx: &mut Tx<'_, '_>, timer: &FiredTimer) -> Result<(), Fault> {
    let Some(intent) = get(tx, IntentId::from_u128(timer.subject)) else { return Ok(()) };
    if intent.status.is_waiting() {
        run(tx, &intent, &Command::Expire).map_err(|refusal| Fault::new(refusal.to_string()))?;
    }
    Ok(())
}

fn run(tx: &mut Tx<'_, '_>, intent: &Intent, command: &Command) -> Result<Intent, Refusal> {
    let event = decide(intent, command)?;
    Ok(carry(tx, intent, &event, &Moment::default())?)
}

/// The intent.
pub fn get(read: &(impl Read + ?Sized), id: IntentId) -> Option<Intent> {
    INTENTS.get(read, &id)
}

/// The newest intent of a subject: the one that counts.
pub fn of(read: &(impl Read + ?Sized), subject: Subject) -> Option<Intent> {
    newest(read, subject)
}
