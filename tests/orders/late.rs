//! Kitchens that are late, pins that move, orders that nobody gets on with.
#![allow(clippy::unwrap_used)] // tests

use std::sync::Arc;

use medina::city::dispatch::jobs;
use medina::city::dispatch::model::{OFFERS, OfferState};
use medina::city::tracking::Tracking;
use medina::engine::attention::ATTENTION;
use medina::engine::event::EVENTS;
use medina::money::payments::Method;
use medina::trade::failure::Failure;
use medina::trade::orders::kitchen::{self, Promise};
use medina::trade::orders::model::{Goods, Refusal};
use medina::trade::orders::ride::{self, Milestone, Report};
use medina::trade::orders::{ending, moving, overdue};
use medina::trade::quotes::model::Refusal as QuoteRefusal;

use crate::world::{World, at};

/// A kitchen that is late: the promise moves, the customer hears, the courier comes later; and whoever says nothing is called.
#[tokio::test(flavor = "multi_thread")]
async fn a_kitchen_that_is_late_moves_everything() {
    let world = World::new(|_| ()).await;
    let id = world.place(Method::Cash).await;
    world.run(world.staff, move |tx| kitchen::accept(tx, id, Promise::Minutes(10))).await.unwrap();
    let before = world.order(id);
    for minutes in [0, 121] {
        assert!(matches!(world.run(world.staff, move |tx| kitchen::delay(tx, id, minutes)).await, Err(Failure::Invalid(_))), "{minutes}");
    }
    assert!(matches!(world.run(world.customer, move |tx| kitchen::delay(tx, id, 5)).await, Err(Failure::Denied(_))));
    world.run(world.staff, move |tx| kitchen::delay(tx, id, 15)).await.unwrap();
    let after = world.order(id);
    assert_eq!(after.ready_at, before.ready_at.map(|at| at.plus_s(900)));
    assert_eq!(after.eta, before.eta.map(|at| at.plus_s(900)));
    let job = || jobs::of_subject(&*world.view(), id.as_u128()).unwrap().1;
    assert_eq!(Some(job().request.ready_at), after.ready_at, "dispatch plans with the new time");
    assert_eq!(job().request.due_at, before.ready_at.map(|at| at.plus_s(i64::from(before.created.travel_s))), "the promise stays");
    let told = world.view();
    let told = EVENTS.scan(&*told).filter(|(_, event)| event.name == "EtaChanged").count();
    assert!(told >= 2, "the customer hears of it");
    let listed = |kind: &str| ATTENTION.has(&*world.view(), &(kind.to_owned(), id.to_string()));
    // From the promised time on, minute by minute, nothing is said: ten minutes later somebody calls.
    world.advance(25 * 60 + 599).await;
    assert!(!listed(overdue::ATTENTION_KITCHEN));
    world.advance(1).await;
    assert!(listed(overdue::ATTENTION_KITCHEN));
    // Late as it is, the kitchen says so: counted from now.
    let now = world.engine.now();
    world.run(world.staff, move |tx| kitchen::delay(tx, id, 5)).await.unwrap();
    assert_eq!(world.order(id).ready_at, Some(now.plus_s(300)));
    assert!(!listed(overdue::ATTENTION_KITCHEN));
    world.advance(300 + 600).await;
    assert!(listed(overdue::ATTENTION_KITCHEN));
    world.advance(3_600).await;
    assert!(listed(overdue::ATTENTION_OVERDUE), "and at the end it is not at the door either");
    world.run(world.support, move |tx| ending::cancel(tx, id, "nobody cooks".to_owned(), None, Goods::Disposed)).await.unwrap();
    assert!(!listed(overdue::ATTENTION_KITCHEN) && !listed(overdue::ATTENTION_OVERDUE));
    world.check();
}

/// Whoever is being asked for food that is late is not held to the offer.
#[tokio::test(flavor = "multi_thread")]
async fn an_offer_for_food_that_is_late_is_taken_back() {
    let world = World::new(|_| ()).await;
    let id = world.place(Method::Cash).await;
    world.run(world.staff, move |tx| kitchen::accept(tx, id, Promise::Minutes(10))).await.unwrap();
    let offer = world.courier_is_asked(id).await;
    world.run(world.staff, move |tx| kitchen::delay(tx, id, 1)).await.unwrap();
    assert_eq!(OFFERS.get(&*world.view(), &offer).unwrap().state, OfferState::Made, "a minute is no reason");
    world.run(world.staff, move |tx| kitchen::delay(tx, id, 10)).await.unwrap();
    assert_eq!(OFFERS.get(&*world.view(), &offer).unwrap().state, OfferState::Withdrawn);
    let presence = medina::city::couriers::presence(&*world.view(), world.courier);
    assert_eq!((presence.asked, presence.record.acceptance_permille), (None, 1000));
    world.check();
}

/// The pin goes as far as the fee goes, inside the city, until the courier is nearly there.
#[tokio::test(flavor = "multi_thread")]
async fn a_pin_moves_while_it_can() {
    let world = World::new(|_| ()).await;
    let id = world.place(Method::Cash).await;
    world.run(world.staff, move |tx| kitchen::accept(tx, id, Promise::Minutes(10))).await.unwrap();
    let before = world.order(id);
    let tracking = Arc::new(Tracking::default());
    let go = |who, place: index::geo::Point| {
        let tracking = tracking.clone();
        world.run(who, move |tx| moving::move_dropoff(tx, &tracking, id, place, None, None))
    };
    let (near, far, outside) = (at(5.605, -0.2), at(5.66, -0.2), at(5.8, -0.2));
    let quoted = world.run(world.customer, move |tx| moving::quote(tx, id, far, None)).await.unwrap();
    assert!(quoted.fee > quoted.paid && quoted.paid == before.created.amounts.delivery_fee, "{quoted:?}");
    let refused = go(world.customer, far).await;
    assert!(
        matches!(refused, Err(Failure::Refused(Refusal::CostsMore { fee, paid })) if fee == quoted.fee && paid == quoted.paid),
        "{refused:?}"
    );
    assert!(matches!(go(world.customer, outside).await, Err(Failure::Quote(QuoteRefusal::OutOfArea))));
    assert!(matches!(go(world.stranger, near).await, Err(Failure::Denied(_))));
    let moved = go(world.customer, near).await.unwrap();
    assert_eq!((moved.created.dropoff, moved.created.amounts), (near.into(), before.created.amounts), "the price stays");
    let shorter_s = i64::from(before.created.travel_s) - i64::from(moved.created.travel_s);
    assert!(shorter_s > 0 && moved.eta == before.eta.map(|eta| eta.minus_s(shorter_s)), "{moved:?}");
    let job = || jobs::of_subject(&*world.view(), id.as_u128()).unwrap().1;
    assert_eq!(job().request.dropoff, near.into());
    // An offer was for another way.
    let offer = world.courier_is_asked(id).await;
    go(world.customer, at(5.606, -0.2)).await.unwrap();
    assert_eq!(OFFERS.get(&*world.view(), &offer).unwrap().state, OfferState::Withdrawn);
    world.courier_takes(id).await;
    let pickup = Some(before.created.pickup_code);
    let report = |to, code| Report { to, code, photo: None, at: None, cash_collected: None, reason: None };
    let taken = report(Milestone::PickedUp, pickup);
    world.run(world.rider, move |tx| ride::report(tx, id, taken)).await.unwrap();
    tracking.place(world.courier, at(5.602, -0.2).into(), world.engine.now());
    go(world.customer, near).await.expect("the courier is 450 m away");
    tracking.place(world.courier, at(5.603, -0.2).into(), world.engine.now());
    assert!(matches!(go(world.customer, at(5.606, -0.2)).await, Err(Failure::Refused(Refusal::DropoffFixed { .. }))), "and now 220 m");
    let at_door = report(Milestone::AtCustomer, None);
    tracking.gone(world.courier);
    world.run(world.rider, move |tx| ride::report(tx, id, at_door)).await.unwrap();
    assert!(matches!(go(world.support, near).await, Err(Failure::Refused(Refusal::DropoffFixed { .. }))));
    world.check();
}
