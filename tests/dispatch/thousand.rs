//! A thousand orders at once and two hundred and fifty couriers: bounded work, the oldest first, nobody starves.

use std::collections::BTreeMap;

use medina::city::couriers::model::{COURIERS, PRESENCES};
use medina::city::couriers::{Availability, Courier, CourierId, Presence, Status, Vehicle};
use medina::city::dispatch::model::{DECISIONS, JOBS, JobState, OFFERS, OFFERS_LIVE};
use medina::city::dispatch::{self, OfferId, Refusal, offers};
use medina::engine::{Caller, UserId};

use crate::town::{Town, place};

const ORDERS: u128 = 1_000;
const COURIERS_COUNT: u128 = 250;
const ROUND_S: i64 = 45;
/// One command may set off 256 events.
const TAKEN_AT_ONCE: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_orders_at_once_are_all_brought_the_oldest_first() {
    let dir = tempfile::tempdir().unwrap();
    let town = Town::start(dir.path()).await;
    let city = town.city;
    town.run(move |tx| {
        for n in 1..=COURIERS_COUNT {
            let (id, user) = (CourierId::from_u128(n), UserId::from_u128(n));
            let (status, created_at) = (Status::Active, tx.now());
            COURIERS.put(
                tx,
                &id,
                &Courier { user, city, vehicle: Vehicle::Bike, capacity: 1, plate: None, status, version: 1, created_at },
            );
            let position = Some(place(n as f64 * 10.0));
            PRESENCES.put(tx, &id, &Presence { availability: Availability::Online, position, ..Presence::default() });
        }
        Ok(())
    })
    .await
    .unwrap();
    for n in 1..=COURIERS_COUNT {
        town.tracking.place(CourierId::from_u128(n), place(n as f64 * 10.0), town.engine.now());
    }
    // The first is the oldest. All come in one commit.
    let now = town.engine.now();
    let wishes: Vec<_> =
        (1..=ORDERS).map(|n| dispatch::Request { ready_at: now.minus_s((ORDERS - n) as i64), ..town.wish(n, 0) }).collect();
    town.run(move |tx| wishes.into_iter().try_for_each(|wish| dispatch::request(tx, wish).map(drop))).await.unwrap();
    let mut taken_in_round: BTreeMap<u128, i64> = BTreeMap::new();
    let mut round = 0;
    while taken_in_round.len() < ORDERS as usize {
        assert!(round < 40, "{} of {ORDERS} after {round} rounds", taken_in_round.len());
        let live: Vec<(OfferId, Vec<u128>)> =
            OFFERS.find(&*town.engine.view(), &OFFERS_LIVE, &()).map(|(id, offer)| (id, offer.subjects)).collect();
        assert!(live.len() <= COURIERS_COUNT as usize, "a courier has one offer at a time");
        taken_in_round.extend(live.iter().flat_map(|(_, subjects)| subjects.iter().map(|subject| (*subject, round))));
        for some in live.chunks(TAKEN_AT_ONCE).map(<[_]>::to_vec) {
            let taken = town.engine.write(&Caller::system("test"), "test", move |tx| {
                for (id, subjects) in some {
                    offers::accept(tx, id)?;
                    subjects.into_iter().try_for_each(|subject| dispatch::finished(tx, subject))?;
                }
                Ok::<_, Refusal>(())
            });
            taken.await.unwrap();
        }
        town.pass(ROUND_S).await;
        round += 1;
    }
    assert!(JOBS.scan(&*town.engine.view()).all(|(_, job)| matches!(job.state, JobState::Done { .. })));
    // Whoever waited longer is not passed over: within a few rounds, everybody in the order of their age.
    let fair_round = |subject: u128| (subject as i64 - 1) / COURIERS_COUNT as i64;
    let worst = taken_in_round.iter().map(|(subject, round)| round - fair_round(*subject)).max().unwrap();
    assert!(worst <= 4, "somebody waited {worst} rounds more than their turn");
    // Who finds nobody is looked at less and less often: a bounded number of looks an order and minute.
    let looks = DECISIONS.scan(&*town.engine.view()).count() as i64;
    let most = ORDERS as i64 * (round * ROUND_S / 60 + 8);
    assert!(looks < most, "{looks} decisions in {round} rounds");
    println!("{round} rounds, {looks} decisions, at worst {worst} rounds late");
    town.stop().await;
}
