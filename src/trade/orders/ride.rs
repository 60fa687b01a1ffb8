//! What couriers do with an order: say where they are, show codes, give it back.

use storage::Timestamp;

use super::consequences::act;
use super::model::{Actor, Command, Digits, Event, OrderId, Part, Proof, Refusal, Stage, State};
use super::parts::{actor, permitted};
use super::record::Order;
use crate::city::dispatch;
use crate::city::field::Invalid;
use crate::city::media::model::{MEDIA, MediaId};
use crate::engine::{Fault, Tx};
use crate::money::Money;
use crate::trade::failure::Failure;

/// A courier's clock may be ahead of ours by this much.
const CLOCK_SKEW_S: i64 = 60;

/// Where the courier says to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Milestone {
    EnRouteToRestaurant,
    AtRestaurant,
    PickedUp,
    EnRouteToCustomer,
    AtCustomer,
    Delivered,
}

/// What the courier (or support, with a reason) reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub to: Milestone,
    pub code: Option<Digits>,
    pub photo: Option<MediaId>,
    /// When it happened, by the courier's clock.
    pub at: Option<Timestamp>,
    pub cash_collected: Option<Money>,
    pub reason: Option<String>,
}

/// How a report was taken: the order moved on, or a wrong code was counted, which has to be committed.
#[derive(Clone, Debug)]
pub enum Taken {
    Moved(Box<Order>),
    WrongCode { attempts_left: u8 },
}

/// Takes a report.
///
/// # Errors
/// [`Failure::Refused`] if the machine says no; [`Failure::Invalid`] if something is missing or cannot be.
pub fn report(tx: &mut Tx<'_, '_>, id: OrderId, report: Report) -> Result<Taken, Failure> {
    if report.at.is_some_and(|at| at > tx.now().plus_s(CLOCK_SKEW_S)) {
        return Err(Failure::out_of_range("/at", "it cannot have happened in the future"));
    }
    let order = permitted(tx, "orders.status", id)?;
    let actor = actor(tx, &order, &[Part::Courier, Part::Support]);
    let command = command(tx, &order, actor, report)?;
    let (order, events) = act(tx, id, actor, &command)?;
    let wrong = events.iter().any(|event| matches!(event, Event::CodeRefused { .. }));
    if !wrong {
        return Ok(Taken::Moved(Box::new(order)));
    }
    let lock = if matches!(command, Command::PickUp { .. }) { order.pickup } else { order.delivery };
    // The lock counts from 0 again once it is shut.
    let attempts_left =
        if lock.locked_until.is_some_and(|until| tx.now() < until) { 0 } else { super::model::WRONG_CODES_MAX - lock.wrong };
    Ok(Taken::WrongCode { attempts_left })
}

fn command(tx: &Tx<'_, '_>, order: &Order, actor: Actor, report: Report) -> Result<Command, Failure> {
    let Report { to, code, photo, at, cash_collected, reason } = report;
    let reported_at = at.map(|at| at.min(tx.now()));
    if actor.part == Part::Support && reason.is_none() {
        return Err(Failure::required("/reason", "support says why it acts for the courier"));
    }
    let cash = cash_collected.map(|cash| collected(order, cash)).transpose()?;
    // A reason is support's own proof; a courier's reason proves nothing.
    let vouched = reason.filter(|_| actor.part == Part::Support).map(Proof::Support);
    let proof = code.map(Proof::Code).or(vouched);
    let arrived = matches!(to, Milestone::AtCustomer);
    // What is missing matters only where the order could go there: first the machine's word, then the code's.
    let missing = |state: State, possible: bool, failure: Failure| {
        if possible { failure } else { Refusal::Illegal { from: order.state, to: state }.into() }
    };
    Ok(match to {
        Milestone::EnRouteToRestaurant => Command::Approach { stage: Stage::EnRouteToRestaurant, reported_at },
        Milestone::AtRestaurant => Command::Approach { stage: Stage::AtRestaurant, reported_at },
        Milestone::PickedUp => {
            let needed = || missing(State::PickedUp, order.stage().is_some(), Failure::required("/code", "the merchant's pick-up code"));
            Command::PickUp { proof: proof.ok_or_else(needed)?, reported_at }
        }
        Milestone::EnRouteToCustomer | Milestone::AtCustomer => Command::Bring { arrived, reported_at },
        Milestone::Delivered => {
            let carried = matches!(order.state, State::PickedUp | State::EnRouteToCustomer | State::AtCustomer);
            let needed = || {
                missing(
                    State::Delivered,
                    carried,
                    Failure::required("/code", "the customer's delivery code, or a photo where the city allows it"),
                )
            };
            let proof = match (proof, photo) {
                (Some(proof), _) => proof,
                (None, Some(photo)) => {
                    if carried && order.created.terms.photo_is_proof {
                        check_photo(tx, order, actor, photo)?;
                    }
                    Proof::Photo(photo.to_string())
                }
                (None, None) => return Err(needed()),
            };
            Command::Deliver { proof, cash_collected: cash, reported_at }
        }
    })
}

/// A picture proves a delivery if whoever delivers took it with the food in the bag.
fn check_photo(tx: &Tx<'_, '_>, order: &Order, actor: Actor, photo: MediaId) -> Result<(), Invalid> {
    let unusable = |why| Invalid::new("/photo", "not_allowed", why);
    let media = MEDIA.get(tx, &photo).filter(|media| Some(media.owner) == actor.user);
    let media = media.ok_or_else(|| unusable("a picture that the courier has added"))?;
    if order.picked_up_at.is_none_or(|picked_up_at| media.created_at < picked_up_at) {
        return Err(unusable("a picture that was added after the pick-up"));
    }
    Ok(())
}

fn collected(order: &Order, cash: Money) -> Result<i64, Failure> {
    if cash.currency == order.created.amounts.currency {
        Ok(cash.amount)
    } else {
        Err(Invalid::new("/cash_collected/currency", "wrong_currency", "not the order's currency").into())
    }
}

/// The courier gives the order back before pick-up; somebody else is looked for.
///
/// # Errors
/// [`Failure::Refused`] once the food is picked up.
pub fn release(tx: &mut Tx<'_, '_>, id: OrderId, reason: &str) -> Result<Order, Failure> {
    let order = permitted(tx, "orders.release", id)?;
    let actor = actor(tx, &order, &[Part::Courier, Part::Support]);
    let Some(courier) = order.courier else {
        return Err(Refusal::Illegal { from: order.state, to: State::ReadyForPickup }.into());
    };
    let (order, _) = act(tx, id, actor, &Command::Unassign { courier, reason: reason.to_owned() })?;
    dispatch::release(tx, id.as_u128(), courier, reason).map_err(|refusal| Fault::new(refusal.to_string()))?;
    Ok(order)
}
