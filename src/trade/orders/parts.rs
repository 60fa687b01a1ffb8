//! Who may act on an order, and in which part they do.

use storage::Read;

use super::model::{Actor, OrderId, Part};
use super::record::{ORDERS, Order};
use crate::city::couriers;
use crate::engine::{Caller, Denied, Principal, Question, Resource, Tx, UserId};
use crate::people::users::{self, Role};
use crate::trade::failure::Failure;

/// An order as the policy sees it.
#[must_use]
pub fn resource(order: &Order) -> Resource {
    let created = &order.created;
    let resource = Resource::new("Order", order.id)
        .with("customer", created.customer.to_string())
        .with("merchant", created.merchant.to_string())
        .with("city", created.city.to_string());
    match order.courier {
        Some(courier) => resource.with("courier", courier.to_string()),
        None => resource,
    }
}

/// The order, if the caller may do `action` with it.
///
/// # Errors
/// [`Denied`]; an order that is not there is as one that is somebody else's.
pub fn permitted(tx: &mut Tx<'_, '_>, action: &'static str, id: OrderId) -> Result<Order, Failure> {
    let order = ORDERS.get(tx, &id).ok_or(Denied::NotFound)?;
    tx.authorize(&Question::new(action, resource(&order)))?;
    Ok(order)
}

/// The caller of this command, in the first of the parts that is theirs.
#[must_use]
pub fn actor(tx: &Tx<'_, '_>, order: &Order, parts: &[Part]) -> Actor {
    acting(tx, tx.caller(), order, parts)
}

/// The caller, in the first of the parts that is theirs; whom the policy lets act without any of them acts for support.
#[must_use]
pub fn acting(read: &(impl Read + ?Sized), caller: &Caller, order: &Order, parts: &[Part]) -> Actor {
    match caller.principal {
        Principal::System(_) | Principal::Anonymous => Actor::SYSTEM,
        Principal::User(user) => {
            let part = parts.iter().copied().find(|part| plays(read, user, order, *part));
            Actor { part: part.unwrap_or(Part::Support), user: Some(user) }
        }
    }
}

/// Whether `user` has this part in the order: the membership, and the role that goes with it.
#[must_use]
pub fn plays(read: &(impl Read + ?Sized), user: UserId, order: &Order, part: Part) -> bool {
    match part {
        Part::Customer => order.created.customer == user,
        Part::Merchant => users::get(read, user)
            .is_some_and(|user| user.has(Role::Merchant) && user.merchants.contains(&order.created.merchant.as_u128())),
        Part::Courier => {
            order.courier.is_some_and(|courier| couriers::get(read, courier).is_some_and(|courier| courier.user == user))
                && users::get(read, user).is_some_and(|user| user.has(Role::Courier))
        }
        Part::Support => users::get(read, user).is_some_and(|user| user.has(Role::Support) || user.has(Role::Admin)),
        Part::System => false,
    }
}
