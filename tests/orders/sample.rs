//! Orders to try things on.

use medina::city::place::Place;
use medina::money::payments::{IntentId, Method};
use medina::money::pricing::{Basket, Fees, price};
use medina::trade::carts::model::Line;
use medina::trade::orders::fold::evolve;
use medina::trade::orders::machine::decide;
use medina::trade::orders::model::{Actor, Command, Created, Dropoff, Event, Goods, OrderId, Part, Proof, Refusal, Stage, State, Terms};
use medina::trade::orders::record::{Order, Recorded};
use storage::{Id, Timestamp};

pub const T0: Timestamp = Timestamp::from_millis(1_800_000_000_000);
pub const PICKUP: [u8; 4] = *b"1234";
pub const DELIVERY: [u8; 4] = *b"9876";
pub const WRONG: [u8; 4] = *b"0000";

pub fn order_id() -> OrderId {
    Id::from_u128(7)
}

pub fn intent(n: u128) -> IntentId {
    Id::from_u128(n)
}

pub fn created(method: Method, photo_is_proof: bool) -> Created {
    let fees = Fees::default();
    let basket = Basket { items_subtotal: 2500, distance_m: 1800, tip: 100, ..Basket::default() };
    let ghs = "GHS".parse().expect("a currency");
    Created {
        number: "A01".to_owned(),
        city: Id::from_u128(1),
        merchant: Id::from_u128(2),
        customer: Id::from_u128(3),
        quote: Id::from_u128(4),
        lines: vec![Line { item: Id::from_u128(5), name: "Waakye".to_owned(), quantity: 2, unit_price: 1250, note: None }],
        amounts: price(&fees, ghs, &basket).expect("in range"),
        method,
        dropoff: Place::from(index::geo::Point::new(5.6, -0.2).expect("on the earth")),
        address: None,
        pickup_code: PICKUP,
        delivery_code: DELIVERY,
        prep_s: 900,
        travel_s: 360,
        terms: Terms { unpaid_s: 900, unaccepted_s: 600, capture_at_acceptance: false, photo_is_proof, fees },
    }
}

pub fn place(method: Method, photo_is_proof: bool) -> Command {
    Command::Place { created: Box::new(created(method, photo_is_proof)), intent: intent(1) }
}

/// An order and the stream that made it.
#[derive(Clone, Default)]
pub struct Life {
    pub order: Option<Order>,
    pub stream: Vec<Recorded>,
}

impl Life {
    pub fn state(&self) -> Option<State> {
        self.order.as_ref().map(|order| order.state)
    }

    /// Lets the machine decide and records what it says.
    pub fn run(&mut self, command: &Command, now: Timestamp) -> Result<Vec<Event>, Refusal> {
        let events = decide(self.order.as_ref(), command, now)?;
        for event in &events {
            let recorded = Recorded { at: now, actor: Actor::SYSTEM, event: event.clone() };
            self.order = evolve(self.order.take(), order_id(), &recorded);
            self.stream.push(recorded);
        }
        Ok(events)
    }
}

pub fn accept() -> Command {
    Command::Accept { ready_at: T0.plus_s(900) }
}

pub fn assign(n: u128) -> Command {
    Command::Assign { courier: Id::from_u128(n), eta: None }
}

pub fn unassign(n: u128) -> Command {
    Command::Unassign { courier: Id::from_u128(n), reason: "flat tyre".to_owned() }
}

/// The food goes from one courier's bag into another's.
pub fn replace(from: u128, to: u128) -> Command {
    Command::Replace { from: Id::from_u128(from), courier: Id::from_u128(to), eta: T0.plus_s(2_400), reason: "a crash".to_owned() }
}

pub fn move_pin(courier_is_near: bool) -> Command {
    let place = Place::from(index::geo::Point::new(5.61, -0.21).expect("on the earth"));
    Command::MoveDropoff { to: Box::new(Dropoff { place, address: None, travel_s: 300, distance_m: 1500 }), courier_is_near }
}

pub fn approach(stage: Stage) -> Command {
    Command::Approach { stage, reported_at: None }
}

pub fn pick_up(code: [u8; 4]) -> Command {
    Command::PickUp { proof: Proof::Code(code), reported_at: None }
}

pub fn bring(arrived: bool) -> Command {
    Command::Bring { arrived, reported_at: None }
}

pub fn deliver(proof: Proof) -> Command {
    Command::Deliver { proof, cash_collected: None, reported_at: None }
}

pub fn cancel(by: Part) -> Command {
    Command::Cancel { by, reason: "changed my mind".to_owned(), goods: Goods::Returned }
}

pub fn captured(n: u128) -> Command {
    Command::Captured { intent: intent(n), amount: created(Method::Card, false).amounts.total }
}

/// A card order in `state`, the plain way. CREATED is never stored alone, so there is no way to it.
pub fn in_state(state: State) -> Life {
    let authorized = Command::Authorized { intent: intent(1) };
    let forward = [
        place(Method::Card, false),
        authorized,
        accept(),
        Command::Prepare,
        Command::Ready,
        assign(1),
        approach(Stage::EnRouteToRestaurant),
        approach(Stage::AtRestaurant),
        pick_up(PICKUP),
        bring(false),
        bring(true),
        deliver(Proof::Code(DELIVERY)),
        captured(1),
    ];
    let mut life = Life::default();
    let until = match state {
        State::Rejected => State::Confirmed,
        State::Cancelled => State::PendingPayment,
        other => other,
    };
    for command in forward {
        if life.state() == Some(until) {
            break;
        }
        life.run(&command, T0).expect("the plain way is open");
    }
    if state == State::Rejected {
        life.run(&Command::Reject { reason: "closed".to_owned(), items: vec![] }, T0).expect("confirmed orders can be rejected");
    }
    if state == State::Cancelled {
        life.run(&cancel(Part::Customer), T0).expect("unpaid orders can be cancelled");
    }
    assert_eq!(life.state(), Some(state));
    life
}
