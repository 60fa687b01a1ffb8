//! One day: orders, couriers, restaurants and the parameters of the problem.

use std::collections::HashMap;
use std::path::Path;

use super::table::{ReadError, load, tabbed};

/// A place on the plane, in metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub x: f64,
    pub y: f64,
}

/// An order: known from `placed_s`, cooked at `ready_s`, wanted at `at`. `restaurant` is an index into [`Instance::restaurants`].
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    pub id: String,
    pub at: Point,
    pub placed_s: i64,
    pub restaurant: usize,
    pub ready_s: i64,
}

/// A courier: appears at `at` when the shift begins, may pick up until it ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Courier {
    pub id: String,
    pub at: Point,
    pub on_s: i64,
    pub off_s: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Restaurant {
    pub id: String,
    pub at: Point,
}

/// What holds for the whole day. Service times are whole minutes, so that half of one is a whole number of seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    pub meters_per_minute: f64,
    pub pickup_service_s: i64,
    pub dropoff_service_s: i64,
    /// Click-to-door that is aimed at.
    pub target_s: i64,
    /// Click-to-door beyond which an order counts as failed. The public evaluator does not enforce it, nor does the checker; it is measured.
    pub maximum_s: i64,
    pub pay_per_order_cents: i64,
    pub pay_per_hour_cents: i64,
}

/// Somewhere a courier can stand, as an index into the instance's lists. `Courier` is where that courier's shift begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    Order(usize),
    Courier(usize),
    Restaurant(usize),
}

/// One day. The lists keep the order of the files; ids are unique over all three.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    pub name: String,
    pub orders: Vec<Order>,
    pub couriers: Vec<Courier>,
    pub restaurants: Vec<Restaurant>,
    pub parameters: Parameters,
    places: HashMap<String, Place>,
}

impl Instance {
    /// Puts a day together.
    ///
    /// # Errors
    /// [`ReadError::Inconsistent`]: an id twice, an order of no restaurant, a shift that ends before it begins, a service time
    /// that is not whole minutes, a speed that is not above zero.
    pub fn new(
        name: impl Into<String>,
        orders: Vec<Order>,
        couriers: Vec<Courier>,
        restaurants: Vec<Restaurant>,
        parameters: Parameters,
    ) -> Result<Self, ReadError> {
        let refuse = |why: String| Err(ReadError::Inconsistent(why));
        let ids = (orders.iter().enumerate().map(|(i, order)| (&order.id, Place::Order(i))))
            .chain(couriers.iter().enumerate().map(|(i, courier)| (&courier.id, Place::Courier(i))))
            .chain(restaurants.iter().enumerate().map(|(i, restaurant)| (&restaurant.id, Place::Restaurant(i))));
        let mut places = HashMap::new();
        for (id, place) in ids {
            if places.insert(id.clone(), place).is_some() {
                return refuse(format!("the id {id:?} stands for two things"));
            }
        }
        if let Some(order) = orders.iter().find(|order| order.restaurant >= restaurants.len()) {
            return refuse(format!("order {} is of no restaurant", order.id));
        }
        if let Some(courier) = couriers.iter().find(|courier| courier.off_s < courier.on_s) {
            return refuse(format!("the shift of courier {} ends before it begins", courier.id));
        }
        let Parameters { meters_per_minute, pickup_service_s, dropoff_service_s, .. } = parameters;
        if [pickup_service_s, dropoff_service_s].iter().any(|service_s| *service_s < 0 || service_s % 60 != 0) {
            return refuse("service times must be whole minutes".into());
        }
        if !(meters_per_minute.is_finite() && meters_per_minute > 0.0) {
            return refuse("meters_per_minute must be above zero".into());
        }
        Ok(Self { name: name.into(), orders, couriers, restaurants, parameters, places })
    }

    /// Reads a folder with `orders.txt`, `couriers.txt`, `restaurants.txt` and `instance_parameters.txt`; its last part is the name.
    /// Columns are found by the header's names; blank lines and CRLF are passed over.
    ///
    /// # Errors
    /// [`ReadError`], with file, line and column where there is one.
    pub fn read(folder: &Path) -> Result<Self, ReadError> {
        let file = "restaurants.txt";
        let text = load(folder, file)?;
        let mut restaurants = Vec::new();
        let mut known = HashMap::new();
        for [id, x, y] in tabbed(file, &text, ["restaurant", "x", "y"])? {
            let at = Point { x: x.number("metres")?, y: y.number("metres")? };
            restaurants.push(Restaurant { id: id.id()?.into(), at });
            if known.insert(id.text.to_owned(), restaurants.len() - 1).is_some() {
                return Err(id.fault("an id that was not used before"));
            }
        }

        let file = "orders.txt";
        let text = load(folder, file)?;
        let mut orders = Vec::new();
        for [id, x, y, placed, restaurant, ready] in tabbed(file, &text, ["order", "x", "y", "placement_time", "restaurant", "ready_time"])?
        {
            orders.push(Order {
                id: id.id()?.into(),
                at: Point { x: x.number("metres")?, y: y.number("metres")? },
                placed_s: placed.whole_minutes()?,
                restaurant: *known.get(restaurant.text).ok_or_else(|| restaurant.fault("an id of restaurants.txt"))?,
                ready_s: ready.whole_minutes()?,
            });
        }

        let file = "couriers.txt";
        let text = load(folder, file)?;
        let mut couriers = Vec::new();
        for [id, x, y, on, off] in tabbed(file, &text, ["courier", "x", "y", "on_time", "off_time"])? {
            let courier = Courier {
                id: id.id()?.into(),
                at: Point { x: x.number("metres")?, y: y.number("metres")? },
                on_s: on.whole_minutes()?,
                off_s: off.whole_minutes()?,
            };
            if courier.off_s < courier.on_s {
                return Err(off.fault("whole minutes, not before on_time"));
            }
            couriers.push(courier);
        }

        let name = folder.file_name().map_or_else(|| ".".into(), |name| name.to_string_lossy().into_owned());
        Self::new(name, orders, couriers, restaurants, read_parameters(folder)?)
    }

    /// Where a thing with this id is.
    #[must_use]
    pub fn place(&self, id: &str) -> Option<Place> {
        self.places.get(id).copied()
    }

    /// The id of what is there.
    ///
    /// # Panics
    /// If the place is not of this instance.
    #[must_use]
    pub fn id(&self, place: Place) -> &str {
        match place {
            Place::Order(order) => &self.orders[order].id,
            Place::Courier(courier) => &self.couriers[courier].id,
            Place::Restaurant(restaurant) => &self.restaurants[restaurant].id,
        }
    }

    /// # Panics
    /// If the place is not of this instance.
    #[must_use]
    pub fn point(&self, place: Place) -> Point {
        match place {
            Place::Order(order) => self.orders[order].at,
            Place::Courier(courier) => self.couriers[courier].at,
            Place::Restaurant(restaurant) => self.restaurants[restaurant].at,
        }
    }

    /// ⌈Euclidean distance ÷ metres per minute⌉, in whole minutes. The arithmetic is the public evaluator's, so that no
    /// distance on the edge of a minute falls to the other side.
    #[must_use]
    pub fn travel_minutes(&self, from: Point, to: Point) -> i64 {
        let (dx, dy) = (to.x - from.x, to.y - from.y);
        ((dx * dx + dy * dy).sqrt() / self.parameters.meters_per_minute).ceil() as i64
    }

    /// [`Self::travel_minutes`] between two places, in seconds.
    #[must_use]
    pub fn travel_s(&self, from: Place, to: Place) -> i64 {
        60 * self.travel_minutes(self.point(from), self.point(to))
    }

    /// Whether any solution at all can deliver this order. `false` is a proof that none can: no courier, leaving home the moment
    /// the shift begins, stands at the restaurant early enough to pick it up before the shift ends. (Rounded-up travel obeys the triangle
    /// inequality, so no detour gets there sooner.) `true` may still need foresight; see [`Self::deliverable_alone`].
    #[must_use]
    pub fn deliverable(&self, order: usize) -> bool {
        self.reachable(order, |courier| courier.on_s)
    }

    /// Whether this order is delivered if it is the only one of the day and couriers wait at home until it is placed. Enough for
    /// a policy without foresight and without other work; other work may bring a courier nearer, so `false` is no proof.
    #[must_use]
    pub fn deliverable_alone(&self, order: usize) -> bool {
        let placed_s = self.orders[order].placed_s;
        self.reachable(order, |courier| courier.on_s.max(placed_s))
    }

    fn reachable(&self, order: usize, leaves_s: impl Fn(&Courier) -> i64) -> bool {
        let Order { restaurant, placed_s, ready_s, .. } = self.orders[order];
        self.couriers.iter().enumerate().any(|(index, courier)| {
            let travel_s = self.travel_s(Place::Courier(index), Place::Restaurant(restaurant));
            let served_s = leaves_s(courier) + travel_s + self.parameters.pickup_service_s / 2;
            served_s.max(ready_s).max(placed_s) <= courier.off_s
        })
    }
}

fn read_parameters(folder: &Path) -> Result<Parameters, ReadError> {
    let file = "instance_parameters.txt";
    let text = load(folder, file)?;
    let columns = [
        "meters_per_minute",
        "pickup service minutes",
        "dropoff service minutes",
        "target click-to-door",
        "maximum click-to-door",
        "pay per order",
        "guaranteed pay per hour",
    ];
    let rows = tabbed(file, &text, columns)?;
    let [[speed, pickup, dropoff, target, maximum, per_order, per_hour]] = rows[..] else {
        return Err(ReadError::Inconsistent(format!("{file}: expected one row under the header, found {}", rows.len())));
    };
    let meters_per_minute = speed.number("metres a minute")?;
    if meters_per_minute <= 0.0 {
        return Err(speed.fault("metres a minute, above zero"));
    }
    Ok(Parameters {
        meters_per_minute,
        pickup_service_s: pickup.duration()?,
        dropoff_service_s: dropoff.duration()?,
        target_s: target.duration()?,
        maximum_s: maximum.duration()?,
        pay_per_order_cents: per_order.cents()?,
        pay_per_hour_cents: per_hour.cents()?,
    })
}
