//! Planning ahead, pure: all open wishes and all couriers of a moment, what everybody would do from now on, and who must leave now.
//!
//! ```text
//!  Town ──► fill ──► improve ─────────────────────────────► Plan ──► decide ──► Call: leave now
//!           (each    (wishes move, chains are re-assigned            └────────► Outlook: planned for then, or for nobody
//!            where    exactly, tails are exchanged)
//!            cheapest)
//! ```
//!
//! A plan is thrown away at the end of the round; only a departure that cannot wait is kept (two-stage commitment). So whatever is not under way is
//! planned anew with all that has become known. Who is under way to a counter can be given more from it until they leave it. What they have accepted
//! stays theirs: moving it to somebody better placed was measured, and gained no more than chance (benches/README.md).
//!
//! Reading order: [`town`] (what is known), [`demand`] (where orders come from), [`chain`] (what one courier would do and what it costs), [`assign`] (the assignment problem), [`search`]
//! (the plan), this file (what must happen now), [`rolling`] (the published way, to measure ours against).
//!
//! Source of the rolling horizon, the bundles of one counter and the commitment: Reyes, Erera, Savelsbergh, Sahasrabudhe, O'Neil, "The Meal Delivery
//! Routing Problem" (2018). Chains of several trips, their exchange and re-assignment are ours, after the classic moves for vehicle routing with
//! time windows (relocate, 2-opt*: Potvin and Rousseau 1995).

pub mod assign;
pub mod chain;
pub mod demand;
pub mod rolling;
pub mod search;
pub mod town;

use search::{Plan, Search};
use town::Town;

/// What a plan is weighed by: thousandths of a second of a customer's patience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    /// A second that an order is not at its door, from when it is (or, if that is past, now).
    pub wait: i64,
    /// On top of it, a second after it was due.
    pub late: i64,
    /// A second of a courier's time, from leaving to being free again: orders that nobody knows of yet will want it.
    pub busy: i64,
    /// A second of the way from where a courier ends up to where orders come from, beyond what it is now ([`demand::mean_way_s`]).
    pub rest: i64,
    /// An order beyond what the courier's guarantee pays for.
    pub pay: i64,
    /// An order, for each thousandth of what its courier has earned by the hour today ([`town::Hand::pay_permille`]).
    pub fair: i64,
    /// An order that nobody brings.
    pub left: i64,
}

/// Who should leave now, for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub hand: usize,
    /// In the sequence of their doors. Never empty.
    pub wishes: Vec<usize>,
    pub pickup_s: i64,
    /// When the last of them is at its door, and the courier free.
    pub end_s: i64,
}

/// What is thought of a wish for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    pub hand: usize,
    pub leave_s: i64,
    pub pickup_s: i64,
}

/// What a round came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    pub calls: Vec<Call>,
    /// By wish; `None`: no courier can bring it.
    pub outlooks: Vec<Option<Outlook>>,
}

/// Plans, and says who must leave now.
#[must_use]
pub fn decide(town: &Town, weights: &Weights) -> Round {
    let mut search = Search::new(town, weights);
    search.fill();
    search.improve();
    commit(town, weights, &search.done())
}

/// What of a plan cannot wait for the next round.
fn commit(town: &Town, weights: &Weights, plan: &Plan) -> Round {
    let mut round = Round { calls: Vec::new(), outlooks: vec![None; town.wishes.len()] };
    let soon_s = town.now_s + town.round_s + town.ahead_s;
    for (hand, chain) in plan.chains.iter().enumerate() {
        let known = &town.hands[hand];
        let all_hours = chain::hours(town, weights, hand, chain);
        for (trip, hours) in chain.iter().zip(&all_hours) {
            for wish in trip.wishes() {
                round.outlooks[wish] = Some(Outlook { hand, leave_s: hours.leave_s, pickup_s: hours.pickup_s });
            }
        }
        let (Some(trip), Some(hours)) = (chain.first(), all_hours.first()) else { continue };
        let is_theirs = |wish: &usize| town.wishes[*wish].owner.is_some();
        let must_know_s = if known.sent_to.is_some() {
            // What is theirs leaves the counter as soon as it can, whatever else is planned.
            let theirs = trip.wishes().filter(is_theirs).map(|wish| town.wishes[wish].ready_s);
            theirs.fold(known.free_s + town.service.pickup_s / 2, i64::max)
        } else {
            hours.leave_s
        };
        let is_free = known.sent_to.is_some() || known.free_s <= town.now_s;
        let wishes: Vec<usize> = trip.wishes().filter(|wish| !is_theirs(wish)).collect();
        if is_free && must_know_s < soon_s && !wishes.is_empty() {
            round.calls.push(Call { hand, wishes, pickup_s: hours.pickup_s, end_s: hours.end_s });
        }
    }
    round
}
