//! Decisions in sentences. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use storage::Timestamp;

use super::Known;
use super::sight::Again;
use crate::city::dispatch::by_hand::Handed;
use crate::city::dispatch::model::{Candidate, Decision, JobState, Offer, OfferState, Outcome, RefusedBecause, Verdict};
use crate::city::dispatch::policy::Found;

/// Near people who are named with their reason.
const NAMED_MAX: usize = 3;

fn minutes(seconds: i64) -> String {
    match seconds {
        ..90 => format!("{seconds} s"),
        _ => format!("{} min", (seconds + 30) / 60),
    }
}

fn apart(from: Timestamp, to: Timestamp) -> String {
    minutes((to.ms_since(from) / 1000).abs())
}

/// One decision.
#[must_use]
pub fn decision(decision: &Decision) -> String {
    let candidates = &decision.candidates;
    let could = candidates.iter().filter(|candidate| candidate.outcome == Outcome::Outscored).count();
    match decision.verdict {
        Verdict::Nobody => format!("At {} nobody could be asked{}.", decision.at, reasons(candidates)),
        Verdict::Offered { courier, .. } => {
            let chosen = candidates.iter().find(|candidate| candidate.outcome == Outcome::Chosen);
            let mut said = format!("At {} {courier} was asked", decision.at);
            if decision.jobs.len() > 1 {
                let _ = write!(said, " for {} orders of one counter together", decision.jobs.len());
            }
            if let Some(Candidate { features, .. }) = chosen {
                let _ = write!(said, ": {} away, {} to the counter", metres(features.distance_m), minutes(features.eta_s.into()));
                match (features.wait_s, features.late_s) {
                    (0, 0) => said.push_str(", there just when it is ready"),
                    (wait_s, 0) => drop(write!(said, ", there {} before it is ready", minutes(wait_s.into()))),
                    (_, late_s) => drop(write!(said, ", there {} after it is ready", minutes(late_s.into()))),
                }
            }
            let _ = match could {
                0 => write!(said, "; nobody else could."),
                1 => write!(said, "; one other could, and would have cost more."),
                _ => write!(said, "; {could} others could, and would have cost more."),
            };
            said
        }
    }
}

fn metres(distance_m: u32) -> String {
    if distance_m < 1_000 { format!("{distance_m} m") } else { format!("{}.{} km", distance_m / 1_000, distance_m % 1_000 / 100) }
}

fn reasons(candidates: &[Candidate]) -> String {
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    for candidate in candidates {
        if let Outcome::Excluded(why) = candidate.outcome {
            *counted.entry(why.to_string()).or_default() += 1;
        }
    }
    if counted.is_empty() {
        return ": no courier was on the map".to_owned();
    }
    let parts: Vec<String> = counted.iter().map(|(why, count)| format!("{count} × {why}")).collect();
    format!(": {}", parts.join(", "))
}

/// Why this courier: the decision that led to the courier who has it, or the newest offer.
#[must_use]
pub fn why_this_courier(known: &Known) -> Vec<String> {
    let theirs = match known.job.state {
        JobState::Assigned { courier, .. } | JobState::Done { courier } => Some(courier),
        JobState::Waiting { .. } | JobState::Offered { .. } | JobState::Withdrawn | JobState::Unassignable => None,
    };
    let offered = |decision: &&Decision| match decision.verdict {
        Verdict::Offered { courier, .. } => theirs.is_none_or(|theirs| theirs == courier),
        Verdict::Nobody => false,
    };
    let newest = known.decisions.iter().rev().map(|(_, decision)| decision).find(offered);
    // By hand, unless dispatch asked that courier again later.
    let given = known.by_hand.last().filter(|handed| handed.to.is_some() && handed.to == theirs);
    if let Some(handed) = given.filter(|handed| newest.is_none_or(|newest| newest.at <= handed.at)) {
        return vec![hand(handed)];
    }
    let Some(newest) = newest else {
        return vec![match theirs {
            Some(courier) => format!("{courier} has it; the decision that led to it is not kept any more."),
            None => "No courier has been asked yet.".to_owned(),
        }];
    };
    let mut said = vec![decision(newest)];
    let chosen_m = newest.candidates.iter().find(|candidate| candidate.outcome == Outcome::Chosen).map(|chosen| chosen.features.distance_m);
    let nearer = newest.candidates.iter().filter(|candidate| chosen_m.is_some_and(|chosen_m| candidate.features.distance_m < chosen_m));
    let mut nearer: Vec<&Candidate> = nearer.collect();
    nearer.sort_by_key(|candidate| (candidate.features.distance_m, candidate.courier));
    for candidate in nearer.into_iter().take(NAMED_MAX) {
        let far = metres(candidate.features.distance_m);
        let why = match candidate.outcome {
            Outcome::Excluded(why) => why.to_string(),
            Outcome::Outscored | Outcome::Chosen => {
                format!("would have cost more in all ({} instead of {})", candidate.score / 1_000, cost_of_chosen(newest))
            }
        };
        said.push(format!("{} was nearer ({far}), but {why}.", candidate.courier));
    }
    said.extend(who_came_next(newest));
    said.push(format!("The policy was {}.", newest.policy));
    said
}

/// Who would have been asked otherwise, if what they have earned spoke against them.
fn who_came_next(decision: &Decision) -> Option<String> {
    let could = decision.candidates.iter().filter(|candidate| candidate.outcome == Outcome::Outscored);
    let next = could.min_by_key(|candidate| (candidate.score, candidate.courier))?;
    let chosen = decision.candidates.iter().find(|candidate| candidate.outcome == Outcome::Chosen)?;
    let richer = next.features.pay_permille? > chosen.features.pay_permille?;
    let (cost, instead) = (next.score / 1_000, cost_of_chosen(decision));
    richer.then(|| format!("{} came next ({cost} instead of {instead}) and has earned more by the hour today.", next.courier))
}

/// What an operator did.
fn hand(handed: &Handed) -> String {
    let Handed { at, from, to, by, reason, picked_up } = handed;
    let by = by.map_or_else(|| "the system".to_owned(), |user| user.to_string());
    let from = match (from, picked_up) {
        (Some(from), true) => format!(" out of the bag of {from}"),
        (Some(from), false) => format!(", taken from {from}"),
        (None, _) => String::new(),
    };
    match to {
        Some(to) => format!("At {at} it was given to {to} by hand, by {by}{from}: {reason}."),
        None => format!("At {at} dispatch was told by hand, by {by}, to look for somebody{from}: {reason}."),
    }
}

fn cost_of_chosen(decision: &Decision) -> i64 {
    let chosen = decision.candidates.iter().find(|candidate| candidate.outcome == Outcome::Chosen);
    chosen.map_or(0, |chosen| chosen.score / 1_000)
}

fn offer(offer: &Offer) -> String {
    let ended = match offer.state {
        OfferState::Made => "has not answered yet".to_owned(),
        OfferState::Accepted => "said yes".to_owned(),
        OfferState::Declined => match &offer.reason {
            Some(reason) => format!("said no ({reason})"),
            None => "said no".to_owned(),
        },
        OfferState::Lapsed => "did not answer in time".to_owned(),
        OfferState::Withdrawn => format!("was asked in vain: {}", offer.reason.as_deref().unwrap_or("the offer was taken back")),
    };
    format!("{}, asked at {}, {ended}.", offer.courier, offer.made_at)
}

/// Why so late: what happened, in the order in which it did.
#[must_use]
pub fn why_so_late(known: &Known) -> Vec<String> {
    let request = &known.job.request;
    let mut said = vec![format!("It was to be ready at {}.", request.ready_at)];
    match known.offers.first() {
        Some(first) => {
            let side = if first.made_at < request.ready_at { "before" } else { "after" };
            said.push(format!("The first courier was asked {} {side} that.", apart(request.ready_at, first.made_at)));
        }
        None => said.push("Nobody has been asked.".to_owned()),
    }
    said.extend(known.offers.iter().map(offer));
    let nobody: Vec<&Decision> =
        known.decisions.iter().map(|(_, decision)| decision).filter(|decision| decision.verdict == Verdict::Nobody).collect();
    if let (Some(first), Some(last)) = (nobody.first(), nobody.last()) {
        let looks = if nobody.len() == 1 { "1 look".to_owned() } else { format!("{} looks", nobody.len()) };
        said.push(format!("{looks} found nobody, from {} to {}; the last{}.", first.at, last.at, reasons(&last.candidates)));
    }
    said.extend(known.job.refused.iter().filter_map(|refused| match refused.why {
        RefusedBecause::Released => Some(format!("{} gave it back at {}.", refused.courier, refused.at)),
        RefusedBecause::Silent => {
            Some(format!("{} had it and was not heard of any more; it was taken from them at {}.", refused.courier, refused.at))
        }
        // Told with the operator's reason.
        RefusedBecause::Declined | RefusedBecause::Lapsed | RefusedBecause::Unseen | RefusedBecause::ByHand => None,
    }));
    said.extend(known.by_hand.iter().map(hand));
    let taken = known.offers.iter().rev().find(|offer| offer.state == OfferState::Accepted);
    if let (Some(due_at), Some(taken)) = (request.due_at, taken) {
        let side = if taken.eta > due_at { "after" } else { "before" };
        said.push(format!(
            "When it was taken, the door was expected at {}, {} {side} what was promised.",
            taken.eta,
            apart(due_at, taken.eta)
        ));
    }
    said.push(
        match known.job.state {
            JobState::Waiting { .. } => "It is looking for a courier.",
            JobState::Offered { .. } => "A courier is being asked.",
            JobState::Assigned { picked_up: false, .. } => "The courier has not picked it up yet.",
            JobState::Assigned { picked_up: true, .. } => "The courier is on the way to the door.",
            JobState::Done { .. } => "It was delivered.",
            JobState::Withdrawn => "It is not wanted any more.",
            JobState::Unassignable => "Nobody was found for an hour; it is on the operators' list.",
        }
        .to_owned(),
    );
    said
}

/// What another policy would have done.
#[must_use]
pub fn otherwise(again: &Again) -> String {
    let name = again.policy;
    match again.found {
        Found::Offer { courier, .. } if again.same => format!("{name} would have asked {courier} as well."),
        Found::Offer { courier, .. } => format!("{name} would have asked {courier}."),
        Found::Later { until } => format!("{name} would have asked nobody before {until}."),
        Found::Nobody => format!("{name} would have found nobody."),
    }
}
