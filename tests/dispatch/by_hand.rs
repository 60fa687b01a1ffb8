//! Operators' hands: deliveries that are given, taken and handed over, and what stands against it.

use medina::city::dispatch::model::{RefusedBecause, SubjectId};
use medina::city::dispatch::{self, JobState, Watch, WatchConfig, silence};
use medina::city::{cities, couriers};
use medina::engine::Caller;
use medina::engine::attention::ATTENTION;
use medina::engine::event::EVENTS;
use medina::people::users::{self, Role};
use serde_json::{Value, json};

use crate::assigned_to;
use crate::town::{Rider, Town};

async fn start() -> (tempfile::TempDir, Town, String) {
    let dir = tempfile::tempdir().unwrap();
    let town = Town::start(dir.path()).await;
    let support = town.user(Role::Support).await;
    (dir, town, support)
}

fn path(subject: u128) -> String {
    format!("/v1/dispatch/orders/{}/assign", SubjectId::from_u128(subject))
}

async fn assign(town: &Town, token: &str, subject: u128, body: Value) -> (u16, Value) {
    let answered = town.send("POST", token, &path(subject), body).await;
    town.settle().await;
    answered
}

async fn give(town: &Town, token: &str, subject: u128, to: &Rider) -> (u16, Value) {
    assign(town, token, subject, json!({ "courier_id": to.id.to_string(), "reason": "they called" })).await
}

async fn takes(town: &Town, rider: &Rider, subject: u128) {
    town.want(subject, 0).await;
    let offer = town.offers(rider).await.pop().expect("they are asked");
    assert_eq!(town.answer(rider, &offer, "accept").await.0, 200);
}

async fn picks_up(town: &Town, rider: &Rider, subject: u128) {
    let by = rider.id;
    town.run(move |tx| dispatch::picked_up(tx, subject, by)).await.unwrap();
}

fn carried(town: &Town, rider: &Rider) -> Vec<(u128, bool)> {
    let carries = couriers::presence(&*town.engine.view(), rider.id).carries;
    carries.iter().map(|carried| (carried.subject, carried.picked_up)).collect()
}

/// The names of the events on a courier's topic so far.
fn told(town: &Town, rider: &Rider) -> Vec<String> {
    let topic = format!("courier:{}", rider.id);
    EVENTS.scan(&*town.engine.view()).filter(|(_, event)| event.topics.contains(&topic)).map(|(_, event)| event.name).collect()
}

async fn explained(town: &Town, subject: u128) -> (String, String) {
    let path = format!("/v1/dispatch/orders/{}/explanation", SubjectId::from_u128(subject));
    let (_, told) = town.get(&town.admin, &path).await;
    let text = |list: &Value| list.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect::<Vec<_>>().join("\n");
    (text(&told["why_this_courier"]), text(&told["why_so_late"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_food_of_a_silent_courier_is_handed_over() {
    let (_dir, town, support) = start().await;
    let watch = Watch::new(town.tracking.clone(), WatchConfig { silent_seconds: 120, grace_seconds: 60 });
    let (gone, there) = (town.online(300.0).await, town.online(900.0).await);
    takes(&town, &gone, 1).await;
    picks_up(&town, &gone, 1).await;
    town.machine.advance(60_000);
    town.offers(&there).await;
    town.machine.advance(60_000);
    watch.look(&town.engine).await.unwrap();
    let listed = || {
        let view = town.engine.view();
        let rows = ATTENTION.scan(&*view).filter(|((kind, _), _)| kind == silence::ATTENTION);
        rows.map(|(_, row)| row.actions).collect::<Vec<_>>()
    };
    assert!(listed()[0].contains(&"POST /v1/dispatch/orders/{id}/assign".to_owned()), "{:?}", listed());
    let (status, given) = give(&town, &support, 1, &there).await;
    assert_eq!((status, &given["courier_id"], &given["picked_up"]), (200, &json!(there.id.to_string()), &json!(true)), "{given}");
    assert_eq!((carried(&town, &gone), carried(&town, &there)), (vec![], vec![(1, true)]));
    assert_eq!(town.job(1).state, JobState::Assigned { courier: there.id, picked_up: true });
    assert!(listed().is_empty(), "nobody has to be called for it any more");
    for rider in [&gone, &there] {
        assert!(told(&town, rider).contains(&"JobTakenOver".to_owned()), "{:?}", told(&town, rider));
    }
    // Only the door is left, and whoever lost it is done with it.
    let (_, way) = town.get(&there.token, "/v1/couriers/me/route").await;
    let kinds: Vec<&Value> = way["stops"].as_array().unwrap().iter().map(|stop| &stop["kind"]).collect();
    assert_eq!(kinds, ["dropoff"], "{way}");
    assert_eq!(town.get(&gone.token, "/v1/couriers/me/route").await.1["stops"], json!([]));
    let (why, late) = explained(&town, 1).await;
    let by_whom = format!("was given to {} by hand, by {support} out of the bag of {}: they called.", there.id, gone.id);
    assert!(why.contains(&by_whom) && late.contains(&by_whom), "{why}\n{late}");
    // The first one comes back: there is nothing left for them to bring, and nothing happens to it.
    town.offers(&gone).await;
    watch.look(&town.engine).await.unwrap();
    assert_eq!(assigned_to(&town, 1), Some(there.id));
    town.run(|tx| dispatch::finished(tx, 1)).await.unwrap();
    town.pass(1).await;
    let (_, report) = town.get(&town.admin, "/v1/dispatch/fairness").await;
    let city = report["data"].as_array().unwrap().iter().find(|row| row["group"] == "city").unwrap().clone();
    assert_eq!((&city["delivered"], &city["earned"]["amount"]), (&json!(1), &json!(900)), "who brought it by hand has earned it, too");
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_takes_gives_and_has_looked_again() {
    let (_dir, town, support) = start().await;
    let (near, far) = (town.online(300.0).await, town.online(900.0).await);
    // Nobody has answered: the offer is gone.
    town.want(1, 0).await;
    let offer = town.offers(&near).await.pop().unwrap();
    assert_eq!(give(&town, &support, 1, &far).await.0, 200);
    assert_eq!(town.refusal(&near, &offer, "accept").await, (409, "offer_expired".to_owned()));
    assert_eq!((carried(&town, &far), assigned_to(&town, 1)), (vec![(1, false)], Some(far.id)));
    // From one to the other before the pick-up; and only from whom it was seen with.
    let body = |instead_of: &Rider, to: &Rider| json!({ "courier_id": to.id.to_string(), "instead_of": instead_of.id.to_string(), "reason": "a puncture" });
    let (status, refused) = assign(&town, &support, 1, body(&near, &near)).await;
    assert_eq!((status, &refused["code"]), (409, &json!("taken_over")));
    assert_eq!(assign(&town, &support, 1, body(&far, &near)).await.0, 200);
    assert_eq!((carried(&town, &far), carried(&town, &near)), (vec![], vec![(1, false)]));
    assert_eq!(told(&town, &far).iter().filter(|name| *name == "JobUnassigned").count(), 1);
    let (_, way) = town.get(&near.token, "/v1/couriers/me/route").await;
    assert_eq!(way["stops"].as_array().unwrap().len(), 2, "the counter and the door: {way}");
    // To nobody in particular: who had it is not asked again for a while.
    let (status, shown) = assign(&town, &support, 1, json!({ "reason": "the customer knows them" })).await;
    assert_eq!((status, shown.get("courier_id")), (200, None), "{shown}");
    let refused: Vec<_> = town.job(1).refused.iter().map(|refused| (refused.courier, refused.why)).collect();
    assert_eq!(refused, [(near.id, RefusedBecause::ByHand)]);
    assert_eq!(town.offers(&near).await, Vec::<String>::new());
    let offer = town.offers(&far).await.pop().expect("the other one is asked");
    assert_eq!(town.answer(&far, &offer, "accept").await.0, 200);
    let (why, late) = explained(&town, 1).await;
    assert!(why.contains("was asked") && !why.contains("by hand"), "dispatch found this one: {why}");
    assert_eq!(late.matches(" by hand, by ").count(), 3, "{late}");
    // A no binds dispatch, not the operator; nor does another way that they are on.
    town.want(2, 0).await;
    let offer = town.offers(&near).await.pop().unwrap();
    assert_eq!(town.answer(&near, &offer, "decline").await.0, 200);
    picks_up(&town, &far, 1).await;
    assert_eq!(give(&town, &support, 2, &near).await.0, 200);
    assert_eq!(give(&town, &support, 2, &far).await.0, 200);
    assert_eq!(carried(&town, &far), [(1, true), (2, false)]);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_against_it_is_said_and_nothing_changes() {
    let (_dir, town, support) = start().await;
    let (has, other) = (town.online(300.0).await, town.online(2_000.0).await);
    let (small, home, rests) = (town.rider(1).await, town.rider(3).await, town.online(2_500.0).await);
    assert_eq!(town.report(&small, "online", Some(3_000.0)).await.0, 200);
    assert_eq!(town.report(&rests, "break", None).await.0, 200);
    takes(&town, &has, 1).await;
    town.want(2, 0).await;
    assert_eq!(give(&town, &support, 2, &small).await.0, 200);
    picks_up(&town, &has, 1).await;
    let nobody = Rider { id: couriers::CourierId::from_u128(9), token: String::new() };
    for (to, status, code) in [
        (&has, 409, "already_assigned"),
        (&small, 409, "courier_unavailable"),
        (&home, 409, "courier_unavailable"),
        (&rests, 409, "courier_unavailable"),
        (&nobody, 422, "invalid_request"),
    ] {
        let (got, refused) = give(&town, &support, 1, to).await;
        assert_eq!((got, &refused["code"]), (status, &json!(code)), "{refused}");
    }
    let customer = town.user(Role::Customer).await;
    let to = json!({ "courier_id": other.id.to_string(), "reason": "x" });
    for (token, subject, body, status) in [
        (&support, 1, json!({ "reason": "what is in a bag cannot be looked for" }), 409),
        (&support, 1, json!({ "courier_id": other.id.to_string() }), 422),
        (&support, 1, json!({ "courier_id": other.id.to_string(), "reason": " " }), 422),
        (&support, 1, json!({ "courier_id": other.id.to_string(), "reason": "x", "why": "y" }), 422),
        (&support, 9, to.clone(), 404),
        (&customer, 1, to.clone(), 403),
        (&other.token, 1, to.clone(), 403),
        (&String::new(), 1, to.clone(), 401),
    ] {
        let (got, refused) = assign(&town, token, subject, body.clone()).await;
        assert_eq!(got, status, "{body}: {refused}");
    }
    assert_eq!((carried(&town, &has), carried(&town, &other)), (vec![(1, true)], vec![]));
    // Somebody of another city has no business here.
    let elsewhere = cities::CityId::from_u128(2);
    let id: medina::engine::UserId = support.parse().unwrap();
    let bound = town.engine.write(&Caller::system("test"), "test", move |tx| {
        let mut user = users::get(tx, id).unwrap();
        user.cities.push(elsewhere.as_u128());
        users::USERS.put(tx, &id, &user);
        Ok::<_, medina::engine::Fault>(())
    });
    bound.await.unwrap();
    assert_eq!(give(&town, &support, 1, &other).await.0, 404);
    // Over is over.
    town.run(|tx| dispatch::finished(tx, 1)).await.unwrap();
    let (status, refused) = give(&town, &town.admin, 1, &other).await;
    assert_eq!((status, &refused["code"]), (409, &json!("invalid_transition")), "{refused}");
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_was_given_up_is_taken_up_by_hand() {
    let (_dir, town, support) = start().await;
    town.want(1, 0).await;
    town.pass(2 * 3_600).await;
    assert_eq!(town.job(1).state, JobState::Unassignable);
    let (status, _) = assign(&town, &support, 1, json!({ "reason": "somebody comes back from lunch" })).await;
    assert_eq!(status, 200);
    assert!(matches!(town.job(1).state, JobState::Waiting { .. }), "{:?}", town.job(1).state);
    town.pass(2 * 3_600).await;
    let rider = town.rider(1).await;
    assert_eq!(town.report(&rider, "online", Some(300.0)).await.0, 200);
    assert_eq!(town.job(1).state, JobState::Unassignable);
    assert_eq!(give(&town, &support, 1, &rider).await.0, 200);
    assert_eq!(carried(&town, &rider), [(1, false)]);
    assert!(!ATTENTION.scan(&*town.engine.view()).any(|((kind, _), _)| kind == "unassigned"));
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_given_something_is_not_asked_for_more_than_fits() {
    let (_dir, town, support) = start().await;
    let rider = town.rider(1).await;
    assert_eq!(town.report(&rider, "online", Some(300.0)).await.0, 200);
    town.want(1, 0).await;
    let offer = town.offers(&rider).await.pop().unwrap();
    town.want(2, 0).await;
    assert_eq!(give(&town, &support, 2, &rider).await.0, 200);
    assert_eq!(town.refusal(&rider, &offer, "accept").await, (409, "offer_expired".to_owned()));
    assert_eq!(carried(&town, &rider), [(2, false)]);
    assert_eq!(town.offers(&rider).await, Vec::<String>::new());
    town.stop().await;
}
