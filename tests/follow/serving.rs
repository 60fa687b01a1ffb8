//! A follower serves: live topics and the event stream as things happen on the leader, the search, and snapshots of its own.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use medina::app::{self, AppOptions};
use medina::engine::{Ack, AckOptions};
use medina::ops::backup::BackupConfig;
use medina::ops::backup::rebuild::rebuild;
use medina::ops::backup::time::Time;
use medina::ops::backup::{Destination, take};
use medina::replication::{ReplicationOptions, Role};
use serde_json::{Value, json};
use storage::archive::Goal;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::machine::Machine;
use super::town;
use super::wire::{Answer, Town, Wire, send, try_send};

/// A read of the follower's that waits for what a write on the leader did.
async fn read(b: &Wire, token: &str, path: &str, after: &Answer) -> Answer {
    let (epoch, seq) = after.seq();
    try_send(b.ask(&format!("GET {path}")).bearer_auth(token).header("medina-min-seq", format!("{epoch}.{seq}"))).await.expect("it serves")
}

#[tokio::test(flavor = "multi_thread")]
async fn live_topics_and_the_search_are_served_while_following() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut a, mut b) = Machine::pair(folder.path(), "local");
    let town = town(&mut a, &mut b, true).await;
    let who = town.customer("+233200000001").await;
    let order = town.order(&who).await;
    let id = order.text("id");
    let there = Wire::to(&b.base);
    read(&there, &who.token, &format!("/v1/orders/{id}"), &order).await.is(200);

    // A WebSocket and an event stream at the follower; then something happens at the leader.
    let (mut line, _) = connect_async(format!("{}/v1/live", b.base.replacen("http", "ws", 1))).await.expect("a WebSocket");
    let said = [json!({ "type": "auth", "token": who.token }), json!({ "type": "subscribe", "topic": format!("order:{id}") })];
    for message in said {
        line.send(Message::text(message.to_string())).await.expect("the line stands");
    }
    let asked = there.ask(&format!("GET /v1/live?topic=order:{id}")).bearer_auth(&who.token).header("accept", "text/event-stream");
    let mut stream = asked.send().await.expect("a stream").error_for_status().expect("allowed").bytes_stream();
    let accept = format!("POST /v1/orders/{id}/accept");
    let accepted = town.wire.write(&town.staff.token, &accept, &json!({ "prep_minutes": 30 })).await.is(200);
    let frame = loop {
        let message = line.next().await.expect("the line stands").expect("a message");
        let Ok(text) = message.to_text() else { continue };
        let Ok(heard) = serde_json::from_str::<Value>(text) else { continue };
        assert_ne!(heard["type"], "error", "{heard}");
        if heard["type"] == "event" {
            break heard;
        }
    };
    assert_eq!(frame["seq"].as_u64(), Some(accepted.seq().1), "{frame}");
    let mut text = String::new();
    while !text.contains(&format!("{}.{}\n", accepted.seq().0, accepted.seq().1)) {
        let bytes = stream.next().await.expect("the stream stands").expect("bytes");
        text.push_str(std::str::from_utf8(&bytes).expect("text"));
    }

    // What is added at the leader is found at the follower.
    let dish = json!({ "name": "Kelewele", "price": { "amount": 900, "currency": "GHS" } });
    let made = town.wire.write(&town.staff.token, &format!("POST /v1/merchants/{}/items", town.merchant), &dish).await.is(201);
    let found = read(&there, &who.token, "/v1/search?q=kelewele&kind=item", &made).await.is(200);
    assert_eq!(found.body["data"][0]["id"], made.text("id"), "{}", found.text);

    // The lines at the follower break with the leader's end and go on after the promotion where they were.
    a.kill();
    let promoted = b.run(&["promote", "--lose-tail"]);
    assert!(promoted.status.success(), "{}", String::from_utf8_lossy(&promoted.stderr));
    b.until_ready().await;
    let again = there.ask(&format!("GET /v1/live?topic=order:{id}")).bearer_auth(&who.token);
    let again = again.header("last-event-id", format!("{}.{}", order.seq().0, order.seq().1));
    let mut stream = again.send().await.expect("a stream").error_for_status().expect("the same history").bytes_stream();
    let mut text = String::new();
    // Told in the new epoch: the same place in the history.
    while !text.contains(&format!(".{}\n", accepted.seq().1)) {
        let bytes = stream.next().await.expect("the stream stands").expect("bytes");
        text.push_str(std::str::from_utf8(&bytes).expect("text"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_takes_snapshots_of_its_own_on_time_and_proves_them() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut a, b) = Machine::pair(folder.path(), "local");
    let mut none = b;
    let town: Town = town(&mut a, &mut none, false).await;
    let who = town.customer("+233200000001").await;
    town.order(&who).await;
    // The follower is in this process, so that its schedule goes by a clock of ours.
    let (time, hand) = Time::driven();
    let away = folder.path().join("away");
    let backup = BackupConfig {
        to: Some(away.display().to_string()),
        every_minutes: 60,
        drill_every_hours: 24,
        keep_local: 2,
        time,
        ..BackupConfig::default()
    };
    let data = folder.path().join("c");
    let part = ReplicationOptions {
        node: "c".to_owned(),
        token_file: folder.path().join("token"),
        role: Role::Follower,
        leader: Some(a.base.clone()),
        peers: Vec::new(),
        acks: AckOptions { ack: Ack::Local, timeout: Duration::from_secs(1) },
        follower: None,
        url: None,
        keys: Some(folder.path().join("a/keys")),
        ca: None,
        silent_after: Duration::from_secs(10),
    };
    let options = AppOptions { data: Some(data.clone()), sandbox: true, backup, replication: Some(part), ..AppOptions::default() };
    let app = app::start(options).await.expect("it follows");
    let there = Wire::to(&app.base_url());
    let order = town.order(&who).await;
    read(&there, &who.token, &format!("/v1/orders/{}", order.text("id")), &order).await.is(200);
    let copies = async || read(&there, &town.admin.token, "/v1/ops/overview", &order).await.is(200).body["backup"].clone();
    assert_eq!(copies().await["local_snapshots"], 0, "nothing is due yet");
    // A folder without one gets its first after ten minutes; then each hour; two stay.
    for (minutes, stand) in [(11, 1), (61, 2), (61, 2)] {
        // Something new each time: the same place is the same snapshot.
        let newest = take::local(&data).last().copied();
        let order = town.order(&who).await;
        read(&there, &who.token, &format!("/v1/orders/{}", order.text("id")), &order).await.is(200);
        hand.advance(Duration::from_secs(minutes * 60));
        while take::local(&data).last().copied() == newest || copies().await["local_snapshots"] != stand {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    // They are the follower's state, to the byte; and nothing of it was sent: that is the leader's.
    let newest = *take::local(&data).last().expect("two stand");
    let manifest = take::manifest(&data, &newest).expect("it is whole");
    let (from, scratch) = (data.clone(), folder.path().join("scratch"));
    let runtime = tokio::runtime::Handle::current();
    let rebuilt = tokio::task::spawn_blocking(move || {
        let from = Destination::open(&from.display().to_string(), &medina::ops::backup::config::S3::default(), false, &runtime)?;
        rebuild(&from, Goal { seq: Some(newest.seq), ..Goal::default() }, &scratch, &|_, _| ()).map(|rebuilt| rebuilt.digest)
    });
    assert_eq!(rebuilt.await.expect("it ran"), Ok(manifest.digest));
    assert_eq!(std::fs::read_dir(&away).expect("made").count(), 0, "a follower sends nothing");
    // The drill, on time.
    hand.advance(Duration::from_secs(24 * 3600));
    while copies().await["drill"]["ok"] != true {
        assert_ne!(copies().await["drill"]["ok"], false, "{}", copies().await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let figures = send(there.ask("GET /metrics")).await.is(200).text;
    assert!(figures.contains("medina_restore_drill_ok 1"), "{figures}");
    app.stop().await;
}
