//! E-mail and password; administrators of the command line.

use serde_json::{Value, json};

use crate::house::House;

const EMAIL: &str = "ama@example.org";
const PASSWORD: &str = "correct horse";

async fn register(house: &House, email: &str, password: &str) -> crate::house::Answer {
    house.post("/v1/auth/register", json!({ "email": email, "password": password, "name": " Ama Mensah " })).await
}

#[tokio::test]
async fn register_then_log_in() {
    let house = House::sandbox();
    let made = register(&house, "Ama@Example.org", PASSWORD).await;
    assert_eq!((made.status, &made.body["user"]["email"], &made.body["user"]["name"]), (201, &json!(EMAIL), &json!("Ama Mensah")));
    assert_eq!(house.me(&made.text("access_token")).await.status, 200);
    let again = house.log_in("AMA@example.org", PASSWORD).await;
    assert_eq!((again.status, &again.body["user"]), (200, &made.body["user"]));
    assert_eq!(register(&house, EMAIL, PASSWORD).await.problem(), (409, "email_taken"));
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_look_alike() {
    let house = House::sandbox();
    register(&house, EMAIL, PASSWORD).await;
    let (wrong, unknown) = (house.log_in(EMAIL, "wrong horse").await, house.log_in("kofi@example.org", "wrong horse").await);
    assert_eq!(wrong.problem(), (422, "wrong_credentials"));
    assert_eq!(
        (unknown.status, &unknown.body["code"], &unknown.body["detail"]),
        (wrong.status, &wrong.body["code"], &wrong.body["detail"])
    );
}

#[tokio::test]
async fn ten_wrong_passwords_lock_an_account_for_a_while() {
    let house = House::sandbox();
    register(&house, EMAIL, PASSWORD).await;
    for email in [EMAIL, "unknown@example.org"] {
        for _ in 0..10 {
            assert_eq!(house.log_in(email, "wrong horse").await.problem(), (422, "wrong_credentials"));
        }
        let locked = house.log_in(email, PASSWORD).await;
        assert_eq!((locked.problem(), locked.headers["retry-after"].to_str().expect("text")), ((429, "rate_limited"), "60"), "{email}");
    }
    house.clock.advance(60_000);
    assert_eq!(house.log_in(EMAIL, PASSWORD).await.status, 200);
    assert_eq!(house.log_in(EMAIL, "wrong horse").await.problem(), (422, "wrong_credentials"), "the right one forgave the wrong ones");
}

#[tokio::test]
async fn input_is_checked() {
    let house = House::sandbox();
    let cases = [
        (json!({ "email": "ama", "password": PASSWORD, "name": "Ama" }), "/email"),
        (json!({ "email": EMAIL, "password": "short", "name": "Ama" }), "/password"),
        (json!({ "email": EMAIL, "password": "x".repeat(257), "name": "Ama" }), "/password"),
        (json!({ "email": EMAIL, "password": PASSWORD, "name": " " }), "/name"),
        (json!({ "email": EMAIL, "password": PASSWORD, "name": "a\u{0}b" }), "/name"),
    ];
    for (body, pointer) in cases {
        let answer = house.post("/v1/auth/register", body.clone()).await;
        assert_eq!((answer.problem(), &answer.body["errors"][0]["pointer"]), ((422, "invalid_request"), &json!(pointer)), "{body}");
    }
    let malformed = house.call_with("POST", "/v1/auth/login", None, Value::Null, &[]).await;
    assert_eq!(malformed.problem(), (422, "invalid_request"));
}

#[tokio::test]
async fn a_new_password_ends_all_other_sign_ins() {
    let house = House::sandbox();
    let here = register(&house, EMAIL, PASSWORD).await.text("access_token");
    let elsewhere = house.log_in(EMAIL, PASSWORD).await;
    let change = |current: &str| json!({ "current": current, "new": "battery staple" });
    assert_eq!(house.post("/v1/auth/password", change(PASSWORD)).await.problem(), (401, "unauthenticated"));
    assert_eq!(house.call("POST", "/v1/auth/password", Some(&here), change("wrong horse")).await.problem(), (422, "wrong_credentials"));
    assert_eq!(house.call("POST", "/v1/auth/password", Some(&here), change(PASSWORD)).await.status, 204);
    assert_eq!(house.me(&here).await.status, 200);
    assert_eq!(house.me(&elsewhere.text("access_token")).await.problem(), (401, "unauthenticated"));
    assert_eq!(house.refresh(&elsewhere.text("refresh_token")).await.problem(), (401, "invalid_token"));
    assert_eq!(house.log_in(EMAIL, PASSWORD).await.problem(), (422, "wrong_credentials"));
    assert_eq!(house.log_in(EMAIL, "battery staple").await.status, 200);
}

#[tokio::test]
async fn a_one_time_password_must_be_changed_before_anything_else() {
    let house = House::production();
    let id = house.make_admin("root@example.org", "one-time-password", true).await;
    let session = house.log_in("root@example.org", "one-time-password").await;
    assert_eq!((session.status, &session.body["user"]["roles"]), (200, &json!(["customer", "admin"])));
    let token = session.text("access_token");
    assert_eq!(house.me(&token).await.problem(), (403, "password_change_required"));
    let roles = house.call("PUT", &format!("/v1/users/{id}/roles"), Some(&token), json!({ "roles": ["admin"] })).await;
    assert_eq!(roles.problem(), (403, "password_change_required"));
    let change = json!({ "current": "one-time-password", "new": "my own password" });
    assert_eq!(house.call("POST", "/v1/auth/password", Some(&token), change).await.status, 204);
    assert_eq!(house.me(&token).await.status, 200);
}

#[tokio::test]
async fn the_command_line_makes_an_administrator_of_somebody_who_is_there_and_resets_one() {
    let house = House::sandbox();
    let ama = register(&house, EMAIL, PASSWORD).await;
    let id = house.make_admin(EMAIL, "given at the console", false).await;
    assert_eq!(ama.body["user"]["id"], json!(id.to_string()), "the same person");
    assert_eq!(house.me(&ama.text("access_token")).await.problem(), (401, "unauthenticated"), "whoever was signed in as them is out");
    let back = house.log_in(EMAIL, "given at the console").await;
    assert_eq!((back.status, &back.body["user"]["roles"]), (200, &json!(["customer", "admin"])));
}

#[test]
fn one_time_passwords_are_long_and_different() {
    let (one, two) = (medina::people::admin::one_time_password().expect("made"), medina::people::admin::one_time_password().expect("made"));
    assert_ne!(one, two);
    assert_eq!(one.len(), 23, "20 characters in groups of five: {one}");
    assert!(one.chars().all(|c| c == '-' || c.is_ascii_lowercase() || c.is_ascii_digit()));
}
