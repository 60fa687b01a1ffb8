//! What providers say: each of their events once, in whatever order they come.

use serde::{Deserialize, Serialize};
use storage::{Direction, Index, Row, Table, Timestamp};

use super::carry::{self, Moment};
use super::intents;
use super::machine::{Heard, receive};
use super::model::{INTENTS, Intent, IntentId, Notice};
use super::provider::Delivery;
use crate::engine::{Answered, Fault, SentEffect, Tx};

/// That a provider's event has been taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub at: Timestamp,
}
impl Row for Seen {
    const VERSION: u8 = 1;
}

/// How long an event is remembered: no provider repeats itself for longer.
pub const SEEN_KEPT_S: i64 = 30 * 86_400;

/// By when they came.
pub static SEEN_BY_TIME: Index<(String, String), Seen> = Index::new(205, "money.notices.by_time", |_, seen, keys| keys.add(&seen.at));
/// By connector and the provider's event id.
pub static SEEN: Table<(String, String), Seen> = Table::new(203, "money.notices", &[&SEEN_BY_TIME]);

/// Takes a delivered webhook; a repeat changes nothing.
///
/// # Errors
/// Only if the books are broken.
pub fn on_webhook(tx: &mut Tx<'_, '_>, connector: &str, delivery: &Delivery) -> Result<(), Fault> {
    let key = (connector.to_owned(), delivery.event_id.clone());
    if SEEN.has(tx, &key) {
        count("repeated");
        return Ok(());
    }
    let seen = Seen { at: tx.now() };
    SEEN.put(tx, &key, &seen);
    sweep(tx);
    let known = intents::get(tx, delivery.intent).filter(|intent| intent.connector.name() == connector);
    let Some(intent) = known else {
        count("unknown");
        tx.attention("payment_unknown", &delivery.intent.to_string(), format!("{connector} speaks of a payment that is not ours"), &[]);
        return Ok(());
    };
    hear(tx, &intent, &delivery.notice)
}

/// Each new event takes up to two stale ones away.
fn sweep(tx: &mut Tx<'_, '_>) {
    let kept_from = tx.now().minus_s(SEEN_KEPT_S);
    let oldest = SEEN.page(tx, &SEEN_BY_TIME, &(), None, Direction::Forward).take(2);
    let stale: Vec<(String, String)> = oldest.filter(|(_, _, seen)| seen.at < kept_from).map(|(_, key, _)| key).collect();
    for key in &stale {
        SEEN.delete(tx, key);
    }
}

/// An answer to an effect: a provider that accepts says the rest by webhook; one that refuses has decided.
///
/// # Errors
/// Only if the books are broken, or an effect that we wrote does not read.
pub fn on_answer(tx: &mut Tx<'_, '_>, sent: &SentEffect, answer: &Answered) -> Result<(), Fault> {
    let refusal = match answer {
        Answered::With { status: 200..=299, .. } => return Ok(()),
        Answered::With { status, body } => format!("the provider answered {status}: {}", body.chars().take(200).collect::<String>()),
        // Nobody knows what the provider did. A capture is shown as failed so that a person looks; its late success is still taken.
        Answered::GaveUp { why } if sent.kind == carry::CAPTURE => why.clone(),
        Answered::GaveUp { .. } => return Ok(()),
    };
    let ask: carry::Ask = serde_json::from_str(&sent.body).map_err(|error| Fault::new(format!("effect {}: {error}", sent.id)))?;
    let Some(intent) = intents::get(tx, ask.intent) else { return Ok(()) };
    let notice = match (sent.kind.as_str(), ask.refund) {
        (carry::AUTHORIZE, _) => Notice::Declined { code: "provider_refused".to_owned() },
        (carry::CAPTURE, _) => Notice::CaptureFailed { reason: refusal },
        (carry::REFUND, Some(refund)) => Notice::RefundFailed { refund, reason: refusal },
        _ => {
            tx.attention(carry::ATTENTION_NOT_VOIDED, &ask.intent.to_string(), refusal, &[]);
            return Ok(());
        }
    };
    hear(tx, &intent, &notice)
}

fn hear(tx: &mut Tx<'_, '_>, intent: &Intent, notice: &Notice) -> Result<(), Fault> {
    let received = receive(intent.clone(), notice.clone());
    let mut now = intent.clone();
    // What was parked and has had its turn must not be heard again.
    now.early.clone_from(&received.intent.early);
    INTENTS.put(tx, &now.id, &now);
    for event in &received.events {
        now = carry::carry(tx, &now, event, &Moment::default()).map_err(|refusal| Fault::new(format!("{}: {refusal}", now.id)))?;
    }
    match &received.taken {
        Heard::Apply(_) => count("applied"),
        Heard::Early => count("early"),
        Heard::Known => count("known"),
        Heard::Refused => refuse(tx, now.id, notice),
    }
    if matches!((notice, &received.taken), (Notice::Voided, Heard::Apply(_) | Heard::Known)) {
        // Both sides agree that there is nothing: whatever was open about it no longer is.
        tx.settle_attention(carry::ATTENTION_NOT_VOIDED, &now.id.to_string());
        tx.settle_attention(carry::ATTENTION_CONTRADICTION, &now.id.to_string());
    }
    for early in &received.refused {
        refuse(tx, now.id, early);
    }
    for event in &received.events {
        ask_a_person(tx, now.id, event);
    }
    intents::unwind_if_wanted(tx, now.id).map_err(|refusal| Fault::new(format!("{}: {refusal}", now.id)))
}

fn refuse(tx: &mut Tx<'_, '_>, id: IntentId, notice: &Notice) {
    count("refused");
    tx.attention(
        carry::ATTENTION_CONTRADICTION,
        &id.to_string(),
        format!("the provider says {notice:?}, which contradicts what is known"),
        &[],
    );
}

fn ask_a_person(tx: &mut Tx<'_, '_>, id: IntentId, event: &super::machine::Event) {
    use super::machine::Event;
    match event {
        Event::CaptureFailed { reason } => {
            let retry = format!("POST /v1/payments/intents/{id}/capture");
            tx.attention(carry::ATTENTION_CAPTURE, &id.to_string(), reason.clone(), &[&retry]);
        }
        Event::RefundFailed { id: refund, reason } => {
            tx.attention(carry::ATTENTION_REFUND, &refund.to_string(), reason.clone(), &["POST /v1/refunds"]);
        }
        Event::Captured { .. }
        | Event::Confirmed { .. }
        | Event::ActionRequired { .. }
        | Event::Authorized
        | Event::Declined { .. }
        | Event::CaptureAsked { .. }
        | Event::Cancelled
        | Event::Expired
        | Event::LateAuthorization
        | Event::RefundAsked(_)
        | Event::RefundSettled { .. } => (),
    }
}

fn count(heard: &'static str) {
    metrics::counter!("medina_payment_notices_total", "heard" => heard).increment(1);
}
