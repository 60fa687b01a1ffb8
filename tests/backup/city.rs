//! A whole appliance, copied while it serves.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use medina::app::control::{self, Ask};
use medina::app::{self, App, AppOptions};
use medina::engine::effect::OUTBOX;
use medina::ops::backup::BackupConfig;
use medina::ops::backup::config::S3;
use serde_json::{Value, json};
use storage::archive::Goal;
use storage::disk::RealDisk;
use storage::log::LogReader;
use storage::{Hash, Position, changes};

use super::wire::{Person, Town, Wire, send};
use super::{folder, restored, to};

pub const ADMIN: &str = "admin@medina.test";
const BINARY: &str = env!("CARGO_BIN_EXE_medina");

pub async fn start(data: &Path, backup: BackupConfig) -> App {
    let options = AppOptions { data: Some(data.to_owned()), sandbox: true, admin: Some(ADMIN.to_owned()), backup, ..AppOptions::default() };
    app::start(options).await.expect("the appliance starts")
}

pub async fn found(app: &App) -> Town {
    let password = app.admin().expect("one was asked for").password.clone();
    Town::found(Wire::to(&app.base_url()), ADMIN, &password).await
}

/// Where the state stands, and its digest, of one picture.
pub fn mark(app: &App) -> (Position, Hash) {
    let view = app.engine().view();
    (view.position(), view.digest())
}

/// Waits until the archive has everything up to `seq`.
pub async fn archived(town: &Town, app: &App, seq: u64) {
    loop {
        let overview = town.wire.get(&town.admin.token, "/v1/ops/overview").await.is(200);
        let at = overview.body["backup"]["archive"]["position"].as_str().and_then(|at| at.split_once('.')?.1.parse::<u64>().ok());
        if at.is_some_and(|at| at >= seq) {
            return;
        }
        assert!(app.engine().queue_depth() < 1_000);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Orders and pays by card.
async fn pay(town: &Town, who: &Person) {
    let quote = town.quote(who).await;
    let order = town.wire.write(&who.token, "POST /v1/orders", &json!({ "quote_id": quote, "payment_method": "card" })).await.is(201);
    let intent = order.body["payment"]["intent_id"].as_str().expect("an intent").to_owned();
    let confirm = format!("POST /v1/payments/intents/{intent}/confirm");
    town.wire.write(&who.token, &confirm, &json!({ "token": "tok_ok" })).await.is(200);
}

/// The newest command that wrote an effect: then the provider had yet to be asked.
fn asked(data: &Path, first: u64) -> u64 {
    let mut log = LogReader::open(Arc::new(RealDisk), &data.join("state/log"), first).expect("the log is there");
    let mut found = None;
    while let Some(record) = log.next().expect("a healthy log") {
        for (seq, changes) in (record.first_seq..).zip(changes::decode(&record.body, record.count).expect("changes")) {
            if changes.iter().any(|(key, change)| key.starts_with(&OUTBOX.id.to_be_bytes()) && change.is_some()) {
                found = Some(seq);
            }
        }
    }
    found.expect("an effect was written")
}

async fn outbox(town: &Town) -> Value {
    town.wire.get(&town.admin.token, "/v1/ops/overview").await.is(200).body["outbox"].clone()
}

pub async fn advance(town: &Town, seconds: u64) {
    let ask = town.wire.ask("POST /v1/sandbox/clock/advance").bearer_auth(&town.admin.token);
    send(ask.json(&json!({ "seconds": seconds }))).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_moment_can_be_restored_and_a_copy_sends_nothing() {
    let temporary = tempfile::tempdir().expect("a folder");
    let (data, away) = (temporary.path().join("data"), temporary.path().join("away"));
    let app = start(&data, to(&folder(&away))).await;
    let town = found(&app).await;
    let ama = town.customer("+233200000001").await;
    // The first copy has been taken: nothing before it can be brought back.
    archived(&town, &app, mark(&app).0.seq).await;
    let mut marks = vec![mark(&app)];
    for n in 0..6 {
        town.order(&ama).await;
        marks.push(mark(&app));
        if n == 2 {
            archived(&town, &app, marks[3].0.seq).await;
        }
    }
    pay(&town, &ama).await;
    advance(&town, 5).await;
    let end = mark(&app).0.seq;
    archived(&town, &app, end).await;
    // A snapshot while it serves, through the socket as the command line asks for it.
    let made = Command::new(BINARY).args(["snapshot", "--json", "--data"]).arg(&data).output().expect("it runs");
    let made: Value = serde_json::from_slice(&made.stdout).unwrap_or_else(|_| panic!("{made:?}"));
    assert!(made["sent_bytes"].as_u64() > Some(0) && made["sent_to"] == json!(folder(&away)), "{made}");
    town.order(&ama).await;
    let figures = town.wire.get(&town.admin.token, "/metrics").await.is(200).text;
    assert!(figures.contains("medina_archive_lag_seconds ") && figures.contains("medina_snapshot_bytes "), "{figures}");
    let last = {
        let engine = app.engine().clone();
        app.stop().await;
        (engine.view().position(), engine.view().digest())
    };

    // What was there at each moment, by sequence number; the newest without one.
    let goal = |seq: Option<u64>| Goal { seq, ..Goal::default() };
    for (n, (position, digest)) in marks.iter().chain([&last]).enumerate() {
        let goal = if *position == last.0 { goal(None) } else { goal(Some(position.seq)) };
        let copy = temporary.path().join(format!("copy-{n}"));
        let done = restored(&folder(&away), S3::default(), None, goal, &copy, &data).await.expect("it restores");
        assert_eq!((done.position, done.digest), (format!("{}.{}", position.epoch, position.seq), digest.to_string()), "mark {n}");
        assert_eq!(done.epoch, Some(2));
    }
    at_a_time(temporary.path(), &data, &away, marks[2].0).await;

    // The same from the data folder alone: its snapshot, then its own log, to the last commit.
    let copy = temporary.path().join("from-data");
    let done = restored(&folder(&data), S3::default(), None, Goal::default(), &copy, &data).await.expect("it restores");
    assert_eq!(done.digest, last.1.to_string());
    let beyond = restored(&folder(&away), S3::default(), None, goal(Some(last.0.seq + 1)), &temporary.path().join("no"), &data).await;
    assert!(beyond.as_ref().is_err_and(|why| why.contains("leads only to")), "{beyond:?}");

    let unsent = asked(&data, marks[0].0.seq + 1);
    // A copy of the moment when a payment had been asked for and not been sent.
    let copy = temporary.path().join("unsent");
    restored(&folder(&away), S3::default(), None, goal(Some(unsent)), &copy, &data).await.expect("it restores");
    let app = start(&copy, BackupConfig::default()).await;
    paused_until_released(&copy, &app, town, &ama).await;
    app.stop().await;
}

/// A restore to a time ends with the last record that is not later.
async fn at_a_time(temporary: &Path, data: &Path, away: &Path, mark: Position) {
    let copy = temporary.join("at-a-time");
    let goal = Goal { time: Some(mark.time), ..Goal::default() };
    let done = restored(&folder(away), S3::default(), None, goal, &copy, data).await.expect("it restores");
    let seq: u64 = done.position.split_once('.').and_then(|(_, seq)| seq.parse().ok()).expect("a position");
    let mut log = LogReader::open(Arc::new(RealDisk), &data.join("state/log"), seq).expect("the log is there");
    let here = log.next().expect("a healthy log").expect("a record");
    let after = log.next().expect("a healthy log").expect("a later record");
    assert!(here.last_seq() == seq && here.time <= mark.time && after.time > mark.time, "{here:?} {after:?}");
}

async fn paused_until_released(data: &Path, app: &App, town: Town, ama: &Person) {
    let mut town = town;
    town.wire.base = app.base_url();
    let password = app.admin().expect("one was asked for").password.clone();
    let login = json!({ "email": ADMIN, "password": password });
    town.admin.token = send(town.wire.ask("POST /v1/auth/login").json(&login)).await.is(200).text("access_token");
    let waits = outbox(&town).await;
    assert!(waits["pending"].as_u64() > Some(0) && waits["paused_since"].is_string(), "{waits}");
    advance(&town, 600).await;
    assert_eq!(outbox(&town).await, waits, "nothing has left");
    let attention = town.wire.get(&town.admin.token, "/v1/ops/attention").await.is(200);
    assert!(attention.text.contains("outbox_paused") && attention.text.contains("outbox/release"), "{}", attention.text);
    assert_eq!(town.order(ama).await.seq().0, 2, "the copy's history is its own");
    let released = Command::new(BINARY).args(["outbox", "release", "--data"]).arg(data).output().expect("it runs");
    assert!(released.status.success(), "{released:?}");
    advance(&town, 5).await;
    let sent = outbox(&town).await;
    assert!(sent["pending"] == 0 && sent["paused_since"].is_null(), "{sent}");
    town.wire.write(&town.admin.token, "POST /v1/ops/outbox/release", &json!({})).await.is(409);
    let attention = town.wire.get(&town.admin.token, "/v1/ops/attention").await.is(200);
    assert!(!attention.text.contains("outbox_paused"), "{}", attention.text);
}

/// A restored copy goes on in the same archive: its history begins with a snapshot of its own, and the old one stays restorable.
#[tokio::test(flavor = "multi_thread")]
async fn two_histories_share_an_archive() {
    let temporary = tempfile::tempdir().expect("a folder");
    let (data, away) = (temporary.path().join("data"), temporary.path().join("away"));
    let app = start(&data, to(&folder(&away))).await;
    let town = found(&app).await;
    let ama = town.customer("+233200000001").await;
    let fork = mark(&app).0.seq;
    archived(&town, &app, fork).await;
    town.order(&ama).await;
    let fork = mark(&app).0.seq;
    for _ in 0..4 {
        town.order(&ama).await;
    }
    let engine = app.engine().clone();
    app.stop().await;
    let old = (engine.view().position(), engine.view().digest());
    drop(engine);
    let copy = temporary.path().join("copy");
    let goal = Goal { seq: Some(fork), ..Goal::default() };
    restored(&folder(&away), S3::default(), None, goal, &copy, &data).await.expect("it restores");
    let app = start(&copy, to(&folder(&away))).await;
    let engine = app.engine().clone();
    app.stop().await;
    let new = (engine.view().position(), engine.view().digest());
    assert!(new.0.epoch == 2 && new.0.seq < old.0.seq, "{new:?} {old:?}");
    for (goal, (position, digest)) in [(Goal::default(), new), (Goal { epoch: Some(1), ..Goal::default() }, old)] {
        let copy = temporary.path().join(format!("again-{}", position.epoch));
        let done = restored(&folder(&away), S3::default(), None, goal, &copy, &data).await.expect("it restores");
        assert_eq!((done.digest, done.epoch), (digest.to_string(), Some(3)), "{goal:?}");
    }
}

/// `medina restore --verify`: clean on a good copy, and not on one with a byte turned over.
#[tokio::test(flavor = "multi_thread")]
async fn a_drill_proves_a_copy_or_says_what_is_wrong() {
    let temporary = tempfile::tempdir().expect("a folder");
    let (data, away) = (temporary.path().join("data"), temporary.path().join("away"));
    let app = start(&data, to(&folder(&away))).await;
    let town = found(&app).await;
    let ama = town.customer("+233200000001").await;
    archived(&town, &app, mark(&app).0.seq).await;
    town.order(&ama).await;
    // The running server's own drill, beside its work.
    let drilled = control::ask(&data, &Ask::RestoreDrill).await.expect("it restores").expect("a server runs");
    assert_eq!(drilled["findings"], json!([]), "{drilled}");
    let overview = town.wire.get(&town.admin.token, "/v1/ops/overview").await.is(200);
    assert_eq!(overview.body["backup"]["drill"]["ok"], true, "{}", overview.text);
    assert!(town.wire.get("", "/metrics").await.is(200).text.contains("medina_restore_drill_ok 1"));
    assert!(!data.join("drill").exists(), "nothing is left");
    app.stop().await;
    let verify = |scratch: PathBuf| {
        let mut command = Command::new(BINARY);
        command.args(["restore", "--verify", "--json", "--from"]).arg(&away).arg("--scratch").arg(scratch);
        command.output().expect("it runs")
    };
    let scratch = temporary.path().join("scratch");
    std::fs::create_dir(&scratch).expect("made");
    let good = verify(scratch.clone());
    let said: Value = serde_json::from_slice(&good.stdout).unwrap_or_else(|_| panic!("{good:?}"));
    assert!(good.status.success() && said["findings"] == json!([]) && said["records"].as_u64() > Some(0), "{said}");
    assert_eq!(std::fs::read_dir(&scratch).expect("there").count(), 0, "nothing is left");
    for file in pieces(&away.join("log")).into_iter().chain(pieces(&away.join("snapshots"))) {
        let whole = std::fs::read(&file).expect("there");
        let mut bytes = whole.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, &bytes).expect("written");
        // In a manifest, a byte in the middle may be one of the release's name: harmless, and then not found.
        let bad = verify(scratch.clone());
        assert!(!bad.status.success() || file.ends_with("manifest.json"), "{}: {bad:?}", file.display());
        std::fs::write(&file, whole).expect("written");
    }
}

fn pieces(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("there").filter_map(Result::ok) {
        if entry.path().is_dir() { files.extend(pieces(&entry.path())) } else { files.push(entry.path()) }
    }
    files.sort();
    files.truncate(6);
    files
}
