//! Why this courier, why so late, what another policy would have done, and who gets the work.

use medina::city::dispatch;
use medina::people::users::Role;
use serde_json::{Value, json};

use crate::town::Town;

async fn explained(town: &Town, order: u128, with: &str) -> Value {
    let id = dispatch::model::SubjectId::from_u128(order);
    let (status, told) = town.get(&town.admin, &format!("/v1/dispatch/orders/{id}/explanation{with}")).await;
    assert_eq!(status, 200, "{told}");
    told
}

fn text(list: &Value) -> String {
    list.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_told_why() {
    let dir = tempfile::tempdir().unwrap();
    let town = Town::start(dir.path()).await;
    let (near, far) = (town.online(500.0).await, town.online(3_000.0).await);
    town.want(1, 0).await;
    let offer = town.offers(&near).await.pop().expect("the nearer one is asked");
    assert_eq!(town.send("POST", &near.token, &format!("/v1/offers/{offer}/decline"), json!({ "reason": "a flat tyre" })).await.0, 200);
    town.settle().await;
    let offer = town.offers(&far).await.pop().expect("then the other");
    assert_eq!(town.answer(&far, &offer, "accept").await.0, 200);

    let told = explained(&town, 1, "").await;
    let why = text(&told["why_this_courier"]);
    assert!(why.contains(&format!("{} was asked: 3.0 km away", far.id)), "{why}");
    assert!(why.contains(&format!("{} was nearer (500 m), but declined this job.", near.id)), "{why}");
    let late = text(&told["why_so_late"]);
    assert!(late.contains(&format!("{}, asked at", near.id)) && late.contains("said no (a flat tyre)."), "{late}");
    assert!(late.contains("said yes.") && late.contains("has not picked it up yet"), "{late}");
    assert_eq!(told["decisions"].as_array().unwrap().len(), 2);
    assert!(told["decisions"][0].get("again").is_none());

    // The policy that decided decides the same again, of what was kept; the other one answers too.
    let told = explained(&town, 1, "?with=immediate").await;
    let again: Vec<(&Value, &Value)> =
        told["decisions"].as_array().unwrap().iter().map(|told| (&told["again"]["courier_id"], &told["again"]["same"])).collect();
    assert_eq!(again, [(&json!(near.id.to_string()), &json!(true)), (&json!(far.id.to_string()), &json!(true))]);
    let told = explained(&town, 1, "?with=horizon").await;
    assert_eq!(told["decisions"][0]["again"]["policy"], "horizon/3");
    assert_eq!(told["decisions"][0]["again"]["courier_id"], near.id.to_string());
    assert_eq!(explained(&town, 1, "?with=horizon").await, told, "a pure function of what is stored");

    let id = dispatch::model::SubjectId::from_u128(1);
    let path = format!("/v1/dispatch/orders/{id}/explanation");
    assert_eq!(town.get(&far.token, &path).await.0, 403, "couriers see their own offers, not each other's");
    assert_eq!(town.get(&town.admin, &format!("{path}?with=nearest")).await.0, 422);
    let nobody = dispatch::model::SubjectId::from_u128(9);
    assert_eq!(town.get(&town.admin, &format!("/v1/dispatch/orders/{nobody}/explanation")).await.0, 404);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_with_their_reasons() {
    let dir = tempfile::tempdir().unwrap();
    let town = Town::start(dir.path()).await;
    let rider = town.online(500.0).await;
    assert_eq!(town.report(&rider, "break", None).await.0, 200);
    town.want(1, 0).await;
    let told = explained(&town, 1, "").await;
    assert_eq!(text(&told["why_this_courier"]), "No courier has been asked yet.");
    let late = text(&told["why_so_late"]);
    assert!(late.contains("1 look found nobody") && late.contains("1 × is on a break"), "{late}");
    assert!(explained(&town, 1, "?with=horizon").await["decisions"][0]["again"]["told"] == "horizon/3 would have found nobody.");
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gets_the_work_is_counted_by_the_hour() {
    let dir = tempfile::tempdir().unwrap();
    let town = Town::start(dir.path()).await;
    let (near, far) = (town.online(500.0).await, town.online(3_000.0).await);
    town.want(1, 0).await;
    let offer = town.offers(&near).await.pop().unwrap();
    assert_eq!(town.answer(&near, &offer, "decline").await.0, 200);
    let offer = town.offers(&far).await.pop().unwrap();
    assert_eq!(town.answer(&far, &offer, "accept").await.0, 200);
    town.run(move |tx| dispatch::picked_up(tx, 1, far.id)).await.unwrap();
    town.run(|tx| dispatch::finished(tx, 1)).await.unwrap();
    // Both work for two hours; one says so again in between, one stops and is still counted.
    town.pass(3_600).await;
    assert_eq!(town.report(&near, "online", Some(500.0)).await.0, 200);
    town.pass(3_600).await;
    assert_eq!(town.report(&near, "offline", None).await.0, 200);
    town.pass(1_800).await;

    let (status, report) = town.get(&town.admin, "/v1/dispatch/fairness?days=7").await;
    assert_eq!(status, 200, "{report}");
    let rows = report["data"].as_array().unwrap();
    let row = |group: &str| rows.iter().find(|row| row["group"] == group).unwrap();
    for group in ["city", "vehicle", "tenure"] {
        let row = row(group);
        assert_eq!((&row["couriers"], &row["offers"], &row["delivered"]), (&json!(2), &json!(2), &json!(1)), "{row}");
        assert_eq!((&row["acceptance"], &row["online_hours"]), (&json!(0.5), &json!(4.5)), "{row}");
        assert_eq!(row["earned"], json!({ "amount": 900, "currency": "GHS" }));
        assert_eq!(row["earned_per_hour"]["amount"], 200, "900 in four hours and a half");
    }
    assert_eq!((&row("vehicle")["value"], &row("tenure")["value"]), (&json!("bike"), &json!("first_week")));
    let support = town.user(Role::Support).await;
    assert_eq!(town.get(&support, "/v1/dispatch/fairness").await.0, 403, "for administrators");
    town.stop().await;
}
