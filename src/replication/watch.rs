//! A leader looks at its peers: one that leads a higher epoch has been promoted, and this node's time is over.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use storage::Direction;
use tokio::sync::watch;

use super::node::Node;
use super::role::{Part, Role};
use super::wire::Status;
use crate::engine::attention::ATTENTION;
use crate::engine::{Caller, Engine, Fault};

/// How often a leader looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A peer that leads, not below `epoch`.
pub async fn other_leader(node: &Node, epoch: u64) -> Option<(String, Status)> {
    node.peers.leader(&node.addresses(), epoch).await
}

/// From the next start on this folder follows `leader`.
///
/// # Errors
/// The file system's.
pub fn step_down(node: &Node, leader: &str) -> std::io::Result<()> {
    node.remember(|part| *part = Part::first(Role::Follower, Some(leader.to_owned())))
}

/// Two leaders of one epoch, in a sentence.
#[must_use]
pub fn split(other: &str, epoch: u64) -> String {
    format!("{other} leads epoch {epoch} too, with a history of its own: `medina promote --lose-tail` on the node that shall go on")
}

/// Watches while this node leads.
pub async fn run(node: Arc<Node>, engine: Engine, mut stop: watch::Receiver<bool>) {
    if node.addresses().is_empty() {
        return;
    }
    loop {
        let epoch = engine.synced().borrow().epoch;
        match other_leader(&node, epoch).await {
            Some((leader, status)) if status.epoch > epoch => {
                tracing::error!(leader, epoch = status.epoch, "another node leads with a higher epoch: this one takes no more writes");
                engine.fence(Some(leader.clone()));
                match step_down(&node, &leader) {
                    Ok(()) => node.turn(format!("{leader} leads epoch {}", status.epoch)),
                    // Fenced it stays; the next start finds the same leader.
                    Err(error) => tracing::error!(%error, "the new role could not be written"),
                }
                return;
            }
            Some((leader, _)) if node.is_split().is_none() => {
                let why = split(&leader, epoch);
                tracing::error!(why, "this node takes no more writes");
                engine.fence(None);
                node.split(why);
            }
            Some(_) | None => (),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => (),
            () = node.look.notified() => (),
            () = crate::edge::server::stopped(&mut stop) => return,
        }
    }
}

/// What stands on the operators' list of replication: kind, subject, why.
type Row = (&'static str, String, String);

const DEGRADED: &str = "replication_degraded";
const SILENT: &str = "follower_silent";

/// Keeps the operators' list as things are: the loss of the follower that is waited for, and every follower that has gone silent. What an earlier
/// process left there is taken off too.
pub async fn alarms(node: Arc<Node>, engine: Engine, mut stop: watch::Receiver<bool>) {
    let mut degraded = engine.acks().degraded();
    loop {
        // While nothing is acknowledged nothing can be written down either; the log and the figures say so.
        if engine.is_leading() && !engine.acks().is_stalled() {
            let wanted = wanted(&node, *degraded.borrow_and_update());
            let stands = standing(&engine);
            let differ = wanted.len() != stands.len() || wanted.iter().any(|(kind, subject, _)| !stands.contains(&(kind, subject.clone())));
            if differ {
                tell(&engine, wanted, stands).await;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => (),
            changed = degraded.changed() => if changed.is_err() { return },
            () = crate::edge::server::stopped(&mut stop) => return,
        }
    }
}

fn wanted(node: &Node, is_degraded: bool) -> Vec<Row> {
    let why = "the follower does not acknowledge; writes are on this machine only".to_owned();
    let degraded = is_degraded.then(|| (DEGRADED, "follower".to_owned(), why));
    let silent = node.sessions.silent(node.options.silent_after).into_iter();
    let silent = silent.map(|(name, silence)| {
        let why = format!("the follower {name} had said nothing for {} s when this was written", silence.as_secs());
        (SILENT, name, why)
    });
    degraded.into_iter().chain(silent).collect()
}

fn standing(engine: &Engine) -> Vec<(&'static str, String)> {
    let view = engine.view();
    let of = |kind: &'static str| {
        let rows =
            ATTENTION.scan_range(&*view, &(kind.to_owned(), String::new()), &(kind.to_owned(), char::MAX.to_string()), Direction::Forward);
        rows.map(move |((_, subject), _)| (kind, subject)).collect::<Vec<_>>()
    };
    [of(DEGRADED), of(SILENT)].concat()
}

async fn tell(engine: &Engine, wanted: Vec<Row>, stands: Vec<(&'static str, String)>) {
    let told = engine.write(&Caller::system("replication"), "replication.alarm", move |tx| {
        for (kind, subject) in stands {
            if !wanted.iter().any(|(is, of, _)| *is == kind && *of == subject) {
                tx.settle_attention(kind, &subject);
            }
        }
        for (kind, subject, why) in wanted {
            tx.attention(kind, &subject, why, &["check the follower and the network between the two"]);
        }
        Ok::<(), Fault>(())
    });
    if let Err(error) = told.await {
        tracing::error!(?error, "the operators' list could not be told how replication is");
    }
}

/// Sets the figures, at the moment of looking: a connection that is lost must not leave the last good ones standing.
pub fn figures(node: &Node, engine: &Engine) {
    let head = *engine.synced().borrow();
    metrics::gauge!("medina_replication_epoch").set(head.epoch as f64);
    if !engine.is_following() {
        metrics::gauge!("medina_replication_degraded").set(f64::from(u8::from(*engine.acks().degraded().borrow())));
        metrics::gauge!("medina_replication_split").set(f64::from(u8::from(node.is_split().is_some())));
        return node.sessions.figures(head.seq);
    }
    let lag = node.lag.borrow().clone();
    let name = || node.options.node.clone();
    let behind = lag.leader_seq.saturating_sub(head.seq);
    let since = |at: Option<std::time::Instant>| at.map_or(0.0, |at| at.elapsed().as_secs_f64());
    // Without a leader nobody knows of anything newer, and nobody knows that there is nothing newer.
    let is_level = lag.connected && behind == 0;
    metrics::gauge!("medina_replication_connected", "node" => name()).set(f64::from(u8::from(lag.connected)));
    metrics::gauge!("medina_replication_lag_seconds", "node" => name()).set(if is_level { 0.0 } else { since(lag.level_at) });
    metrics::gauge!("medina_replication_lag_records", "node" => name()).set(behind as f64);
    metrics::gauge!("medina_replication_lag_bytes", "node" => name()).set(lag.behind_bytes as f64);
    metrics::gauge!("medina_replication_heard_seconds", "node" => name()).set(since(lag.heard_at));
    metrics::gauge!("medina_replication_degraded").set(f64::from(u8::from(lag.degraded)));
}

/// What the overview shows of replication.
#[must_use]
pub fn section(node: &Node, engine: &Engine) -> Value {
    let lag = node.lag.borrow().clone();
    serde_json::json!({
        "node": node.options.node,
        "role": node.part().role,
        "leads": engine.leads(),
        "leader": engine.leader(),
        "connected": lag.connected,
        "leader_seq": lag.leader_seq,
        "ack": engine.acks().options().ack,
        "degraded": *engine.acks().degraded().borrow(),
        "split": node.is_split(),
        "silent": node.sessions.silent(node.options.silent_after).into_iter().map(|(name, _)| name).collect::<Vec<_>>(),
    })
}
