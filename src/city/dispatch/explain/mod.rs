//! Why this courier, and why so late: decisions as a person would ask about them, and played again by another policy.
//!
//! ```text
//!  dispatcher ── decision (candidates, features, scores, why not) ──► story ──► sentences
//!       └─────── sight (people and jobs as they were) ──► another policy ──► what it would have done
//! ```
//!
//! Reading order: [`sight`] (what a policy saw, stored), [`story`] (sentences, pure), [`fairness`] (who gets how much of the work), [`http`].

pub mod fairness;
pub mod http;
pub mod sight;
pub mod story;

use storage::Read;

use super::by_hand::{self, Handed};
use super::jobs;
use super::model::{Decision, DecisionId, Job, OFFERS, Offer, Verdict};
use super::policy::Choice;
use super::views;
use sight::{Again, SIGHTS};

/// Decisions that one explanation looks at, the newest.
const DECISIONS_MAX: usize = 100;

/// What is known about how a subject found its courier. The oldest comes first.
pub struct Known {
    pub job: Job,
    pub decisions: Vec<(DecisionId, Decision)>,
    pub offers: Vec<Offer>,
    /// What operators did.
    pub by_hand: Vec<Handed>,
    /// By decision: what another policy makes of what was seen.
    pub again: Vec<(DecisionId, Again)>,
}

/// Everything about a subject; `None` if dispatch never heard of it. With `with`, each stored decision is played again by that policy.
#[must_use]
pub fn about(read: &(impl Read + ?Sized), subject: u128, with: Option<Choice>) -> Option<Known> {
    let (_, job) = jobs::of_subject(read, subject)?;
    let mut decisions = views::decisions(read, subject, DECISIONS_MAX);
    decisions.reverse();
    let offer = |(_, decision): &(DecisionId, Decision)| match decision.verdict {
        Verdict::Offered { offer, .. } => OFFERS.get(read, &offer),
        Verdict::Nobody => None,
    };
    let offers = decisions.iter().filter_map(offer).collect();
    let mut again = Vec::new();
    if let Some(choice) = with {
        let policy = choice.policy();
        for (id, decision) in &decisions {
            if let Some(sight) = SIGHTS.get(read, id) {
                again.push((*id, sight::again(&sight, decision, &*policy)));
            }
        }
    }
    let by_hand = by_hand::of_subject(read, subject).collect();
    Some(Known { job, decisions, offers, by_hand, again })
}
