//! The provider as a real other side: its signatures, its repeats, its crashes.

use medina::money::payments::signature::Secret;
use medina::money::payments::{Method, Status, intents};
use medina::money::sandbox::charge::{Act, Amount, Request, Verb};
use medina::money::sandbox::desk::Desk;
use serde_json::{Value, json};
use storage::Timestamp;

use super::city::{City, PAYER};

fn message(event: &str, kind: &str, data: &Value) -> String {
    json!({ "id": event, "type": kind, "at": "2026-11-21T08:00:00.000Z", "data": data }).to_string()
}

/// Signs as the provider does.
fn signed(city: &City, secret: &[u8], event: &str, body: &str) -> [(&'static str, String); 3] {
    let at_s = city.now().millis() / 1000;
    let signature = Secret::new(secret).sign(event, at_s, body.as_bytes());
    [("webhook-id", event.to_owned()), ("webhook-timestamp", at_s.to_string()), ("webhook-signature", signature)]
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_come_twice_forged_and_in_the_wrong_order() {
    let city = City::start_unreached().await;
    let id = city.intent(1, 500, Method::Card).await.expect("cards are on offer").id;
    let (_, answer) = city.post(PAYER, &format!("/v1/payments/intents/{id}/confirm"), "k", json!({ "token": "tok_ok" })).await;
    assert_eq!(answer["status"], "processing", "nobody has heard from the provider: we do not know yet");
    let secret = city.webhook_secret();
    let captured = message("evt_b", "charge.captured", &json!({ "intent": id, "amount": 500 }));
    let authorized = message("evt_a", "charge.authorized", &json!({ "intent": id }));

    assert_eq!(city.webhook(&[], &authorized).await, 401);
    assert_eq!(city.webhook(&signed(&city, b"guess", "evt_a", &authorized), &authorized).await, 401);
    assert_eq!(city.webhook(&signed(&city, b"guess", "evt_a", "not JSON"), "not JSON").await, 401, "nothing is read before the signature");
    assert_eq!(city.webhook(&signed(&city, &secret, "evt_a", &authorized), &captured).await, 401, "another body");
    assert_eq!(city.webhook(&signed(&city, &secret, "evt_x", "not JSON"), "not JSON").await, 422);
    assert_eq!(city.intent_now(id).status, Status::Processing);

    assert_eq!(city.webhook(&signed(&city, &secret, "evt_b", &captured), &captured).await, 200);
    assert_eq!(city.intent_now(id).status, Status::Processing, "captured before authorised waits");
    assert_eq!(city.webhook(&signed(&city, &secret, "evt_a", &authorized), &authorized).await, 200);
    assert_eq!(city.intent_now(id).status, Status::Captured);
    let before = city.happened();
    for (event, body) in [("evt_a", &authorized), ("evt_b", &captured), ("evt_a", &authorized)] {
        assert_eq!(city.webhook(&signed(&city, &secret, event, body), body).await, 200, "a repeat is fine");
    }
    let back = message("evt_c", "charge.voided", &json!({ "intent": id }));
    assert_eq!(city.webhook(&signed(&city, &secret, "evt_c", &back), &back).await, 200, "a way back is taken note of");
    assert_eq!((city.intent_now(id).status, city.happened()), (Status::Captured, before), "and changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_promised_survives_its_crash() {
    let city = City::start_unreached().await;
    let id = city.intent(1, 500, Method::Card).await.expect("cards are on offer").id;
    city.post(PAYER, &format!("/v1/payments/intents/{id}/confirm"), "k", json!({ "token": "tok_ok" })).await;
    assert_eq!(city.charge(id).await["state"], "authorized", "the provider has done it; its webhook has nowhere to go");
    city.crash_provider().await;
    city.reach();
    assert_eq!(city.status_after(id, Status::Processing).await, Status::Authorized);
    city.write(move |tx| intents::capture(tx, id, None)).await.expect("it is authorised");
    assert_eq!(city.status_after(id, Status::Authorized).await, Status::Captured, "and it goes on from there");
}

fn request(amount: i64, token: Option<&str>, refund: Option<&str>) -> Request {
    let amount = Amount { amount, currency: "GHS".to_owned() };
    Request { intent: "int_1".to_owned(), amount, token: token.map(str::to_owned), refund: refund.map(str::to_owned) }
}

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

/// A desk that has handled these, each with a key of its own; the statuses of its answers.
fn play(desk: &mut Desk, asked: &[(Verb, Request)]) -> Vec<u16> {
    asked
        .iter()
        .enumerate()
        .map(|(n, (verb, request))| desk.request(&format!("key {n}"), *verb, request, "http://page", NOW).expect("the disk works").status)
        .collect()
}

#[test]
fn the_desk_has_rules() {
    let ok = || (Verb::Authorize, request(500, Some("tok_ok"), None));
    let undecided = || (Verb::Authorize, request(500, Some("tok_timeout"), None));
    let capture = |amount| (Verb::Capture, request(amount, None, None));
    let void = || (Verb::Void, request(500, None, None));
    let refund = |amount, id| (Verb::Refund, request(amount, None, Some(id)));
    type Case = (&'static str, Vec<(Verb, Request)>, Vec<u16>, usize);
    let cases: [Case; 9] = [
        ("in full", vec![ok(), capture(500), refund(500, "r")], vec![200, 200, 200], 3),
        ("too much", vec![ok(), capture(501), capture(0)], vec![200, 409, 409], 1),
        ("twice", vec![ok(), capture(500), capture(500)], vec![200, 200, 409], 2),
        ("part by part", vec![ok(), capture(300), refund(200, "r"), refund(101, "s"), refund(100, "s")], vec![200, 200, 200, 409, 200], 4),
        ("voided", vec![ok(), void(), capture(500), void()], vec![200, 200, 409, 200], 2),
        ("voided while undecided: the later word is dropped", vec![undecided(), void()], vec![200, 200], 1),
        ("void first", vec![void(), ok(), capture(500)], vec![200, 200, 409], 0),
        ("unknown", vec![capture(500), refund(500, "r")], vec![404, 404], 0),
        ("not captured", vec![ok(), refund(1, "r")], vec![200, 409], 1),
    ];
    for (name, asked, statuses, hooks) in cases {
        let dir = tempfile::tempdir().expect("a folder");
        let mut desk = Desk::open(dir.path()).expect("a new folder");
        assert_eq!(play(&mut desk, &asked), statuses, "{name}");
        assert_eq!(play(&mut desk, &asked), statuses, "{name}: a repeat of the keys");
        assert_eq!(desk.due(NOW.plus_s(3600)).count(), hooks, "{name}: webhooks");
    }
}

#[test]
fn the_desk_remembers_and_forgets_only_what_it_never_answered() {
    let dir = tempfile::tempdir().expect("a folder");
    let asked = [(Verb::Authorize, request(500, Some("tok_requires_action"), None)), (Verb::Capture, request(9, None, None))];
    let mut desk = Desk::open(dir.path()).expect("a new folder");
    assert_eq!(play(&mut desk, &asked), [200, 409]);
    assert_eq!(desk.act("int_1", Act::Approve, NOW).expect("the disk works").status, 200);
    let first = desk.due(NOW).next().cloned().expect("a webhook");
    desk.taken(&first).expect("the disk works");
    let left: Vec<_> = desk.due(NOW).cloned().collect();
    drop(desk);
    let journal = dir.path().join("journal");
    let mut bytes = std::fs::read(&journal).expect("it is there");
    bytes.extend_from_slice(b"0123456789abcdef {\"charge\":{\"inte");
    std::fs::write(&journal, bytes).expect("the disk works");
    for _ in 0..2 {
        let mut desk = Desk::open(dir.path()).expect("a torn last line is no harm");
        assert_eq!(desk.due(NOW).cloned().collect::<Vec<_>>(), left);
        assert_eq!(play(&mut desk, &asked), [200, 409]);
        assert_eq!(desk.due(NOW).count(), left.len(), "a repeat promises nothing new");
    }
}
