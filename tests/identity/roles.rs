//! Roles, set by an administrator.

use serde_json::{Value, json};

use crate::house::House;

const MERCHANT: &str = "mer_00000000000000000000000007";

#[tokio::test]
async fn an_administrator_sets_roles_and_they_hold_at_once() {
    let house = House::sandbox();
    house.make_admin("root@example.org", "a password", false).await;
    let admin = house.log_in("root@example.org", "a password").await.text("access_token");
    let ama = house.sign_in("+233241234567").await;
    let path = format!("/v1/users/{}/roles", ama.body["user"]["id"].as_str().expect("an id"));
    let body = json!({ "roles": ["customer", "merchant"], "merchant_ids": [MERCHANT] });

    let own = house.call("PUT", &path, Some(&ama.text("access_token")), body.clone()).await;
    assert_eq!(own.problem(), (403, "forbidden"), "not for oneself");
    let set = house.call("PUT", &path, Some(&admin), body).await;
    assert_eq!((set.status, &set.body["roles"], &set.body["merchant_ids"]), (200, &json!(["customer", "merchant"]), &json!([MERCHANT])));
    let me = house.me(&ama.text("access_token")).await;
    assert_eq!(me.body["roles"], json!(["customer", "merchant"]), "a token from before sees it too");

    let again = house.refresh(&ama.text("refresh_token")).await;
    assert_eq!(again.body["user"]["roles"], json!(["customer", "merchant"]));
    let set = house.call("PUT", &path, Some(&admin), json!({ "roles": ["support", "customer", "support"] })).await;
    assert_eq!(
        (&set.body["roles"], &set.body["merchant_ids"]),
        (&json!(["customer", "support"]), &json!([MERCHANT])),
        "absent ids are left"
    );
}

#[tokio::test]
async fn what_cannot_be_set() {
    let house = House::sandbox();
    let root = house.make_admin("root@example.org", "a password", false).await;
    let admin = house.log_in("root@example.org", "a password").await.text("access_token");
    let own = format!("/v1/users/{root}/roles");
    let cases = [
        (own.as_str(), json!({ "roles": ["customer"] }), (409, "last_admin")),
        (own.as_str(), json!({ "roles": ["king"] }), (422, "invalid_request")),
        (own.as_str(), json!({ "roles": ["admin"], "merchant_ids": ["usr_00000000000000000000000007"] }), (422, "invalid_request")),
        (own.as_str(), json!({ "roles": ["admin"], "merchants": [] }), (422, "invalid_request")),
        ("/v1/users/usr_00000000000000000000000007/roles", json!({ "roles": ["customer"] }), (404, "not_found")),
        ("/v1/users/7/roles", json!({ "roles": ["customer"] }), (404, "not_found")),
    ];
    for (path, body, expected) in cases {
        assert_eq!(house.call("PUT", path, Some(&admin), body.clone()).await.problem(), expected, "{path} {body}");
    }
    assert_eq!(house.call("PUT", &own, None, json!({ "roles": [] })).await.problem(), (401, "unauthenticated"));

    house.make_admin("second@example.org", "a password", false).await;
    assert_eq!(house.call("PUT", &own, Some(&admin), json!({ "roles": ["customer"] })).await.status, 200, "with another one it may resign");
    assert_eq!(
        house.call("PUT", &own, Some(&admin), json!({ "roles": ["admin"] })).await.problem(),
        (403, "forbidden"),
        "and is none at once"
    );
    assert_eq!(house.call("GET", &own, Some(&admin), Value::Null).await.problem(), (405, "method_not_allowed"));
}

#[tokio::test]
async fn roles_are_set_on_what_was_read() {
    let house = House::sandbox();
    house.make_admin("root@example.org", "a password", false).await;
    let admin = house.log_in("root@example.org", "a password").await.text("access_token");
    let ama = house.sign_in("+233241234567").await;
    let path = format!("/v1/users/{}/roles", ama.body["user"]["id"].as_str().expect("an id"));
    let body = json!({ "roles": ["customer"] });
    let set = house.call("PUT", &path, Some(&admin), body.clone()).await;
    let etag = set.headers["etag"].to_str().expect("visible").to_owned();
    let again = async || house.call_with("PUT", &path, Some(&admin), body.clone(), &[("if-match", &etag)]).await;
    assert_eq!(again().await.status, 200);
    assert_eq!(again().await.problem(), (412, "precondition_failed"), "somebody has been faster");
}
