//! The common rules of the HTTP contract, asked of a running sandbox as a stranger would.

mod wire;

use std::collections::BTreeSet;

use medina::app::{self, App, AppOptions};
use serde_json::{Value, json};
use wire::{Answer, Person, Town, Wire, at, fresh_cart, send};

const ADMIN: &str = "admin@medina.test";

async fn town() -> (App, Town) {
    let options = AppOptions { sandbox: true, admin: Some(ADMIN.to_owned()), ..AppOptions::default() };
    let app = app::start(options).await.expect("the appliance starts");
    let password = app.admin().expect("one was asked for").password.clone();
    let town = Town::found(Wire::to(&app.base_url()), ADMIN, &password).await;
    (app, town)
}

/// Every member and header that a refusal must have.
fn check_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code()), (status, code), "{}", answer.text);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}", answer.text);
    assert_eq!(answer.body["status"], status);
    for member in ["type", "title", "detail", "code", "request_id"] {
        assert!(answer.body[member].as_str().is_some_and(|text| !text.is_empty()), "no {member}: {}", answer.text);
    }
    assert_eq!(answer.header("x-request-id"), answer.body["request_id"].as_str());
    assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_come_in_the_order_of_the_contract() {
    let (app, town) = town().await;
    let (ama, kofi) = (town.customer("+233200000001").await, town.customer("+233200000002").await);
    let order = town.order(&ama).await.text("id");
    let big = format!("{{\"note\": \"{}\"}}", "x".repeat(1 << 20));
    let nobody: Option<&str> = None;
    let (customer, stranger, staff) = (Some(ama.token.as_str()), Some(kofi.token.as_str()), Some(town.staff.token.as_str()));
    let cart = format!("PUT /v1/carts/{}", fresh_cart());
    let show = format!("GET /v1/orders/{order}");
    let accept = format!("POST /v1/orders/{order}/accept");
    let cancel = format!("POST /v1/orders/{order}/cancel");
    let (missing, misspelt) = ("ord_01h455vb4pex5vsknk084sn02q", r#"{"merchant_id": "x", "itmes": []}"#);
    let unknown = [format!("GET /v1/orders/{missing}"), format!("POST /v1/orders/{missing}/accept")];
    let rows: Vec<(&str, Option<&str>, &str, u16, &str)> = vec![
        // The path, before anything else.
        ("GET /nowhere", nobody, "", 404, "not_found"),
        ("POST /v1/nowhere", customer, "{", 404, "not_found"),
        ("GET /v1/orders/", customer, "", 404, "not_found"),
        ("DELETE /v1/orders", nobody, "", 405, "method_not_allowed"),
        ("PUT /healthz", nobody, "", 405, "method_not_allowed"),
        ("POST /v1/live", nobody, "", 405, "method_not_allowed"),
        ("GET /v1/orders/nonsense", nobody, "", 404, "not_found"),
        ("GET /v1/orders/usr_01h455vb4pex5vsknk084sn02q", nobody, "", 404, "not_found"),
        ("GET /v1/orders/%ff", nobody, "", 404, "not_found"),
        ("POST /v1/orders/nonsense/accept", nobody, "{", 404, "not_found"),
        ("PATCH /v1/items/nonsense", nobody, "{", 404, "not_found"),
        ("POST /v1/offers/nonsense/accept", nobody, "", 404, "not_found"),
        ("GET /v1/payments/intents/nonsense", nobody, "", 404, "not_found"),
        ("PUT /v1/users/nonsense/roles", nobody, "{", 404, "not_found"),
        // Who asks, before what is said.
        ("GET /v1/me", nobody, "", 401, "unauthenticated"),
        ("GET /v1/me", Some("garbage"), "", 401, "unauthenticated"),
        ("GET /v1/events", nobody, "", 401, "unauthenticated"),
        ("GET /v1/live?topic=courier:me", nobody, "", 401, "unauthenticated"),
        ("GET /v1/orders?limit=0", nobody, "", 401, "unauthenticated"),
        ("POST /v1/orders", nobody, "{", 401, "unauthenticated"),
        ("POST /v1/orders", nobody, &big, 401, "unauthenticated"),
        (&cart, nobody, misspelt, 401, "unauthenticated"),
        // What is said.
        (&cart, customer, "{", 400, "malformed_json"),
        (&cart, customer, &big, 413, "body_too_large"),
        (&cart, customer, misspelt, 422, "invalid_request"),
        (&accept, customer, "{", 400, "malformed_json"),
        (&accept, stranger, r#"{"prep_minuts": 5}"#, 422, "invalid_request"),
        ("POST /v1/auth/otp/request", nobody, "{", 400, "malformed_json"),
        ("POST /v1/auth/otp/request", nobody, r#"{"fone": "+233200000009"}"#, 422, "invalid_request"),
        ("GET /v1/orders?limit=0", customer, "", 422, "invalid_request"),
        ("GET /v1/orders?limit=many", customer, "", 422, "invalid_request"),
        ("GET /v1/orders?cursor=zz", customer, "", 422, "invalid_request"),
        ("GET /v1/search?kind=galaxy", nobody, "", 422, "invalid_request"),
        // The thing.
        (&unknown[0], customer, "", 404, "not_found"),
        (&unknown[1], staff, "{}", 404, "not_found"),
        (&show, stranger, "", 404, "not_found"),
        (&cancel, stranger, r#"{"reason": "spite"}"#, 404, "not_found"),
        (&accept, customer, "{}", 403, "forbidden"),
        ("POST /v1/cities", customer, CITY, 403, "forbidden"),
        ("GET /v1/ledger/trial-balance", customer, "", 403, "forbidden"),
        ("POST /v1/ledger/transfers", nobody, "{", 401, "unauthenticated"),
        ("POST /v1/ledger/transfers", customer, "{", 400, "malformed_json"),
        ("POST /v1/ledger/transfers", customer, TRANSFER, 403, "forbidden"),
        ("GET /v1/ledger/proofs/consistency?from=0", customer, "", 403, "forbidden"),
        ("GET /v1/ledger/proofs/inclusion?leaf=0", nobody, "", 401, "unauthenticated"),
        ("GET /ledger/tile/0/0", nobody, "", 404, "not_found"),
        ("POST /ledger/checkpoint", nobody, "", 405, "method_not_allowed"),
        ("GET /v1/ops/overview", staff, "", 403, "forbidden"),
        ("GET /v1/dispatch/nearby?lat=5.6&lon=-0.19", customer, "", 403, "forbidden"),
        ("POST /v1/sandbox/clock/advance", customer, r#"{"seconds": 1}"#, 403, "forbidden"),
    ];
    let mut wrong = Vec::new();
    for (line, token, body, status, code) in rows {
        let mut request = town.wire.ask(line).body(body.to_owned());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = send(request).await;
        if (answer.status, answer.code()) == (status, code) {
            check_problem(&answer, status, code);
        } else {
            wrong.push(format!("{line} {:.60}: {status} {code} expected, got {} {:.200}", body, answer.status, answer.text));
        }
        if answer.status == 405 {
            assert!(answer.header("allow").is_some_and(|allow| !allow.is_empty()), "{line}: no Allow");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let allowed = send(town.wire.ask("DELETE /v1/orders")).await;
    let methods: BTreeSet<&str> = allowed.header("allow").expect("Allow").split(',').map(str::trim).collect();
    assert!(methods.contains("GET") && methods.contains("POST"), "{methods:?}");
    assert_eq!(town.wire.get(&ama.token, &format!("/v1/orders/{order}")).await.text("status"), "CONFIRMED", "nothing was changed");
    app.stop().await;
}

const TRANSFER: &str =
    r#"{"transfers": [{"id": "trf_00000000000000000000000001", "debit": "5000-0-GHS", "credit": "2400-1-GHS", "amount": 1}]}"#;

const CITY: &str =
    r#"{"name": "Tema", "currency": "GHS", "timezone": "Africa/Accra", "center": {"lat": 5.66, "lon": 0.0}, "radius_m": 9000}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_field_is_named_by_its_pointer() {
    let (app, town) = town().await;
    let ama = town.customer("+233200000001").await;
    let cart = format!("PUT /v1/carts/{}", fresh_cart());
    let line = |more: Value| {
        let mut line = json!({ "item_id": town.item, "quantity": 1 });
        line.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        json!({ "merchant_id": town.merchant, "items": [line] })
    };
    let rows = [
        (cart.as_str(), &ama, line(json!({ "quantty": 2 })), "/items/0/quantty", "unknown_field"),
        (&cart, &ama, line(json!({ "quantity": 0 })), "/items/0/quantity", ""),
        (&cart, &ama, line(json!({ "quantity": "1" })), "/items/0/quantity", "wrong_type"),
        (&cart, &ama, json!({ "items": [] }), "/merchant_id", "required"),
        ("POST /v1/orders", &ama, json!({ "quoteid": "x", "payment_method": "cash" }), "/quoteid", "unknown_field"),
        ("POST /v1/quotes", &ama, json!({ "cart_id": fresh_cart(), "dropoff": { "lat": 95.0, "lon": 0.0 } }), "/dropoff", "out_of_range"),
        (
            "POST /v1/quotes",
            &ama,
            json!({ "cart_id": fresh_cart(), "dropoff": { "lat": 5.0, "lng": 0.0 } }),
            "/dropoff/lng",
            "unknown_field",
        ),
        ("PATCH /v1/me", &ama, json!({ "nmae": "Ama" }), "/nmae", "unknown_field"),
    ];
    for (path, who, body, pointer, code) in rows {
        let answer = town.wire.write(&who.token, path, &body).await;
        check_problem(&answer, 422, "invalid_request");
        let error = &answer.body["errors"][0];
        assert_eq!(error["pointer"], pointer, "{path} {body}: {}", answer.text);
        assert!(code.is_empty() || error["code"] == code, "{path} {body}: {}", answer.text);
        assert!(error["detail"].is_string());
    }
    app.stop().await;
}

async fn place(town: &Town, who: &Person, quote: &str, key: &str) -> Answer {
    let body = json!({ "quote_id": quote, "payment_method": "cash" });
    send(town.wire.ask("POST /v1/orders").bearer_auth(&who.token).header("idempotency-key", key).json(&body)).await
}

async fn orders_of(town: &Town, who: &Person) -> usize {
    town.wire.get(&who.token, "/v1/orders?limit=100").await.is(200).body["data"].as_array().expect("a list").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_makes_one_effect_and_one_answer() {
    let (app, town) = town().await;
    let (ama, kofi) = (town.customer("+233200000001").await, town.customer("+233200000002").await);
    let (quote, other) = (town.quote(&ama).await, town.quote(&ama).await);
    let body = json!({ "quote_id": quote, "payment_method": "cash" });
    check_problem(&send(town.wire.ask("POST /v1/orders").bearer_auth(&ama.token).json(&body)).await, 400, "idempotency_key_required");
    check_problem(&place(&town, &ama, &quote, &"k".repeat(256)).await, 400, "bad_idempotency_key");

    let first = place(&town, &ama, &quote, "once").await.is(201);
    assert_eq!(first.header("idempotency-replayed"), None);
    let again = place(&town, &ama, &quote, "once").await.is(201);
    assert_eq!((again.header("idempotency-replayed"), &again.text), (Some("true"), &first.text));
    assert_eq!(again.header("etag"), first.header("etag"));
    check_problem(&place(&town, &ama, &other, "once").await, 422, "idempotency_key_reused");
    check_problem(&place(&town, &ama, &quote, "twice").await, 409, "quote_used");
    assert_eq!(orders_of(&town, &ama).await, 1);
    // The key is the caller's own.
    let theirs = town.quote(&kofi).await;
    assert_eq!(place(&town, &kofi, &theirs, "once").await.is(201).header("idempotency-replayed"), None);

    // All at once.
    let calls = (0..12).map(|_| place(&town, &ama, &other, "together"));
    let answers: Vec<Answer> = futures_util::future::join_all(calls).await;
    assert!(answers.iter().all(|answer| answer.status == 201 && answer.text == answers[0].text), "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer.header("idempotency-replayed").is_none()).count(), 1);
    assert_eq!(orders_of(&town, &ama).await, 2);
    app.stop().await;
}

/// A confirmation waits for the provider between two commands: its repeats wait with it, whatever the provider says.
#[tokio::test(flavor = "multi_thread")]
async fn repeated_confirmations_are_one() {
    let (app, town) = town().await;
    let ama = town.customer("+233200000001").await;
    for (token, status) in [("tok_ok", "authorized"), ("tok_requires_action", "requires_action"), ("tok_declined", "failed")] {
        let quote = town.quote(&ama).await;
        let order = town.wire.write(&ama.token, "POST /v1/orders", &json!({ "quote_id": quote, "payment_method": "card" })).await.is(201);
        let intent = order.body["payment"]["intent_id"].as_str().expect("an intent").to_owned();
        let line = format!("POST /v1/payments/intents/{intent}/confirm");
        let confirm = |token: &str| {
            let request = town.wire.ask(&line).bearer_auth(&ama.token).header("idempotency-key", "confirm");
            send(request.json(&json!({ "token": token })))
        };
        let answers: Vec<Answer> = futures_util::future::join_all((0..6).map(|_| confirm(token))).await;
        assert!(answers.iter().all(|answer| answer.status == 200 && answer.text == answers[0].text), "{token}: {answers:#?}");
        assert_eq!(answers[0].text("status"), status, "{token}");
        assert_eq!(answers.iter().filter(|answer| answer.header("idempotency-replayed").is_none()).count(), 1, "{token}");
        let again = confirm(token).await.is(200);
        assert_eq!((&again.text, again.header("idempotency-replayed")), (&answers[0].text, Some("true")), "{token}");
        check_problem(&confirm("tok_insufficient_funds").await, 422, "idempotency_key_reused");
        let kept = town.wire.get(&ama.token, &format!("/v1/payments/intents/{intent}")).await.is(200);
        assert_eq!(kept.text("status"), status, "{token}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_not_kept_under_its_key() {
    let (app, town) = town().await;
    let ama = town.customer("+233200000001").await;
    let item = format!("PATCH /v1/items/{}", town.item);
    let quote = town.quote(&ama).await;
    town.wire.write(&town.staff.token, &item, &json!({ "available": false })).await.is(200);
    let refused = place(&town, &ama, &quote, "try").await;
    assert!((400..500).contains(&refused.status), "{}", refused.text);
    check_problem(&refused, refused.status, refused.code());
    assert_eq!(orders_of(&town, &ama).await, 0);
    town.wire.write(&town.staff.token, &item, &json!({ "available": true })).await.is(200);
    let placed = place(&town, &ama, &quote, "try").await.is(201);
    assert_eq!(placed.header("idempotency-replayed"), None);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_names_the_version_that_it_edits() {
    let (app, town) = town().await;
    let things = [
        (format!("/v1/merchants/{}", town.merchant), true, json!({ "name": "Mama's place" })),
        (format!("/v1/cities/{}", town.city), true, json!({ "name": "Greater Accra" })),
        (format!("/v1/items/{}", town.item), false, json!({ "name": "Jollof rice" })),
        ("/v1/me".to_owned(), true, json!({ "name": "Root" })),
    ];
    for (path, is_readable, patch) in things {
        let edit = |tag: Option<String>| {
            let request = town.wire.ask(&format!("PATCH {path}")).bearer_auth(&town.admin.token).json(&patch);
            send(if let Some(tag) = tag { request.header("if-match", tag) } else { request })
        };
        let tag = edit(None).await.is(200).header("etag").unwrap_or_else(|| panic!("{path}: no ETag")).to_owned();
        if is_readable {
            assert_eq!(town.wire.get(&town.admin.token, &path).await.header("etag"), Some(tag.as_str()), "{path}");
        }
        let next = edit(Some(tag.clone())).await.is(200).header("etag").expect("an ETag").to_owned();
        // An edit that changes nothing may keep its version; a tag of another version never passes.
        check_problem(&edit(Some("\"4096\"".to_owned())).await, 412, "precondition_failed");
        check_problem(&edit(Some("nonsense".to_owned())).await, 412, "precondition_failed");
        edit(Some("*".to_owned())).await.is(200);
        assert!(next.starts_with('"') && next.ends_with('"'), "{path}: {next}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_sees_the_write_that_it_names() {
    let (app, town) = town().await;
    let ama = town.customer("+233200000001").await;
    let placed = town.order(&ama).await;
    let (epoch, seq) = placed.seq();
    let read =
        |path: &str, wanted: String| send(town.wire.ask(&format!("GET {path}")).bearer_auth(&ama.token).header("medina-min-seq", wanted));
    let path = format!("/v1/orders/{}", placed.text("id"));
    read(&path, format!("{epoch}.{seq}")).await.is(200);
    for (wanted, status, code) in [
        (format!("{epoch}.{}", seq + 1_000_000), 503, "behind"),
        (format!("{}.1", epoch + 1), 503, "behind"),
        ("soon".to_owned(), 400, "bad_min_seq"),
    ] {
        let answer = read(&path, wanted).await;
        check_problem(&answer, status, code);
        assert_eq!(answer.header("retry-after").is_some(), status == 503, "{}", answer.text);
    }
    // A public read too, and the search's own index.
    let dish = json!({ "name": "Kelewele", "price": { "amount": 900, "currency": "GHS" } });
    let made = town.wire.write(&town.staff.token, &format!("POST /v1/merchants/{}/items", town.merchant), &dish).await.is(201);
    let (epoch, later) = made.seq();
    assert!(later > seq);
    let found = read("/v1/search?q=kelewele&kind=item", format!("{epoch}.{later}")).await.is(200);
    assert_eq!(found.body["data"][0]["id"], made.text("id"), "{}", found.text);
    app.stop().await;
}

/// Reads a list page by page while `insert` adds to it; the ids in their order.
async fn page_through(town: &Town, who: &Person, path: &str, insert: impl AsyncFn()) -> Vec<String> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = town.wire.get(&who.token, &format!("{path}limit=2{cursor}")).await.is(200);
        let data = page.body["data"].as_array().expect("a list");
        assert!(data.len() <= 2);
        ids.extend(data.iter().map(|entry| entry["id"].as_str().expect("an id").to_owned()));
        insert().await;
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_join_while_others_insert() {
    let (app, town) = town().await;
    let ama = town.customer("+233200000001").await;
    let kitchen = json!({ "city_id": town.city, "name": "Another", "kind": "restaurant", "position": at(wire::KITCHEN) });
    let open = async || town.wire.write(&town.admin.token, "POST /v1/merchants", &kitchen).await.is(201).text("id");
    let order = async || town.order(&ama).await.text("id");
    let mut kitchens = vec![town.merchant.clone()];
    let mut orders = Vec::new();
    for _ in 0..5 {
        kitchens.push(open().await);
        orders.push(order().await);
    }
    kitchens.reverse();
    orders.reverse();
    let seen = page_through(&town, &ama, &format!("/v1/merchants?city_id={}&", town.city), async || drop(open().await)).await;
    assert_eq!(seen, kitchens, "newest first, each once, none of the later ones");
    let seen = page_through(&town, &ama, "/v1/orders?", async || drop(order().await)).await;
    assert_eq!(seen, orders);
    let seen = page_through(&town, &town.admin, &format!("/v1/orders?status=CONFIRMED&city_id={}&", town.city), async || ()).await;
    assert!(seen.len() > orders.len() && seen.ends_with(&orders), "{seen:?}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn localhost_may_call_the_sandbox_from_a_page_and_others_may_not() {
    let (app, town) = town().await;
    let rows = [
        ("http://localhost", true),
        ("http://localhost:3000", true),
        ("https://127.0.0.1:8443", true),
        ("http://[::1]:5173", true),
        ("http://localhost.evil.example", false),
        ("https://evil.example", false),
        ("http://127.0.0.1.evil.example:80", false),
        ("null", false),
    ];
    for (origin, is_welcome) in rows {
        let plain = send(town.wire.ask("GET /healthz").header("origin", origin)).await;
        let preflight = town.wire.ask("OPTIONS /v1/orders").header("origin", origin).header("access-control-request-method", "POST");
        let preflight =
            send(preflight.header("access-control-request-headers", "authorization,content-type,idempotency-key,if-match")).await;
        for answer in [&plain, &preflight] {
            assert_eq!(answer.header("access-control-allow-origin"), is_welcome.then_some(origin), "{origin}");
            assert_eq!(answer.header("access-control-allow-credentials"), None);
        }
        if is_welcome {
            // Fetch standard: a `*` does not cover Authorization.
            let headers = preflight.header("access-control-allow-headers").unwrap_or_default().to_lowercase();
            for header in ["authorization", "content-type", "idempotency-key", "if-match"] {
                assert!(headers.split(',').any(|one| one.trim() == header), "{origin}: {header} is not in {headers:?}");
            }
        }
    }
    app.stop().await;
    let live = app::start(AppOptions::default()).await.expect("a live one starts too");
    let wire = Wire::to(&live.base_url());
    let answer = send(wire.ask("GET /healthz").header("origin", "http://localhost:3000")).await.is(200);
    assert_eq!(answer.header("access-control-allow-origin"), None, "only a sandbox is open to pages");
    live.stop().await;
}

/// Every path of API.md without ◦.
const CALLS: &str = "
    post /v1/auth/otp/request | post /v1/auth/otp/verify | post /v1/auth/register | post /v1/auth/login | post /v1/auth/password
    post /v1/auth/refresh | post /v1/auth/logout | get /v1/me | patch /v1/me | get /.well-known/jwks.json | put /v1/users/{}/roles
    post /v1/cities | get /v1/cities | get /v1/cities/{} | patch /v1/cities/{} | get /v1/cities/{}/settings | put /v1/cities/{}/settings
    post /v1/merchants | get /v1/merchants | get /v1/merchants/{} | get /v1/merchants/{}/menu | patch /v1/merchants/{}
    post /v1/merchants/{}/items | patch /v1/items/{} | get /v1/search | post /v1/media
    put /v1/carts/{} | post /v1/quotes | post /v1/orders | get /v1/orders | get /v1/orders/{} | get /v1/orders/{}/events
    post /v1/orders/{}/accept | post /v1/orders/{}/reject | post /v1/orders/{}/prepare | post /v1/orders/{}/ready
    post /v1/orders/{}/status | post /v1/orders/{}/release | post /v1/orders/{}/cancel | get /v1/orders/{}/track
    post /v1/payments/intents | get /v1/payments/intents/{} | post /v1/payments/intents/{}/confirm | post /v1/payments/intents/{}/capture
    post /v1/payments/intents/{}/cancel | post /v1/refunds | get /v1/refunds/{} | post /v1/payments/webhooks/{}
    post /v1/sandbox/intents/{}/action | get /v1/wallets/me
    get /v1/ledger/accounts | get /v1/ledger/transfers | get /v1/ledger/trial-balance
    post /v1/ledger/transfers | get /v1/ledger/proofs/inclusion | get /v1/ledger/proofs/consistency
    get /ledger/checkpoint | get /ledger/key | get /ledger/tile/{}
    post /v1/couriers | get /v1/couriers | patch /v1/couriers/{} | put /v1/couriers/me/presence | post /v1/couriers/me/pings
    get /v1/couriers/me/offers | post /v1/offers/{}/accept | post /v1/offers/{}/decline | get /v1/couriers/me/route
    get /v1/dispatch/nearby | get /v1/dispatch/orders/{}/candidates | post /v1/dispatch/orders/{}/assign
    post /v1/me/erasure | delete /v1/me/erasure | post /v1/users/{}/erasure | delete /v1/users/{}/erasure
    get /v1/couriers/me/shifts | post /v1/couriers/me/shifts | post /v1/couriers/{}/shifts | get /v1/shifts | post /v1/shifts/{}/cancel
    get /v1/live | get /v1/events
    get /healthz | get /readyz | get /metrics | get /openapi.json | get /docs
    get /v1/ops/overview | get /v1/ops/attention | get /v1/ops/outbox | post /v1/ops/outbox/{}/retry | post /v1/ops/outbox/{}/discard
    post /v1/ops/outbox/release | post /v1/sandbox/clock/advance";

/// `{id}` and `{order_id}` are the same to a reader of the contract.
fn without_names(path: &str) -> String {
    path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect::<Vec<_>>().join("/")
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_figures_and_the_document_answer() {
    let (app, town) = town().await;
    let get = async |path: &str| send(town.wire.ask(&format!("GET {path}"))).await.is(200);
    get("/healthz").await;
    get("/readyz").await;
    let figures = get("/metrics").await.text;
    let names: Vec<&str> = figures.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    assert!(names.len() > 10, "{figures}");
    assert!(names.iter().all(|line| line.starts_with("medina_")), "{figures}");

    let document = get("/openapi.json").await;
    assert_eq!(document.header("content-type"), Some("application/json"));
    assert!(document.text("openapi").starts_with("3.1"), "{}", document.body["openapi"]);
    let served: BTreeSet<String> = document.body["paths"]
        .as_object()
        .expect("paths")
        .iter()
        .flat_map(|(path, calls)| calls.as_object().expect("calls").keys().map(move |method| format!("{method} {}", without_names(path))))
        .collect();
    let missing: Vec<&str> = CALLS.split(['|', '\n']).map(str::trim).filter(|call| !call.is_empty() && !served.contains(*call)).collect();
    assert!(missing.is_empty(), "not in the document: {missing:#?}\nit has {served:#?}");

    let page = get("/docs").await;
    assert!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")));
    let sources: Vec<&str> = page.text.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(!sources.is_empty() && sources.iter().all(|source| source.starts_with('/') && !source.starts_with("//")), "{sources:?}");
    for source in sources {
        let script = get(source).await.text;
        assert!(!script.contains("https://") && !script.contains("import("), "{source} loads from elsewhere");
    }
    assert!(!page.text.contains("http://") && !page.text.contains("https://"), "the page names another host");
    app.stop().await;
}

/// One folder, one process, one appliance after another: whoever still holds a part of the first one is not in the way.
#[tokio::test(flavor = "multi_thread")]
async fn an_appliance_starts_again_on_its_folder_within_one_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let options =
        || AppOptions { data: Some(folder.path().join("data")), sandbox: true, admin: Some(ADMIN.to_owned()), ..AppOptions::default() };
    let mut kept = Vec::new();
    for _ in 0..3 {
        let app = app::start(options()).await.expect("the folder is free");
        let wire = Wire::to(&app.base_url());
        send(wire.ask("GET /v1/search?q=jollof")).await.is(200);
        // The engine's list has the search, and somebody has the engine.
        kept.push((app.engine().clone(), wire));
        app.stop().await;
    }
}
