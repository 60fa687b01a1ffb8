//! What an operator sees: idle is not lagging, lagging is not silent, and what is over goes off the list.

use super::machine::{Machine, Setup};
use super::wire::{Town, Wire};
use super::{ADMIN, town};

const LAG_S: &str = "medina_replication_lag_seconds{node=\"b\"}";
const LAG_RECORDS: &str = "medina_replication_lag_records{node=\"b\"}";
const LAG_BYTES: &str = "medina_replication_lag_bytes{node=\"b\"}";
const CONNECTED: &str = "medina_replication_connected{node=\"b\"}";
const HEARD_S: &str = "medina_replication_heard_seconds{node=\"b\"}";

/// Waits until the operators' list has, or has no longer, a row of this kind.
async fn listed(town: &Town, base: &str, kind: &str, is_listed: bool) {
    let wire = Wire::to(base);
    loop {
        let list = wire.get(&town.admin.token, "/v1/ops/attention").await.is(200);
        let rows = list.body["data"].as_array().expect("a list");
        if rows.iter().any(|row| row["kind"] == kind) == is_listed {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_lagging_and_silent_look_different_and_are_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let setup = Setup { replication: "follower_silent_s = 2\n".to_owned(), ..Setup::new("local") };
    let (mut a, mut b) = Machine::pair_as(folder.path(), &setup);
    let town = town(&mut a, &mut b, true).await;
    let who = town.customer("+233200000001").await;
    town.order(&who).await;
    // Idle: nothing is missing, and the follower is heard.
    for machine in [&a, &b] {
        machine.until_figure(LAG_RECORDS, |records| records == 0.0).await;
        machine.until_figure(LAG_S, |seconds| seconds == 0.0).await;
        machine.until_figure(CONNECTED, |connected| connected == 1.0).await;
        machine.until_figure(HEARD_S, |seconds| seconds < 2.0).await;
        assert_eq!(machine.figure("medina_replication_epoch").await, Some(1.0), "{}", machine.name);
    }
    // The follower stands still: at first it lags, then it is silent.
    b.signal(libc::SIGSTOP);
    let before = a.figure("medina_seq").await.expect("a figure");
    let order = town.order(&who).await;
    a.until_figure(LAG_RECORDS, |records| records >= order.seq().1 as f64 - before).await;
    a.until_figure(LAG_BYTES, |bytes| bytes > 0.0).await;
    listed(&town, &a.base, "follower_silent", true).await;
    a.until_figure(LAG_S, |seconds| seconds > 2.0).await;
    a.until_figure(HEARD_S, |seconds| seconds > 2.0).await;
    let overview = town.wire.get(&town.admin.token, "/v1/ops/overview").await.is(200);
    assert_eq!(overview.body["replication"]["silent"], serde_json::json!(["b"]), "{}", overview.text);
    b.signal(libc::SIGCONT);
    listed(&town, &a.base, "follower_silent", false).await;
    for (figure, limit) in [(LAG_RECORDS, 0.0), (LAG_S, 0.0), (LAG_BYTES, 0.0)] {
        a.until_figure(figure, |value| value <= limit).await;
    }
    // The leader stands still: the follower knows that it knows nothing.
    a.signal(libc::SIGSTOP);
    b.until_figure(CONNECTED, |connected| connected == 0.0).await;
    b.until_figure(LAG_S, |seconds| seconds > 0.0).await;
    b.until("without a leader", "/readyz", |status, text| status == 503 && text.contains("no leader")).await;
    a.signal(libc::SIGCONT);
    b.until_ready().await;
    b.until_figure(LAG_S, |seconds| seconds == 0.0).await;
    // It is gone: the list says so again, also after the leader's restart, and nothing stands there for ever.
    b.kill();
    listed(&town, &a.base, "follower_silent", true).await;
    a.until_figure(CONNECTED, |connected| connected == 0.0).await;
    a.kill();
    a.start();
    a.until_ready().await;
    b.start();
    b.until_ready().await;
    let town = Town { admin: signed_in(&a).await, ..town };
    listed(&town, &a.base, "follower_silent", false).await;
}

async fn signed_in(machine: &Machine) -> super::wire::Person {
    let made = machine.run(&["admin", "create", "--json", "--email", ADMIN]);
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap_or_else(|_| panic!("{made:?}"));
    let login = serde_json::json!({ "email": ADMIN, "password": made["password"] });
    let session = super::wire::send(Wire::to(&machine.base).ask("POST /v1/auth/login").json(&login)).await.is(200);
    super::wire::Person { id: String::new(), token: session.text("access_token"), refresh: session.text("refresh_token") }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_degraded_leader_is_on_the_list_until_it_is_not() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut a, mut b) = Machine::pair(folder.path(), "follower-or-degrade");
    let town = town(&mut a, &mut b, false).await;
    let who = town.customer("+233200000001").await;
    assert_eq!(town.order(&who).await.header("medina-durability"), Some("local"));
    listed(&town, &a.base, "replication_degraded", true).await;
    b.start();
    b.until_ready().await;
    listed(&town, &a.base, "replication_degraded", false).await;
    assert_eq!(town.order(&who).await.header("medina-durability"), None, "the follower has it");
}
