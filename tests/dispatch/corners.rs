//! Corners: a courier who can carry less from now on, an order given back late, a job that the policy cannot stand.

use std::sync::Arc;

use medina::city::dispatch::policy::{Immediate, Plan, Policy, Scene};
use medina::city::dispatch::{self, Job, JobId, JobState, jobs};
use medina::engine::attention::ATTENTION;
use medina::people::users::Role;
use serde_json::json;

use crate::town::Town;

#[tokio::test(flavor = "multi_thread")]
async fn who_can_carry_less_is_not_held_to_an_offer() {
    let dir = tempfile::tempdir().unwrap();
    let town = Town::start(dir.path()).await;
    let rider = town.online(500.0).await;
    let mut wish = town.wish(1, 0);
    wish.size = 3;
    town.run(move |tx| dispatch::request(tx, wish).map(drop)).await.unwrap();
    let offer = town.offers(&rider).await.pop().expect("there is nobody else");
    let path = format!("/v1/couriers/{}", rider.id);
    let (status, shown) = town.send("PATCH", &town.admin, &path, json!({ "capacity": 2 })).await;
    assert_eq!((status, &shown["capacity"]), (200, &json!(2)), "{shown}");
    let (status, refused) = town.answer(&rider, &offer, "accept").await;
    assert_eq!(status, 409, "{refused}");
    assert!(matches!(town.job(1).state, JobState::Waiting { .. }), "it waits for somebody with more room");
    assert_eq!(town.send("PATCH", &town.admin, &path, json!({ "capacity": 3 })).await.0, 200);
    assert_eq!(town.report(&rider, "online", Some(500.0)).await.0, 200);
    town.settle().await;
    assert_eq!(town.offers(&rider).await.len(), 1, "and is offered again");
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_back_late_is_searched_for_anew() {
    let dir = tempfile::tempdir().unwrap();
    let town = Town::start(dir.path()).await;
    let rider = town.online(500.0).await;
    town.want(1, 0).await;
    let offer = town.offers(&rider).await.pop().expect("the only one");
    assert_eq!(town.answer(&rider, &offer, "accept").await.0, 200);
    town.pass(2 * jobs::GIVE_UP_S).await;
    let courier = rider.id;
    town.run(move |tx| dispatch::release(tx, 1, courier, "flat tyre")).await.unwrap();
    town.pass(jobs::GIVE_UP_S / 2).await;
    assert!(matches!(town.job(1).state, JobState::Waiting { .. }), "{:?}", town.job(1).state);
    let other = town.online(600.0).await;
    town.settle().await;
    assert_eq!(town.offers(&other).await.len(), 1);
    town.stop().await;
}

/// Panics when it sees one job.
struct Allergic(u128);

impl Policy for Allergic {
    fn name(&self) -> &'static str {
        "allergic/1"
    }
    fn plan(&self, scene: &dyn Scene, due: &[(JobId, Job)]) -> Vec<Plan> {
        assert!(due.iter().all(|(_, job)| job.request.subject != self.0), "the job that the test poisons");
        Immediate.plan(scene, due)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_job_stops_nobody_elses() {
    let dir = tempfile::tempdir().unwrap();
    let town = Town::planned_by(dir.path(), Arc::new(Allergic(1))).await;
    let rider = town.online(500.0).await;
    let wishes = [town.wish(1, 0), town.wish(2, 0)];
    town.run(move |tx| wishes.into_iter().try_for_each(|wish| dispatch::request(tx, wish).map(drop))).await.unwrap();
    assert_eq!(town.offers(&rider).await.len(), 1, "the other one is dispatched");
    assert!(matches!(town.job(2).state, JobState::Offered { .. }));
    assert!(matches!(town.job(1).state, JobState::Waiting { pause: Some(_) }));
    let told = || ATTENTION.scan(&*town.engine.view()).filter(|((kind, _), _)| kind == jobs::ATTENTION_FAILED).count();
    assert_eq!(told(), 1);
    town.run(|tx| {
        dispatch::withdraw(tx, 1);
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(told(), 0, "what is over needs nobody's attention");
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_is_asked_about_first() {
    let dir = tempfile::tempdir().unwrap();
    let town = Town::start(dir.path()).await;
    let support = town.user(Role::Support).await;
    for path in ["/v1/couriers?limit=x", "/v1/couriers/me/offers?wait=x", "/v1/dispatch/nearby?lat=x"] {
        assert_eq!(town.get("nobody", path).await.0, 401, "{path}");
        assert_eq!(town.get(&support, path).await.0, 422, "{path}");
    }
    for path in ["/v1/couriers?limitt=1", "/v1/couriers/me/offers?wayt=1", "/v1/dispatch/nearby?lat=5.6&lon=-0.2&radius=1"] {
        assert_eq!(town.get(&support, path).await.0, 422, "{path}");
    }
    town.stop().await;
}
