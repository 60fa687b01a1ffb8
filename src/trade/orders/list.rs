//! Lists: by role, filtered, newest first.

use storage::table::Cursor;
use storage::{Direction, Index, KeyPart, Read, Timestamp};

use super::model::{OrderId, State};
use super::record::{Axis, ORDERS, ORDERS_ACTIVE_BY, ORDERS_BY, ORDERS_BY_NUMBER, Order};
use crate::city::catalog::MerchantId;
use crate::city::cities::CityId;
use crate::city::couriers::{self, CourierId};
use crate::engine::{Caller, UserId};
use crate::people::users::{self, Role};

/// Rows that one request looks at, however few of them pass its filters; the cursor goes on from there.
const ROWS_MAX: usize = 2_000;

/// What is looked for. Everything given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub states: Vec<State>,
    pub number: Option<String>,
    pub city: Option<CityId>,
    pub merchant: Option<MerchantId>,
    pub courier: Option<CourierId>,
    pub customer: Option<UserId>,
    /// Created at or after.
    pub from: Option<Timestamp>,
    /// Created before.
    pub to: Option<Timestamp>,
    /// Not at their end (or only those that are).
    pub active: Option<bool>,
}

impl Filter {
    fn passes(&self, order: &Order) -> bool {
        let created = &order.created;
        (self.states.is_empty() || self.states.contains(&order.state))
            && self.number.as_ref().is_none_or(|number| number.eq_ignore_ascii_case(&created.number))
            && self.city.is_none_or(|city| city == created.city)
            && self.merchant.is_none_or(|merchant| merchant == created.merchant)
            && self.courier.is_none_or(|courier| order.courier == Some(courier))
            && self.customer.is_none_or(|customer| customer == created.customer)
            && self.from.is_none_or(|from| from <= order.created_at)
            && self.to.is_none_or(|to| order.created_at < to)
            && self.active.is_none_or(|active| active != order.state.is_final())
    }
}

/// Whose orders a list shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Support and admins: everything, or everything in the cities that they are bound to.
    Everything { cities: Vec<u128> },
    /// Those in which the caller has a part: ordered, sells, or carries.
    Own { customer: UserId, merchants: Vec<u128>, courier: Option<u128> },
}

impl Scope {
    /// What `caller` sees.
    pub fn of(read: &(impl Read + ?Sized), caller: &Caller) -> Option<Self> {
        let id = caller.user_id()?;
        let user = users::get(read, id)?;
        if user.has(Role::Support) || user.has(Role::Admin) {
            return Some(Self::Everything { cities: user.cities });
        }
        // A membership without its role shows nothing.
        let courier = couriers::of_user(read, id).filter(|_| user.has(Role::Courier)).map(|(courier, _)| courier.as_u128());
        let merchants = if user.has(Role::Merchant) { user.merchants } else { Vec::new() };
        Some(Self::Own { customer: id, merchants, courier })
    }

    fn shows(&self, order: &Order) -> bool {
        match self {
            Self::Everything { cities } => cities.is_empty() || cities.contains(&order.created.city.as_u128()),
            // Their index ranges hold nothing else.
            Self::Own { .. } => true,
        }
    }

    /// The shortest index ranges that hold everything that may be shown.
    fn axes(&self, filter: &Filter) -> Vec<(Axis, u128)> {
        let merchant = filter.merchant.map(|id| (Axis::Merchant, id.as_u128()));
        let courier = filter.courier.map(|id| (Axis::Courier, id.as_u128()));
        let customer = filter.customer.map(|id| (Axis::Customer, id.as_u128()));
        match self {
            Self::Everything { cities } => match courier.or(customer).or(merchant).or(filter.city.map(|id| (Axis::City, id.as_u128()))) {
                Some(axis) => vec![axis],
                None if cities.is_empty() => vec![(Axis::All, 0)],
                None => cities.iter().map(|city| (Axis::City, *city)).collect(),
            },
            Self::Own { customer, merchants, courier } => {
                let mine = [(Axis::Customer, customer.as_u128())].into_iter();
                mine.chain(merchants.iter().map(|id| (Axis::Merchant, *id))).chain(courier.map(|id| (Axis::Courier, id))).collect()
            }
        }
    }
}

/// A page of orders, newest first, and the cursor of the next one.
#[must_use]
pub fn page(
    read: &(impl Read + ?Sized),
    scope: &Scope,
    filter: &Filter,
    limit: usize,
    after: Option<OrderId>,
) -> (Vec<Order>, Option<OrderId>) {
    // Ids begin with their time: what was created at or after `to` need not be looked at.
    let ceiling = filter.to.map(|to| OrderId::from_u128((to.millis().max(0) as u128) << 80));
    let mut below = match (after, ceiling) {
        (Some(after), Some(ceiling)) => Some(after.min(ceiling)),
        (after, ceiling) => after.or(ceiling),
    };
    let axes = match &filter.number {
        Some(number) if matches!(scope, Scope::Everything { .. }) => {
            return by_number(read, scope, &number.to_ascii_uppercase(), filter, limit, after);
        }
        _ => scope.axes(filter),
    };
    let index = if filter.active == Some(true) { &ORDERS_ACTIVE_BY } else { &ORDERS_BY };
    let mut scans: Vec<_> = axes.iter().map(|axis| newest(read, index, *axis, below).peekable()).collect();
    let mut found = Vec::with_capacity(limit);
    for _ in 0..ROWS_MAX {
        let Some(id) = scans.iter_mut().filter_map(|scan| scan.peek().map(|(id, _)| *id)).max() else { return (found, None) };
        let mut row = None;
        for scan in &mut scans {
            // Somebody who eats at their own restaurant has the order in two ranges.
            row = scan.next_if(|(other, _)| *other == id).map(|(_, order)| order).or(row);
        }
        let Some(order) = row else { return (found, None) };
        if filter.from.is_some_and(|from| order.created_at < from) {
            return (found, None);
        }
        if filter.passes(&order) && scope.shows(&order) {
            if found.len() == limit {
                return (found, below);
            }
            found.push(order);
        }
        below = Some(id);
    }
    (found, below)
}

fn newest<'r>(
    read: &'r (impl Read + ?Sized),
    index: &'static Index<OrderId, Order>,
    (axis, id): (Axis, u128),
    below: Option<OrderId>,
) -> impl Iterator<Item = (OrderId, Order)> + 'r {
    let prefix = (axis as u8, id);
    let after: Option<Cursor> = below.map(|below| (index.id, prefix.0, prefix.1, below).to_key());
    ORDERS.page(read, index, &prefix, after.as_deref(), Direction::Backward).map(|(_, id, order)| (id, order))
}

/// Numbers come back each day and in each city: few orders share one.
fn by_number(
    read: &(impl Read + ?Sized),
    scope: &Scope,
    number: &String,
    filter: &Filter,
    limit: usize,
    after: Option<OrderId>,
) -> (Vec<Order>, Option<OrderId>) {
    let cursor = after.map(|after| (ORDERS_BY_NUMBER.id, number.clone(), after).to_key());
    let rows = ORDERS.page(read, &ORDERS_BY_NUMBER, number, cursor.as_deref(), Direction::Backward);
    let mut found: Vec<Order> =
        rows.take(ROWS_MAX).map(|(_, _, order)| order).filter(|order| filter.passes(order) && scope.shows(order)).take(limit + 1).collect();
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|order| order.id);
    (found, next)
}
