//! Who was erased after the copies were made stays erased in whatever is restored from them, also with an old copy of the keys.

use std::path::Path;

use medina::engine::{Caller, Fault, UserId};
use medina::money::books::chart::{self, Code};
use medina::ops::backup::config::S3;
use medina::ops::backup::restore::restore;
use medina::ops::backup::{BackupConfig, Destination};
use medina::people::users::{self, USERS};
use serde_json::json;
use storage::archive::Goal;
use storage::ledger::{self, Step, TransferId, TransferKind};

use super::city::{advance, archived, found, mark, start};
use super::wire::{Town, Wire};
use super::{blocking, folder, restored, to};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("it is there").filter_map(Result::ok) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_erased_stay_erased_in_a_restored_copy() {
    let temporary = tempfile::tempdir().expect("a folder");
    let (data, away, old) = (temporary.path().join("data"), temporary.path().join("away"), temporary.path().join("old"));
    let app = start(&data, to(&folder(&away))).await;
    let town = found(&app).await;
    let (ama, kofi) = (town.customer("+233200000001").await, town.customer("+233200000002").await);
    // The first copy has been taken: nothing before it can be brought back.
    archived(&town, &app, mark(&app).0.seq).await;
    let before = mark(&app).0.seq;
    archived(&town, &app, before).await;
    copy(&data.join("keys"), &old.join("keys"));
    let slot = |id: &str| USERS.get(&*app.engine().view(), &id.parse().expect("an id")).expect("known").slot;
    let (gone, kept) = (slot(&ama.id), slot(&kofi.id));
    app.keyring().erase(gone).expect("erased");
    // Somebody of whom the copies know nothing.
    let late = slot(&town.customer("+233200000003").await.id);
    app.keyring().erase(late).expect("erased");
    // The list is beside the archive and beside the data, without a snapshot and without a commit.
    let name = format!("erased/{:032x}/{gone}", app.keyring().id());
    let other = format!("erased/{:032x}/{late}", app.keyring().id());
    while ![&name, &other].iter().all(|name| away.join(name).exists() && data.join(name).exists()) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    app.stop().await;
    // To a moment before the erasure, with the keys of before.
    let goal = Goal { seq: Some(before), ..Goal::default() };
    let (by_flag, by_hand) = (temporary.path().join("by-flag"), temporary.path().join("by-hand"));
    let done = restored(&folder(&away), S3::default(), None, goal, &by_flag, &old).await.expect("it restores");
    assert_eq!(done.erased_again, 2);
    let (from, into) = (folder(&away), by_hand.clone());
    let done = blocking(move |runtime| {
        let from = Destination::open(&from, &S3::default(), false, runtime)?;
        restore(&from, &into, goal, None, &|_, _| ())
    });
    assert!(!done.await.expect("it restores").keys);
    copy(&old.join("keys"), &by_hand.join("keys"));
    for copy in [by_flag, by_hand] {
        let app = start(&copy, BackupConfig::default()).await;
        let erased = app.keyring().erased().expect("read");
        assert!(erased.contains(&gone) && !erased.contains(&kept), "{}: {erased:?}", copy.display());
        // The next person gets a key that is there, although the one of before had the slot after the copy's last.
        let next = Town { wire: Wire::to(&app.base_url()), ..town.clone() }.customer("+233200000009").await;
        let view = app.engine().view();
        let id = next.id.parse().expect("an id");
        assert!(!erased.contains(&USERS.get(&*view, &id).expect("signed up").slot));
        assert_eq!(users::contact(&*view, id).phone.as_deref(), Some("+233200000009"));
        drop(view);
        app.stop().await;
    }
}

const TWO_WEEKS_S: u64 = 14 * 86_400;

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_to_be_forgotten_is_and_money_and_orders_stay() {
    let temporary = tempfile::tempdir().expect("a folder");
    let (data, away, copied) = (temporary.path().join("data"), temporary.path().join("away"), temporary.path().join("copy"));
    let app = start(&data, to(&folder(&away))).await;
    let town = found(&app).await;
    let (phone, ama) = ("+233200000001", town.customer("+233200000001").await);
    town.wire.write(&ama.token, "PATCH /v1/me", &json!({ "name": "Ama Mensah" })).await.is(200);
    let order = town.order(&ama).await.text("id");
    let accept = format!("POST /v1/orders/{order}/accept");
    town.wire.write(&town.staff.token, &accept, &json!({ "prep_minutes": 10 })).await.is(200);
    // The first copy has been taken: nothing before it can be brought back.
    archived(&town, &app, mark(&app).0.seq).await;
    let before = mark(&app).0.seq;
    archived(&town, &app, before).await;
    // Asked for, thought over, asked for again; nobody else's but an administrator's to say.
    let none = json!({});
    let asked = town.wire.write(&ama.token, "POST /v1/me/erasure", &none).await.is(200);
    assert_eq!(town.wire.get(&ama.token, "/v1/me").await.text("erases_at"), asked.text("erases_at"));
    assert_eq!(town.wire.write(&ama.token, "POST /v1/me/erasure", &none).await.is(409).code(), "erasure_asked");
    town.wire.write(&ama.token, "DELETE /v1/me/erasure", &none).await.is(204);
    assert_eq!(town.wire.write(&ama.token, "DELETE /v1/me/erasure", &none).await.is(409).code(), "erasure_not_asked");
    let by_others = format!("POST /v1/users/{}/erasure", ama.id);
    town.wire.write(&town.staff.token, &by_others, &none).await.is(403);
    let admins = format!("POST /v1/users/{}/erasure", town.admin.id);
    assert_eq!(town.wire.write(&town.admin.token, &admins, &none).await.is(409).code(), "last_admin");
    town.wire.write(&town.admin.token, &by_others, &none).await.is(200);
    let id: UserId = ama.id.parse().expect("an id");
    // What the house owes her is hers.
    let pay = async |number: u128, from: (Code, u128), to: (Code, u128)| {
        let paid = app.engine().write(&Caller::system("test"), "test", move |tx| {
            let mut account = |(code, owner)| chart::account(tx, code, owner, "GHS".parse().expect("a currency"));
            let (debit, credit) = (account(from), account(to));
            let step =
                Step { id: TransferId::from_u128(number), debit, credit, amount: 500, kind: TransferKind::Single, code: 1, subject: 0 };
            ledger::post(tx, &step).map(drop).map_err(|refusal| Fault::new(format!("{refusal:?}")))
        });
        assert!(paid.await.is_ok());
    };
    let (house, hers) = ((Code::Promotions, 0), (Code::Wallet, id.as_u128()));
    pay(1, house, hers).await;
    let contact = || users::contact(&*app.engine().view(), id);
    // Dinner first.
    advance(&town, TWO_WEEKS_S).await;
    let listed = town.wire.get(&town.admin.token, "/v1/ops/attention").await.is(200).text;
    assert!(listed.contains("erasure_postponed") && listed.contains("1 orders under way"), "{listed}");
    assert!(listed.contains("money stands on wallet"), "{listed}");
    pay(2, hers, house).await;
    assert_eq!(contact().name.as_deref(), Some("Ama Mensah"));
    let cancel = format!("POST /v1/orders/{order}/cancel");
    town.wire.write(&town.admin.token, &cancel, &json!({ "reason": "nobody cooks it" })).await.is(200);
    advance(&town, 86_400).await;
    assert_eq!(contact(), users::Contact::default());
    assert!(USERS.get(&*app.engine().view(), &id).expect("the row stays").is_forgotten());
    assert_eq!(town.wire.get(&ama.token, "/v1/me").await.status, 401, "the sign-in went with them");
    let kept = town.wire.get(&town.admin.token, &format!("/v1/orders/{order}")).await.is(200);
    assert_eq!(kept.text("customer_id"), ama.id);
    assert!(!kept.text.contains("Blue gate") && !kept.text.contains("Ama") && !kept.text.contains(phone), "{}", kept.text);
    let books = town.wire.get(&town.admin.token, "/v1/ledger/trial-balance").await.is(200);
    assert!(books.body["currencies"].as_array().expect("a list").iter().all(|row| row["difference"] == 0), "{}", books.text);
    let listed = town.wire.get(&town.admin.token, "/v1/ops/attention").await.is(200).text;
    assert!(!listed.contains("erasure_postponed"), "{listed}");
    // The same phone is somebody new.
    assert_ne!(town.customer(phone).await.id, ama.id);
    let slot = USERS.get(&*app.engine().view(), &id).expect("the row stays").slot;
    let name = format!("erased/{:032x}/{slot}", app.keyring().id());
    while !away.join(&name).exists() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    app.stop().await;
    // A copy of before: the row found them, and finds them no more.
    let goal = Goal { seq: Some(before), ..Goal::default() };
    restored(&folder(&away), S3::default(), None, goal, &copied, &data).await.expect("it restores");
    let app = start(&copied, BackupConfig::default()).await;
    let view = app.engine().view();
    assert!(USERS.get(&*view, &id).expect("the row is there").is_forgotten(), "emptied again");
    assert_eq!(users::contact(&*view, id), users::Contact::default());
    drop(view);
    app.stop().await;
}
