//! Who does what in a night: customers, kitchens, couriers and their phones.

use medina::city::couriers::commands::{Report as Work, report as says};
use medina::city::couriers::{self, Availability, Vehicle};
use medina::city::dispatch::by_hand::commands::{Wish, assign};
use medina::city::dispatch::model::{OFFERS, OfferState, SubjectId};
use medina::city::dispatch::{JobState, OfferId, offers};
use medina::city::tracking::{Ping, Received};
use medina::engine::{Caller, UserId};
use medina::money::payments::Method;
use medina::sim::act::{Act, Sorry};
use medina::sim::town::at;
use medina::trade::orders::kitchen;
use medina::trade::orders::model::{OrderId, Stage, State};
use medina::trade::orders::moving;
use medina::trade::orders::record::{ORDERS, Order};
use medina::trade::orders::ride::Milestone;
use serde_json::Value;

use crate::night::Night;

const ORDERS_MAX: usize = 18;
const METRES_A_DEGREE: f64 = 111_195.0;

fn point((north, east): (f64, f64)) -> index::geo::Point {
    at(5.6 + north / METRES_A_DEGREE, -0.2 + east / METRES_A_DEGREE)
}

/// Everybody whose phone lives says where they are: sometimes wrong, sometimes late, sometimes not at all.
pub fn ping(night: &mut Night) {
    let view = night.view();
    let received = Received { at: night.now, monotonic_ms: night.mono_ms, stands_still: false };
    for n in 0..night.riders.len() {
        let chance = night.dice.below(100);
        let far = 20_000.0 + night.dice.below(30_000) as f64;
        let step = (night.dice.below(61) as f64 - 30.0, night.dice.below(61) as f64 - 30.0);
        let rider = &mut night.riders[n];
        if rider.dead_until > night.mono_ms || couriers::presence(&*view, rider.id).availability == Availability::Offline {
            continue;
        }
        rider.at = ((rider.at.0 + step.0).clamp(-4_000.0, 4_000.0), (rider.at.1 + step.1).clamp(-4_000.0, 4_000.0));
        let stamp = night.now.plus_s(rider.ahead_s);
        let fresh = night.tracking.position(rider.id).is_some_and(|live| night.now.ms_since(live.at) < 60_000);
        let here = night.riders[n].at;
        let mut say = |place: (f64, f64), at| {
            let rider = &mut night.riders[n];
            rider.seq += 1;
            Ping { point: point(place), at, accuracy_m: Some(10.0), speed_mps: None, heading_deg: None, seq: Some(rider.seq) }
        };
        let pings = match chance {
            // The satellites, or somebody, put the courier elsewhere; each time somewhere else.
            0..8 if fresh => vec![say((far, far * if chance.is_multiple_of(2) { 1.0 } else { -1.0 }), stamp)],
            // What was kept in a tunnel comes after what is newer.
            8..14 => vec![say(here, stamp), say(here, stamp.minus_s(90)), say(here, stamp.minus_s(400)), say(here, stamp.minus_s(40))],
            // Nonsense of all kinds.
            14..17 => vec![say(here, stamp.plus_s(4_000)), say(here, stamp.minus_s(90_000))],
            _ => vec![say(here, stamp)],
        };
        let id = night.riders[n].id;
        let counted = night.tracking.accept_pings(&*view, id, Vehicle::Bike, &pings, received);
        night.riders[n].heard_ms = night.mono_ms;
        night.seen.doubted += counted.doubted;
        night.seen.late_pings += counted.late;
    }
}

/// Somebody does something.
pub fn act(night: &mut Night) {
    match night.dice.below(100) {
        0..12 => order(night),
        12..32 => kitchen_acts(night),
        32..37 => move_pin(night),
        37..39 => cancel(night),
        39..80 => ride(night),
        80..85 => presence(night),
        85..91 => phone_dies(night),
        91..97 => answer_late(night),
        _ => operator(night),
    }
}

fn perform(night: &mut Night, who: UserId, act: &Act) -> Result<Value, String> {
    let answer = night.ask(&Caller::user(who), |tx| act.perform(tx));
    answer.map(|answer| serde_json::from_slice(&answer.body).unwrap())
}

/// One more order, which its kitchen takes.
pub fn order_and_cook(night: &mut Night) {
    place(night);
    let placed = night.orders.last().and_then(|id| ORDERS.get(&*night.view(), id));
    // What is new is not in the picture yet.
    if let (Some(id), None) = (night.orders.last().copied(), placed) {
        let staff: Vec<UserId> = night.town.quarters.iter().map(|quarter| quarter.staff).collect();
        assert!(staff.into_iter().any(|staff| perform(night, staff, &Act::Accept { order: id }).is_ok()), "one of them is its kitchen");
    }
}

/// Everybody awake says yes to whatever they are asked.
pub fn nod(night: &mut Night) {
    let view = night.view();
    for n in 0..night.riders.len() {
        let asked = couriers::presence(&*view, night.riders[n].id).asked;
        if let (Some(offer), true) = (asked, night.riders[n].dead_until <= night.mono_ms) {
            heard(night, n);
            accept(night, OfferId::from_u128(offer), night.riders[n].user);
        }
    }
}

fn order(night: &mut Night) {
    if night.orders.len() < ORDERS_MAX {
        place(night);
    }
}

fn place(night: &mut Night) {
    let customer = *night.dice.pick(&night.town.customers).unwrap();
    // The first city takes the money at delivery, as cash needs.
    let quarter = night.dice.pick(&night.town.quarters).unwrap();
    let quarter = if is_rush(night) { &night.town.quarters[0] } else { quarter };
    let quote = Act::Quote { merchant: quarter.merchant, item: quarter.items[0], quantity: 1, tip: 100 };
    let Ok(quoted) = perform(night, customer, &quote) else { return };
    let quote = quoted["quote"].as_str().unwrap().parse().unwrap();
    if let Ok(placed) = perform(night, customer, &Act::Place { quote, method: Method::Cash }) {
        night.orders.push(placed["id"].as_str().unwrap().parse().unwrap());
        night.seen.orders += 1;
    }
}

/// One of the orders under way, as the last picture shows it.
fn an_order(night: &mut Night) -> Option<Order> {
    let view = night.view();
    let open: Vec<Order> = night.orders.iter().filter_map(|id| ORDERS.get(&*view, id)).filter(|order| !order.state.is_final()).collect();
    night.dice.pick(&open).cloned()
}

fn kitchen_acts(night: &mut Night) {
    let Some(order) = an_order(night) else { return };
    let (id, staff) = (order.id, night.town.quarter_of(order.created.merchant).unwrap().staff);
    match order.state {
        State::Confirmed if night.dice.percent(6) => drop(perform(night, staff, &Act::Reject { order: id })),
        State::Confirmed => drop(perform(night, staff, &Act::Accept { order: id })),
        State::Accepted | State::Preparing if night.dice.percent(35) => {
            let minutes = 1 + night.dice.below(20) as u32;
            let delayed = night.ask(&Caller::user(staff), |tx| kitchen::delay(tx, id, minutes));
            let delayed = delayed.expect("a kitchen that cooks can say that it is late");
            assert!(delayed.ready_at > order.ready_at && delayed.eta >= order.eta, "a delay makes it later");
            night.seen.delays += 1;
        }
        // Some kitchens never say that it is ready.
        State::Accepted | State::Preparing if id.as_u128() % 7 != 0 => drop(perform(night, staff, &Act::Ready { order: id })),
        _ => assert!(night.ask(&Caller::user(staff), |tx| kitchen::delay(tx, id, 5)).is_err() || order.state <= State::Preparing),
    }
}

fn move_pin(night: &mut Night) {
    let Some(order) = an_order(night) else { return };
    let there = (night.dice.below(6_000) as f64 - 1_000.0, night.dice.below(1_000) as f64);
    let (id, door, tracking) = (order.id, point(there), night.tracking.clone());
    let by = Caller::user(order.created.customer);
    let moved = night.ask(&by, |tx| moving::move_dropoff(tx, &tracking, id, door, None, None));
    match moved {
        Ok(moved) => {
            assert!(moved.created.amounts == order.created.amounts, "no money moves");
            assert!(moved.state < State::AtCustomer, "{}", moved.state);
            night.seen.moves += 1;
        }
        Err(_) => night.seen.moves_refused += 1,
    }
}

fn cancel(night: &mut Night) {
    let Some(order) = an_order(night) else { return };
    let who = if night.dice.percent(60) { order.created.customer } else { night.town.support };
    let _ = perform(night, who, &Act::Cancel { order: order.id });
}

/// Somebody at the desk gives an order to whoever comes to mind, or has another one looked for.
fn operator(night: &mut Night) {
    let view = night.view();
    let open = night.orders.iter().filter_map(|id| ORDERS.get(&*view, id)).filter(|order| !order.state.is_final());
    // What is in somebody's bag is what only a person can hand on.
    let (on_the_way, others): (Vec<Order>, Vec<Order>) = open.partition(|order| order.picked_up_at.is_some());
    let Some(order) = night.dice.pick(if on_the_way.is_empty() { &others } else { &on_the_way }).cloned() else { return };
    let (first, count) = (night.dice.below(night.riders.len()), night.riders.len());
    let looks = night.dice.percent(20);
    let in_the_bag = order.picked_up_at.is_some();
    let (support, subject) = (Caller::user(night.town.support), SubjectId::from_u128(order.id.as_u128()));
    // They call one after the other, until somebody can.
    for n in 0..count {
        let to = (!looks).then(|| night.riders[(first + n) % count].id);
        let wish = Wish { to, instead_of: None, reason: "the desk".to_owned(), eta: None };
        let Ok(job) = night.ask(&support, |tx| assign(tx, subject, &wish)) else { continue };
        assert!(to.is_none_or(|to| job.state == JobState::Assigned { courier: to, picked_up: in_the_bag }), "{:?}", job.state);
        night.seen.by_hand += 1;
        night.seen.handed_over += u32::from(in_the_bag);
        return;
    }
}

/// A rider whose phone works.
fn a_rider(night: &mut Night) -> Option<usize> {
    let awake: Vec<usize> = (0..night.riders.len()).filter(|n| night.riders[*n].dead_until <= night.mono_ms).collect();
    night.dice.pick(&awake).copied()
}

fn heard(night: &mut Night, n: usize) {
    night.tracking.heard(night.riders[n].id, night.mono_ms);
    night.riders[n].heard_ms = night.mono_ms;
}

fn ride(night: &mut Night) {
    let Some(n) = a_rider(night) else { return };
    let (id, user) = (night.riders[n].id, night.riders[n].user);
    let presence = couriers::presence(&*night.view(), id);
    if let Some(offer) = presence.asked {
        answer(night, n, OfferId::from_u128(offer));
        return;
    }
    let Some(carried) = night.dice.pick(&presence.carries).cloned() else { return };
    let Some(order) = ORDERS.get(&*night.view(), &OrderId::from_u128(carried.subject)) else { return };
    heard(night, n);
    let act = next(night, &order, carried.picked_up);
    if let (Ok(shown), Act::Report { to: Milestone::Delivered, .. }) = (perform(night, user, &act), &act) {
        night.seen.delivered += u32::from(shown["status"] == "SETTLED");
    }
}

/// In some nights everybody wants the same kitchen, and couriers wait there until late: hands fill.
fn is_rush(night: &Night) -> bool {
    night.seed % 2 == 1 && night.step < 110
}

/// Yes, to whatever ends now.
pub fn at_the_last_second(night: &mut Night) {
    let view = night.view();
    let ending = OFFERS.scan(&*view).filter(|(_, offer)| offer.state == OfferState::Made && offer.expires_at <= night.now);
    for (id, offer) in ending.collect::<Vec<_>>() {
        let n = night.riders.iter().position(|rider| rider.id == offer.courier).unwrap();
        if night.riders[n].dead_until <= night.mono_ms {
            heard(night, n);
            accept(night, id, night.riders[n].user);
        }
    }
}

/// What a courier does next with an order.
fn next(night: &mut Night, order: &Order, picked_up: bool) -> Act {
    let report = |to, code, cash| Act::Report { order: order.id, to, code, cash };
    if picked_up {
        return match night.dice.below(10) {
            0 => report(Milestone::Delivered, Some(*b"none"), None),
            1..4 => report(Milestone::AtCustomer, None, None),
            _ => report(Milestone::Delivered, Some(order.created.delivery_code), order.payment.cash_due),
        };
    }
    match (night.dice.below(10), order.leg) {
        (1.., _) if is_rush(night) => report(Milestone::AtRestaurant, None, None),
        (0, _) => Act::Release { order: order.id },
        (1..5, None | Some(Stage::Assigned | Stage::EnRouteToRestaurant)) => report(Milestone::AtRestaurant, None, None),
        _ => report(Milestone::PickedUp, Some(order.created.pickup_code), None),
    }
}

/// A yes, a no, or nothing. A yes that is taken must have been in time, and only once.
fn answer(night: &mut Night, n: usize, offer: OfferId) {
    let user = night.riders[n].user;
    match night.dice.below(100) {
        0..72 => {
            heard(night, n);
            accept(night, offer, user);
        }
        72..84 => {
            heard(night, n);
            let declined = night.ask(&Caller::user(user), |tx| offers::decline(tx, offer, None));
            night.seen.declined += u32::from(declined.is_ok());
        }
        _ => (),
    }
}

fn accept(night: &mut Night, offer: OfferId, user: UserId) {
    let now = night.now;
    let by = Caller::user(user);
    let taken = night.ask(&by, |tx| {
        let before = OFFERS.get(tx, &offer);
        offers::accept(tx, offer).map(|_| before)
    });
    match taken {
        Ok(before) => {
            let before = before.unwrap();
            assert!(before.state == OfferState::Made && now < before.expires_at, "{offer} was taken at {now}: {before:?}");
            let again = night.ask(&by, |tx| offers::accept(tx, offer).map(drop));
            assert!(again.is_err(), "{offer} was taken twice");
        }
        Err(_) => night.seen.too_late += 1,
    }
}

/// A phone that was off shows an offer of long ago, and its owner says yes.
fn answer_late(night: &mut Night) {
    let Some((offer, user)) = night.dice.pick(&night.offers).copied() else { return };
    let n = night.riders.iter().position(|rider| rider.user == user).unwrap();
    if night.riders[n].dead_until <= night.mono_ms {
        heard(night, n);
        accept(night, offer, user);
    }
}

fn presence(night: &mut Night) {
    let Some(n) = a_rider(night) else { return };
    let (id, user, place) = (night.riders[n].id, night.riders[n].user, night.riders[n].at);
    let availability = match night.dice.below(10) {
        0..6 => Availability::Online,
        6..8 => Availability::Break,
        _ => Availability::Offline,
    };
    let until = night.dice.percent(20).then(|| night.now.plus_s(60 + night.dice.below(1_800) as i64));
    // Some say that they are where nobody could have come to so soon.
    let is_made_up = night.tracking.position(id).is_some_and(|live| night.now.ms_since(live.at) < 60_000) && night.dice.percent(25);
    let place = if is_made_up { (30_000.0, place.1) } else { place };
    let position = Some(point(place).into()).filter(|place| night.tracking.believes(id, Vehicle::Bike, *place, night.now));
    let report = Work { availability, until, position };
    let said = night.ask(&Caller::user(user), |tx| says(tx, report).map_err(|refusal| Sorry::No(refusal.to_string())));
    if let Ok((_, _, presence)) = said {
        night.tracking.follow(id, Vehicle::Bike, &presence, Some(point(place).into()), night.now);
        if presence.availability != Availability::Offline {
            heard(night, n);
        }
    }
}

fn phone_dies(night: &mut Night) {
    let view = night.view();
    let waited_for: Vec<usize> = (0..night.riders.len())
        .filter(|n| couriers::presence(&*view, night.riders[*n].id).carries.iter().any(|carried| !carried.picked_up))
        .collect();
    // Worst is a phone whose owner is awaited.
    let n = night.dice.pick(&waited_for).copied().unwrap_or_else(|| night.dice.below(4));
    // Two thirds come back before anybody takes their orders away.
    let seconds = if night.dice.percent(65) { 110 + night.dice.below(70) } else { 300 + night.dice.below(1_200) };
    night.riders[n].dead_until = night.mono_ms + seconds as u64 * 1000;
}
