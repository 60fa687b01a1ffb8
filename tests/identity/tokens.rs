//! Access and refresh tokens, and the end of sign-ins.

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};

use crate::house::House;

const AMA: &str = "+233241234567";

#[tokio::test]
async fn a_refresh_token_rotates_and_a_used_one_ends_its_family() {
    let house = House::sandbox();
    let other = house.sign_in(AMA).await;
    let first = house.sign_in(AMA).await;
    let second = house.refresh(&first.text("refresh_token")).await;
    assert_eq!((second.status, &second.body["user"]), (200, &first.body["user"]));
    assert_ne!(second.text("refresh_token"), first.text("refresh_token"));
    assert_eq!(house.me(&first.text("access_token")).await.status, 200, "an access token outlives its refresh token's rotation");

    let reused = house.refresh(&first.text("refresh_token")).await;
    assert_eq!(reused.problem(), (401, "token_reused"));
    assert!(reused.headers.contains_key("www-authenticate"));
    assert_eq!(house.refresh(&second.text("refresh_token")).await.problem(), (401, "token_reused"), "the good one went with it");
    assert_eq!(house.me(&second.text("access_token")).await.problem(), (401, "unauthenticated"), "at once, not in 15 minutes");
    assert_eq!(house.refresh(&other.text("refresh_token")).await.status, 200, "another sign-in of the same person goes on");
}

#[tokio::test]
async fn an_invented_refresh_token_ends_nothing() {
    let house = House::sandbox();
    let session = house.sign_in(AMA).await;
    let good = session.text("refresh_token");
    let mut tampered = good.clone();
    // Inside the secret: the family's id stands before it.
    tampered.replace_range(60..61, if &good[60..61] == "0" { "1" } else { "0" });
    for bad in [tampered.as_str(), "rt_", "rt_00", "", "x"] {
        assert_eq!(house.refresh(bad).await.problem(), (401, "invalid_token"), "{bad}");
    }
    assert_eq!(house.refresh(&good).await.status, 200);
}

#[tokio::test]
async fn a_family_is_bound_to_its_device() {
    let house = House::sandbox();
    let session = house.sign_in(AMA).await;
    let from = |token: String, device: &str| json!({ "refresh_token": token, "device_id": device });
    let next = house.post("/v1/auth/refresh", from(session.text("refresh_token"), "d1")).await;
    assert_eq!(next.status, 200);
    let moved = house.post("/v1/auth/refresh", from(next.text("refresh_token"), "d2")).await;
    assert_eq!(moved.problem(), (401, "wrong_device"));
    assert_eq!(house.refresh(&next.text("refresh_token")).await.problem(), (401, "invalid_token"), "the sign-in is over");
}

#[tokio::test]
async fn an_idle_family_is_over_after_thirty_days_and_any_after_a_year() {
    let house = House::sandbox();
    let day_ms = 86_400_000;
    let mut token = house.sign_in(AMA).await.text("refresh_token");
    for _ in 0..12 {
        house.clock.advance(29 * day_ms);
        let next = house.refresh(&token).await;
        assert_eq!(next.status, 200);
        token = next.text("refresh_token");
    }
    house.clock.advance(20 * day_ms);
    assert_eq!(house.refresh(&token).await.problem(), (401, "invalid_token"), "368 days");

    let idle = house.sign_in(AMA).await.text("refresh_token");
    house.clock.advance(30 * day_ms);
    assert_eq!(house.refresh(&idle).await.problem(), (401, "invalid_token"));
}

#[tokio::test]
async fn a_log_out_holds_at_once_and_for_one_sign_in() {
    let house = House::sandbox();
    let (one, two) = (house.sign_in(AMA).await, house.sign_in(AMA).await);
    assert_eq!(house.call("POST", "/v1/auth/logout", None, Value::Null).await.problem(), (401, "unauthenticated"));
    let gone = house.call("POST", "/v1/auth/logout", Some(&one.text("access_token")), Value::Null).await;
    assert_eq!((gone.status, gone.body), (204, Value::Null));
    assert_eq!(house.me(&one.text("access_token")).await.problem(), (401, "unauthenticated"));
    assert_eq!(house.refresh(&one.text("refresh_token")).await.problem(), (401, "invalid_token"));
    assert_eq!(house.me(&two.text("access_token")).await.status, 200);
}

#[tokio::test]
async fn anybody_can_verify_a_token_with_the_published_keys() {
    let house = House::sandbox();
    let session = house.sign_in(AMA).await;
    let token = session.text("access_token");
    let published = house.call("GET", "/.well-known/jwks.json", None, Value::Null).await;
    let keys: JwkSet = serde_json::from_value(published.body.clone()).expect("a JWK set");
    assert!(!published.body.to_string().contains("\"d\""), "public halves only");
    let header = decode_header(&token).expect("a header");
    let key = DecodingKey::from_jwk(keys.find(&header.kid.expect("a kid")).expect("published")).expect("a key");
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&["medina"]);
    let claims = decode::<Value>(&token, &key, &validation).expect("valid").claims;
    assert_eq!((&claims["sub"], &claims["customer_id"]), (&session.body["user"]["id"], &session.body["user"]["id"]));
    assert_eq!((&claims["roles"], &claims["scopes"], &claims["tenant"]), (&json!(["customer"]), &json!([]), &json!("default")));
    for claim in ["iss", "exp", "iat", "jti", "client_id", "sid"] {
        assert!(!claims[claim].is_null(), "RFC 9068 wants {claim}");
    }
}

#[tokio::test]
async fn tokens_that_prove_nothing() {
    let house = House::sandbox();
    let session = house.sign_in(AMA).await;
    let elsewhere = House::sandbox().sign_in(AMA).await.text("access_token");
    for token in ["", "x", "a.b.c", elsewhere.as_str(), session.text("refresh_token").as_str()] {
        assert_eq!(house.me(token).await.problem(), (401, "unauthenticated"), "{token}");
    }
    assert_eq!(house.call("GET", "/v1/me", None, Value::Null).await.problem(), (401, "unauthenticated"));
}
