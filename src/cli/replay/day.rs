//! The day: what happens when, in an order that is the same every time.
//!
//! The clock stands still while people act. Between two moments it jumps: to the next thing that anybody has to do, but by no more than
//! [`LOOK_S`] while an order waits for a courier, so that an offer is seen before it lapses.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use storage::Timestamp;

use super::ReplayError;
use super::rider::{Act, Rider};
use super::stage::Stage;
use crate::cli::client::CallError;
use crate::cli::client::words::Order;
use crate::mdrp::{Instance, Place, Solution};

/// An offer that nobody sees for 10 s is withdrawn.
const LOOK_S: i64 = 10;
/// Whoever is under way tells their position this often, and whoever stands so often.
const PING_S: i64 = 60;
const PING_STANDING_S: i64 = 300;
/// Everybody is there a minute before the first thing happens.
const BEFORE_S: i64 = 60;
/// How long orders may take to settle after the last delivery.
const SETTLE_S: i64 = 3_600;

/// What is due at a moment; what is first here happens first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Ready(usize),
    Rider(usize),
    ShiftBegins(usize),
    ShiftEnds(usize),
    Ping,
    Place(usize),
}

/// A day under way.
pub struct Day<'a> {
    instance: &'a Instance,
    stage: &'a Stage,
    /// The instant of second 0 of the instance.
    zero: Timestamp,
    now_s: i64,
    agenda: BTreeSet<(i64, Step)>,
    riders: Vec<Rider>,
    capacity: usize,
    /// Ids by order, and back.
    ids: BTreeMap<usize, String>,
    by_id: HashMap<String, usize>,
    /// Accepted by the restaurant, by no courier yet.
    waiting: BTreeSet<usize>,
    solution: Solution,
    faults: Vec<String>,
    /// How many commits an advance makes in which nothing falls due.
    idle_growth: u64,
    bar: ProgressBar,
}

impl<'a> Day<'a> {
    /// Freezes the clock and lays the day out.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub async fn begin(instance: &'a Instance, stage: &'a Stage, capacity: u32) -> Result<Self, ReplayError> {
        let mut agenda = BTreeSet::new();
        for (index, order) in instance.orders.iter().enumerate() {
            agenda.insert((order.placed_s, Step::Place(index)));
        }
        for (index, courier) in instance.couriers.iter().enumerate() {
            agenda.extend([(courier.on_s, Step::ShiftBegins(index)), (courier.off_s, Step::ShiftEnds(index))]);
        }
        let now_s = agenda.first().map_or(0, |(at_s, _)| at_s - BEFORE_S);
        stage.advance(0).await?;
        let before = stage.wire.newest_seq();
        let now = stage.advance(0).await?;
        let last_s = agenda.last().map_or(0, |(at_s, _)| *at_s);
        let bar = ProgressBar::new((last_s - now_s).max(1).unsigned_abs());
        bar.set_style(ProgressStyle::with_template("{msg} [{bar:40}] {percent}%").expect("the template is a constant"));
        Ok(Self {
            instance,
            stage,
            zero: now.minus_s(now_s),
            now_s,
            agenda,
            riders: (0..instance.couriers.len()).map(|index| Rider::at_home(index, instance)).collect(),
            capacity: capacity as usize,
            ids: BTreeMap::new(),
            by_id: HashMap::new(),
            waiting: BTreeSet::new(),
            solution: Solution::default(),
            faults: Vec::new(),
            idle_growth: stage.wire.newest_seq() - before,
            bar,
        })
    }

    /// Plays until nothing is left to do.
    ///
    /// # Errors
    /// [`ReplayError`]: the server refused something that the rules allow.
    pub async fn play(&mut self) -> Result<(), ReplayError> {
        let played = self.moments().await;
        self.bar.finish_and_clear();
        played.map_err(|source| self.at(source))
    }

    fn at(&self, source: CallError) -> ReplayError {
        ReplayError::Call { at: format!("at minute {}", self.now_s as f64 / 60.0), source }
    }

    async fn moments(&mut self) -> Result<(), CallError> {
        while let Some(&(due_s, _)) = self.agenda.first() {
            let looks = !self.waiting.is_empty() && self.riders.iter().any(|rider| rider.is_online);
            let next_s = if looks { due_s.min(self.now_s + LOOK_S) } else { due_s };
            let before = self.stage.wire.newest_seq();
            if next_s > self.now_s {
                let now = self.stage.advance(next_s - self.now_s).await?;
                self.now_s = next_s;
                if now != self.zero.plus_s(next_s) {
                    let detail = format!("the clock shows {now}, not {}", self.zero.plus_s(next_s));
                    return Err(CallError::Unexpected { what: "POST /v1/sandbox/clock/advance".to_owned(), detail });
                }
                self.bar.set_message(format!("minute {}, {} orders, {} waiting", self.now_s / 60, self.ids.len(), self.waiting.len()));
                self.bar.set_position(self.bar.length().unwrap_or(1).saturating_sub((self.last_s() - self.now_s).max(0).unsigned_abs()));
            }
            let quiet = self.idle_growth > 0 && self.stage.wire.newest_seq() == before + self.idle_growth;
            let acted = self.act().await?;
            if acted || !quiet {
                self.answer_offers().await?;
            }
        }
        Ok(())
    }

    fn last_s(&self) -> i64 {
        self.agenda.last().map_or(self.now_s, |(at_s, _)| *at_s)
    }

    /// Everything that is due now. Whether there was anything.
    async fn act(&mut self) -> Result<bool, CallError> {
        let mut placed = Vec::new();
        let mut acted = false;
        while let Some((_, step)) = self.agenda.first().copied().filter(|(at_s, _)| *at_s <= self.now_s) {
            self.agenda.pop_first();
            // Who tells where they are asks for nothing.
            acted |= step != Step::Ping;
            match step {
                Step::Ready(order) => {
                    self.stage.ready(self.instance.orders[order].restaurant, &self.ids[&order]).await?;
                }
                Step::Rider(rider) => self.ride(rider).await?,
                Step::ShiftBegins(rider) => self.begin_shift(rider).await?,
                Step::ShiftEnds(rider) => self.go_home(rider).await?,
                Step::Ping => self.ping().await?,
                Step::Place(order) => {
                    let id = self.stage.place(self.instance, order).await?;
                    self.by_id.insert(id.clone(), order);
                    self.ids.insert(order, id);
                    placed.push(order);
                }
            }
        }
        if acted {
            self.stage.advance(0).await?;
        }
        for order in &placed {
            self.accept(*order).await?;
        }
        if !placed.is_empty() {
            self.stage.advance(0).await?;
        }
        Ok(acted)
    }

    /// The restaurant accepts what is paid for.
    async fn accept(&mut self, order: usize) -> Result<(), CallError> {
        let wanted = &self.instance.orders[order];
        let id = self.ids[&order].clone();
        // The provider answers over a socket of its own; the clock waited for it, so this is a short wait if any.
        for _ in 0..100 {
            if self.stage.customers[order].look_at(&id).await?.status != "PENDING_PAYMENT" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let ready_s = wanted.ready_s.max(self.now_s + 1);
        self.stage.accept(wanted.restaurant, &id, self.zero.plus_s(ready_s)).await?;
        self.waiting.insert(order);
        if wanted.ready_s <= self.now_s {
            self.stage.ready(wanted.restaurant, &id).await?;
        } else {
            self.agenda.insert((wanted.ready_s, Step::Ready(order)));
        }
        Ok(())
    }

    /// Couriers take what they are offered, until nobody is offered anything more at this moment.
    async fn answer_offers(&mut self) -> Result<(), CallError> {
        while !self.waiting.is_empty() {
            let has_room = |rider: &&Rider| rider.is_online && !rider.has_food() && rider.load() < self.capacity;
            let asked = self.riders.iter().filter(has_room).map(|rider| rider.index).collect();
            let offers = self.stage.offers(asked).await?;
            if offers.is_empty() {
                break;
            }
            for (rider, offer) in offers {
                let orders: Vec<usize> = offer.order_ids.iter().filter_map(|id| self.by_id.get(id).copied()).collect();
                let takes = orders.iter().all(|order| self.riders[rider].can_take(self.instance, *order, self.now_s));
                self.stage.answer(rider, &offer.id, takes).await?;
                if takes {
                    orders.iter().for_each(|order| self.riders[rider].take(self.instance, *order, self.now_s));
                    self.waiting.retain(|order| !orders.contains(order));
                    if self.riders[rider].trip.is_none() {
                        self.set_out(rider).await?;
                    }
                }
            }
            self.stage.advance(0).await?;
        }
        Ok(())
    }

    /// To the first pickup of the server's route.
    async fn set_out(&mut self, rider: usize) -> Result<(), CallError> {
        let route = self.stage.route(rider).await?;
        let held = |order: &usize| self.riders[rider].held.iter().any(|held| held.order == *order);
        let mut pickups = route.stops.iter().filter(|stop| stop.is_pickup()).filter_map(|stop| self.by_id.get(&stop.order_id).copied());
        let lead = pickups.find(held).ok_or_else(|| CallError::Unexpected {
            what: "GET /v1/couriers/me/route".to_owned(),
            detail: format!("{} holds accepted orders, and the route has no pickup of them", self.instance.couriers[rider].id),
        })?;
        self.riders[rider].set_out(self.instance, lead, self.now_s);
        self.plan_next(rider);
        Ok(())
    }

    fn plan_next(&mut self, rider: usize) {
        if let Some((at_s, _)) = self.riders[rider].acts.front() {
            self.agenda.insert((*at_s, Step::Rider(rider)));
        }
    }

    /// One act of a courier.
    async fn ride(&mut self, rider: usize) -> Result<(), CallError> {
        let is_due = self.riders[rider].acts.front().is_some_and(|(at_s, _)| *at_s <= self.now_s);
        let Some((_, act)) = self.riders[rider].acts.pop_front_if(|_| is_due) else {
            // A pickup that an order which joined has put off.
            self.plan_next(rider);
            return Ok(());
        };
        match act {
            Act::Depart => {
                let there = self.riders[rider].held_there(self.instance);
                self.report_all(rider, &there, "EN_ROUTE_TO_RESTAURANT").await?;
            }
            Act::Arrive => {
                self.ping_one(rider).await?;
                let there = self.riders[rider].held_there(self.instance);
                self.report_all(rider, &there, "AT_RESTAURANT").await?;
            }
            Act::PickUp => {
                let orders = self.riders[rider].held_there(self.instance);
                self.report_all(rider, &orders, "PICKED_UP").await?;
                let sequence = self.door_sequence(rider, orders).await?;
                self.riders[rider].carry(self.instance, sequence);
            }
            Act::Leave(door) => self.report_door(rider, door, "EN_ROUTE_TO_CUSTOMER").await?,
            Act::Reach(door) => {
                self.ping_one(rider).await?;
                self.report_door(rider, door, "AT_CUSTOMER").await?;
            }
            Act::HandOver(door) => self.report_door(rider, door, "DELIVERED").await?,
            Act::Free => {
                let assigned_s = self.riders[rider].assigned_s;
                if let Some(trip) = self.riders[rider].rest() {
                    self.solution.record(self.instance, rider, assigned_s, &trip);
                }
                if !self.riders[rider].held.is_empty() {
                    return self.set_out(rider).await;
                }
                if self.now_s >= self.instance.couriers[rider].off_s {
                    return self.go_home(rider).await;
                }
            }
        }
        self.plan_next(rider);
        Ok(())
    }

    async fn report_all(&self, rider: usize, orders: &[usize], status: &str) -> Result<(), CallError> {
        for order in orders {
            self.stage.report(self.instance, rider, *order, &self.ids[order], status).await?;
        }
        Ok(())
    }

    async fn report_door(&self, rider: usize, door: usize, status: &str) -> Result<(), CallError> {
        let order = self.riders[rider].trip.as_ref().map(|trip| trip.stops[door].order);
        self.report_all(rider, order.as_slice(), status).await
    }

    /// The sequence of doors that the server's route has; one that it does not name comes last.
    async fn door_sequence(&self, rider: usize, mut orders: Vec<usize>) -> Result<Vec<usize>, CallError> {
        let route = self.stage.route(rider).await?;
        let doors: Vec<&String> = route.stops.iter().filter(|stop| !stop.is_pickup()).map(|stop| &stop.order_id).collect();
        orders.sort_by_key(|order| doors.iter().position(|id| **id == self.ids[order]).unwrap_or(usize::MAX));
        Ok(orders)
    }

    async fn begin_shift(&mut self, rider: usize) -> Result<(), CallError> {
        let courier = &self.instance.couriers[rider];
        let position = self.stage.plane.on_globe(courier.at);
        self.stage.go_online(rider, position, self.zero.plus_s(courier.off_s)).await?;
        self.riders[rider].is_online = true;
        self.agenda.insert((self.now_s + PING_S - self.now_s.rem_euclid(PING_S), Step::Ping));
        Ok(())
    }

    /// Off, if nothing is left to bring; otherwise the end of the trip comes back here.
    async fn go_home(&mut self, rider: usize) -> Result<(), CallError> {
        if self.riders[rider].is_online && self.riders[rider].is_idle() {
            self.stage.go_offline(rider).await?;
            self.riders[rider].is_online = false;
        }
        Ok(())
    }

    async fn ping(&mut self) -> Result<(), CallError> {
        let everybody = self.now_s.rem_euclid(PING_STANDING_S) == 0;
        let online = || self.riders.iter().filter(|rider| rider.is_online);
        if online().next().is_some() {
            let telling = online().filter(|rider| everybody || rider.trip.is_some()).map(|rider| rider.index).collect();
            self.ping_from(telling).await?;
            self.agenda.insert((self.now_s + PING_S, Step::Ping));
        }
        Ok(())
    }

    async fn ping_one(&mut self, rider: usize) -> Result<(), CallError> {
        self.ping_from(vec![rider]).await
    }

    async fn ping_from(&mut self, riders: Vec<usize>) -> Result<(), CallError> {
        let place = |rider: usize| self.stage.plane.on_globe(self.riders[rider].position(self.instance, self.now_s));
        let places = riders.into_iter().map(|rider| (rider, place(rider))).collect();
        self.stage.ping(places, self.zero.plus_s(self.now_s)).await?;
        Ok(())
    }

    /// Gives up what nobody could bring, waits until everything is settled, and compares the couriers' day with the server's record of it.
    /// The solution, and where the two differ.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub async fn close(mut self) -> Result<(Solution, Vec<String>), ReplayError> {
        for order in std::mem::take(&mut self.waiting) {
            self.stage.give_up(&self.ids[&order]).await.map_err(|source| self.at(source))?;
        }
        let mut waited_s = 0;
        loop {
            self.stage.advance(if waited_s == 0 { 0 } else { PING_S }).await.map_err(|source| self.at(source))?;
            let orders = self.stage.orders().await?;
            if orders.iter().all(Order::is_final) || waited_s >= SETTLE_S {
                break;
            }
            waited_s += PING_S;
        }
        self.solution.sort(self.instance);
        for delivery in self.solution.orders.clone() {
            let Some(Place::Order(order)) = self.instance.place(&delivery.order) else { continue };
            let events = self.stage.events(&self.ids[&order]).await?;
            let courier = self.stage.admin.look_at(&self.ids[&order]).await?.courier_id;
            let at_s = |kind: &str| events.iter().find(|event| event.kind == kind).map(|event| event.at.ms_since(self.zero) / 1000);
            let Some(Place::Courier(rider)) = self.instance.place(&delivery.courier) else { continue };
            let is_so = at_s("OrderPickedUp") == Some(delivery.pickup_s)
                && at_s("OrderDelivered") == Some(delivery.dropoff_s)
                && courier.as_ref() == Some(&self.stage.couriers[rider].courier);
            if !is_so {
                let (pickup, dropoff) = (at_s("OrderPickedUp"), at_s("OrderDelivered"));
                self.faults.push(format!("{delivery:?}, but the server says courier {courier:?}, pickup {pickup:?}, drop-off {dropoff:?}"));
            }
        }
        Ok((self.solution, self.faults))
    }
}
