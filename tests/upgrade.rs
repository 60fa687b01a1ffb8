//! From release to release: an old folder opens, a newer one is refused with a sentence that helps, and a migration is undone by the snapshot before it.

mod wire;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use medina::app::upgrade::{MIGRATIONS, Migration, upgrade};
use medina::app::{self, AppOptions, inspection};
use medina::engine::{Authorize, Caller, Denied, Engine, EngineOptions, Fault, Question, Tx, Wiring};
use medina::ops::backup::take;
use serde::{Deserialize, Serialize};
use storage::disk::RealDisk;
use storage::upgrade::{KNOWN, format_of, set_format};
use storage::{MachineClock, Options, Read, Row, Store, Table};
use wire::{Town, Wire, send};

const ADMIN: &str = "admin@medina.test";
const PASSWORD: &str = "a-frozen-folder-of-2026";
/// Made by `freeze` with the release in its name, and never again.
const FROZEN: [&str; 1] = ["tests/fixtures/data-0.1.0.tar.gz"];

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note(String);
impl Row for Note {
    const VERSION: u8 = 1;
}
static NOTES: Table<u64, Note> = Table::new(950, "test.notes", &[]);

struct Nobody;
impl Authorize for Nobody {
    fn decide(&self, _: &dyn Read, _: &Caller, _: &Question) -> Result<String, Denied> {
        Err(Denied::Unauthenticated)
    }
}

fn engine(data: &Path) -> Engine {
    let options = EngineOptions::new(Options::with_seed([1; 32]), Arc::new(MachineClock), true);
    Engine::start(Arc::new(RealDisk), &data.join("state"), options, Wiring::new(), Arc::new(Nobody)).expect("it opens")
}

/// Ten notes a step, in capitals.
fn shout(tx: &mut Tx<'_, '_>) -> Result<bool, Fault> {
    let quiet: Vec<(u64, Note)> = NOTES.scan(tx).filter(|(_, note)| note.0 != note.0.to_uppercase()).take(10).collect();
    for (n, note) in &quiet {
        NOTES.put(tx, n, &Note(note.0.to_uppercase()));
    }
    Ok(quiet.len() == 10)
}

fn breaks(tx: &mut Tx<'_, '_>) -> Result<bool, Fault> {
    NOTES.delete(tx, &0);
    Err(Fault::new("the second migration is broken"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_is_commands_after_a_snapshot() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_owned();
    let engine = engine(&data);
    let snapshots = AtomicU64::new(0);
    let snapshot = || async {
        snapshots.fetch_add(1, Ordering::Relaxed);
        take::take(&engine.view(), &data, "sandbox").map(drop)
    };
    // A new folder is born in the newest format: nothing is copied.
    assert_eq!(upgrade(&engine, MIGRATIONS, snapshot()).await, Ok(0));
    assert_eq!((snapshots.load(Ordering::Relaxed), format_of(&*engine.view()).format), (0, KNOWN));
    let noted = engine.write(&Caller::system("test"), "notes", |tx| {
        (0..25).for_each(|n| NOTES.put(tx, &n, &Note(format!("note {n}"))));
        Ok::<(), Fault>(())
    });
    let before = noted.await.expect("it commits").position;
    let migrations = |second| {
        [Migration { to: KNOWN + 1, name: "notes are shouted", step: shout }, Migration { to: KNOWN + 2, name: "a second", step: second }]
    };
    let failed = upgrade(&engine, &migrations(breaks), snapshot()).await.expect_err("it breaks");
    assert!(failed.contains("a second"), "{failed}");
    let view = engine.view();
    assert_eq!(
        (format_of(&*view).format, view.position().seq),
        (KNOWN + 1, before.seq + 3),
        "25 notes are three steps, and the broken one left nothing"
    );
    assert!(NOTES.scan(&*view).all(|(_, note)| note.0.starts_with("NOTE")) && NOTES.has(&*view, &0));
    // The next start goes on where this one stopped.
    assert_eq!(upgrade(&engine, &migrations(shout), snapshot()).await, Ok(1));
    assert_eq!(upgrade(&engine, &migrations(shout), snapshot()).await, Ok(0));
    assert_eq!(snapshots.load(Ordering::Relaxed), 2);
    let first = take::local(&data)[0];
    assert_eq!((first.seq, first.epoch), (before.seq, before.epoch), "the snapshot is of the state before");
    engine.stop();
    drop(engine);
    let refused = Store::open(Arc::new(RealDisk), &data.join("state"), Options::with_seed([1; 32])).err().expect("it is newer");
    let why = refused.to_string();
    assert!(why.contains(&format!("format {}", KNOWN + 2)) && why.contains(&format!("up to {KNOWN}")) && why.contains("restore"), "{why}");
}

fn unpacked(name: &str, into: &Path) -> PathBuf {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let ran = Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(into).status().expect("tar runs");
    assert!(ran.success(), "{name} does not unpack");
    into.join("data")
}

async fn started(data: &Path) -> Result<app::App, app::StartError> {
    app::start(AppOptions { data: Some(data.to_owned()), sandbox: true, ..AppOptions::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_folders_of_earlier_releases_open() {
    for name in FROZEN {
        let folder = tempfile::tempdir().expect("a folder");
        let app = started(&unpacked(name, folder.path())).await.expect("it opens");
        let findings = inspection::inspect(&app.engine().view()).findings;
        assert!(findings.is_empty(), "{name}: {findings:?}");
        let wire = Wire::to(&app.base_url());
        let login = serde_json::json!({ "email": ADMIN, "password": PASSWORD });
        let token = send(wire.ask("POST /v1/auth/login").json(&login)).await.is(200).text("access_token");
        let orders = wire.get(&token, "/v1/orders?limit=10").await.is(200);
        assert_eq!(orders.body["data"].as_array().map(Vec::len), Some(1), "{name}: {}", orders.text);
        let books = wire.get(&token, "/v1/ledger/trial-balance").await.is(200);
        assert_eq!(books.body["currencies"][0]["difference"], 0, "{name}: {}", books.text);
        app.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_a_later_release_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = unpacked(FROZEN[0], folder.path());
    {
        let mut store = Store::open(Arc::new(RealDisk), &data.join("state"), Options::with_seed([1; 32])).expect("it opens");
        store.begin(storage::Clock::now(&MachineClock));
        let Ok(_) = store.run(|txn| {
            set_format(txn, KNOWN + 1, "9.9.9");
            Ok::<(), std::convert::Infallible>(())
        });
        store.commit().expect("the disk is healthy");
    }
    let why = started(&data).await.err().expect("it is refused").to_string();
    assert!(why.contains("9.9.9") && why.contains("that release or a newer one"), "{why}");
}

/// `MEDINA_FREEZE=<folder> cargo test --test upgrade freeze -- --ignored`, then pack it: `tar -czf tests/fixtures/data-<release>.tar.gz data`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "makes the fixture of a release"]
async fn freeze() {
    let folder = PathBuf::from(std::env::var("MEDINA_FREEZE").expect("MEDINA_FREEZE names a folder"));
    let sizes = app::Sizes { segment_mib: 1, ..app::Sizes::default() };
    let options =
        AppOptions { data: Some(folder.join("data")), sandbox: true, admin: Some(ADMIN.to_owned()), sizes, ..AppOptions::default() };
    let app = app::start(options).await.expect("it starts");
    let once = app.admin().expect("one was asked for").password.clone();
    let town = Town::found(Wire::to(&app.base_url()), ADMIN, &once).await;
    let ama = town.customer("+233200000001").await;
    let capture = serde_json::json!({ "capture": "acceptance" });
    town.wire.write(&town.admin.token, &format!("PUT /v1/cities/{}/settings", town.city), &capture).await.is(200);
    let paid = serde_json::json!({ "quote_id": town.quote(&ama).await, "payment_method": "card" });
    let order = town.wire.write(&ama.token, "POST /v1/orders", &paid).await.is(201);
    let confirm = format!("POST /v1/payments/intents/{}/confirm", order.body["payment"]["intent_id"].as_str().expect("an intent"));
    town.wire.write(&ama.token, &confirm, &serde_json::json!({ "token": "tok_ok" })).await.is(200);
    let order = order.text("id");
    let advance = |s: u32| {
        send(town.wire.ask("POST /v1/sandbox/clock/advance").bearer_auth(&town.admin.token).json(&serde_json::json!({ "seconds": s })))
    };
    advance(5).await.is(200);
    let accept = format!("POST /v1/orders/{order}/accept");
    town.wire.write(&town.staff.token, &accept, &serde_json::json!({ "prep_minutes": 10 })).await.is(200);
    advance(5).await.is(200);
    let change = serde_json::json!({ "current": once, "new": PASSWORD });
    send(town.wire.ask("POST /v1/auth/password").bearer_auth(&town.admin.token).json(&change)).await;
    let login = serde_json::json!({ "email": ADMIN, "password": PASSWORD });
    send(town.wire.ask("POST /v1/auth/login").json(&login)).await.is(200);
    app.stop().await;
}
