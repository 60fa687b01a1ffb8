//! One-time codes.

use medina::engine::effect::OUTBOX;
use serde_json::{Value, json};

use crate::house::House;

const AMA: &str = "+233241234567";

#[tokio::test]
async fn a_code_signs_up_and_then_signs_in_the_same_person() {
    let house = House::sandbox();
    let unknown = house.ask_code(AMA).await;
    assert_eq!((unknown.status, unknown.text("sandbox_otp").as_str(), &unknown.body["expires_in"]), (200, "000000", &json!(300)));

    let first = house.try_code(AMA, "000000").await;
    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!(first.headers["cache-control"], "no-store");
    assert!(first.headers["medina-seq"].to_str().expect("text").contains('.'));
    assert_eq!((first.text("token_type").as_str(), &first.body["expires_in"]), ("Bearer", &json!(900)));
    let user = &first.body["user"];
    assert!(user["id"].as_str().expect("an id").starts_with("usr_"));
    assert_eq!((&user["phone"], &user["roles"], &user["email"]), (&json!(AMA), &json!(["customer"]), &Value::Null));

    let known = house.ask_code(AMA).await;
    assert_eq!(known.body, unknown.body, "nobody learns from the answer whether a phone is known");
    let second = house.try_code(AMA, "000000").await;
    assert_eq!(second.body["user"]["id"], user["id"]);
    let me = house.me(&second.text("access_token")).await;
    assert_eq!((me.status, &me.body["id"], &me.body["phone"]), (200, &user["id"], &json!(AMA)));
}

#[tokio::test]
async fn five_wrong_tries_kill_a_code() {
    let house = House::sandbox();
    house.ask_code(AMA).await;
    for left in (0..5).rev() {
        let wrong = house.try_code(AMA, "123456").await;
        assert_eq!((wrong.problem(), &wrong.body["attempts_left"]), ((422, "wrong_otp"), &json!(left)));
    }
    assert_eq!(house.try_code(AMA, "000000").await.problem(), (422, "otp_dead"), "the right one comes too late");
    house.ask_code(AMA).await;
    assert_eq!(house.try_code(AMA, "000000").await.status, 200, "a new code has new tries");
}

#[tokio::test]
async fn a_code_is_good_once_and_for_five_minutes() {
    let house = House::sandbox();
    assert_eq!(house.try_code(AMA, "000000").await.problem(), (422, "otp_dead"), "none was sent");
    house.ask_code(AMA).await;
    house.clock.advance(299_999);
    assert_eq!(house.try_code(AMA, "000000").await.status, 200);
    assert_eq!(house.try_code(AMA, "000000").await.problem(), (422, "otp_dead"), "used");
    house.ask_code(AMA).await;
    house.clock.advance(300_000);
    assert_eq!(house.try_code(AMA, "000000").await.problem(), (422, "otp_dead"), "expired");
}

#[tokio::test]
async fn input_is_checked() {
    let house = House::sandbox();
    let cases = [
        ("/v1/auth/otp/request", json!({ "phone": "0241234567" }), "/phone", "bad_phone"),
        ("/v1/auth/otp/request", json!({}), "/phone", "required"),
        ("/v1/auth/otp/request", json!({ "phone": AMA, "fone": 1 }), "/fone", "unknown_field"),
        ("/v1/auth/otp/verify", json!({ "phone": AMA, "otp": 0 }), "/otp", "wrong_type"),
        ("/v1/auth/otp/verify", json!({ "phone": AMA, "otp": "000000", "device": { "id": "" } }), "/device/id", "out_of_range"),
    ];
    for (path, body, pointer, code) in cases {
        let answer = house.post(path, body.clone()).await;
        assert_eq!(answer.problem(), (422, "invalid_request"), "{path} {body}");
        assert_eq!(
            (&answer.body["errors"][0]["pointer"], &answer.body["errors"][0]["code"]),
            (&json!(pointer), &json!(code)),
            "{path} {body}"
        );
    }
}

#[tokio::test]
async fn a_sandbox_limits_by_phone_only_and_generously() {
    let house = House::sandbox();
    for n in 0..30 {
        assert_eq!(house.ask_code(AMA).await.status, 200, "request {n}");
    }
    let refused = house.ask_code(AMA).await;
    assert_eq!((refused.problem(), refused.headers["retry-after"].to_str().expect("text")), ((429, "rate_limited"), "120"));
    house.clock.advance(120_000);
    assert_eq!(house.ask_code(AMA).await.status, 200);
    for n in 0..60 {
        assert_eq!(house.ask_code(&format!("+2332400000{n:02}")).await.status, 200, "other phones from the same address");
    }
}

#[tokio::test]
async fn production_sends_sealed_codes_and_limits_them() {
    let house = House::production();
    let sent = house.ask_code(AMA).await;
    assert_eq!((sent.status, &sent.body["resend_after"], sent.body.get("sandbox_otp")), (200, &json!(30), None));

    // The code waits in the outbox, and only who has the keys can read it there.
    let view = house.engine.view();
    let effects: Vec<_> = OUTBOX.scan(&*view).map(|(_, row)| row).collect();
    assert_eq!((effects.len(), effects[0].destination.as_str(), effects[0].kind.as_str()), (1, "sms", "otp"));
    let body: Value = serde_json::from_str(&effects[0].body).expect("JSON");
    let message = house.people.keyring.open_effect(body["sealed"].as_str().expect("text")).expect("opened");
    let message: Value = serde_json::from_slice(&message).expect("JSON");
    let code = message["code"].as_str().expect("a code").to_owned();
    assert_eq!((&message["to"], code.len()), (&json!(AMA), 6));
    assert!(!effects[0].body.contains(&code) && !effects[0].body.contains("233241234567"));

    assert_eq!(house.ask_code(AMA).await.problem(), (429, "rate_limited"), "too soon");
    let wrong = if code == "000000" { "000001" } else { "000000" };
    assert_eq!(house.try_code(AMA, wrong).await.problem(), (422, "wrong_otp"));
    assert_eq!(house.try_code(AMA, &code).await.status, 200);

    for _ in 0..4 {
        house.clock.advance(30_000);
        assert_eq!(house.ask_code(AMA).await.status, 200);
    }
    house.clock.advance(30_000);
    let refused = house.ask_code(AMA).await;
    assert_eq!(refused.problem(), (429, "rate_limited"), "five in a short time are enough");
    assert!(refused.headers.contains_key("retry-after"));

    // One address asks for many phones.
    let mut allowed = 0;
    for n in 0..60 {
        allowed += u32::from(house.ask_code(&format!("+2332400000{n:02}")).await.status == 200);
    }
    assert!((30..=40).contains(&allowed), "an address gets its 40, less what was asked before: {allowed}");
}

#[tokio::test]
async fn without_a_sender_nobody_is_told_that_a_code_is_on_its_way() {
    let house = House::mute();
    let before = house.engine.view().position();
    assert_eq!(house.ask_code(AMA).await.problem(), (503, "sms_unavailable"));
    assert_eq!(house.ask_code("0241234567").await.problem(), (422, "invalid_request"), "what is no phone is told first");
    assert_eq!(house.engine.view().position(), before, "nothing was written");
}
