//! Many transfers in one call: all checked before any is written, chains whole, repeats recognised, others' commands in between.

mod wire;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use medina::app::{self, App, AppOptions};
use medina::engine::{Caller, Denied};
use serde_json::{Value, json};
use storage::ledger::{AccountKey, Currency, Step, TransferId, TransferKind, audit};
use wire::{Answer, Wire, send};

const ADMIN: &str = "admin@medina.test";
const EXPENSE: &str = "5000-0-GHS";

async fn open() -> (App, Wire, String) {
    let options = AppOptions { sandbox: true, admin: Some(ADMIN.to_owned()), ..AppOptions::default() };
    let app = app::start(options).await.expect("the appliance starts");
    let wire = Wire::to(&app.base_url());
    let login = json!({ "email": ADMIN, "password": app.admin().expect("one was asked for").password });
    let token = send(wire.ask("POST /v1/auth/login").json(&login)).await.is(200).text("access_token");
    (app, wire, token)
}

fn id(n: u128) -> String {
    TransferId::from_u128(n).to_string()
}

fn wallet(owner: u128) -> String {
    format!("2400-{owner:032x}-GHS")
}

/// From the expense account, which any amount can leave.
fn gift(n: u128, to: u128, amount: u64) -> Value {
    json!({ "id": id(n), "debit": EXPENSE, "credit": wallet(to), "amount": amount })
}

fn pay(n: u128, from: u128, to: u128, amount: u64) -> Value {
    json!({ "id": id(n), "debit": wallet(from), "credit": wallet(to), "amount": amount })
}

// By value: the rows below read better.
#[allow(clippy::needless_pass_by_value)]
fn with(mut value: Value, more: Value) -> Value {
    value.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    value
}

async fn post(wire: &Wire, token: &str, transfers: &[Value]) -> Answer {
    send(wire.ask("POST /v1/ledger/transfers").bearer_auth(token).json(&json!({ "transfers": transfers }))).await
}

async fn post_as(wire: &Wire, token: &str, key: &str, transfers: &[Value]) -> Answer {
    let request = wire.ask("POST /v1/ledger/transfers").bearer_auth(token).header("idempotency-key", key);
    send(request.json(&json!({ "transfers": transfers }))).await
}

async fn balance(wire: &Wire, token: &str, account: &str) -> i64 {
    let accounts = wire.get(token, "/v1/ledger/accounts?limit=100").await.is(200);
    let found = accounts.body["data"].as_array().expect("a list").iter().find(|row| row["id"] == account).cloned();
    found.map_or(0, |row| row["balance"].as_i64().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_transfer_ends_as_it_must() {
    let (app, wire, token) = open().await;
    let linked = || json!({ "linked": true });
    let pending = json!({ "kind": "pending", "timeout_s": 60 });
    let end = |kind: &str, of: u128| json!({ "kind": kind, "pending_id": id(of) });
    // Transfers of one call, and what becomes of them.
    let calls: Vec<(Vec<Value>, Vec<&str>)> = vec![
        (vec![gift(1, 1, 100), gift(2, 2, 50)], vec!["created", "created"]),
        (vec![gift(1, 1, 100), gift(2, 2, 51), gift(3, 3, 1)], vec!["exists", "exists_different", "created"]),
        (
            vec![pay(4, 1, 2, 101), pay(5, 1, 2, 40), pay(6, 7, 7, 1), pay(7, 1, 2, 0)],
            vec!["constraint", "created", "same_account", "zero_amount"],
        ),
        // A chain with a hole is not written, and those beside it are.
        (
            vec![with(pay(10, 1, 2, 10), linked()), with(pay(11, 1, 2, 1_000), linked()), pay(12, 1, 2, 10), pay(13, 1, 2, 10)],
            vec!["linked_refused", "constraint", "linked_refused", "created"],
        ),
        (vec![with(pay(14, 1, 3, 5), linked()), pay(15, 3, 1, 6)], vec!["created", "created"]),
        // Two phases.
        (
            vec![
                with(pay(20, 2, 1, 30), pending.clone()),
                with(pay(21, 2, 1, 30), pending.clone()),
                with(pay(22, 2, 1, 41), pending.clone()),
            ],
            vec!["created", "created", "constraint"],
        ),
        (vec![with(pay(20, 2, 1, 30), pending)], vec!["exists"]),
        (
            vec![
                with(pay(23, 2, 1, 20), end("post", 20)),
                with(pay(24, 2, 1, 0), end("void", 21)),
                with(pay(25, 2, 1, 1), end("post", 21)),
            ],
            vec!["created", "created", "pending_ended"],
        ),
        (vec![with(pay(26, 2, 1, 1), end("post", 77))], vec!["unknown_pending"]),
    ];
    for (transfers, expected) in calls {
        let answer = post(&wire, &token, &transfers).await.is(200);
        assert_eq!(answer.body["results"], json!(expected), "{transfers:?}");
        let count = |word: &str| expected.iter().filter(|result| **result == word).count();
        assert_eq!(answer.body["created"], count("created"));
        assert_eq!(answer.body["refused"], expected.len() - count("created") - count("exists"));
    }
    // 100 − 40 − 10 − 5 + 6 + 20, and what the others have.
    assert_eq!(balance(&wire, &token, &wallet(1)).await, 71);
    assert_eq!(balance(&wire, &token, &wallet(2)).await, 80);
    assert_eq!(balance(&wire, &token, &wallet(3)).await, 0);
    let books = audit(&*app.engine().view());
    assert!(books.is_clean() && books.mismatches.is_empty(), "{books:?}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_if_anything_is_malformed() {
    let (app, wire, token) = open().await;
    let rows = [
        (json!({ "debit": "9999-0-GHS" }), "/transfers/1/debit"),
        (json!({ "credit": "2400-xyz-GHS" }), "/transfers/1/credit"),
        (json!({ "id": "usr_01h455vb4pex5vsknk084sn02q" }), "/transfers/1/id"),
        (json!({ "amount": -1 }), "/transfers/1/amount"),
        (json!({ "amount": 1.5 }), "/transfers/1/amount"),
        (json!({ "kind": "post" }), "/transfers/1/pending_id"),
        (json!({ "pending_id": id(9) }), "/transfers/1/pending_id"),
        (json!({ "timeout_s": 5 }), "/transfers/1/timeout_s"),
        (json!({ "kind": "pending", "timeout_s": 0 }), "/transfers/1/timeout_s"),
        (json!({ "template": 999 }), "/transfers/1/template"),
        (json!({ "subject": "+1" }), "/transfers/1/subject"),
        (json!({ "linked": true }), "/transfers/1/linked"),
        (json!({ "memo": "x" }), "/transfers/1/memo"),
    ];
    for (wrong, pointer) in rows {
        let answer = post(&wire, &token, &[gift(1, 1, 5), with(gift(2, 1, 5), wrong.clone())]).await.is(422);
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{wrong}: {}", answer.text);
    }
    let many: Vec<Value> = (0..8_191).map(|n| gift(n, 1, 1)).collect();
    for (count, pointer) in [(0, "/transfers"), (8_191, "/transfers")] {
        assert_eq!(post(&wire, &token, &many[..count]).await.is(422).body["errors"][0]["pointer"], pointer);
    }
    let big = format!("{{\"transfers\": [{}]}}", " ".repeat(4 << 20));
    let answer = send(wire.ask("POST /v1/ledger/transfers").bearer_auth(&token).body(big)).await;
    assert_eq!((answer.status, answer.code()), (413, "body_too_large"));
    assert_eq!(audit(&*app.engine().view()).transfers, 0);

    // What the product holds, only the product ends.
    let held = |code, owner| AccountKey { code, owner, currency: Currency(*b"GHS") };
    let step = Step {
        id: TransferId::from_u128(70),
        debit: held(5_000, 0),
        credit: held(2_400, 1),
        amount: 9,
        kind: TransferKind::Pending { expires_at: None },
        code: 20,
        subject: 0,
    };
    post(&wire, &token, &[gift(1, 1, 5)]).await.is(200);
    let posted = app.engine().write(&Caller::system("test"), "test", move |tx| {
        assert!(storage::ledger::post(tx, &step).is_ok());
        Ok::<(), Denied>(())
    });
    posted.await.expect("it is held");
    let void =
        with(json!({ "id": id(71), "debit": EXPENSE, "credit": wallet(1), "amount": 9 }), json!({ "kind": "void", "pending_id": id(70) }));
    assert_eq!(post(&wire, &token, &[void]).await.is(200).body["results"], json!(["unknown_pending"]));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_holds_over_all_parts_of_a_call() {
    let (app, wire, token) = open().await;
    let many: Vec<Value> = (1..=300).map(|n| gift(n, n % 9, 1)).collect();
    let first = post_as(&wire, &token, "once", &many).await.is(200);
    assert_eq!((first.body["created"].as_u64(), first.header("idempotency-replayed")), (Some(300), None));
    let again = post_as(&wire, &token, "once", &many).await.is(200);
    assert_eq!((&again.text, again.header("idempotency-replayed")), (&first.text, Some("true")));
    let unkeyed = post(&wire, &token, &many).await.is(200);
    assert_eq!((unkeyed.body["created"].as_u64(), unkeyed.body["existing"].as_u64()), (Some(0), Some(300)));
    let others: Vec<Value> = (1_001..=1_300).map(|n| gift(n, 1, 1)).collect();
    let reused = post_as(&wire, &token, "once", &others).await;
    assert_eq!((reused.status, reused.code()), (422, "idempotency_key_reused"));
    assert_eq!(audit(&*app.engine().view()).transfers, 300, "the reused key posted nothing");
    // All at once: one of them posts, and all say the same.
    let calls = (0..6).map(|_| post_as(&wire, &token, "together", &others));
    let answers: Vec<Answer> = futures_util::future::join_all(calls).await;
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.text == answers[0].text), "{answers:?}");
    assert_eq!(audit(&*app.engine().view()).transfers, 600);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn others_run_in_between_unless_it_is_one_chain() {
    let (app, wire, token) = open().await;
    let last = |answer: &Answer| answer.seq().1;
    let most = 8_190;
    let loose: Vec<Value> = (1..=most).map(|n| gift(n, n % 9, 1)).collect();
    let chain: Vec<Value> = (1..=most).map(|n| with(gift(10_000 + n, n % 9, 1), json!({ "linked": n < most }))).collect();
    for (transfers, lets_others_in) in [(loose, true), (chain, false)] {
        let before = app.engine().view().position().seq;
        let done = Arc::new(AtomicBool::new(false));
        let others = {
            let (wire, token, done) = (wire.clone(), token.clone(), done.clone());
            tokio::spawn(async move {
                let mut seqs = BTreeSet::new();
                let mut n = 0;
                while !done.load(Ordering::Relaxed) {
                    n += 1;
                    let named = wire.write(&token, "PATCH /v1/me", &json!({ "name": format!("Root {n}") })).await.is(200);
                    seqs.insert(last(&named));
                }
                seqs
            })
        };
        let answer = post(&wire, &token, &transfers).await.is(200);
        done.store(true, Ordering::Relaxed);
        assert_eq!(answer.body["created"].as_u64(), Some(most as u64));
        let others = others.await.expect("the other client ends well");
        let own = storage_events(&app, before);
        assert_eq!(*own.last().expect("it posted"), last(&answer));
        let between = others.range(own[0]..=last(&answer)).count();
        if lets_others_in {
            assert!(own.len() > 100 && between > 0, "{} commands, {between} others in between", own.len());
        } else {
            assert_eq!(own.len(), 1, "a chain is one command");
        }
    }
    assert!(audit(&*app.engine().view()).is_clean());
    app.stop().await;
}

/// The sequence numbers of commands that posted from outside.
fn storage_events(app: &App, after: u64) -> Vec<u64> {
    let view = app.engine().view();
    let events = medina::engine::event::EVENTS.scan(&*view).filter(|(_, event)| event.name == "LedgerTransfersPosted");
    events.map(|((seq, _), _)| seq).filter(|seq| *seq > after).collect()
}
