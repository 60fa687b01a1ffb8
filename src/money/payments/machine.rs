//! The intent's rules: pure. Facts come in as arguments, the graph is in [`super`].

use super::model::{Connector, Intent, Method, NextAction, Notice, Refund, RefundId, RefundState, Refusal, Status};
use storage::Timestamp;

/// What we want of an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Confirm {
        with: [u8; 32],
    },
    /// None: all of it.
    Capture {
        amount: Option<i64>,
    },
    CollectCash,
    Cancel,
    Expire,
    /// None: all that is left.
    Refund {
        id: RefundId,
        amount: Option<i64>,
        reason: String,
        at: Timestamp,
    },
}

/// What happens to an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Confirmed {
        with: [u8; 32],
    },
    ActionRequired {
        url: String,
    },
    Authorized,
    Declined {
        code: String,
    },
    CaptureAsked {
        amount: i64,
    },
    Captured {
        amount: i64,
    },
    CaptureFailed {
        reason: String,
    },
    Cancelled,
    Expired,
    /// The provider authorised what had ended here: it is given back.
    LateAuthorization,
    RefundAsked(Refund),
    RefundSettled {
        id: RefundId,
    },
    RefundFailed {
        id: RefundId,
        reason: String,
    },
}

/// How a provider's word is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Apply(Event),
    /// Its turn has not come: kept.
    Early,
    /// Known already, or overtaken: nothing changes.
    Known,
    /// It contradicts what we know: a way back, another amount. For a person.
    Refused,
}

/// Decides what a command does.
///
/// # Errors
/// [`Refusal`]: what is not possible now.
pub fn decide(intent: &Intent, command: &Command) -> Result<Event, Refusal> {
    let from = intent.status;
    let not_to = |to: Status| Err(Refusal::NotWhile { from, to });
    match (command, from) {
        (Command::Confirm { with }, Status::RequiresPaymentMethod) => Ok(Event::Confirmed { with: *with }),
        (Command::Confirm { .. }, _) => not_to(Status::Processing),
        (Command::Capture { .. }, Status::Authorized) if intent.connector == Connector::Cash => Err(Refusal::MethodUnavailable),
        (Command::Capture { .. }, Status::Authorized) if intent.capture_asked.is_some() => Err(Refusal::CaptureUnderWay),
        (Command::Capture { amount }, Status::Authorized) => {
            in_range(intent, amount.unwrap_or(intent.amount.amount), intent.amount.amount).map(|amount| Event::CaptureAsked { amount })
        }
        (Command::CollectCash, Status::Authorized) if intent.method == Method::Cash => Ok(Event::Captured { amount: intent.amount.amount }),
        (Command::Capture { .. } | Command::CollectCash, _) => not_to(Status::Captured),
        (Command::Cancel, Status::RequiresPaymentMethod | Status::RequiresAction | Status::Processing) => Ok(Event::Cancelled),
        (Command::Cancel, Status::Authorized) if intent.capture_asked.is_some() => Err(Refusal::CaptureUnderWay),
        (Command::Cancel, Status::Authorized) => Ok(Event::Cancelled),
        (Command::Cancel, _) => not_to(Status::Cancelled),
        (Command::Expire, Status::RequiresPaymentMethod | Status::RequiresAction | Status::Processing) => Ok(Event::Expired),
        (Command::Expire, _) => not_to(Status::Expired),
        (Command::Refund { id, amount, reason, at }, Status::Captured) => {
            let left = intent.refundable();
            let amount = in_range(intent, amount.unwrap_or(left), left)?;
            Ok(Event::RefundAsked(Refund { id: *id, amount, reason: reason.clone(), state: RefundState::Pending, at: *at }))
        }
        (Command::Refund { .. }, _) => not_to(Status::Refunded),
    }
}

fn in_range(intent: &Intent, amount: i64, max: i64) -> Result<i64, Refusal> {
    if (1..=max).contains(&amount) {
        Ok(amount)
    } else {
        Err(Refusal::AmountOutOfRange { max: crate::money::Money { amount: max, ..intent.amount } })
    }
}

/// Decides how a provider's word is taken.
#[must_use]
pub fn hear(intent: &Intent, notice: &Notice) -> Heard {
    use Status::{Authorized, Cancelled, Captured, Expired, Failed, Processing, Refunded, RequiresAction, RequiresPaymentMethod};
    match (notice, intent.status) {
        (Notice::ActionRequired { url }, RequiresPaymentMethod | Processing) => Heard::Apply(Event::ActionRequired { url: url.clone() }),
        (Notice::ActionRequired { .. }, RequiresAction | Authorized | Captured | Refunded | Failed | Cancelled | Expired) => Heard::Known,

        (Notice::Authorized, RequiresPaymentMethod | Processing | RequiresAction) => Heard::Apply(Event::Authorized),
        (Notice::Authorized, Authorized | Captured | Refunded) => Heard::Known,
        (Notice::Authorized, Failed | Cancelled | Expired) if intent.void_asked => Heard::Known,
        (Notice::Authorized, Failed | Cancelled | Expired) => Heard::Apply(Event::LateAuthorization),

        (Notice::Declined { code }, RequiresPaymentMethod | Processing | RequiresAction) => {
            Heard::Apply(Event::Declined { code: code.clone() })
        }
        (Notice::Declined { .. }, Failed | Cancelled | Expired) => Heard::Known,
        (Notice::Declined { .. }, Authorized | Captured | Refunded) => Heard::Refused,

        (Notice::Captured { amount }, Authorized) if (1..=intent.amount.amount).contains(amount) => {
            Heard::Apply(Event::Captured { amount: *amount })
        }
        (Notice::Captured { amount }, Captured | Refunded) if *amount == intent.captured => Heard::Known,
        (Notice::Captured { .. }, Authorized | Captured | Refunded | Failed | Cancelled | Expired) => Heard::Refused,

        (Notice::CaptureFailed { reason }, Authorized) if intent.capture_asked.is_some() => {
            Heard::Apply(Event::CaptureFailed { reason: reason.clone() })
        }
        (Notice::CaptureFailed { .. }, Authorized | Captured | Refunded | Failed | Cancelled | Expired) => Heard::Known,

        (Notice::Voided, Authorized) => Heard::Apply(Event::Cancelled),
        (Notice::Voided, Failed | Cancelled | Expired) => Heard::Known,
        (Notice::Voided, Captured | Refunded) => Heard::Refused,

        (Notice::Refunded { refund }, Captured | Refunded) => match intent.refund(*refund).map(|refund| refund.state) {
            Some(RefundState::Pending) => Heard::Apply(Event::RefundSettled { id: *refund }),
            Some(RefundState::Settled) => Heard::Known,
            Some(RefundState::Failed) | None => Heard::Refused,
        },
        (Notice::RefundFailed { refund, reason }, Captured | Refunded) => match intent.refund(*refund).map(|refund| refund.state) {
            Some(RefundState::Pending) => Heard::Apply(Event::RefundFailed { id: *refund, reason: reason.clone() }),
            Some(RefundState::Failed) => Heard::Known,
            Some(RefundState::Settled) | None => Heard::Refused,
        },
        (Notice::Refunded { .. } | Notice::RefundFailed { .. }, Failed | Cancelled | Expired) => Heard::Refused,

        (Notice::Refunded { .. } | Notice::RefundFailed { .. }, Authorized) => Heard::Early,
        (
            Notice::Captured { .. } | Notice::CaptureFailed { .. } | Notice::Voided | Notice::Refunded { .. } | Notice::RefundFailed { .. },
            RequiresPaymentMethod | Processing | RequiresAction,
        ) => Heard::Early,
    }
}

/// The intent after an event.
#[must_use]
pub fn evolve(mut intent: Intent, event: &Event) -> Intent {
    match event {
        Event::Confirmed { with } => {
            intent.status = Status::Processing;
            intent.confirmed_with = Some(*with);
        }
        Event::ActionRequired { url } => {
            intent.status = Status::RequiresAction;
            intent.next_action = Some(NextAction { kind: "redirect".to_owned(), url: Some(url.clone()) });
        }
        Event::Authorized => intent.status = Status::Authorized,
        Event::Declined { code } => {
            intent.status = Status::Failed;
            intent.decline_code = Some(code.clone());
        }
        Event::CaptureAsked { amount } => intent.capture_asked = Some(*amount),
        Event::Captured { amount } => {
            intent.status = Status::Captured;
            intent.captured = *amount;
            intent.capture_asked = None;
        }
        Event::CaptureFailed { .. } => intent.capture_asked = None,
        Event::Cancelled | Event::Expired => {
            // Whoever was asked to authorise may still do it: it is told to give that up, whatever it has.
            intent.void_asked = intent.confirmed_with.is_some();
            intent.status = if *event == Event::Expired { Status::Expired } else { Status::Cancelled };
        }
        Event::LateAuthorization => intent.void_asked = true,
        Event::RefundAsked(refund) => intent.refunds.push(refund.clone()),
        Event::RefundSettled { id } => {
            end_refund(&mut intent, *id, RefundState::Settled);
            if intent.refunded() == intent.captured {
                intent.status = Status::Refunded;
            }
        }
        Event::RefundFailed { id, .. } => end_refund(&mut intent, *id, RefundState::Failed),
    }
    if intent.status != Status::RequiresAction {
        intent.next_action = None;
    }
    intent
}

fn end_refund(intent: &mut Intent, id: RefundId, state: RefundState) {
    if let Some(refund) = intent.refunds.iter_mut().find(|refund| refund.id == id) {
        refund.state = state;
    }
}

/// What is kept of early notices; more than any provider has to say about one intent.
pub const EARLY_MAX: usize = 32;

/// What a provider's word came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub intent: Intent,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// How the word itself was taken.
    pub taken: Heard,
    /// Earlier words whose turn came and that contradicted what is known by now.
    pub refused: Vec<Notice>,
}

/// Takes a provider's word, and everything it said before its time that now has its turn.
#[must_use]
pub fn receive(intent: Intent, notice: Notice) -> Received {
    let taken = hear(&intent, &notice);
    let mut received = Received { intent, events: Vec::new(), taken: taken.clone(), refused: Vec::new() };
    match taken {
        Heard::Apply(event) => {
            received.apply(event);
            received.hear_early();
        }
        Heard::Early => {
            let early = &mut received.intent.early;
            if !early.contains(&notice) && early.len() < EARLY_MAX {
                early.push(notice);
            }
        }
        Heard::Known | Heard::Refused => (),
    }
    received
}

impl Received {
    fn apply(&mut self, event: Event) {
        self.intent = evolve(self.intent.clone(), &event);
        self.events.push(event);
    }

    fn hear_early(&mut self) {
        while let Some(place) = self.intent.early.iter().position(|early| hear(&self.intent, early) != Heard::Early) {
            let early = self.intent.early.remove(place);
            match hear(&self.intent, &early) {
                Heard::Apply(event) => self.apply(event),
                Heard::Refused => self.refused.push(early),
                Heard::Early | Heard::Known => (),
            }
        }
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
