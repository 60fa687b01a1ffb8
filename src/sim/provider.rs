//! The other side of card payments: the sandbox provider's own rules, on a network that loses answers and repeats and reorders webhooks.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use storage::Timestamp;

use super::dice::Dice;
use crate::engine::{Answered, SentEffect};
use crate::money::payments::provider::{Delivery, Provider as Adapter};
use crate::money::sandbox::SandboxConnector;
use crate::money::sandbox::charge::{Act, Charge, Hook, Outcome, Request, State, Verb, act, handle};

/// Charges, the answers it has given, and what it has yet to tell. It never crashes: it is the witness.
pub struct Provider {
    adapter: SandboxConnector,
    charges: BTreeMap<String, Charge>,
    answers: BTreeMap<String, (u16, String)>,
    hooks: Vec<Hook>,
}

impl Default for Provider {
    fn default() -> Self {
        // Only its reader of webhooks is used; nothing is ever sent there.
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        Self { adapter: SandboxConnector::new(nowhere, [0; 32]), charges: BTreeMap::new(), answers: BTreeMap::new(), hooks: Vec::new() }
    }
}

impl Provider {
    /// Takes a request; a repeat of its key gets the first answer.
    ///
    /// # Errors
    /// An effect that is not one of ours: the product wrote nonsense.
    pub fn asked(&mut self, effect: &SentEffect, now: Timestamp) -> Result<Answered, String> {
        let key = effect.id.to_string();
        if let Some((status, body)) = self.answers.get(&key) {
            return Ok(Answered::With { status: *status, body: body.clone() });
        }
        let verb = Verb::parse(&effect.kind).ok_or_else(|| format!("an effect of kind {} for the payment provider", effect.kind))?;
        let request: Request = serde_json::from_str(&effect.body).map_err(|error| format!("effect {key} does not read: {error}"))?;
        let outcome = handle(self.charges.get(&request.intent), verb, &request, &key, "http://localhost/pay", now);
        let answer = (outcome.status, outcome.body.to_string());
        self.answers.insert(key, answer.clone());
        self.keep(outcome, &request.intent, now);
        Ok(Answered::With { status: answer.0, body: answer.1 })
    }

    fn keep(&mut self, outcome: Outcome, intent: &str, now: Timestamp) {
        if outcome.drops_later_hooks {
            self.hooks.retain(|hook| hook.intent != intent || hook.due <= now);
        }
        if let Some(charge) = outcome.charge {
            self.charges.insert(charge.intent.clone(), charge);
        }
        self.hooks.extend(outcome.hooks);
    }

    /// A payer who is asked for something does it, or not.
    pub fn payer_acts(&mut self, dice: &mut Dice, now: Timestamp) {
        let waiting: Vec<Charge> = self.charges.values().filter(|charge| charge.state == State::ActionRequired).cloned().collect();
        if let Some(charge) = dice.pick(&waiting) {
            let outcome = act(charge, if dice.percent(70) { Act::Approve } else { Act::Fail }, now);
            self.keep(outcome, &charge.intent, now);
        }
    }

    /// Any webhook that is due; which one is chance's, so they come in any order.
    #[must_use]
    pub fn hook(&self, dice: &mut Dice, now: Timestamp) -> Option<Hook> {
        let due: Vec<&Hook> = self.hooks.iter().filter(|hook| hook.due <= now).collect();
        dice.pick(&due).map(|hook| (*hook).clone())
    }

    /// What a webhook says, read by the product's adapter.
    ///
    /// # Errors
    /// The adapter does not understand its own provider.
    pub fn read(&self, hook: &Hook) -> Result<Delivery, String> {
        self.adapter.read(hook.body.as_bytes()).map_err(|error| error.to_string())
    }

    /// The webhook was taken and need not be sent again.
    pub fn taken(&mut self, id: &str) {
        self.hooks.retain(|hook| hook.id != id);
    }

    /// Whether everything has been told.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.hooks.is_empty()
    }

    /// When the last of what it has to tell is due.
    #[must_use]
    pub fn last_due(&self) -> Option<Timestamp> {
        self.hooks.iter().map(|hook| hook.due).max()
    }

    /// All charges, by our intents' ids.
    pub fn charges(&self) -> impl Iterator<Item = &Charge> {
        self.charges.values()
    }
}
