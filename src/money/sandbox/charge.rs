//! The provider's rules: what a request does to a charge, and what is told about it later.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use storage::Timestamp;

/// How long `tok_timeout` keeps everybody waiting.
pub const UNDECIDED_S: i64 = 30;

/// A request's body. The provider treats our ids as text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    pub intent: String,
    pub amount: Amount,
    #[serde(default)]
    pub token: Option<String>,
    #[serde(default)]
    pub refund: Option<String>,
}

/// Minor units of a currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    pub amount: i64,
    pub currency: String,
}

/// What is asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Authorize,
    Capture,
    Void,
    Refund,
}

impl Verb {
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [(Self::Authorize, "authorize"), (Self::Capture, "capture"), (Self::Void, "void"), (Self::Refund, "refund")]
            .into_iter()
            .find_map(|(verb, name)| (name == text).then_some(verb))
    }
}

/// What the payer does on the provider's page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    Approve,
    Fail,
    Abandon,
}

/// A charge's state; see the graph in [`super`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Undecided,
    ActionRequired,
    Authorized,
    Declined,
    Captured,
    Voided,
}

/// A charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    pub intent: String,
    pub amount: Amount,
    pub state: State,
    /// When an undecided one decides itself.
    pub decides_at: Option<Timestamp>,
    pub captured: i64,
    pub refunded: i64,
}

/// A webhook to send from `due` on, until it is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    pub id: String,
    pub intent: String,
    pub due: Timestamp,
    pub body: String,
}

/// What a request came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub status: u16,
    pub body: Value,
    pub charge: Option<Charge>,
    pub hooks: Vec<Hook>,
    /// Webhooks of this charge that are not due yet shall not be sent any more.
    pub drops_later_hooks: bool,
}

impl Outcome {
    fn taken(charge: Charge, hooks: Vec<Hook>) -> Self {
        let body = json!({ "intent": charge.intent, "state": charge.state });
        Self { status: 200, body, charge: Some(charge), hooks, drops_later_hooks: false }
    }

    pub(super) fn refused(status: u16, error: &str) -> Self {
        Self { status, body: json!({ "error": error }), charge: None, hooks: Vec::new(), drops_later_hooks: false }
    }
}

/// Handles a request about a charge that may exist. `page` is where a payer acts; `cause` makes the webhook's id: a repeat has the same.
#[must_use]
pub fn handle(charge: Option<&Charge>, verb: Verb, request: &Request, cause: &str, page: &str, now: Timestamp) -> Outcome {
    let charge = charge.cloned().map(|charge| decided(charge, now));
    match (verb, charge) {
        (Verb::Authorize, None) => authorize(request, cause, page, now),
        // The intent is the natural key: a charge that exists is not made twice, whatever the idempotency key.
        (Verb::Authorize, Some(charge)) => Outcome::taken(charge, Vec::new()),
        (Verb::Capture, Some(charge))
            if charge.state == State::Authorized && (1..=charge.amount.amount).contains(&request.amount.amount) =>
        {
            let amount = request.amount.amount;
            let charge = Charge { state: State::Captured, captured: amount, ..charge };
            let hook = hook(&charge, "charge.captured", cause, now, json!({ "amount": amount }));
            Outcome::taken(charge, vec![hook])
        }
        (Verb::Void, None) => {
            // Asked to void what has not arrived: remembered, so that it is never authorised.
            let charge = Charge {
                intent: request.intent.clone(),
                amount: request.amount.clone(),
                state: State::Voided,
                decides_at: None,
                captured: 0,
                refunded: 0,
            };
            Outcome::taken(charge, Vec::new())
        }
        (Verb::Void, Some(charge)) => match charge.state {
            State::Undecided | State::ActionRequired | State::Authorized => {
                let charge = Charge { state: State::Voided, ..charge };
                let hook = hook(&charge, "charge.voided", cause, now, json!({}));
                Outcome { drops_later_hooks: true, ..Outcome::taken(charge, vec![hook]) }
            }
            State::Declined | State::Voided => Outcome::taken(charge, Vec::new()),
            State::Captured => Outcome::refused(409, "the charge is captured: refund it"),
        },
        (Verb::Refund, Some(charge)) => {
            let left = charge.captured - charge.refunded;
            match &request.refund {
                Some(refund) if charge.state == State::Captured && (1..=left).contains(&request.amount.amount) => {
                    let charge = Charge { refunded: charge.refunded + request.amount.amount, ..charge };
                    let hook = hook(&charge, "charge.refunded", cause, now, json!({ "refund": refund, "amount": request.amount.amount }));
                    Outcome::taken(charge, vec![hook])
                }
                _ => Outcome::refused(409, "nothing of this charge can be refunded by that"),
            }
        }
        (Verb::Capture, Some(_)) => Outcome::refused(409, "nothing of this charge can be captured by that"),
        (Verb::Capture | Verb::Refund, None) => Outcome::refused(404, "no such charge"),
    }
}

fn authorize(request: &Request, cause: &str, page: &str, now: Timestamp) -> Outcome {
    let charge = |state| Charge {
        intent: request.intent.clone(),
        amount: request.amount.clone(),
        state,
        decides_at: None,
        captured: 0,
        refunded: 0,
    };
    let declined = |code: &str| {
        let charge = charge(State::Declined);
        let hook = hook(&charge, "charge.declined", cause, now, json!({ "code": code }));
        Outcome::taken(charge, vec![hook])
    };
    match request.token.as_deref() {
        Some("tok_ok") => {
            let charge = charge(State::Authorized);
            let hook = hook(&charge, "charge.authorized", cause, now, json!({}));
            Outcome::taken(charge, vec![hook])
        }
        Some("tok_requires_action") => {
            let charge = charge(State::ActionRequired);
            let hook = hook(&charge, "charge.action_required", cause, now, json!({ "url": format!("{page}/{}", request.intent) }));
            Outcome::taken(charge, vec![hook])
        }
        Some("tok_timeout") => {
            let decides_at = now.plus_s(UNDECIDED_S);
            let charge = Charge { decides_at: Some(decides_at), ..charge(State::Undecided) };
            let hook = hook(&charge, "charge.authorized", cause, decides_at, json!({}));
            Outcome::taken(charge, vec![hook])
        }
        Some("tok_declined") => declined("card_declined"),
        Some("tok_insufficient_funds") => declined("insufficient_funds"),
        Some(_) | None => declined("invalid_token"),
    }
}

/// The payer acts on the provider's page.
#[must_use]
pub fn act(charge: &Charge, act: Act, now: Timestamp) -> Outcome {
    if charge.state != State::ActionRequired {
        return Outcome::refused(409, "nothing is asked of the payer");
    }
    match act {
        Act::Approve => {
            let charge = Charge { state: State::Authorized, ..charge.clone() };
            let hook = hook(&charge, "charge.authorized", "act", now, json!({}));
            Outcome::taken(charge, vec![hook])
        }
        Act::Fail => {
            let charge = Charge { state: State::Declined, ..charge.clone() };
            let hook = hook(&charge, "charge.declined", "act", now, json!({ "code": "authentication_failed" }));
            Outcome::taken(charge, vec![hook])
        }
        Act::Abandon => Outcome::taken(charge.clone(), Vec::new()),
    }
}

fn decided(charge: Charge, now: Timestamp) -> Charge {
    let due = charge.decides_at.is_some_and(|at| at <= now);
    if charge.state == State::Undecided && due { Charge { state: State::Authorized, ..charge } } else { charge }
}

fn hook(charge: &Charge, kind: &str, cause: &str, due: Timestamp, mut data: Value) -> Hook {
    let digest = blake3::derive_key("medina sandbox provider event 1", format!("{}\n{kind}\n{cause}", charge.intent).as_bytes());
    let id = format!("evt_{:024x}", u128::from_be_bytes(digest[..16].try_into().expect("16 of 32 bytes")) >> 32);
    data["intent"] = json!(charge.intent);
    let body = json!({ "id": id, "type": kind, "at": due.to_string(), "data": data }).to_string();
    Hook { id, intent: charge.intent.clone(), due, body }
}
