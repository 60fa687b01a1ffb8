//! Payments from outside: the real engine, edge and sandbox provider, over HTTP; and the laws of the templates.

#[path = "payments/books.rs"]
mod books;
#[path = "payments/city.rs"]
mod city;
#[path = "payments/provider.rs"]
mod provider;

use city::{City, PAYER, STRANGER, SUPPORT};
use medina::money::books::chart::{Code, HOUSE, connector_owner};
use medina::money::payments::intents::{self, Unwound};
use medina::money::payments::{IntentId, Method, Refusal, Status, Subject};
use medina::money::pricing::{Basket, Fees, price};
use medina::money::settlement::{SettlementFacts, settle_order};
use medina::money::{Currency, Money};
use serde_json::json;

fn ghs() -> Currency {
    "GHS".parse().expect("a currency")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_is_authorised_captured_settled_and_refunded() {
    let city = City::start().await;
    let basket = Basket { items_subtotal: 4000, distance_m: 3250, tip: 300, ..Basket::default() };
    let amounts = price(&Fees::default(), ghs(), &basket).expect("in range");
    let id = city.intent(1, amounts.total, Method::Card).await.expect("cards are on offer").id;

    let (status, answer) = city.post(PAYER, &format!("/v1/payments/intents/{id}/confirm"), "k1", json!({ "token": "tok_ok" })).await;
    assert_eq!((status, &answer["status"], &answer["connector"]), (200, &json!("authorized"), &json!("sandbox")), "{answer}");
    assert!(city.balances().is_empty(), "an authorisation moves nothing");

    city.write(move |tx| intents::capture(tx, id, None)).await.expect("it is authorised");
    assert_eq!(city.status_after(id, Status::Authorized).await, Status::Captured);
    assert_eq!(city.balance(Code::Escrow, 1), 4862);
    assert_eq!(city.balance(Code::ProviderReceivable, connector_owner("sandbox")), 4862);

    let facts = SettlementFacts { order: 1, method: Method::Card, merchant: 7, courier: Some(8), amounts, fees: Fees::default() };
    for _ in 0..2 {
        let facts = facts.clone();
        city.write(move |tx| settle_order(tx, &facts)).await.expect("escrow holds the price");
    }
    let shares = [
        (Code::Escrow, 1, 0),
        (Code::MerchantPayable, 7, 3200),
        (Code::CourierPayable, 8, 590),
        (Code::Commission, HOUSE, 800),
        (Code::Fees, HOUSE, 272),
    ];
    for (code, owner, amount) in shares {
        assert_eq!(city.balance(code, owner), amount, "{}", code.name());
    }

    let refund = json!({ "intent_id": id, "amount": { "amount": 862, "currency": "GHS" }, "reason": "cold" });
    let (status, answer) = city.post(SUPPORT, "/v1/refunds", "k2", refund.clone()).await;
    assert_eq!((status, &answer["status"]), (201, &json!("pending")), "{answer}");
    let refund_id = answer["id"].as_str().expect("an id").to_owned();
    city.until(|city| city.happened().contains(&"IntentRefundSettled".to_owned())).await;
    assert_eq!(city.get(SUPPORT, &format!("/v1/refunds/{refund_id}")).await.1["status"], "settled");
    let (_, shown) = city.get(PAYER, &format!("/v1/payments/intents/{id}")).await;
    assert_eq!(
        (&shown["status"], &shown["captured"]["amount"], &shown["refunded"]["amount"]),
        (&json!("captured"), &json!(4862), &json!(862))
    );
    assert_eq!(city.balance(Code::RefundsBorne, HOUSE), 862, "the order is settled: the platform bears it");

    let (status, problem) = city
        .post(SUPPORT, "/v1/refunds", "k3", json!({ "intent_id": id, "amount": { "amount": 4001, "currency": "GHS" }, "reason": "all" }))
        .await;
    assert_eq!((status, &problem["code"]), (422, &json!("invalid_request")));
    assert_eq!(city.post(SUPPORT, "/v1/refunds", "k4", json!({ "intent_id": id, "reason": "rest" })).await.0, 201);
    assert_eq!(city.status_after(id, Status::Captured).await, Status::Refunded);
    assert_eq!(city.balance(Code::ProviderReceivable, connector_owner("sandbox")), 0);

    let (_, trial) = city.get(SUPPORT, "/v1/ledger/trial-balance").await;
    assert_eq!(trial["currencies"][0]["difference"], 0, "{trial}");
    assert!(city.audit().is_clean());
    let expected = ["Created", "Authorized", "Captured", "RefundInitiated", "RefundSettled", "RefundInitiated", "RefundSettled"]
        .map(|name| format!("Intent{name}"));
    assert_eq!(city.happened(), expected);
}

/// What each of the sandbox's tokens comes to, as the confirmation answers and after the test clock has passed the provider's patience.
#[tokio::test(flavor = "multi_thread")]
async fn tokens() {
    let city = City::start().await;
    let cases = [
        ("tok_ok", "authorized", None, Status::Authorized),
        ("tok_requires_action", "requires_action", None, Status::RequiresAction),
        ("tok_declined", "failed", Some("card_declined"), Status::Failed),
        ("tok_insufficient_funds", "failed", Some("insufficient_funds"), Status::Failed),
        ("tok_nonsense", "failed", Some("invalid_token"), Status::Failed),
        ("tok_timeout", "processing", None, Status::Authorized),
    ];
    let mut made = Vec::new();
    for (order, (token, status, code, ends)) in (1..).zip(cases) {
        let id = city.intent(order, 500, Method::Card).await.expect("cards are on offer").id;
        let (http, answer) = city.post(PAYER, &format!("/v1/payments/intents/{id}/confirm"), token, json!({ "token": token })).await;
        assert_eq!((http, &answer["status"], answer["decline_code"].as_str()), (200, &json!(status), code), "{token}: {answer}");
        let acts = answer["next_action"]["url"].as_str().is_some_and(|url| url.contains("/pay/"));
        assert_eq!(acts, status == "requires_action", "{answer}");
        made.push((id, token, ends));
    }
    city.advance_s(31).await;
    for (id, token, ends) in made {
        assert_eq!(city.intent_now(id).status, ends, "{token}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_payer_acts_at_the_provider() {
    let city = City::start().await;
    for (order, (result, status)) in (1..).zip([("approve", "authorized"), ("fail", "failed"), ("abandon", "requires_action")]) {
        let id = city.intent(order, 500, Method::Card).await.expect("cards are on offer").id;
        city.post(PAYER, &format!("/v1/payments/intents/{id}/confirm"), "k", json!({ "token": "tok_requires_action" })).await;
        let action = format!("/v1/sandbox/intents/{id}/action");
        assert_eq!(city.post(STRANGER, &action, "k", json!({ "result": result })).await.0, 404);
        let (http, answer) = city.post(PAYER, &action, "k", json!({ "result": result })).await;
        assert_eq!((http, &answer["status"]), (200, &json!(status)), "{result}: {answer}");
        if result != "abandon" {
            assert_eq!(city.post(PAYER, &action, "k2", json!({ "result": result })).await.0, 409, "{result} twice");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_is_made_once() {
    let city = City::start().await;
    let id = city.intent(1, 500, Method::Card).await.expect("cards are on offer").id;
    let path = format!("/v1/payments/intents/{id}/confirm");
    let body = json!({ "token": "tok_ok" });
    assert_eq!(city.send(PAYER, &path, None, &body).await.1["code"], "idempotency_key_required");
    assert_eq!(city.post(STRANGER, &path, "k", body.clone()).await.0, 404);
    let (twin, first) = tokio::join!(city.send(PAYER, &path, Some("k"), &body), city.send(PAYER, &path, Some("k"), &body));
    assert_eq!((twin.0, &twin.1), (200, &first.1), "both at once get one answer");
    city.write(move |tx| intents::capture(tx, id, None)).await.expect("it is authorised");
    city.status_after(id, Status::Authorized).await;
    let (status, again) = city.post(PAYER, &path, "k", body.clone()).await;
    assert_eq!((status, again), (200, first.1), "the first answer, although it is captured by now");
    let (status, problem) = city.post(PAYER, &path, "k", json!({ "token": "tok_declined" })).await;
    assert_eq!((status, &problem["code"]), (422, &json!("idempotency_key_reused")));
    let (status, problem) = city.post(PAYER, &path, "other", json!({ "token": "tok_declined" })).await;
    assert_eq!(
        (status, &problem["code"], &problem["from"], &problem["allowed"]),
        (409, &json!("invalid_transition"), &json!("captured"), &json!(["refunded"]))
    );
    assert_eq!(city.happened().iter().filter(|name| *name == "IntentAuthorized").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_try_cancels_the_live_one() {
    let city = City::start().await;
    let first = city.intent(1, 500, Method::Card).await.expect("cards are on offer");
    let order_id = city.get(PAYER, &format!("/v1/payments/intents/{}", first.id)).await.1["order_id"].clone();
    let again = |method: &str| json!({ "order_id": order_id, "method": method });
    for method in ["wallet", "mobile_money", "cash"] {
        let (status, problem) = city.post(PAYER, "/v1/payments/intents", method, again(method)).await;
        assert_eq!((status, &problem["code"]), (422, &json!("payment_method_unavailable")), "{method}");
    }
    assert_eq!(city.intent_now(first.id).status, Status::RequiresPaymentMethod, "a refusal changes nothing");
    let (status, second) = city.post(PAYER, "/v1/payments/intents", "k", again("card")).await;
    assert_eq!((status, &second["status"], city.intent_now(first.id).status), (201, &json!("requires_payment_method"), Status::Cancelled));
    let with_token = json!({ "order_id": order_id, "method": "card", "token": "tok_ok" });
    let (_, third) = city.post(PAYER, "/v1/payments/intents", "k2", with_token).await;
    let third: IntentId = third["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
    assert_eq!(city.status_after(third, Status::Processing).await, Status::Authorized);
    assert_eq!(city.post(PAYER, "/v1/payments/intents", "k3", again("card")).await.1["code"], "already_paid");
    let unwound = city.write(move |tx| intents::void_or_refund(tx, third, "over")).await.expect("it unwinds");
    assert_eq!(unwound, Unwound::Cancelled);
    assert_eq!(city.post(PAYER, "/v1/payments/intents", "k4", again("card")).await.1["code"], "payment_closed");
}

/// However far a payment is when its order ends, nothing is kept.
#[tokio::test(flavor = "multi_thread")]
async fn everything_is_undone() {
    let city = City::start().await;
    let fresh = city.intent(1, 500, Method::Card).await.expect("cards are on offer").id;
    let undecided = city.intent(2, 500, Method::Card).await.expect("cards are on offer").id;
    city.post(PAYER, &format!("/v1/payments/intents/{undecided}/confirm"), "k", json!({ "token": "tok_timeout" })).await;
    let authorized = city.authorized(3, 500).await;
    let under_way = city.authorized(4, 500).await;
    let captured = city.authorized(5, 500).await;
    city.write(move |tx| intents::capture(tx, captured, None)).await.expect("it is authorised");
    city.status_after(captured, Status::Authorized).await;
    let unwound = city
        .write(move |tx| {
            intents::capture(tx, under_way, None)?;
            [fresh, undecided, authorized, under_way, captured]
                .into_iter()
                .map(|id| intents::void_or_refund(tx, id, "over"))
                .collect::<Result<Vec<_>, Refusal>>()
        })
        .await
        .expect("it unwinds");
    assert!(matches!(
        unwound[..],
        [Unwound::Cancelled, Unwound::Cancelled, Unwound::Cancelled, Unwound::WhenKnown, Unwound::Refunding { amount: 500, .. }]
    ));
    city.advance_s(60).await;
    let ends = [fresh, undecided, authorized, under_way, captured].map(|id| city.intent_now(id).status);
    assert_eq!(ends, [Status::Cancelled, Status::Cancelled, Status::Cancelled, Status::Refunded, Status::Refunded]);
    for id in [undecided, authorized] {
        assert_eq!(city.charge(id).await["state"], "voided");
    }
    for order in 1..=5 {
        assert_eq!(city.balance(Code::Escrow, order), 0);
    }
    assert!(city.audit().is_clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unpaid_intent_expires_and_what_comes_later_is_given_back() {
    let city = City::start().await;
    let expires_at = city.now().plus_s(20);
    let payer = city::user(PAYER);
    let id = city
        .write(move |tx| {
            intents::create(
                tx,
                Subject::order(1),
                payer,
                Money::new(500, ghs()),
                Method::Card,
                medina::money::payments::CaptureTime::Delivery,
                Some(expires_at),
            )
        })
        .await
        .expect("cards are on offer")
        .id;
    city.post(PAYER, &format!("/v1/payments/intents/{id}/confirm"), "k", json!({ "token": "tok_timeout" })).await;
    city.advance_s(60).await;
    assert_eq!((city.intent_now(id).status, &city.charge(id).await["state"]), (Status::Expired, &json!("voided")));
    assert_eq!(city.happened(), ["IntentCreated", "IntentExpired"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn cash_is_in_escrow_when_the_courier_has_it_and_goes_back_as_a_balance() {
    let city = City::start().await;
    let id = city.intent(1, 900, Method::Cash).await.expect("cash needs nobody").id;
    assert_eq!(city.intent_now(id).status, Status::Authorized);
    city.write(move |tx| intents::collect_cash(tx, id, 8)).await.expect("it waits for the cash");
    assert_eq!((city.balance(Code::CourierCash, 8), city.balance(Code::Escrow, 1)), (900, 900));
    assert!(matches!(city.write(move |tx| intents::collect_cash(tx, id, 8)).await, Err(Refusal::NotWhile { from: Status::Captured, .. })));
    let (status, refund) = city.post(SUPPORT, "/v1/refunds", "k", json!({ "intent_id": id, "reason": "spilt" })).await;
    assert_eq!((status, &refund["status"]), (201, &json!("settled")), "{refund}");
    let (_, wallet) = city.get(PAYER, "/v1/wallets/me").await;
    assert_eq!(wallet, json!({ "balances": [{ "amount": 900, "currency": "GHS" }] }));
    assert_eq!(city.get(STRANGER, "/v1/wallets/me").await.1, json!({ "balances": [] }));
    assert_eq!(city.balance(Code::Escrow, 1), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_books_are_shown_to_those_who_keep_them() {
    let city = City::start().await;
    for order in 1..=3 {
        let id = city.authorized(order, 500).await;
        city.write(move |tx| intents::capture(tx, id, None)).await.expect("it is authorised");
        city.status_after(id, Status::Authorized).await;
    }
    assert_eq!(city.get(PAYER, "/v1/ledger/accounts").await.0, 403);
    let (_, first) = city.get(SUPPORT, "/v1/ledger/accounts?code=escrow&limit=2").await;
    let cursor = first["next_cursor"].as_str().expect("there is more");
    let (_, rest) = city.get(SUPPORT, &format!("/v1/ledger/accounts?code=2000&limit=2&cursor={cursor}")).await;
    let owners: Vec<_> = [&first, &rest]
        .into_iter()
        .flat_map(|page| page["data"].as_array().cloned().unwrap_or_default())
        .map(|account| account["balance"].clone())
        .collect();
    assert_eq!(owners, [json!(500), json!(500), json!(500)]);
    assert_eq!(rest["next_cursor"], json!(null));
    let (_, receivable) = city.get(SUPPORT, "/v1/ledger/accounts?code=provider_receivable").await;
    assert_eq!((&receivable["data"][0]["owner"], &receivable["data"][0]["balance"]), (&json!("sandbox"), &json!(1500)));
    let account = receivable["data"][0]["id"].as_str().expect("an id");
    let (_, transfers) = city.get(SUPPORT, &format!("/v1/ledger/transfers?account={account}")).await;
    assert_eq!(transfers["data"].as_array().map(Vec::len), Some(3));
    assert_eq!((&transfers["data"][0]["debit"], &transfers["data"][0]["amount"]), (&json!(account), &json!(500)));
    assert_eq!(city.get(SUPPORT, "/v1/ledger/transfers?account=x").await.0, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_needs_somebody_who_takes_it() {
    let city = City::start().await;
    city.write(|tx| {
        medina::money::payments::provider::offer(tx, &[]);
        Ok::<(), Refusal>(())
    })
    .await
    .expect("it cannot refuse");
    for method in [Method::Card, Method::Wallet, Method::MobileMoney] {
        assert_eq!(city.intent(1, 500, method).await.map(|intent| intent.id), Err(Refusal::MethodUnavailable), "{method:?}");
    }
    assert_eq!(
        city.intent(1, 0, Method::Cash)
            .await
            .map(|intent| intent.id)
            .map_err(|refusal| matches!(refusal, Refusal::AmountOutOfRange { .. })),
        Err(true)
    );
    assert!(city.happened().is_empty(), "a refusal tells nobody");
}

/// A payment is cancelled whole, and what needs no row is refused before anybody learns whether there is one.
#[tokio::test(flavor = "multi_thread")]
async fn input_is_checked_first() {
    let city = City::start().await;
    let id = city.intent(1, 500, Method::Card).await.expect("cards are on offer").id;
    let cancel = async |key: &str, amount: i64, currency: &str| {
        let body = json!({ "amount": { "amount": amount, "currency": currency } });
        let (status, answer) = city.post(PAYER, &format!("/v1/payments/intents/{id}/cancel"), key, body).await;
        (status, answer["errors"][0]["pointer"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(cancel("k1", 499, "GHS").await, (422, "/amount/amount".to_owned()));
    assert_eq!(cancel("k2", 500, "USD").await, (422, "/amount/currency".to_owned()));
    assert_eq!(city.intent_now(id).status, Status::RequiresPaymentMethod);
    assert_eq!(cancel("k3", 500, "GHS").await.0, 200);
    assert_eq!(city.intent_now(id).status, Status::Cancelled);

    let nothing = json!({ "amount": 0, "currency": "GHS" });
    let nowhere = IntentId::from_u128(404);
    let cases = [
        (format!("/v1/payments/intents/{nowhere}/confirm"), json!({ "token": "" })),
        (format!("/v1/payments/intents/{nowhere}/confirm"), json!({})),
        (format!("/v1/payments/intents/{nowhere}/capture"), json!({ "amount": nothing })),
        ("/v1/refunds".to_owned(), json!({ "intent_id": nowhere, "amount": nothing, "reason": "cold" })),
    ];
    for (n, (path, body)) in cases.into_iter().enumerate() {
        assert_eq!(city.post(SUPPORT, &path, &format!("n{n}"), body).await.0, 422, "{path}");
    }
}
