//! What an event does beyond the intent itself: the books, the outbox, whoever listens. Each exactly once, in the event's commit.

use serde::{Deserialize, Serialize};
use storage::ledger;

use super::machine::{Event, evolve};
use super::model::{Connector, Happened, INTENTS, Intent, IntentId, REFUNDS, RefundId, RefundOf, RefundState, Status, What};
use crate::engine::{Effect, Tx, json_text};
use crate::money::Money;
use crate::money::books::templates::{self, RefundTo};

/// Kinds of effects, as their destinations see them.
pub const AUTHORIZE: &str = "authorize";
pub const CAPTURE: &str = "capture";
pub const VOID: &str = "void";
pub const REFUND: &str = "refund";

/// What a provider is asked, the same for all: its adapter translates. The body of every effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    pub intent: IntentId,
    pub amount: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund: Option<RefundId>,
}

/// On the operators' list, by intent: the money could not be taken.
pub const ATTENTION_CAPTURE: &str = "capture_failed";
/// By refund: it could not be paid.
pub const ATTENTION_REFUND: &str = "refund_failed";
/// By intent: the provider says what cannot be.
pub const ATTENTION_CONTRADICTION: &str = "payment_contradiction";
/// By intent: the provider would not give an authorisation up.
pub const ATTENTION_NOT_VOIDED: &str = "payment_not_voided";

/// What only the moment knows: how it is paid, who holds the cash. Never stored but in the effect.
#[derive(Clone, Debug, Default)]
pub struct Moment {
    pub token: Option<String>,
    pub return_url: Option<String>,
    /// The courier who collected.
    pub courier: u128,
}

/// Lets `event` happen to `intent`: posts, sends, stores, tells.
///
/// # Errors
/// The books refuse; the caller must not commit.
pub fn carry(tx: &mut Tx<'_, '_>, intent: &Intent, event: &Event, moment: &Moment) -> Result<Intent, ledger::Refusal> {
    post(tx, intent, event, moment)?;
    let after = evolve(intent.clone(), event);
    send(tx, &after, event, moment);
    INTENTS.put(tx, &after.id, &after);
    settle(tx, &after, event);
    if let Event::RefundAsked(refund) = event {
        REFUNDS.put(tx, &refund.id, &RefundOf(after.id));
    }
    if let Some(what) = told(intent, event) {
        tx.emit(Happened { intent: after.id, subject: after.subject, what });
    }
    Ok(after)
}

/// Takes off the operators' list what the event has put right.
fn settle(tx: &mut Tx<'_, '_>, after: &Intent, event: &Event) {
    let id = after.id.to_string();
    match event {
        Event::Captured { .. } | Event::Cancelled => tx.settle_attention(ATTENTION_CAPTURE, &id),
        // Somebody asks for the money again; should that fail too, it is a new entry.
        Event::RefundAsked(_) => {
            for failed in after.refunds.iter().filter(|refund| refund.state == RefundState::Failed) {
                tx.settle_attention(ATTENTION_REFUND, &failed.id.to_string());
            }
        }
        Event::RefundSettled { .. } if after.status == Status::Refunded => tx.settle_attention(ATTENTION_CONTRADICTION, &id),
        Event::RefundSettled { .. }
        | Event::RefundFailed { .. }
        | Event::Confirmed { .. }
        | Event::ActionRequired { .. }
        | Event::Authorized
        | Event::Declined { .. }
        | Event::CaptureAsked { .. }
        | Event::CaptureFailed { .. }
        | Event::Expired
        | Event::LateAuthorization => (),
    }
}

/// What the event moves in the ledger.
fn post(tx: &mut Tx<'_, '_>, intent: &Intent, event: &Event, moment: &Moment) -> Result<(), ledger::Refusal> {
    let (id, subject) = (intent.id.as_u128(), intent.subject.id);
    let money = |amount: i64| Money { amount, ..intent.amount };
    match event {
        Event::Captured { amount } => match intent.connector {
            Connector::Cash => templates::cash_collected(tx, moment.courier, id, subject, money(*amount))?,
            Connector::Sandbox => templates::card_captured(tx, intent.connector.name(), id, subject, money(*amount))?,
        },
        Event::RefundAsked(refund) => {
            // Cash cannot be sent back through a door: it becomes the payer's balance with us.
            let to = match intent.connector {
                Connector::Cash => RefundTo::Wallet(intent.payer.as_u128()),
                Connector::Sandbox => RefundTo::Provider(intent.connector.name()),
            };
            templates::refund_held(tx, to, refund.id.as_u128(), subject, money(refund.amount))?
        }
        Event::RefundSettled { id } => templates::refund_paid(tx, id.as_u128())?,
        Event::RefundFailed { id, .. } => templates::refund_released(tx, id.as_u128())?,
        Event::Confirmed { .. }
        | Event::ActionRequired { .. }
        | Event::Authorized
        | Event::Declined { .. }
        | Event::CaptureAsked { .. }
        | Event::CaptureFailed { .. }
        | Event::Cancelled
        | Event::Expired
        | Event::LateAuthorization => return Ok(()),
    };
    Ok(())
}

/// What the event asks of the provider.
fn send(tx: &mut Tx<'_, '_>, intent: &Intent, event: &Event, moment: &Moment) {
    let ask =
        |amount: i64| Ask { intent: intent.id, amount: Money { amount, ..intent.amount }, token: None, return_url: None, refund: None };
    let whole = intent.amount.amount;
    let (kind, ask) = match event {
        Event::Confirmed { .. } => (AUTHORIZE, Ask { token: moment.token.clone(), return_url: moment.return_url.clone(), ..ask(whole) }),
        Event::CaptureAsked { amount } => (CAPTURE, ask(*amount)),
        Event::Cancelled | Event::Expired if intent.void_asked => (VOID, ask(whole)),
        Event::LateAuthorization => (VOID, ask(whole)),
        Event::RefundAsked(refund) => (REFUND, Ask { refund: Some(refund.id), ..ask(refund.amount) }),
        Event::Cancelled
        | Event::Expired
        | Event::ActionRequired { .. }
        | Event::Authorized
        | Event::Declined { .. }
        | Event::Captured { .. }
        | Event::CaptureFailed { .. }
        | Event::RefundSettled { .. }
        | Event::RefundFailed { .. } => return,
    };
    match intent.connector {
        Connector::Cash => (),
        Connector::Sandbox => {
            tx.effect(Effect::new(intent.connector.name(), intent.id.as_u128(), kind, json_text(&ask)));
        }
    }
}

/// What others hear of it.
fn told(before: &Intent, event: &Event) -> Option<What> {
    let amount_of = |id: RefundId| before.refund(id).map_or(0, |refund| refund.amount);
    Some(match event {
        Event::Confirmed { .. } | Event::CaptureAsked { .. } | Event::LateAuthorization => return None,
        Event::ActionRequired { .. } => What::ActionRequired,
        Event::Authorized => What::Authorized,
        Event::Declined { code } => What::Failed { code: code.clone() },
        Event::Captured { amount } => What::Captured { amount: *amount },
        Event::CaptureFailed { reason } => What::CaptureFailed { reason: reason.clone() },
        Event::Cancelled => What::Cancelled,
        Event::Expired => What::Expired,
        Event::RefundAsked(refund) => What::RefundInitiated { refund: refund.id, amount: refund.amount },
        Event::RefundSettled { id } => What::RefundSettled { refund: *id, amount: amount_of(*id) },
        Event::RefundFailed { id, reason } => What::RefundFailed { refund: *id, reason: reason.clone() },
    })
}
