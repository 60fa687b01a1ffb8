//! A follower that was away for longer than the leader keeps log begins again by itself; what it has stays until the leader's state is whole.

use std::path::Path;

use axum::body::Body;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use storage::ledger::TransferId;

use super::machine::{Machine, Setup, TOKEN};
use super::relay::Relay;
use super::town;
use super::wire::{Town, Wire, try_send};

/// Small segments, and none kept: what a follower has missed is soon gone.
const SMALL: &str = "[storage]\nsegment_mib = 1\nlog_kept_mib = 0\n";

/// Moves money until the leader no longer has the log after `seq`.
async fn until_trimmed(leader: &Machine, town: &Town, seq: u64) -> u64 {
    let http = super::machine::client(None);
    let mut newest = seq;
    for round in 0_u128.. {
        let transfer = |n: u128| {
            let id = TransferId::from_u128(1_000_000 * (round + 1) + n).to_string();
            json!({ "id": id, "debit": format!("5000-{:032x}-GHS", 0), "credit": format!("2400-{:032x}-GHS", 1 + n), "amount": 7 })
        };
        let body = json!({ "transfers": (0..1_500).map(transfer).collect::<Vec<_>>() });
        let done = try_send(town.wire.ask("POST /v1/ledger/transfers").bearer_auth(&town.admin.token).json(&body)).await;
        newest = done.expect("it serves").is(200).seq().1;
        let asked = format!("{}/replication/holds?seq={seq}&hash={}", leader.base, "00".repeat(32));
        let has = http.get(asked).bearer_auth(TOKEN).send().await.expect("it serves").text().await.expect("text");
        if has.contains("trimmed") {
            break;
        }
    }
    newest
}

async fn balance(base: &str, town: &Town, min: u64, epoch: u64) -> serde_json::Value {
    let asked = Wire::to(base).ask("GET /v1/ledger/trial-balance").bearer_auth(&town.admin.token);
    try_send(asked.header("medina-min-seq", format!("{epoch}.{min}"))).await.expect("it serves").is(200).body
}

fn nothing_is_left_behind(data: &Path) {
    for name in ["state.incoming", "set-aside/outdated", "bootstrap.snapshot"] {
        assert!(!data.join(name).exists(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_away_too_long_begins_with_a_snapshot_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut setup = Setup { sections: SMALL.to_owned(), ..Setup::new("local") };
    let line = Relay::to(&setup.places[0].listen).await;
    setup.seen_as[0] = Some(line.url.clone());
    line.mend();
    let (mut a, mut b) = Machine::pair_as(folder.path(), &setup);
    let town = town(&mut a, &mut b, true).await;
    let who = town.customer("+233200000001").await;
    let order = town.order(&who).await;
    balance(&b.base, &town, order.seq().1, 1).await;
    // It lives on, and hears nothing; and once more while it does not live.
    for is_alive in [true, false] {
        let seq = b.figure("medina_seq").await.expect("a figure") as u64;
        if is_alive {
            line.cut();
            b.until("alone", "/readyz", |status, _| status == 503).await;
        } else {
            b.kill();
        }
        let newest = until_trimmed(&a, &town, seq).await;
        if is_alive {
            assert!((b.figure("medina_seq").await.expect("a figure") as u64) < newest, "it serves what it has");
            line.mend();
        } else {
            b.start();
        }
        b.until("level", "/metrics", |_, text| {
            text.lines().find_map(|line| line.strip_prefix("medina_seq ")?.parse::<u64>().ok()) >= Some(newest)
        })
        .await;
        b.until_ready().await;
        assert_eq!(balance(&b.base, &town, newest, 1).await, balance(&a.base, &town, newest, 1).await);
        nothing_is_left_behind(&b.data);
    }
    let verified = b.run(&["verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    assert!(b.set_aside().is_empty(), "it had nothing that the leader has not");
}

/// A leader that promises a snapshot and sends half of one.
async fn half_a_leader(address: &str) -> tokio::task::JoinHandle<()> {
    let status = || async {
        let said = json!({ "node": "a", "role": "leader", "sandbox": true, "leads": true, "epoch": 1, "seq": 9_999_999, "leader": null });
        Json(said)
    };
    let routes = Router::new()
        .route("/replication/status", get(status))
        .route("/replication/holds", get(|| async { Json("trimmed") }))
        .route("/replication/snapshot", get(|| async { Body::from(vec![0x4D; 1_000]) }));
    let listener = tokio::net::TcpListener::bind(address).await.expect("the leader is gone");
    tokio::spawn(async move { axum::serve(listener, routes).await.expect("it serves") })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_state_stays_until_the_new_one_is_whole() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let setup = Setup::new("local");
    let address = setup.places[0].listen.clone();
    let (mut a, mut b) = Machine::pair_as(folder.path(), &setup);
    let town = town(&mut a, &mut b, true).await;
    let who = town.customer("+233200000001").await;
    let order = town.order(&who).await;
    balance(&b.base, &town, order.seq().1, 1).await;
    b.kill();
    a.kill();
    let half = half_a_leader(&address).await;
    b.start();
    assert!(!b.ended(), "what was sent is no snapshot, and it says so");
    half.abort();
    let _ = half.await;
    // A crash between the two renames: what is whole is found.
    std::fs::create_dir_all(b.data.join("set-aside")).expect("made");
    std::fs::remove_dir_all(b.data.join("state.incoming")).unwrap_or_default();
    std::fs::rename(b.data.join("state"), b.data.join("state.incoming")).expect("moved");
    b.start();
    b.until_alive().await;
    balance(&b.base, &town, order.seq().1, 1).await;
    nothing_is_left_behind(&b.data);
    let verified = b.run(&["verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}
