//! Who asks what. A client knows what it was answered, and looks at an order before it acts on it, as an app would.

use serde_json::Value;
use storage::ledger::TransferKind;
use storage::{Timestamp, View};

use super::act::{Act, Request, transfer_id};
use super::dice::Dice;
use super::town::{Quarter, Town};
use crate::city::dispatch::{JobState, OfferId, jobs};
use crate::engine::{Caller, UserId};
use crate::money::payments::{Method, Status, intents};
use crate::trade::orders::model::{Digits, OrderId, Stage, State};
use crate::trade::orders::record::{ORDERS, Order};
use crate::trade::orders::ride::Milestone;
use crate::trade::quotes::model::QuoteId;

/// Orders under way that somebody looks at: the oldest ones, so that some come to their end.
const ORDERS_WATCHED: usize = 3;

/// All clients, and what they have been told.
#[derive(Default)]
pub struct Crowd {
    quotes: Vec<(QuoteId, UserId)>,
    orders: Vec<OrderId>,
    ended: Vec<OrderId>,
    offers: Vec<(OfferId, UserId)>,
    /// Pending transfers that may be posted or voided.
    holds: Vec<u64>,
    /// Requests without an answer: sent again until there is one.
    again: Vec<Request>,
    next_key: u64,
}

/// A courier's way, in the order of a good day.
const WAY: [Milestone; 5] =
    [Milestone::EnRouteToRestaurant, Milestone::AtRestaurant, Milestone::PickedUp, Milestone::AtCustomer, Milestone::Delivered];

impl Crowd {
    /// Somebody's next request.
    pub fn ask(&mut self, view: &View, town: &Town, dice: &mut Dice, now: Timestamp) -> Option<Request> {
        if !self.again.is_empty() && dice.percent(50) {
            return Some(self.again.swap_remove(dice.below(self.again.len())));
        }
        let (caller, act) = match dice.below(100) {
            0..7 => self.wish(town, dice)?,
            7..20 => self.buy(dice).or_else(|| self.wish(town, dice))?,
            20..30 => self.transfer(dice, now),
            30..45 if !self.offers.is_empty() => self.answer_offer(dice)?,
            _ => {
                let order = self.look_at(view, dice)?;
                self.follow(view, &order, town, dice)?
            }
        };
        self.next_key += 1;
        Some(Request { key: self.next_key, caller, act })
    }

    /// No answer came, or one that says to try again.
    pub fn unanswered(&mut self, request: Request) {
        self.again.push(request);
    }

    /// What nobody has had an answer to.
    #[must_use]
    pub fn is_patient(&self) -> bool {
        self.again.is_empty()
    }

    /// The oldest request without an answer.
    pub fn impatient(&mut self) -> Option<Request> {
        self.again.pop()
    }

    /// An answer has come: now the client knows.
    pub fn learn(&mut self, request: &Request, body: &[u8]) {
        let Ok(body) = serde_json::from_slice::<Value>(body) else { return };
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        let user = request.caller.user_id();
        match &request.act {
            Act::Quote { .. } => {
                if let (Ok(quote), Some(user)) = (text("quote").parse(), user) {
                    self.quotes.push((quote, user));
                }
            }
            Act::Place { quote, .. } => {
                self.quotes.retain(|(known, _)| known != quote);
                self.orders.extend(text("id").parse::<OrderId>());
            }
            Act::Transfer { n, kind: TransferKind::Pending { .. } } => self.holds.push(*n),
            _ => (),
        }
    }

    /// The courier's phone shows an offer that the dispatcher has made.
    pub fn offered(&mut self, body: &[u8], rider: UserId) {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        if let Some(Ok(offer)) = body["offer"].as_str().map(str::parse) {
            self.offers.push((offer, rider));
        }
    }

    /// An order under way, or now and then one that has ended.
    fn look_at(&mut self, view: &View, dice: &mut Dice) -> Option<Order> {
        if dice.percent(10) {
            return ORDERS.get(view, dice.pick(&self.ended)?);
        }
        let mut open = Vec::new();
        let mut at = 0;
        while open.len() < ORDERS_WATCHED && at < self.orders.len() {
            match ORDERS.get(view, &self.orders[at]) {
                Some(order) if order.state.is_final() => self.ended.push(self.orders.remove(at)),
                Some(order) => {
                    open.push(order);
                    at += 1;
                }
                // Placed, answered, and not shown yet: a leader waits for its follower.
                None => at += 1,
            }
        }
        dice.pick(&open).cloned()
    }

    fn wish(&self, town: &Town, dice: &mut Dice) -> Option<(Caller, Act)> {
        let (customer, quarter) = (*dice.pick(&town.customers)?, dice.pick(&town.quarters)?);
        let act = Act::Quote {
            merchant: quarter.merchant,
            item: quarter.items[dice.below(2)],
            quantity: 1 + dice.below(3) as u32,
            tip: 100 * dice.below(3) as i64,
        };
        Some((Caller::user(customer), act))
    }

    fn buy(&self, dice: &mut Dice) -> Option<(Caller, Act)> {
        let (quote, customer) = *dice.pick(&self.quotes)?;
        let method = if dice.percent(60) { Method::Card } else { Method::Cash };
        Some((Caller::user(customer), Act::Place { quote, method }))
    }

    fn transfer(&mut self, dice: &mut Dice, now: Timestamp) -> (Caller, Act) {
        // Transfers' numbers are their own: the key's would do, but a hold is about another one.
        let n = self.next_key + 1;
        let kind = match dice.below(6) {
            0 => TransferKind::Pending { expires_at: Some(now.plus_s(1 + dice.below(120) as i64)) },
            1 => TransferKind::Pending { expires_at: None },
            2 | 3 if !self.holds.is_empty() => {
                let pending = transfer_id(self.holds.swap_remove(dice.below(self.holds.len())));
                if dice.percent(50) { TransferKind::Post { pending } } else { TransferKind::Void { pending } }
            }
            _ => TransferKind::Single,
        };
        (Caller::system("simulator"), Act::Transfer { n, kind })
    }

    fn answer_offer(&mut self, dice: &mut Dice) -> Option<(Caller, Act)> {
        let at = self.offers.len().checked_sub(1)?;
        let (offer, rider) = self.offers.swap_remove(dice.below(at + 1));
        Some((Caller::user(rider), Act::Answer { offer, yes: dice.percent(85) }))
    }

    /// What somebody does about an order as it stands; sometimes what cannot be done.
    fn follow(&self, view: &View, order: &Order, town: &Town, dice: &mut Dice) -> Option<(Caller, Act)> {
        let id = order.id;
        let quarter = town.quarter_of(order.created.merchant)?;
        let (staff, customer) = (Caller::user(quarter.staff), Caller::user(order.created.customer));
        if dice.percent(3) {
            let who = if dice.percent(50) { customer } else { Caller::user(town.support) };
            return Some((who, Act::Cancel { order: id }));
        }
        let state = if dice.percent(4) { *dice.pick(&State::ALL)? } else { order.state };
        match state {
            State::Created | State::PendingPayment => pay(view, order, customer, dice),
            State::Confirmed => match dice.below(10) {
                0 => Some((staff, Act::Reject { order: id })),
                1 | 2 => Some((staff, Act::See { order: id })),
                _ => Some((staff, Act::Accept { order: id })),
            },
            State::Accepted | State::Preparing if order.courier.is_some() && dice.percent(40) => ride(town, order, dice),
            State::Accepted if dice.percent(30) => Some((staff, Act::Prepare { order: id })),
            State::Accepted | State::Preparing if dice.percent(50) => Some((staff, Act::Ready { order: id })),
            State::Accepted | State::Preparing | State::ReadyForPickup => dispatch(view, order, quarter, dice),
            State::Assigned
            | State::EnRouteToRestaurant
            | State::AtRestaurant
            | State::PickedUp
            | State::EnRouteToCustomer
            | State::AtCustomer => ride(town, order, dice),
            State::Delivered | State::Settled | State::Rejected | State::Cancelled => {
                let intent = order.payment.intent?;
                let amount = dice.percent(60).then(|| 1 + dice.below(400) as i64);
                Some((Caller::user(town.support), Act::Refund { intent, amount }))
            }
        }
    }
}

fn pay(view: &View, order: &Order, customer: Caller, dice: &mut Dice) -> Option<(Caller, Act)> {
    let intent = order.payment.intent?;
    let status = intents::get(view, intent)?.status;
    match status {
        Status::Failed | Status::Cancelled | Status::Expired => return Some((customer, Act::PayAgain { order: order.id })),
        // The provider has been asked: wait, mostly.
        Status::Processing | Status::RequiresAction | Status::Authorized if dice.percent(80) => return None,
        _ => (),
    }
    let token = match dice.below(10) {
        0 => "tok_declined",
        1 => "tok_requires_action",
        2 => "tok_timeout",
        _ => "tok_ok",
    };
    Some((customer, Act::Confirm { intent, token }))
}

/// The dispatcher finds somebody for a job that is due.
fn dispatch(view: &View, order: &Order, quarter: &Quarter, dice: &mut Dice) -> Option<(Caller, Act)> {
    let (_, job) = jobs::of_subject(view, order.id.as_u128())?;
    if !matches!(job.state, JobState::Waiting { .. }) && dice.percent(80) {
        return None;
    }
    let (courier, _) = *dice.pick(&quarter.couriers)?;
    Some((Caller::system("dispatch"), Act::Offer { order: order.id, courier }))
}

fn ride(town: &Town, order: &Order, dice: &mut Dice) -> Option<(Caller, Act)> {
    let rider = Caller::user(town.rider(order.courier?)?);
    if dice.percent(4) {
        return Some((rider, Act::Release { order: order.id }));
    }
    let reached = match order.leg.map_or(order.state, Stage::state) {
        State::Assigned => 0,
        State::EnRouteToRestaurant => 1,
        State::AtRestaurant => 2,
        State::PickedUp | State::EnRouteToCustomer => 3,
        State::AtCustomer => 4,
        State::Created
        | State::PendingPayment
        | State::Confirmed
        | State::Accepted
        | State::Preparing
        | State::ReadyForPickup
        | State::Delivered
        | State::Settled
        | State::Rejected
        | State::Cancelled => dice.below(WAY.len()),
    };
    // A courier in a hurry skips one.
    let to = *WAY.get(reached + usize::from(dice.percent(30))).unwrap_or(&Milestone::Delivered);
    let right: Option<Digits> = match to {
        Milestone::PickedUp => Some(order.created.pickup_code),
        Milestone::Delivered => Some(order.created.delivery_code),
        Milestone::EnRouteToRestaurant | Milestone::AtRestaurant | Milestone::EnRouteToCustomer | Milestone::AtCustomer => None,
    };
    let code = if dice.percent(15) { right.map(|_| *b"none") } else { right };
    let cash = order.payment.cash_due.filter(|_| to == Milestone::Delivered);
    Some((rider, Act::Report { order: order.id, to, code, cash }))
}
