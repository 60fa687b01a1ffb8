//! The customer moves the pin: to a door that the order could have been quoted for, as far as the fee that was paid goes, until the courier is nearly there.
//!
//! No money moves: a door that costs less is no refund, one that costs more is refused (support may move it all the same, and the platform bears it).

use index::geo::Point;

use super::consequences::act;
use super::model::{Command, Dropoff, OrderId, Part, Refusal, State};
use super::parts::{actor, permitted};
use super::record::Order;
use crate::city::tracking::Tracking;
use crate::city::travel::Leg;
use crate::engine::Tx;
use crate::money::pricing::{Basket, price};
use crate::trade::address::Address;
use crate::trade::failure::Failure;
use crate::trade::quotes::commands::{place, reach};
use crate::trade::quotes::model;

/// A courier with the food in the bag who is this near to the door is not sent elsewhere.
pub const NEAR_M: f64 = 300.0;

/// What it would be to bring an order to another door.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Move {
    pub distance_m: u32,
    pub travel_s: u32,
    /// What the delivery would cost there, and what was paid for it: minor units.
    pub fee: i64,
    pub paid: i64,
}

/// Quotes a door for an order, by the terms that it was placed on. `way` as for [`reach`].
///
/// # Errors
/// [`model::Refusal::OutOfArea`], [`model::Refusal::NoGo`]; [`Failure::Denied`].
pub fn quote(tx: &mut Tx<'_, '_>, id: OrderId, dropoff: Point, way: Option<Leg>) -> Result<Move, Failure> {
    let order = permitted(tx, "orders.move", id)?;
    weigh(tx, &order, dropoff, way)
}

fn weigh(tx: &Tx<'_, '_>, order: &Order, dropoff: Point, way: Option<Leg>) -> Result<Move, Failure> {
    let created = &order.created;
    let way = reach(tx, &place(tx, created.merchant)?, dropoff, way)?;
    let basket = Basket { items_subtotal: created.amounts.subtotal, distance_m: way.metres, ..Basket::default() };
    let amounts = price(&created.terms.fees, created.amounts.currency, &basket).map_err(|_| model::Refusal::TooExpensive)?;
    Ok(Move { distance_m: way.metres, travel_s: way.seconds, fee: amounts.delivery_fee, paid: created.amounts.delivery_fee })
}

/// Moves the pin. Without an `address` the words stay as they are.
///
/// # Errors
/// [`Refusal::DropoffFixed`] once the courier is near, or it is over; [`Refusal::CostsMore`]; [`model::Refusal::OutOfArea`], [`model::Refusal::NoGo`]; [`Failure::Denied`].
pub fn move_dropoff(
    tx: &mut Tx<'_, '_>,
    tracking: &Tracking,
    id: OrderId,
    dropoff: Point,
    address: Option<&Address>,
    way: Option<Leg>,
) -> Result<Order, Failure> {
    let order = permitted(tx, "orders.move", id)?;
    let actor = actor(tx, &order, &[Part::Customer, Part::Support]);
    let courier_is_near = is_near(tracking, &order);
    let Move { distance_m, travel_s, fee, paid } = weigh(tx, &order, dropoff, way)?;
    if fee > paid && actor.part == Part::Customer {
        return Err(Refusal::CostsMore { fee, paid }.into());
    }
    let address = address.map(|address| address.seal(tx, order.created.customer));
    let to = Box::new(Dropoff { place: dropoff.into(), address, travel_s, distance_m });
    Ok(act(tx, id, actor, &Command::MoveDropoff { to, courier_is_near })?.0)
}

/// Whether the courier has the food and nearly stands at the door, as far as their device says.
fn is_near(tracking: &Tracking, order: &Order) -> bool {
    let carried = matches!(order.state, State::PickedUp | State::EnRouteToCustomer);
    let live = order.courier.filter(|_| carried).and_then(|courier| tracking.position(courier));
    live.is_some_and(|live| live.point.distance_m(order.created.dropoff.point()) <= NEAR_M)
}
