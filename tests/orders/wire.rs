//! An order over HTTP: paths, bodies, statuses and codes as the contract has them.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use medina::city::tracking::Tracking;
use medina::edge::layers::{Traffic, wrap};
use medina::edge::{Authenticate, Gate, Unauthenticated};
use medina::engine::{Caller, UserId};
use medina::trade;
use serde_json::{Value, json};
use storage::View;
use tower::ServiceExt;

use crate::world::World;

/// A token is the person's id.
pub struct Names;
impl Authenticate for Names {
    fn authenticate(&self, token: &str, _: &View) -> Result<Caller, Unauthenticated> {
        token.parse().map(Caller::user).map_err(|_| Unauthenticated("not a name"))
    }
}

fn routes(world: &World) -> Router {
    let services = trade::Services { tracking: Arc::new(Tracking::default()), keyring: world.people.keyring.clone() };
    let gate = Gate { engine: world.engine.clone(), authenticate: Arc::new(Names) };
    wrap(trade::routes(services).split_for_parts().0, gate, Arc::new(Traffic::default()))
}

pub async fn call(routes: &Router, who: UserId, method: &str, path: &str, key: Option<&str>, body: Value) -> (u16, Value) {
    let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {who}"));
    let request = key.into_iter().fold(request, |request, key| request.header("idempotency-key", key));
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    let answer = routes.clone().oneshot(request.body(body).expect("a request")).await.expect("an answer");
    let status = answer.status().as_u16();
    let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await.expect("a small body");
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_over_the_wire() {
    let world = World::new(|_| ()).await;
    let app = routes(&world);
    let (customer, staff, rider) = (world.customer, world.staff, world.rider);
    let post = async |who, path: &str, body| call(&app, who, "POST", path, None, body).await;
    let get = async |who, path: &str| call(&app, who, "GET", path, None, Value::Null).await;

    let cart = "cart_01h455vb4pex5vsknk084sn02q";
    let items = json!([{ "item_id": world.items[0], "quantity": 2 }, { "item_id": world.items[1], "quantity": 1, "note": "cold" }]);
    let (status, shown) =
        call(&app, customer, "PUT", &format!("/v1/carts/{cart}"), None, json!({ "merchant_id": world.merchant, "items": items })).await;
    assert_eq!((status, &shown["subtotal"]), (200, &json!({ "amount": 4500, "currency": "GHS" })), "{shown}");
    let none = json!({ "merchant_id": world.merchant, "items": [{ "item_id": world.items[0], "quantity": 100 }] });
    let (status, problem) = call(&app, customer, "PUT", &format!("/v1/carts/{cart}"), None, none).await;
    assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("/items/0/quantity")), "{problem}");
    assert_eq!(
        call(&app, world.stranger, "PUT", &format!("/v1/carts/{cart}"), None, json!({ "merchant_id": world.merchant, "items": [] }))
            .await
            .0,
        404
    );

    let door = json!({ "lat": 5.61, "lon": -0.2 });
    let (status, problem) = post(customer, "/v1/quotes", json!({ "cart_id": cart, "dropoff": { "lat": 6.9, "lon": -0.2 } })).await;
    assert_eq!((status, &problem["code"]), (422, &json!("out_of_area")));
    let asked =
        json!({ "cart_id": cart, "dropoff": door, "address": { "text": "Blue gate" }, "tip": { "amount": 100, "currency": "GHS" } });
    let (status, quote) = post(customer, "/v1/quotes", asked).await;
    assert_eq!(status, 201, "{quote}");
    let parts = ["subtotal", "delivery_fee", "service_fee", "surge", "tip"].map(|part| quote[part]["amount"].as_i64().expect("an amount"));
    assert_eq!(quote["total"]["amount"].as_i64(), Some(parts.iter().sum()));
    assert_eq!(quote["eta"], json!({ "pickup_minutes": 10, "delivery_minutes": 14 }));

    let placing = json!({ "quote_id": quote["id"], "payment_method": "cash" });
    let (status, problem) = post(customer, "/v1/orders", placing.clone()).await;
    assert_eq!((status, &problem["code"]), (400, &json!("idempotency_key_required")));
    let (status, order) = call(&app, customer, "POST", "/v1/orders", Some("k1"), placing.clone()).await;
    assert_eq!((status, &order["status"], &order["cash_due"]), (201, &json!("CONFIRMED"), &quote["total"]), "{order}");
    assert_eq!(
        call(&app, customer, "POST", "/v1/orders", Some("k1"), placing.clone()).await,
        (201, order.clone()),
        "a repeat gets the first answer"
    );
    let (status, problem) = call(&app, customer, "POST", "/v1/orders", Some("k2"), placing).await;
    assert_eq!((status, &problem["code"]), (409, &json!("quote_used")));
    let id = order["id"].as_str().expect("an id");
    let at = |rest: &str| format!("/v1/orders/{id}{rest}");

    let (status, problem) = post(staff, &at("/ready"), Value::Null).await;
    assert_eq!(status, 409);
    assert_eq!(
        (&problem["code"], &problem["from"], &problem["to"]),
        (&json!("invalid_transition"), &json!("CONFIRMED"), &json!("READY_FOR_PICKUP"))
    );
    assert_eq!(problem["allowed"], json!(["ACCEPTED", "REJECTED", "CANCELLED"]));
    assert_eq!(get(world.stranger, &at("")).await.0, 404);
    assert_eq!(post(staff, &at("/accept"), json!({ "prep_minutes": 5, "ready_at": "2026-11-21T08:00:00Z" })).await.0, 422);
    let (status, accepted) = post(staff, &at("/accept"), json!({ "prep_minutes": 5 })).await;
    assert_eq!((status, &accepted["status"], &accepted["address"]["text"]), (200, &json!("ACCEPTED"), &json!("Blue gate")), "{accepted}");
    let code = accepted["pickup_code"].as_str().expect("the merchant shows it").to_owned();
    world.courier_takes(id.parse().expect("an order's id")).await;

    let (status, problem) = post(rider, &at("/status"), json!({ "status": "PICKED_UP" })).await;
    assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("/code")), "{problem}");
    let (status, problem) = call(&app, rider, "POST", &at("/status"), Some("k3"), json!({ "status": "PICKED_UP", "code": "wrong" })).await;
    assert_eq!((status, &problem["code"], &problem["attempts_left"]), (422, &json!("wrong_code"), &json!(4)), "{problem}");
    let (status, problem) = post(rider, &at("/status"), json!({ "status": "DELIVERED", "code": "1234" })).await;
    assert_eq!((status, &problem["code"]), (409, &json!("invalid_transition")));
    let (status, carried) = post(rider, &at("/status"), json!({ "status": "PICKED_UP", "code": code })).await;
    assert_eq!((status, &carried["status"]), (200, &json!("PICKED_UP")), "{carried}");
    let (status, problem) = post(customer, &at("/cancel"), json!({ "reason": "late" })).await;
    assert_eq!((status, &problem["code"]), (409, &json!("not_cancellable")));
    let (status, track) = get(customer, &at("/track")).await;
    assert_eq!((status, &track["status"], &track["stops_before"]), (200, &json!("PICKED_UP"), &json!(0)), "{track}");

    let code = order["delivery_code"].clone();
    let done = json!({ "status": "DELIVERED", "code": code, "cash_collected": quote["total"] });
    let (status, delivered) = post(rider, &at("/status"), done).await;
    assert_eq!((status, &delivered["status"]), (200, &json!("SETTLED")), "{delivered}");
    let (status, events) = get(customer, &at("/events")).await;
    assert_eq!((status, &events["data"][0]["type"], &events["data"][12]["n"]), (200, &json!("OrderCreated"), &json!(13)));
    let texts = |event: &Value| event["data"].as_object().into_iter().flatten().any(|(name, _)| name.ends_with("_code"));
    assert!(!events["data"].as_array().expect("a list").iter().any(texts), "codes are told at doors only");
    let (status, list) = get(staff, "/v1/orders?status=SETTLED,CANCELLED&active=false&limit=1").await;
    assert_eq!((status, &list["data"][0]["id"], &list["next_cursor"]), (200, &json!(id), &Value::Null), "{list}");
    assert_eq!(get(staff, "/v1/orders?status=LOST").await.0, 422);
    assert_eq!(get(world.support, "/v1/orders?phone=%2B233240000001").await.1["data"][0]["id"], json!(id));
    assert_eq!(get(world.support, "/v1/orders?phone=%2B233240000009").await.1["data"], json!([]));
    world.check();
}
