//! Planned shifts: reminded, expected, begun, missed, ended.

use medina::city::couriers::{self, Availability};
use medina::city::dispatch;
use medina::engine::attention::ATTENTION;
use medina::engine::event::EVENTS;
use medina::people::users::Role;
use serde_json::{Value, json};

use crate::town::{Rider, Town, north};

async fn start() -> (tempfile::TempDir, Town, String) {
    let dir = tempfile::tempdir().unwrap();
    let town = Town::start(dir.path()).await;
    let support = town.user(Role::Support).await;
    (dir, town, support)
}

fn times(town: &Town, from_s: i64, to_s: i64) -> Value {
    let now = town.engine.now();
    json!({ "starts_at": now.plus_s(from_s).to_string(), "ends_at": now.plus_s(to_s).to_string() })
}

async fn plan(town: &Town, token: &str, path: &str, from_s: i64, to_s: i64) -> (u16, Value) {
    town.send("POST", token, path, times(town, from_s, to_s)).await
}

const MINE: &str = "/v1/couriers/me/shifts";

fn told(town: &Town, rider: &Rider) -> Vec<String> {
    let topic = format!("courier:{}", rider.id);
    let view = town.engine.view();
    let events = EVENTS.scan(&*view).filter(|(_, event)| event.topics.contains(&topic) && event.name.starts_with("Shift"));
    events.map(|(_, event)| event.name).collect()
}

fn listed(town: &Town) -> usize {
    ATTENTION.scan(&*town.engine.view()).filter(|((kind, _), _)| kind == "shift_not_begun").count()
}

async fn of_city(town: &Town, token: &str, status: &str) -> Vec<Value> {
    let (code, shown) = town.get(token, &format!("/v1/shifts?city_id={}&status={status}", town.city)).await;
    assert_eq!(code, 200, "{shown}");
    shown["data"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_courier_is_reminded_comes_and_goes_home_at_the_end() {
    let (_dir, town, support) = start().await;
    let rider = town.rider(3).await;
    let (status, made) = plan(&town, &rider.token, MINE, 3_600, 7_200).await;
    assert_eq!((status, &made["status"]), (201, &json!("planned")), "{made}");
    assert_eq!(of_city(&town, &support, "planned").await, std::slice::from_ref(&made), "they are expected");
    town.pass(2_699).await;
    assert_eq!(told(&town, &rider), ["ShiftPlanned"]);
    town.pass(1).await;
    assert_eq!(told(&town, &rider), ["ShiftPlanned", "ShiftSoon"]);
    town.want(1, 0).await;
    // A plan makes nobody available: until they come, dispatch does not count with them.
    town.pass(1_000).await;
    assert_eq!(couriers::presence(&*town.engine.view(), rider.id).availability, Availability::Offline);
    assert!(!matches!(town.job(1).state, dispatch::JobState::Offered { .. }));
    let (_, said) = town.report(&rider, "online", Some(300.0)).await;
    assert_eq!(said["until"], made["ends_at"], "they work until its end: {said}");
    assert_eq!(told(&town, &rider).last().map(String::as_str), Some("ShiftBegun"));
    let shown = of_city(&town, &support, "begun").await;
    assert_eq!(shown[0]["begun_at"], json!(town.engine.now().to_string()));
    // A break does not make it longer.
    let (_, said) = town.report(&rider, "break", None).await;
    assert_eq!(said["until"], made["ends_at"]);
    assert_eq!(town.report(&rider, "online", None).await.1["until"], made["ends_at"]);
    town.settle().await;
    let offer = town.offers(&rider).await.pop().expect("what nobody was there for");
    assert_eq!(town.answer(&rider, &offer, "accept").await.0, 200);
    town.run(|tx| dispatch::finished(tx, 1)).await.unwrap();
    // Ready only after the end: somebody else's.
    town.pass(3_000).await;
    town.want(2, 900).await;
    town.pass(300).await;
    assert_eq!(town.offers(&rider).await, Vec::<String>::new());
    town.pass(400).await;
    assert_eq!(couriers::presence(&*town.engine.view(), rider.id).availability, Availability::Offline);
    assert_eq!(told(&town, &rider).last().map(String::as_str), Some("ShiftEnded"));
    assert_eq!(town.get(&rider.token, MINE).await.1["data"], json!([]));
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_come_is_on_the_operators_list_and_then_missed() {
    let (_dir, town, support) = start().await;
    let (late, never, early) = (town.rider(3).await, town.rider(3).await, town.online(500.0).await);
    let path = |rider: &Rider| format!("/v1/couriers/{}/shifts", rider.id);
    for rider in [&late, &never, &early] {
        assert_eq!(plan(&town, &support, &path(rider), 600, 6_000).await.0, 201);
    }
    town.pass(600).await;
    let until = couriers::presence(&*town.engine.view(), early.id).until;
    assert_eq!(until, Some(town.engine.now().plus_s(5_400)), "who works already has come");
    town.pass(599).await;
    assert_eq!(listed(&town), 0);
    town.pass(1).await;
    assert_eq!(listed(&town), 2);
    assert_eq!(town.report(&late, "online", Some(300.0)).await.0, 200);
    assert_eq!(listed(&town), 1);
    town.pass(4_800).await;
    assert_eq!(listed(&town), 0);
    let couriers = |rows: Vec<Value>| rows.iter().map(|row| row["courier_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(couriers(of_city(&town, &support, "missed").await), [never.id.to_string()]);
    assert_eq!(of_city(&town, &support, "ended").await.len(), 2);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_planned_is_refused() {
    let (_dir, town, support) = start().await;
    let (rider, other) = (town.rider(3).await, town.rider(3).await);
    let (_, first) = plan(&town, &rider.token, MINE, 3_600, 7_200).await;
    for (from_s, to_s, status, code) in [
        (0, 3_600, 422, "invalid_request"),
        (-60, 3_600, 422, "invalid_request"),
        (61 * 86_400, 61 * 86_400 + 3_600, 422, "invalid_request"),
        (10_000, 10_000 + 899, 422, "invalid_request"),
        (10_000, 9_000, 422, "invalid_request"),
        (10_000, 10_000 + 16 * 3_600 + 1, 422, "invalid_request"),
        (7_199, 9_000, 409, "shift_overlaps"),
        (1_800, 3_601, 409, "shift_overlaps"),
    ] {
        let (got, refused) = plan(&town, &rider.token, MINE, from_s, to_s).await;
        assert_eq!((got, &refused["code"]), (status, &json!(code)), "{from_s}..{to_s}: {refused}");
    }
    assert_eq!(plan(&town, &rider.token, MINE, 7_200, 9_000).await.0, 201, "one after the other");
    assert_eq!(town.send("POST", &rider.token, MINE, json!({ "starts_at": "soon", "ends_at": "late" })).await.0, 422);
    let theirs = format!("/v1/couriers/{}/shifts", rider.id);
    assert_eq!(plan(&town, &other.token, &theirs, 20_000, 30_000).await.0, 404);
    let cancel = format!("/v1/shifts/{}/cancel", first["id"].as_str().unwrap());
    assert_eq!(town.send("POST", &other.token, &cancel, json!({})).await.0, 404);
    assert_eq!(town.get(&rider.token, &format!("/v1/shifts?city_id={}", town.city)).await.0, 403);
    assert_eq!(town.send("POST", &rider.token, &cancel, json!({})).await.1["status"], "cancelled");
    let (status, refused) = town.send("POST", &support, &cancel, json!({})).await;
    assert_eq!((status, &refused["code"]), (409, &json!("shift_over")));
    assert_eq!(plan(&town, &rider.token, MINE, 3_600, 7_200).await.0, 201, "its time is free again");
    // Who says when they stop is believed.
    town.pass(3_000).await;
    let until = town.engine.now().plus_s(1_800).to_string();
    let (_, said) = town
        .send("PUT", &rider.token, "/v1/couriers/me/presence", json!({ "status": "online", "position": north(1.0), "until": until }))
        .await;
    assert_eq!(said["until"], json!(until));
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_shift_goes_over_into_the_next() {
    let (_dir, town, _support) = start().await;
    let rider = town.rider(3).await;
    let (_, first) = plan(&town, &rider.token, MINE, 3_600, 7_200).await;
    let (_, second) = plan(&town, &rider.token, MINE, 7_200, 10_800).await;
    town.pass(3_600).await;
    let (_, said) = town.report(&rider, "online", Some(300.0)).await;
    assert_eq!(said["until"], first["ends_at"]);
    town.pass(3_600).await;
    let presence = couriers::presence(&*town.engine.view(), rider.id);
    assert_eq!(presence.availability, Availability::Online, "nobody has to come back for what they planned");
    assert_eq!(presence.until.map(|until| json!(until.to_string())).as_ref(), Some(&second["ends_at"]));
    town.pass(3_600).await;
    assert_eq!(couriers::presence(&*town.engine.view(), rider.id).availability, Availability::Offline);
    town.stop().await;
}
