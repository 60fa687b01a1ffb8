//! The provider's desk: charges, answered keys, webhooks to send; one request at a time, durable before it is answered.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;

use storage::Timestamp;

use super::charge::{Act, Charge, Hook, Outcome, Request, Verb, act, handle};
use super::journal::{Answer, Entry, Journal};

/// Everything the provider knows.
pub struct Desk {
    journal: Journal,
    charges: HashMap<String, Charge>,
    answers: HashMap<String, Answer>,
    /// By time and id: the first is due first.
    hooks: BTreeMap<(Timestamp, String), Hook>,
}

impl Desk {
    /// Opens the provider's folder; what was promised before is still to be sent.
    ///
    /// # Errors
    /// The file system's.
    pub fn open(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let entries = Journal::read(dir)?;
        let (mut charges, mut answers, mut hooks) = (HashMap::new(), HashMap::new(), BTreeMap::new());
        for entry in entries {
            remember(&mut charges, &mut answers, &mut hooks, entry);
        }
        let kept: Vec<Entry> = charges
            .values()
            .map(|charge: &Charge| Entry { charge: Some(charge.clone()), ..Entry::default() })
            .chain(answers.values().map(|answer: &Answer| Entry { answer: Some(answer.clone()), ..Entry::default() }))
            .chain(hooks.values().map(|hook: &Hook| Entry { hooks: vec![hook.clone()], ..Entry::default() }))
            .collect();
        Ok(Self { journal: Journal::rewrite(dir, &kept)?, charges, answers, hooks })
    }

    /// Handles a request; a repeat of its key gets the first answer.
    ///
    /// # Errors
    /// The file system's: nothing was promised.
    pub fn request(&mut self, key: &str, verb: Verb, request: &Request, page: &str, now: Timestamp) -> io::Result<Answer> {
        if let Some(answer) = self.answers.get(key) {
            return Ok(answer.clone());
        }
        let outcome = handle(self.charges.get(&request.intent), verb, request, key, page, now);
        let answer = Answer { key: key.to_owned(), status: outcome.status, body: outcome.body.to_string() };
        self.keep(outcome, Some(answer.clone()), &request.intent, now)?;
        Ok(answer)
    }

    /// The payer acts on the page of a charge.
    ///
    /// # Errors
    /// The file system's.
    pub fn act(&mut self, intent: &str, what: Act, now: Timestamp) -> io::Result<Answer> {
        let outcome = self.charges.get(intent).map_or_else(|| Outcome::refused(404, "no such charge"), |charge| act(charge, what, now));
        let answer = Answer { key: String::new(), status: outcome.status, body: outcome.body.to_string() };
        self.keep(outcome, None, intent, now)?;
        Ok(answer)
    }

    fn keep(&mut self, outcome: Outcome, answer: Option<Answer>, intent: &str, now: Timestamp) -> io::Result<()> {
        let later = |hook: &&Hook| outcome.drops_later_hooks && hook.intent == intent && hook.due > now;
        let done = self.hooks.values().filter(later).map(|hook| hook.id.clone()).collect();
        let entry = Entry { charge: outcome.charge, answer, hooks: outcome.hooks, done };
        self.journal.append(&entry, true)?;
        remember(&mut self.charges, &mut self.answers, &mut self.hooks, entry);
        Ok(())
    }

    #[must_use]
    pub fn charge(&self, intent: &str) -> Option<&Charge> {
        self.charges.get(intent)
    }

    /// Webhooks that are due.
    pub fn due(&self, now: Timestamp) -> impl Iterator<Item = &Hook> {
        self.hooks.values().take_while(move |hook| hook.due <= now)
    }

    /// When the next webhook is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.hooks.keys().next().map(|(due, _)| *due)
    }

    /// The webhook has been taken. Forgetting this in a crash only sends it again.
    ///
    /// # Errors
    /// The file system's.
    pub fn taken(&mut self, hook: &Hook) -> io::Result<()> {
        let entry = Entry { done: vec![hook.id.clone()], ..Entry::default() };
        self.journal.append(&entry, false)?;
        self.hooks.remove(&(hook.due, hook.id.clone()));
        Ok(())
    }
}

fn remember(
    charges: &mut HashMap<String, Charge>,
    answers: &mut HashMap<String, Answer>,
    hooks: &mut BTreeMap<(Timestamp, String), Hook>,
    entry: Entry,
) {
    if let Some(charge) = entry.charge {
        charges.insert(charge.intent.clone(), charge);
    }
    if let Some(answer) = entry.answer {
        answers.insert(answer.key.clone(), answer);
    }
    if !entry.done.is_empty() {
        hooks.retain(|(_, id), _| !entry.done.contains(id));
    }
    hooks.extend(entry.hooks.into_iter().map(|hook| ((hook.due, hook.id.clone()), hook)));
}
