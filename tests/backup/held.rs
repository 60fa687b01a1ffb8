//! The log behind the newest snapshot is bounded, and the archive is close behind the commits.

use std::path::Path;
use std::time::{Duration, Instant};

use medina::app::control::{self, Ask};
use medina::app::{self, App, AppOptions, Sizes};
use medina::engine::{Caller, Fault};
use medina::ops::backup::{BackupConfig, take};
use storage::archive::Place;
use storage::disk::RealDisk;
use storage::log::LogReader;

use super::city::{ADMIN, found, start};
use super::{folder, to};

/// One command that writes about so many bytes. Returns its sequence number.
async fn written(app: &App, n: u64, bytes: usize) -> u64 {
    let written = app.engine().write(&Caller::system("test"), "test.fill", move |tx| {
        tx.attention("test", &n.to_string(), "x".repeat(bytes), &[]);
        Ok::<(), Fault>(())
    });
    written.await.expect("it is written").seq
}

fn newest(data: &Path) -> Option<Place> {
    take::local(data).last().copied()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_outgrows_its_snapshot_gets_a_new_one() {
    let temporary = tempfile::tempdir().expect("a folder");
    let data = temporary.path().join("data");
    // Nothing is scheduled: only the log's growth can be the reason.
    let backup = BackupConfig { every_minutes: 0, drill_every_hours: 0, ..BackupConfig::default() };
    let sizes = Sizes { segment_mib: 1, log_kept_mib: 1, log_held_mib: 8, fold_mib: 1, recent_mib: 4, ..Sizes::default() };
    let options = AppOptions { data: Some(data.clone()), sandbox: true, backup, sizes, ..AppOptions::default() };
    let app = app::start(options).await.expect("the appliance starts");
    control::ask(&data, &Ask::Snapshot { to: None }).await.expect("it is taken").expect("a server runs");
    let first = newest(&data).expect("one was taken");
    let oldest = || LogReader::oldest(&RealDisk, &data.join("state/log")).expect("readable").expect("a segment");
    // As long as the bound allows, the log after the snapshot stays: it is the way from there to now.
    for n in 0..40 {
        written(&app, n, 100_000).await;
    }
    assert!(oldest() <= first.seq + 1 && newest(&data) == Some(first), "{} {first}", oldest());
    let mut n = 40;
    while newest(&data) == Some(first) {
        // Too little to reach the bound itself before the schedule looks.
        if n < 68 {
            written(&app, n, 100_000).await;
            n += 1;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let second = newest(&data).expect("another one was taken");
    assert!(second.seq > first.seq, "{second} {first}");
    // And with it the older log may go.
    while oldest() <= first.seq + 1 {
        written(&app, n, 100_000).await;
        n += 1;
        assert!(n < 400, "the log before the newer snapshot goes with the next folds");
    }
    assert!(oldest() <= second.seq + 1, "the log after the newer snapshot stays");
    app.stop().await;
}

/// `cargo test --test backup archive_lag -- --ignored --nocapture`: from a commit to its place in the archive. Prints; asserts only that it arrives.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half a minute, and measures"]
async fn archive_lag() {
    let temporary = tempfile::tempdir().expect("a folder");
    let (data, away) = (temporary.path().join("data"), temporary.path().join("away"));
    let app = start(&data, to(&folder(&away))).await;
    let town = found(&app).await;
    super::city::archived(&town, &app, written(&app, 0, 10).await).await;
    let (begun, mut waiting, mut lags) = (Instant::now(), Vec::new(), Vec::new());
    let mut n = 0;
    while begun.elapsed() < Duration::from_secs(20) || !waiting.is_empty() {
        if begun.elapsed() < Duration::from_secs(20) {
            n += 1;
            waiting.push((written(&app, n, 1_000).await, Instant::now()));
        }
        let overview = town.wire.get(&town.admin.token, "/v1/ops/overview").await.is(200);
        let at =
            overview.body["backup"]["archive"]["position"].as_str().and_then(|at| at.split_once('.')?.1.parse::<u64>().ok()).unwrap_or(0);
        lags.extend(waiting.extract_if(.., |(seq, _)| *seq <= at).map(|(_, since)| since.elapsed().as_millis()));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    lags.sort_unstable();
    let at = |per_mille: usize| lags[(lags.len() - 1) * per_mille / 1_000];
    println!(
        "{} commits of {ADMIN}'s town, in the archive after p50 {} ms, p99 {} ms, at most {} ms",
        lags.len(),
        at(500),
        at(990),
        at(1_000)
    );
    app.stop().await;
}
