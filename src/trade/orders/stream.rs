//! Recording: what the machine decided goes into the stream, its fold into the row, and the news to who follows. And the audit of all three.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use storage::{Direction, Read};

use super::fold::{evolve, fold};
use super::machine::decide;
use super::model::{Actor, Command, Event, OrderId, Refusal, Stage, State};
use super::record::{ORDER_EVENTS, ORDERS, Order, Recorded};
use super::served;
use crate::city::catalog::MerchantId;
use crate::city::cities::CityId;
use crate::city::couriers::CourierId;
use crate::engine::{self, Tx};

/// One event of one order, as streams show it.
#[derive(Clone, Debug)]
pub struct Happened {
    pub order: OrderId,
    pub number: String,
    pub merchant: MerchantId,
    pub city: CityId,
    /// Its place among the order's served events, from 1.
    pub n: u32,
    pub name: &'static str,
    pub event: Event,
    /// After it.
    pub status: State,
    /// Whether the merchant knows of the order: it hears of confirmed orders only.
    pub is_confirmed: bool,
    shown: Value,
}

impl engine::Event for Happened {
    fn name(&self) -> &'static str {
        self.name
    }

    fn topics(&self) -> Vec<String> {
        let mut topics = vec![format!("order:{}", self.order), format!("city:{}", self.city)];
        if self.is_confirmed {
            topics.push(format!("merchant:{}", self.merchant));
        }
        topics
    }

    fn data(&self) -> Value {
        let mut data = json!({ "order_id": self.order, "number": self.number, "n": self.n, "status": self.status.name() });
        if let (Some(data), Value::Object(shown)) = (data.as_object_mut(), self.shown.clone()) {
            data.extend(shown);
        }
        data
    }
}

/// A merchant has a new order to accept.
#[derive(Clone, Debug)]
pub struct Confirmed {
    pub order: OrderId,
    pub number: String,
    pub merchant: MerchantId,
    pub accept_by: Option<storage::Timestamp>,
}

impl engine::Event for Confirmed {
    fn name(&self) -> &'static str {
        "OrderConfirmed"
    }

    fn topics(&self) -> Vec<String> {
        vec![format!("merchant:{}", self.merchant)]
    }

    fn data(&self) -> Value {
        json!({ "order_id": self.order, "number": self.number, "merchant_id": self.merchant, "accept_by": self.accept_by.map(|at| at.to_string()) })
    }
}

/// A courier was found, went on or was lost before the food is ready; the state does not show it yet.
#[derive(Clone, Debug)]
pub struct LegChanged {
    pub order: OrderId,
    pub merchant: MerchantId,
    pub courier: Option<CourierId>,
    pub leg: Option<Stage>,
}

impl engine::Event for LegChanged {
    fn name(&self) -> &'static str {
        "DeliveryLegChanged"
    }

    fn topics(&self) -> Vec<String> {
        vec![format!("order:{}", self.order), format!("merchant:{}", self.merchant)]
    }

    fn data(&self) -> Value {
        json!({ "order_id": self.order, "courier_id": self.courier, "leg": self.leg.map(|leg| leg.state().name()) })
    }
}

/// The order is expected at another time than before.
#[derive(Clone, Copy, Debug)]
pub struct EtaChanged {
    pub order: OrderId,
    pub eta: Option<storage::Timestamp>,
}

impl engine::Event for EtaChanged {
    fn name(&self) -> &'static str {
        "EtaChanged"
    }

    fn topics(&self) -> Vec<String> {
        vec![format!("order:{}", self.order)]
    }

    fn data(&self) -> Value {
        json!({ "order_id": self.order, "eta": self.eta.map(|at| at.to_string()) })
    }
}

/// Runs the machine on an order and records what it decided. Returns the order after it and what happened.
///
/// # Errors
/// The machine's [`Refusal`]; nothing has been written.
pub fn run(tx: &mut Tx<'_, '_>, id: OrderId, actor: Actor, command: &Command) -> Result<(Order, Vec<Event>), Refusal> {
    let before = ORDERS.get(tx, &id);
    let events = decide(before.as_ref(), command, tx.now())?;
    match append(tx, id, before, actor, &events) {
        Some(order) => Ok((order, events)),
        None => Err(Refusal::Unknown),
    }
}

fn append(tx: &mut Tx<'_, '_>, id: OrderId, before: Option<Order>, actor: Actor, events: &[Event]) -> Option<Order> {
    let mut order = before;
    for event in events {
        let was_confirmed = order.as_ref().is_some_and(|order| order.confirmed_at.is_some());
        let expected = order.as_ref().and_then(|order| order.eta);
        let recorded = Recorded { at: tx.now(), actor, event: event.clone() };
        let next = evolve(order, id, &recorded)?;
        ORDER_EVENTS.put(tx, &(id, next.version), &recorded);
        publish(tx, &next, event, was_confirmed);
        if next.eta.is_some() && next.eta != expected {
            tx.emit(EtaChanged { order: id, eta: next.eta });
        }
        order = Some(next);
    }
    if let Some(order) = order.as_ref().filter(|_| !events.is_empty()) {
        ORDERS.put(tx, &id, order);
    }
    order
}

fn publish(tx: &mut Tx<'_, '_>, order: &Order, event: &Event, was_confirmed: bool) {
    let created = &order.created;
    if let Some(name) = event.name() {
        tx.emit(Happened {
            order: order.id,
            number: created.number.clone(),
            merchant: created.merchant,
            city: created.city,
            n: order.served,
            name,
            event: event.clone(),
            status: order.state,
            is_confirmed: order.confirmed_at.is_some(),
            shown: served::data(event, created.amounts.currency),
        });
    } else if matches!(event, Event::LegStarted { .. } | Event::LegMoved { .. } | Event::LegEnded { .. }) {
        tx.emit(LegChanged { order: order.id, merchant: created.merchant, courier: order.courier, leg: order.leg });
    }
    if !was_confirmed && order.confirmed_at.is_some() {
        tx.emit(Confirmed { order: order.id, number: created.number.clone(), merchant: created.merchant, accept_by: order.accept_by });
    }
}

/// An order whose row is not what its stream folds to.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    pub order: OrderId,
    pub why: &'static str,
}

/// Folds every stored stream again and compares it with its row, both ways. Empty if all is well.
pub fn audit(read: &(impl Read + ?Sized)) -> Vec<Mismatch> {
    let mut wrong = Vec::new();
    let mut rows = BTreeSet::new();
    for (id, row) in ORDERS.scan(read) {
        rows.insert(id);
        let stream: Vec<((OrderId, u32), Recorded)> = ORDER_EVENTS.scan_prefix(read, &(id,), Direction::Forward).collect();
        if stream.iter().zip(1..).any(|(((_, n), _), expected)| *n != expected) {
            wrong.push(Mismatch { order: id, why: "its events are not numbered 1, 2, 3, …" });
        } else if fold(id, stream.iter().map(|(_, recorded)| recorded).collect::<Vec<_>>()).as_ref() != Some(&row) {
            wrong.push(Mismatch { order: id, why: "its row is not the fold of its events" });
        }
    }
    // A stream has its first event under number 1, so each is met once.
    for ((id, n), _) in ORDER_EVENTS.scan(read) {
        if n == 1 && !rows.contains(&id) {
            wrong.push(Mismatch { order: id, why: "its events have no row" });
        }
    }
    wrong
}
