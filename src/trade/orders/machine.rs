//! The rules: what a command makes happen in a state. Pure: time and facts come in as arguments.

use storage::Timestamp;

use super::model::{Command, Delivered, Digits, Door, Event, Part, Proof, Refusal, Stage, State};
use super::record::{Lock, Order};
use crate::money::payments::Method;

/// The events that `command` makes happen at `now`, oldest first. None: it is as wanted already.
///
/// A forward command also makes the events that were skipped happen, never across payment, acceptance or a code. A wrong code is an event too
/// ([`Event::CodeRefused`], alone): it has to be remembered.
///
/// # Errors
/// [`Refusal`]; then nothing happened.
pub fn decide(order: Option<&Order>, command: &Command, now: Timestamp) -> Result<Vec<Event>, Refusal> {
    let order = match (order, command) {
        (None, Command::Place { created, intent }) => return Ok(place(created, *intent)),
        (None, _) => return Err(Refusal::Unknown),
        (Some(order), _) => order,
    };
    match command {
        Command::Place { .. } => Err(Refusal::Exists),
        Command::ReplaceIntent { .. }
        | Command::Authorized { .. }
        | Command::Captured { .. }
        | Command::CaptureFailed { .. }
        | Command::PaymentLost { .. }
        | Command::RefundInitiated { .. }
        | Command::RefundSettled { .. }
        | Command::RefundFailed { .. }
        | Command::GiveUpUnpaid => money(order, command),
        Command::GiveUpUnaccepted
        | Command::See
        | Command::Accept { .. }
        | Command::Reject { .. }
        | Command::Prepare
        | Command::Ready
        | Command::Delay { .. } => merchant(order, command, now),
        Command::MoveDropoff { to, courier_is_near } => {
            movable(order.state, *courier_is_near).map(|()| vec![Event::DropoffMoved(to.clone())])
        }
        Command::Assign { .. }
        | Command::Unassign { .. }
        | Command::Replace { .. }
        | Command::Expect { .. }
        | Command::Approach { .. }
        | Command::PickUp { .. }
        | Command::Bring { .. }
        | Command::Deliver { .. } => courier(order, command, now),
        Command::Cancel { by, reason, goods } => cancel(order.state, *by).map(|failed| {
            vec![if failed {
                Event::DeliveryFailed { cause: reason.clone(), goods: *goods }
            } else {
                Event::OrderCancelled { by: *by, reason: reason.clone() }
            }]
        }),
    }
}

fn illegal(from: State, to: State) -> Result<Vec<Event>, Refusal> {
    Err(Refusal::Illegal { from, to })
}

fn place(created: &super::model::Created, intent: crate::money::payments::IntentId) -> Vec<Event> {
    let paying = match created.method {
        Method::Cash => Event::CashOnDelivery { intent, due: created.amounts.total },
        method @ (Method::Card | Method::Wallet | Method::MobileMoney) => Event::PaymentIntentCreated { intent, method },
    };
    vec![Event::OrderCreated(Box::new(created.clone())), paying]
}

/// What the payment, or its absence, does.
fn money(order: &Order, command: &Command) -> Result<Vec<Event>, Refusal> {
    let state = order.state;
    let ours = |intent| if order.payment.intent == Some(intent) { Ok(()) } else { Err(Refusal::OtherIntent) };
    match *command {
        Command::ReplaceIntent { intent, .. } if order.payment.intent == Some(intent) => Ok(vec![]),
        Command::ReplaceIntent { intent, method } => match state {
            State::Created | State::PendingPayment => Ok(vec![match method {
                Method::Cash => Event::CashOnDelivery { intent, due: order.total() },
                Method::Card | Method::Wallet | Method::MobileMoney => Event::PaymentIntentCreated { intent, method },
            }]),
            from => illegal(from, State::PendingPayment),
        },
        Command::Authorized { intent } => {
            ours(intent)?;
            match state {
                State::Created | State::PendingPayment => Ok(vec![Event::PaymentAuthorized { intent }]),
                from @ (State::Rejected | State::Cancelled) => illegal(from, State::Confirmed),
                // The provider's news came twice, or after the capture's.
                _ => Ok(vec![]),
            }
        }
        Command::Captured { intent, amount } => {
            ours(intent)?;
            match state {
                State::Created | State::PendingPayment => Ok(vec![Event::PaymentReceived { intent, amount }]),
                from @ (State::Rejected | State::Cancelled) => illegal(from, State::Settled),
                State::Settled => Ok(vec![]),
                State::Delivered => Ok(vec![Event::PaymentCaptured { amount }]),
                _ if order.payment.captured >= amount => Ok(vec![]),
                _ => Ok(vec![Event::PaymentCaptured { amount }]),
            }
        }
        Command::CaptureFailed { intent, ref reason } => {
            ours(intent)?;
            if state.is_final() || order.is_paid() { Ok(vec![]) } else { Ok(vec![Event::PaymentCaptureFailed { reason: reason.clone() }]) }
        }
        Command::PaymentLost { intent } => {
            if order.payment.intent != Some(intent) {
                return Ok(vec![]);
            }
            let reason = "the payment was cancelled".to_owned();
            match state {
                State::Confirmed | State::Accepted => Ok(vec![Event::OrderCancelled { by: Part::System, reason }]),
                // Too late to stop: operators hear of it now, not at the door.
                State::Preparing
                | State::ReadyForPickup
                | State::Assigned
                | State::EnRouteToRestaurant
                | State::AtRestaurant
                | State::PickedUp
                | State::EnRouteToCustomer
                | State::AtCustomer
                | State::Delivered => Ok(vec![Event::PaymentCaptureFailed { reason }]),
                // Before it was paid another try is open; at the end nothing is owed.
                State::Created | State::PendingPayment | State::Settled | State::Rejected | State::Cancelled => Ok(vec![]),
            }
        }
        Command::RefundInitiated { refund, amount } => Ok(vec![Event::RefundInitiated { refund, amount }]),
        Command::RefundSettled { refund, amount } => Ok(vec![Event::RefundSettled { refund, amount }]),
        Command::RefundFailed { refund, amount } => Ok(vec![Event::RefundFailed { refund, amount }]),
        Command::GiveUpUnpaid => match state {
            State::Created | State::PendingPayment => Ok(vec![Event::OrderCancelled { by: Part::System, reason: "unpaid".to_owned() }]),
            _ => Ok(vec![]),
        },
        ref other => unreachable!("decide gives money only its own commands, not {other:?}"),
    }
}

/// What the merchant, or its silence, does.
fn merchant(order: &Order, command: &Command, now: Timestamp) -> Result<Vec<Event>, Refusal> {
    let confirmed = order.state == State::Confirmed;
    match command {
        Command::GiveUpUnaccepted if confirmed => {
            Ok(vec![Event::OrderRejectedByRestaurant { reason: "unaccepted".to_owned(), items: vec![] }])
        }
        Command::See if confirmed && order.seen_at.is_none() => Ok(vec![Event::Seen]),
        Command::GiveUpUnaccepted | Command::See => Ok(vec![]),
        Command::Accept { ready_at } if confirmed && *ready_at < now => Err(Refusal::ReadyInThePast),
        &Command::Accept { ready_at } if confirmed => Ok(vec![Event::OrderAcceptedByRestaurant { ready_at }]),
        Command::Accept { .. } => illegal(order.state, State::Accepted),
        Command::Reject { reason, items } if confirmed => {
            Ok(vec![Event::OrderRejectedByRestaurant { reason: reason.clone(), items: items.clone() }])
        }
        Command::Reject { .. } => illegal(order.state, State::Rejected),
        Command::Prepare if order.state == State::Accepted => Ok(vec![Event::FoodPreparing]),
        Command::Prepare => illegal(order.state, State::Preparing),
        Command::Ready if matches!(order.state, State::Accepted | State::Preparing) => Ok(to_ready(order)),
        Command::Ready => illegal(order.state, State::ReadyForPickup),
        Command::Delay { ready_at } if *ready_at <= now => Err(Refusal::ReadyInThePast),
        &Command::Delay { ready_at } if matches!(order.state, State::Accepted | State::Preparing) => {
            Ok(vec![Event::OrderDelayed { ready_at }])
        }
        // Whatever comes after it, the food is there.
        Command::Delay { .. } => illegal(order.state, State::Preparing),
        other => unreachable!("decide gives merchants only their own commands, not {other:?}"),
    }
}

/// From ACCEPTED or PREPARING to READY, and the courier's leg folded in.
fn to_ready(order: &Order) -> Vec<Event> {
    let mut events = Vec::with_capacity(5);
    if order.state == State::Accepted {
        events.push(Event::FoodPreparing);
    }
    events.push(Event::OrderReadyForPickup);
    if let (Some(courier), Some(stage)) = (order.courier, order.leg) {
        events.push(Event::DriverAssigned { courier, eta: order.eta });
        events.extend(approach(Stage::Assigned, stage, None));
    }
    events
}

/// The events between two stages, the first one exclusive. The reported time is the last one's.
fn approach(from: Stage, to: Stage, reported_at: Option<Timestamp>) -> Vec<Event> {
    let mut events = Vec::with_capacity(2);
    if from < Stage::EnRouteToRestaurant && Stage::EnRouteToRestaurant <= to {
        events.push(Event::DriverEnRouteToRestaurant { reported_at: reported_at.filter(|_| to == Stage::EnRouteToRestaurant) });
    }
    if from < Stage::AtRestaurant && Stage::AtRestaurant <= to {
        events.push(Event::DriverArrivedAtRestaurant { reported_at });
    }
    events
}

/// What dispatch and the courier do.
fn courier(order: &Order, command: &Command, now: Timestamp) -> Result<Vec<Event>, Refusal> {
    let state = order.state;
    match *command {
        Command::Assign { courier, eta } => match (state, order.courier) {
            (State::Accepted | State::Preparing | State::Assigned | State::EnRouteToRestaurant | State::AtRestaurant, Some(there)) => {
                if there == courier {
                    Ok(vec![])
                } else {
                    Err(Refusal::OtherCourier)
                }
            }
            (State::Accepted | State::Preparing, None) => Ok(vec![Event::LegStarted { courier, eta }]),
            (State::ReadyForPickup, _) => Ok(vec![Event::DriverAssigned { courier, eta }]),
            (from, _) => illegal(from, State::Assigned),
        },
        Command::Unassign { courier, .. } if order.courier != Some(courier) => Ok(vec![]),
        Command::Unassign { courier, ref reason } => match (state, order.stage()) {
            (State::Accepted | State::Preparing, Some(_)) => Ok(vec![Event::LegEnded { courier, reason: reason.clone() }]),
            (_, Some(_)) => Ok(vec![Event::DriverUnassigned { courier, reason: reason.clone() }]),
            (from, None) => illegal(from, State::ReadyForPickup),
        },
        Command::Replace { from, courier, eta, ref reason } => match state {
            State::PickedUp | State::EnRouteToCustomer | State::AtCustomer if order.courier == Some(from) => {
                Ok(vec![Event::DriverReplaced { from, courier, eta, reason: reason.clone() }])
            }
            State::PickedUp | State::EnRouteToCustomer | State::AtCustomer => Err(Refusal::OtherCourier),
            // Before the pick-up one is taken off and another assigned.
            from => illegal(from, State::PickedUp),
        },
        // Late news of a way that is over or somebody else's says nothing any more.
        Command::Expect { courier, eta } => {
            let is_under_way = order.courier == Some(courier) && order.ended_at.is_none();
            Ok(if is_under_way && order.eta != Some(eta) { vec![Event::Expected { eta }] } else { vec![] })
        }
        Command::Approach { stage, reported_at } => match order.stage() {
            Some(from) if from < stage && order.leg.is_some() => Ok(vec![Event::LegMoved { stage }]),
            Some(from) if from < stage => Ok(approach(from, stage, reported_at)),
            Some(_) | None => illegal(state, stage.state()),
        },
        Command::PickUp { ref proof, reported_at } => {
            let Some(stage) = order.stage() else { return illegal(state, State::PickedUp) };
            let by_support = match show(proof, order.created.pickup_code, order.pickup, false, now)? {
                Shown::Wrong => return Ok(vec![Event::CodeRefused { door: Door::Pickup }]),
                Shown::Good(Delivered::Support(reason)) => Some(reason),
                Shown::Good(Delivered::Code | Delivered::Photo(_)) => None,
            };
            // Whoever hands the food over with its code says that it is ready.
            let mut events = if order.leg.is_some() { to_ready(order) } else { vec![] };
            events.extend(approach(stage, Stage::AtRestaurant, None));
            events.push(Event::OrderPickedUp { by_support, reported_at });
            Ok(events)
        }
        Command::Bring { arrived, reported_at } => {
            let to = if arrived { State::AtCustomer } else { State::EnRouteToCustomer };
            if matches!(state, State::PickedUp | State::EnRouteToCustomer) && state < to {
                Ok(bring(state, to, reported_at))
            } else {
                illegal(state, to)
            }
        }
        Command::Deliver { ref proof, cash_collected, reported_at } => {
            if !matches!(state, State::PickedUp | State::EnRouteToCustomer | State::AtCustomer) {
                return illegal(state, State::Delivered);
            }
            if let (Some(due), Some(collected)) = (order.payment.cash_due, cash_collected)
                && due != collected
            {
                return Err(Refusal::CashDiffers { due });
            }
            let proof = match show(proof, order.created.delivery_code, order.delivery, order.created.terms.photo_is_proof, now)? {
                Shown::Wrong => return Ok(vec![Event::CodeRefused { door: Door::Delivery }]),
                Shown::Good(proof) => proof,
            };
            let mut events = bring(state, State::AtCustomer, None);
            events.push(Event::OrderDelivered { proof, cash_collected: order.payment.cash_due, reported_at });
            if order.payment.cash_due.is_some() || order.is_paid() {
                events.push(Event::PaymentCaptured { amount: order.total() });
            }
            Ok(events)
        }
        ref other => unreachable!("decide gives couriers only their own commands, not {other:?}"),
    }
}

/// The events from pick-up (or later) to `to`, which is at most the customer's door. The reported time is the last one's.
fn bring(from: State, to: State, reported_at: Option<Timestamp>) -> Vec<Event> {
    let mut events = Vec::with_capacity(4);
    if from < State::EnRouteToCustomer && State::EnRouteToCustomer <= to {
        events.push(Event::DriverEnRouteToCustomer { reported_at: reported_at.filter(|_| to == State::EnRouteToCustomer) });
    }
    if from < State::AtCustomer && State::AtCustomer <= to {
        events.push(Event::DriverArrivedAtCustomer { reported_at });
    }
    events
}

enum Shown {
    Good(Delivered),
    Wrong,
}

fn show(proof: &Proof, code: Digits, lock: Lock, photo_is_proof: bool, now: Timestamp) -> Result<Shown, Refusal> {
    match (proof, lock.locked_until) {
        (Proof::Support(reason), _) => Ok(Shown::Good(Delivered::Support(reason.clone()))),
        (Proof::Photo(_), _) if !photo_is_proof => Err(Refusal::PhotoIsNoProof),
        // Whoever has guessed at the code too often does not get round it with a picture.
        (Proof::Photo(_) | Proof::Code(_), Some(until)) if now < until => Err(Refusal::Locked { until }),
        (Proof::Photo(photo), _) => Ok(Shown::Good(Delivered::Photo(photo.clone()))),
        (Proof::Code(given), _) => Ok(if *given == code { Shown::Good(Delivered::Code) } else { Shown::Wrong }),
    }
}

/// Whether an order in `state` can go to another door.
///
/// # Errors
/// [`Refusal::DropoffFixed`].
fn movable(state: State, courier_is_near: bool) -> Result<(), Refusal> {
    let fixed = |message| Err(Refusal::DropoffFixed { message });
    match state {
        State::PickedUp | State::EnRouteToCustomer if courier_is_near => fixed("the courier is nearly at the door"),
        State::Created
        | State::PendingPayment
        | State::Confirmed
        | State::Accepted
        | State::Preparing
        | State::ReadyForPickup
        | State::Assigned
        | State::EnRouteToRestaurant
        | State::AtRestaurant
        | State::PickedUp
        | State::EnRouteToCustomer => Ok(()),
        State::AtCustomer => fixed("the courier is at the door"),
        State::Delivered | State::Settled | State::Rejected | State::Cancelled => fixed("the order has ended"),
    }
}

/// Whether `by` may end an order in `state`, and whether that is a failed delivery (`true`) or a cancellation.
///
/// The plain policy: customers free of charge before PREPARING, merchants too, support whenever the goods have not arrived.
///
/// # Errors
/// [`Refusal::NotCancellable`] in the policy's words.
pub fn cancel(state: State, by: Part) -> Result<bool, Refusal> {
    let not = |message| Err(Refusal::NotCancellable { message });
    match (state, by) {
        (
            State::Created | State::PendingPayment | State::Confirmed | State::Accepted,
            Part::Customer | Part::Merchant | Part::Support | Part::System,
        ) => Ok(false),
        (State::Preparing | State::ReadyForPickup | State::Assigned | State::EnRouteToRestaurant | State::AtRestaurant, Part::Support) => {
            Ok(false)
        }
        (State::PickedUp | State::EnRouteToCustomer | State::AtCustomer, Part::Support) => Ok(true),
        (_, Part::Courier) => not("a courier gives an order back, it does not cancel it"),
        (State::Delivered | State::Settled, _) => not("the order has been delivered; ask support for a refund"),
        (State::Rejected | State::Cancelled, _) => not("the order has ended already"),
        (State::Preparing | State::ReadyForPickup | State::Assigned | State::EnRouteToRestaurant | State::AtRestaurant, _) => {
            not("the food is being prepared; only support can cancel now")
        }
        (State::PickedUp | State::EnRouteToCustomer | State::AtCustomer, _) => not("the food is on its way; only support can cancel now"),
    }
}
