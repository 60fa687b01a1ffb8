//! Cities, merchants, items and pictures over their routes: who may, what is refused and where, what others then see.
#![allow(clippy::unwrap_used)] // tests

#[allow(dead_code)] // each suite uses its part
mod town;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use medina::people::users::Role;
use serde_json::{Value, json};
use town::{Town, refused, text};

fn none() -> String {
    String::new()
}

#[tokio::test(flavor = "multi_thread")]
async fn cities_are_made_edited_and_listed_by_nearness() {
    let data = tempfile::tempdir().unwrap();
    let town = Town::start(data.path()).await;
    let (admin, customer) = (town.user(Role::Admin).await, town.user(Role::Customer).await);
    let accra = json!({ "name": " Accra ", "currency": "GHS", "timezone": "africa/accra", "center": { "lat": 5.6, "lon": -0.2 }, "radius_m": 20_000 });

    assert_eq!(refused(&town.send("POST", "", "/v1/cities", accra.clone()).await), (401, "unauthenticated".into(), none()));
    assert_eq!(refused(&town.send("POST", &customer, "/v1/cities", accra.clone()).await), (403, "forbidden".into(), none()));
    let wrong = [
        (json!({ "currency": "XXQ" }), "/currency"),
        (json!({ "timezone": "Africa/Wakanda" }), "/timezone"),
        (json!({ "center": { "lat": 95, "lon": 0 } }), "/center"),
        (json!({ "radius_m": 0 }), "/radius_m"),
        (json!({ "name": " " }), "/name"),
        (json!({ "speed_mps": 0 }), "/speed_mps"),
        (json!({ "nmae": "Accra" }), "/nmae"),
    ];
    for (change, pointer) in wrong {
        let mut body = accra.clone();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        // What is invalid is said before who may.
        assert_eq!(
            refused(&town.send("POST", &customer, "/v1/cities", body).await),
            (422, "invalid_request".into(), pointer.into()),
            "{change}"
        );
    }
    let (status, etag, made) = town.send("POST", &admin, "/v1/cities", accra).await;
    assert_eq!((status, etag.as_deref()), (201, Some("\"1\"")), "{made}");
    assert_eq!((&made["name"], &made["timezone"], &made["speed_mps"]), (&json!("Accra"), &json!("Africa/Accra"), &json!(5.0)));
    let path = format!("/v1/cities/{}", text(&made["id"]));

    // Edited once with its version; the same version again is late.
    let rename = json!({ "name": "Greater Accra", "speed_mps": 7.5 });
    let (status, etag, edited) = town.send_with("PATCH", &admin, &path, &[("if-match", "\"1\"")], rename.clone()).await;
    assert_eq!((status, etag.as_deref(), &edited["name"]), (200, Some("\"2\""), &json!("Greater Accra")), "{edited}");
    assert_eq!(town.send_with("PATCH", &admin, &path, &[("if-match", "\"1\"")], rename).await.0, 412);
    let (_, _, cleared) = town.send("PATCH", &admin, &path, json!({ "speed_mps": null })).await;
    assert_eq!((&cleared["speed_mps"], &cleared["version"]), (&json!(5.0), &json!(3)), "null goes back to the default");
    assert_eq!(town.send("PATCH", &admin, &path, json!({})).await.2["version"], 3, "nothing changed");
    for (patch, pointer) in
        [(json!({ "name": null }), "/name"), (json!({ "currency": "USD" }), "/currency"), (json!({ "colour": 1 }), "/colour")]
    {
        assert_eq!(refused(&town.send("PATCH", &admin, &path, patch).await), (422, "invalid_request".into(), pointer.into()));
    }
    assert_eq!(town.send("PATCH", &customer, &path, json!({ "name": "Mine" })).await.0, 403);
    assert_eq!(town.get(&path).await, (200, Some("\"3\"".to_owned()), cleared));
    assert_eq!(town.get("/v1/cities/cty_01h455vb4pex5vsknk084sn02q").await.0, 404);
    assert_eq!(town.get("/v1/cities/mer_01h455vb4pex5vsknk084sn02q").await.0, 404);

    town.city(&admin, "Kumasi", 6.69, -1.62).await;
    town.city(&admin, "Tamale", 9.4, -0.85).await;
    let names = |answer: &Value| -> Vec<String> { answer["data"].as_array().unwrap().iter().map(|city| text(&city["name"])).collect() };
    assert_eq!(names(&town.get("/v1/cities").await.2), ["Tamale", "Kumasi", "Greater Accra"], "the newest first");
    let (_, _, near) = town.get("/v1/cities?lat=6.7&lon=-1.6&limit=2").await;
    assert_eq!(names(&near), ["Kumasi", "Greater Accra"]);
    let (_, _, rest) = town.get(&format!("/v1/cities?lat=6.7&lon=-1.6&limit=2&cursor={}", text(&near["next_cursor"]))).await;
    assert_eq!((names(&rest), &rest["next_cursor"]), (vec!["Tamale".to_owned()], &Value::Null));
    assert_eq!(refused(&town.get("/v1/cities?lat=6.7").await), (422, "invalid_request".into(), "/lon".into()));
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_have_defaults_and_are_replaced_whole() {
    let data = tempfile::tempdir().unwrap();
    let town = Town::start(data.path()).await;
    let (admin, merchant) = (town.user(Role::Admin).await, town.user(Role::Merchant).await);
    let path = format!("/v1/cities/{}/settings", town.city(&admin, "Accra", 5.6, -0.2).await);

    let (status, etag, fresh) = town.get_as(&admin, &path).await;
    assert_eq!((status, etag.as_deref()), (200, Some("\"1\"")), "{fresh}");
    assert_eq!((&fresh["unpaid_minutes"], &fresh["unaccepted_minutes"], &fresh["offer_seconds"]), (&json!(15), &json!(10), &json!(30)));
    assert_eq!(fresh["fees"]["base"], json!({ "amount": 200, "currency": "GHS" }));
    assert_eq!((town.get_as(&merchant, &path).await.0, town.get(&path).await.0), (403, 401));

    let body = json!({ "unpaid_minutes": 5, "cash_limit": { "amount": 50_000, "currency": "GHS" }, "area": { "type": "Polygon", "coordinates": [[[-0.3, 5.5], [-0.1, 5.5], [-0.1, 5.7], [-0.3, 5.5]]] } });
    let (status, etag, put) = town.send_with("PUT", &admin, &path, &[("if-match", "\"1\"")], body).await;
    assert_eq!((status, etag.as_deref(), &put["unpaid_minutes"]), (200, Some("\"2\""), &json!(5)), "{put}");
    let (_, _, again) = town.send("PUT", &admin, &path, put.clone()).await;
    assert_eq!(again, put, "what is shown can be put back");
    let (_, _, reset) = town.send("PUT", &admin, &path, json!({})).await;
    assert_eq!(reset, fresh, "what is left out gets its default");
    let dollars = json!({ "fees": { "base": { "amount": 1, "currency": "USD" } } });
    assert_eq!(refused(&town.send("PUT", &admin, &path, dollars).await), (422, "invalid_request".into(), "/fees/base/currency".into()));
    assert_eq!(refused(&town.send("PUT", &admin, &path, json!({ "unpaid": 1 })).await), (422, "invalid_request".into(), "/unpaid".into()));
    assert_eq!(town.send_with("PUT", &admin, &path, &[("if-match", "\"1\"")], json!({})).await.0, 412);
    assert_eq!(town.send("PUT", &merchant, &path, json!({})).await.0, 403);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn merchants_run_their_own_shop_and_no_other() {
    let data = tempfile::tempdir().unwrap();
    let town = Town::start(data.path()).await;
    let admin = town.user(Role::Admin).await;
    let (mama, papa, customer) = (town.user(Role::Merchant).await, town.user(Role::Merchant).await, town.user(Role::Customer).await);
    let city = town.city(&admin, "Accra", 5.6, -0.2).await;
    let body = json!({ "city_id": city, "name": "Mama's", "kind": "restaurant", "position": { "lat": 5.6, "lon": -0.2 } });
    assert_eq!(town.send("POST", &customer, "/v1/merchants", body.clone()).await.0, 403);
    let wrong = [
        (json!({ "city_id": "cty_01h455vb4pex5vsknk084sn02q" }), "/city_id"),
        (json!({ "city_id": "Accra" }), "/city_id"),
        (json!({ "kind": "casino" }), "/kind"),
        (json!({ "phone": "0244" }), "/phone"),
        (json!({ "prep_minutes": 999 }), "/prep_minutes"),
        (json!({ "hours": [{ "day": "mon", "opens": "25:00", "closes": "02:00" }] }), "/hours/0/opens"),
        (json!({ "hours": [] }), "/hours"),
        (json!({ "cuisines": ["a", ""] }), "/cuisines/1"),
    ];
    for (change, pointer) in wrong {
        let mut body = body.clone();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_eq!(
            refused(&town.send("POST", &mama, "/v1/merchants", body).await),
            (422, "invalid_request".into(), pointer.into()),
            "{change}"
        );
    }
    let made = town.made(&mama, "/v1/merchants", body).await;
    assert_eq!((&made["open"], &made["prep_minutes"]), (&json!(true), &json!(15)), "always open without hours");
    let id = text(&made["id"]);
    let path = format!("/v1/merchants/{id}");
    assert!(town.may(&mama, "merchants.staff", "Merchant", &id) && !town.may(&papa, "merchants.staff", "Merchant", &id));

    // Saturday noon; open again in the evening, past midnight.
    let hours = json!({ "hours": [{ "day": "sat", "opens": "18:00", "closes": "02:00" }], "cuisines": ["Ghanaian", "ghanaian"], "phone": "+233201234567" });
    let (status, _, edited) = town.send("PATCH", &mama, &path, hours.clone()).await;
    assert_eq!((status, &edited["open"], &edited["cuisines"]), (200, &json!(false), &json!(["ghanaian"])), "{edited}");
    assert_eq!(town.send("PATCH", &papa, &path, hours.clone()).await.0, 404, "somebody else's");
    assert_eq!(town.send("PATCH", &customer, &path, hours).await.0, 403);
    town.pass(13 * 3600);
    assert_eq!(town.get(&path).await.2["open"], true, "one o'clock on Sunday");
    town.pass(3600);
    assert_eq!(town.get(&path).await.2["open"], false, "two o'clock");
    let (_, _, cleared) = town.send("PATCH", &mama, &path, json!({ "hours": null, "phone": null, "cuisines": null })).await;
    assert_eq!((&cleared["open"], cleared.get("phone"), &cleared["cuisines"]), (&json!(true), None, &json!([])));

    town.merchant(&papa, &city, "Papa's", 5.61, -0.2, json!({})).await;
    let elsewhere = town.city(&admin, "Kumasi", 6.69, -1.62).await;
    town.merchant(&admin, &elsewhere, "Kumasi Grill", 6.69, -1.62, json!({})).await;
    let names =
        |answer: &Value| -> Vec<String> { answer["data"].as_array().unwrap().iter().map(|merchant| text(&merchant["name"])).collect() };
    assert_eq!(names(&town.get("/v1/merchants").await.2), ["Kumasi Grill", "Papa's", "Mama's"]);
    let (_, _, first) = town.get(&format!("/v1/merchants?city_id={city}&limit=1")).await;
    assert_eq!(names(&first), ["Papa's"]);
    let (_, _, second) = town.get(&format!("/v1/merchants?city_id={city}&limit=1&cursor={}", text(&first["next_cursor"]))).await;
    assert_eq!((names(&second), &second["next_cursor"]), (vec!["Mama's".to_owned()], &Value::Null));
    assert_eq!(town.events.lock().unwrap()[0], ("MerchantChanged".to_owned(), vec![format!("merchant:{id}"), format!("city:{city}")]));
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn items_are_priced_in_the_citys_money_and_run_out() {
    let data = tempfile::tempdir().unwrap();
    let town = Town::start(data.path()).await;
    let (admin, mama, papa) = (town.user(Role::Admin).await, town.user(Role::Merchant).await, town.user(Role::Merchant).await);
    let city = town.city(&admin, "Accra", 5.6, -0.2).await;
    let merchant = town.merchant(&mama, &city, "Mama's", 5.6, -0.2, json!({})).await;
    town.merchant(&papa, &city, "Papa's", 5.6, -0.2, json!({})).await;
    let items = format!("/v1/merchants/{merchant}/items");
    let jollof = json!({ "name": "Jollof", "price": { "amount": 4500, "currency": "GHS" }, "category": "Rice", "tags": ["Spicy"] });

    let mut dollars = jollof.clone();
    dollars["price"]["currency"] = json!("USD");
    assert_eq!(
        refused(&town.send("POST", &mama, &items, dollars.clone()).await),
        (422, "invalid_request".into(), "/price/currency".into())
    );
    let mut owing = jollof.clone();
    owing["price"]["amount"] = json!(-1);
    assert_eq!(refused(&town.send("POST", &mama, &items, owing).await), (422, "invalid_request".into(), "/price/amount".into()));
    assert_eq!(town.send("POST", &papa, &items, jollof.clone()).await.0, 404);
    let absent = "/v1/merchants/mer_01h455vb4pex5vsknk084sn02q";
    assert_eq!(town.send("POST", &admin, &format!("{absent}/items"), jollof.clone()).await.0, 404);

    let made = town.made(&mama, &items, jollof.clone()).await;
    let path = format!("/v1/items/{}", text(&made["id"]));
    assert_eq!((&made["available"], &made["tags"], &made["merchant_id"]), (&json!(true), &json!(["spicy"]), &json!(merchant)));
    town.item(&mama, &merchant, "Water", 300).await;

    // The same request with its key: the same item.
    let first = town.send_with("POST", &mama, &items, &[("idempotency-key", "k1")], jollof.clone()).await;
    let second = town.send_with("POST", &mama, &items, &[("idempotency-key", "k1")], jollof).await;
    assert_eq!((first.0, &first), (201, &second));

    let (_, _, out) = town.send("PATCH", &mama, &path, json!({ "unavailable_until": "2026-11-21T14:00:00+01:00" })).await;
    assert_eq!((&out["available"], &out["unavailable_until"]), (&json!(false), &json!("2026-11-21T13:00:00.000Z")), "{out}");
    town.pass(3600);
    let (_, _, back) = town.get(&path).await;
    assert_eq!((&back["available"], back.get("unavailable_until")), (&json!(true), None));
    assert_eq!(town.send("PATCH", &mama, &path, json!({ "available": false })).await.2["available"], false);
    assert_eq!(town.send("PATCH", &mama, &path, json!({ "available": null })).await.2["available"], true);
    assert_eq!(refused(&town.send("PATCH", &mama, &path, json!({ "price": dollars["price"] })).await).2, "/price/currency");
    assert_eq!(refused(&town.send("PATCH", &mama, &path, json!({ "unavailable_until": "tomorrow" })).await).2, "/unavailable_until");
    assert_eq!(refused(&town.send("PATCH", &mama, &path, json!({ "merchant_id": merchant })).await).2, "/merchant_id");
    assert_eq!(town.send("PATCH", &papa, &path, json!({ "available": false })).await.0, 404);

    let (_, _, menu) = town.get(&format!("/v1/merchants/{merchant}/menu")).await;
    let names: Vec<String> = menu["data"].as_array().unwrap().iter().map(|item| text(&item["name"])).collect();
    assert_eq!(names, ["Jollof", "Water", "Jollof"]);
    assert_eq!((&menu["categories"], &menu["currency"]), (&json!(["Rice"]), &json!("GHS")));
    assert_eq!(town.get(&format!("{absent}/menu")).await.0, 404);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_kept_by_what_they_are() {
    const PNG: &[u8] = b"\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR\0\0\0\x01\0\0\0\x01";
    let data = tempfile::tempdir().unwrap();
    let town = Town::start(data.path()).await;
    let (one, other) = (town.user(Role::Customer).await, town.user(Role::Customer).await);
    let town = &town;
    let put = async |token: &str, key: &str, bytes: Vec<u8>| {
        let mut request = Request::post("/v1/media").header("content-type", "text/html");
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if !key.is_empty() {
            request = request.header("idempotency-key", key);
        }
        let response = town.respond(request.body(Body::from(bytes)).unwrap()).await;
        let (status, is_replayed) = (response.status().as_u16(), response.headers().contains_key("idempotency-replayed"));
        let body: Value = serde_json::from_slice(&to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap();
        (status, is_replayed, body)
    };
    assert_eq!(put("", "", PNG.to_vec()).await.0, 401);
    assert_eq!(put(&one, "", b"<svg onload='alert(1)'/>".to_vec()).await.2["errors"][0]["code"], "unsupported_image");
    assert_eq!(put(&one, "", [PNG, &vec![0; 10 << 20]].concat()).await.0, 413);
    let (status, _, made) = put(&one, "", PNG.to_vec()).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(put(&one, "", PNG.to_vec()).await.2, made, "the same bytes of the same person");
    assert_ne!(put(&other, "", PNG.to_vec()).await.2, made);
    let large = [PNG, &vec![7; 2 << 20]].concat();
    let kept = put(&one, "k1", large.clone()).await;
    assert_eq!(put(&one, "k1", large).await, (201, true, kept.2));
    assert_eq!(put(&one, "k1", PNG.to_vec()).await.2["code"], "idempotency_key_reused");
    let stored = std::fs::read_dir(data.path().join("media")).unwrap().count();
    assert_eq!(stored, 2, "each picture once");

    let shown = town.respond(Request::get(text(&made["url"])).body(Body::empty()).unwrap()).await;
    let headers = shown.headers().clone();
    assert_eq!(
        (shown.status().as_u16(), &headers["content-type"], &headers["x-content-type-options"]),
        (200, &"image/png".parse().unwrap(), &"nosniff".parse().unwrap())
    );
    assert!(
        headers["cache-control"].to_str().unwrap().contains("immutable")
            && headers["content-security-policy"].to_str().unwrap().contains("sandbox")
    );
    assert_eq!(to_bytes(shown.into_body(), 1 << 20).await.unwrap(), PNG);
    let again = Request::get(text(&made["url"])).header("if-none-match", &headers["etag"]).body(Body::empty()).unwrap();
    assert_eq!(town.respond(again).await.status(), 304);
    assert_eq!(town.get("/v1/media/med_01h455vb4pex5vsknk084sn02q").await.0, 404);
}
