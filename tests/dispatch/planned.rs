//! The policy that plans ahead, through the live dispatcher: it asks when a departure cannot wait, and not before; bundles are asked for as one.

use medina::city::couriers::{self, CourierId};
use medina::city::dispatch::model::{DECISIONS, Outcome, Verdict};
use medina::city::dispatch::policy::{Choice, Leanings};
use medina::city::dispatch::{self, JobState, demand, views};

use crate::town::{Town, place};

async fn town() -> (tempfile::TempDir, Town) {
    let dir = tempfile::tempdir().unwrap();
    let town = Town::planned_by(dir.path(), Choice::Horizon.policy()).await;
    (dir, town)
}

fn offered_to(town: &Town, subject: u128) -> Option<CourierId> {
    match town.job(subject).state {
        JobState::Offered { offer } => dispatch::model::OFFERS.get(&*town.engine.view(), &offer).map(|offer| offer.courier),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_before_they_would_have_to_leave() {
    let (_dir, town) = town().await;
    let (near, _far) = (town.online(1_500.0).await, town.online(6_000.0).await);
    // 1500 m are 300 s; 60 s of the handing over and 60 s to answer come on top: asked 420 s before it is ready, for 10 s if they do not look.
    town.want(1, 1_200).await;
    town.pass(600).await;
    assert_eq!(offered_to(&town, 1), None, "it is too early by three minutes");
    town.pass(183).await;
    assert_eq!(offered_to(&town, 1), Some(near.id));
    let decisions = views::decisions(&*town.engine.view(), 1, 10);
    let (_, decision) = decisions.first().expect("an offer is a decision");
    assert_eq!(decision.policy, "horizon/3");
    let outcomes: Vec<Outcome> = decision.candidates.iter().map(|candidate| candidate.outcome).collect();
    assert_eq!(outcomes, [Outcome::Chosen, Outcome::Outscored], "both were weighed");
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_orders_of_one_counter_are_one_offer_to_the_only_courier() {
    let (_dir, town) = town().await;
    let rider = town.online(500.0).await;
    let next_door = dispatch::Request { dropoff: place(-1_050.0), ..town.wish(2, 400) };
    let first = town.wish(1, 400);
    town.run(move |tx| {
        dispatch::request(tx, first)?;
        dispatch::request(tx, next_door)
    })
    .await
    .unwrap();
    // 100 s to ride, and 120 s as above.
    town.pass(183).await;
    assert_eq!((offered_to(&town, 1), offered_to(&town, 2)), (Some(rider.id), Some(rider.id)));
    let offers = town.offers(&rider).await;
    assert_eq!(offers.len(), 1, "they are asked once for both");
    assert_eq!(town.answer(&rider, &offers[0], "accept").await.0, 200);
    assert_eq!(couriers::presence(&*town.engine.view(), rider.id).carries.len(), 2);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_far_courier_is_asked_where_the_near_one_is_needed_more() {
    let (_dir, town) = town().await;
    // Both counters are nearer to `middle`; only `middle` is anywhere near the second one.
    let (middle, south) = (town.online(0.0).await, town.online(-1_000.0).await);
    let second = dispatch::Request { merchant: 8, pickup: place(1_200.0), dropoff: place(1_500.0), ..town.wish(2, 0) };
    let first = dispatch::Request { pickup: place(-300.0), ..town.wish(1, 0) };
    town.run(move |tx| {
        dispatch::request(tx, first)?;
        dispatch::request(tx, second)
    })
    .await
    .unwrap();
    assert_eq!(
        (offered_to(&town, 1), offered_to(&town, 2)),
        (Some(south.id), Some(middle.id)),
        "the sum counts, not who is nearest to whom"
    );
    let view = town.engine.view();
    let chosen = DECISIONS.scan(&*view).filter(|(_, decision)| matches!(decision.verdict, Verdict::Offered { .. }));
    assert_eq!(chosen.count(), 2);
    drop(view);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_cost_the_same_the_poorer_is_asked_and_the_nearer_one_still_first() {
    for fair_pay_seconds in [10, 0] {
        two_alike(Leanings { fair_pay_seconds }).await;
    }
}

async fn two_alike(leanings: Leanings) {
    let dir = tempfile::tempdir().unwrap();
    let town = Town::planned_by(dir.path(), Choice::Horizon.leaning(leanings)).await;
    let (rich, poor) = (town.online(500.0).await, town.online(500.0).await);
    town.want(1, 0).await;
    let offer = town.offers(&rich).await.pop().expect("the first of two alike");
    assert_eq!(town.answer(&rich, &offer, "accept").await.0, 200);
    town.run(move |tx| dispatch::picked_up(tx, 1, rich.id)).await.unwrap();
    town.run(|tx| dispatch::finished(tx, 1)).await.unwrap();
    town.pass(3_540).await;
    // 100 m are 20 s of a customer's time; both have soon worked for an hour, one of them for 900.
    assert_eq!(town.report(&rich, "online", Some(400.0)).await.0, 200);
    town.want(2, 0).await;
    assert_eq!(offered_to(&town, 2), Some(rich.id), "clearly nearer");
    town.run(|tx| {
        dispatch::withdraw(tx, 2);
        Ok(())
    })
    .await
    .unwrap();
    // Nobody is believed to be 100 m farther at once.
    town.pass(60).await;
    assert_eq!(town.report(&rich, "online", Some(500.0)).await.0, 200);
    town.want(3, 0).await;
    if leanings.fair_pay_seconds == 0 {
        assert_eq!(offered_to(&town, 3), Some(rich.id), "alike, and pay is no reason: the first");
        return town.stop().await;
    }
    assert_eq!(offered_to(&town, 3), Some(poor.id), "alike, but for what they have earned");
    let decisions = views::decisions(&*town.engine.view(), 3, 10);
    let (_, decision) = decisions.first().expect("an offer is a decision");
    let seen: Vec<(CourierId, Option<u32>)> =
        decision.candidates.iter().map(|candidate| (candidate.courier, candidate.features.pay_permille)).collect();
    assert_eq!(seen, [(poor.id, Some(250)), (rich.id, Some(750))]);
    // The explanation says so, and what was kept leads to the same again.
    let order = dispatch::model::SubjectId::from_u128(3);
    let (_, told) = town.get(&town.admin, &format!("/v1/dispatch/orders/{order}/explanation?with=horizon")).await;
    let why = told["why_this_courier"].to_string();
    assert!(why.contains(&format!("{} came next", rich.id)) && why.contains("has earned more by the hour today"), "{why}");
    assert_eq!(told["decisions"][0]["again"]["same"], true, "{told}");
    // A day later nobody has earned anything.
    town.run(|tx| {
        dispatch::withdraw(tx, 3);
        Ok(())
    })
    .await
    .unwrap();
    town.pass(86_400).await;
    town.want(4, 0).await;
    assert_eq!(offered_to(&town, 4), Some(rich.id), "the first of two alike again");
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_orders_come_from_is_learned_and_forgotten() {
    let (_dir, town) = town().await;
    let count = |town: &Town| -> Vec<u64> {
        let known = demand::of_city(&*town.engine.view(), town.city, town.engine.now());
        known.into_iter().map(|(_, weight)| weight >> 22).collect()
    };
    assert!(count(&town).is_empty());
    town.want(1, 1_200).await;
    assert_eq!(count(&town), [1_024], "in 1024ths of an order");
    town.want(1, 1_300).await;
    assert_eq!(count(&town), [1_024], "the same order again is no other order");
    let elsewhere = dispatch::Request { merchant: 8, pickup: place(5_000.0), ..town.wish(2, 1_200) };
    town.run(move |tx| dispatch::request(tx, elsewhere)).await.unwrap();
    town.want(3, 1_200).await;
    let mut zones = count(&town);
    zones.sort_unstable();
    assert_eq!(zones, [1_024, 2_048]);
    town.pass(medina::city::dispatch::horizon::demand::HALF_LIFE_S).await;
    let mut zones = count(&town);
    zones.sort_unstable();
    assert_eq!(zones, [512, 1_024]);
    town.stop().await;
}
