//! Dispatch as couriers and operators meet it: offers, answers, silence, the map, and a night of chance.
#![allow(clippy::unwrap_used)] // tests

mod by_hand;
mod corners;
mod explained;
mod night;
mod planned;
mod shifts;
mod silence;
mod thousand;
mod town;

use std::time::Duration;

use medina::city::couriers;
use medina::city::dispatch::{self, JobState};
use medina::engine::attention::ATTENTION;
use medina::people::users::Role;
use serde_json::{Value, json};
use town::{Town, north};

async fn town() -> (tempfile::TempDir, Town) {
    let dir = tempfile::tempdir().unwrap();
    let town = Town::start(dir.path()).await;
    (dir, town)
}

fn assigned_to(town: &Town, subject: u128) -> Option<couriers::CourierId> {
    match town.job(subject).state {
        JobState::Assigned { courier, .. } => Some(courier),
        _ => None,
    }
}

fn waiting_for_a_person(town: &Town) -> usize {
    ATTENTION.scan(&*town.engine.view()).filter(|((kind, _), _)| kind == "unassigned").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nearer_courier_is_asked_and_of_two_accepts_one_wins() {
    let (_dir, town) = town().await;
    let (near, far) = (town.online(500.0).await, town.online(3_000.0).await);
    town.want(1, 0).await;
    assert_eq!(town.offers(&far).await, Vec::<String>::new());
    let offer = town.offers(&near).await.pop().expect("the nearer one is asked");
    let path = format!("/v1/offers/{offer}/accept");
    let (first, second) =
        tokio::join!(town.send("POST", &near.token, &path, Value::Null), town.send("POST", &near.token, &path, Value::Null));
    let mut statuses = [first.0, second.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    let loser = if first.0 == 409 { &first.1 } else { &second.1 };
    assert_eq!(loser["code"], "offer_taken");
    assert_eq!(assigned_to(&town, 1), Some(near.id));
    // Hands, route, and the law against going home with somebody's dinner.
    let (status, refused) = town.report(&near, "offline", None).await;
    assert_eq!((status, &refused["code"]), (409, &json!("has_active_orders")));
    let (_, route) = town.get(&near.token, "/v1/couriers/me/route").await;
    let kinds: Vec<&str> = route["stops"].as_array().unwrap().iter().map(|stop| stop["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["pickup", "dropoff"]);
    assert_eq!(route["stops"][1]["number"], "A1");
    town.run(move |tx| dispatch::picked_up(tx, 1, near.id)).await.unwrap();
    let (_, route) = town.get(&near.token, "/v1/couriers/me/route").await;
    assert_eq!(route["stops"].as_array().unwrap().len(), 1);
    town.run(|tx| dispatch::finished(tx, 1)).await.unwrap();
    assert_eq!(town.report(&near, "offline", None).await.0, 200);
    assert!(town.dispatcher.decision_times().count() >= 1);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_and_a_silence_pass_it_on_and_are_explained() {
    let (_dir, town) = town().await;
    let (first, second) = (town.online(300.0).await, town.online(900.0).await);
    town.want(1, 0).await;
    let declined = town.offers(&first).await.pop().unwrap();
    assert_eq!(town.answer(&first, &declined, "decline").await.0, 200);
    let seen = town.offers(&second).await.pop().expect("the next one is asked at once");
    // Nobody else is left, and the second one lets it pass.
    town.pass(29).await;
    assert_eq!(town.offers(&second).await, std::slice::from_ref(&seen));
    town.pass(1).await;
    assert_eq!(town.refusal(&second, &seen, "accept").await, (409, "offer_expired".to_owned()));
    assert_eq!(town.refusal(&first, &declined, "accept").await, (409, "offer_expired".to_owned()));
    let order = medina::city::dispatch::model::SubjectId::from_u128(1);
    let (status, shown) = town.get(&town.admin, &format!("/v1/dispatch/orders/{order}/candidates")).await;
    assert_eq!(status, 200, "{shown}");
    let of_the_second = &shown["data"].as_array().unwrap().iter().rev().nth(1).unwrap()["candidates"];
    let said: Vec<(&str, &str)> = of_the_second
        .as_array()
        .unwrap()
        .iter()
        .map(|candidate| (candidate["outcome"].as_str().unwrap(), candidate["why_not"].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(said, [("chosen", ""), ("excluded", "declined")]);
    // Silence is forgiven after two minutes, a no after ten.
    town.pass(180).await;
    assert!(town.offers(&second).await.len() + town.offers(&first).await.len() <= 1);
    assert_eq!(couriers::presence(&*town.engine.view(), first.id).record.acceptance_permille, 875);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_nobody_saw_is_taken_back_and_not_held_against_them() {
    let (_dir, town) = town().await;
    let (dead, awake) = (town.online(300.0).await, town.online(900.0).await);
    town.want(1, 0).await;
    town.pass(9).await;
    assert!(couriers::presence(&*town.engine.view(), dead.id).asked.is_some());
    town.pass(1).await;
    let presence = couriers::presence(&*town.engine.view(), dead.id);
    assert_eq!((presence.asked, presence.record.acceptance_permille, presence.record.lapsed), (None, 1000, 0));
    let offer = town.offers(&awake).await.pop().expect("somebody else is asked");
    town.pass(15).await;
    assert_eq!(town.answer(&awake, &offer, "accept").await.0, 200, "a seen offer lives until its deadline");
    assert_eq!(town.job(1).round, 0, "nobody refused");
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_retried_told_and_healed_by_the_first_who_comes() {
    let (_dir, town) = town().await;
    town.want(1, 0).await;
    assert_eq!(waiting_for_a_person(&town), 0);
    town.pass(120).await;
    assert_eq!(waiting_for_a_person(&town), 1, "operators are told");
    let rider = town.online(1_000.0).await;
    town.settle().await;
    let offer = town.offers(&rider).await.pop().expect("looked at the moment somebody comes");
    assert_eq!(town.answer(&rider, &offer, "accept").await.0, 200);
    assert_eq!(waiting_for_a_person(&town), 0);
    // Another, for whom nobody comes within the hour.
    town.report(&rider, "break", None).await;
    town.want(2, 0).await;
    town.pass(3_700).await;
    assert_eq!((town.job(2).state, waiting_for_a_person(&town)), (JobState::Unassignable, 1));
    town.run(|tx| {
        dispatch::withdraw(tx, 2);
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(waiting_for_a_person(&town), 0);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn couriers_are_asked_when_they_must_leave_not_before() {
    let (_dir, town) = town().await;
    // 1,000 m at 5 m/s: 200 s to ride, 120 s at the counter, 60 s to answer.
    let rider = town.online(1_000.0).await;
    town.want(1, 1_800).await;
    assert_eq!(town.offers(&rider).await, Vec::<String>::new());
    town.pass(1_800 - 200 - 120 - 60 - 2).await;
    assert_eq!(town.offers(&rider).await, Vec::<String>::new());
    town.pass(4).await;
    let offer = town.offers(&rider).await.pop().expect("now they must leave");
    assert_eq!(town.answer(&rider, &offer, "accept").await.0, 200);
    // Another that is ready early: looked at again when that is known.
    let other = town.online(1_000.0).await;
    town.want(2, 3_600).await;
    let now = town.engine.now();
    town.run(move |tx| dispatch::ready_changed(tx, 2, now)).await.unwrap();
    assert_eq!(town.offers(&other).await.len() + town.offers(&rider).await.len(), 1);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_or_gives_it_back_is_left_alone() {
    let (_dir, town) = town().await;
    let (first, second) = (town.online(300.0).await, town.online(900.0).await);
    town.want(1, 0).await;
    let offer = town.offers(&first).await.pop().unwrap();
    town.report(&first, "break", None).await;
    town.settle().await;
    assert_eq!(town.refusal(&first, &offer, "accept").await, (409, "offer_expired".to_owned()));
    let offer = town.offers(&second).await.pop().expect("the offer moved on");
    assert_eq!(town.answer(&second, &offer, "accept").await.0, 200);
    let by = second.id;
    assert!(town.run(move |tx| dispatch::release(tx, 1, medina::city::couriers::CourierId::from_u128(5), "not theirs")).await.is_err());
    town.run(move |tx| dispatch::release(tx, 1, by, "flat tyre")).await.unwrap();
    town.pass(1_200).await;
    assert_eq!(town.offers(&second).await, Vec::<String>::new(), "not even later");
    town.report(&first, "online", None).await;
    town.settle().await;
    assert_eq!(town.offers(&first).await.len(), 1);
    // The customer changes their mind: the offer goes, the courier is free.
    town.run(|tx| {
        dispatch::withdraw(tx, 1);
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!((town.offers(&first).await.len(), town.job(1).state), (0, JobState::Withdrawn));
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_way_at_a_time_unless_it_is_the_same_counter() {
    let (_dir, town) = town().await;
    let rider = town.online(200.0).await;
    town.want(1, 0).await;
    let offer = town.offers(&rider).await.pop().unwrap();
    town.answer(&rider, &offer, "accept").await;
    // Another merchant: no. The same counter: yes, until something has left it.
    let elsewhere = dispatch::Request { merchant: 8, ..town.wish(2, 0) };
    town.run(move |tx| dispatch::request(tx, elsewhere).map(drop)).await.unwrap();
    assert_eq!(town.offers(&rider).await, Vec::<String>::new());
    town.want(3, 0).await;
    let offer = town.offers(&rider).await.pop().expect("the same counter");
    assert_eq!(town.answer(&rider, &offer, "accept").await.0, 200);
    let by = rider.id;
    town.run(move |tx| dispatch::picked_up(tx, 1, by)).await.unwrap();
    town.want(4, 0).await;
    assert_eq!(town.offers(&rider).await, Vec::<String>::new());
    assert_eq!(couriers::presence(&*town.engine.view(), rider.id).load(), 2);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_poll_is_rung() {
    let (_dir, town) = town().await;
    let rider = town.online(300.0).await;
    let poll = town.get(&rider.token, "/v1/couriers/me/offers?wait=20");
    let wish = async {
        tokio::task::yield_now().await;
        let wish = town.wish(1, 0);
        town.run(move |tx| dispatch::request(tx, wish).map(drop)).await.unwrap();
    };
    let ((status, shown), ()) =
        tokio::time::timeout(Duration::from_secs(10), async { tokio::join!(poll, wish) }).await.expect("rung, not waited out");
    assert_eq!((status, shown["data"].as_array().unwrap().len()), (200, 1), "{shown}");
    let (status, _) = town.get(&rider.token, "/v1/couriers/me/offers?wait=26").await;
    assert_eq!(status, 422);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_see_nothing() {
    let (_dir, town) = town().await;
    let (rider, other) = (town.online(300.0).await, town.online(5_000.0).await);
    town.want(1, 0).await;
    let offer = town.offers(&rider).await.pop().unwrap();
    assert_eq!(town.answer(&other, &offer, "accept").await.0, 404);
    let customer = town.user(Role::Customer).await;
    let customer = town::Rider { id: rider.id, token: customer };
    assert_eq!(town.answer(&customer, &offer, "accept").await.0, 403);
    for path in ["/v1/couriers/me/offers", "/v1/couriers/me/route", "/v1/dispatch/nearby?lat=5.6&lon=-0.2", "/v1/couriers"] {
        assert_eq!(town.get(&customer.token, path).await.0, 403, "{path}");
    }
    assert_eq!(town.get("", "/v1/couriers/me/offers").await.0, 401);
    // For themselves: pending, until an administrator says so.
    let body = json!({ "city_id": town.city.to_string(), "vehicle": "foot", "capacity": 1 });
    let (status, made) = town.send("POST", &customer.token, "/v1/couriers", body.clone()).await;
    assert_eq!((status, &made["status"]), (201, &json!("pending")), "{made}");
    assert_eq!(town.send("POST", &customer.token, "/v1/couriers", body).await.0, 409);
    assert_eq!(town.report(&customer, "online", None).await.0, 403);
    let path = format!("/v1/couriers/{}", made["id"].as_str().unwrap());
    assert_eq!(town.send("PATCH", &customer.token, &path, json!({ "status": "active" })).await.0, 403);
    assert_eq!(town.send("PATCH", &town.admin, &path, json!({ "status": "active" })).await.0, 200);
    assert_eq!(town.report(&customer, "online", Some(0.0)).await.0, 200);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_move_the_map_and_only_the_believed_ones() {
    let (_dir, town) = town().await;
    let (rider, other) = (town.online(100.0).await, town.online(400.0).await);
    town.pass(60).await;
    let at = |s: i64| town.engine.now().plus_s(s).to_string();
    let ping = |metres: f64, s: i64| {
        let mut ping = north(metres);
        ping["at"] = json!(at(s));
        ping
    };
    let body = json!({ "pings": [ping(600.0, -40), ping(700.0, -20), ping(90_000.0, -10), ping(650.0, -30), ping(700.0, 3_600), ping(700.0, -400)] });
    let (status, counted) = town.send("POST", &rider.token, "/v1/couriers/me/pings", body).await;
    assert_eq!((status, counted), (202, json!({ "accepted": 2, "rejected": 4, "doubted": 1 })));
    town.tracking.refresh();
    let (_, near) = town.get(&town.admin, "/v1/dispatch/nearby?lat=5.6&lon=-0.2&status=online").await;
    let seen: Vec<(String, u64)> = near["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["courier_id"].as_str().unwrap().to_owned(), one["distance_m"].as_u64().unwrap()))
        .collect();
    assert_eq!(seen, [(other.id.to_string(), 400), (rider.id.to_string(), 700)]);
    // What they do is known beside their places, and at once: also after it was asked for.
    for status in ["break", "online", "break"] {
        assert_eq!(town.report(&other, status, Some(400.0)).await.0, 200);
        let (_, near) = town.get(&town.admin, "/v1/dispatch/nearby?lat=5.6&lon=-0.2").await;
        let theirs: Vec<&Value> = near["data"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
        assert_eq!(theirs, [status, "online"]);
        let (_, near) = town.get(&town.admin, "/v1/dispatch/nearby?lat=5.6&lon=-0.2&status=break").await;
        assert_eq!(near["data"].as_array().unwrap().len(), usize::from(status == "break"));
    }
    for body in [
        json!({ "pings": [] }),
        json!({ "pings": [{ "lat": 91.0, "lon": 0.0, "at": at(0) }] }),
        json!({ "pings": [{ "lat": 1.0, "lon": 0.0, "at": "yesterday" }] }),
    ] {
        assert_eq!(town.send("POST", &rider.token, "/v1/couriers/me/pings", body).await.0, 422);
    }
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_no_job_and_gives_devices_time() {
    let dir = tempfile::tempdir().unwrap();
    let town = Town::start(dir.path()).await;
    let rider = town.online(300.0).await;
    town.want(1, 0).await;
    town.want(2, 0).await;
    let offer = town.offers(&rider).await.pop().unwrap();
    town.stop().await;
    let town = Town::again(dir.path()).await;
    town.pass(59).await;
    assert_eq!(town.offers(&rider).await, std::slice::from_ref(&offer), "the offer lives a minute longer");
    assert_eq!(town.answer(&rider, &offer, "accept").await.0, 200);
    let offer = town.offers(&rider).await.pop().expect("the other is still looked for, and the map is filled from the rows");
    assert_eq!(town.answer(&rider, &offer, "accept").await.0, 200);
    town.stop().await;
}
